"""Reads the log of a database in memory, as `engine.ports.Source` promises.

Turns its committed transactions into what a reader hands over: whole ones, or spooled ones where they are too large.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from adapters.memory.system import MemorySystem
from engine.errors import PositionForeign
from engine.vocabulary import Change, Position, Progress, Transaction


class MemorySource:
    """Reads a MemorySystem's log. Transactions of more than `rows_max` changes are handed over spooled, in chunks.
    `skip_own`: what we wrote is told as Progress."""

    def __init__(self, database: MemorySystem, rows_max: int = 1_000_000, *, skip_own: bool = False) -> None:
        self.database = database
        self.system = database.system
        self.rows_max = rows_max
        self.skip_own = skip_own
        self.read_to: Position = 0
        self.acknowledged: Position = 0
        self.delivered_to: Position = 0
        self.connected = False

    def open(self, resume: Position) -> None:
        """Resumes after `resume`; what was delivered while nobody listened is told."""
        if resume > self.database.end:
            raise PositionForeign(f"the log ends at {self.database.end}, before {resume}", system=self.system)
        self.read_to = resume
        self.connected = True
        self.database.answer(self.delivered_to)

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """The next transaction; Progress once at the end of the log; never waits."""
        log = self.database.log
        at = bisect_right(log, self.read_to, key=_position)
        if at < len(log):
            self.read_to = log[at].position
            if self.skip_own and log[at].own:
                return Progress(self.system, self.read_to)
            return self._spooled(log[at]) if log[at].rows > self.rows_max else log[at]
        if self.database.end > self.read_to:
            self.read_to = self.database.end
            return Progress(self.system, self.read_to)
        return None

    def _spooled(self, whole: Transaction) -> Transaction:
        """The same transaction as one that may be read once, chunk by chunk."""
        chunks = _chunks(whole.changes, self.rows_max)
        return Transaction(whole.system, whole.position, whole.committed_at, whole.own, [], whole.rows, chunks)

    def keep_alive(self) -> None:
        """Nobody hangs up in memory."""

    def acknowledge(self, position: Position) -> None:
        """Remembers the highest acknowledged position."""
        self.acknowledged = max(self.acknowledged, position)

    def delivered(self, position: Position) -> None:
        """Answers those who wait for what was committed up to here, now or when the connection is back."""
        self.delivered_to = max(self.delivered_to, position)
        if self.connected:
            self.database.answer(self.delivered_to)

    def nudge(self) -> None:
        """The log's end is always known."""

    def verify(self) -> None:
        """Nothing can be taken out of the log."""

    def close(self) -> None:
        """Tells the database nothing more until it is opened again."""
        self.connected = False


def _position(transaction: Transaction) -> Position:
    return transaction.position


def _chunks(changes: list[Change], size: int) -> Iterator[list[Change]]:
    for at in range(0, len(changes), size):
        yield changes[at : at + size]
