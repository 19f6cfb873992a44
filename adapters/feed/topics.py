"""The topics of a feed: made if they are not there, looked at if they are. Empties none and changes no setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import TopicAlreadyExistsError

from adapters.kafka.broker import translated
from engine.errors import SystemStopped

COMPACT: Final = {"cleanup.policy": "compact"}


def make_topics(
    arguments: Mapping[str, Any],
    entities: Iterable[str],
    journal: str,
    progress: str,
    partitions: int,
    replication: int,
) -> list[str]:
    """Makes those of these topics that are not there; returns their names. `partitions`, `replication`: 0 for what the
    brokers have set. Raises SystemUnavailable, AccessDenied; SystemStopped if the one of our progress forgets."""
    count, copies = partitions or -1, replication or -1
    wanted = {topic: NewTopic(topic, count, copies, topic_configs=COMPACT) for topic in entities}
    if journal:
        wanted[journal] = NewTopic(journal, count, copies)
    wanted[progress] = NewTopic(progress, 1, copies, topic_configs=COMPACT)
    with translated("feed", "looking for its topics"):
        admin = KafkaAdminClient(**arguments)
        try:
            there = set(admin.list_topics())
            made: list[str] = []
            for topic in [topic for topic in wanted if topic not in there]:
                with suppress(TopicAlreadyExistsError):  # another one was faster, or a broker did not know of it yet
                    admin.create_topics([wanted[topic]], wait_for_metadata=True)
                    made.append(topic)
            if progress in there:
                _require_kept(admin, progress)
        finally:
            admin.close()
    return made


def look_at(arguments: Mapping[str, Any], progress: str) -> None:
    """Whether the brokers let us in, and what is there will do; makes nothing. Raises as `make_topics` does."""
    with translated("feed", "looking for its topics"):
        admin = KafkaAdminClient(**arguments)
        try:
            if progress in admin.list_topics():
                _require_kept(admin, progress)
        finally:
            admin.close()


def _require_kept(admin: KafkaAdminClient, topic: str) -> None:
    """A topic that forgets would let everything be told a second time."""
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    settings: Mapping[str, Any] = next(iter(next(iter(found.values()), {}).values()), {})
    policy = settings.get("cleanup.policy", {}).get("value", "compact")
    if policy != "compact":
        raise SystemStopped(
            f"the topic `{topic}`, which keeps how far the feed is, has cleanup.policy={policy}: it would forget that",
            system="feed", mend=f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config "
            "cleanup.policy=compact",
        )  # fmt: skip
