"""What a rule file says of Kafka: the topics of systems that Debezium reads, and what is wrong with them.

Turns words into the names of topics, and judges them from the file alone: whether they are there, and what is in them,
is for the adapter to find out. Opens no connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rules.findings import Findings
from rules.problem import Path, quoted
from rules.syntax import SystemSyntax

OVER_KAFKA: Final = "debezium"
"""The adapter whose systems are read from Kafka."""

_TOLD_BY: Final = {"sqlserver": "its own change tables", "sqlite": "its change table", "odbc": "its change table"}
"""By adapter: what is read, of those without a log that we read."""

NAME_MAX: Final = 249
"""Characters of a topic's name."""

_NAME: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{NAME_MAX}}}")


def check_kafka(systems: Mapping[str, SystemSyntax], findings: Findings) -> None:
    """The words of each system on Kafka."""
    seen: dict[str, Path] = {}
    for name, words in systems.items():
        if words.adapter != OVER_KAFKA:
            _check_own_log(name, words, findings)
            continue
        for word, mend in (
            ("kafka", "say where the brokers are: `kafka: ${KAFKA_URL}`"),
            ("topics", "say what Debezium's `topic.prefix` is: `topics: erp`"),
        ):
            if getattr(words, word) is None:
                findings.error("R387", ("systems", name), f"the changes of {quoted(name)} come over Kafka, and"
                               f" {quoted(word)} is missing", key=True, mend=mend)  # fmt: skip
        _check_topics(name, words, seen, findings)


def is_topic(name: str) -> bool:
    """Whether Kafka can have a topic of this name."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def check_topic(name: str, path: Path, findings: Findings) -> bool:
    """A topic's name that stands in the rules."""
    if is_topic(name):
        return True
    findings.error("R389", path, "no topic can have this name", found=quoted(name),
                   allowed=(f"1 to {NAME_MAX} of A-Z a-z 0-9 . _ -",))  # fmt: skip
    return False


def _check_own_log(name: str, words: SystemSyntax, findings: Findings) -> None:
    for word in ("kafka", "topics", "registry"):
        if getattr(words, word) is not None:
            read = _TOLD_BY.get(words.adapter, "its own log")
            findings.error("R388", ("systems", name, word), f"{quoted(name)} is read from {read}, not from Kafka",
                           key=True, found=quoted(f"adapter: {words.adapter}"),
                           mend="say `adapter: debezium`, or take it out")  # fmt: skip


def _check_topics(name: str, words: SystemSyntax, seen: dict[str, Path], findings: Findings) -> None:
    """Names that Kafka can have, and each of one system alone: two would be one stream of changes."""
    if words.topics is None:
        return
    top: Path = ("systems", name, "topics")
    long = (*top, "prefix") in findings.document
    places: list[tuple[str, Path]] = [(words.topics.prefix, (*top, "prefix") if long else top)]
    places += [(topic, (*top, "tables", table)) for table, topic in words.topics.tables.items()]
    if words.topics.transactions is not None:
        places.append((words.topics.transactions, (*top, "transactions")))
    if words.topics.heartbeats is not None:
        places.append((words.topics.heartbeats, (*top, "heartbeats")))
    for topic, path in places:
        if not check_topic(topic, path, findings):
            continue
        if topic in seen:
            findings.error("R389", path, f"{quoted(topic)} is read already: one topic has the changes of one table",
                           mend="correct one of the two", also=(("it is read here first", seen[topic]),))  # fmt: skip
        seen.setdefault(topic, path)
