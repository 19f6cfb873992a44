"""Turns the rows of change tables, in the order of the log, into changes of one transaction after the other.

Pure. A row before an update and the one after it become one change; so do a deletion and an insertion that are one
UPDATE of a key. Old values that SQL Server does not tell are ABSENT and never NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, TypeAlias

from adapters.sqlserver.instances import Instance
from engine.catalog import Column
from engine.rulebook import Table
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Change, Row, Text

DELETED: Final = 1
INSERTED: Final = 2
BEFORE: Final = 3
AFTER: Final = 4

Captured: TypeAlias = "tuple[bytes, bytes, int, int, bytes, tuple[Text, ...]]"
"""One row of a change table: (commit LSN, sequence value, table number, operation, mask, texts of the bound columns).
Sorted as it stands, by the first four."""

OLD_LARGE: Final = ("text", "ntext", "image")
"""Types of which no value before a change is told."""
LARGE: Final = ("(max)", "xml", "geography", "geometry", "hierarchyid", "sql_variant")
"""How types end of which the value before an update is told only if the update changed it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What of one table's rows is told. `large`, `old_large`, `silent`: places of bound columns."""

    key: tuple[int, ...]
    bits: tuple[int, ...]
    """By place: the column's bit in the mask."""
    large: tuple[int, ...]
    """NULL may mean that it was not changed."""
    old_large: tuple[int, ...]
    """Unknown before a change."""
    silent: tuple[int, ...]
    """Never told."""

    def row(self, operation: int, mask: bytes, texts: tuple[Text, ...]) -> Row:
        """A row, with ABSENT where a value is not known."""
        unknown = [*self.silent]
        if operation in (DELETED, BEFORE):
            unknown += self.old_large
        if operation in (BEFORE, AFTER):
            changed = int.from_bytes(mask, "big")
            unknown += [at for at in self.large if texts[at] is None and not changed >> self.bits[at] & 1]
        if not unknown:
            return texts
        return tuple(ABSENT if at in unknown else text for at, text in enumerate(texts))


def told(table: Table, instance: Instance, columns: Mapping[str, Column]) -> Told:
    """What is told of a table by an instance. `columns`: the live ones, by name."""
    kinds = [columns[name].type for name in table.columns]
    old = tuple(at for at, kind in enumerate(kinds) if plain(kind) in OLD_LARGE)
    large = tuple(at for at, kind in enumerate(kinds) if is_large(kind))
    silent = tuple(at for at, name in enumerate(table.columns) if name in instance.computed)
    return Told(table.key, tuple(instance.ordinals[name] - 1 for name in table.columns), large, old, silent)


def plain(kind: str) -> str:
    """A type as a catalog prints it, without its collation."""
    return kind.lower().partition(" collate ")[0]


def is_large(kind: str) -> bool:
    """True if its values before a change may not be told. `kind`: the type as a catalog prints it."""
    return plain(kind).endswith(LARGE) or plain(kind) in OLD_LARGE


@dataclass(frozen=True, slots=True)
class _Deleted:
    """A deletion whose insertion may be the next row."""

    table: int
    sequence: bytes
    row: Row
    beside: bytes | None
    """The sequence value of another deletion right before it, if there is one."""


def changes(rows: Iterable[Captured], ways: Sequence[Told]) -> Iterator[Change]:
    """The changes of one transaction. `rows`: all its rows, in order; `ways`: by table number."""
    before: tuple[int, Row] | None = None
    deleted: _Deleted | None = None
    for captured, following in pairwise(chain(_in_order(rows, ways), (None,))):
        assert captured is not None
        _, sequence, table, operation, mask, texts = captured
        way = ways[table]
        row = way.row(operation, mask, texts)
        beside = None
        if deleted is not None:
            if operation == INSERTED and _is_update(
                deleted, table, sequence, row, way.key, _beside(captured, following)
            ):
                yield _update(table, deleted.row, row, way.key)
                deleted = None
                continue
            yield deleted.table, DELETE, None, deleted.row
            beside = deleted.sequence if deleted.table == table else None
            deleted = None
        match operation:
            case 1:
                deleted = _Deleted(table, sequence, row, beside)
            case 2:
                yield table, INSERT, row, None
            case 3:
                before = (table, row)
            case _:
                old = before[1] if before is not None and before[0] == table else None
                yield _update(table, old, row, way.key)
                before = None
    if deleted is not None:
        yield deleted.table, DELETE, None, deleted.row


def _update(table: int, old: Row | None, new: Row, key: tuple[int, ...]) -> Change:
    """An update; the old row is told only if it had another key."""
    moved = old is not None and any(old[at] != new[at] for at in key)
    return table, UPDATE, new, old if moved else None


def _in_order(rows: Iterable[Captured], ways: Sequence[Told]) -> Iterator[Captured]:
    """The rows of one transaction, where an UPDATE that SQL Server carries out as a deletion and an insertion may have
    been told the other way round (Microsoft's KB 3030352; what would order them, `__$command_id`, is not told).

    Who deletes what he has just inserted deletes the same values: others are those of the row before. With the same
    values there is nothing to tell, whichever came first."""
    inserted: Captured | None = None
    for row in rows:
        if inserted is not None and row[3] == DELETED and row[2] == inserted[2]:
            way = ways[row[2]]
            old, new = way.row(DELETED, row[4], row[5]), way.row(INSERTED, inserted[4], inserted[5])
            if all(old[place] == new[place] for place in way.key):
                if any(a != b and ABSENT not in (a, b) for a, b in zip(old, new, strict=True)):
                    yield row
                    yield inserted
                inserted = None
                continue
        if inserted is not None:
            yield inserted
        inserted = row if row[3] == INSERTED else None
        if inserted is None:
            yield row
    if inserted is not None:
        yield inserted


def _beside(one: Captured, other: Captured | None) -> bytes | None:
    """The sequence value of the row behind one, if it is the same done to another row of the table."""
    return other[1] if other is not None and other[2:4] == one[2:4] else None


def _is_update(
    deleted: _Deleted, table: int, sequence: bytes, row: Row, key: tuple[int, ...], beside: bytes | None
) -> bool:  # fmt: skip
    """True if a deletion and the insertion right behind it are one UPDATE: they are the same row, or one record of the
    log, or a row of which only the key is another. `beside`: see `_beside`. Where several rows were deleted or inserted
    in a row, which of them belong together is not guessed: one would get the key of another."""
    if deleted.table != table:
        return False
    old = deleted.row
    if all(old[place] == row[place] for place in key):
        return True
    others = {deleted.beside, beside} - {None}
    if deleted.sequence == sequence:
        return sequence not in others
    rest = [place for place in range(len(row)) if place not in key]
    return not others and bool(rest) and all(old[place] == row[place] and old[place] is not ABSENT for place in rest)
