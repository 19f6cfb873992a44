"""Turns the error that a row met when it was written alone into what a person has to know: field, column and limit.

PostgreSQL names no column where a value is too long, too large, or no value of the column's type; of a constraint it
names no columns at all. So each value is held against its column here, or given to the server to be read once more, and
the catalog is asked what a constraint looks at. Only for rows that are refused already, inside their transaction. A
field is called as in the rules. No value is ever told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from adapters.postgresql import refusals
from adapters.relational.live import TableName
from adapters.relational.refused import Spot
from engine.vocabulary import Text

TOO_LONG: Final = "22001"
TOO_LARGE: Final = frozenset({"22003", "22008"})
"""Out of the range of numbers, and of times."""
BROKEN_TYPE: Final = "23514"
"""Of a domain, which has no table: its condition is not fulfilled."""

LOOKS_AT: Final = """
SELECT a.attname::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %(schema)s
CROSS JOIN LATERAL (
    SELECT conkey AS columns FROM pg_constraint WHERE conrelid = c.oid AND conname = %(constraint)s
    UNION ALL
    SELECT i.indkey::int2[] FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND x.relname = %(constraint)s
    LIMIT 1
) AS found
CROSS JOIN LATERAL unnest(found.columns) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE c.relname = %(table)s
ORDER BY k.place
"""
"""The columns of a constraint, or of an index that is unique without being one."""


def reason(conn: psycopg.Connection[Any], error: psycopg.Error, spots: Sequence[Spot]) -> str:
    """Why the record with these fields was refused, in a transaction that can go on. Raises psycopg.Error."""
    return refusals.reason(error, _found(conn, error, spots))


def _found(conn: psycopg.Connection[Any], error: psycopg.Error, spots: Sequence[Spot]) -> str:
    """What is to blame; "" if that cannot be told better than by the error itself."""
    diag, state = error.diag, error.sqlstate
    if state is None:
        return _listed(f"`{spot.field}`" for spot in spots if _is_unstorable(spot.value))
    if diag.table_name and diag.constraint_name:
        return _constraint(conn, (diag.schema_name or "", diag.table_name), diag.constraint_name, spots)
    if diag.table_name and diag.column_name:
        return _null((diag.schema_name or "", diag.table_name), diag.column_name, spots)
    if refusals.raised_in(error) or not (state.startswith("22") or state == BROKEN_TYPE):
        return ""
    if state == TOO_LONG:
        told = [_too_long(spot) for spot in spots if _is_too_long(spot)]
    else:
        told = [_unfit(spot, state) for spot in spots if _refuses(conn, spot, state)]
    tables = dict.fromkeys(f"`{'.'.join(spot.table)}`" for spot in spots if spot.value is not None)
    return "; ".join(told) or (f"in {_listed(tables)}" if tables else "")


# ---------------------------------------------------------------- values


def _is_unstorable(value: Text) -> bool:
    return value is not None and any(sign == "\x00" or "\ud800" <= sign <= "\udfff" for sign in value)


def _is_too_long(spot: Spot) -> bool:
    """Blanks at the end do not count: what is too many of them is left out without an error."""
    length = spot.column.shape.length
    return spot.value is not None and length is not None and len(spot.value.rstrip(" ")) > length


def _too_long(spot: Spot) -> str:
    return f"`{spot.field}` is longer than the {spot.column.shape.length} characters of {spot.place}"


def _refuses(conn: psycopg.Connection[Any], spot: Spot, state: str) -> bool:
    """True if the column's type does not take the value, for this reason."""
    if spot.value is None:
        return False
    type_as_printed = sql.SQL(spot.column.shape.type)
    query = sql.SQL("SELECT %s::pg_catalog.text::{}").format(type_as_printed)
    conn.execute("SAVEPOINT reading")
    try:
        conn.execute(query, [spot.value], prepare=False)
    except psycopg.Error as error:
        if conn.closed:
            raise
        conn.execute("ROLLBACK TO SAVEPOINT reading")
        return error.sqlstate == state
    finally:
        if not conn.closed:
            conn.execute("RELEASE SAVEPOINT reading")
    return False


def _unfit(spot: Spot, state: str) -> str:
    what = "does not fit" if state in TOO_LARGE else "is no value of"
    return f"`{spot.field}` {what} {spot.place} (`{spot.column.shape.type}`)"


# ---------------------------------------------------------------- constraints


def _constraint(conn: psycopg.Connection[Any], table: TableName, name: str, spots: Sequence[Spot]) -> str:
    given = {"schema": table[0], "table": table[1], "constraint": name}
    columns = [column for (column,) in conn.execute(LOOKS_AT.encode(), given).fetchall()]
    about = _listed(_called(table, column, spots) for column in columns)
    return f"constraint `{name}` of `{'.'.join(table)}`" + (f" about {about}" if about else "")


def _null(table: TableName, column: str, spots: Sequence[Spot]) -> str:
    place = f"`{'.'.join(table)}.{column}`"
    fields = _fields(table, column, [spot for spot in spots if spot.value is None])
    return f"{_listed(fields)} is NULL, which {place} may not be" if fields else f"{place} may not be NULL"


def _called(table: TableName, column: str, spots: Sequence[Spot]) -> str:
    """The field that lies in a column, of several that which has a value; else the column."""
    valued = [spot for spot in spots if spot.value is not None]
    return _listed(_fields(table, column, valued) or _fields(table, column, spots)) or f"column `{column}`"


def _fields(table: TableName, column: str, spots: Sequence[Spot]) -> list[str]:
    return [f"`{spot.field}`" for spot in spots if spot.table == table and spot.column.shape.name == column]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
