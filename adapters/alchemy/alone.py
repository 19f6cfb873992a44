"""Sees to it that one engine at a time writes a system, by the best that the database has for that.

A lock of the session that writes, where there is one: it goes with the session, whatever ends that. Otherwise the lock
of a row in the ledger, held in a second session; and as that one might go alone, every transaction looks whether it is
still the last engine's that began to write. SQLite has a file beside it.

Where several workers may believe that they are the engine (`Fence`), that look is all: whoever took over last wrote his
epoch down, every transaction locks that row before anything else, and a former one's finds a later epoch than its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from typing import Final, assert_never

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.ledger import Ledger
from adapters.alchemy.refusals import Meaning, meaning
from adapters.alchemy.session import WRITE, Session, connect
from adapters.alchemy.statements import locking
from engine.errors import SystemUnavailable
from engine.fence import Fence, overtaken

ADVISORY: Final = sa.text("SELECT pg_try_advisory_lock(:number)")
NAMED: Final = sa.text("SELECT GET_LOCK(:name, 1)")
APPLOCK: Final = sa.text(
    "DECLARE @got int; EXEC @got = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', "
    "@LockOwner = 'Session', @LockTimeout = 0; SELECT CASE WHEN @got >= 0 THEN 1 ELSE 0 END"
)
name_bytes_max: Final = 60
"""MySQL takes no names of locks that are much longer."""


class Alone:
    """What makes this session the only one that writes. To be closed with the session."""

    def __init__(self, session: Session, engine: str, ledger: Ledger, fence: Fence | None = None) -> None:
        """Raises SystemUnavailable if another has it, Fenced if a later holder was here before;
        sqlalchemy.exc.DBAPIError."""
        self._session = session
        self._ledger = ledger
        self._engine = engine
        self._holder: Session | None = None
        self._file: int | None = None
        self._epoch: int | None = None
        self._fence = fence
        try:
            taken = self._take() if fence is None else self._take_over(fence)
        except BaseException:
            self.close()
            raise
        if not taken:
            self.close()
            raise SystemUnavailable(
                f"another session writes this system as the engine `{engine}` already", system=session.system,
                mend="none needed if that is a broken connection of ours: the database will notice by itself; "
                "otherwise another duolog runs with these rules: stop it",
            )  # fmt: skip

    def check(self) -> None:
        """Called first in every transaction: nobody else has begun to write. Raises SystemUnavailable, Fenced."""
        if self._epoch is None or self._ledger.is_epoch(self._session.conn, self._epoch):
            return
        if self._fence is not None:
            raise overtaken(self._session.system, self._epoch, self._ledger.epoch(self._session.conn))
        raise SystemUnavailable(
            f"another engine `{self._engine}` has begun to write this system", system=self._session.system,
            mend="stop one of the two",
        )  # fmt: skip

    def close(self) -> None:
        """Lets go of what is not the session's own."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self) -> bool:
        match self._session.can.being:
            case "advisory":
                return self._ask(ADVISORY, {"number": self._number()})
            case "named":
                return self._ask(NAMED, {"name": self._name()})
            case "applock":
                return self._ask(APPLOCK, {"name": self._name()})
            case "file":
                return self._take_file()
            case "row":
                return self._take_row()
            case _:
                assert_never(self._session.can.being)

    def _ask(self, question: sa.TextClause, given: dict[str, object]) -> bool:
        with self._session.transaction() as conn:
            return bool(conn.execute(question, given).scalar())

    def _take_row(self) -> bool:
        with self._session.transaction() as conn:
            self._ledger.provide(conn)
        self._holder = connect(self._session.system, self._session.url, purpose=WRITE)
        asked = locking(self._ledger.hold(), self._ledger.table, "lock", self._session.can)
        try:
            self._holder.conn.execute(asked).one()
        except exc.DBAPIError as error:
            if meaning(error) is not Meaning.BLOCKED:
                raise
            return False
        with self._session.transaction() as conn:
            self._epoch = self._ledger.next_epoch(conn)
        return True

    def _take_over(self, fence: Fence) -> bool:
        fence.check()
        with self._session.transaction() as conn:
            self._ledger.provide(conn)
        with self._session.transaction() as conn:
            found = self._ledger.raise_epoch(conn, fence.epoch)
        if found > fence.epoch:
            raise overtaken(self._session.system, fence.epoch, found)
        self._epoch = fence.epoch
        return True

    def _take_file(self) -> bool:
        path = self._session.conn.engine.url.database
        if not path or path == ":memory:":
            return True
        name = f"{path}-duolog-{self._digest()[:12].hex()}"
        self._file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _digest(self) -> bytes:
        return hashlib.sha256(f"{self._engine}\0{self._session.system}".encode()).digest()

    def _number(self) -> int:
        return int.from_bytes(self._digest()[:8], "big", signed=True)

    def _name(self) -> str:
        return f"duolog:{self._digest().hex()}"[:name_bytes_max]
