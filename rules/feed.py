"""What a rule file says of a feed: which agreed changes are told in which topics, and what is wrong with that.

Turns words into a `FeedRules`, judged from the file alone: what is in Kafka is for the adapter to find out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rules.addresses import kafka_address
from rules.findings import Findings
from rules.kafka import check_topic
from rules.problem import Path as TreePath
from rules.problem import did_you_mean, quoted
from rules.secrets import Secret
from rules.syntax import FeedSyntax, FileSyntax

ENTITY: Final = "{entity}"
"""What stands in `topics` for the entity's name."""
PARTITIONS: Final = range(1, 10_001)
COPIES: Final = range(1, 33)


@dataclass(frozen=True, slots=True)
class FeedRules:
    """Where agreed changes are told."""

    kafka: Secret | None
    """Where the brokers are; None if the file was loaded without an environment."""
    insecure: bool
    topics: Mapping[str, str]
    """By entity."""
    form: Literal["debezium", "cloudevents"]
    inline: bool
    """Every message states its schema."""
    journal: str
    """The topic of events; empty: they are not told."""
    values: bool
    """Events tell values, too."""
    partitions: int
    """Of topics that are made; 0: as the brokers have it set."""
    copies: int


def feed_of(
    syntax: FileSyntax, name: str, folder: Path, environ: Mapping[str, str] | None, findings: Findings
) -> FeedRules | None:
    """What the words amount to; None without any. `name`: the engine's."""
    words = syntax.feed
    if words is None:
        return None
    template = words.topics or f"duolog.{name}.{ENTITY}"
    entities = words.entities if words.entities is not None else list(syntax.entities)
    for index, entity in enumerate(words.entities or ()):
        if entity not in syntax.entities:
            findings.error("R359", ("feed", "entities", index), f"there is no entity {quoted(entity)}",
                           allowed=tuple(syntax.entities), mend=did_you_mean(entity, syntax.entities))  # fmt: skip
    topics = {entity: template.replace(ENTITY, entity) for entity in entities}
    _check_topics(words, topics, syntax, findings)
    for word, number, allowed in (("partitions", words.partitions, PARTITIONS), ("copies", words.copies, COPIES)):
        if number is not None and number not in allowed:
            findings.error("R359", ("feed", word), f"a topic cannot have so many {word}", found=str(number),
                           allowed=(f"{allowed.start} to {allowed.stop - 1}",))  # fmt: skip
    kafka = kafka_address(words.kafka, ("feed", "kafka"), folder, environ, findings)
    return FeedRules(
        kafka, words.insecure, topics, words.form, words.schema_ == "inline", words.journal or "", words.values,
        words.partitions or 0, words.copies or 0,
    )  # fmt: skip


def _check_topics(words: FeedSyntax, topics: Mapping[str, str], syntax: FileSyntax, findings: Findings) -> None:
    """Names that Kafka can have; each topic tells of one entity, and is read by none of our own sources."""
    place: TreePath = ("feed", "topics")
    if len(topics) > 1 and words.topics is not None and ENTITY not in words.topics:
        findings.error("R359", place, "several entities would be told in one topic", found=quoted(words.topics),
                       mend=f"write {quoted(ENTITY)} into the name, or name one entity in `entities`")  # fmt: skip
        return
    if not all(check_topic(topic, place if words.topics else ("feed",), findings) for topic in topics.values()):
        return
    if words.journal is not None and words.journal in topics.values():
        findings.error("R359", ("feed", "journal"), "this is the topic of an entity", found=quoted(words.journal),
                       mend="give it another name")  # fmt: skip
    elif words.journal is not None:
        check_topic(words.journal, ("feed", "journal"), findings)
    if words.values and words.journal is None:
        findings.error("R359", ("feed", "values"), "`values` says what `journal` tells, and there is none",
                       mend="name a topic: `journal: agreed.journal`, or take it out")  # fmt: skip
    for system, said in syntax.systems.items():
        prefix = f"{said.topics.prefix}." if said.topics is not None else ""
        for topic in (*topics.values(), *([words.journal] if words.journal else ())):
            if prefix and topic.startswith(prefix):
                findings.error("R359", place, f"Debezium's topics of {quoted(system)} begin so", found=quoted(topic),
                               mend="choose names that do not begin with its `topic.prefix`")  # fmt: skip
