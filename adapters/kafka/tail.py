"""Turns places in topics, and an offset for each, into the messages that follow: of whole Kafka transactions only.

Partitions are assigned, never given out by a group; how far was read is the reader's own affair, and committed nowhere.
What is read ahead is bounded: a partition may be held back. It knows nothing of what is in a message.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from adapters.kafka.broker import Broker, translated
from adapters.kafka.topics import TIMEOUT_MS, Place
from engine.errors import SystemUnavailable

records_max: Final = 2_000
"""So many messages are handed over at once at most."""
partition_bytes: Final = 2 << 20
fetch_bytes: Final = 16 << 20
"""How much of a partition, and of all, is fetched at once."""
silence_max_s: Final = 5.0
"""A broker that has sent nothing for so long is asked whether it is still there."""


class OutOfRange(Exception):
    """Kafka no longer has, or never had, what was to be read. `asked`: the offset, by partition."""

    def __init__(self, asked: Mapping[Place, int]) -> None:
        super().__init__(f"{len(asked)} partitions")
        self.asked = dict(asked)


class Tail:
    """Reads partitions from given offsets on. Used by one thread."""

    def __init__(self, broker: Broker, *, system: str, client: str) -> None:
        """Connects. `client`: how we name ourselves to the broker. Raises SystemUnavailable, AccessDenied."""
        self._system = system
        self._heard_at = time.monotonic()
        with translated(system, "connecting"):
            self._consumer = KafkaConsumer(
                **broker.arguments(client, system=system), isolation_level="read_committed", auto_offset_reset="none",
                enable_auto_commit=False, allow_auto_create_topics=False, max_poll_records=records_max,
                max_partition_fetch_bytes=partition_bytes, fetch_max_bytes=fetch_bytes, fetch_max_wait_ms=250,
                request_timeout_ms=TIMEOUT_MS, bootstrap_timeout_ms=TIMEOUT_MS, reconnect_backoff_max_ms=1000,
                metrics_enabled=False,
            )  # fmt: skip

    def close(self) -> None:
        """Hangs up."""
        self._consumer.close(autocommit=False)

    def read_from(self, offsets: Mapping[Place, int]) -> None:
        """Adds partitions, each to be read from an offset on. Those that are read already go on."""
        known = self._consumer.assignment()
        at = {each: self._consumer.position(each) for each in known}
        paused = self._consumer.paused()
        new = {TopicPartition(*place): offset for place, offset in offsets.items()}
        with translated(self._system, "beginning to read"):
            self._consumer.assign([*known, *new])
            for each, offset in (at | new).items():
                self._consumer.seek(each, offset)
        if paused:
            self._consumer.pause(*paused)

    def read(self, timeout_s: float) -> list[Any]:
        """The next messages of any partition that is not held back, those of one partition in order; [] after
        `timeout_s`. Raises OutOfRange, SystemUnavailable, AccessDenied."""
        try:
            with translated(self._system, "reading"):
                try:
                    found = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
                except OffsetOutOfRangeError as error:
                    asked = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
                    raise OutOfRange({(at.topic, at.partition): offset for at, offset in asked.items()}) from None
        finally:
            now = time.monotonic()
        if found:
            self._heard_at = now
            return [record for records in found.values() for record in records]
        if now - self._heard_at > silence_max_s:
            self._ask()
        return []

    def hold(self, places: Collection[Place], *, back: bool) -> None:
        """Holds partitions back, or lets them go on."""
        known = self._consumer.assignment()
        these = [at for place in places if (at := TopicPartition(*place)) in known]
        if back:
            self._consumer.pause(*these)
        else:
            self._consumer.resume(*these)

    def names(self) -> set[str]:
        """All topics that may be seen. Raises SystemUnavailable."""
        with translated(self._system, "looking for topics"):
            return set(self._consumer.topics())

    def places(self) -> set[Place]:
        """What is read."""
        return {(at.topic, at.partition) for at in self._consumer.assignment()}

    def next_offset(self, place: Place) -> int:
        """The offset of a partition from which the next message comes. Raises SystemUnavailable."""
        with translated(self._system, "reading"):
            return int(self._consumer.position(TopicPartition(*place)))

    def is_at_end(self, places: Collection[Place]) -> bool:
        """True if all that these partitions have at this moment has been handed over. Asks the broker. Raises
        SystemUnavailable."""
        asked = [TopicPartition(*place) for place in places]
        with translated(self._system, "asking how far topics reach"):
            ends = self._consumer.end_offsets(asked) if asked else {}
        return all(self.next_offset((at.topic, at.partition)) >= end for at, end in ends.items())

    def _ask(self) -> None:
        """Whether the brokers are there: a consumer itself waits for them silently. Raises SystemUnavailable."""
        any_place = next(iter(self._consumer.assignment()), None)
        if any_place is not None:
            try:
                self._consumer.end_offsets([any_place])
            except KafkaError as error:
                raise SystemUnavailable(
                    f"Kafka does not answer ({type(error).__name__})", system=self._system
                ) from None
        self._heard_at = time.monotonic()
