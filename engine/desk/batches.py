"""Batches: what is due to one system, taken together, for its writer to plan and carry out.

Turns the to-do lists into `Batch`es, in memory or page by page from the store. What a batch takes along is frozen, so
that the deciding thread may go on.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.desk.due import Due
from engine.desk.quarantine import WAITS_FOR
from engine.desk.records import Name
from engine.errors import EngineFault
from engine.merge import EntityRules
from engine.plan import Item, Keys, in_order, parents_of, plan
from engine.record import Record, Side, decode, settle
from engine.vocabulary import Batch, Write

NOTHING: dict[str, Side] = {}
"""The sides of a frozen record: nobody asks for them, and nobody writes them."""

PAGE_RECORDS = 2_000
"""How many records of a batch too large for memory are planned at a time."""


class Batches(Due):
    """The room where batches are formed."""

    def backlog(self, system: str) -> int:
        """How many records wait to be planned for a system, as far as they are in memory."""
        return len(self.open[system])

    def spill(self, system: str) -> None:
        """The system is far behind: from here on, what is due to it is read back from the store."""
        if self.open[system]:
            self.open[system] = {}
            self.spilled[system] = True

    def _spill_all(self) -> None:
        for system in self.open:
            self.spill(system)

    def next_batch(self, system: str) -> Batch | None:
        """What is due to a system now; None if nothing is, or a batch is still under way.

        To be sent only when everything decided before is durable: what a batch writes must not be forgotten."""
        mark = self.marks[system]
        if mark.applied != mark.dispatched:
            return None
        if self.spilled[system]:
            return self._paged_batch(system)
        if not self.open[system]:
            return None
        opened, self.open[system] = self.open[system], {}
        items = []
        for name, record in opened.items():
            side = record.sides.get(system)
            if side is None:
                continue
            settle(record, side, mark, self.rules[name[0]].layouts[system])
            if side.due:
                items.append((self.rules[name[0]], name[1], record, side))
        frozen = [_frozen(item) for item in self._free(items, system)]
        keys = self._parent_keys(frozen, system)
        mark.dispatched = self.number
        return Batch(
            system, self.number, [], 0, self.durable_applied[system], lambda: plan(frozen, system, _refused_late, keys)
        )

    def _parent_keys(self, items: list[Item], system: str) -> Keys:
        """The keys that the system has of the records these refer to."""
        names = parents_of(items, system)
        self._load(names)
        found = {name: self.cache[name[0]].get(name[1]) for name in names}
        return {name: record.keys[system] for name, record in found.items() if record and system in record.keys}

    def _paged_batch(self, system: str) -> Batch | None:
        self.spilled[system] = False
        mark = self.marks[system]
        pages = _Pages(self, system, mark.applied, self.number)
        mark.dispatched = self.number
        return Batch(system, self.number, [], 0, self.durable_applied[system], None, pages)

    def _free(self, items: list[Item], system: str) -> list[Item]:
        """Without those whose parent is in quarantine, or is not there and will not be: they wait with it."""
        free = []
        for item in items:
            rules, key, record, _ = item
            parent = self._bad_parent(rules, record, system) if self.quarantined else None
            missing = self._missing_parent(rules, record, system) if rules.crossed_references and not parent else None
            if parent:
                self._quarantine(rules, key, record, system, f"{WAITS_FOR} {parent}, which is in quarantine")
            elif missing:
                self._quarantine(rules, key, record, system, f"{WAITS_FOR} {missing}, which is not in {system}")
            else:
                free.append(item)
        return free

    def quiet(self) -> bool:
        """True if nothing is due, under way or waiting anywhere, as far as has been read."""
        return (
            not any(self.open.values())
            and not any(self.spilled.values())
            and not any(mark.applied != mark.dispatched for mark in self.marks.values())
            and not any(self.waiting.values())
            and not any(self.deferred.values())
            and not any(self.rereads.values())
        )


class _Pages:
    """The writes of a batch that is too large for memory, planned page by page from what is committed in the store.

    Iterated by a writer thread. What changes meanwhile is told apart by the records' second layer."""

    def __init__(self, desk: Batches, system: str, after: int, upto: int) -> None:
        self.rules = desk.rules
        self.store = desk.store
        self.system = system
        self.after = after
        self.upto = upto

    def __iter__(self) -> Iterator[list[Write]]:
        for rules, deletions in in_order(self.rules.values()):
            if self.system not in rules.layouts:
                continue
            below = self.after
            for row in self.store.pending(self.after):
                if row.number > self.upto:
                    break
                keys = [key for entity, key in row.records if entity == rules.name]
                for at in range(0, len(keys), PAGE_RECORDS):
                    writes = self._page(rules, keys[at : at + PAGE_RECORDS], below, row.number, deletions)
                    if writes:
                        yield writes
                below = row.number

    def _page(self, rules: EntityRules, keys: list[str], below: int, upto: int, deletions: bool) -> list[Write]:
        items: list[Item] = []
        for key, state in self.store.load_committed(rules.name, keys).items():
            record = decode(state)
            side = record.sides.get(self.system)
            if side is None:
                continue
            if side.sent is not None and side.sent_due <= self.after:
                side.held, side.sent = side.sent, None  # confirmed since, but not looked at
            if deletions and record.alive and side.sent is None:
                continue  # not one that is deleted: it was planned in the other pass
            due = side.due if side.sent is None else side.sent_due
            if below < due <= upto:
                items.append((rules, key, record, side))
        writes, _ = plan(items, self.system, _refused_late, self._parent_keys(items))
        return [w for w in writes if (w.kind == "delete") == deletions]

    def _parent_keys(self, items: list[Item]) -> Keys:
        """As far as they are committed: what is not is made by this very batch."""
        wanted: dict[str, list[str]] = {}
        for entity, id in parents_of(items, self.system):
            wanted.setdefault(entity, []).append(id)
        keys: dict[Name, str] = {}
        for entity, ids in wanted.items():
            for id, state in self.store.load_committed(entity, ids).items():
                parent = decode(state)
                if self.system in parent.keys:
                    keys[entity, id] = parent.keys[self.system]
        return keys


def _frozen(item: Item) -> Item:
    """An item as it is now, for the writer's thread to plan while this one goes on deciding."""
    rules, key, record, side = item
    now = Record(record.alive, record.values, record.table, record.index, NOTHING, record.holds.copy(), record.keys)
    return rules, key, now, Side(side.held.copy(), side.due, None, 0, [])


def _refused_late(rules: EntityRules, key: str, reason: str) -> None:
    raise EngineFault(f"a value of `{rules.name}` was accepted that cannot be stored: {reason}")
