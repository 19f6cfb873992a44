"""The rows of assembled records, as each system's log has told them so far: exact at the position read, and durable.

Turns changes of tables into kept rows with the indexes that joins need, and answers `engine.assembly.Rows`. A record
that is spread over several tables can be told from a change of any of them only so: the log has one row at a time, and
a look into the database would tell of another moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.assembly import key_of, linked_columns
from engine.crossing.entries import Entries
from engine.rulebook import RuleBook, Table
from engine.vocabulary import ABSENT, Row

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str | None | bool]).decode


DECODED_MAX = 50_000
"""Rows kept in both forms at a time."""


class KeptRows:
    """One system's kept rows; implements `engine.assembly.Rows`. `kept`: by table, the columns to be searched by."""

    def __init__(self, system: str, tables: tuple[Table, ...], kept: Mapping[int, frozenset[int]], entries: Entries):
        self._tables = tables
        self._entries = entries
        self._links = {
            table: [(column, _link_space(system, tables[table], column)) for column in sorted(columns)]
            for table, columns in kept.items()
        }
        self._spaces = {table: row_space(system, tables[table]) for table in kept}
        self._decoded: dict[tuple[int, str], tuple[bytes, Row]] = {}
        """By (table, key): the bytes that a row was made of, and the row."""

    def __contains__(self, table: object) -> bool:
        """True if the rows of this table are kept."""
        return table in self._spaces

    def row(self, table: int, key: str) -> Row | None:
        """The row of a table with this key."""
        state = self._entries.only(self._spaces[table], key)
        if state is None:
            return None
        known = self._decoded.get((table, key))
        if known is None or known[0] is not state:
            known = self._remember(table, key, state, decode_row(state))
        return known[1]

    def _remember(self, table: int, key: str, state: bytes, row: Row) -> tuple[bytes, Row]:
        if len(self._decoded) >= DECODED_MAX:
            self._decoded.clear()
        known = self._decoded[table, key] = (state, row)
        return known

    def search(self, table: int, column: int, texts: Sequence[str]) -> dict[str, Row]:
        """The rows of a table whose column has one of these texts, by key; loaded in one go."""
        if self._tables[table].key == (column,):
            keys: Iterable[str] = texts
        else:
            space = next(space for known, space in self._links[table] if known == column)
            self._entries.fetch(space, texts)
            keys = [key for text in texts for key in self._entries.items(space, text)]
        self.fetch(table, keys)
        return {key: row for key in keys if (row := self.row(table, key)) is not None}

    def rows_with(self, table: int, column: int, text: str) -> list[Row]:
        """The rows of a table whose column has this text."""
        space = next(space for known, space in self._links[table] if known == column)
        rows = [self.row(table, key) for key in self._entries.items(space, text)]
        return [row for row in rows if row is not None]

    def fetch(self, table: int, keys: Iterable[str]) -> None:
        """Loads rows that are going to be asked for."""
        self._entries.fetch(self._spaces[table], keys)

    def fetch_rows(self, table: int, rows: Sequence[Row]) -> None:
        """Loads all that putting these rows in will ask for."""
        self.fetch(table, [key_of(self._tables[table], row) for row in rows])
        for column, space in self._links[table]:
            self._entries.fetch(space, [value for row in rows if isinstance(value := row[column], str)])

    def completed(self, table: int, key: str, row: Row) -> Row:
        """A row in which the log left unchanged values out, with what we have of them."""
        if ABSENT not in row:
            return row
        former = self.row(table, key)
        return row if former is None else tuple([f if v is ABSENT else v for v, f in zip(row, former, strict=True)])

    def put(self, table: int, row: Row) -> None:
        """A row as it is now, in place of what was known under its key."""
        key = key_of(self._tables[table], row)
        former = self.row(table, key)
        state = encode_row(row)
        self._entries.put(self._spaces[table], key, "", state)
        self._remember(table, key, state, row)
        for column, space in self._links[table]:
            value, before = row[column], former[column] if former is not None else None
            if value != before:
                if isinstance(before, str):
                    self._entries.remove(space, before, key)
                if isinstance(value, str):
                    self._entries.put(space, value, key)

    def remove(self, table: int, key: str) -> None:
        """There is no such row any more."""
        former = self.row(table, key)
        if former is None:
            return
        self._entries.remove(self._spaces[table], key)
        for column, space in self._links[table]:
            value = former[column]
            if isinstance(value, str):
                self._entries.remove(space, value, key)


def kept_tables(book: RuleBook, system: str) -> dict[int, frozenset[int]]:
    """The tables whose rows are kept, each with the columns by which rows are searched: those of records that have
    parts, and code tables."""
    tables = book.tables[system]
    kept: dict[int, set[int]] = {number: set() for number, table in enumerate(tables) if table.whole}
    for binding in book.bound[system]:
        assembly = binding.assembly
        if assembly is None or len(assembly.parts) < 2:
            continue
        for part in assembly.parts:
            kept.setdefault(part.table, set())
        for table, column in linked_columns(assembly, tables):
            kept[table].add(column)
    return {table: frozenset(columns) for table, columns in kept.items()}


def row_space(system: str, table: Table) -> str:
    """The space of a table's kept rows."""
    return f"m/{system}/{_name(table)}"


def _link_space(system: str, table: Table, column: int) -> str:
    return f"l/{system}/{_name(table)}/{table.columns[column]}"


def _name(table: Table) -> str:
    return f"{table.schema}.{table.name}"


def encode_row(row: Row) -> bytes:
    """A row as bytes."""
    return _encode([False if value is ABSENT else value for value in row])


def decode_row(state: bytes) -> Row:
    """The row that `encode_row` made these bytes of."""
    return tuple([ABSENT if value is False else value for value in _decode(state)])  # type: ignore[misc]
