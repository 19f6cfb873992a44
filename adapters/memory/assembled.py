"""Writes records that are put together from rows of several tables: the meaning of a `Write` of a crossed entity.

Turns one row of a batch into changes of physical rows, guarded across all of them, and into a result. Keys are drawn
for all new records before the first is written, so that they may refer to each other in any order; what a record refers
to must be there at the end of the batch, as a deferred constraint has it. It never decides what is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.memory.system import MemorySystem
from adapters.memory.work import NotWritten, Work
from engine.assembly import KEY_SEPARATOR, belongs, key_of, looked_at
from engine.rulebook import Assembly, Lookup
from engine.vocabulary import (
    MISSING_CODE,
    MISSING_PARENT,
    UNSET,
    Change,
    KeyOf,
    Outcome,
    Reread,
    RowResult,
    Text,
    Values,
    Write,
    WriteRow,
)

Name = tuple[str, str]
"""(entity, record id)"""

UNKNOWN: Final = object()
"""What a stored code means that its table lacks: equal to nothing that could be held."""


@dataclass(slots=True)
class Attempt:
    """What is known of a batch while it is tried, perhaps several times."""

    keys: dict[Name, str] = field(default_factory=dict)
    """Drawn for records that the batch creates."""
    refused: dict[Name, RowResult] = field(default_factory=dict)
    """Left out from the next attempt on."""
    used: set[Name] = field(default_factory=set)
    """Records whose drawn keys others were given."""
    missed: dict[Name, RowResult] = field(default_factory=dict)
    """Not written this time."""
    done: list[tuple[Name, list[Change]]] = field(default_factory=list)
    """Written this time."""


class Assembled:
    """See the module."""

    def __init__(self, database: MemorySystem) -> None:
        self.database = database

    def _work(self, entity: str, key: str) -> Work:
        return Work(self.database, self.database.assemblies[entity], key)

    # ------------------------------------------------------------ a batch

    def begin(self, rows: Iterable[tuple[Write, WriteRow]], attempt: Attempt) -> None:
        """A new attempt. Draws the keys of the records that these rows create, parents' first where it matters."""
        attempt.used, attempt.missed, attempt.done = set(), {}, []
        waiting = [
            (write, row) for write, row in rows
            if write.entity in self.database.assemblies and write.kind == "insert" and not row[2]
            and (write.entity, row[1]) not in attempt.refused
        ]
        attempt.keys = {n: key for n, key in attempt.keys.items() if n not in attempt.refused}
        before = -1
        while waiting and len(waiting) != before:
            before = len(waiting)
            waiting = [(write, row) for write, row in waiting if not self._drawn(write, row, attempt)]

    def _drawn(self, write: Write, row: WriteRow, attempt: Attempt) -> bool:
        """Draws the key of a new record. False if that of another record stands in it and is not drawn yet."""
        assembly, name = self.database.assemblies[write.entity], (write.entity, row[1])
        if name in attempt.keys:
            return True
        table = assembly.parts[0].table
        asked = dict(zip(write.columns, row[3], strict=True))
        texts: list[str] = []
        for number in assembly.key_fields or (-1,) * len(self.database.tables[table].key):
            value = asked.get(number) if number >= 0 else self.database.draw(table)
            value = attempt.keys.get((value.entity, value.id)) if isinstance(value, KeyOf) else value
            if not isinstance(value, str):
                return False
            texts.append(value)
        attempt.keys[name] = KEY_SEPARATOR.join(texts)
        return True

    def write(self, write: Write, row: WriteRow, attempt: Attempt, outcome: Outcome) -> list[Change]:
        """Writes one record, all of it or nothing, and tells what became of it."""
        name = (write.entity, row[1])
        if name in attempt.refused:
            outcome.exceptions.append(attempt.refused[name])
            return []
        mark = len(self.database.undo)
        verb = {"insert": self._insert, "update": self._update, "delete": self._delete}[write.kind]
        try:
            result, changes = verb(write, row, attempt)
        except NotWritten as told:
            self.database.roll_back(mark)
            attempt.missed[name] = RowResult(*name, told.kind, reason=told.reason)
            outcome.exceptions.append(attempt.missed[name])
            return []
        if result is not None:
            outcome.exceptions.append(result)
        attempt.done.append((name, changes))
        return changes

    def impossible(self, attempt: Attempt) -> bool:
        """True if the batch must be tried again, without records that others refer to and that are not there, and
        without those that a foreign key refuses now that all is written."""
        found = {name: result for name, result in attempt.missed.items() if name in attempt.used}
        for name, changes in attempt.done:
            if any(self._refused(change) for change in changes):
                found[name] = RowResult(*name, "failed", reason="constraint `foreign key`")
        found = {name: result for name, result in found.items() if name not in attempt.refused}
        attempt.refused.update(found)
        return bool(found)

    def _refused(self, change: Change) -> bool:
        table, _, new, old = change
        rows = self.database.stored[table]
        if new is not None:
            row = rows.get(key_of(self.database.tables[table], new))
            if row is not None and self.database.orphaned(table, row):
                return True
        former = key_of(self.database.tables[table], old) if old is not None else None
        return former is not None and former not in rows and self.database.has_children(table, former)

    def locked(self, entity: str, key: Values) -> bool:
        """True if a user holds a lock on any row of the record with this key."""
        if not key:
            return False
        work = self._work(entity, KEY_SEPARATOR.join([str(text) for text in key]))
        tables = [part.table for part in work.assembly.parts]
        rows = [(self.database.names[t], k) for t, k in zip(tables, work.keys, strict=True) if k is not None]
        return any(self.database.is_locked(*row) for row in rows)

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """The rows of these records as they are now; those that a user has locked are left out."""
        answers = []
        for key in keys:
            if not self.locked(entity, tuple(key.split(KEY_SEPARATOR))):
                parts = self._work(entity, key).parts
                answers.append(Reread(self.database.system, entity, key, None, self.database.end, parts))
        return answers

    # ------------------------------------------------------------ the three verbs

    def _insert(self, write: Write, row: WriteRow, attempt: Attempt) -> tuple[RowResult | None, list[Change]]:
        """Creates a record, or makes one again of a root row that is there."""
        _, id, own, new, _ = row
        assembly = self.database.assemblies[write.entity]
        asked = dict(zip(write.columns, new, strict=True))
        changes: list[Change] = []
        sent = self._sent(write.entity, asked, attempt, changes)
        key = KEY_SEPARATOR.join([str(text) for text in own]) if own else attempt.keys.get((write.entity, id))
        if key is None:
            raise NotWritten("failed", "constraint `not null`")
        work = self._work(write.entity, key)
        if (work.parts is None) == bool(own) or belongs(assembly, work.parts):
            raise NotWritten("unmatched")
        wanted = {0, *assembly.members, *_valued(work, asked)}
        wanted.update(at for at, part in enumerate(assembly.parts) if not part.fields and (part.links or part.create))
        wanted -= looked_at(assembly, self.database.tables)
        work.write(sent, wanted, {**dict(assembly.parts[0].constants), **dict(assembly.back)})
        self._clear(work, asked)
        differs = self._deviations(work, work.places, asked, sent)
        return RowResult(write.entity, id, "created", stored=differs, made=work.key), changes + work.changes

    def _update(self, write: Write, row: WriteRow, attempt: Attempt) -> tuple[RowResult | None, list[Change]]:
        work = self._matched(write, row)
        asked = dict(zip(write.columns, row[3], strict=True))
        changes: list[Change] = []
        sent = self._sent(write.entity, asked, attempt, changes)
        work.write(sent, _valued(work, asked), {})
        self._clear(work, asked)
        differs = self._deviations(work, asked, asked, sent)
        return RowResult(write.entity, row[1], "stored", stored=differs) if differs else None, changes + work.changes

    def _delete(self, write: Write, row: WriteRow, attempt: Attempt) -> tuple[RowResult | None, list[Change]]:
        work = self._matched(write, row)
        assembly = work.assembly
        if assembly.removal == "columns":
            work.set_root(dict(assembly.gone))
        elif assembly.removal == "membership":
            work.remove(part for part in assembly.members if assembly.parts[part].remove)
        else:
            further = range(len(assembly.parts) - 1, 0, -1)
            work.remove([*(part for part in further if assembly.parts[part].remove), 0])
        return None, work.changes

    def _matched(self, write: Write, row: WriteRow) -> Work:
        """The rows of a record that is there and has what it should. Raises NotWritten."""
        work = self._work(write.entity, KEY_SEPARATOR.join([str(text) for text in row[2]]))
        if not belongs(work.assembly, work.parts) or any(
            self._meaning(work.assembly, number, work.text(number)) != value
            for number, value in zip(write.columns, row[4], strict=True)
        ):
            raise NotWritten("unmatched")
        return work

    def _clear(self, work: Work, asked: Mapping[int, object]) -> None:
        """Rows that were there, were written, and have no value any more."""
        written = {work.places[number][0] for number in asked} & work.there
        work.clear(
            at for at in sorted(written - {0})
            if all(self._meaning(work.assembly, n, work.text(n)) is None for n, _ in work.assembly.parts[at].fields)
        )

    # ------------------------------------------------------------ values

    def _sent(
        self, entity: str, asked: Mapping[int, object], attempt: Attempt, changes: list[Change]
    ) -> dict[int, Text]:
        """By field number: the texts as the columns are to store them. Raises NotWritten."""
        assembly = self.database.assemblies[entity]
        names = [each.name for each in self.database.book.entities[entity].fields]
        sent: dict[int, Text] = {}
        for number, value in asked.items():
            if isinstance(value, KeyOf):
                key = attempt.keys.get((value.entity, value.id))
                if key is None:
                    raise NotWritten("failed", MISSING_PARENT)
                attempt.used.add((value.entity, value.id))
                sent[number] = key
            elif isinstance(value, str):
                lookup = assembly.lookups.get(number)
                sent[number] = value if lookup is None else self._code(names[number], lookup, value, changes)
            elif value is not UNSET:
                sent[number] = "" if number in assembly.empty else None
        return sent

    def _code(self, field: str, lookup: Lookup, text: str, changes: list[Change]) -> str:
        """The code table's key for a natural text. Raises NotWritten."""
        table = self.database.tables[lookup.table]
        keys = [row[0] for row in self.database.stored[lookup.table].values() if row[1] == text and row[0] is not None]
        if keys:
            return min(keys, key=lambda key: (len(key), key))
        if lookup.missing == "quarantine":
            raise NotWritten("failed", f"`{field}`: {MISSING_CODE} `{table.schema}.{table.name}`")
        changes += self.database.insert(lookup.table, {table.columns[1]: text})
        _, _, new, _ = changes[-1]
        assert new is not None
        return str(new[0])

    def _meaning(self, assembly: Assembly, number: int, text: Text) -> object:
        """What a stored text means to the engine: a code its natural text, an empty one NULL."""
        if text == "" and number in assembly.empty:
            return None
        lookup = assembly.lookups.get(number)
        if lookup is None or text is None:
            return text
        row = self.database.stored[lookup.table].get(text)
        return UNKNOWN if row is None or row[1] is None else row[1]

    def _deviations(
        self, work: Work, numbers: Iterable[int], asked: Mapping[int, object], sent: Mapping[int, Text]
    ) -> dict[int, Text]:
        """By field number: what is stored, where that is not what was sent. No row and NULL mean the same."""
        differs: dict[int, Text] = {}
        for number in numbers:
            text = work.text(number)
            same = number in sent and (
                sent[number] == text
                or (asked[number] is None and self._meaning(work.assembly, number, text) is None)
            )
            if not same:
                differs[number] = text
        return differs


def _valued(work: Work, asked: Mapping[int, object]) -> set[int]:
    """The parts of which any field is given a value."""
    return {work.places[n][0] for n, value in asked.items() if value is not None and value is not UNSET}
