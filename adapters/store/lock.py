"""Sees to it that one engine runs on a store: an OS file lock beside SQLite, a session advisory lock on PostgreSQL.

Both are let go by the operating system or the server when the process dies, however it dies; nobody has to clean up.
The lock's neighbour (the file's content, a table row) only names the holder; it decides nothing. On PostgreSQL the
lock belongs to the very connection that commits, so an engine that lost it cannot commit any more. It never waits.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, insert, select

from adapters.store.schema import holder as holder_table
from engine.errors import StoreBusy

ADVISORY_KEY: Final = 0x64756F6C6F67
"""The number of the advisory lock: `duolog` in ASCII. Such locks are told apart by database."""
ENDS_WITHIN_S: Final = 10.0
"""A session that was told to end rolls back first."""


class Holder(msgspec.Struct, frozen=True):
    """Who runs the engine."""

    pid: int
    host: str
    since: int
    """Microseconds since 1970 UTC."""

    @classmethod
    def this(cls, now_us: int) -> Holder:
        """This process, at `now_us`."""
        return cls(os.getpid(), socket.gethostname(), now_us)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since // 1_000_000, UTC)
        return f"process {self.pid} on {self.host}, since {since:%Y-%m-%d %H:%M:%S} UTC"


class FileLock:
    """The lock file beside a SQLite store. It is never removed: removing it would let two in."""

    def __init__(self, path: str) -> None:
        """`path`: the lock file."""
        self._path = path
        self._file: int | None = None

    def take(self, holder: Holder, where: str) -> None:
        """Takes the lock and writes `holder` into the file. Raises StoreBusy, naming who has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = os.read(file, 4096)
            os.close(file)
            raise busy(where, found.decode(errors="replace")) from None
        os.ftruncate(file, 0)
        os.pwrite(file, msgspec.json.encode(holder), 0)
        self._file = file

    def release(self) -> None:
        """Lets go of the lock, if it is held."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def advisory_key(part: str | None) -> int:
    """The number of the lock of a store, or of one of several in a database."""
    if part is None:
        return ADVISORY_KEY
    return int.from_bytes(hashlib.sha256(f"duolog:{part}".encode()).digest()[:8], "big") >> 1


def take_advisory(writing: Connection, holder: Holder, where: str, key: int, patience_s: float | None) -> None:
    """Takes the lock for the session of `writing` and names `holder` in its table; `patience_s`: who still has it after
    so many seconds, is ended. Raises StoreBusy."""
    if not _taken(writing, key, patience_s or 0.0):
        if patience_s is not None:
            writing.exec_driver_sql(END_HOLDER, {"key": key})
        if patience_s is None or not _taken(writing, key, ENDS_WITHIN_S):
            found = writing.execute(select(holder_table.c.document)).scalar_one_or_none()
            raise busy(where, found or "")
    writing.exec_driver_sql("BEGIN")
    writing.execute(delete(holder_table))
    writing.execute(insert(holder_table).values(id=1, document=msgspec.json.encode(holder).decode()))
    writing.exec_driver_sql("COMMIT")


def _taken(writing: Connection, key: int, within_s: float) -> bool:
    """True if the lock is ours within so many seconds."""
    deadline = time.monotonic() + within_s
    while not writing.exec_driver_sql(TRY_LOCK, (key,)).scalar_one():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)  # nobody tells when it is let go, but who would be waited for without an end
    return True


def busy(where: str, found: str) -> StoreBusy:
    """The error that names the holder, from what stands beside the lock: JSON, or nothing while he is still writing."""
    try:
        name = str(msgspec.json.decode(found, type=Holder))
    except msgspec.DecodeError:
        name = "a process that has only just started"
    return StoreBusy(
        f"{where}: another engine is running on this store: {name}",
        mend="stop that one, or give this one a store of its own; read-only commands may be used beside it",
    )


TRY_LOCK: Final = "SELECT pg_try_advisory_lock(%s)"
END_HOLDER: Final = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = (%(key)s::bigint >> 32)::oid AND objid = (%(key)s::bigint & 4294967295)::oid
"""
