"""The stores of all partitions as one, for commands that look at records or ask something of the engines.

Turns what is asked of a store into what is asked of each partition's: a record is looked for at home, lists are put
together, and a request goes to the partition of its record, or to all. It only reads, but for requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from adapters.store import HoldRow, JournalRow, SqlStore
from engine.errors import StoreMissing
from engine.flows import Plan
from engine.ports import StoreState
from engine.rulebook import RuleBook
from rules import RuleFile
from rules.flows import plan_of
from service.wiring import open_part, open_store


class Parts:
    """See the module. Offers what commands ask of a `SqlStore`."""

    def __init__(self, rules: RuleFile, plan: Plan) -> None:
        """Opens all that are there. Raises StoreMissing if none is, StoreUnfit."""
        self.plan = plan
        self.stores: dict[int, SqlStore] = {}
        missing: StoreMissing | None = None
        for number in range(plan.partitions):
            try:
                self.stores[number] = open_part(rules, f"p{number}", create=False)
            except StoreMissing as error:
                missing = error
        if not self.stores and missing is not None:
            raise missing

    def at(self, entity: str, key: str) -> SqlStore:
        """The store of a record's partition. Raises StoreMissing if no engine of it has ever run."""
        home = self.plan.home(entity, key)
        if home not in self.stores:
            raise StoreMissing(f"partition {home} has no store yet", mend="`duolog run --worker` makes it")
        return self.stores[home]

    def load_committed(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `engine.ports.Store`."""
        by_home: dict[int, list[str]] = {}
        for key in keys:
            by_home.setdefault(self.plan.home(entity, key), []).append(key)
        found: dict[str, bytes] = {}
        for home, wanted in by_home.items():
            if home in self.stores:
                found |= self.stores[home].load_committed(entity, wanted)
        return found

    def find_committed(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """See `engine.ports.Store`."""
        found: dict[str, dict[str, bytes]] = {}
        for store in self.stores.values():
            for value, items in store.find_committed(space, values).items():
                found.setdefault(value, {}).update(items)
        return found

    find = find_committed

    def state(self) -> StoreState:
        """The first partition's: its phase is what commands ask for."""
        return next(iter(self.stores.values())).state()

    def journal(
        self, entity: str | None = None, key: str | None = None, since: int | None = None, limit: int = 100
    ) -> list[JournalRow]:
        """The newest entries of all partitions, by the time at which they were written."""
        rows = [row for store in self.stores.values() for row in store.journal(entity, key, since, limit)]
        return sorted(rows, key=lambda row: (row.at, row.id), reverse=True)[:limit]

    def journal_size(self, entity: str | None = None, key: str | None = None) -> int:
        """How many entries there are in all."""
        return sum(store.journal_size(entity, key) for store in self.stores.values())

    def quarantined(self) -> list[tuple[str, str, str, str]]:
        """(entity, key, system, reason), in that order."""
        return sorted(row for store in self.stores.values() for row in store.quarantined())

    def held(self) -> list[tuple[str, str, int]]:
        """(entity, key, register), in that order."""
        return sorted(row for store in self.stores.values() for row in store.held())

    def holds(self) -> list[HoldRow]:
        """The conflicts that are left to a person, the oldest first."""
        rows = [row for store in self.stores.values() for row in store.holds()]
        return sorted(rows, key=lambda row: (row.since, row.entity, row.key, row.register))

    def ask(self, kind: str, arguments: dict[str, str], by: str) -> list[tuple[int, int]]:
        """Leaves a request with the partition of its record, or with all that may have any. Returns (partition, id)."""
        entity, key = arguments.get("entity", ""), arguments.get("key", "")
        homes: Sequence[int] = tuple(self.stores)
        if entity:
            homes = (self.plan.home(entity, key),) if key else self.plan.flow(entity).partitions
        return [(home, self.stores[home].ask(kind, arguments, by)) for home in homes if home in self.stores]

    def answer(self, number: list[tuple[int, int]]) -> str | None:
        """What came of it, in words; None while any of them waits."""
        answers = [self.stores[home].answer(id) for home, id in number]
        if any(answer is None for answer in answers):
            return None
        return "; ".join(dict.fromkeys(str(answer) for answer in answers))

    def statuses(self) -> Iterator[dict[str, Any]]:
        """What each partition's engine told last."""
        for number, store in self.stores.items():
            text = store.status()
            known = {"partition": number, "state": "never started", "engine": {}, "epoch": 0, "trouble": ""}
            yield known | (json.loads(text) if text else {})

    def status(self) -> str | None:
        """One engine's document for all: of one that runs, if any does."""
        found = sorted(self.statuses(), key=lambda told: not told["engine"].get("running", False))
        return json.dumps(found[0])

    def close(self) -> None:
        """Lets go of all."""
        for store in self.stores.values():
            store.close()


AnyStore: TypeAlias = SqlStore | Parts


def open_known(rules: RuleFile, book: RuleBook) -> AnyStore:
    """The store of rules, for commands that read it: of one engine, or of all that share the work.

    Raises StoreMissing, StoreUnfit."""
    if rules.workers is None:
        return open_store(rules, create=False)
    return Parts(rules, plan_of(book, rules.workers.partitions))


def store_at(store: AnyStore, entity: str, key: str) -> SqlStore:
    """The store in which a record is."""
    return store.at(entity, key) if isinstance(store, Parts) else store


def readers_of(rules: RuleFile) -> dict[str, dict[str, Any]]:
    """What each system's reader told last."""
    found: dict[str, dict[str, Any]] = {}
    for system in rules.systems:
        with suppress(StoreMissing):
            store = open_part(rules, f"r_{system}", create=False)
            try:
                text = store.status()
            finally:
                store.close()
            if text:
                found[system] = json.loads(text)
    return found
