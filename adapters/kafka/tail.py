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
        self._held: dict[Place, int] = {}
        """Where those go on that are held back."""
        with translated(system, "connecting"):
            self._consumer = KafkaConsumer(
                **broker.arguments(client, system=system), isolation_level="read_committed", auto_offset_reset="none",
                enable_auto_commit=False, allow_auto_create_topics=False, max_poll_records=records_max,
                max_partition_fetch_bytes=partition_bytes, fetch_max_bytes=fetch_bytes, fetch_max_wait_ms=250,
                # With sessions, a partition that was held back and let go again is not fetched any more.
                enable_incremental_fetch_sessions=False,
                request_timeout_ms=TIMEOUT_MS, bootstrap_timeout_ms=TIMEOUT_MS, reconnect_backoff_max_ms=1000,
                metrics_enabled=False,
            )  # fmt: skip

    def close(self) -> None:
        """Hangs up."""
        self._consumer.close(autocommit=False)

    def read_from(self, offsets: Mapping[Place, int]) -> None:
        """Adds partitions, each to be read from an offset on. Those that are read already go on."""
        self._assign(self._positions() | offsets)

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
        # They are given up meanwhile, not paused: what the driver (3.0) had fetched of a paused one, it may never hand
        # over once that is resumed, nor fetch again.
        reading = self._positions()
        if back:
            self._held |= {place: reading[place] for place in places if place in reading}
            self._assign({place: offset for place, offset in reading.items() if place not in self._held})
        else:
            self._assign(reading | {place: self._held.pop(place) for place in places if place in self._held})

    def _positions(self) -> dict[Place, int]:
        """Of what is not held back."""
        return {(at.topic, at.partition): int(self._consumer.position(at)) for at in self._consumer.assignment()}

    def _assign(self, offsets: Mapping[Place, int]) -> None:
        with translated(self._system, "beginning to read"):
            self._consumer.assign([TopicPartition(*place) for place in offsets])
            for place, offset in offsets.items():
                self._consumer.seek(TopicPartition(*place), offset)

    def names(self) -> set[str]:
        """All topics that may be seen. Raises SystemUnavailable."""
        with translated(self._system, "looking for topics"):
            return set(self._consumer.topics())

    def places(self) -> set[Place]:
        """What is read."""
        return {(at.topic, at.partition) for at in self._consumer.assignment()} | self._held.keys()

    def next_offset(self, place: Place) -> int:
        """The offset of a partition from which the next message comes. Raises SystemUnavailable."""
        if place in self._held:
            return self._held[place]
        with translated(self._system, "reading"):
            return int(self._consumer.position(TopicPartition(*place)))

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """How far these partitions reach at this moment: the offsets behind their last messages. Asks the broker.
        Raises SystemUnavailable."""
        asked = [TopicPartition(*place) for place in places]
        with translated(self._system, "asking how far topics reach"):
            found = self._consumer.end_offsets(asked) if asked else {}
        return {(at.topic, at.partition): int(end) for at, end in found.items()}

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
