"""A partition of a change topic as the log of a system: whole transactions, with the database's own positions.

Turns messages into what a `Source` hands over. What the topic says twice is passed over by position, so a publisher may
start again before the place where it ended. It never looks at the database, and confirms nothing: the topic is kept as
long as Kafka was told to.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from adapters.changes.encoding import Message, Part
from adapters.changes.topic import Reader, lost
from adapters.kafka.broker import Broker
from adapters.relational.spool import Receiving
from engine.errors import SystemUnavailable, WireError
from engine.vocabulary import Position, Progress, Transaction


class PartitionSource:
    """Implements `engine.ports.Source` for one partition of one system."""

    def __init__(
        self, system: str, broker: Broker, topic: str, partition: int, *, engine: str, spool_dir: Path | None = None
    ) -> None:
        """`engine`: the name of the partition's engine; `spool_dir`: where large transactions are kept meanwhile."""
        self.system = system
        self._broker, self._topic, self._partition = broker, topic, partition
        self._engine = engine
        self._spool_dir = spool_dir
        self._reader: Reader | None = None
        self._ready: deque[Transaction | Progress] = deque()
        self._open: Receiving | None = None
        self._told: Position = 0

    def open(self, resume: Position) -> None:
        """Connects, and finds the first message beyond `resume`. Raises SystemUnavailable, LogLost."""
        self.close()
        self._reader = Reader(self.system, self._broker, self._topic, self._partition)
        self._reader.seek(resume)
        self._told = resume

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """See `engine.ports.Source.read`. Raises SystemUnavailable, LogLost, WireError."""
        if not self._ready:
            if self._reader is None:
                raise SystemUnavailable("not connected", system=self.system)
            for message, size in self._reader.poll(timeout_s):
                self._take(message, size)
        return self._ready.popleft() if self._ready else None

    def _take(self, message: Message, size: int) -> None:
        if message.begins and message.position > self._told:
            raise lost(self.system, message.position, self._told)
        for part in message.parts:
            if part.position > self._told:
                self._add(part, size // len(message.parts))
        if message.complete and message.position > self._told:
            if self._open is not None:
                raise WireError("the rest of a transaction expected", 0, system=self.system)
            self._told = message.position
            self._ready.append(Progress(self.system, message.position))

    def _add(self, part: Part, size: int) -> None:
        receiving = self._open
        if receiving is None:
            receiving = self._open = Receiving(self._spool_dir, own=part.own)
            receiving.number = part.number
            receiving.engine = self._engine if part.own else ""
        receiving.changes += part.rows()
        receiving.size += size
        if len(receiving.changes) > receiving.rows_max or receiving.size > receiving.bytes_max:
            receiving.spill()
        if part.last:
            self._open = None
            self._told = part.position
            self._ready.append(receiving.complete(self.system, part.position, part.committed_at))

    def keep_alive(self) -> None:
        """Nobody hangs up on us."""

    def acknowledge(self, position: Position) -> None:
        """The topic is kept for all partitions alike."""

    def delivered(self, position: Position) -> None:
        """No user waits for a partition."""

    def nudge(self) -> None:
        """Whoever publishes asks for the position all the time."""

    def verify(self) -> None:
        """Whoever publishes does."""

    def close(self) -> None:
        """Hangs up; may be opened again."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._open is not None:
            self._open.close()
            self._open = None
        self._ready.clear()
