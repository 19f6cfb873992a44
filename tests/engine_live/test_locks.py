"""Users hold locks, and need the rows that duolog writes: neither waits for the other for long.

How long users wait because of duolog is asked of the server itself: PostgreSQL (`pg_blocking_pids`) every few
milliseconds, MariaDB (`INNODB_LOCK_WAITS`) nine times a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests import ground
from tests.crowd import within
from tests.engine_live.conftest import not_of_mariadb_twice
from tests.engine_live.pair import Pair
from tests.ground import MARIADB, POSTGRESQL, Session

TABLE = """
CREATE TABLE thing (id int PRIMARY KEY, of_erp varchar(40), of_crm varchar(40), note varchar(200));
INSERT INTO thing SELECT i, '0', '0', repeat('x', 100) FROM
"""
RULES = """
  thing:
    identity: [id]
    conflict: last_writer
    bind: {erp: {table: thing}, crm: {table: thing}}
    fields: {id: id, of_erp: of_erp, of_crm: of_crm, note: note}
"""
WAIT_MOST_S = 0.2
YARDS = 8
"""Rows stay locked while they are written: where the machine is busy, or slow, so many times as long as a statement of
a user's own takes that writes as many."""
HELD_S = 5.0
WAITING = {POSTGRESQL: """
SELECT max(extract(epoch FROM clock_timestamp() - waiter.query_start))::float8
  FROM pg_stat_activity AS waiter
 WHERE waiter.application_name LIKE 'user%' AND waiter.wait_event_type = 'Lock'
   AND EXISTS (SELECT FROM unnest(pg_blocking_pids(waiter.pid)) AS p(pid)
               JOIN pg_stat_activity AS blocker ON blocker.pid = p.pid WHERE blocker.application_name LIKE 'duolog%')
""", MARIADB: """
SELECT max(waiter.time_ms) / 1000.0
  FROM information_schema.innodb_lock_waits AS waits
  JOIN information_schema.innodb_trx AS waiting ON waiting.trx_id = waits.requesting_trx_id
  JOIN information_schema.innodb_trx AS blocking ON blocking.trx_id = waits.blocking_trx_id
  JOIN information_schema.processlist AS waiter ON waiter.id = waiting.trx_mysql_thread_id
  JOIN information_schema.processlist AS blocker ON blocker.id = blocking.trx_mysql_thread_id
 WHERE waiter.user = 'root' AND blocker.user = 'duolog'
"""}  # fmt: skip
LOOKS_S = {POSTGRESQL: 0.01, MARIADB: 0.11}
"""InnoDB looks anew only if nobody has asked for 0.1 s: who asks more often is told of the first moment for ever."""
YARD = {
    POSTGRESQL: "UPDATE yard AS y SET of_erp = {sign}, note = n.note FROM news AS n WHERE n.id = y.id",
    MARIADB: "UPDATE news AS n STRAIGHT_JOIN yard AS y ON y.id = n.id SET y.of_erp = {sign}, y.note = n.note",
}
LOCK_TABLE = {POSTGRESQL: "LOCK TABLE thing IN SHARE MODE", MARIADB: "LOCK TABLES thing READ"}
DEADLOCKS = {
    POSTGRESQL: "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    MARIADB: "SELECT CAST(variable_value AS int) FROM information_schema.global_status "
             "WHERE variable_name = 'Innodb_deadlocks'",
}  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path, both: dict[str, str]) -> Iterator[Pair]:
    """Two equal tables, and the engine at work."""
    tables = {s: TABLE + ground.series(ground.kind(a), 1, 5000) for s, a in both.items()}
    made = Pair(tmp_path, "locks", both, RULES, tables)
    made.start()
    yield made
    made.close()


crm_of_each_kind = not_of_mariadb_twice("both")
"""What is locked is always the CRM's."""


@pytest.mark.alone
@crm_of_each_kind
def test_a_locked_row_waits_alone_and_follows_when_it_is_free(pair: Pair) -> None:
    with pair.session("crm") as holder:
        holder.execute("SELECT id FROM thing WHERE id = 7 FOR UPDATE")
        held_since = time.monotonic()
        pair.sql("erp", "UPDATE thing SET of_erp = 'locked' WHERE id = 7")
        while time.monotonic() - held_since < HELD_S:
            sign = f"{time.monotonic()}"
            pair.sql("erp", "UPDATE thing SET of_erp = {s} WHERE id BETWEEN 1000 AND 1050", s=sign)
            pair.sql("erp", "UPDATE thing SET of_erp = {s} WHERE id = 8", s=sign)
            begun = time.monotonic()
            pair.becomes("crm", "SELECT count(*) FROM thing WHERE of_erp = {s}", [(52,)], 1.0, s=sign)
            assert time.monotonic() - begun < 1.0
            assert pair.sql("crm", "SELECT of_erp FROM thing WHERE id = 7") == [("0",)]
    pair.becomes("crm", "SELECT of_erp FROM thing WHERE id = 7", [("locked",)], 2.0)


@crm_of_each_kind
def test_a_transaction_with_a_locked_row_steps_aside_whole(pair: Pair) -> None:
    with pair.session("crm") as holder:
        holder.execute("SELECT id FROM thing WHERE id = 7 FOR UPDATE")
        pair.sql("erp", "UPDATE thing SET of_erp = 'together' WHERE id IN (6, 7, 8)")
        pair.sql("erp", "UPDATE thing SET of_erp = 'later' WHERE id = 9")
        pair.becomes("crm", "SELECT of_erp FROM thing WHERE id = 9", [("later",)], 1.0)
        seen = set(pair.sql("crm", "SELECT count(*) FROM thing WHERE of_erp = 'together'"))
        assert seen == {(0,)}
        deadline = time.monotonic() + within(3.0)
    while time.monotonic() < deadline and (3,) not in seen:
        seen |= set(pair.sql("crm", "SELECT count(*) FROM thing WHERE of_erp = 'together'"))
    assert seen == {(0,), (3,)}, "it became visible in parts"


@crm_of_each_kind
def test_a_locked_table_stops_only_its_own_flow_and_all_follows(pair: Pair) -> None:
    with pair.session("crm") as holder:
        holder.execute(LOCK_TABLE[pair.kinds["crm"]])
        pair.sql("erp", "UPDATE thing SET of_erp = 'blocked' WHERE id <= 100")
        pair.sql("crm", "SELECT 1")
        _lasts(0.5)
        assert holder.value("SELECT count(*) FROM thing WHERE of_erp = 'blocked'") == 0
    pair.becomes("crm", "SELECT count(*) FROM thing WHERE of_erp = 'blocked'", [(100,)], 5.0)


@crm_of_each_kind
@pytest.mark.alone
def test_users_are_never_kept_waiting_by_large_batches(pair: Pair) -> None:
    with (
        _watched(pair, "crm") as waits, _measured(pair, "crm", 5000) as yard,
        _users(pair, "crm", 4, _one_row) as failures,
    ):  # fmt: skip
        for number in range(12):
            pair.sql("erp", "UPDATE thing SET of_erp = {big}, note = repeat(right({big}, 1), 100)", big=f"big {number}")
        pair.becomes("crm", "SELECT count(*) FROM thing WHERE of_erp = 'big 11'", [(5000,)], 60)
    assert not failures
    _require_short(waits, yard)
    pair.become("SELECT count(*) FROM thing WHERE of_erp = 'big 11'", [(5000,)])


@crm_of_each_kind
@pytest.mark.alone
def test_users_who_lock_rows_crosswise_to_duolog_never_deadlock(pair: Pair) -> None:
    deadlocks = pair.sql("crm", DEADLOCKS[pair.kinds["crm"]])
    with (
        _watched(pair, "crm") as waits, _measured(pair, "crm", 20) as yard,
        _users(pair, "crm", 3, _two_rows) as failures,
    ):  # fmt: skip
        for number in range(100):
            # The engine writes one transaction's rows together; users take the same rows one by one, upwards.
            with pair.session("erp") as user:
                for row in range(20, 0, -1):
                    user.execute("UPDATE thing SET of_erp = %s WHERE id = %s", [f"x{number}", row])
        begun = time.monotonic()
        pair.becomes("crm", "SELECT count(*) FROM thing WHERE of_erp = 'x99'", [(20,)], 30)
        took_s = time.monotonic() - begun
    assert not failures
    print(f"\nlocks: x99 was there after {took_s:.1f} s")
    _require_short(waits, yard)
    assert pair.sql("crm", DEADLOCKS[pair.kinds["crm"]]) == deadlocks
    query = "SELECT id, of_crm FROM thing WHERE id <= 20 ORDER BY id"
    pair.becomes("erp", query, pair.sql("crm", query))


def _require_short(waits: list[float], yard: list[float]) -> None:
    """Nobody waited for longer than we promise, on this machine as it then was."""
    longest_s, yard_s = max(waits, default=0.0), max(yard)
    measured = f"a statement on as many rows took {min(yard) * 1000:.0f} to {yard_s * 1000:.0f} ms"
    print(f"\nlocks: users were seen waiting {len(waits)} times, at most {longest_s * 1000:.0f} ms; {measured}")
    assert longest_s <= max(WAIT_MOST_S, YARDS * yard_s)


def _lasts(seconds: float) -> None:
    """Lets something last for so long."""
    threading.Event().wait(seconds)


def _one_row(session: Session, chance: Random) -> None:
    session.execute("UPDATE thing SET of_crm = %s WHERE id = %s", [f"{chance.random()}", chance.randrange(1, 5001)])
    session.commit()
    _lasts(0.005)


def _two_rows(session: Session, chance: Random) -> None:
    for row in sorted(chance.sample(range(1, 21), 3)):
        session.execute("UPDATE thing SET of_crm = %s WHERE id = %s", [f"{chance.random()}", row])
        _lasts(0.01)
    session.commit()


@contextmanager
def _users(pair: Pair, system: str, number: int, deed: object) -> Iterator[list[BaseException]]:
    """So many users at their work; what went wrong for them."""
    over = threading.Event()
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        chance = Random(seed)
        with Session(pair.addresses[system], autocommit=False) as session:
            while not over.is_set():
                try:
                    deed(session, chance)  # type: ignore[operator]
                except ground.Error as error:
                    failures.append(error)
                    session.rollback()

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def _measured(pair: Pair, system: str, rows: int) -> Iterator[list[float]]:
    """What the machine makes of it: how long a statement takes that writes as many rows, which nobody else wants."""
    over = threading.Event()
    took: list[float] = []
    for table in ("yard", "news"):
        name = ground.Name(table)
        pair.sql(system, "CREATE TABLE {name} (id int PRIMARY KEY, of_erp varchar(40), note varchar(200))", name=name)
        fill = "INSERT INTO {name} SELECT i, '0', repeat('x', 100) FROM {all}"
        pair.sql(system, fill, name=name, all=pair.series(system, 1, rows))

    def measure() -> None:
        with Session(pair.addresses[system], autocommit=False) as session:
            while not took or not over.wait(0.2):
                begun = time.monotonic()
                session.execute(ground.filled(session.kind, YARD[session.kind], {"sign": f"{begun}"}))
                session.commit()
                took.append(time.monotonic() - begun)

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


@contextmanager
def _watched(pair: Pair, system: str) -> Iterator[list[float]]:
    """How long users were seen waiting for duolog."""
    over = threading.Event()
    waits: list[float] = []

    def watch() -> None:
        with Session(pair.addresses[system], name="watcher") as session:
            while not over.wait(LOOKS_S[session.kind]):
                longest = session.value(WAITING[session.kind])
                if longest is not None:
                    waits.append(float(longest))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
