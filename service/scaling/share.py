"""One partition's share of a wired rule file: the same rules under another name, and kits that see only its records.

Turns the kits of whole databases into kits of one partition: its source is a partition of the change topic, its
snapshot leaves out the others' records, and its target takes the place of a former holder. What of a kit concerns a
database as a whole (setup, findings, reading its log) stays with the whole kit, and is not asked of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.changes.source import PartitionSource
from adapters.changes.topic import topic_name
from adapters.kafka.broker import Broker
from engine.fence import Fence
from engine.flows import Plan
from engine.ports import Snapshot, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Row
from service.passing import Passed
from service.wiring import Kit, Wired


@dataclass(frozen=True, slots=True)
class Sharing:
    """What all partitions have in common."""

    passed: Passed
    """The whole rules, wired."""
    plan: Plan
    broker: Broker

    @property
    def name(self) -> str:
        """The rules' name."""
        return self.passed.wired.book.name

    def topics(self) -> dict[str, int]:
        """Every topic that is needed, and how many partitions it has."""
        systems = self.passed.wired.book.systems
        changes = {topic_name(self.name, system): self.plan.partitions for system in systems}
        return changes | {engines_topic(self.name): self.plan.partitions, readers_topic(self.name): len(systems)}


def engines_topic(name: str) -> str:
    """Whoever is given a partition of this topic runs that partition's engine. Nothing is ever in it."""
    return f"duolog.{name}.engines"


def readers_topic(name: str) -> str:
    """Whoever is given a partition of this topic reads that system: they are counted as the rules list them."""
    return f"duolog.{name}.readers"


def share(sharing: Sharing, partition: int, fence: Fence) -> Passed:
    """What the engine of a partition is made ready with."""
    whole = sharing.passed.wired
    book = replace(whole.book, name=whole.book.partitions[partition], partitions=())
    kits: dict[str, Kit] = {
        name: _Share(kit, sharing, partition, fence) for name, kit in whole.kits.items()
    }  # fmt: skip
    return replace(sharing.passed, wired=Wired(whole.rules, book, kits, whole.warnings))


class _Share:
    """A kit of one partition; what is not here is the whole kit's."""

    def __init__(self, whole: Kit, sharing: Sharing, partition: int, fence: Fence) -> None:
        self._whole = whole
        self._sharing = sharing
        self._partition = partition
        self._fence = fence
        self.system = whole.system

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> PartitionSource:
        """The partition's part of the system's log."""
        topic = topic_name(self._sharing.name, self.system)
        return PartitionSource(
            self.system, self._sharing.broker, topic, self._partition, engine=book.name, spool_dir=spool_dir
        )

    def target(self, book: RuleBook, *, fence: Fence | None = None) -> Target:
        """The writer of its tables, in the place of whoever wrote for this partition before."""
        return self._whole.target(book, fence=fence or self._fence)

    def forget(self, book: RuleBook) -> None:
        """Empties the partition's part of the ledger; a former holder is ended first."""
        holding = self.target(book)
        holding.open()
        holding.close()
        self._whole.forget(book)

    def snapshot(self, book: RuleBook) -> Snapshot:
        """A consistent picture of the partition's records."""
        return _Part(self._whole.snapshot(book), self._sharing.plan, self._partition)

    def picture(self, book: RuleBook) -> Snapshot:
        """The same, for a look."""
        return _Part(self._whole.picture(book), self._sharing.plan, self._partition)


class _Part:
    """A snapshot without the records of other partitions."""

    def __init__(self, whole: Snapshot, plan: Plan, partition: int) -> None:
        self._whole, self._plan, self._partition = whole, plan, partition
        self.system = whole.system
        self.position: Position = whole.position

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """See `engine.ports.Snapshot.rows`."""
        flow = self._plan.flow(entity)
        if self._partition not in flow.partitions:
            return
        for key, row in self._whole.rows(entity):
            if not flow.spread or self._plan.owns(self._partition, entity, key):
                yield key, row

    def table(self, number: int) -> Iterator[Row]:
        """See `engine.ports.Snapshot.table`."""
        route = self._plan.routes[self.system][number]
        if not route.key and self._partition not in route.partitions:
            return
        for row in self._whole.table(number):
            if self._plan.belongs(self._partition, self.system, number, row):
                yield row

    def close(self) -> None:
        """Lets go of the picture."""
        self._whole.close()
