"""One record's rows of several tables under work: found, changed, made, cleared and taken away.

Turns values by field into UPDATEs, INSERTs and DELETEs of a `MemorySystem`'s rows, and keeps what the log will tell of
them. It translates no value, guards nothing and knows no batch: that is `assembled.py`'s. Where the database refuses,
it raises `NotWritten`, and the caller takes everything back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from adapters.memory.system import MemorySystem
from engine.assembly import KEY_SEPARATOR, PartRows, key_of, part_rows
from engine.errors import EngineFault
from engine.rulebook import Assembly
from engine.vocabulary import Change, ResultKind, Row, Text

Place = tuple[int, int]
"""(part, position in its table's columns)"""

WORDS: Final[dict[str, Text]] = {"true": "t", "false": "f", "null": None}
"""The words that an expression for a new row may be here."""


class NotWritten(Exception):
    """A record that cannot be written, and why."""

    def __init__(self, kind: ResultKind, reason: str = "") -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason


class TableRows:
    """Implements `engine.assembly.Rows` on what is stored."""

    def __init__(self, database: MemorySystem) -> None:
        self.database = database

    def row(self, table: int, key: str) -> Row | None:
        """The row of a table with this key."""
        row = self.database.stored[table].get(key)
        return None if row is None else tuple(row)

    def rows_with(self, table: int, column: int, text: str) -> list[Row]:
        """The rows of a table whose column has this text."""
        return [tuple(row) for row in self.database.stored[table].values() if row[column] == text]


class Work:
    """See the module. `key`: of the root row, which need not be there."""

    def __init__(self, database: MemorySystem, assembly: Assembly, key: str) -> None:
        self.database = database
        self.assembly = assembly
        self.key = key
        self.changes: list[Change] = []
        self.parts: PartRows | None = part_rows(assembly, database.tables, TableRows(database), key)
        """The rows that counted before the work began; None if there was no root row."""
        rows: Iterable[Row | None] = self.parts or [None] * len(assembly.parts)
        self.keys = [
            None if row is None else key_of(database.tables[part.table], row)
            for part, row in zip(assembly.parts, rows, strict=True)
        ]
        """By part: the key of its row as it is now, None if it has none."""
        self.there = frozenset(at for at, own in enumerate(self.keys) if own is not None)
        """The parts that had a row before the work began."""
        self.places: dict[int, Place] = {
            number: (at, column) for at, part in enumerate(assembly.parts) for number, column in part.fields
        }
        """By field number."""

    def text(self, number: int) -> Text:
        """What is stored for a field; NULL where its part has no row."""
        part, column = self.places[number]
        row = self._row(part)
        return None if row is None else row[column]

    def _row(self, part: int) -> list[Text] | None:
        key = self.keys[part]
        return None if key is None else self.database.stored[self.assembly.parts[part].table].get(key)

    def _key_columns(self, part: int) -> tuple[int, ...]:
        return self.database.tables[self.assembly.parts[part].table].key

    # ------------------------------------------------------------ writing

    def write(self, sent: Mapping[int, Text], wanted: set[int], root: Mapping[int, Text]) -> None:
        """Writes these values by field number, and makes the rows of `wanted` parts that have none, with all that they
        are joined through. `root`: what else the root row gets, if it is there, by position."""
        values = {self.places[number]: text for number, text in sent.items()}
        making = self._making(wanted)
        shared = self._shared(values, making)
        for part in range(len(self.keys)):
            row = self._row(part)
            if row is None:
                continue
            new = {column: text for (p, column), text in values.items() if p == part}
            new.update({c: text for (p, c), text in shared.items() if p == part and text not in (None, row[c])})
            new.update(root if part == 0 else {})
            if new:
                self._change(part, new)
        for part in sorted(making):
            self._make(part, values, shared)

    def _making(self, wanted: set[int]) -> set[int]:
        making = {part for part in wanted if self.keys[part] is None}
        while True:
            through = {join.part for part in making for join in self.assembly.parts[part].joins}
            further = {part for part in through - making if self.keys[part] is None}
            if not further:
                return making
            making |= further

    def _shared(self, values: Mapping[Place, Text], making: set[int]) -> dict[Place, Text]:
        """The one value of all columns that are joined with each other, among the rows that are there or to be made."""
        classes: list[set[Place]] = []
        for at, part in enumerate(self.assembly.parts):
            if at not in making and self.keys[at] is None:
                continue
            for join in part.joins:
                both = {(at, join.column), (join.part, join.other)}
                touching = [places for places in classes if places & both]
                classes = [places for places in classes if not places & both]
                classes.append(both.union(*touching))
        return {place: text for places in classes for text in [self._one(places, values, making)] for place in places}

    def _one(self, places: set[Place], values: Mapping[Place, Text], making: set[int]) -> Text:
        """A row's key, if one of them is; else a constant, a field, a key to be drawn, or what stands there."""
        ordered = sorted(places)
        for part, column in ordered:
            row, key = self._row(part), self._key_columns(part)
            if part == 0 and column in key:
                return values.get((0, column)) or self._root_key()[column]
            if row is not None and key == (column,):
                return values.get((part, column)) or row[column]
        for part, column in ordered:
            given = self._given(part)
            if part in making and column in given:
                return given[column]
        for place in ordered:
            if values.get(place) is not None:
                return values[place]
        for part, column in ordered:
            if part in making and self._key_columns(part) == (column,):
                return self.database.draw(self.assembly.parts[part].table)
        return next((row[c] for p, c in ordered if (row := self._row(p)) is not None and row[c] is not None), None)

    def _root_key(self) -> dict[int, Text]:
        return dict(zip(self._key_columns(0), self.key.split(KEY_SEPARATOR), strict=True))

    def _given(self, part: int) -> dict[int, Text]:
        """What the rules give every new row of a part, by position."""
        columns = self.database.columns(self.assembly.parts[part].table)
        created = {columns.index(c): constant(e) for c, e in self.assembly.parts[part].create if c in columns}
        return {**created, **dict(self.assembly.parts[part].constants)}

    def _make(self, part: int, values: Mapping[Place, Text], shared: Mapping[Place, Text]) -> None:
        table = self.assembly.parts[part].table
        columns = self.database.columns(table)
        new = self._given(part)
        new.update({column: text for (p, column), text in values.items() if p == part})
        new.update(self.assembly.parts[part].constants)
        new.update({column: text for (p, column), text in shared.items() if p == part and text is not None})
        new.update(self._root_key() if part == 0 else {})
        for name, other, position in self.assembly.parts[part].links:
            linked = self._row(other)
            if name in columns:
                new[columns.index(name)] = linked[position] if linked is not None else None
        key = KEY_SEPARATOR.join([str(new.get(column)) for column in self._key_columns(part)])
        if key in self.database.stored[table]:
            raise NotWritten("failed", "constraint `primary key`")
        self.changes += self.database.insert(table, {columns[c]: text for c, text in new.items()})
        self._note(part)

    def _change(self, part: int, new: Mapping[int, Text]) -> None:
        table = self.assembly.parts[part].table
        key, row = self.keys[part], self._row(part)
        if key is None or row is None:
            return
        named_by = [new.get(column, row[column]) for column in self._key_columns(part)]
        if None in named_by:
            raise NotWritten("failed", "constraint `not null`")
        named = KEY_SEPARATOR.join(map(str, named_by))
        if named != key and named in self.database.stored[table]:
            raise NotWritten("failed", "constraint `primary key`")
        columns = self.database.columns(table)
        self.changes += self.database.update(table, key, {columns[c]: text for c, text in new.items()})
        self._note(part)

    def _note(self, part: int) -> None:
        """The row that the last change has left, if the table's constraint lets it stand."""
        table, _, new, _ = self.changes[-1]
        assert new is not None
        key = key_of(self.database.tables[table], new)
        broken = self.database.constraint(self.database.names[table], self.database.stored[table][key])
        if broken:
            raise NotWritten("failed", f"constraint `{broken}`")
        self.keys[part] = key

    # ------------------------------------------------------------ taking away

    def clear(self, parts: Iterable[int]) -> None:
        """What becomes of the rows of these parts, none of whose fields has a value any more."""
        for at in parts:
            part = self.assembly.parts[at]
            if part.clear == "delete":
                self.remove([at])
            elif part.clear == "unlink":
                for join in part.joins:
                    if join.other not in self._key_columns(join.part):
                        self._change(join.part, {join.other: None})
                self.keys[at] = None

    def remove(self, parts: Iterable[int]) -> None:
        """Deletes the rows of these parts, in this order."""
        for part in parts:
            table, key = self.assembly.parts[part].table, self.keys[part]
            if key is not None and key in self.database.stored[table]:
                self.changes += self.database.delete(table, key)
            self.keys[part] = None

    def set_root(self, new: Mapping[int, Text]) -> None:
        """Sets columns of the root row, by position."""
        self._change(0, new)


def constant(expression: str) -> Text:
    """What a constant expression prints: a quoted text, a number, or one of `WORDS`. Raises EngineFault."""
    text = expression.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if text.lstrip("-").replace(".", "", 1).isdigit():
        return text
    raise EngineFault(f"a database in memory cannot evaluate `{expression}`")
