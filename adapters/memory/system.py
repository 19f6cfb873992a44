"""One database in memory: tables, a change log, users' transactions, triggers and row locks; and its two ports.

Turns users' operations and our batches into committed rows and log entries, as a real database would: with foreign
keys, unchanged large columns left out of the log, and transactions too large to hand over at once. Deterministic: it
has no clock of its own (commit times are given) and no randomness.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.desk.records import key_maker
from engine.errors import EngineFault, PositionForeign, SystemUnavailable
from engine.record import Layout
from engine.rulebook import RuleBook
from engine.vocabulary import (
    ABSENT,
    DELETE,
    INSERT,
    UNSET,
    UPDATE,
    Batch,
    Change,
    Outcome,
    Position,
    Progress,
    Reread,
    Row,
    RowResult,
    Text,
    Transaction,
    Write,
    WriteRow,
)

Trigger = Callable[[str, list[Text]], list[Text]]
"""Given (entity, row in table column order), the row as the database really stores it."""
Constraint = Callable[[str, list[Text]], str]
"""Given (entity, row in table column order): "" if it may be stored, else the name of the constraint it breaks."""


@dataclass(slots=True)
class _Ledger:
    number_to: int
    outcome: Outcome


@dataclass
class MemorySystem:
    """The database. `rows[entity][key]` is a committed row, in table column order."""

    system: str
    book: RuleBook
    trigger: Trigger = lambda entity, row: row
    constraint: Constraint = lambda entity, row: ""
    defaults: dict[str, Text] = field(default_factory=dict)
    """By column name: what an INSERT without it stores."""
    large: frozenset[str] = frozenset()
    """Columns that the log leaves out where an UPDATE did not change them, as PostgreSQL does with TOAST values."""
    foreign_keys: bool = False
    """References of the rule book are foreign keys here: no child without its parent."""
    rows: dict[str, dict[str, list[Text]]] = field(default_factory=dict)
    log: list[Transaction] = field(default_factory=list)
    end: Position = 100
    """The end of the log."""
    locked: set[tuple[str, str]] = field(default_factory=set)
    """Rows that some user holds a lock on."""
    ledger: list[_Ledger] = field(default_factory=list)
    written: int = 0
    """Rows that our batches have changed."""

    def __post_init__(self) -> None:
        self.tables = self.book.tables[self.system]
        self.numbers = {binding.entity: n for n, binding in enumerate(self.book.bound[self.system])}
        self.layouts = {
            binding.entity: Layout(self.book.entities[binding.entity], binding)
            for binding in self.book.bound[self.system]
        }
        self.keys = {entity: key_maker(self.tables[n]) for entity, n in self.numbers.items()}
        for entity in self.numbers:
            self.rows.setdefault(entity, {})
        self.parents = [
            (entity, binding.columns.index(f.number), f.reference)
            for entity, binding in ((b.entity, b) for b in self.book.bound[self.system])
            for f in self.book.entities[entity].fields
            if f.reference is not None and f.number in binding.columns
        ]
        """(child entity, place of the reference in its row, parent entity)"""

    # ------------------------------------------------------------ users

    def columns(self, entity: str) -> tuple[str, ...]:
        """The names of an entity's columns here."""
        return self.tables[self.numbers[entity]].columns

    def commit(self, changes: list[Change], committed_at: int, own: bool = False) -> Position:
        """Writes a committed transaction to the log."""
        self.end += 10
        self.log.append(Transaction(self.system, self.end, committed_at, own, changes, len(changes)))
        return self.end

    def insert(self, entity: str, values: dict[str, Text]) -> list[Change]:
        """A user's INSERT; `values` by column name. Returns the changes, to be committed with others."""
        row = [values.get(c, self.defaults.get(c)) for c in self.columns(entity)]
        row = self.trigger(entity, row)
        self.rows[entity][self.keys[entity](tuple(row))] = row
        return [(self.numbers[entity], INSERT, tuple(row), None)]

    def update(self, entity: str, key: str, values: dict[str, Text]) -> list[Change]:
        """A user's UPDATE of one row. The log carries the old key where it changed."""
        old = self.rows[entity][key]
        row = [values.get(c, v) for c, v in zip(self.columns(entity), old, strict=True)]
        row = self.trigger(entity, row)
        new_key = self.keys[entity](tuple(row))
        self.rows[entity].pop(key)
        self.rows[entity][new_key] = row
        image: Row = tuple(row)
        if self.large:
            image = tuple([
                ABSENT if v == o and c in self.large and c not in values else v
                for c, v, o in zip(self.columns(entity), row, old, strict=True)
            ])
        return [(self.numbers[entity], UPDATE, image, self._key_only(entity, old) if new_key != key else None)]

    def delete(self, entity: str, key: str) -> list[Change]:
        """A user's DELETE of one row; the log carries the key only."""
        old = self.rows[entity].pop(key)
        return [(self.numbers[entity], DELETE, None, self._key_only(entity, old))]

    def _key_only(self, entity: str, row: list[Text]) -> Row:
        table = self.tables[self.numbers[entity]]
        return tuple([v if i in table.key else ABSENT for i, v in enumerate(row)])

    def orphaned(self, entity: str, row: Sequence[Text]) -> bool:
        """True if a foreign key refuses this row: it refers to a parent that is not here."""
        return self.foreign_keys and any(
            row[place] is not None and row[place] not in self.rows[parent]
            for child, place, parent in self.parents if child == entity
        )

    def has_children(self, entity: str, key: str) -> bool:
        """True if a foreign key refuses to delete this row: others refer to it."""
        return self.foreign_keys and any(
            row[place] == key
            for child, place, parent in self.parents if parent == entity
            for row in self.rows[child].values()
        )


class MemorySource:
    """Reads a MemorySystem's log. Transactions of more than `rows_max` changes are handed over spooled, in chunks."""

    def __init__(self, database: MemorySystem, rows_max: int = 1_000_000) -> None:
        self.database = database
        self.system = database.system
        self.rows_max = rows_max
        self.read_to: Position = 0
        self.acknowledged: Position = 0

    def open(self, resume: Position) -> None:
        """Resumes after `resume`."""
        if resume > self.database.end:
            raise PositionForeign(f"the log ends at {self.database.end}, before {resume}", system=self.system)
        self.read_to = resume

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """The next transaction; Progress once at the end of the log; never waits."""
        log = self.database.log
        at = bisect_right(log, self.read_to, key=_position)
        if at < len(log):
            self.read_to = log[at].position
            return self._spooled(log[at]) if log[at].rows > self.rows_max else log[at]
        if self.database.end > self.read_to:
            self.read_to = self.database.end
            return Progress(self.system, self.read_to)
        return None

    def _spooled(self, whole: Transaction) -> Transaction:
        """The same transaction as one that may be read once, chunk by chunk."""
        chunks = _chunks(whole.changes, self.rows_max)
        return Transaction(whole.system, whole.position, whole.committed_at, whole.own, [], whole.rows, chunks)

    def keep_alive(self) -> None:
        """Nobody hangs up in memory."""

    def acknowledge(self, position: Position) -> None:
        """Remembers the highest acknowledged position."""
        self.acknowledged = max(self.acknowledged, position)

    def nudge(self) -> None:
        """The log's end is always known."""

    def close(self) -> None:
        """Nothing to let go of."""


def _position(transaction: Transaction) -> Position:
    return transaction.position


def _chunks(changes: list[Change], size: int) -> Iterator[list[Change]]:
    for at in range(0, len(changes), size):
        yield changes[at : at + size]


Undo = list[tuple[dict[str, list[Text]], str, "list[Text] | None"]]
"""(table, key, the row before), in the order in which they were written."""


class MemoryTarget:
    """Writes a MemorySystem, guarded as a real target is."""

    def __init__(self, database: MemorySystem, now_us: Callable[[], int] = lambda: 0) -> None:
        self.database = database
        self.system = database.system
        self.now_us = now_us
        self.lose_answer = False
        """The next batch is committed, but its answer gets lost."""
        self.between: Callable[[], None] = lambda: None
        """Called after each statement of a batch; where it raises, as a lost connection does, nothing was written."""

    def open(self) -> None:
        """Always reachable."""

    def committed(self, after: int) -> list[Outcome]:
        """The ledger's rows after a deciding step."""
        return [entry.outcome for entry in self.database.ledger if entry.number_to > after]

    def apply(self, batch: Batch) -> Outcome:
        """Writes the batch as one transaction."""
        database = self.database
        if any(entry.number_to == batch.number_to for entry in database.ledger):
            raise EngineFault("a batch was sent that is already in the ledger", system=self.system)
        outcome = Outcome(self.system, batch.number_to, 0)
        changes: list[Change] = []
        undo: Undo = []
        try:
            self._write_all(list(batch.parts()), outcome, changes, undo)
        except BaseException:
            _roll_back(undo)
            raise
        database.ledger = [entry for entry in database.ledger if entry.number_to > batch.forget_to]
        database.end += 1
        outcome.separator = database.end
        database.written += len(changes)
        database.commit(changes, self.now_us(), own=True)
        database.ledger.append(_Ledger(batch.number_to, outcome))
        if self.lose_answer:
            self.lose_answer = False
            raise SystemUnavailable("the connection broke", system=self.system)
        return outcome

    def _write_all(self, parts: list[list[Write]], outcome: Outcome, changes: list[Change], undo: Undo) -> None:
        locked = {
            row[0] for writes in parts for write in writes for row in write.rows
            if (write.entity, row[1]) in self.database.locked
        }
        for write in (write for writes in parts for write in writes):
            table = self.database.rows[write.entity]
            for row in write.rows:
                if row[0] in locked:
                    outcome.exceptions.append(RowResult(write.entity, row[1], "deferred"))
                else:
                    undo.append((table, row[1], table.get(row[1])))
                    changes += self._write(write, row, outcome)
            self.between()

    def _write(self, write: Write, row: WriteRow, outcome: Outcome) -> list[Change]:
        _, key, _, new, held = row
        database = self.database
        layout = database.layouts[write.entity]
        places = [layout.binding.columns.index(f) for f in write.columns]
        there = database.rows[write.entity].get(key)
        if (there is None) != (write.kind == "insert") or (
            there is not None and any(there[p] != h for p, h in zip(places, held, strict=True))
        ):
            outcome.exceptions.append(RowResult(write.entity, key, "unmatched"))
            return []
        names = database.columns(write.entity)
        values: dict[str, Text] = {names[p]: v for p, v in zip(places, new, strict=False) if not isinstance(v, bool)}
        broken = self._broken(write, key, there, values)
        if broken:
            outcome.exceptions.append(RowResult(write.entity, key, "failed", reason=f"constraint `{broken}`"))
            return []
        if write.kind == "delete":
            return database.delete(write.entity, key)
        changes = (
            database.insert(write.entity, values) if there is None else database.update(write.entity, key, values)
        )
        self._deviations(write, key, dict(zip(places, new, strict=True)), outcome)
        return changes

    def _broken(self, write: Write, key: str, there: list[Text] | None, values: dict[str, Text]) -> str:
        """The constraint that refuses this row, or ""."""
        database = self.database
        if write.kind == "delete":
            return "foreign key" if database.has_children(write.entity, key) else ""
        names = database.columns(write.entity)
        before = there or [database.defaults.get(c) for c in names]
        row = database.trigger(write.entity, [values.get(c, v) for c, v in zip(names, before, strict=True)])
        return "foreign key" if database.orphaned(write.entity, row) else database.constraint(write.entity, row)

    def _deviations(self, write: Write, key: str, sent: dict[int, Text | bool], outcome: Outcome) -> None:
        stored = self.database.rows[write.entity][key]
        columns = self.database.layouts[write.entity].binding.columns
        wanted = range(len(stored)) if write.kind == "insert" else sent
        differs = {columns[p]: stored[p] for p in wanted if stored[p] != sent.get(p, UNSET)}
        if differs:
            outcome.exceptions.append(RowResult(write.entity, key, "stored", stored=differs))

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """The rows as they are now; those that a user has locked are left out."""
        database = self.database
        layout = database.layouts[entity]
        database.end += 1
        answers = []
        for key in keys:
            if (entity, key) in database.locked:
                continue
            there = database.rows[entity].get(key)
            row: Row | None = None
            if there is not None:
                by_number = dict(zip(layout.binding.columns, there, strict=True))
                row = tuple([by_number.get(n, ABSENT) for n in range(layout.width)])
            answers.append(Reread(self.system, entity, key, row, database.end))
        return answers

    def close(self) -> None:
        """Nothing to let go of."""


def _roll_back(undo: Undo) -> None:
    for table, key, before in reversed(undo):
        if before is None:
            table.pop(key, None)
        else:
            table[key] = before
