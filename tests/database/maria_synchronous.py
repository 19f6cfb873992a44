"""A MariaDB server of a test's own whose users wait at COMMIT, and a thread that reads its log as an engine's does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.mariadb.source import MariaSource
from engine.errors import DuologError
from engine.vocabulary import Position, Progress, Transaction
from service.embedded import EmbeddedMariaDB
from tests.crowd import within
from tests.database.maria_erp import MariaErp

WAITS_S = 0.3
"""Who has come to COMMIT, and has not been answered for so long, waits."""
PATIENCE_S = 10.0
LONG_MS = 600_000
AT_COMMIT = """
SELECT EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = %d AND (state LIKE 'Waiting for semi-sync ACK%%'
OR state IN ('Commit', 'Waiting for prior transaction to commit', 'waiting for handler commit')))
"""
"""Those behind the first who waits do so in states of their own."""


class Committing:
    """A statement of a user's own session, under way in a thread."""

    def __init__(self, world: Waiters, statement: str) -> None:
        self.failed: BaseException | None = None
        self.world = world
        self.session = world.erp.another()
        self._statement = statement
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.session.run(self._statement)
        except BaseException as error:  # noqa: BLE001 - told by `answered`
            self.failed = error

    def waits(self) -> bool:
        """Has come to COMMIT, and has not been answered after a while."""
        until(lambda: not self._thread.is_alive() or self._is_at_commit(), "the user came to COMMIT")
        return self.hangs()

    def hangs(self) -> bool:
        """Has not been answered after a while, whatever it has come to."""
        self._thread.join(WAITS_S)
        return self._thread.is_alive()

    def _is_at_commit(self) -> bool:
        return bool(self.world.admin.value(AT_COMMIT % self.session._conn.thread_id()))

    def answered(self, within_s: float = PATIENCE_S) -> None:
        """Comes to its end without an error."""
        self._thread.join(within(within_s))
        assert not self._thread.is_alive(), "the user still waits"
        assert self.failed is None, self.failed


class Reading:
    """What an engine's reading thread does: everything that comes is kept in order, until it is stopped.

    `at_once`: each item is delivered as soon as it is read."""

    def __init__(self, source: MariaSource, *, at_once: bool = False) -> None:
        self.source = source
        self.at_once = at_once
        self.items: list[Transaction | Progress] = []
        self.error: DuologError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopping:
                item = self.source.read(0.2)
                if item is None:
                    continue
                self.items.append(item)
                if self.at_once:
                    self.source.delivered(item.position)
        except DuologError as error:
            self.error = error

    def transactions(self, count: int) -> list[Transaction]:
        """The first so many, once they have come."""
        until(lambda: len(self._transactions()) >= count, f"{count} transactions came")
        return self._transactions()[:count]

    def _transactions(self) -> list[Transaction]:
        return [item for item in self.items if isinstance(item, Transaction)]

    def position(self) -> Position:
        """How far reading has come."""
        return self.items[-1].position if self.items else 0

    def deliver_all(self) -> None:
        """What has been read is in the other systems, and what comes will be at once."""
        self.at_once = True
        if self.items:
            self.source.delivered(self.items[-1].position)

    def stop(self) -> None:
        """Ends the thread; the connection stays."""
        self._stopping = True
        self._thread.join(within(PATIENCE_S))


class Waiters:
    """A server that was set up for this test alone, with a bound table of three rows."""

    def __init__(self, server: EmbeddedMariaDB) -> None:
        self.server = server
        server.start()
        self.erp = MariaErp(server.create_database("erp_1"))
        self.erp.run("INSERT INTO item VALUES (1, 'a'), (2, 'a'), (3, 'a')")
        self.start = self.erp.position()
        self.admin = self.erp.another()

    def arm(self, timeout_ms: int = LONG_MS, *, point: str = "AFTER_SYNC") -> None:
        """As the switch does it, in short."""
        self.patience(timeout_ms)
        for setting in (f"wait_point = {point}", "wait_no_slave = ON", "enabled = ON"):
            self.admin.run(f"SET GLOBAL rpl_semi_sync_master_{setting}")

    def patience(self, timeout_ms: int = LONG_MS) -> None:
        """For how long the server has whoever comes to COMMIT from now on wait, if it has anybody wait."""
        self.admin.run(f"SET GLOBAL rpl_semi_sync_master_timeout = {timeout_ms}")

    def disarm(self) -> None:
        """Lets everybody go."""
        self.admin.run("SET GLOBAL rpl_semi_sync_master_enabled = OFF")

    def status(self, name: str) -> str:
        """One of the server's words about it."""
        with self.admin._conn.cursor() as cursor:
            cursor.execute(f"SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_{name}'")
            row = cursor.fetchone()
            assert row is not None
            return str(row[1])

    def commit(self, statement: str) -> Committing:
        """A user of his own commits."""
        return Committing(self, statement)

    def seen(self, key: int = 1) -> str:
        """What a new session sees of a row."""
        session = self.erp.another()
        return str(session.value(f"SELECT name FROM item WHERE id = {key}"))

    def opened(self, resume: Position | None = None, **changed: object) -> MariaSource:
        """A source whose users wait, that reads."""
        return self.erp.opened(self.start if resume is None else resume, synchronous=True, **changed)

    def close(self) -> None:
        """Nobody waits any more: the server can stop."""
        self.disarm()
        self.erp.close()


@contextmanager
def waiters(server: EmbeddedMariaDB, **settings: str) -> Iterator[Waiters]:
    """Such a server, on which nobody waits afterwards."""
    server.settings |= settings
    made = Waiters(server)
    try:
        yield made
    finally:
        made.close()


def until(true: object, what: str, within_s: float = PATIENCE_S) -> None:
    """Waits for something."""
    deadline = time.monotonic() + within(within_s)
    assert callable(true)
    while not true():
        assert time.monotonic() < deadline, f"not within {within(within_s):g} s: {what}"
        time.sleep(0.005)
