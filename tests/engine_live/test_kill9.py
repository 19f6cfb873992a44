"""The engine is killed at every named point, stopped, and frozen, while users write; it comes back by itself.

"By itself" means: `duolog run` with the same arguments, and nobody's hands. Every user's transaction is everywhere in
the end, nothing was written twice, and the engine is at work again within ten seconds of its start (where other tests
run beside this one, it is waited for longer: see `tests.crowd`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from random import Random

import pytest

from service.failpoints import DAY_ONE, OF_A_FEED, POINTS
from tests.crowd import within
from tests.engine_live.conftest import PAIRS, with_change_tables
from tests.engine_live.schema import placed
from tests.engine_live.tidying import swept
from tests.engine_live.users import Users
from tests.engine_live.world import World, eventually, pause
from tests.ground import POSTGRESQL, SQLITE, Session, adapter
from tests.servers import Server

RESUME_S = 10.0
PASSINGS = (1, 25)
RANDOM_KILLS = 10


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The shared one, with nobody at work; a test that failed leaves nothing behind for the next."""
    yield shared
    shared.go_home()


@pytest.fixture(scope="module")
def shared(both_servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One pair of databases for all tests of this file; each leaves it equal and the engine stopped."""
    names = {system: f"{system}_kill" for system in both_servers}
    addresses = {system: server.create_database(names[system]) for system, server in both_servers.items()}
    made = World(tmp_path_factory.mktemp("kill"), "kill", addresses, trailed=True)
    made.live.run()  # day one is tried in `test_first_start`: here both sides have a base
    made.live.running()
    made.live.stop()
    yield made
    swept(both_servers, names, "kill")


@with_change_tables("both_servers", "module", more=PAIRS[:2], of=slice(2))
@pytest.mark.parametrize("point", [point for point in POINTS if point not in DAY_ONE + OF_A_FEED])
def test_killed_at(point: str, world: World) -> None:
    users = _writing(world)
    for passing in PASSINGS if world.all_of(POSTGRESQL) else PASSINGS[-1:]:
        world.live.run(failpoint=f"{point}:{passing}")
        assert world.live.ended(30) == -signal.SIGKILL

    _comes_back_and_agrees(world, users)


@with_change_tables("both_servers", "module")
def test_killed_at_random_moments_again_and_again(world: World) -> None:
    chance = Random(20)
    users = _writing(world)
    for _ in range(RANDOM_KILLS if world.all_of(POSTGRESQL) else RANDOM_KILLS // 2):
        world.live.run()
        world.live.running()
        pause(chance.random() * 0.7)
        world.live.kill9()

    _comes_back_and_agrees(world, users)


@pytest.mark.alone
@with_change_tables("both_servers", "module", more=PAIRS[:2], of=slice(2))
def test_killed_under_load_it_is_at_work_again_within_ten_seconds(world: World) -> None:
    users = _writing(world)
    for _ in range(2):
        world.live.run()
        world.live.running()
        pause(1.0)
        world.live.kill9()

    _comes_back_and_agrees(world, users)


@pytest.mark.alone
@with_change_tables("both_servers", "module", more=PAIRS[:2], of=slice(1))
def test_sigterm_in_the_midst_of_work_ends_with_0_and_leaves_nothing_half_done(world: World) -> None:
    users = _writing(world)
    for seconds in (0.0, 0.3, 0.6):
        world.live.run()
        world.live.running()
        pause(seconds)
        begun = time.monotonic()
        assert world.live.stop() == 0
        assert time.monotonic() - begun < 5
        assert "stopped: everything that was in hand is durable" in world.live.log_tail()

    _comes_back_and_agrees(world, users)


@with_change_tables("both_servers", "module", more=PAIRS[:2], of=slice(1))
def test_frozen_and_woken_it_goes_on(world: World) -> None:
    users = _writing(world)
    world.live.run()
    world.live.running()
    for _ in range(2):
        world.live.signal(signal.SIGSTOP)
        pause(2.0)
        world.live.signal(signal.SIGCONT)
        pause(0.5)

    _agrees(world, users)


def _writing(world: World) -> list[Users]:
    noted = any(adapter(address) in (SQLITE, "odbc") for address in world.addresses.values())
    users = world.users(rate=60 if noted else 120, threads=2, hot=10, seed=time.time_ns())
    for each in users:
        each.start()
    return users


def _comes_back_and_agrees(world: World, users: list[Users]) -> None:
    begun = time.monotonic()
    world.live.run()
    _carries(world, begun)
    _agrees(world, users)


def _carries(world: World, begun: float) -> None:
    """What is written now arrives on the other side within `RESUME_S` of the engine's start."""
    name = f"resumed {time.time_ns()}"
    for system in world.systems:
        with Session(world.addresses[system]) as session:
            session.execute(placed(
                "INSERT INTO {event} ({token}, {of}, {field}, {delta}) VALUES (%s, 'T000000', 'nothing', 0)",
                system, session.kind,
            ), [f"{name} {system}"])  # fmt: skip
    for system, other in zip(world.systems, reversed(world.systems), strict=True):
        with Session(world.addresses[other]) as session:
            query = placed("SELECT 1 FROM {event} WHERE {token} = %s", other, session.kind)
            eventually(
                lambda c=session, q=query, s=system: c.rows(q, [f"{name} {s}"]),
                max(0.0, begun + within(RESUME_S) - time.monotonic()), world.live.log_tail,
            )  # fmt: skip


def _agrees(world: World, users: list[Users]) -> None:
    for each in users:
        each.stop()
    world.equal()
    world.stays_still(1)
    assert world.judged() == []
    assert world.live.stop() == 0
