"""How far a feed is, kept in Kafka itself: a record of a topic of its own, in the very transaction that tells.

Turns progress into a record and back. Only what is committed counts; what the store says of it is a copy. What brokers
left open has been ended before (`adapters.kafka.hanging`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

KEY: Final = b"progress"
LOOKED_BACK: Final = 50
"""Offsets that are looked at first, from the end: a transaction takes two."""
POLL_S, WITHIN_S = 1.0, 20.0
"""How long one request may take, and how long nothing may come."""


class Beginning(msgspec.Struct):
    """How far an entity's records that were there before are told."""

    since: int
    """The deciding step from which on the entity is told of; another one: it begins anew."""
    at: str | None = ""
    """The record key up to which it is told; None: all are."""


class Progress(msgspec.Struct):
    """What has been told."""

    era: str
    page: int
    """The last page."""
    number: int
    """The deciding step by which everything of it was complete."""
    first: int
    """The deciding step from which on Kafka has been told of changes."""
    beginnings: dict[str, Beginning] = {}
    """By entity."""


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Progress).decode


def last_progress(arguments: Mapping[str, Any], topic: str) -> Progress | None:
    """What was last told and committed; None: nothing ever was. No producer of ours may be at work but this one.

    Raises KafkaError."""
    consumer = KafkaConsumer(
        **arguments, isolation_level="read_committed", enable_auto_commit=False, group_id=None,
        auto_offset_reset="earliest",
    )  # fmt: skip
    place = TopicPartition(topic, 0)
    try:
        consumer.assign([place])
        first, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
        back = LOOKED_BACK
        while end > first:
            start = max(first, end - back)
            found = _read(consumer, place, start, end)
            if found is not None or start == first:
                return found
            back *= 10
        return None
    finally:
        consumer.close()


def _read(consumer: KafkaConsumer, place: TopicPartition, start: int, end: int) -> Progress | None:
    """The last record between two offsets. Raises KafkaTimeoutError if they do not come."""
    found: bytes | None = None
    consumer.seek(place, start)
    deadline = time.monotonic() + WITHIN_S
    while consumer.position(place) < end:
        polled = consumer.poll(timeout_ms=int(POLL_S * 1000)).get(place, [])
        for record in polled:
            found = record.value if record.key == KEY else found
        if polled:
            deadline = time.monotonic() + WITHIN_S
        elif time.monotonic() > deadline:
            raise KafkaTimeoutError("what was told last does not come")
    return _decode(found) if found is not None else None
