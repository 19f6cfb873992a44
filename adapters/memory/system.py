"""One database in memory: tables, a change log, users' transactions, triggers, row locks and foreign keys.

Turns users' operations into committed rows and log entries, as a real database would: with unchanged large columns left
out of the log, keys drawn where none is given, and users who wait at COMMIT for whoever reads the log. Deterministic:
it has no clock of its own (commit times are given) and no randomness. It knows nothing of records; a table is named by
its number, by its name, or by the entity that lives in it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.assembly import key_of
from engine.desk.records import key_maker
from engine.record import Layout
from engine.rulebook import Assembly, Binding, RuleBook
from engine.vocabulary import (
    ABSENT,
    DELETE,
    INSERT,
    UPDATE,
    Change,
    Outcome,
    Position,
    Row,
    Text,
    Transaction,
)

Trigger = Callable[[str, list[Text]], list[Text]]
"""Given (table, row in table column order), the row as the database really stores it."""
Constraint = Callable[[str, list[Text]], str]
"""Given (table, row in table column order): "" if it may be stored, else the name of the constraint it breaks."""

Undo = list[tuple[dict[str, list[Text]], str, "list[Text] | None"]]
"""(table, key, the row before), in the order in which they were written."""

KEYS_APART = 1000
"""Between the first keys that two tables draw: a key of one is never a key of the other, in a short life."""


@dataclass(slots=True)
class LedgerRow:
    """What the ledger remembers of a batch."""

    number_to: int
    outcome: Outcome


@dataclass(slots=True)
class Waiting:
    """A commit that is in the log, whose user waits for the answer: he keeps his locks, and nobody sees his rows."""

    rows: frozenset[tuple[str, str]]
    """(name of the table, key)"""
    made: frozenset[tuple[str, str]]
    """Those of them that were not there before."""


@dataclass
class MemorySystem:
    """The database. See the module."""

    system: str
    book: RuleBook
    trigger: Trigger = lambda table, row: row
    constraint: Constraint = lambda table, row: ""
    defaults: dict[str, Text] = field(default_factory=dict)
    """By column name: what an INSERT without it stores."""
    large: frozenset[str] = frozenset()
    """Columns that the log leaves out where an UPDATE did not change them, as PostgreSQL does with TOAST values."""
    foreign_keys: bool = False
    """References of the rule book are foreign keys here: no child without its parent."""
    first_key: int = 1
    """The first key that the first table draws."""
    rows: dict[str, dict[str, list[Text]]] = field(default_factory=dict)
    """By entity that lives in one table under a shared key: its committed rows by key, in table column order."""
    log: list[Transaction] = field(default_factory=list)
    skew_us: int = 0
    """How far its clock is ahead of ours: whoever gives it commit times has added so much."""
    end: Position = 100
    """The end of the log."""
    locked: set[tuple[str, str]] = field(default_factory=set)
    """Rows that some user holds a lock on: (name of the table, key)."""
    waiting: dict[Position, Waiting] = field(default_factory=dict)
    """Commits whose users wait, by position, ascending."""
    held: dict[tuple[str, str], Position] = field(default_factory=dict)
    """The rows that they keep locked."""
    answered: Callable[[Position], None] = lambda position: None
    """Told of each commit whose user is answered because it is delivered."""
    ledger: list[LedgerRow] = field(default_factory=list)
    written: int = 0
    """Rows that our batches have changed."""
    undo: Undo = field(default_factory=list)
    """What has been changed since the last commit."""

    def __post_init__(self) -> None:
        self.tables = self.book.tables[self.system]
        bound = self.book.bound[self.system]
        self.plain = {binding.entity: binding for binding in bound if binding.assembly is None}
        self.assemblies: dict[str, Assembly] = {b.entity: b.assembly for b in bound if b.assembly is not None}
        self.layouts = {binding.entity: Layout(self.book.entities[binding.entity], binding) for binding in bound}
        self.keys = {entity: key_maker(self.tables[b.table]) for entity, b in self.plain.items()}
        self.names = [table.name for table in self.tables]
        """By table number: its name, or the entity that lives in it alone."""
        for entity, binding in self.plain.items():
            self.names[binding.table] = entity
        self.stored: list[dict[str, list[Text]]] = [{} for _ in self.tables]
        """By table number: the committed rows by key, in column order."""
        for entity, binding in self.plain.items():
            self.stored[binding.table] = self.rows.setdefault(entity, {})
        self.counters = [self.first_key + KEYS_APART * number for number in range(len(self.tables))]
        self.parents = sorted({link for binding in bound for link in self._references(binding)})
        """(child table, column, parent table) of every foreign key."""

    def _references(self, binding: Binding) -> list[tuple[int, int, int]]:
        """The foreign keys that a binding tells of: its references, code tables, and how its parts hang together."""
        roots = {b.entity: b.table for b in self.book.bound[self.system]}
        fields = self.book.entities[binding.entity].fields
        assembly = binding.assembly
        if assembly is None:
            columns = [(number, binding.table, column) for column, number in enumerate(binding.columns)]
            return [(t, c, roots[r]) for n, t, c in columns if (r := fields[n].reference) in roots and r is not None]
        links = []
        for part in assembly.parts:
            for number, column in part.fields:
                reference = fields[number].reference
                if reference is not None and reference in roots:
                    links.append((part.table, column, roots[reference]))
                if number in assembly.lookups:
                    links.append((part.table, column, assembly.lookups[number].table))
            for join in part.joins:
                other = assembly.parts[join.part].table
                if self.tables[other].key == (join.other,):
                    links.append((part.table, join.column, other))
                elif self.tables[part.table].key == (join.column,):
                    links.append((other, join.other, part.table))
        return links

    # ------------------------------------------------------------ users

    def number_of(self, table: str | int) -> int:
        """The number of a table, which may be given by its name."""
        return table if isinstance(table, int) else self.names.index(table)

    def columns(self, table: str | int) -> tuple[str, ...]:
        """The names of a table's columns here."""
        return self.tables[self.number_of(table)].columns

    def commit(self, changes: list[Change], committed_at: int, own: bool = False, *, waits: bool = False) -> Position:
        """Writes a committed transaction to the log. `waits`: its user waits until `answer` reaches it."""
        self.end += 10
        if waits:
            self._wait(self.end, changes)
        self.undo.clear()
        self.log.append(Transaction(self.system, self.end, committed_at, own, changes, len(changes)))
        return self.end

    def _wait(self, position: Position, changes: list[Change]) -> None:
        rows, made = dict[tuple[str, str], None](), set[tuple[str, str]]()
        for number, _, *images in changes:
            for image in images:
                if image is not None:
                    rows[self.names[number], key_of(self.tables[number], image)] = None
        before: dict[tuple[str, str], bool] = {}
        for table, key, old in self.undo:
            name = next(n for n, stored in zip(self.names, self.stored, strict=True) if stored is table)
            before.setdefault((name, key), old is not None)
        made.update(name for name, there in before.items() if not there)
        self.waiting[position] = Waiting(frozenset(rows), frozenset(made))
        self.held.update(dict.fromkeys(rows, position))

    def answer(self, to: Position, *, delivered: bool = True) -> list[Position]:
        """Users who wait for what was committed up to `to` go on; returns where their commits are. `delivered`: because
        the others have it, not because somebody let go."""
        going = [position for position in self.waiting if position <= to]
        for position in going:
            for row in self.waiting.pop(position).rows:
                if self.held.get(row) == position:
                    del self.held[row]
            if delivered:
                self.answered(position)
        return going

    def is_locked(self, name: str, key: str) -> bool:
        """True if some user holds a lock on a row, in a transaction or waiting at COMMIT."""
        return (name, key) in self.locked or (name, key) in self.held

    def is_unseen(self, name: str, key: str) -> bool:
        """True if a row was made by a user who waits at COMMIT: to all others it is not there."""
        position = self.held.get((name, key))
        return position is not None and (name, key) in self.waiting[position].made

    def draw(self, number: int) -> str:
        """The next free key of a table."""
        while str(self.counters[number]) in self.stored[number]:
            self.counters[number] += 1
        self.counters[number] += 1
        return str(self.counters[number] - 1)

    def insert(self, table: str | int, values: dict[str, Text]) -> list[Change]:
        """An INSERT; `values` by column name. Returns the changes, to be committed with others."""
        number = self.number_of(table)
        row = self.made(number, values)
        self._put(number, key_of(self.tables[number], tuple(row)), row)
        return [(number, INSERT, tuple(row), None)]

    def made(self, number: int, values: dict[str, Text]) -> list[Text]:
        """The row that an INSERT would store: with defaults, drawn keys and what triggers do."""
        row = [values.get(c, self.defaults.get(c)) for c in self.columns(number)]
        if self.names[number] not in self.plain:
            for place in self.tables[number].key:
                if row[place] is None:
                    row[place] = self.draw(number)
        return self.trigger(self.names[number], row)

    def update(self, table: str | int, key: str, values: dict[str, Text]) -> list[Change]:
        """An UPDATE of one row. The log carries the old key where it changed."""
        number = self.number_of(table)
        old = self.stored[number][key]
        row = self.changed(number, key, values)
        new_key = key_of(self.tables[number], tuple(row))
        self._put(number, key, None)
        self._put(number, new_key, row)
        image: Row = tuple(row)
        if self.large:
            image = tuple([
                ABSENT if v == o and c in self.large and c not in values else v
                for c, v, o in zip(self.columns(number), row, old, strict=True)
            ])
        return [(number, UPDATE, image, self._key_only(number, old) if new_key != key else None)]

    def changed(self, number: int, key: str, values: dict[str, Text]) -> list[Text]:
        """The row that an UPDATE would store, with what triggers do."""
        old = self.stored[number][key]
        row = [values.get(c, v) for c, v in zip(self.columns(number), old, strict=True)]
        return self.trigger(self.names[number], row)

    def delete(self, table: str | int, key: str) -> list[Change]:
        """A DELETE of one row; the log carries the key only."""
        number = self.number_of(table)
        old = self.stored[number][key]
        self._put(number, key, None)
        return [(number, DELETE, None, self._key_only(number, old))]

    def _key_only(self, number: int, row: list[Text]) -> Row:
        return tuple([v if i in self.tables[number].key else ABSENT for i, v in enumerate(row)])

    def _put(self, number: int, key: str, row: list[Text] | None) -> None:
        table = self.stored[number]
        self.undo.append((table, key, table.get(key)))
        if row is None:
            del table[key]
        else:
            table[key] = row

    def roll_back(self, mark: int = 0) -> None:
        """Takes back what was written since `undo` had `mark` entries."""
        while len(self.undo) > mark:
            table, key, before = self.undo.pop()
            if before is None:
                table.pop(key, None)
            else:
                table[key] = before

    # ------------------------------------------------------------ foreign keys

    def orphaned(self, table: str | int, row: Sequence[Text]) -> bool:
        """True if a foreign key refuses this row: it refers to a parent that is not here."""
        number = self.number_of(table)
        return self.foreign_keys and any(
            key is not None and (key not in self.stored[parent] or self.is_unseen(self.names[parent], key))
            for child, place, parent in self.parents if child == number for key in [row[place]]
        )

    def is_parent_going(self, table: str | int, row: Mapping[int, Text | bool]) -> bool:
        """True if a row refers to one that a user has deleted who waits at COMMIT. `row`: by position."""
        number = self.number_of(table)
        return any(
            isinstance(key, str) and key not in self.stored[parent] and (self.names[parent], key) in self.held
            for child, place, parent in self.parents if child == number for key in [row.get(place)]
        )

    def is_referred_unseen(self, table: str | int, key: str) -> bool:
        """True if a user who waits at COMMIT has written a row that refers to this one."""
        number = self.number_of(table)
        return any(
            row[place] == key and (self.names[child], own) in self.held
            for child, place, parent in self.parents if parent == number
            for own, row in self.stored[child].items()
        )

    def has_children(self, table: str | int, key: str) -> bool:
        """True if a foreign key refuses to delete this row: others refer to it."""
        number = self.number_of(table)
        return self.foreign_keys and any(
            row[place] == key
            for child, place, parent in self.parents if parent == number
            for row in self.stored[child].values()
        )
