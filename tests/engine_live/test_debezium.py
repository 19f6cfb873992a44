"""The ERP is read by Debezium, the CRM by duolog itself: rows that both write at once, a first start under load, and
each of engine, Kafka Connect and broker killed in the midst of it.

Whoever is killed, all that users were told is committed is on both sides in the end, and nothing was written twice.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final

import pytest

from adapters.debezium.decoding.modes import EXACT, OPTIONS
from service.embedded import NoServerProgram
from tests.engine_live import schema
from tests.engine_live.users import Users, write_for
from tests.engine_live.world import World, eventually, pause
from tests.ground import MARIADB, POSTGRESQL, Session, kind
from tests.kafka.broker import KafkaServer, why_not_real
from tests.kafka.connect import ConnectServer
from tests.servers import unavailable

START: Final = {"of_erp": ["erp 0"], "of_crm": ["crm 0"], "shared": ["start"]}
SECONDS = float(os.environ.get("DUOLOG_HOT_SECONDS", "20")) * 0.5
RATE = 150.0
CALM = 50.0
"""While somebody is away a backlog grows, which the same machine has to catch up with."""
MODES = ", ".join(f"{option}: '{value}'" for option, value in EXACT.items() if option in OPTIONS)
CONNECTOR = {option.replace(".", "_"): value for option, value in EXACT.items() if option in OPTIONS}


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaServer]:
    """A broker for this file, that is killed."""
    if missing := why_not_real():
        unavailable(missing)
    try:
        with closing(KafkaServer()) as server:
            server.start()
            yield server
    except NoServerProgram as nothing:
        unavailable(nothing.found)


@pytest.fixture(scope="module")
def connect(broker: KafkaServer) -> Iterator[ConnectServer]:
    """A Kafka Connect for this file, that is killed. It notes every five seconds how far it came: so much is told
    again."""
    with closing(ConnectServer(broker.bootstrap, flush_ms=5_000)) as server:
        server.start()
        yield server


@pytest.fixture(params=[(POSTGRESQL, POSTGRESQL), (MARIADB, POSTGRESQL)], ids="-".join)
def addresses(request: pytest.FixtureRequest) -> dict[str, str]:
    """Two fresh databases; the ERP's is the one that Debezium reads."""
    erp, crm = request.param
    names = {POSTGRESQL: "db", MARIADB: "maria"}
    return {"erp": request.getfixturevalue(f"erp_{names[erp]}"), "crm": request.getfixturevalue(f"crm_{names[crm]}")}


@contextmanager
def read_by_debezium(
    folder: Path, addresses: dict[str, str], broker: KafkaServer, connect: ConnectServer, name: str, **options: object
) -> Iterator[World]:
    """A world whose ERP Debezium reads; nobody is at work yet."""
    prefix = f"{name}{os.getpid()}.{kind(addresses['erp'])}"  # all processes of a run share the broker

    def said(rules: str) -> str:
        was = f'erp: {{adapter: {kind(addresses["erp"])}, url: "${{ERP_URL}}"}}'
        assert was in rules
        over = f'kafka: "{broker.url()}", topics: {{prefix: {prefix}, options: {{{MODES}}}}}'
        return rules.replace(was, f'erp: {{adapter: debezium, url: "${{ERP_URL}}", {over}}}')

    with ExitStack() as stack:
        world = World(folder, name, addresses, said=said, **options)
        stack.callback(world.go_home)
        made = connect.connector(addresses["erp"], prefix, snapshot_mode="no_data", **CONNECTOR)
        connector = stack.enter_context(made)
        try:
            yield world
        except AssertionError:
            print(json.dumps(connector.status())[:4000])
            raise


def _writing(world: World, rate: float = RATE, **options: object) -> list[Users]:
    users = world.users(rate=rate, threads=2, hot=10, **options)
    for each in users:
        each.start()
    return users


def _rests(world: World, users: list[Users]) -> None:
    for each in users:
        each.stop()
    took = world.equal(90)
    world.stays_still(2)
    assert world.judged() == []
    print(f"\nequal {took:.1f} s after the last write; {world.live.document()['counters']}")
    assert world.live.stop() == 0


def test_hot_rows_end_equal_explained_and_still(
    tmp_path: Path, addresses: dict[str, str], broker: KafkaServer, connect: ConnectServer
) -> None:
    with read_by_debezium(tmp_path, addresses, broker, connect, "hot", trailed=True) as world:
        world.live.run()
        world.live.running()
        users = world.users(rate=RATE, threads=2, hot=10, own=0.3)
        write_for(SECONDS, users)
        _rests(world, users)


def test_a_first_start_under_load_has_no_gap_and_no_duplicate(
    tmp_path: Path, addresses: dict[str, str], broker: KafkaServer, connect: ConnectServer
) -> None:
    with read_by_debezium(tmp_path, addresses, broker, connect, "first", trailed=True, owners=True) as world:
        users = _writing(world, adding=False)
        pause(1.0)
        world.live.run()
        world.live.running(60)
        pause(2.0)
        _rests(world, users)


def test_the_engine_is_killed_again_and_again(
    tmp_path: Path, addresses: dict[str, str], broker: KafkaServer, connect: ConnectServer
) -> None:
    chance = Random(7)
    with read_by_debezium(tmp_path, addresses, broker, connect, "killed", trailed=True) as world:
        world.live.run()
        world.live.running()
        users = _writing(world)
        for _ in range(4):
            pause(chance.random() * 1.5)
            world.live.kill9()
            world.live.run()
            world.live.running()
        _rests(world, users)


@pytest.mark.parametrize("who", ["connect", "broker"])
def test_connect_or_broker_is_killed_and_comes_back(
    tmp_path: Path, addresses: dict[str, str], broker: KafkaServer, connect: ConnectServer, who: str
) -> None:
    with read_by_debezium(tmp_path, addresses, broker, connect, f"{who}_dies", trailed=True) as world:
        world.live.run()
        world.live.running()
        begun = time.time()
        users = _writing(world, CALM)
        for _ in range(2):
            pause(2.0)
            eventually(lambda: connect.has_noted(begun), 30, "Connect notes nothing")  # else: see the next test
            (connect if who == "connect" else broker).kill9()
            pause(1.0)
            (connect if who == "connect" else broker).start()
            _carries(world)
        _rests(world, users)


def test_a_connect_that_lost_its_place_is_told_of(
    tmp_path: Path, addresses: dict[str, str], broker: KafkaServer, connect: ConnectServer
) -> None:
    """It was killed before it had noted anything, and began where MariaDB's log ended by then; what users had written
    in between was never carried over, and nobody was told. PostgreSQL's slot remembers it."""
    with read_by_debezium(tmp_path, addresses, broker, connect, "lost", trailed=True) as world:
        world.live.run()
        world.live.running()
        users = _writing(world, CALM)
        pause(1.0)
        connect.kill9()
        connect.offsets.unlink(missing_ok=True)
        connect.start()
        if kind(addresses["erp"]) == POSTGRESQL:
            _carries(world)
            _rests(world, users)
        else:
            eventually(lambda: "D212" in world.live.log_tail(), 120, world.live.log_tail)
            for each in users:
                each.stop()
            assert world.live.stop() == 3  # somebody has to look
            world.live.run("--merge-again")
            world.live.running()
            world.equal(90)  # by the rules, not by who was first: that is what was lost
            assert world.live.stop() == 0


def _carries(world: World) -> None:
    """What is written now in the ERP arrives in the CRM."""
    token = f"it goes on {time.time_ns()}"
    insert = "INSERT INTO {event} ({token}, {of}, {field}, {delta}) VALUES (%s, 'T000000', 'nothing', 0)"
    with Session(world.addresses["erp"]) as erp, Session(world.addresses["crm"]) as crm:
        erp.execute(schema.placed(insert, "erp", erp.kind), [token])
        look = schema.placed("SELECT 1 FROM {event} WHERE {token} = %s", "crm", crm.kind)
        eventually(lambda: crm.rows(look, [token]), 120, world.live.log_tail)
