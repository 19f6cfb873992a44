"""Turns joins, conditions and orders of the rules into SQL: which rows make up a record, and whether it is one.

Pure. What `engine.assembly` answers for rows in memory, this answers in the database: equal are printed texts, byte by
byte; numbers are put in order as numbers, everything else by its text. In all of it the root row is called `t`, the
row of part 2 that counts `p2`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from psycopg import sql

from adapters.postgresql.catalog import PgColumn
from adapters.postgresql.phrases import comma, printed
from adapters.relational.assembled.places import Place
from engine.conditions import All, Any, Condition, Holds, In, IsNull, Not, Quoted
from engine.rulebook import Assembly, Order

NUMBERS: Final = frozenset({"integer", "numeric", "float"})
"""Families that are put in order as numbers."""

EXACT: Final = frozenset({"integer", "uuid", "date", "boolean"})
"""Families of which equal values print the same text."""

TEXTS: Final = frozenset({"text", "varchar"})


def alias(at: int) -> str:
    """What the row of a part is called."""
    return "t" if at == 0 else "p" + str(at)


def is_record(assembly: Assembly, places: Sequence[Place]) -> sql.Composable | None:
    """Whether a root row `t` is a record: it belongs, is not gone, and its members are there. None: it always is."""
    root = places[0]
    found: list[sql.Composable] = []
    if root.part.where is not None:
        found.append(condition(root.part.where, root.columns, "t"))
    if assembly.gone:
        gone = All(tuple(In(position, (text,)) for position, text in assembly.gone))
        found.append(sql.SQL("({}) IS NOT TRUE").format(condition(gone, root.columns, "t")))
    for member in assembly.members:
        chain = sorted(_chain(places, member) - {0})
        rows = sql.SQL(" CROSS JOIN ").join(counting(places, at) for at in chain)
        found.append(sql.SQL("EXISTS (SELECT FROM {})").format(rows))
    return sql.SQL(" AND ").join(found) if found else None


def counting(places: Sequence[Place], at: int) -> sql.Composed:
    """The row of a part that counts, beside `t` and the parts before it."""
    place = places[at]
    key = [Order(position, place.columns[position].shape.family) for position in place.key]
    return sql.SQL(
        "LATERAL (SELECT r.* FROM {table} AS r WHERE {matches} ORDER BY {order} LIMIT 1) AS {alias}"
    ).format(
        table=sql.Identifier(*place.table),
        matches=sql.SQL(" AND ").join([joined(places, at, "r"), *belonging(place, "r")]),
        order=comma(_ordered(order, place.columns, "r") for order in (*place.part.first_by, *key)),
        alias=sql.Identifier(alias(at)),
    )  # fmt: skip


def belonging(place: Place, name: str) -> list[sql.Composable]:
    """What a row must fulfil to be a row of a part; nothing if all rows are."""
    return [] if place.part.where is None else [condition(place.part.where, place.columns, name)]


def joined(places: Sequence[Place], at: int, name: str) -> sql.Composed:
    """Whether the row `name` of a part's table is joined to the rows of the parts before it."""
    return sql.SQL(" AND ").join(
        _equal(places[at].columns[join.column], name, places[join.part].columns[join.other], alias(join.part))
        for join in places[at].part.joins
    )


def condition(where: Condition, columns: Sequence[PgColumn], name: str) -> sql.Composable:
    """A condition of the rules about the row `name`."""
    match where:
        case In(column, texts):
            text = printed(columns[column], name)
            if not texts:
                return sql.SQL("CASE WHEN {} IS NOT NULL THEN false END").format(text)
            return sql.SQL('{} COLLATE "C" IN ({})').format(text, comma(sql.Literal(each) for each in texts))
        case IsNull(column):
            return sql.SQL("{} IS NULL").format(printed(columns[column], name))
        case Not(inner):
            return sql.SQL("NOT ({})").format(condition(inner, columns, name))
        case All(inner):
            return _all_of([condition(each, columns, name) for each in inner], " AND ", "true")
        case Any(inner):
            return _all_of([condition(each, columns, name) for each in inner], " OR ", "false")
        case Holds(sql=pieces):
            return sql.Composed([_piece(piece, columns, name) for piece in pieces])
        case _:
            assert_never(where)


def _piece(piece: str | int | Quoted, columns: Sequence[PgColumn], name: str) -> sql.Composable:
    """A piece of an expression of the rules, which were compiled from an allow-list: nobody else's SQL is in it."""
    match piece:
        case int():
            return printed(columns[piece], name)
        case Quoted(text):
            return sql.Literal(text)
        case str():
            return sql.SQL(piece)  # type: ignore[arg-type]
        case _:
            assert_never(piece)


def _all_of(conditions: Iterable[sql.Composable], word: str, nothing: str) -> sql.Composable:
    listed = [sql.SQL("({})").format(each) for each in conditions]
    return sql.SQL("({})").format(sql.SQL(word).join(listed)) if listed else sql.SQL(nothing)


def _chain(places: Sequence[Place], at: int) -> set[int]:
    """A part, and all by which it is found."""
    found = {at}
    for join in places[at].part.joins:
        found |= _chain(places, join.part)
    return found


def _equal(left: PgColumn, left_name: str, right: PgColumn, right_name: str) -> sql.Composed:
    """Found natively, so that an index serves, where both are of one type; told apart by text where that is laxer."""
    texts = sql.SQL('{} COLLATE "C" = {}').format(printed(left, left_name), printed(right, right_name))
    native = sql.SQL("{} = {}").format(
        sql.Identifier(left_name, left.shape.name), sql.Identifier(right_name, right.shape.name)
    )
    families, bases = {left.shape.family, right.shape.family}, {left.base[1], right.base[1]}
    plain = bases <= TEXTS and left.shape.exact and right.shape.exact
    if plain or (len(families) == 1 and families <= EXACT):
        return native
    if left.base == right.base and left.base[1] not in ("json", "xml", "point"):
        return sql.SQL("{} AND {}").format(native, texts)
    return texts


def _ordered(order: Order, columns: Sequence[PgColumn], name: str) -> sql.Composed:
    column = columns[order.column]
    value: sql.Composable = sql.Identifier(name, column.shape.name)
    if order.family not in NUMBERS or column.shape.family not in NUMBERS:
        value = sql.SQL('{} COLLATE "C"').format(printed(column, name))
    return sql.SQL("{}{} NULLS LAST").format(value, sql.SQL(" DESC" if order.descending else ""))
