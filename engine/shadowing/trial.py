"""The desk under the rules that are tried: each transaction is decided on the state of the rules in force.

Turns a transaction into what these rules would make of it; then everything is as the rules in force have it. It keeps
nothing but the counts of its limits, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.decide import Decider
from engine.desk.quarantine import Quarantine
from engine.desk.records import Name
from engine.ports import Delta, Pending, Request, StoreState
from engine.record import Record, encode
from engine.rulebook import RuleBook
from engine.shadowing.following import Follower
from engine.vocabulary import Change, Transaction


class Under:
    """The state of the rules in force, as a store; implements `engine.ports.Store`. What is written is forgotten."""

    def __init__(self, base: Follower) -> None:
        self.base = base

    def state(self) -> StoreState:
        """As the store below has it."""
        return self.base.store.state()

    def load(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The records as they are in hand."""
        found = {key: self.base.record(entity, key) for key in keys}
        return {key: encode(record) for key, record in found.items() if record is not None}

    def load_committed(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The same."""
        return self.load(entity, keys)

    def find(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The multimap as it is in hand."""
        found = {value: dict(self.base.crossing.entries.items(space, value)) for value in values}
        return {value: items for value, items in found.items() if items}

    def find_committed(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The same."""
        return self.find(space, values)

    def entries(self, space: str) -> Iterator[tuple[str, str, bytes]]:
        """A whole space, as far as it is in the store below."""
        return self.base.store.entries(space)

    def scan(self, entity: str, start: str = "") -> Iterator[tuple[str, bytes]]:
        """All records from a key on, as far as they are in the store below."""
        return self.base.store.scan(entity, start)

    def write(self, delta: Delta) -> None:
        """Forgotten."""

    def commit(self, delta: Delta) -> None:
        """Forgotten."""

    def pending(self, after: int, *, written: bool = False) -> Iterator[Pending]:
        """Nothing is ever sent."""
        return iter(())

    def requests(self) -> list[Request]:
        """Nobody asks a trial for anything."""
        return []

    def quarantined(self) -> list[tuple[str, str, str, str]]:
        """As it is in hand."""
        return [(*place, reason) for place, reason in self.base.quarantined.items()]

    def held(self) -> list[tuple[str, str, int]]:
        """As it is in hand."""
        return list(self.base.held)


class Trial(Decider):
    """See the module. `left_out`: entities that are not tried, as they have other fields under these rules."""

    def __init__(self, book: RuleBook, base: Follower, left_out: frozenset[str]) -> None:
        super().__init__(book, Under(base))
        self.base = base
        self.left_out = left_out
        self.touched: dict[Name, Record] = {}
        self.moved = {system: _Moved(base.book, book, system, left_out) for system in book.systems}
        self._counted = (0, 0)
        self.start()

    def try_out(self, transaction: Transaction) -> None:
        """Decides what the rules in force have not decided yet, on the state that they have. Not for transactions that
        are spooled: those can be read once only."""
        self._as_in_force()
        changes = self.moved[transaction.system].changes(transaction.changes)
        mine = Transaction(
            transaction.system, transaction.position, transaction.committed_at, transaction.own, changes, len(changes)
        )
        self.prefetch([mine])
        self.decide(mine)
        self.touched = self.dirty

    def _as_in_force(self) -> None:
        base = self.base
        self.number = base.number
        for system, mark in self.marks.items():
            other = base.marks[system]
            mark.applied, mark.dispatched, mark.read = other.applied, other.dispatched, other.read
            mark.recent = list(other.recent)
            self.open[system], self.spilled[system] = {}, False
            self.waiting[system], self.deferred[system] = {}, {}
            self.rereads[system], self.unstorable[system] = {}, {}
        self.cache = {name: {} for name in self.rules}
        self.dirty, self.due, self.delta = {}, {}, Delta()
        self.crossing.entries.forget()
        self.held = set(base.held)
        self.quarantined = Quarantine()
        for place, reason in base.quarantined.items():
            self.quarantined[place] = reason
        for entity in self.stops:
            for (guarded, _), guard in self.guards.items():
                if guarded == entity:
                    guard.forget()
        self.stops, self.above = {}, frozenset()
        self.news.clear()


class _Moved:
    """One system's changes, from the tables of one rule book to those of another."""

    def __init__(self, old: RuleBook, new: RuleBook, system: str, left_out: frozenset[str]) -> None:
        named = {(t.schema, t.name): (number, t) for number, t in enumerate(new.tables[system])}
        bound = {binding.table: binding.entity for binding in new.bound[system] if binding.assembly is None}
        self._tables: dict[int, tuple[int, tuple[int, ...]]] = {}
        for number, table in enumerate(old.tables[system]):
            found = named.get((table.schema, table.name))
            if found is None or bound.get(found[0]) in left_out:
                continue
            self._tables[number] = (found[0], tuple([table.columns.index(c) for c in found[1].columns]))

    def changes(self, changes: Sequence[Change]) -> list[Change]:
        """Those of tables that both have."""
        moved: list[Change] = []
        for number, op, new, old in changes:
            if number in self._tables:
                table, places = self._tables[number]
                moved.append(
                    (
                        table,
                        op,
                        tuple([new[p] for p in places]) if new is not None else None,
                        tuple([old[p] for p in places]) if old is not None else None,
                    )
                )
        return moved
