"""Turns the change table into whole transactions in the order of their stamps; writes nothing there but stamps, and
removes what is acknowledged.

It asks again and again, quickly while there is something. What it has not stamped itself a target has, whose own rows
are a group of their own. After any error it is to be opened again; nothing is lost, as a committed group never changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import exc

from adapters.alchemy.refusals import Meaning, meaning
from adapters.alchemy.session import Session, connect, translate
from adapters.changetable import asking, setup, stamping
from adapters.changetable.forgetting import Forgetting
from adapters.changetable.grouping import Grouping
from adapters.changetable.recorded import Records
from adapters.changetable.sessions import brief
from adapters.changetable.setup import AGAIN, Marked
from adapters.changetable.stamping import end_of, index_of, stamp_of
from adapters.changetable.tables import Ours, Shadow, by_code, ours
from adapters.relational import spool
from engine.errors import NotSetUp, PositionForeign, SchemaChanged, StoreBehind, SystemUnavailable, WrongServer
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Progress, Transaction

first_pause_s: Final = 0.01
"""After something was read, until it is looked again; twice as long each time that there is nothing."""
last_pause_s: Final = 0.1
plain_rows_max: Final = spool.transaction_rows_max
"""Of one of our own transactions that is kept in memory, where each record is one row: what users wrote in one group is
one batch of ours, however large."""
sign_of_life_s: Final = 30.0
"""A connection that is not used for so long is asked something."""


class ChangeTableSource:
    """Implements `engine.ports.Source`. `forgets`: what is acknowledged is removed, as an engine's own reader does.

    `identity`: which database it is; empty: whichever. `engines`: whose marks are ours."""

    def __init__(
        self, system: str, url: str, book: RuleBook, *, identity: str, engines: Collection[str], skip_own: bool,
        spool_dir: Path | None, forgets: bool = True,
    ) -> None:  # fmt: skip
        self.system = system
        self._url = url
        self._book = book
        self._identity = identity
        assembled = any(binding.assembly is not None for binding in book.bound[system])
        own_rows_max = spool.own_rows_max if assembled else plain_rows_max
        self._grouping = Grouping(system, frozenset(engines), skip_own, spool_dir, own_rows_max)
        self._forgetting = Forgetting(system, url) if forgets else None
        self._look: Session | None = None
        self._stamper: Session | None = None
        self._told: Position = 0
        """Everything up to here has been handed over."""
        self._items: Iterator[Transaction | Progress] | None = None
        self._pause_s = first_pause_s
        self._used_at = 0.0
        self._nudged = threading.Event()

    def open(self, resume: Position) -> None:
        """See `Source.open`. Raises SystemUnavailable, NotSetUp, WrongServer, PositionForeign, StoreBehind,
        SchemaChanged, AccessDenied."""
        self.close()
        self._look = connect(self.system, self._url)
        with self._translated():
            self._ours, shadows = self._checked(self._look)
            self._judge(self._marked(self._look), resume)
            self._records = Records(self._ours, by_code(shadows, self.system), self.system)
            self._told, self._pause_s, self._used_at = resume, first_pause_s, time.monotonic()
            if self._forgetting is not None:
                self._forgetting.begin(shadows)

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """See `Source.read`. Raises SystemUnavailable, SystemStopped."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._translated():
                item = self._next()
            if item is not None:
                self._told, self._pause_s = item.position, first_pause_s
                return item
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._nudged.wait(min(self._pause_s, left))
            self._nudged.clear()
            self._pause_s = min(2 * self._pause_s, last_pause_s)

    def keep_alive(self) -> None:
        """Asks the server something, now and then. Raises SystemUnavailable."""
        if self._look is None or self._items is not None or time.monotonic() < self._used_at + sign_of_life_s:
            return
        with self._translated():
            self._marked(self._session())

    def acknowledge(self, position: Position) -> None:
        """See `Source.acknowledge`."""
        if self._forgetting is not None:
            self._forgetting.up_to(position)

    def delivered(self, position: Position) -> None:
        """Nobody waits at COMMIT here."""

    def nudge(self) -> None:
        """Has it look at once."""
        self._nudged.set()

    def verify(self) -> None:
        """See `Source.verify`: by a connection of its own, whether all triggers are as they were made. Raises NotSetUp,
        SchemaChanged, WrongServer, SystemUnavailable."""
        session = connect(self.system, self._url)
        try:
            self._checked(session)
        except exc.DBAPIError as error:
            raise translate(error, self.system) from None
        finally:
            session.close()

    def close(self) -> None:
        """See `Source.close`."""
        if self._forgetting is not None:
            self._forgetting.end()
        self._hang_up()

    # ------------------------------------------------------------ before reading

    def _checked(self, session: Session) -> tuple[Ours, Sequence[Shadow]]:
        made = ours(session)
        if not setup.is_there(session, made):
            raise NotSetUp(f"there is no table `{made.mark.fullname}`", system=self.system, mend=AGAIN)
        setup.check_engine(session, made, self._book)
        shadows = setup.shadows(session, made, self._book)
        setup.check(session, made, shadows)
        asking.refuse(session, made, shadows)
        return made, shadows

    def _marked(self, session: Session) -> Marked:
        """What the mark says now. Raises NotSetUp, WrongServer, StoreBehind."""
        with session.transaction() as conn:
            mark = setup.read_mark(conn, self._ours, self.system)
        self._used_at = time.monotonic()
        if not mark.whole:
            raise NotSetUp(
                f"somebody has emptied `{self._ours.change.fullname}`: changes may be lost",
                system=self.system, mend="duolog teardown RULES\n  " + AGAIN,
            )  # fmt: skip
        if self._identity and mark.identity != self._identity:
            raise WrongServer(
                "the change table is another one than that whose positions are in the store: it was set up anew, or "
                "the address leads to another database",
                system=self.system, mend="set the address back, or `duolog run RULES --merge-again`",
            )  # fmt: skip
        return mark

    def _judge(self, mark: Marked, resume: Position) -> None:
        said = f"our position {stamping.text(resume)}"
        if resume > end_of(mark.n):
            raise PositionForeign(
                f"{said} is beyond the last stamp {mark.n}: the database was restored from a backup",
                system=self.system, mend="`duolog run RULES --merge-again`",
            )  # fmt: skip
        if resume < end_of(mark.forgotten):
            raise StoreBehind(
                f"{said} is before what has been read and removed, up to {mark.forgotten}: the store is an old copy",
                system=self.system,
                mend="start with the store that belongs to this database, or `duolog run RULES --merge-again`",
            )

    # ------------------------------------------------------------ reading

    def _next(self) -> Transaction | Progress | None:
        for _ in range(2):
            if self._items is None and not self._find():
                return None
            assert self._items is not None
            item = next(self._items, None)
            if item is not None:
                return item
            self._items = None
        return None

    def _find(self) -> bool:
        """Has `_items` tell what is stamped and was not told. False: there is nothing."""
        session = self._session()
        mark = self._marked(session)
        if end_of(mark.n) <= self._told:
            if not self._stamped(session):
                return False
            mark = self._marked(session)
        self._items = self._told_up_to(session, mark.n)
        return True

    def _stamped(self, session: Session) -> bool:
        """Stamps what is committed; False: all is stamped, or somebody else is just doing it."""
        with session.transaction():
            if not stamping.is_any_unstamped(session, self._ours):
                return False
        if self._stamper is None:
            # Not as a writer: that would have the whole database of SQLite before it is known that it is free.
            self._stamper = connect(self.system, self._url, prepare=brief)
        try:
            with self._stamper.transaction() as conn:
                stamping.stamp(conn, self._ours, self.system)
        except exc.DBAPIError as error:
            if meaning(error) not in (Meaning.BLOCKED, Meaning.LOST):
                raise
            return False
        return True

    def _told_up_to(self, session: Session, last: int) -> Iterator[Transaction | Progress]:
        told = self._told
        first = stamp_of(told) + (1 if index_of(told) == stamping.END else 0)

        def after(stamp: int, index: int) -> bool:
            return stamping.within(stamp, index) > told

        with session.transaction():
            through, is_large = self._records.through(session, first, last)
            stream = connect(self.system, self._url) if is_large else None
            try:
                rows = self._records.between(session, first, through, stream)
                for item in self._grouping.transactions(rows, after):
                    self._check_overtaken(session)
                    yield item
                self._check_overtaken(session)
            except SchemaChanged:
                self._check_overtaken(session)
                raise
            finally:
                if stream is not None:
                    stream.close()
        yield Progress(self.system, end_of(through))

    def _check_overtaken(self, session: Session) -> None:
        """Who reads beside the engine asks, after each look, whether all was still there. Raises StoreBehind."""
        if self._forgetting is None:
            mark = setup.read_mark(session.conn, self._ours, self.system)
            if self._told < end_of(mark.forgotten):
                raise StoreBehind(
                    f"the engine has read and removed what follows {stamping.text(self._told)}: it is further than we",
                    system=self.system, mend="none needed but to begin again",
                )  # fmt: skip

    def _session(self) -> Session:
        if self._look is None:
            raise SystemUnavailable("the connection was lost, or was never opened", system=self.system)
        return self._look

    def _hang_up(self) -> None:
        self._items = None
        for session in (self._look, self._stamper):
            if session is not None:
                session.close()
        self._look = self._stamper = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            self._hang_up()
            raise translate(error, self.system) from None
        except (exc.ResourceClosedError, exc.PendingRollbackError):
            self._hang_up()
            raise SystemUnavailable("the connection was lost", system=self.system) from None
        except BaseException:
            self._hang_up()
            raise
