"""Turns batches into transactions of any database that SQLAlchemy speaks to: guarded, and told in the ledger.

The rows of each write are locked and compared before they are written. A row that a user has locked ends the try at
once, where the database can tell at once; it is tried again for a moment. Then, and when the database refuses a row,
`isolation` takes over in a transaction of its own. Nothing is ever written that is not as it was known to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from adapters.alchemy import reread
from adapters.alchemy.alone import Alone
from adapters.alchemy.clock import clock_offset
from adapters.alchemy.layouts import layouts, shapes
from adapters.alchemy.ledger import Ledger, table
from adapters.alchemy.positions import Positions
from adapters.alchemy.session import WRITE, Prepare, Session, connect, translate
from adapters.alchemy.speech import AlchemySpeech
from adapters.relational.assembled.shapes import Shape
from adapters.relational.executor import Executor
from adapters.relational.isolation import isolated
from adapters.relational.layout import Layout
from adapters.relational.looking import look_again, records_of
from adapters.relational.refused import Unstorable, Verdict
from engine.errors import EngineFault, NotSetUp, SchemaChanged, StoreBehind, SystemUnavailable
from engine.fence import Fence
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Outcome, Position, Reread, RowResult

clock_interval_s: Final = 60.0
"""For so long a measured clock is believed: in that time, two clocks drift apart by a few milliseconds at most."""
first_pause_s: Final = 0.002
"""After a first lock that somebody else holds; twice as long after the next."""


class AlchemyTarget:
    """Writes one system; implements `engine.ports.Target`. Used by one thread.

    `engine`: the name under which the ledger knows us; `positions`: what the separators of this system are; `prepare`:
    what else the writing session is told; `ledger`: (schema, name) of the ledger, if it is not where it usually is;
    `fence`: it may take the place of a former holder of the engine's name, who never gets it back;
    `lock_timeout_ms`: how long a batch is tried again because of rows that a user has locked; `speech`: what puts the
    writes of a session into words."""

    def __init__(
        self, system: str, url: str, *, engine: str, book: RuleBook, positions: Positions,
        prepare: Prepare | None = None, ledger: tuple[str, str] | None = None, fence: Fence | None = None,
        lock_timeout_ms: int = 50, speech: Callable[[Session], AlchemySpeech] = AlchemySpeech,
    ) -> None:  # fmt: skip
        self.system = system
        self._url = url
        self._engine = engine
        self._book = book
        self._positions = positions
        self._prepare = prepare
        self._place = ledger
        self._fence = fence
        self._lock_timeout_s = lock_timeout_ms / 1000
        self._speaking = speech
        self._opened: AlchemySpeech | None = None
        self._alone: Alone | None = None
        self._layouts: dict[str, Layout] = {}
        self._shapes: dict[str, Shape] = {}
        self._clock = (0, 0)
        self._clock_at = 0.0
        """When the clock is to be measured again."""

    def open(self) -> None:
        """Connects, has the session be the only one that writes, and reads the columns' types.

        Raises SystemUnavailable (also when another session writes), NotSetUp, SchemaChanged, AccessDenied."""
        self.close()
        session = connect(self.system, self._url, purpose=WRITE, prepare=self._prepare)
        self._opened = self._speaking(session)
        self._ledger = Ledger(table(session.can, self._place), self._engine, self.system, self._positions)
        with self._translated(close=True):
            self._look_for_ledger(session)
            self._alone = Alone(session, self._engine, self._ledger, self._fence)
            self._layouts, self._shapes = layouts(session, self._book), shapes(session, self._book)
            self._executor = Executor(self._opened, self._layouts, self._shapes)
            self._measure_clock()

    def close(self) -> None:
        """Hangs up; may be opened again."""
        if self._alone is not None:
            self._alone.close()
            self._alone = None
        if self._opened is not None:
            self._opened.session.close()
        self._opened = None

    def committed(self, after: int) -> list[Outcome]:
        """The ledger's rows of ours with `number_to > after`, in order.

        Raises StoreBehind if a batch was sent when the store had more than that; SystemUnavailable, SystemStopped."""
        with self._translated(), self._speech.session.transaction() as conn:
            known = self._ledger.known(conn)
            if known > after:
                raise StoreBehind(
                    f"the ledger has batches that were sent when our store knew of those up to {known}; now it knows "
                    f"of those up to {after}: it is an old copy",
                    system=self.system,
                    mend="start with the store that belongs to the ledger, or compare both sides with "
                    "`duolog run RULES --merge-again`",
                )
            return self._ledger.committed(conn, after)

    def apply(self, batch: Batch) -> Outcome:
        """Writes the whole batch in one transaction; see `engine.ports.Target.apply`.

        No record may stand twice in one `Write`, and no `number_to` come twice. Raises SystemUnavailable (the ledger
        tells whether it was committed); AccessDenied, SchemaChanged, SystemStopped (nothing was written)."""
        batch.is_durable()
        pause, deadline = first_pause_s, time.monotonic() + self._lock_timeout_s
        with self._translated():
            while True:
                try:
                    return self._at_once(batch)
                except (exc.DBAPIError, Unstorable) as error:
                    verdict = self._verdict(error)
                    if verdict == "broken":
                        raise
                    self._rollback()
                if verdict in ("refused", "doomed") or time.monotonic() + pause > deadline:
                    return self._isolated(batch)
                time.sleep(pause)
                pause *= 2

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """The rows of these records as they are now, each under its lock; those that a user has locked are left out.

        Raises SystemUnavailable, SystemStopped."""
        moments = reread.AlchemyMoments(self._speech.session, self._positions)
        with self._translated():
            if entity in self._shapes:
                looking = records_of(self._speech, self.system, self._shapes[entity])
            else:
                looking = reread.looking(self._speech, self.system, self._layouts[entity])
            found = look_again(moments, self.system, looking, keys)
            self._speech.session.rollback()  # whoever looks only, begins a transaction too
            return found

    def clock(self) -> tuple[int, int]:
        """How far the server's clock is ahead of ours; see `engine.ports.Target.clock`."""
        if time.monotonic() >= self._clock_at:
            with self._translated():
                self._measure_clock()
        return self._clock

    def _measure_clock(self) -> None:
        self._clock = clock_offset(self._speech.session)
        self._clock_at = time.monotonic() + clock_interval_s

    def _look_for_ledger(self, session: Session) -> None:
        try:
            with session.transaction() as conn:
                self._ledger.is_empty(conn)
        except exc.DBAPIError as error:
            if not isinstance(translate(error, self.system), SchemaChanged):
                raise
            name = ".".join(filter(None, (self._ledger.table.schema, self._ledger.table.name)))
            raise NotSetUp(f"there is no table `{name}`", system=self.system, mend="duolog setup RULES") from None

    @property
    def _speech(self) -> AlchemySpeech:
        if self._opened is None:
            raise SystemUnavailable("the connection was lost, or was never opened", system=self.system)
        return self._opened

    def _at_once(self, batch: Batch) -> Outcome:
        """The usual way: everything in one go. Raises sqlalchemy.exc.DBAPIError, Unstorable."""
        exceptions: list[RowResult] = []
        self._begin(batch)
        for writes in batch.parts():
            exceptions += self._executor.write(writes)
        return self._complete(batch, exceptions)

    def _isolated(self, batch: Batch) -> Outcome:
        """The other way: part by part, under savepoints. Raises sqlalchemy.exc.DBAPIError for what no row is to blame
        for."""
        exceptions = isolated(self._executor, batch.parts, lambda: self._begin(batch), self._rollback)
        return self._complete(batch, exceptions)

    def _begin(self, batch: Batch) -> None:
        speech, conn = self._speech, self._speech.session.conn
        assert self._alone is not None, "it is open"
        batch.prepare()
        conn.begin()
        self._alone.check()
        try:
            self._ledger.begin(conn, batch.number_to, batch.forget_to)
        except exc.IntegrityError:
            raise EngineFault("a batch was sent that is already in the ledger", system=self.system) from None
        speech.begin()
        self._executor.begin()

    def _complete(self, batch: Batch, exceptions: list[RowResult]) -> Outcome:
        """Completes the ledger row, and commits."""
        conn = self._speech.session.conn
        if self._speech.session.can.defers:
            self._speech.check()
        separator: Position = self._positions.now(conn)
        self._ledger.end(conn, batch.number_to, separator, exceptions)
        conn.commit()
        return Outcome(self.system, batch.number_to, separator, exceptions)

    def _rollback(self) -> None:
        self._speech.session.rollback()
        self._executor.rolled_back()

    def _verdict(self, error: Exception) -> Verdict:
        return "refused" if isinstance(error, Unstorable) else self._speech.verdict(error)

    @contextmanager
    def _translated(self, *, close: bool = False) -> Iterator[None]:
        """Errors of the driver leave as ours; after any error no transaction is left open, with `close` nothing."""
        try:
            yield
        except exc.DBAPIError as error:
            told = translate(error, self.system)
            self._give_up(close or error.connection_invalidated)
            raise told from None
        except exc.PendingRollbackError:
            self._give_up(True)
            raise SystemUnavailable("the connection was lost", system=self.system) from None
        except BaseException:
            self._give_up(close)
            raise

    def _give_up(self, close: bool) -> None:
        if close or self._opened is None:
            self.close()
            return
        try:
            self._opened.session.rollback()
        except exc.DBAPIError:
            self.close()
