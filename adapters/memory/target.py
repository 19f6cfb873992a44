"""Writes a database in memory, as `engine.ports.Target` promises: guarded, all of a batch or nothing, told in a ledger.

Turns a batch into committed rows and its outcome. A record in one table under a shared key is written here, one that
is put together from rows of several tables by `assembled.py`. What only the end of the batch tells (a row refers to a
record that could not be made, or to none) makes the batch start over without the rows that it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.memory.assembled import Assembled, Attempt
from adapters.memory.system import LedgerRow, MemorySystem
from engine.errors import EngineFault, SystemUnavailable
from engine.vocabulary import (
    ABSENT,
    UNSET,
    Batch,
    Change,
    Outcome,
    Reread,
    Row,
    RowResult,
    Text,
    Write,
    WriteRow,
)


class MemoryTarget:
    """Writes a MemorySystem, guarded as a real target is."""

    def __init__(self, database: MemorySystem, now_us: Callable[[], int] = lambda: 0) -> None:
        self.database = database
        self.system = database.system
        self.now_us = now_us
        self.assembled = Assembled(database)
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
        batch.is_durable()
        database = self.database
        if any(entry.number_to == batch.number_to for entry in database.ledger):
            raise EngineFault("a batch was sent that is already in the ledger", system=self.system)
        database.undo.clear()
        try:
            outcome, changes = self._write_all(batch.number_to, [w for writes in batch.parts() for w in writes])
        except BaseException:
            database.roll_back()
            raise
        database.ledger = [entry for entry in database.ledger if entry.number_to > batch.forget_to]
        database.end += 1
        outcome.separator = database.end
        database.written += len(changes)
        database.commit(changes, self.now_us(), own=True)
        database.ledger.append(LedgerRow(batch.number_to, outcome))
        if self.lose_answer:
            self.lose_answer = False
            raise SystemUnavailable("the connection broke", system=self.system)
        return outcome

    def _write_all(self, number_to: int, writes: list[Write]) -> tuple[Outcome, list[Change]]:
        """Starts over until no row is left that only a later one shows to be impossible."""
        locked = {row[0] for write in writes for row in write.rows if self._locked(write, row)}
        attempt = Attempt()
        while True:
            outcome, changes = Outcome(self.system, number_to, 0), list[Change]()
            self.assembled.begin([(w, row) for w in writes for row in w.rows if row[0] not in locked], attempt)
            for write in writes:
                for row in write.rows:
                    if row[0] in locked:
                        outcome.exceptions.append(RowResult(write.entity, row[1], "deferred"))
                    elif write.entity in self.database.assemblies:
                        changes += self.assembled.write(write, row, attempt, outcome)
                    else:
                        changes += self._write(write, row, outcome)
                self.between()
            if not self.assembled.impossible(attempt):
                return outcome, changes
            self.database.roll_back()

    def _locked(self, write: Write, row: WriteRow) -> bool:
        """True if a user holds a lock on any row of the record, or on one that a foreign key would have to look at."""
        database = self.database
        if write.entity in database.assemblies:
            return self.assembled.locked(write.entity, row[2])
        if database.is_locked(write.entity, row[1]):
            return True
        if not database.held or not database.foreign_keys:
            return False
        if write.kind == "delete":
            return database.is_referred_unseen(write.entity, row[1])
        columns = database.layouts[write.entity].binding.columns
        return database.is_parent_going(
            write.entity, {columns.index(f): v for f, v in zip(write.columns, row[3], strict=True)}
        )

    def _write(self, write: Write, row: WriteRow, outcome: Outcome) -> list[Change]:
        _, key, key_values, new, held = row
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
        sent = dict(zip(places, new, strict=False))
        if write.kind == "insert":
            sent |= zip(database.tables[layout.binding.table].key, key_values, strict=True)
        values: dict[str, Text] = {names[p]: v for p, v in sent.items() if not isinstance(v, bool)}
        broken = self._broken(write, key, there, values)
        if broken:
            outcome.exceptions.append(RowResult(write.entity, key, "failed", reason=f"constraint `{broken}`"))
            return []
        if write.kind == "delete":
            return database.delete(write.entity, key)
        changes = (
            database.insert(write.entity, values) if there is None else database.update(write.entity, key, values)
        )
        self._deviations(write, key, sent, outcome)
        return changes

    def _broken(self, write: Write, key: str, there: list[Text] | None, values: dict[str, Text]) -> str:
        """The constraint that refuses this row, or ""."""
        database = self.database
        if write.kind == "delete":
            return "foreign key" if database.has_children(write.entity, key) else ""
        number = database.number_of(write.entity)
        row = database.made(number, values) if there is None else database.changed(number, key, values)
        return "foreign key" if database.orphaned(number, row) else database.constraint(write.entity, row)

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
        database.end += 1
        if entity in database.assemblies:
            return self.assembled.reread(entity, keys)
        layout = database.layouts[entity]
        answers = []
        for key in keys:
            if database.is_locked(entity, key):
                continue
            there = database.rows[entity].get(key)
            row: Row | None = None
            if there is not None:
                by_number = dict(zip(layout.binding.columns, there, strict=True))
                row = tuple([by_number.get(n, ABSENT) for n in range(layout.width)])
            answers.append(Reread(self.system, entity, key, row, database.end))
        return answers

    def clock(self) -> tuple[int, int]:
        """How far the database's clock is ahead; exactly known."""
        return self.database.skew_us, 0

    def close(self) -> None:
        """Nothing to let go of."""
