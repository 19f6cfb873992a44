"""SQL Server's own change data capture and change tracking keep what every source promises.

Skipped where there is no Docker, or no ODBC driver of SQL Server's. The same promises are tried everywhere on a
PostgreSQL that plays the change tables (`tests/contract/test_sqlserver.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property

import pytest

from adapters.alchemy.kit import AlchemyKit
from adapters.sqlserver.kit import SqlServerKit
from engine.errors import CaptureMissing, LogLost
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Progress, Transaction
from tests.contract.ground import SYSTEM, Ground, Lack, Made, batch, changes, next_one
from tests.contract.snapshot_promises import SnapshotPromises
from tests.contract.source_promises import SourcePromises
from tests.contract.suite import contract
from tests.database.books import row, write
from tests.sqlserver.ground import SqlServerGround, sqlserver_ground

ITEM = Made("item", {"id": "integer", "name": "word", "note": "text"})


class CapturedGround(SqlServerGround):
    """A database whose capture job looks every second."""

    lacks: Mapping[Lack, str] = {}

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables and what captures them, and has the job hurry."""
        super().create(rules, tables)
        with self.server.connect(self.database) as session:
            session.execute("EXEC sys.sp_cdc_change_job @job_type = N'capture', @pollinginterval = 1")
            session.execute("EXEC sys.sp_cdc_stop_job @job_type = N'capture'")
            session.execute("EXEC sys.sp_cdc_start_job @job_type = N'capture'")


class TrackedGround(SqlServerGround):
    """A database with change tracking."""

    @cached_property
    def kit(self) -> AlchemyKit:
        """What the service has of it."""
        return SqlServerKit(SYSTEM, self.server.url(self.database), insecure=True, capture="tracking")


def _as(kind: type[SqlServerGround], request: pytest.FixtureRequest) -> SqlServerGround:
    made = sqlserver_ground(request)
    assert isinstance(made, SqlServerGround)
    return kind(made.server, made.database, made.spool)


def captured_ground(request: pytest.FixtureRequest) -> Ground:
    """A ground for a test."""
    return _as(CapturedGround, request)


@pytest.fixture
def tracked(request: pytest.FixtureRequest) -> Iterator[SqlServerGround]:
    """A database with change tracking."""
    with closing(_as(TrackedGround, request)) as made:
        yield made


@pytest.fixture
def captured(request: pytest.FixtureRequest) -> Iterator[SqlServerGround]:
    """A database with change data capture."""
    with closing(_as(CapturedGround, request)) as made:
        yield made


TestCapture = contract(captured_ground, SourcePromises, SnapshotPromises)


def test_nothing_is_found_wrong_with_a_database_that_was_set_up(captured: SqlServerGround) -> None:
    rules = captured.make(ITEM)
    found, _ = captured.kit.findings(rules)

    assert [each for each in found if each.severity == "error"] == []
    assert all(step.done for step in captured.kit.planned(rules))


def test_what_was_set_up_is_taken_away_again(captured: SqlServerGround) -> None:
    rules = captured.make(ITEM)
    gone = captured.kit.teardown(rules)

    assert "capture instance `duolog_dbo_item`" in gone
    assert not any(step.done for step in captured.kit.planned(rules) if step.what.startswith("capture of"))


def test_an_instance_that_is_gone_stops_the_source(captured: SqlServerGround) -> None:
    rules = captured.make(ITEM)
    with captured.reading(rules, captured.end()) as source:
        with captured.server.connect(captured.database) as session:
            session.execute(
                "EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'item', "
                "@capture_instance = N'duolog_dbo_item'"
            )
        with pytest.raises(CaptureMissing):
            source.verify()


def test_who_reads_waits_for_the_capture_job_which_locks_what_it_writes(captured: SqlServerGround) -> None:
    rules = captured.make(ITEM)
    with captured.reading(rules, captured.end()) as source, captured.server.connect(captured.database) as session:
        session.execute(
            "BEGIN TRANSACTION; UPDATE m SET tran_id = tran_id FROM cdc.lsn_time_mapping AS m WITH (TABLOCKX)"
        )
        freed = threading.Timer(0.5, lambda: session.execute("ROLLBACK"))
        freed.start()
        source.verify()
        freed.join()


def test_changes_that_were_cleaned_up_stop_the_source(captured: SqlServerGround) -> None:
    rules, user = captured.make(ITEM), captured.user()
    start = captured.end()
    user.insert("item", ("1", "one", None))
    with captured.reading(rules, start) as source:
        first = next_one(source)
        user.insert("item", ("2", "two", None))
        second = next_one(source)
    assert first.position < second.position
    with captured.server.connect(captured.database) as session:
        session.execute(
            "DECLARE @low binary(10) = sys.fn_cdc_get_max_lsn(); EXEC sys.sp_cdc_cleanup_change_table "
            "@capture_instance = N'duolog_dbo_item', @low_water_mark = @low, @threshold = 5000"
        )
    with pytest.raises(LogLost), closing(captured.source(rules)) as source:
        source.open(start)


def test_what_became_of_rows_is_told_between_two_versions(tracked: SqlServerGround) -> None:
    rules, user = tracked.make(ITEM), tracked.user()
    user.insert("item", ("1", "one", "x"), ("2", "two", None))
    with tracked.reading(rules, tracked.end()) as source:
        with user.transaction():
            user.update("item", ["1"], name="uno")
            user.delete("item", ["2"])
            user.insert("item", ("3", "three", None))
        told = next_one(source)

        assert not told.own
        assert sorted((op, (new or old or ("",))[0]) for _, op, new, old in changes(told)) == [
            ("D", "2"), ("I", "3"), ("U", "1")
        ]  # fmt: skip


def test_our_own_rows_are_known_among_tracked_ones(tracked: SqlServerGround) -> None:
    rules, user = tracked.make(ITEM), tracked.user()
    start = tracked.end()
    user.insert("item", ("1", "theirs", None))
    with tracked.writing(rules) as target:
        outcome = target.apply(batch(1, write("insert", "item", (1, 2), [row(1, "2", ("ours", None))])))
    user.insert("item", ("3", "theirs", None))
    items: list[Transaction] = []
    with tracked.reading(rules, start) as source:
        end: Position = 0
        while end < tracked.end():
            item = source.read(5.0)
            assert isinstance(item, Transaction | Progress)
            end = item.position
            items += [item] if isinstance(item, Transaction) else []

    assert [(item.own, [new[1] for _, _, new, _ in changes(item) if new]) for item in items] == [
        (False, ["theirs"]), (True, ["ours"]), (False, ["theirs"])
    ]  # fmt: skip
    assert items[0].position <= outcome.separator < items[1].position
