"""A file of SQLite is nobody's server: users have it for themselves for seconds, move it away and back, and put an old
copy in its place while the engine runs.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine_live.pair import Pair
from tests.engine_live.world import eventually, pause
from tests.ground import Session, file_of

TABLE = "CREATE TABLE customer (id varchar(40) NOT NULL PRIMARY KEY, name varchar(80))"
RULES = """
  customer:
    identity: [id]
    conflict: last_writer
    order: [erp, crm]
    delete: propagate
    bind: {erp: {table: customer}, crm: {table: customer}}
    fields: {id: id, name: name}
"""
PATIENCE_S = 5.0
ALL = "SELECT id, name FROM customer ORDER BY id"


@pytest.fixture
def pair(tmp_path: Path, erp_sqlite: str, crm_db: str) -> Iterator[Pair]:
    """The ERP is a file, and the engine at work."""
    made = Pair(tmp_path, "filed", {"erp": erp_sqlite, "crm": crm_db}, RULES, {"erp": TABLE, "crm": TABLE})
    made.start()
    yield made
    made.close()


def test_a_user_who_has_the_file_for_seconds_is_waited_for_and_nothing_is_lost(pair: Pair) -> None:
    holder = pair.session("erp")
    holder.execute("INSERT INTO customer VALUES ('E1', 'held')")
    pair.sql("crm", "INSERT INTO customer VALUES ('C1', 'waits')")
    pause(4.0)
    pair.live.must_live()
    assert pair.sql("crm", ALL) == [("C1", "waits")]
    holder.execute("INSERT INTO customer VALUES ('E2', 'held')")
    holder.commit()
    holder.close()

    pair.become(ALL, [("C1", "waits"), ("E1", "held"), ("E2", "held")])
    pair.stop()


def test_a_file_that_is_moved_away_is_waited_for_and_goes_on_when_it_is_back(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('E1', 'before')")
    pair.becomes("crm", ALL, [("E1", "before")])
    path = Path(file_of(pair.addresses["erp"]))
    away = path.parent / "away"
    mark = len(pair.live.said())
    away.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        each.rename(away / each.name)

    pair.sql("crm", "INSERT INTO customer VALUES ('C1', 'meanwhile')")
    eventually(lambda: "unavailable: D100 erp" in pair.live.said()[mark:], 15, pair.live.log_tail)
    assert not path.exists(), "nobody makes a new one"
    for each in away.iterdir():
        each.rename(path.parent / each.name)

    pair.becomes("erp", ALL, [("C1", "meanwhile"), ("E1", "before")], 30)
    pair.sql("erp", "INSERT INTO customer VALUES ('E2', 'after')")
    pair.becomes("crm", ALL, [("C1", "meanwhile"), ("E1", "before"), ("E2", "after")])
    pair.stop()


def test_an_old_copy_that_is_put_in_its_place_while_the_engine_runs_is_noticed(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('E1', 'backed up')")
    pair.becomes("crm", ALL, [("E1", "backed up")])
    path = Path(file_of(pair.addresses["erp"]))
    backup = path.parent / "backup.sqlite"
    with closing(sqlite3.connect(path)) as session, closing(sqlite3.connect(backup)) as copy:
        session.backup(copy)
    pair.sql("erp", "INSERT INTO customer VALUES ('E2', 'lost with the disk')")
    pair.becomes("crm", ALL, [("E1", "backed up"), ("E2", "lost with the disk")])
    mark = len(pair.live.said())

    _restore(path, backup)

    assert pair.live.ended(30) == 3, pair.live.log_tail()
    assert " erp: " in pair.live.said()[mark:] and "--merge-again" in pair.live.said()[mark:]
    with Session(pair.addresses["erp"]) as session:
        assert session.rows(ALL) == [("E1", "backed up")]
    assert pair.sql("crm", ALL) == [("E1", "backed up"), ("E2", "lost with the disk")]


def _restore(path: Path, backup: Path) -> None:
    """As a person does who has heard how it is done: the file is replaced, and what stands beside it removed."""
    for each in path.parent.glob(f"{path.name}-*"):
        each.unlink()
    fresh = path.with_suffix(".fresh")
    shutil.copyfile(backup, fresh)
    fresh.replace(path)


@pytest.mark.alone
def test_while_thousands_of_rows_arrive_in_one_transaction_nobody_waits_longer_than_drivers_do(pair: Pair) -> None:
    """Python's waits for five seconds, if it is told nothing."""
    pair.sql("crm", "INSERT INTO customer SELECT 'C' || i, 'x' FROM generate_series(1, 20000) AS i")
    path = file_of(pair.addresses["erp"])
    asked = refused = 0
    begun = time.monotonic()
    longest, since = 0.0, 0.0
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as user:
        while user.execute("SELECT count(*) FROM customer").fetchone()[0] < 20_000:
            assert time.monotonic() < begun + 60, pair.live.log_tail()
            asked += 1
            try:
                user.execute("BEGIN IMMEDIATE")
                user.execute("ROLLBACK")
                since = 0.0
            except sqlite3.OperationalError:
                refused += 1
                since = since or time.monotonic()
                longest = max(longest, time.monotonic() - since)
            pause(0.001)
    took = time.monotonic() - begun
    print(f"\nSQLite: 20,000 rows in {took:.1f} s; {refused} of {asked} looks found it taken, {longest:.2f} s at most")
    assert longest < PATIENCE_S
    pair.stop()
