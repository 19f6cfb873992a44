"""Asks Kafka what there is of a connector's topics: which are there, how they are kept, what their last messages say.

It reads the last message of each topic and changes nothing. What is good or bad about it, `preflight` judges.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from adapters.debezium.decoding.events import Event, RowEvent, TruncateEvent
from adapters.debezium.layout import Topics
from adapters.kafka.broker import Broker
from adapters.kafka.tail import OutOfRange, Tail
from adapters.kafka.topics import Place, Topic, TopicLook
from engine.errors import DuologError
from engine.rulebook import Table

last_messages_s: Final = 5.0
"""How long the last messages of topics are waited for."""
back: Final = 3
"""So many offsets before the end the last message is looked for: the last ones may be marks of Kafka's transactions."""


class Decode(Protocol):
    """See `source.Decode`."""

    def decode(
        self, topic: str, partition: int, offset: int, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> Event: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What Kafka has of one system."""

    system: str
    where: str
    """The brokers, as they may be shown."""
    kind: str
    topics: Topics
    tables: Sequence[Table]
    wanted: Mapping[str, int]
    """By topic, the number of its table; the ledger's comes last."""
    ledger: bool
    found: Mapping[str, Topic]
    names: Sequence[str]
    """All topics that can be seen."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    heard_ms: int = 0
    """When the connector gave its last sign of life, milliseconds since 1970 UTC; 0: it never did."""
    now_ms: int = 0
    without_order: frozenset[str] = frozenset()
    """Topics whose last row does not say of which transaction it is."""
    rows: Mapping[str, bytes] = field(default_factory=dict)
    """By topic of a table, its last message."""
    unreadable: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By topic: why its last row cannot be read, and the mend."""


def gather(
    system: str, broker: Broker, topics: Topics, tables: Sequence[Table], *, ledger: bool, kind: str,
    decoder: Decode | None,
) -> Facts:  # fmt: skip
    """Looks. `decoder`: None if the tables cannot be decoded yet. Raises SystemUnavailable, AccessDenied."""
    wanted = topics.wanted(tables, ledger=ledger)
    names = [*wanted, topics.of_transactions, topics.of_heartbeats]
    with TopicLook(broker, system=system) as look:
        found, all_names = look.find(names), look.names()
        settings = look.settings(list(found))
        places = [place for topic in found.values() if topic.may_read for place in topic.places]
        extents = look.extents(places)
    asked = {
        place: max(extent.begin, extent.end - back) for place, extent in extents.items() if extent.end > extent.begin
    }
    last = _last(broker, system, asked, {place: extents[place].end for place in asked})
    heard_ms = max((record.timestamp for record in last.values() if record.topic == topics.of_heartbeats), default=0)
    without: set[str] = set()
    unreadable: dict[str, tuple[str, str]] = {}
    for place, record in last.items():
        if decoder is None or place[0] not in wanted:
            continue
        try:
            event = decoder.decode(record.topic, record.partition, record.offset, record.value, record.headers)
        except DuologError as error:
            unreadable[place[0]] = (error.found, error.mend)
            continue
        if isinstance(event, RowEvent | TruncateEvent) and event.order is None and not event.source.snapshotted:
            without.add(place[0])
    return Facts(
        system, broker.where, kind, topics, tables, wanted, ledger, found, all_names, settings, heard_ms,
        int(time.time() * 1000), frozenset(without),
        {place[0]: record.value for place, record in last.items() if place[0] in wanted and record.value is not None},
        unreadable,
    )  # fmt: skip


def _last(broker: Broker, system: str, asked: dict[Place, int], ends: dict[Place, int]) -> dict[Place, Record]:
    """By partition, its last message with a value."""
    last: dict[Place, Record] = {}
    if not asked:
        return last
    tail = Tail(broker, system=system, client="duolog check")
    try:
        tail.read_from(asked)
        deadline = time.monotonic() + last_messages_s
        while time.monotonic() < deadline and any(tail.next_offset(place) < end for place, end in ends.items()):
            for record in tail.read(0.2):
                if record.value is not None:
                    last[record.topic, record.partition] = record
    except OutOfRange:
        pass  # they were removed just now
    finally:
        tail.close()
    return last


class Record(Protocol):
    """A message, as the driver has it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
