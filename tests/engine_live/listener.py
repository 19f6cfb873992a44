"""Who reads a feed's topics as any consumer would (read_committed), and what he has understood in the end.

Knows Debezium's envelope and nothing else of duolog: what was told is judged by itself, and by the databases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

Place = tuple[int, int]
"""(number, index): grows with every change that is told."""


def all_records(servers: str, topics: Sequence[str]) -> Iterator[ConsumerRecord]:
    """Everything that is committed in these topics, each partition in order. `servers`: `host:port`."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False, group_id=None,
    )  # fmt: skip
    try:
        places = [TopicPartition(t, p) for t in topics for p in sorted(consumer.partitions_for_topic(t) or ())]
        if not places:
            return
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=1000).values():
                yield from records
    finally:
        consumer.close()


@dataclass
class Heard:
    """What somebody has who applied everything that was told."""

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """By entity and key: the row."""
    places: dict[str, Place] = field(default_factory=dict)
    """By entity and key: the last place."""
    ways: dict[str, str] = field(default_factory=dict)
    """By entity and key: all that was ever done to it, as a word of the letters of `op`."""
    seen: set[Place] = field(default_factory=set)
    changes: int = 0
    beginnings: int = 0
    tombstones: int = 0
    began: list[Place] = field(default_factory=list)
    """The places of what was there before."""
    wrong: list[str] = field(default_factory=list)
    """What should not be."""

    def hear(self, record: ConsumerRecord) -> None:
        """One record of a topic."""
        key = record.key.decode()
        if record.value is None:
            self.tombstones += 1
            return
        told = json.loads(record.value)
        entity, op = told["source"]["entity"], told["op"]
        place = (told["source"]["number"], told["source"]["index"])
        rows = self.rows.setdefault(entity, {})
        self.ways[f"{entity} {key}"] = self.ways.get(f"{entity} {key}", "") + op
        if op == "r":
            self.beginnings += 1
            self.began.append(place)
        else:
            self.changes += 1
            if place in self.seen:
                self.wrong.append(f"{entity} {key}: {place} is told twice")
            self.seen.add(place)
            if place <= self.places.get(f"{entity} {key}", (-1, -1)):
                self.wrong.append(f"{entity} {key}: {place} is told late")
            known = rows.get(key)
            if known is not None and told["before"] != known:
                self.wrong.append(f"{entity} {key}: at {place}, {told['before']} was never told; {known} was")
            self.places[f"{entity} {key}"] = place
        if told["after"] is None:
            rows.pop(key, None)
        else:
            rows[key] = told["after"]


def heard(servers: str, topics: Sequence[str]) -> Heard:
    """Everything that is told so far."""
    found = Heard()
    for record in all_records(servers, topics):
        found.hear(record)
    return found
