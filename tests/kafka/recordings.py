"""Turns what stands in Kafka's topics into a file, and the file into messages again, so that tests need no Kafka.

A recording is JSON lines: first what it was made with and what the database itself says of it (`Recording`), then one
line a message, in the order of their timestamps. Texts are those of the messages, unparsed. It judges nothing.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from tests.crowd import within

FOLDER: Final = Path(__file__).resolve().parents[1] / "fixtures" / "debezium"
HEARTBEATS_KEPT: Final = 3
READ_TIMEOUT_S: Final = within(60.0)


class Message(NamedTuple):
    """One message of Kafka."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since 1970 UTC."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Recording:
    """Messages of one connector. `facts`: what tells of them: `prefix`, the `options` of the connector that say
    something about values, `versions`, `ddl`, `columns` (name and type by table), `printed` (by table: rows of texts as
    the database's own adapter reads them), `log` (transactions as the database's log has them). Each may be missing."""

    facts: Mapping[str, Any]
    messages: tuple[Message, ...]

    def of(self, topic: str) -> list[Message]:
        """Those of one topic, named without its prefix, in the order of their offsets."""
        found = [message for message in self.messages if message.topic == f"{self.facts['prefix']}.{topic}"]
        return sorted(found, key=lambda message: (message.partition, message.offset))


def names(database: str) -> list[str]:
    """The recordings of one database: `postgresql`, `mariadb`, `mysql`, `sqlserver`, `oracle`, `db2`."""
    return sorted(path.name.removesuffix(".gz").removesuffix(".jsonl") for path in (FOLDER / database).glob("*.jsonl*"))


def load(database: str, name: str) -> Recording:
    """A recording, packed or handwritten. Raises FileNotFoundError."""
    path = FOLDER / database / f"{name}.jsonl"
    packed = path.with_suffix(".jsonl.gz")
    text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else path.read_text(encoding="utf-8")
    facts, *lines = (json.loads(line) for line in text.splitlines() if line)
    return Recording(facts, tuple(_message(line) for line in lines))


def save(database: str, name: str, recording: Recording) -> Path:
    """Writes it, packed; tells where."""
    path = FOLDER / database / f"{name}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [dict(recording.facts), *(_line(message) for message in recording.messages)]
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


def told(bootstrap: str, prefix: str) -> tuple[Message, ...]:
    """All that stands now in the topics of the connector with this `topic.prefix`, but few of its heartbeats.

    Raises TimeoutError if the broker does not hand it over."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, client_id="duolog-tests")
    mine = [name for name in consumer.topics() if name.removeprefix("__debezium-heartbeat.").split(".")[0] == prefix]
    places = [TopicPartition(name, part) for name in mine for part in consumer.partitions_for_topic(name)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found: list[Message] = []
    deadline = time.monotonic() + READ_TIMEOUT_S
    while any(consumer.position(place) < ends[place] for place in places):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{prefix}: {len(found)} messages read, then no more")
        for records in consumer.poll(timeout_ms=200).values():
            for r in records:
                found.append(Message(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers)))
    consumer.close()
    kept = [each for each in found if not each.topic.startswith("__") or each.offset < HEARTBEATS_KEPT]
    return tuple(sorted(kept, key=lambda each: (each.timestamp, each.topic, each.partition, each.offset)))


def _line(message: Message) -> dict[str, object]:
    line: dict[str, object] = message._asdict()
    line |= {"key": _text(message.key), "value": _text(message.value)}
    return line | {"headers": [[name, _text(value)] for name, value in message.headers]}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _message(line: dict[str, Any]) -> Message:
    headers = tuple((name, _bytes(value)) for name, value in line.get("headers", ()))
    where = line["topic"], line.get("partition", 0), line.get("offset", 0), line.get("timestamp", 0)
    return Message(*where, _bytes(line["key"]), _bytes(line["value"]), headers)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
