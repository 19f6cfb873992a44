"""A system's log to its change topic: read once, shared out among the partitions, a Kafka transaction at a time.

Turns what a `Source` hands over into messages, and acknowledges to the database what Kafka has. It goes on after the
last position that the topic tells, so nothing is kept anywhere else. Two publishers cannot both write: the one that
began later has fenced the other, whatever that one still believes. It decides nothing about a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Final

from kafka import KafkaProducer
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from adapters.changes.encoding import FORMAT, Message, Part, changes, encoded
from adapters.changes.topic import Reader, topic_name
from adapters.kafka.broker import Broker, translated
from adapters.kafka.hanging import Hanging
from engine.errors import Fenced, StoreUnfit
from engine.flows import Plan
from engine.ports import Source
from engine.vocabulary import Change, Position, Progress, Transaction

TRANSACTION_S: Final = 0.05
"""A Kafka transaction is ended after this time, and earlier if there is nothing more to read."""
TRANSACTION_ROWS: Final = 5_000
MESSAGE_ROWS: Final = 500
"""Changes in one message: Kafka takes 1 MB by default."""
MESSAGE_BYTES: Final = 600_000
IDLE_S: Final = 0.05
"""The database is asked for its position so often while anything goes on, as a partition may wait for it."""
QUIET_S: Final = 1.0
"""So often, when nothing has gone on for so long."""
STILL_HERE_S: Final = 60.0
"""So often a position is told again that has not moved: retention must not empty the topic."""
CLOSES_WITHIN_S: Final = 2.0
FENCED: Final = (ProducerFencedError, InvalidProducerEpochError)


class Publisher:
    """Publishes one system. Used by one thread."""

    def __init__(self, source: Source, broker: Broker, engine: str, plan: Plan, engines: Mapping[str, int]) -> None:
        """`engine`: the rules' name; `engines`: the partitions' engines, by name, and their numbers."""
        self.system = source.system
        self.source = source
        self.topic = topic_name(engine, source.system)
        self._broker = broker
        self._plan = plan
        self._engines = engines
        self._id = f"duolog.{engine}.reader.{source.system}"
        self._hanging = Hanging(self._id, system=source.system)
        self._producer: KafkaProducer | None = None
        self.position: Position = 0
        """Up to here, Kafka has everything."""
        self.transactions = self.changes = 0
        self._begun = False
        self._parts: dict[int, list[Part]] = {}
        self._rows: dict[int, int] = {}
        self._upto: Position = 0
        self._in_hand = 0

    def open(self, start: Callable[[], Position], *, anew: bool = False) -> None:
        """Fences any other publisher of this system, and goes on where the topic ends. `start`: where to begin, asked
        if the topic is empty; or with `anew` in any case: who was told less than that, is told that he has lost it.
        Raises SystemUnavailable, SystemStopped, StoreUnfit, Fenced."""
        self.close()
        with self._fencing("opening the change topic"):
            arguments = self._broker.arguments(self._id, system=self.system)
            self._producer = KafkaProducer(
                **arguments, transactional_id=self._id,
                transaction_timeout_ms=900_000, linger_ms=2, batch_size=1 << 18, max_request_size=64 << 20,
                metrics_enabled=False, allow_auto_create_topics=False,
            )  # fmt: skip
            self._hanging.begin(self._producer, arguments, self.topic)
        last = self._published()
        begins = anew or last is None
        self.position = self._upto = start() if begins or last is None else last
        if last is not None and self.position < last:
            raise StoreUnfit(
                f"the change topic `{self.topic}` goes on to {last}, and this server's log ends at {self.position}",
                mend="stop all workers, delete that topic, and start one with --merge-again",
            )
        if begins:
            self._tell(begins=True)
        self.source.open(self.position)

    def _published(self) -> Position | None:
        """Up to where the topic has everything: each of its transactions tells all partitions its end."""
        with closing(Reader(self.system, self._broker, self.topic, 0)) as reader:
            return reader.last()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Publishes until `stopping`. Raises SystemUnavailable, SystemStopped, Fenced: what was not committed is read
        again after `open`."""
        told_at = active_at = time.monotonic()
        while not stopping():
            event = self.source.read(IDLE_S)
            began_at = time.monotonic()
            while event is not None:
                self._take(event)
                if self._in_hand >= TRANSACTION_ROWS or time.monotonic() - began_at > TRANSACTION_S:
                    break
                event = self.source.read(0)
            now = time.monotonic()
            if self._upto > self.position or self._parts or now - told_at > STILL_HERE_S:
                self._tell()
                told_at = active_at = now
                continue  # more may have come meanwhile
            if now - active_at < QUIET_S or now - told_at > QUIET_S:
                self.source.nudge()

    def _take(self, event: Transaction | Progress) -> None:
        self._upto = event.position
        if isinstance(event, Progress):
            return
        self.transactions += 1
        self.changes += event.rows
        concerned: set[int] = set()
        for chunk in event.chunks():
            for partition, rows in self._plan.split(self.system, chunk).items():
                concerned.add(partition)
                for start in range(0, len(rows), MESSAGE_ROWS):
                    self._add(partition, event, rows[start : start + MESSAGE_ROWS])
        for partition in concerned:
            self._parts[partition][-1].last = True

    def _add(self, partition: int, event: Transaction, rows: list[Change]) -> None:
        """Further changes of a transaction. What is before them goes out, if it is enough for a message."""
        if self._rows.get(partition, 0) + len(rows) > MESSAGE_ROWS:
            self._send(partition, complete=False)
        # An engine is told what bears its own mark; to the others it is a user's, as what a trigger of ours does is.
        own = event.own and self._engines.get(event.engine, partition) == partition
        part = Part(event.position, event.committed_at, own, event.number if own else 0, False, changes(rows))
        self._parts.setdefault(partition, []).append(part)
        self._rows[partition] = self._rows.get(partition, 0) + len(rows)
        self._in_hand += len(rows)

    def _send(self, partition: int, *, complete: bool, begins: bool = False) -> None:
        """What there is for a partition, as one message; more, if it is too long for Kafka."""
        parts = self._parts.pop(partition, [])
        self._rows.pop(partition, None)
        self._begin()
        self._put(partition, parts, complete=complete, begins=begins)

    def _put(self, partition: int, parts: list[Part], *, complete: bool, begins: bool = False) -> None:
        position = self._upto if complete else parts[-1].position
        value = encoded(Message(FORMAT, position, complete, parts, begins))
        if len(value) > MESSAGE_BYTES and (len(parts) > 1 or len(parts[0].changes) > 1):
            halves = _halves(parts)
            self._put(partition, halves[0], complete=False)
            self._put(partition, halves[1], complete=complete)
            return
        assert self._producer is not None
        with self._fencing("writing the change topic"):
            self._producer.send(self.topic, value=value, partition=partition)

    def _begin(self) -> None:
        if not self._begun:
            assert self._producer is not None
            with self._fencing("beginning a Kafka transaction"):
                self._producer.begin_transaction()
            self._begun = True

    def _tell(self, *, begins: bool = False) -> None:
        """Ends the Kafka transaction: all partitions hear how far it goes. Then the database may forget it."""
        self._begin()
        for partition in range(self._plan.partitions):
            self._send(partition, complete=True, begins=begins)
        assert self._producer is not None
        with self._fencing("committing a Kafka transaction"):
            self._producer.commit_transaction()
        self._begun, self._in_hand = False, 0
        self.position = self._upto
        self.source.acknowledge(self.position)

    @contextmanager
    def _fencing(self, what: str) -> Iterator[None]:
        """Errors of the driver leave as ours; that a later publisher has fenced us, as Fenced."""
        with translated(self.system, what):
            try:
                yield
            except KafkaError as error:
                if not self._is_fenced(error):
                    raise
                raise Fenced(
                    "another worker reads this system's log now", system=self.system,
                    mend="none needed: what was not committed, nobody has seen",
                ) from None  # fmt: skip

    def _is_fenced(self, error: KafkaError) -> bool:
        """The driver (3.0) has another error for whoever goes on with a producer of which it has learned that already;
        and no public name for what it has learned."""
        manager = self._producer._transaction_manager if self._producer is not None else None
        return isinstance(error, FENCED) or isinstance(getattr(manager, "last_error", None), FENCED)

    def close(self) -> None:
        """Hangs up; may be opened again. What was not committed is undone."""
        self.source.close()
        self._parts.clear()
        self._rows.clear()
        self._in_hand = 0
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                if self._begun:
                    producer.abort_transaction()
            with suppress(KafkaError):
                producer.close(timeout=CLOSES_WITHIN_S)
        self._begun = False


def _halves(parts: list[Part]) -> tuple[list[Part], list[Part]]:
    """Parts cut in two; a single one within its changes."""
    if len(parts) > 1:
        middle = len(parts) // 2
        return parts[:middle], parts[middle:]
    (part,) = parts
    middle = len(part.changes) // 2
    first = Part(part.position, part.committed_at, part.own, part.number, False, part.changes[:middle])
    rest = Part(part.position, part.committed_at, part.own, part.number, part.last, part.changes[middle:])
    return [first], [rest]
