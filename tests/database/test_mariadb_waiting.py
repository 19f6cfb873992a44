"""What `check`, `setup` and `teardown` of a synchronous MariaDB say and do, on real servers: each fault is seen, the
mend that is told mends it, and the rights that are printed suffice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.mariadb.kit import MariaKit
from adapters.mariadb.resume import read_identity
from engine.catalog import Finding
from engine.errors import SystemUnavailable
from engine.rulebook import RuleBook, Synchronous
from service.embedded import EmbeddedMariaDB
from tests.crowd import within
from tests.database.books import Bound, book
from tests.database.maria_synchronous import Reading, Waiters, until, waiters
from tests.database.maria_target import batch

OPEN = Synchronous(5.0, "release")
CLOSED = Synchronous(None, "release")
OURS = {"P112", "P113", "P116", "P128", "P165", "P166", "P167"}


def rules_of(rule: Synchronous | None) -> RuleBook:
    """The rules of an engine called `unit`, for the table that the tests have."""
    made = replace(book(Bound("item", ("id", "name"), ("id",), schema="erp_1")), name="unit")
    return made if rule is None else replace(made, synchronous={"erp": rule})


@pytest.fixture
def world(own_maria: EmbeddedMariaDB) -> Iterator[Waiters]:
    own_maria.settings |= {"rpl_semi_sync_master_wait_point": "AFTER_SYNC"}
    with waiters(own_maria) as made:
        yield made


@pytest.fixture
def kit(world: Waiters) -> MariaKit:
    return MariaKit("erp", world.erp.url, insecure=False)


def findings(kit: MariaKit, rule: Synchronous | None) -> dict[str, Finding]:
    found, _ = kit.findings(rules_of(rule))
    return {finding.code: finding for finding in found if finding.code in OURS}


def run(world: Waiters, mend: str) -> None:
    for statement in mend.partition(";  --")[0].split("; "):
        world.admin.run(statement)


def test_where_nobody_is_to_wait_nothing_is_asked(world: Waiters, kit: MariaKit) -> None:
    world.admin.run("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_COMMIT")
    assert findings(kit, None) == {}
    assert [step.what for step in kit.planned(rules_of(None))] == ["database `duolog`", "table `duolog.ledger`"]


def test_after_sync_is_demanded(world: Waiters, kit: MariaKit) -> None:
    kit.setup(rules_of(OPEN), lambda step: None)
    assert findings(kit, OPEN) == {}
    world.admin.run("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_COMMIT")

    told = findings(kit, OPEN)
    assert (told.keys(), told["P167"].severity) == ({"P167"}, "error")
    assert told["P167"].found == (
        "`rpl_semi_sync_master_wait_point` is `AFTER_COMMIT`: others would see a change before the user's COMMIT has "
        "returned, and before the other systems have it"
    )
    run(world, told["P167"].mend)
    assert findings(kit, OPEN) == {}


def test_the_table_is_missed_once_duolog_is_set_up(world: Waiters, kit: MariaKit) -> None:
    kit.setup(rules_of(None), lambda step: None)
    assert findings(kit, OPEN).keys() == {"P116"}
    kit.setup(rules_of(OPEN), lambda step: None)
    assert findings(kit, OPEN) == {}


@pytest.mark.parametrize(("rule", "code", "severity"), [(CLOSED, "P112", "error"), (OPEN, "P113", "warning")])
def test_other_semi_synchronous_replicas_are_told(
    world: Waiters, kit: MariaKit, rule: Synchronous, code: str, severity: str
) -> None:
    kit.setup(rules_of(rule), lambda step: None)
    Reading(world.opened())
    until(lambda: world.status("clients") == "1", "our own reader is counted")
    assert findings(kit, rule) == {}, "our own reader is none"
    Reading(world.opened(engine="another", server_id=4711))
    until(lambda: world.status("clients") == "2", "another one is counted, too")

    told = findings(kit, rule)
    assert (told.keys(), told[code].severity) == ({code}, severity)
    assert told[code].found.startswith(
        "1 other semi-synchronous replica is connected, and the answer of 1 is enough: commits return without duolog"
    )


def test_the_rights_that_are_printed_suffice_and_each_that_is_missing_is_named(
    world: Waiters, kit: MariaKit, tmp_path: Path
) -> None:
    rules = rules_of(CLOSED)
    kit.setup(rules, lambda step: None)
    world.admin.run("CREATE USER clerk")
    granted = kit.grants(rules, "clerk")
    assert granted[-2:] == [
        "GRANT REPLICATION MASTER ADMIN ON *.* TO 'clerk'@'%';",
        "GRANT SELECT, INSERT, UPDATE ON `duolog`.`degraded` TO 'clerk'@'%';",
    ]
    for grant in granted:
        world.admin.run(grant)
    clerk = MariaKit("erp", world.erp.url.replace("root@", "clerk@"), insecure=False)
    errors = [f for f in clerk.findings(rules)[0] if f.severity == "error"]
    assert errors == []

    identity = str(read_identity(world.erp.conn))
    source = clerk.source(rules, identity, capabilities={"skip_own": False}, spool_dir=tmp_path)
    source.open(world.start)
    world.erp.sources.append(source)
    reading = Reading(source, at_once=True)
    with closing(clerk.switch(rules)) as switch:
        switch.arm(nullcontext)
        reading.at_once = False
        user = world.commit("UPDATE item SET name = 'b' WHERE id = 1")
        assert user.waits()
        assert switch.look().waiting == 1, "without PROCESS, the first of them at least"
        switch.release("by hand", "release")
        user.answered()

    world.admin.run("REVOKE REPLICATION MASTER ADMIN ON *.* FROM clerk; REVOKE UPDATE ON duolog.degraded FROM clerk")
    told = findings(clerk, CLOSED)
    assert told.keys() == {"P128", "P165"}
    for finding in told.values():
        run(world, finding.mend)
    assert findings(clerk, CLOSED) == {}


def test_check_is_answered_while_users_wait(world: Waiters, kit: MariaKit) -> None:
    kit.setup(rules_of(OPEN), lambda step: None)
    world.arm()
    users = [world.commit(f"UPDATE item SET name = 'b' WHERE id = {key}") for key in (1, 2, 3)]
    assert all(user.waits() for user in users)

    assert findings(kit, OPEN) == {}
    assert [step.done for step in kit.planned(rules_of(OPEN))] == [True] * 4


def test_a_write_that_a_dead_engine_left_waiting_does_not_keep_the_next_one_out(world: Waiters, kit: MariaKit) -> None:
    """It waits behind users who wait for a reader; and nothing is read before it is known what became of it."""
    rules = rules_of(CLOSED)
    kit.setup(rules, lambda step: None)
    source = world.opened()
    reading = Reading(source, at_once=True)
    dead, following = kit.target(rules), kit.target(rules)
    dead.open()
    with closing(kit.switch(rules)) as switch:
        switch.arm(nullcontext)
    reading.at_once = False
    user = world.commit("UPDATE item SET name = 'b' WHERE id = 1")
    assert user.waits()
    writing = threading.Thread(target=lambda: dead.apply(batch(1)), daemon=True)
    writing.start()
    with pytest.raises(SystemUnavailable, match="writes this system as the engine"):
        following.open()
    assert user.waits(), "as long as somebody reads, it is an engine that is alive"
    reading.stop()
    source.close()

    deadline = time.monotonic() + within(20)
    while True:
        try:
            following.open()
            break
        except SystemUnavailable:
            dead_line = dead._opened
            if dead_line is not None and not writing.is_alive():
                dead.close()  # the server would end it: its line leads nowhere
            assert time.monotonic() < deadline
    with closing(following), closing(dead):
        user.answered()
        assert [outcome.number_to for outcome in following.committed(0)] == [1]
    with closing(kit.switch(rules)) as switch:
        range_ = switch.look().degraded
    assert range_ is not None
    assert (range_.by, range_.why) == (
        "engine", "a write of an engine that is gone waited at COMMIT with the users, and no engine read",
    )  # fmt: skip


def test_setup_and_teardown_let_go_of_who_waits_for_an_engine_that_is_gone(world: Waiters, kit: MariaKit) -> None:
    rules = rules_of(CLOSED)
    kit.setup(rules, lambda step: None)
    source = world.opened()
    reading = Reading(source, at_once=True)
    with closing(kit.switch(rules)) as switch:
        switch.arm(nullcontext)
    reading.stop()
    source.close()
    users = [world.commit(f"UPDATE item SET name = 'b' WHERE id = {key}") for key in (1, 2, 3)]
    assert all(user.waits() for user in users)

    assert kit.setup(rules, lambda step: None) == [], "nothing is missing, so nobody is touched"
    assert users[0].waits()
    taken = kit.teardown(rules)
    for user in users:
        user.answered()
    assert taken == ["table `duolog.ledger`", "table `duolog.degraded`", "database `duolog`"]
    assert world.admin.value("SELECT @@GLOBAL.rpl_semi_sync_master_enabled") == 0
