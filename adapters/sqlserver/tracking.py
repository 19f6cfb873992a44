"""Turns SQL Server's change tracking into transactions: what became of bound rows since a version.

The lighter choice: no Agent, no change tables, every edition. Its price: what happened between two looks is one
transaction, a row that was changed twice is told once, and no value before a change is told. Everything is read under
snapshot isolation, at one version; it never changes anything, and never waits to try again (the runner does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.pictures import SNAPSHOT
from adapters.alchemy.rows import reading
from adapters.alchemy.session import Session
from adapters.sqlserver import marks, resume, versions
from adapters.sqlserver.facts import bracketed
from adapters.sqlserver.polling import Borrowed, PollingSource
from adapters.sqlserver.versions import OPERATIONS, Tracked
from adapters.sqlserver.windows import Run
from engine.errors import CaptureMissing, LogLost, PositionForeign
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

rows_at_once: Final = 1000
UTC_NOW: Final = "SELECT SYSUTCDATETIME()"
EPOCH: Final = datetime(1970, 1, 1)


class TrackingSource(PollingSource):
    """Reads change tracking. A position is a version, of which each commit has one."""

    def __init__(self, system: str, url: str, **given: Any) -> None:
        super().__init__(system, url, **given)
        self._contexts = marks.contexts(self._engines, system)
        self._runs: list[Run] = []

    def _look(self, conn: sa.Connection, at: Position) -> None:
        resume.check_database(resume.read_database(conn), self._identity, self.system, needs_capture=False)
        current = conn.exec_driver_sql(versions.CURRENT).scalar()
        if current is None:
            raise CaptureMissing(
                "change tracking of the database is off", system=self.system,
                mend="`duolog setup RULES`, then `duolog run RULES --merge-again`",
            )  # fmt: skip
        if int(current) < at:
            raise PositionForeign(
                f"our position {at} is beyond the last version {int(current)}: the database was restored from a "
                "backup", system=self.system, mend="`duolog setup RULES`, then `duolog run RULES --merge-again`",
            )  # fmt: skip
        self._look_back(conn, at)

    def _look_back(self, conn: sa.Connection, at: Position) -> None:
        """Raises CaptureMissing, LogLost if a table's changes are not known since a version."""
        for schema, name in [*((each.schema, each.name) for each in self._tables), self._ledger(conn)]:
            place = f"{bracketed(schema)}.{bracketed(name)}"
            oldest = conn.execute(versions.OLDEST, {"table": place}).scalar()
            if oldest is None:
                raise CaptureMissing(
                    f"changes of `{schema}.{name}` are not tracked", system=self.system,
                    mend="`duolog setup RULES`, then `duolog run RULES --merge-again`",
                )  # fmt: skip
            if int(oldest) > at:
                raise LogLost(
                    f"changes of `{schema}.{name}` are known since version {int(oldest)}; our position is {at}: they "
                    "were cleaned up, or the table was emptied by TRUNCATE",
                    system=self.system, mend="`duolog run RULES --merge-again`; and keep them for longer: ALTER "
                    "DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS)",
                )  # fmt: skip

    def _begin(self, session: Session, resume: Position) -> None:
        session.conn.exec_driver_sql(SNAPSHOT)
        session.conn.commit()

    def _next(self, session: Session) -> Iterator[Transaction | Progress] | None:
        since = self._told
        with session.transaction() as conn:
            end = int(conn.exec_driver_sql(versions.CURRENT).scalar() or 0)
            if end <= since:
                return None
            self._look_back(conn, since)
            now = conn.exec_driver_sql(UTC_NOW).scalar_one()
            owner = versions.owner(self._contexts, self._marks(conn, since))
            for number, table in enumerate(self._tables):
                self._runs.append(self._run(conn, number, table, since, owner))
        return versions.transactions(
            [_all(run) for run in self._runs], [table.key for table in self._tables], system=self.system,
            at=(now - EPOCH) // timedelta(microseconds=1), end=end, skip_own=self._skip_own,
            spool_dir=self._spool_dir,
        )  # fmt: skip

    def _forget(self) -> None:
        for run in self._runs:
            run.close()
        self._runs = []

    def _ledger(self, conn: sa.Connection) -> tuple[str, str]:
        made = self._ledger_of(conn)
        return made.schema or "", made.name

    def _marks(self, conn: sa.Connection, since: Position) -> dict[int, str]:
        asked = versions.marked(self._ledger(conn), self.system, conn.dialect)
        rows = conn.execute(asked, {versions.SINCE: since})
        return {int(version): engine for version, engine in rows if engine in self._engines}

    def _run(
        self, conn: sa.Connection, number: int, table: Table, since: Position, owner: Callable[[int, Any], str]
    ) -> Run:
        known = self._columns[number]
        texts = reading([known[name] for name in table.columns])
        asked = versions.changes(table, known, conn.dialect)
        run = Run(self._spool_dir)
        streaming = {"stream_results": True, "yield_per": rows_at_once}
        with conn.execute(asked, {versions.SINCE: since}, execution_options=streaming) as rows:
            for some in rows.partitions():
                told: Any = [
                    (int(version), number, OPERATIONS[operation], owner(version, context), texts(values))
                    for version, operation, context, there, *values in some
                    if there or operation == "D"
                ]
                run.write(told)
        return run


class BorrowedTracking(Borrowed, TrackingSource):
    """The same beside a running engine's own reader."""


def _all(run: Run) -> Iterator[Tracked]:
    for row in run:
        told: Any = row
        yield told
