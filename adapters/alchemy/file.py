"""Turns the path of a database that is a file into the certainty that the file is there, and the one that was opened;
and the wish to write in it into its only lock.

A connection keeps a file that was moved away or replaced, and would write into what nobody sees any more; and a driver
makes an empty file where there is none. Never asks which rows there are.
"""

from __future__ import annotations

import os
import time
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.refusals import Meaning, meaning
from engine.errors import SystemUnavailable

between_tries_s: Final = 0.001
_WAIT: Final = "PRAGMA busy_timeout = %d"
KEEPS_TRYING: Final = "put it back, or set the address right: duolog keeps trying"


class OpenFile:
    """The file at a path, as it is now: to be made before it is opened. Raises SystemUnavailable if there is none."""

    def __init__(self, path: str, system: str) -> None:
        self._path = path
        self._system = system
        self._opened = self._there()

    def check(self) -> None:
        """Raises SystemUnavailable if another file stands there now, or none."""
        if self._there() != self._opened:
            raise SystemUnavailable(
                f"`{self._path}` is no longer the file that was opened", system=self._system, mend=KEEPS_TRYING
            )

    def _there(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise SystemUnavailable(
                f"there is no file `{self._path}`: {error.strerror}", system=self._system, mend=KEEPS_TRYING
            ) from None
        return found.st_dev, found.st_ino


def at(path: str | None, system: str) -> OpenFile | None:
    """The file at a path; None for a database in memory, and for what SQLite calls a URI. Raises SystemUnavailable."""
    if not path or path.startswith((":", "file:")):
        return None
    return OpenFile(path, system)


def begin_to_write(conn: sa.Connection) -> None:
    """Begins a transaction of SQLite that has the only lock from its beginning, waiting for as long as the session's
    `busy_timeout` says.

    SQLite itself looks every 25 to 100 ms whether the lock is free: who writes without pause frees it for less than one
    in between, and whoever else waits is late for seconds, or never comes. So it is asked for more often here. Raises
    sqlalchemy.exc.DBAPIError."""
    wait_ms = int(conn.exec_driver_sql("PRAGMA busy_timeout").scalar_one())
    deadline = time.monotonic() + wait_ms / 1000
    conn.exec_driver_sql(_WAIT % 0)
    try:
        while True:
            try:
                conn.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except exc.DBAPIError as error:
                if meaning(error) is not Meaning.BLOCKED or time.monotonic() > deadline:
                    raise
            time.sleep(between_tries_s)  # the pause between two looks: nobody tells when the lock is free
    finally:
        conn.exec_driver_sql(_WAIT % wait_ms)
