"""Turns what is durable in our store into rows that the change table needs no longer, a few at a time, in a thread of
its own: neither the reader nor a user waits for it.

The mark says first what will be gone. It never removes what has no stamp, nor the table's first row.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.session import WRITE, Session, connect
from adapters.changetable.sessions import patient
from adapters.changetable.stamping import END, index_of, rows_at_once, stamp_of
from adapters.changetable.tables import Ours, Shadow, ours
from engine.errors import DuologError
from engine.vocabulary import Position

pause_s: Final = 1.0
"""Between two looks whether there is something to forget."""
breath_s: Final = 0.002
"""Between two pieces: for whoever waits to write, where one writer has the whole database."""


class Forgetting:
    """See the module. `begin` and `end` by one thread, `up_to` by any."""

    def __init__(self, system: str, url: str) -> None:
        self._system = system
        self._url = url
        self._shadows: Sequence[Shadow] = ()
        self._wanted = 0
        """All groups up to this stamp may go."""
        self._done = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, shadows: Sequence[Shadow]) -> None:
        """From now on, what is acknowledged is removed from these tables."""
        self.end()
        self._shadows = shadows
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(self._stop,), name="duolog-forgetting", daemon=True)
        self._thread.start()

    def up_to(self, position: Position) -> None:
        """What ends here or before is needed no longer."""
        stamp = stamp_of(position) - (0 if index_of(position) == END else 1)
        self._wanted = max(self._wanted, stamp)

    def end(self) -> None:
        """Nothing is removed any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(pause_s):
            if self._wanted <= self._done:
                continue
            try:
                session = connect(self._system, self._url, purpose=WRITE, prepare=patient)
            except DuologError:
                continue  # the reader says what is wrong
            try:
                self._forget(session, self._wanted, stop)
            except (exc.SQLAlchemyError, DuologError):  # it is tried again; the reader says what is wrong
                continue
            finally:
                session.close()

    def _forget(self, session: Session, stamp: int, stop: threading.Event) -> None:
        made = ours(session)
        with session.transaction() as conn:
            mark = made.mark
            older = sa.and_(mark.c.id == 1, mark.c.forgotten < stamp)
            conn.execute(sa.update(mark).where(older).values(forgotten=stamp))
        while not stop.is_set():
            with session.transaction() as conn:
                if not forget_some(conn, made, self._shadows, stamp):
                    self._done = max(self._done, stamp)
                    return
            stop.wait(breath_s)


def forget_some(conn: sa.Connection, made: Ours, shadows: Sequence[Shadow], stamp: int) -> int:
    """Removes some rows with a stamp up to this one; how many. Raises sqlalchemy.exc.DBAPIError."""
    change = made.change
    asked = sa.select(change.c.seq).where(change.c.stamp.between(1, stamp)).limit(rows_at_once)
    rows = [int(row[0]) for row in conn.execute(asked)]
    if rows:
        for each in shadows:
            conn.execute(sa.delete(each.sql).where(each.sql.c.seq.in_(rows)))
        conn.execute(sa.delete(change).where(change.c.seq.in_(rows)))
    return len(rows)
