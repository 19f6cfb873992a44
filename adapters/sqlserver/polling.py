"""Turns a database that is asked again and again for what is new into a Source: what both ways of reading SQL Server's
changes have in common.

Whoever inherits says what is looked at before reading, and how the next changes are read. It never waits to try again
(the runner does), and decides nothing about changes.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.abilities import abilities
from adapters.alchemy.catalog import read_columns
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.ledger import table as ledger_table
from adapters.alchemy.session import Session, connect, translate
from adapters.sqlserver.resume import Identity
from engine.errors import DuologError, SchemaChanged, SystemUnavailable
from engine.rulebook import Table
from engine.vocabulary import Position, Progress, Transaction

first_pause_s: Final = 0.02
pause_max_s: Final = 0.5
"""Between two questions whether there is something new; the capture job itself looks every few seconds."""
BRIEF: Final = "SET LOCK_TIMEOUT"
"""How a session is told that it may not wait for long, as it keeps others out meanwhile."""
PATIENCE: Final = f"{BRIEF} 2000"
"""Who reads keeps nobody out, and has to wait for the capture job, which locks the rows that it is writing."""


class PollingSource(ABC):
    """A Source (see `engine/ports.py`) of one SQL Server database.

    `engines`: who is us. `tables`: the bound ones, by their number in changes. `identity`: which database the positions
    belong to; None: not known. `skip_own`: tell own transactions as Progress. `ledger`: (schema, name), if it is not
    where it usually is. `spool_dir`: where rows are kept meanwhile."""

    def __init__(
        self, system: str, url: str, *, engines: Sequence[str], tables: Sequence[Table], identity: Identity | None,
        skip_own: bool = False, ledger: tuple[str, str] | None = None, spool_dir: Path | None = None,
    ) -> None:  # fmt: skip
        self.system = system
        self._url = url
        self._engines = tuple(engines)
        self._tables = tuple(tables)
        self._identity = identity
        self._skip_own = skip_own
        self._ledger_place = ledger
        self._spool_dir = spool_dir
        self._session: Session | None = None
        self._columns: list[Mapping[str, AlchemyColumn]] = []
        self._items: Iterator[Transaction | Progress] = iter(())
        self._told: Position = 0
        """Everything up to here has been handed over, or told as Progress."""
        self._pause = first_pause_s
        self._nudged = threading.Event()

    # ------------------------------------------------------------ what an heir says

    @abstractmethod
    def _look(self, conn: sa.Connection, at: Position) -> None:
        """Judges whether everything after a position is there, and will be. Raises SystemStopped, SystemUnavailable,
        sqlalchemy.exc.DBAPIError."""

    @abstractmethod
    def _begin(self, session: Session, resume: Position) -> None:
        """Reading begins behind a position. Raises as `_look` does."""

    @abstractmethod
    def _next(self, session: Session) -> Iterator[Transaction | Progress] | None:
        """The next changes; None: there are none. Raises as `_look` does."""

    @abstractmethod
    def _forget(self) -> None:
        """What was read is not needed any more."""

    def _meant(self, error: DuologError) -> DuologError:
        """What an error of the database means where changes are read."""
        return error

    # ------------------------------------------------------------ the port

    def open(self, resume: Position) -> None:
        """Connects, checks that everything after `resume` is still there, and reads from there on.

        Raises SystemUnavailable (also while nobody captures), WrongServer, PositionForeign, CaptureMissing, LogLost,
        SchemaChanged, AccessDenied."""
        self.close()
        session = connect(self.system, self._url)
        try:
            with self._translated():
                _be_patient(session)
                with session.transaction() as conn:
                    self._look(conn, resume)
                self._columns = self._read_columns(session)
                self._begin(session, resume)
        except BaseException:
            session.close()
            raise
        self._told = resume
        self._pause = first_pause_s
        self._session = session

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """The next whole transaction, Progress, or None after `timeout_s` seconds. Raises as `open` does."""
        deadline = time.monotonic() + timeout_s
        while True:
            session = self._connected()
            for item in self._items:
                if item.position > self._told:
                    self._told = item.position
                    return item
            self._forget_items()
            with self._translated():
                found = self._next(session)
            if found is not None:
                self._items, self._pause = found, first_pause_s
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if self._nudged.wait(min(left, self._pause)):
                self._nudged.clear()
                self._pause = first_pause_s
            else:
                self._pause = min(self._pause * 2, pause_max_s)

    def keep_alive(self) -> None:
        """The server does not mind who is silent. Raises SystemUnavailable if it was never opened."""
        self._connected()

    def acknowledge(self, position: Position) -> None:  # noqa: B027 - nothing is the answer
        """Changes are kept for a time, whoever reads them: the server does not want to know."""

    def delivered(self, position: Position) -> None:  # noqa: B027
        """Nobody waits at COMMIT."""

    def nudge(self) -> None:
        """A `read` that waits looks again. Any thread; never blocks."""
        self._nudged.set()

    def verify(self) -> None:
        """Looks again whether changes are captured and kept. Any thread; it opens a connection of its own.

        Raises as `open` does."""
        session = connect(self.system, self._url)
        try:
            with self._translated(close=False):
                _be_patient(session)
                with session.transaction() as conn:
                    self._look(conn, self._told)
        finally:
            session.close()

    def close(self) -> None:
        """Hangs up, and forgets what was read and not told."""
        self._forget_items()
        if self._session is not None:
            self._session.close()
            self._session = None

    # ------------------------------------------------------------ what heirs need

    def _ledger_of(self, conn: sa.Connection) -> sa.Table:
        return ledger_table(abilities(conn.dialect.name), self._ledger_place)

    def _read_columns(self, session: Session) -> list[Mapping[str, AlchemyColumn]]:
        known = read_columns(session, [(table.schema, table.name) for table in self._tables])
        found: list[Mapping[str, AlchemyColumn]] = [
            known.get((table.schema, table.name), {}) for table in self._tables
        ]
        for table, columns in zip(self._tables, found, strict=True):
            for name in table.columns:
                if name not in columns:
                    raise SchemaChanged(
                        f"`{table.schema}.{table.name}` has no column `{name}`", system=self.system,
                        mend="`duolog check RULES` tells what the rules need",
                    )  # fmt: skip
        return found

    def _forget_items(self) -> None:
        self._items = iter(())
        self._forget()

    def _connected(self) -> Session:
        if self._session is None:
            raise SystemUnavailable("the connection was lost, or was never opened", system=self.system)
        return self._session

    @contextmanager
    def _translated(self, *, close: bool = True) -> Iterator[None]:
        """Errors of the driver leave as ours; `close`: after one, the connection is gone."""
        try:
            yield
        except (exc.DBAPIError, exc.ResourceClosedError, exc.PendingRollbackError) as error:
            if close:
                self.close()
            if isinstance(error, exc.DBAPIError):
                raise self._meant(translate(error, self.system)) from None
            raise SystemUnavailable("the connection was lost", system=self.system) from None


def _be_patient(session: Session) -> None:
    if any(said.startswith(BRIEF) for said in session.can.session):
        with session.transaction() as conn:
            conn.exec_driver_sql(PATIENCE)


class Borrowed(PollingSource):
    """A reader beside a running engine's own: changes are kept whoever reads them, so there is nothing to be kept for
    us, nor to be cleaned up."""

    def reserve(self) -> None:
        """Looks whether the database can be read at all. Raises SystemUnavailable, SystemStopped."""
        connect(self.system, self._url).close()

    def let_go(self) -> None:
        """Hangs up."""
        self.close()
