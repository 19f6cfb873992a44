"""Turns the keys of records into SQL that locks their rows, and SQL that then looks at the rows that count.

Pure. Locking and looking are two statements: a look that had to wait for its locks would still show the rows as they
were before. Of a part, all rows are locked that are joined to the record, not only the one that counts, as a change
of another may make that one count. A row that is added can be locked by nobody; but it takes a lock on the row that
its foreign key points at, which is locked for update therefore.

All statements are given one array a column of the root's key, and number the records from 1 in that order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from psycopg import sql

from adapters.postgresql.assembled.belonging import alias, counting, joined
from adapters.postgresql.phrases import comma, in_order, key_matches, lettered, printed, unnested
from adapters.relational.assembled.shapes import Shape, Strength

LOCKS: Final[Mapping[Strength, sql.SQL]] = {"shared": sql.SQL("NO KEY UPDATE"), "alone": sql.SQL("UPDATE")}


def lock(shape: Shape, at: int, strength: Strength) -> str:
    """Locks all rows of a part that are joined to the records; waits for them. Answers their number."""
    return (
        sql.SQL("SELECT count(*) FROM (SELECT FROM {rows} FOR {strength} OF {alias}) AS locked")
        .format(rows=_rows(shape, at), strength=LOCKS[strength], alias=sql.Identifier(alias(at)))
        .as_string()
    )


def lock_in_order(shape: Shape, at: int, strength: Strength, *, backwards: bool) -> str:
    """The same, one after the other in the order of the rows' keys."""
    key = [sql.Identifier(alias(at), column.shape.name) for column in shape.places[at].key_columns()]
    return (
        sql.SQL("SELECT count(*) FROM (SELECT FROM {rows} ORDER BY {order} FOR {strength} OF {alias}) AS locked")
        .format(
            rows=_rows(shape, at), order=in_order(key, backwards=backwards), strength=LOCKS[strength],
            alias=sql.Identifier(alias(at)),
        )
        .as_string()
    )  # fmt: skip


def contested(shape: Shape, at: int, strength: Strength) -> str:
    """Locks those of the same rows that are free. Answers the ordinals of the records of which others have a row."""
    key = [sql.Identifier(alias(at), column.shape.name) for column in shape.places[at].key_columns()]
    return (
        sql.SQL(
            "WITH ours AS (SELECT u.ord FROM {rows} FOR {strength} OF {alias} SKIP LOCKED)"
            " SELECT u.ord FROM {rows} GROUP BY u.ord"
            " HAVING count({key}) > (SELECT count(*) FROM ours WHERE ours.ord = u.ord)"
        )
        .format(
            rows=_rows(shape, at), strength=LOCKS[strength], alias=sql.Identifier(alias(at)), key=key[0]
        )
        .as_string()
    )


def look(shape: Shape, parts: Sequence[int]) -> str:
    """Answers, for each root row that is there: its ordinal, whether it is a record, and the columns of these parts'
    rows that count, in the order of the tables' columns. The root is one of the parts, and so are all that a part is
    joined through."""
    columns = [printed(column, alias(at)) for at in parts for column in shape.places[at].columns]
    record = shape.root.belongs if shape.root.belongs is not None else sql.SQL("true")
    laterals = [sql.SQL(" LEFT JOIN {} ON true").format(counting(shape.places, at)) for at in parts if at != 0]
    return (
        sql.SQL("SELECT u.ord, ({record}) IS TRUE, {columns} FROM {rows}{laterals}")
        .format(record=record, columns=comma(columns), rows=_rows(shape, 0), laterals=sql.Composed(laterals))
        .as_string()
    )


def _rows(shape: Shape, at: int) -> sql.Composed:
    """The given keys `u`, their root rows `t`, and the rows by which those of a part are found, that part's too."""
    root = shape.places[0]
    joins = [
        sql.SQL(" JOIN {} AS {} ON {}").format(
            sql.Identifier(*shape.places[each].table), sql.Identifier(alias(each)),
            joined(shape.places, each, alias(each)),
        )
        for each in sorted(shape.with_ancestors([at]) - {0})
    ]  # fmt: skip
    return sql.SQL("{} JOIN {} AS t ON {}{}").format(
        unnested(1, lettered("k", len(root.key))), sql.Identifier(*root.table),
        key_matches(root.key_columns()), sql.Composed(joins),
    )  # fmt: skip
