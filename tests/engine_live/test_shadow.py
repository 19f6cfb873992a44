"""`duolog run NEW --shadow IN_FORCE`: beside an engine at work it finds what the new rules would have done otherwise,
nothing else, and writes nothing.

Its role may read the log and nothing of the tables; the users write on both sides meanwhile, also at the same time.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.mariadb import positions
from adapters.mariadb.borrowed import BorrowedSource as BorrowedMariaSource
from adapters.postgresql.borrowed import BorrowedSource
from adapters.store import SqlStore
from engine.record import decode
from engine.vocabulary import Progress, Transaction
from service.demo.engine import COMMAND
from service.shadow.following import Seen, Shadow
from tests.cli import test_crossed_live as crossed
from tests.crowd import within
from tests.engine_live.pair import Pair
from tests.engine_live.schema import placed
from tests.engine_live.world import World, eventually, pause
from tests.ground import POSTGRESQL, Session

SECONDS = float(os.environ.get("DUOLOG_SHADOW_SECONDS", "8"))

COMMITTED_MIN = 1_000
"""More than so many transactions are committed, however long that takes."""

WATCHER = "shop_watcher"
"""May read the log, and the ledger; no table of any application."""

TABLE = """
CREATE TABLE item (no text PRIMARY KEY, name text, price numeric(10, 2), stock integer, state text, note text)
"""
RULES = """\
  item:
    identity: [no]
    conflict: last_writer
    order: [erp, crm]
    bind: {erp: {table: item}, crm: {table: item}}
    fields:
      no: no
      name: name
      price: price
      stock: {erp: stock, crm: stock, conflict: delta}
      state: {erp: {column: state, map: {P: prospect, A: active}}, crm: state}
      note: note
"""


class Watch:
    """One `duolog run NEW --shadow OLD --json --values` as a process."""

    def __init__(self, pair: Pair, old: str, new: str) -> None:
        rules = pair.live.rules
        text = rules.read_text(encoding="utf-8")
        assert old in text
        self.new = rules.with_name("new.yaml")
        self.new.write_text(text.replace(old, new), encoding="utf-8")
        self.out = (pair.live.folder / "shadow.out").open("w+", encoding="utf-8")
        self.said = pair.live.folder / "shadow.err"
        environment = dict(pair.live._environment)
        for system, address in pair.addresses.items():
            place = conninfo_to_dict(address)
            environment[f"{system.upper()}_URL"] = (
                f"postgresql://{WATCHER}@{place['host']}:{place['port']}/{place['dbname']}"
            )
        self.process = subprocess.Popen(
            [*COMMAND, "run", str(self.new), "--shadow", str(rules), "--json", "--values"], env=environment,
            cwd=pair.live.folder, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.said.open("w"),
        )  # fmt: skip
        eventually(lambda: "following" in self.said.read_text() or self.process.poll() is not None, 30, "not started")
        assert self.process.poll() is None, self.said.read_text()

    def ended(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Ends it as Ctrl-C does; the differences, and the summary."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(within(30)) == 0, self.said.read_text()
        *lines, summary = (self.new.parent / "shadow.out").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines], json.loads(summary)["summary"]


@contextmanager
def watched(made: Pair) -> Iterator[Pair]:
    """With a role that may only watch, and an engine at work."""
    who = sql.Identifier(WATCHER)
    for system in made.addresses:
        made.sql(system, "CREATE ROLE {who} LOGIN REPLICATION", who=who)
        made.sql(system, "GRANT USAGE ON SCHEMA duolog TO {who}", who=who)
        made.sql(system, "GRANT SELECT ON duolog.ledger TO {who}", who=who)
    made.start()
    try:
        yield made
    finally:
        for system in made.addresses:
            made.sql(system, "DROP OWNED BY {who}", who=who)
            made.sql(system, "DROP ROLE {who}", who=who)
        made.close()


@pytest.fixture
def pair(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[Pair]:
    """Two systems with ten items, in step."""
    made = Pair(tmp_path, "shadowed", {"erp": erp_db, "crm": crm_db}, RULES, {"erp": TABLE, "crm": TABLE})
    made.both(
        "INSERT INTO item SELECT 'I' || i, 'name', 10, 100, 'P', '' FROM generate_series(0, 9) i",
        "INSERT INTO item SELECT 'I' || i, 'name', 10, 100, 'prospect', '' FROM generate_series(0, 9) i",
    )
    with watched(made):
        yield made


def test_records_with_keys_of_their_own_are_known_again_when_the_engine_has_made_them(
    tmp_path: Path, erp_db: str, crm_db: str
) -> None:
    entities = crossed.RULES.partition("entities:\n")[2]
    tables = {"erp": crossed.ERP_TABLES, "crm": crossed.CRM_TABLES}
    with watched(Pair(tmp_path, "shadowcross", {"erp": erp_db, "crm": crm_db}, entities, tables)) as made:
        watch = Watch(made, "name: {erp: name, crm: account_name}", "name: {erp: name, crm: account_name, owner: erp}")
        made.sql("erp", "INSERT INTO party (id, name, rep_id) VALUES (9, 'New', 42)",
                 "INSERT INTO party_code (party, kind, seq, code) VALUES (9, 'vat', 1, 'FR 9')",
                 "INSERT INTO party_group (party, grp) VALUES (9, 7)")  # fmt: skip
        made.becomes("crm", "SELECT account_name, owner_id FROM accounts WHERE vat_number = 'FR 9'", [("New", 4)])
        made.sql("crm", "UPDATE accounts SET vat_number = 'FR 10', account_name = 'Newer' WHERE vat_number = 'FR 9'")
        made.becomes("erp", "SELECT name FROM party WHERE id = 9", [("Newer",)])
        made.sql("crm", "INSERT INTO users (mail, name) VALUES ('d@x', 'Dan')")
        made.becomes("erp", "SELECT name FROM hr_employee WHERE email = 'd@x'", [("Dan",)])
        seen(made, watch, 1)

        found, summary = watch.ended()

        assert [(f["system"], f["key"], f["fields"], f["new"]["writes"]) for f in found] == [
            ("crm", "erp:9", ["name"], ["crm"])
        ]
        assert (summary["transactions"] - summary["own"], summary["alike"], summary["taken_over"]) == (3, 2, 0)


def seen(pair: Pair, watch: Watch, count: int) -> None:
    """Waits until the shadow has told so many differences."""
    path = pair.live.folder / "shadow.out"
    enough = lambda: len(path.read_text().splitlines()) >= count  # noqa: E731
    eventually(enough, 15, lambda: path.read_text() + watch.said.read_text())


def test_a_changed_owner_is_found_and_nothing_else(pair: Pair) -> None:
    watch = Watch(pair, "price: price", "price: {erp: price, crm: price, owner: erp}")
    pair.sql("erp", "UPDATE item SET price = 12 WHERE no = 'I1'")
    pair.becomes("crm", "SELECT price::text FROM item WHERE no = 'I1'", [("12.00",)])
    # Behind the echo of the ERP's in the CRM's log, so that it is decided last, and nothing is left to be waited for.
    pair.sql("crm", "UPDATE item SET name = 'ours', price = 11 WHERE no = 'I1'")
    pair.becomes("erp", "SELECT name, price::text FROM item WHERE no = 'I1'", [("ours", "11.00")])
    seen(pair, watch, 1)

    found, summary = watch.ended()

    assert [(f["system"], f["entity"], f["key"], f["fields"]) for f in found] == [("crm", "item", "I1", ["price"])]
    assert found[0]["in_force"] == {
        "because": "crm wrote it", "waits": "", "writes": ["erp"], "value": ["11.00"], "stored": {"erp": ["11.00"]},
    }  # fmt: skip
    assert found[0]["new"]["because"] == "owner: only erp may write it"
    assert found[0]["new"]["value"] == ["12.00"]
    assert found[0]["new"]["stored"] == {"crm": ["12.00"]}
    assert (summary["transactions"] - summary["own"], summary["alike"], summary["taken_over"]) == (2, 1, 0)


def test_a_changed_policy_is_found_in_a_conflict(pair: Pair) -> None:
    watch = Watch(pair, "name: name", "name: {erp: name, crm: name, conflict: first_writer}")
    with pair.apart():
        # The difference shows when the last of them is decided, whichever log is read first.
        pair.sql("crm", "UPDATE item SET stock = 101 WHERE no = 'I2'")
        pair.sql("crm", "UPDATE item SET name = 'of crm', note = 'n' WHERE no = 'I2'")
        pause(0.5)  # further apart than a busy machine's clocks can be told: else the order of the systems decides
        pair.sql("erp", "UPDATE item SET name = 'of erp', stock = 90 WHERE no = 'I2'")
    pair.become("SELECT name, stock, note FROM item WHERE no = 'I2'", [("of erp", 91, "n")])
    seen(pair, watch, 1)

    found, summary = watch.ended()

    assert [(f["key"], f["fields"], f["in_force"]["value"], f["new"]["value"]) for f in found] == [
        ("I2", ["name"], ["of erp"], ["of crm"])
    ]
    assert found[0]["in_force"]["because"].startswith("last_writer: erp committed ")
    assert found[0]["new"]["because"].startswith("first_writer: crm committed ")
    assert (summary["transactions"] - summary["own"], summary["alike"]) == (3, 2)


def test_a_changed_map_a_hold_and_a_value_that_has_no_counterpart_are_found(pair: Pair) -> None:
    watch = Watch(
        pair, "state: {erp: {column: state, map: {P: prospect, A: active}}, crm: state}",
        "state: {erp: {column: state, map: {P: prospect, B: active}}, crm: state}",
    )  # fmt: skip
    pair.sql("crm", "UPDATE item SET state = 'active' WHERE no = 'I3'")
    pair.becomes("erp", "SELECT state FROM item WHERE no = 'I3'", [("A",)])
    pair.sql("erp", "UPDATE item SET state = 'A' WHERE no = 'I4'")
    pair.becomes("crm", "SELECT state FROM item WHERE no = 'I4'", [("active",)])
    seen(pair, watch, 2)

    found, summary = watch.ended()

    by_key = {f["key"]: f for f in found if f["fields"]}
    assert by_key["I3"]["in_force"]["stored"] == {"erp": ["A"]}
    assert by_key["I3"]["new"]["stored"] == {"erp": ["B"]}
    (refused,) = [f for f in found if f["key"] == "I4" and not f["fields"]]
    assert refused["new"]["waits"].startswith("erp: cannot be read: ")
    assert summary["alike"] == 0


def test_created_deleted_and_held_records_are_alike_and_nothing_is_written(pair: Pair) -> None:
    pair.stop()
    store = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in pair.live.folder.glob("*.db*")}
    slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1"
    before = {system: pair.sql(system, slots) for system in pair.addresses}
    following = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    watch = Watch(pair, "note: note", "note: {erp: note, crm: note, conflict: hold}")
    numbers = {system: pair.sql(system, following)[0][0] for system in pair.addresses}

    pair.sql("erp", "INSERT INTO item (no, name) VALUES ('I20', 'new')")
    pair.sql("crm", "DELETE FROM item WHERE no = 'I5'")
    pair.sql("erp", "UPDATE item SET note = 'of erp' WHERE no = 'I6'")
    pair.sql("crm", "UPDATE item SET note = 'of crm' WHERE no = 'I6'")
    seen(pair, watch, 1)
    pause(1)

    assert {s: pair.sql(s, following)[0][0] - n for s, n in numbers.items()} == {"erp": 2, "crm": 2}
    found, summary = watch.ended()
    assert [(f["key"], f["fields"], f["new"]["waits"][:5], f["new"]["writes"]) for f in found] == [
        ("I6", ["note"], "hold:", [])
    ]
    assert summary["alike"] == 3
    assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in pair.live.folder.glob("*.db*")} == store
    assert {system: pair.sql(system, slots) for system in pair.addresses} == before


def test_an_entity_of_another_shape_is_left_out_and_said_so(pair: Pair) -> None:
    watch = Watch(pair, "note: note", "remark: {erp: note, crm: note}")
    pair.sql("erp", "UPDATE item SET note = 'x' WHERE no = 'I7'")
    pair.becomes("crm", "SELECT note FROM item WHERE no = 'I7'", [("x",)])

    found, _ = watch.ended()

    assert found == []
    left_out = "left out: `item` has other fields, groups, conversions or systems: `duolog plan` compares it"
    assert left_out in watch.said.read_text()


@contextmanager
def beside(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shadow, list[Seen]]]:
    """With an engine at work, and the same rules as its shadow, which has seen all when the block ends."""
    world.live.run()
    world.live.running()
    for system, address in world.addresses.items():
        monkeypatch.setenv(f"{system.upper()}_URL", address)
    new = world.live.rules.with_name("new.yaml")
    new.write_text(world.live.rules.read_text(encoding="utf-8"), encoding="utf-8")
    told: list[tuple[str, str]] = []
    found: list[Seen] = []
    shadow = Shadow(new, world.live.rules, lambda *said: told.append(said), found.append)
    thread = threading.Thread(target=lambda: shadow.run(None))
    thread.start()
    try:
        eventually(lambda: ("following", "erp, crm") in told, 20, lambda: str(told))
        yield shadow, found
        world.equal()
        ends = {system: end_of_log(address) for system, address in world.addresses.items()}
        has_seen = lambda: shadow.base and all(shadow.base.marks[s].read >= end for s, end in ends.items())  # noqa: E731
        eventually(has_seen, 60, lambda: f"{shadow.tally} {ends}")
    finally:
        shadow.stop()
        thread.join(within(20))
        assert world.live.stop() == 0


def end_of_log(address: str) -> int:
    """Up to where everything has been written, as duolog counts positions."""
    with Session(address) as session:
        if session.kind == POSTGRESQL:
            return int(session.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
        ((file, offset, *_),) = session.rows("SHOW MASTER STATUS")
        return positions.number(positions.file_number(file), int(offset))


def test_the_same_rules_decide_alike_after_thousands_of_transactions_and_know_all_that_is_true(
    tmp_path: Path, erp_db: str, crm_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, "alike", {"erp": erp_db, "crm": crm_db}, things=200)
    with beside(world, monkeypatch) as (shadow, found):
        users = world.users(rate=150.0, threads=3, hot=10, own=0.3)
        for each in users:
            each.start()
        pause(SECONDS)
        eventually(lambda: len(world.told.committed) > COMMITTED_MIN, 60, lambda: str(world.told.failures))
        for each in users:
            each.stop()
    conflicts = world.live.document()["counters"]["conflicts"]
    print(f"\n{shadow.tally} engine: {conflicts} conflicts, shadow: {shadow.base and shadow.base.counts}")
    assert found == []
    assert shadow.tally.alike == len(world.told.committed) > COMMITTED_MIN
    assert conflicts > 0
    assert drifted(shadow, world) == []


@pytest.mark.parametrize("lagging", [("erp",), ("crm",), ("erp", "crm")])
def test_an_echo_waits_for_its_cause_however_long_the_log_lags_that_has_it(
    tmp_path: Path, both: dict[str, str], monkeypatch: pytest.MonkeyPatch, lagging: tuple[str, ...]
) -> None:
    gate = Event()
    for borrowed in (BorrowedSource, BorrowedMariaSource):

        def lags(source: Any, timeout_s: float, read: Any = borrowed.read) -> Transaction | Progress | None:
            if source.system in lagging and not gate.wait(timeout_s):
                return None
            return read(source, timeout_s)

        monkeypatch.setattr(borrowed, "read", lags)
    world = World(tmp_path, "lagging", both, things=2)
    with beside(world, monkeypatch) as (shadow, found):
        for _ in range(5):
            for system, address in world.addresses.items():
                with Session(address) as user:
                    for delta in (3, 4):
                        user.execute(placed("UPDATE {thing} SET {amount} = {amount} + %s", system, user.kind), [delta])
                world.equal()
        pause(1)  # what waits only for a while does so no longer
        decided = shadow.tally.transactions
        gate.set()
    assert found == []
    assert drifted(shadow, world) == []
    assert shadow.tally.alike == shadow.tally.transactions - shadow.tally.own == 20
    assert decided <= 2, "more than what users wrote before the first echo"


def drifted(shadow: Shadow, world: World) -> list[str]:
    """The records that the shadow knows otherwise than the engine in force does."""
    base = shadow.base
    assert base is not None
    found: list[str] = []
    store = SqlStore.open(f"sqlite:///{next(world.live.folder.glob('*.store.db'))}", name=base.book.name, create=False)
    for entity in base.rules:
        for key, state in store.scan(entity):
            real, mine = decode(state), base.cache[entity].get(key)
            if mine is None:
                continue  # nobody wrote it, or it is not in hand any more
            if (mine.values, mine.alive) != (real.values, real.alive):
                found.append(f"{entity} {key}: {mine.values}, in truth {real.values}")
            for system, side in mine.sides.items():
                layout = base.rules[entity].layouts[system]
                awaited = [r for r, held in side.held.items() if held[1] != layout.stored(r, mine.values)]
                found += [f"{entity} {key}: {system} still awaits a write of {awaited}"] if awaited else []
    store.close()
    return found
