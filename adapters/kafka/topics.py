"""Turns names of topics into what Kafka says of them: whether they are there, which ones they are, how far they reach.

A topic that was removed and made again has the same name and another id: offsets of the one mean nothing in the other.
It only looks: it makes and changes no topic, and reads no message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import LeaderNotAvailableError, UnknownTopicOrPartitionError, for_code

from adapters.kafka.broker import Broker, translated

Place: TypeAlias = "tuple[str, int]"
"""(topic, number of the partition)"""

NOT_THERE: Final = (UnknownTopicOrPartitionError.errno, LeaderNotAvailableError.errno)
"""What a broker answers of a topic that is not there, or is just being made."""

TIMEOUT_MS: Final = 10_000
"""How long a broker may take to answer."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that is there."""

    name: str
    id: str
    """Given when it was made, and never again; empty where the broker has no such ids."""
    partitions: tuple[int, ...]
    may_read: bool

    @property
    def places(self) -> list[Place]:
        """Its partitions."""
        return [(self.name, number) for number in self.partitions]


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a partition reaches, in offsets: from the first that is still there to the one that comes next."""

    begin: int
    end: int


class TopicLook:
    """A look at topics, with connections of its own. Close it, or use it in a `with`. Used by one thread."""

    def __init__(self, broker: Broker, *, system: str) -> None:
        """Connects. Raises SystemUnavailable, AccessDenied."""
        self._system = system
        given = broker.arguments("duolog check", system=system) | {"bootstrap_timeout_ms": TIMEOUT_MS}
        with self._told("looking for topics"):
            self._admin = KafkaAdminClient(**given, request_timeout_ms=TIMEOUT_MS)
        try:
            with self._told("looking for topics"):
                self._consumer = KafkaConsumer(**given, request_timeout_ms=TIMEOUT_MS, allow_auto_create_topics=False)
        except BaseException:
            self._admin.close()
            raise

    def __enter__(self) -> TopicLook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        with closing(self._admin), closing(self._consumer):
            pass

    def find(self, names: Iterable[str]) -> dict[str, Topic]:
        """Those of the topics that are there and may be seen. Raises SystemUnavailable, AccessDenied."""
        with self._told("looking for topics"):
            there = set(self._admin.list_topics())
            wanted = sorted(set(names) & there)
            found = self._admin.describe_topics(wanted) if wanted else []
            for said in found:
                if said["error_code"] not in (0, *NOT_THERE):
                    raise for_code(said["error_code"])  # that we are not told of a topic is not that it is gone
        return {said["name"]: _topic(said) for said in found if said["error_code"] == 0}

    def names(self) -> list[str]:
        """All topics that may be seen. Raises SystemUnavailable, AccessDenied."""
        with self._told("looking for topics"):
            return sorted(self._admin.list_topics())

    def settings(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """By topic its settings, defaults included; of those that we may not see, none. Raises SystemUnavailable."""
        if not names:
            return {}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        with self._told("asking for the settings of topics"):
            answer = self._admin.describe_configs(asked, config_filter="all")
        return {
            name: {key: str(_value(said)) for key, said in found.items()} for name, found in answer["topic"].items()
        }

    def extents(self, places: Collection[Place]) -> dict[Place, Extent]:
        """How far these partitions reach now. Raises SystemUnavailable, AccessDenied."""
        asked = [TopicPartition(*place) for place in places]
        with self._told("asking how far topics reach"):
            begins = self._consumer.beginning_offsets(asked) if asked else {}
            ends = self._consumer.end_offsets(asked) if asked else {}
        return {(at.topic, at.partition): Extent(begins[at], ends[at]) for at in asked}

    def bytes_kept(self, names: Collection[str]) -> int:
        """How much Kafka keeps of these topics, once for each copy; 0 if we may not see it."""
        with self._told("asking how much is kept"):
            told = self._admin.describe_log_dirs(list(names)) if names else []
        return sum(
            part["partition_size"]
            for broker in told for folder in broker["log_dirs"] for topic in folder["topics"]
            for part in topic["partitions"]
        )  # fmt: skip

    def _told(self, what: str) -> Any:
        return translated(self._system, what)


def _topic(said: Mapping[str, Any]) -> Topic:
    numbers = tuple(sorted(part["partition_index"] for part in said["partitions"]))
    allowed = said.get("authorized_operations") or ["READ"]
    return Topic(said["name"], str(said.get("topic_id") or ""), numbers, "READ" in allowed or "ALL" in allowed)


def _value(said: Any) -> object:
    return said.get("value", "") if isinstance(said, Mapping) else said
