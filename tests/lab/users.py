"""Users who commit on one side and look at the other side at once, from a new session; each has rows of his own, so
that nobody else can have overwritten what he looks for."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg

from tests.lab.witness import Promise

PATIENCE_S: Final = 60.0
"""For so long a user tries to reach a server that is down."""
PAUSE_S: Final = 0.02
AT_ONCE_S: Final = 0.002
"""No commit that the other side has is as quick as that."""


class Reader(threading.Thread):
    """A user of `system`, who looks at `other`. `key`: his row. He goes on until `over`."""

    def __init__(
        self, addresses: Mapping[str, str], system: str, other: str, key: int, over: threading.Event
    ) -> None:  # fmt: skip
        super().__init__(name=f"user {key} of {system}", daemon=True)
        self._here, self._there = addresses[system], addresses[other]
        self._system, self._key, self._over = system, key, over
        self.promises: list[Promise] = []
        self.trouble = ""
        """What he met that no user may meet."""

    def run(self) -> None:
        """Commits and looks, again and again."""
        connection: psycopg.Connection[Any] | None = None
        number = 0
        while not self._over.is_set():
            try:
                if connection is None or connection.broken:
                    connection = psycopg.connect(self._here, connect_timeout=5)
                    warnings: list[str] = []
                    connection.add_notice_handler(lambda n, w=warnings: w.append(n.message_primary or ""))
            except psycopg.OperationalError:
                self._over.wait(PAUSE_S)  # the server is down
                continue
            number += 1
            warnings.clear()
            promise = self._commits(connection, f"{self._key}.{number}", warnings)
            if promise is None:
                continue
            if promise.answered == "ok":
                self._looks(promise)
            self.promises.append(promise)
            if promise.took_s < AT_ONCE_S:
                self._over.wait(PAUSE_S)  # nobody was waited for: such commits show little
        if connection is not None:
            connection.close()

    def _commits(self, connection: psycopg.Connection[Any], value: str, warnings: list[str]) -> Promise | None:
        """One transaction; None if it did not come to its COMMIT."""
        try:
            connection.execute("UPDATE item SET value = %s WHERE id = %s", [value, self._key])
            row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
        except psycopg.OperationalError:
            with contextlib.suppress(psycopg.OperationalError):
                connection.rollback()  # also where our own writing had to be preferred
            return None
        assert row is not None
        begun = time.monotonic()
        try:
            connection.commit()
            answered = "warned" if warnings else "ok"
        except psycopg.OperationalError:
            answered = "lost"
        return Promise(self._system, self._key, value, row[0] & 0xFFFFFFFF, answered, time.monotonic() - begun)

    def _looks(self, promise: Promise) -> None:
        """The very first look of a new session; while the other side is down it is asked until it is up."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with psycopg.connect(self._there, autocommit=True, connect_timeout=5) as session:
                    row = session.execute("SELECT value FROM item WHERE id = %s", [self._key]).fetchone()
                promise.seen = row == (promise.value,)
                return
            except psycopg.OperationalError:
                promise.first_look = False
                if time.monotonic() > deadline:
                    self.trouble = f"the other side was down for {PATIENCE_S} s"
                    return
                time.sleep(PAUSE_S)  # between two attempts
