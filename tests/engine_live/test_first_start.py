"""Day one: both systems are full, not alike, and in use while they are merged; the engine dies in the middle of it.

ERP has things 0 to 19,999, CRM 2,000 to 21,999; of those that both have, every seventh differs. Afterwards nothing that
anybody was told is committed may be missing anywhere, and nothing may have been written twice.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_live import auditor, schema
from tests.engine_live.conftest import PAIRS, not_of_mariadb_twice, with_change_tables
from tests.engine_live.schema import placed
from tests.engine_live.users import Users
from tests.engine_live.world import Live, World, eventually, pause
from tests.ground import SQLITE, Session

THINGS, SHIFT = 20_000, 2_000
START = {"of_erp": ["erp 0", None], "of_crm": ["crm 0", None], "shared": ["start"]}
"""NULL: a system that owns a column did not have the thing at all."""


DIFFER = """
UPDATE {thing} SET {shared} = 'crm says ' || {code}
WHERE {code} < %s AND mod(CAST(substr({code}, 2) AS decimal(10)), 7) = 0
"""


@pytest.fixture
def world(tmp_path: Path, both: dict[str, str]) -> Iterator[World]:
    """Two full databases, partly different; nothing has been merged."""
    made = World(tmp_path, "dayone", both, trailed=True, fill=False, owners=True)
    schema.fill(both["erp"], "erp", 0, THINGS - 1)
    schema.fill(both["crm"], "crm", SHIFT, SHIFT + THINGS - 1)
    with Session(both["crm"]) as session:
        session.execute(placed(DIFFER, "crm", session.kind), [schema.code(THINGS)])
    yield made
    made.go_home()


def _writing(world: World) -> list[Users]:
    """Everybody writes to what both systems have, from before the first start on."""
    users = world.users(rate=100, threads=2, things=THINGS - SHIFT, first=SHIFT, hot=50, adding=False)
    for each in users:
        each.start()
    return users


@with_change_tables("both", of=slice(2))
def test_full_systems_are_merged_under_running_writers_without_gap_or_duplicate(world: World) -> None:
    users = _writing(world)
    world.live.run()
    world.live.running(60)
    pause(1.0)
    for each in users:
        each.stop()

    world.equal(60)
    world.stays_still(1)

    assert world.judged(START) == []
    rows = auditor.things(world.addresses["erp"], "erp")
    assert len(rows) == THINGS + SHIFT
    journal = {(e["key"], tuple(e["lost"])) for e in world.live.journal() if e["kind"] == "insert_exists"}
    touched = {event[0] for event in auditor.events(world.addresses["erp"], "erp").values()}
    differed = {schema.code(number) for number in range(SHIFT, THINGS) if number % 7 == 0}
    untouched = differed - touched
    assert len(untouched) > 1_000
    assert {(key, (f"crm says {key}",)) for key in untouched} <= journal
    print(f"\nday one: {next(line for line in world.live.said().splitlines() if 'first merge done' in line)}")
    assert world.live.stop() == 0


@with_change_tables("both", of=slice(2))
def test_killed_at_every_point_of_the_first_merge_it_starts_again_by_itself(world: World) -> None:
    users = _writing(world)
    for point in ("snapshots_taken:1", "first_merge:1", "first_merge:6", "base_agreed:1"):
        world.live.run(failpoint=point)
        assert world.live.ended(60) == -signal.SIGKILL, world.live.log_tail()
    world.live.run()
    world.live.running(60)
    for each in users:
        each.stop()

    world.equal(60)
    assert world.judged(START) == []
    assert world.live.stop() == 0


@not_of_mariadb_twice("both")
def test_stopped_during_the_first_merge_it_keeps_nothing_and_starts_again(world: World) -> None:
    world.live.run()
    eventually(lambda: "first merge: comparing" in world.live.said(), 20, world.live.log_tail)
    world.live.signal(signal.SIGTERM)
    code = world.live.ended(10)
    assert code == 0, world.live.log_tail()

    world.live.run()
    world.live.running(60)
    world.equal(60)
    assert world.live.stop() == 0


def test_a_second_engine_on_the_same_store_is_refused_and_told_who_has_it(
    tmp_path: Path, erp_db: str, crm_db: str
) -> None:
    world = World(tmp_path, "twice", {"erp": erp_db, "crm": crm_db}, things=10)
    world.live.run()
    world.live.running()

    refused = world.live.call("run", expected=(4,))

    assert re.fullmatch(
        rf"D500 {world.live.folder}/twice.store.db: another engine is running on this store: "
        rf"process {world.live.pid} on \S+, since \S+ \S+ UTC\n"
        "  mend: stop that one, or give this one a store of its own; read-only commands may be used beside it\n",
        refused.stderr,
    )
    world.equal()
    assert world.live.stop() == 0


@with_change_tables("both", more=PAIRS[:2], of=slice(2))
def test_a_second_engine_with_a_store_of_its_own_never_writes(tmp_path: Path, both: dict[str, str]) -> None:
    world = World(tmp_path / "first", "usurp", both, trailed=True)
    world.live.run()
    world.live.running()
    users = world.users(rate=100, threads=2, hot=10)
    for each in users:
        each.start()
    ledger = eventually(lambda: _ledger(both["erp"]), 10, world.live.log_tail)

    second = Live(tmp_path / "second", world.live.rules.read_text(), world.live.addresses)
    second.run()
    code = second.ended(20)

    assert code == 1, second.log_tail()
    assert re.search("is in use by the process|writes this system as the engine", second.log_tail())
    assert _ledger(both["erp"]) >= ledger, "the second engine emptied the first one's ledger"
    for each in users:
        each.stop()
    world.equal()
    assert world.judged() == []
    assert world.live.stop() == 0
    shutil.rmtree(second.folder)


@with_change_tables("both", of=slice(2))
def test_an_old_copy_of_the_store_never_takes_over(tmp_path: Path, both: dict[str, str]) -> None:
    world = World(tmp_path / "first", "stale", both, things=100)
    world.live.run()
    world.live.running()
    world.live.stop()
    stale = Live(tmp_path / "second", world.live.rules.read_text(), world.live.addresses)
    for part in world.live.folder.glob("stale.store.db*"):
        shutil.copyfile(part, stale.folder / part.name)
    world.live.run()
    world.live.running()
    users = world.users(rate=100, threads=2)
    for each in users:
        each.start()
    pause(1.0)
    for each in users:
        each.stop()
    world.equal()
    assert world.live.stop() == 0
    marks = [auditor.mark(address, system) for system, address in world.addresses.items()]

    stale.run()

    assert stale.ended(20) == 3, stale.log_tail()
    said = stale.log_tail()
    slot = r"the slot `duolog_stale_\1` was confirmed up to .*, but our store has read"
    assert re.search(rf"D205 (erp|crm): ({slot}|the ledger has batches that were sent when our store knew)", said)
    assert [auditor.mark(address, system) for system, address in world.addresses.items()] == marks


def _ledger(address: str) -> int:
    with Session(address) as session:
        ledger = "duolog_ledger" if session.kind == SQLITE else "duolog.ledger"
        return int(session.value(f"SELECT coalesce(max(number_to), 0) FROM {ledger}"))  # noqa: S608 - of the two
