"""Where the messages of a change topic are: its name, its making, the place after a position.

Turns positions of a database's log into offsets of a partition, by looking: within a partition positions never fall, so
halving finds them. Offsets are never kept: the same position is found again in a topic that was copied or made anew.
"""

from __future__ import annotations

from contextlib import closing, suppress
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import OffsetOutOfRangeError, TopicAlreadyExistsError

from adapters.changes.encoding import Message, decoded
from adapters.kafka.broker import Broker, translated
from engine.errors import LogLost, StoreUnfit, SystemUnavailable
from engine.vocabulary import Position

LOOK_S: Final = 5.0
"""How long a record that is there may take to come."""
BACK_FIRST: Final = 8
"""So many offsets before the end a message is looked for first: the last ones are marks of Kafka's transactions."""


def topic_name(engine: str, system: str) -> str:
    """The topic of a system's changes."""
    return f"duolog.{engine}.changes.{system}"


def reach(broker: Broker) -> None:
    """Whether Kafka answers us. Raises SystemUnavailable, AccessDenied if it does not."""
    with translated("", "reaching Kafka"), closing(KafkaAdminClient(**broker.arguments("duolog worker"))) as admin:
        admin.list_topics()


def make_topics(broker: Broker, wanted: dict[str, int]) -> None:
    """Makes the topics that are not there: by name, how many partitions.

    Raises StoreUnfit if one has another number of them; SystemUnavailable, AccessDenied."""
    with translated("", "making topics"), closing(KafkaAdminClient(**broker.arguments("duolog setup"))) as admin:
        there = set(admin.list_topics())
        missing = [NewTopic(name, count, -1) for name, count in wanted.items() if name not in there]
        for new in missing:
            with suppress(TopicAlreadyExistsError):  # another worker was quicker
                admin.create_topics([new])
        if missing:
            admin.wait_for_topics([new.name for new in missing])
        for found in admin.describe_topics([name for name in wanted if name in there]):
            count = len(found["partitions"])
            if count != wanted[found["name"]]:
                raise StoreUnfit(
                    f"the topic `{found['name']}` has {count} partitions, and the rules say {wanted[found['name']]}",
                    mend="put the number back; or stop all workers, delete the topics `duolog.<name>.*`, and start one "
                    "with --merge-again",
                )


def lost(system: str, begins: Position, resume: Position) -> LogLost:
    """The error for who has been told less than what the topic begins with."""
    return LogLost(
        f"the change topic begins at {begins}, after our position {resume}: what was between is gone", system=system,
        mend="stop all workers, and start one with `duolog run RULES --worker --merge-again`; then raise `retention.ms`"
        " of the topic",
    )  # fmt: skip


class Reader:
    """Reads one partition of a change topic, whole Kafka transactions only. Used by one thread."""

    def __init__(self, system: str, broker: Broker, topic: str, partition: int) -> None:
        """Connects. Raises SystemUnavailable, AccessDenied."""
        self.system = system
        self._at = TopicPartition(topic, partition)
        with translated(system, "opening the change topic"):
            self._consumer = KafkaConsumer(
                **broker.arguments(f"duolog {topic}-{partition}", system=system), group_id=None,
                isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none",
                fetch_max_wait_ms=250, metrics_enabled=False, allow_auto_create_topics=False,
            )  # fmt: skip
            self._consumer.assign([self._at])

    def poll(self, timeout_s: float) -> list[tuple[Message, int]]:
        """The next messages, each with its length in bytes. Raises SystemUnavailable also if Kafka has forgotten them:
        whoever opens again is told by `seek` whether anything is lost."""
        with translated(self.system, "reading the change topic"):
            records = self._polled(timeout_s)
        return [(decoded(record.value, system=self.system), len(record.value)) for record in records]

    def last(self) -> Position | None:
        """Up to where the partition has been told; None: there is no message."""
        first, end = self._bounds()
        back = BACK_FIRST
        while end > first:
            start = max(first, end - back)
            found = [message for _, message in self._from(start, end, whole=True)]
            if found:
                return found[-1].position
            end, back = start, back * 8
        return None

    def seek(self, resume: Position) -> None:
        """The next message is the first that goes beyond `resume`.

        Raises LogLost if there may have been others before; SystemUnavailable if nobody has written any."""
        first, end = self._bounds()
        earliest = self._one(first, end)
        if earliest is None:
            raise SystemUnavailable(
                "the change topic is empty: no reader of this system has begun", system=self.system,
                mend="none needed if the workers are just starting",
            )  # fmt: skip
        if earliest[1].position > resume:
            raise lost(self.system, earliest[1].position, resume)
        low, high = first, end  # what is before `low` is not beyond; from `high` on, it is
        while low < high:
            middle = (low + high) // 2
            found = self._one(middle, high)
            if found is None or found[1].position > resume:
                high = middle
            else:
                low = found[0] + 1
        with translated(self.system, "seeking in the change topic"):
            self._consumer.seek(self._at, low)

    def close(self) -> None:
        """Hangs up."""
        self._consumer.close(autocommit=False)

    def _polled(self, timeout_s: float) -> list[Any]:
        """Records that come next. Raises KafkaError, SystemUnavailable."""
        try:
            records: list[Any] = self._consumer.poll(timeout_ms=int(timeout_s * 1000)).get(self._at, [])
        except OffsetOutOfRangeError:
            raise SystemUnavailable(
                "the change topic no longer has what comes next: its retention has passed, or it was made anew",
                system=self.system,
            ) from None
        return records

    def _bounds(self) -> tuple[int, int]:
        with translated(self.system, "looking at the change topic"):
            first = self._consumer.beginning_offsets([self._at])[self._at]
            return first, self._consumer.end_offsets([self._at])[self._at]

    def _one(self, start: int, end: int) -> tuple[int, Message] | None:
        """The first message from an offset on, before another."""
        return next(iter(self._from(start, end)), None)

    def _from(self, start: int, end: int, *, whole: bool = False) -> list[tuple[int, Message]]:
        """Messages from an offset on, before another, with their offsets: the first of them, or the `whole` of them."""
        if start >= end:
            return []
        with translated(self.system, "looking into the change topic"):
            self._consumer.seek(self._at, start)
            found: list[tuple[int, Message]] = []
            while self._consumer.position(self._at) < end:
                records = self._polled(LOOK_S)
                found += [(r.offset, decoded(r.value, system=self.system)) for r in records if r.offset < end]
                if found and not whole:
                    break
        return found
