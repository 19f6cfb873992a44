"""Turns facts about a connector's topics into findings, each with its mend. Pure: `facts` asks Kafka."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from adapters.debezium.connector import heartbeat_ms
from adapters.debezium.decoding.unfit import Doubt
from adapters.debezium.facts import Facts
from adapters.debezium.layout import LEDGER
from engine.catalog import Finding

hours_min: Final = 24.0
"""What a topic keeps at least, lest a night's outage be too long."""
silent_after_ms: Final = 300_000

METADATA: Final = "provide.transaction.metadata"


def assess(facts: Facts) -> list[Finding]:
    """All that is wrong or worth knowing."""
    found = [*_judge_connector(facts), *_judge_transactions(facts), *_judge_heartbeats(facts), *_judge_schema(facts)]
    for topic in (*facts.wanted, facts.topics.of_transactions):
        found += _judge_topic(facts, topic)
    return found


def exactness(system: str, doubts: Iterable[Doubt]) -> list[Finding]:
    """What of the columns is not told exactly."""
    return [
        Finding(
            code="P181" if doubt.severity == "error" else "P182", severity=doubt.severity, system=system,
            found=f"`{'.'.join(doubt.table)}`: the column `{doubt.column}` {doubt.found}", mend=doubt.mend,
            table=".".join(doubt.table),
        )
        for doubt in doubts
    ]  # fmt: skip


def acls(role: str, topics: Sequence[str]) -> list[str]:
    """Kafka's commands that let a user read these topics, and nothing else. No group is used."""
    allow = f"kafka-acls.sh --bootstrap-server HOST:PORT --add --allow-principal User:{role}"
    named = " ".join(f"--topic {topic}" for topic in topics)
    return [f"{allow} --operation Read --operation Describe --operation DescribeConfigs {named}"]


def _judge_connector(facts: Facts) -> Iterator[Finding]:
    if any(name.startswith(facts.topics.prefix + ".") for name in facts.names) or facts.found:
        return
    near = difflib.get_close_matches(facts.topics.prefix, [name.partition(".")[0] for name in facts.names], n=1)
    yield _error(
        facts, "P170", f"{facts.where} has no topic of Debezium's `{facts.topics.prefix}`",
        f"did you mean `topics: {near[0]}`?" if near else "start the connector: `duolog setup RULES --print-connector "
        f"{facts.system}` prints what it has to be told",
    )  # fmt: skip


def _judge_transactions(facts: Facts) -> Iterator[Finding]:
    name = facts.topics.of_transactions
    topic = facts.found.get(name)
    mend = f"set `{METADATA}=true` for the connector; its topic `{name}` comes with the next transaction"
    if facts.without_order:
        listed = ", ".join(f"`{each}`" for each in sorted(facts.without_order))
        yield _error(
            facts, "P171", f"changes do not tell of which transaction they are ({listed}): they could be torn apart, "
            "and what we have written ourselves could not be told from what users write", mend,
        )  # fmt: skip
    elif topic is None and any(each in facts.found for each in facts.wanted):
        yield _warning(facts, "P172", f"there is no topic `{name}` yet, which tells what belongs together", mend)
    if topic is not None and len(topic.partitions) > 1:
        yield _error(
            facts, "P173",
            f"the topic `{name}` has {len(topic.partitions)} partitions: the order of transactions is lost",
            "let it have one: delete it while the connector is stopped, and make it with one partition",
        )  # fmt: skip
    captured = facts.topics.of_table(*LEDGER)
    if facts.ledger and captured not in facts.found:
        yield _warning(
            facts, "P174", f"there is no topic `{captured}` yet: by the table `duolog.ledger` our own transactions are "
            "known among those of users",
            "put `duolog.ledger` (and its database) into `table.include.list` and `database.include.list` of the "
            "connector; the topic comes with the first row, and nothing is carried over before",
        )  # fmt: skip


def _judge_heartbeats(facts: Facts) -> Iterator[Finding]:
    silent_ms = facts.now_ms - facts.heard_ms
    mend = f"set `heartbeat.interval.ms={heartbeat_ms}` for the connector"
    if facts.topics.of_heartbeats not in facts.found and facts.found:
        yield _warning(facts, "P175", "Debezium gives no sign of life: that it is away would not be noticed", mend)
    elif facts.heard_ms and silent_ms > silent_after_ms:
        yield _warning(
            facts, "P176", f"Debezium has given no sign of life for {silent_ms // 60_000} minutes",
            "look at its connector: GET /connectors/NAME/status of Kafka Connect",
        )  # fmt: skip


def _judge_schema(facts: Facts) -> Iterator[Finding]:
    """PostgreSQL's slot remembers how far the connector was; elsewhere only the connector does."""
    name = facts.topics.of_schema
    if facts.kind != "postgresql" and facts.found and name not in facts.found:
        yield _warning(
            facts, "P199", f"there is no topic `{name}`, which tells what becomes of tables: it would not be noticed "
            "that Debezium has lost its place in the log, and begun anew without what was written in between",
            "set `include.schema.changes=true` for the connector",
        )  # fmt: skip


def _judge_topic(facts: Facts, name: str) -> Iterator[Finding]:
    topic = facts.found.get(name)
    if topic is None:
        return
    if not topic.may_read:
        yield _error(facts, "P177", f"we may not read the topic `{name}`", acls("USER", [name])[0])
    settings = facts.settings.get(name, {})
    if "compact" in settings.get("cleanup.policy", ""):
        yield _error(
            facts, "P178", f"the topic `{name}` is compacted: Kafka removes changes that are not the last of a row",
            f"kafka-configs.sh --bootstrap-server HOST:PORT --alter --topic {name} --add-config cleanup.policy=delete",
        )  # fmt: skip
    kept_ms = settings.get("retention.ms", "")
    if kept_ms.isdecimal() and int(kept_ms) < hours_min * 3_600_000:
        yield _warning(
            facts, "P179", f"the topic `{name}` keeps {int(kept_ms) / 3_600_000:g} h: when duolog is away for longer, "
            "changes are lost to it, and a re-sync is needed",
            f"kafka-configs.sh --bootstrap-server HOST:PORT --alter --topic {name} --add-config retention.ms=604800000",
        )  # fmt: skip
    if name in facts.unreadable:
        found, mend = facts.unreadable[name]
        yield _error(facts, "P180", f"the last row in the topic `{name}` cannot be read: {found}", mend)


def _error(facts: Facts, code: str, found: str, mend: str) -> Finding:
    return _finding(facts, code, "error", found, mend)


def _warning(facts: Facts, code: str, found: str, mend: str) -> Finding:
    return _finding(facts, code, "warning", found, mend)


def _finding(facts: Facts, code: str, severity: Literal["error", "warning"], found: str, mend: str) -> Finding:
    return Finding(code=code, severity=severity, system=facts.system, found=found, mend=mend)
