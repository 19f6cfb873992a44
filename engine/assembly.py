"""One system's rows of several tables as one record, and the way from any of these rows to the records it belongs to.

Turns (root key, rows) into the part rows that count, those into a record's image, and a changed row into root keys. It
asks for rows through `Rows`, keeps none, and translates no key: a reference is still the system's own key here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Protocol, TypeAlias

from engine.conditions import holds
from engine.rulebook import Assembly, Order, Part, Table
from engine.vocabulary import ABSENT, Image, Row

KEY_SEPARATOR = "\x1f"
"""Joins the values of a composite key into one text."""

NUMBERS = frozenset({"integer", "numeric", "float"})
"""Families that are ordered as numbers."""

PartRows: TypeAlias = "tuple[Row | None, ...]"
"""For each part the row that counts, in the order of its table's columns; None where there is none."""


class Rows(Protocol):
    """Rows of one system's tables, as they were at one position of its log."""

    def row(self, table: int, key: str) -> Row | None:
        """The row of a table with this key."""

    def rows_with(self, table: int, column: int, text: str) -> list[Row]:
        """The rows of a table whose column (a position) has this text; the column is one that a join asks for."""


def key_of(table: Table, row: Row) -> str:
    """The key of a table's row, as one text. A key value is never ABSENT."""
    if len(table.key) == 1:
        return str(row[table.key[0]])
    return KEY_SEPARATOR.join([str(row[place]) for place in table.key])


def part_rows(assembly: Assembly, tables: Sequence[Table], rows: Rows, key: str) -> PartRows | None:
    """The rows that make up the record with this root key; None if there is no root row."""
    root = rows.row(assembly.parts[0].table, key)
    if root is None:
        return None
    found: list[Row | None] = [root]
    for part in assembly.parts[1:]:
        found.append(_counting(part, tables[part.table], _joined(part, tables, rows, found)))
    return tuple(found)


def _joined(part: Part, tables: Sequence[Table], rows: Rows, found: Sequence[Row | None]) -> list[Row]:
    """All rows of a part's table that its joins lead to."""
    wanted: list[tuple[int, str]] = []
    for join in part.joins:
        other = found[join.part]
        value = other[join.other] if other is not None else None
        if not isinstance(value, str):
            return []  # NULL is equal to nothing
        wanted.append((join.column, value))
    column, text = wanted[0]
    if tables[part.table].key == (column,):
        row = rows.row(part.table, text)
        candidates = [row] if row is not None else []
    else:
        candidates = rows.rows_with(part.table, column, text)
    return [row for row in candidates if all(row[c] == t for c, t in wanted[1:])]


def _counting(part: Part, table: Table, candidates: Iterable[Row]) -> Row | None:
    """The row that counts."""
    belonging = [row for row in candidates if holds(part.where, row)]
    if len(belonging) < 2:
        return belonging[0] if belonging else None
    return min(belonging, key=order_of(part, table))


def order_of(part: Part, table: Table) -> Callable[[Row], list[tuple[int, Decimal, str]]]:
    """What the rows of a part are sorted by: its own criteria, and the key where the rules have not named it."""
    named = {order.column for order in part.first_by}
    criteria = (*part.first_by, *(Order(place, "text") for place in table.key if place not in named))
    return lambda row: [_rank(row[order.column], order) for order in criteria]


class _Backwards(str):
    """A text that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def _rank(value: object, order: Order) -> tuple[int, Decimal, str]:
    """Something that sorts as the criterion does: NULL last, numbers as numbers before what is none."""
    if not isinstance(value, str):
        return (2, Decimal(0), "")
    number = _number(value) if order.family in NUMBERS else None
    if number is not None:
        return (0, -number if order.descending else number, "")
    return (1, Decimal(0), _Backwards(value) if order.descending else value)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def belongs(assembly: Assembly, parts: PartRows | None) -> bool:
    """True if these rows are a record: the root is a row that counts, all members are there, and it is not gone."""
    if parts is None or parts[0] is None:
        return False
    root = parts[0]
    if not holds(assembly.parts[0].where, root) or any(parts[member] is None for member in assembly.members):
        return False
    return not is_gone(assembly, root)


def is_gone(assembly: Assembly, root: Row) -> bool:
    """True if the root row says that the record is deleted here."""
    return bool(assembly.gone) and all(root[column] == text for column, text in assembly.gone)


def image_of(assembly: Assembly, parts: PartRows, width: int) -> Image:
    """The record's image, by field number: NULL where a part has no row, ABSENT where the system has no such field."""
    image: list[object] = [ABSENT] * width
    for part, row in zip(assembly.parts, parts, strict=True):
        for number, column in part.fields:
            image[number] = None if row is None else row[column]
    return tuple(image)  # type: ignore[arg-type]


def roots_of(assembly: Assembly, tables: Sequence[Table], rows: Rows, part: int, row: Row) -> set[str]:
    """The root keys of all records that this row of a part may belong to, whether it counts there or not."""
    if part == 0:
        return {key_of(tables[assembly.parts[0].table], row)}
    found: set[str] = set()
    join = assembly.parts[part].joins[0]
    value = row[join.column]
    if not isinstance(value, str):
        return found
    table = assembly.parts[join.part].table
    if tables[table].key == (join.other,):
        other = rows.row(table, value)
        nearer = [other] if other is not None else []
    else:
        nearer = rows.rows_with(table, join.other, value)
    for each in nearer:
        found |= roots_of(assembly, tables, rows, join.part, each)
    return found


def looked_at(assembly: Assembly, tables: Sequence[Table]) -> frozenset[int]:
    """The parts whose rows are others' affairs: no field is in them, and a field says their key. Such a row is there,
    or it is not; it is never made."""
    said = {(at, column) for at, part in enumerate(assembly.parts) for _, column in part.fields}
    return frozenset(
        at
        for at, part in enumerate(assembly.parts)
        if at
        and not part.fields
        and {join.column for join in part.joins if (join.part, join.other) in said}.issuperset(tables[part.table].key)
    )


def linked_columns(assembly: Assembly, tables: Sequence[Table]) -> set[tuple[int, int]]:
    """(table, column) of every column by which rows are searched and that is not their table's whole key."""
    wanted: set[tuple[int, int]] = set()
    for part in assembly.parts[1:]:
        join = part.joins[0]
        wanted |= {(part.table, join.column), (assembly.parts[join.part].table, join.other)}
    return {(table, column) for table, column in wanted if tables[table].key != (column,)}
