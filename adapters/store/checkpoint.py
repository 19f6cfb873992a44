"""Moves SQLite's log into its database file on a thread of its own, so that no commit waits for it.

It never blocks a writer or a reader (PASSIVE). Under unbroken load the log is never found empty and would grow;
then, above `LOG_FRAMES_MAX`, the deciding thread moves the little that is left itself, and the log starts anew.
It keeps the first failure and raises it at the next commit.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import Final

from engine.errors import StoreUnfit

ROWS_BETWEEN: Final = 8192
"""About that many changed rows (hence pages, at worst) between two checkpoints."""

LOG_FRAMES_MAX: Final = 32_768
"""Pages in the log (64 MB) above which it is made to start anew."""

COMMIT_PAGES: Final = 6
"""Pages that any commit changes beside its records: positions, meta, journal, inner pages."""


class Checkpointer:
    """One thread with one connection, both started by the first commits that need them."""

    def __init__(self, path: str) -> None:
        """`path`: the SQLite file."""
        self._path = path
        self._rows = 0
        self._log_frames = 0
        self._failure = ""
        self._wanted = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def committed(self, writing: sqlite3.Connection, rows: int) -> None:
        """Told after every commit of `rows` rows on `writing`. Raises StoreUnfit if a checkpoint failed."""
        if self._failure:
            raise StoreUnfit(f"{self._path}: checkpoint: {self._failure}", mend="check the disk, then restart")
        self._rows += rows + COMMIT_PAGES
        if self._log_frames > LOG_FRAMES_MAX:
            self._log_frames = 0
            writing.execute(_CHECKPOINT).fetchone()
        if self._rows >= ROWS_BETWEEN:
            self._rows = 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
                self._thread.start()
            self._wanted.set()

    def close(self) -> None:
        """Waits for a running checkpoint and ends the thread."""
        self._closing = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
            while self._wanted.wait() and not self._closing:
                self._wanted.clear()
                _, self._log_frames, _ = connection.execute(_CHECKPOINT).fetchone()
            connection.close()
        except sqlite3.Error as error:
            self._failure = str(error)


_CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"
