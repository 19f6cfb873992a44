"""Turns SQL Server's change tables into whole transactions of bound rows, in commit order.

Window by window: one upper bound for all tables, so that no transaction is cut; the ledger's changes tell which
transactions are ours. What was cleaned up meanwhile is noticed after a window was read and before it is told. It never
changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.session import Session
from adapters.sqlserver import grouping, instances, lsn, questions, resume
from adapters.sqlserver.instances import Instance, Plan
from adapters.sqlserver.polling import Borrowed, PollingSource
from adapters.sqlserver.windows import Read, Run, Window, run_of
from engine.errors import CaptureMissing, DuologError, SchemaChanged
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

transactions_at_once: Final = 2000
"""So many are read in one window, at most."""
EPOCH: Final = datetime(1970, 1, 1)
LEDGER_COLUMNS: Final = ("engine", "system", "number_to")


class CaptureSource(PollingSource):
    """Reads change data capture."""

    def __init__(self, system: str, url: str, **given: Any) -> None:
        super().__init__(system, url, **given)
        self._window: Window | None = None
        self._after: lsn.Lsn = 0
        """What is behind this has not been read."""

    def _look(self, conn: sa.Connection, at: Position) -> None:
        resume.check_database(resume.read_database(conn), self._identity, self.system)
        resume.check_position(conn, at, self.system)
        begin = lsn.of_position(at) + 1
        self._plan(conn, begin, begin)
        resume.check_capture(conn, self.system)

    def _begin(self, session: Session, resume: Position) -> None:
        self._after = lsn.of_position(resume)

    def _next(self, session: Session) -> Iterator[Transaction | Progress] | None:
        after = self._after
        try:
            with session.transaction() as conn:
                told = conn.exec_driver_sql(questions.MAX_LSN).scalar()
                end = 0 if told is None else lsn.number(told)
                if end <= after:
                    return None
                plan = self._plan(conn, after + 1, end)
                altered = instances.altered(conn, after, plan.until)
            if altered & {each.id for each in plan.readers}:
                self._columns = self._unaltered(session)
            with session.transaction() as conn:
                self._window, until = self._read_window(conn, plan, after)
                # What was cleaned up while it was read is missing in it.
                self._plan(conn, after + 1, until)
        except exc.DBAPIError as error:
            if resume.is_out_of_range(error):
                session.rollback()
                self._explain(session, after + 1)
            raise
        self._after = until
        return self._told_of(self._window, lsn.position_below(until, self.system))

    def _told_of(self, window: Window, end: Position) -> Iterator[Transaction | Progress]:
        yield from window.transactions(self.system, skip_own=self._skip_own, spool_dir=self._spool_dir)
        yield Progress(self.system, end)

    def _forget(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def _meant(self, error: DuologError) -> DuologError:
        """What is not there of the tables and functions of capture was taken away."""
        if isinstance(error, SchemaChanged):
            return CaptureMissing(
                f"a change table, or what reads it, is not there any more: {error.found}", system=self.system,
                mend=instances.AGAIN,
            )  # fmt: skip
        return error

    def _plan(self, conn: sa.Connection, begin: lsn.Lsn, end: lsn.Lsn) -> Plan:
        """Which instances are read, those of the tables and then the ledger's. Raises SystemStopped, CaptureStopped,
        sqlalchemy.exc.DBAPIError."""
        known, kept = instances.read(conn), instances.first_kept(conn)
        tables = [*self._tables, _as_bound(self._ledger_of(conn))]
        return instances.plan(tables, known, begin, end, kept=kept, system=self.system)

    def _explain(self, session: Session, begin: lsn.Lsn) -> None:
        """Raises what SQL Server meant by a misleading error, if that can be told."""
        with session.transaction() as conn:
            resume.check_database(resume.read_database(conn), self._identity, self.system)
            self._plan(conn, begin, begin)

    def _unaltered(self, session: Session) -> list[Mapping[str, AlchemyColumn]]:
        """The columns after a table was altered. Raises SchemaChanged if a bound one is another now."""
        columns = self._read_columns(session)
        for table, before, now in zip(self._tables, self._columns, columns, strict=True):
            for name in table.columns:
                old, new = before[name].shape, now[name].shape
                if (old.family, old.scale, old.unsigned) != (new.family, new.scale, new.unsigned):
                    raise SchemaChanged(
                        f"`{table.schema}.{table.name}.{name}` was `{old.type}` and is `{new.type}` now",
                        system=self.system, mend="`duolog check RULES`; then `duolog run RULES --merge-again`",
                    )  # fmt: skip
        return columns

    def _read_window(self, conn: sa.Connection, plan: Plan, after: lsn.Lsn) -> tuple[Window, lsn.Lsn]:
        now, utc = conn.exec_driver_sql(questions.NOW).one()
        ahead = timedelta(minutes=round((now - utc).total_seconds() / 60))
        found = conn.execute(questions.transactions(after, plan.until, transactions_at_once)).all()
        until = lsn.number(found[-1][0]) if len(found) == transactions_at_once else plan.until
        times = {bytes(start): _moment(at, ahead) for start, at in found}
        *readers, ledger = plan.readers
        reads = [self._read(number, reader) for number, reader in enumerate(readers)]
        marks = self._marks(conn, ledger, after + 1, until) if found else {}
        runs: list[Run] = []
        try:
            for number, read in enumerate(reads if found else []):
                runs.append(run_of(conn, number, read, after + 1, until, self._spool_dir))
        except BaseException:
            for run in runs:
                run.close()
            raise
        return Window(runs, marks, times, [read.way for read in reads]), until

    def _read(self, number: int, instance: Instance) -> Read:
        table, known = self._tables[number], self._columns[number]
        way = grouping.told(table, instance, {name: each.shape for name, each in known.items()})
        return Read(instance, [known[name] for name in table.columns], way)

    def _marks(
        self, conn: sa.Connection, ledger: Instance, begin: lsn.Lsn, until: lsn.Lsn
    ) -> dict[bytes, tuple[str, int]]:
        columns = {name: name for name in LEDGER_COLUMNS}
        asked = questions.marks(ledger.name, columns, self._engines, self.system, begin, until)
        return {bytes(start): (str(engine), max(int(number), 0)) for start, engine, number in conn.execute(asked)}


class BorrowedCapture(Borrowed, CaptureSource):
    """The same beside a running engine's own reader."""


def _as_bound(ledger: sa.Table) -> Table:
    """The ledger as a table whose changes are read."""
    return Table(ledger.schema or "", ledger.name, LEDGER_COLUMNS, (0, 1, 2))


def _moment(local: datetime | None, ahead: timedelta) -> int:
    """Microseconds since 1970 UTC of a moment by the server's clock, which is ahead of UTC by so much; 0: unknown."""
    return 0 if local is None else (local - ahead - EPOCH) // timedelta(microseconds=1)
