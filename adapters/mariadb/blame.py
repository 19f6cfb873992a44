"""Turns the error that a row met when it was written alone into what a person has to know: field, column and limit.

The server names the column of a value that does not fit, but not how much fits; of a constraint or an index it names no
columns, and of an error that a trigger raised not even the trigger. So the catalog is asked. Only for rows that are
refused already, inside their transaction. A field is called as in the rules. No value is ever told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, cast

from adapters.mariadb import refusals
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.sending import Sending
from adapters.mariadb.session import error_number, named_in
from adapters.mariadb.session import text_literal as literal
from adapters.relational.live import TableName
from adapters.relational.refused import Spot

OF_INDEX: Final = """
SELECT column_name FROM information_schema.statistics
WHERE table_schema = {schema} AND table_name = {table} AND index_name = {name} ORDER BY seq_in_index
"""
OF_FOREIGN_KEY: Final = """
SELECT column_name FROM information_schema.key_column_usage
WHERE table_schema = {schema} AND table_name = {table} AND constraint_name = {name} ORDER BY ordinal_position
"""
TRIGGERS: Final = """
SELECT trigger_name FROM information_schema.triggers
WHERE event_object_schema = {schema} AND event_object_table = {table} ORDER BY event_manipulation, action_order
"""


def reason(sending: Sending, error: Exception, spots: Sequence[Spot]) -> str:
    """Why the record with these fields was refused, in a transaction that can go on. Raises pymysql.MySQLError.

    `spots`: empty if it is not known which record is to blame."""
    return refusals.reason(error, _found(sending, error, spots) if spots else "")


def _found(sending: Sending, error: Exception, spots: Sequence[Spot]) -> str:
    """What is to blame; "" if that cannot be told better than by the error itself."""
    number, named = error_number(error), named_in(error)
    if number == refusals.DUPLICATE and "key" in named:
        return _constraint(sending, OF_INDEX, "unique index", named["key"].rpartition(".")[2], spots)
    if number in refusals.FOREIGN_KEYS and "constraint" in named:
        return _constraint(sending, OF_FOREIGN_KEY, "constraint", named["constraint"], spots)
    if number in refusals.CHECKS and "constraint" in named:
        return _check(named["constraint"], spots)
    column = [spot for spot in spots if spot.column.shape.name == named.get("column")]
    if not column:
        return "" if number in _NEVER_RAISED else _raised(sending, spots)
    valued = [spot for spot in column if spot.value is not None]
    match number:
        case refusals.NO_NULL | refusals.NO_DEFAULT:
            return _listed(f"`{spot.field}` is NULL, which {spot.place} may not be" for spot in column[:1])
        case refusals.TOO_LONG:
            return _listed(_too_long(spot) for spot in (valued or column)[:1])
        case _:
            return _listed(_unfit(spot) for spot in (valued or column)[:1])


_NEVER_RAISED: Final = frozenset({refusals.NO_NULL, refusals.NO_DEFAULT, refusals.TOO_LONG, refusals.DUPLICATE})
"""Errors that say well enough what they are about."""


def _too_long(spot: Spot) -> str:
    shape = spot.column.shape
    if shape.length is not None:
        return f"`{spot.field}` is longer than the {shape.length} characters of {spot.place}"
    if shape.octets is not None:
        return f"`{spot.field}` is longer than the {shape.octets} bytes of {spot.place}"
    return f"`{spot.field}` is too long for {spot.place} (`{shape.type}`)"


def _unfit(spot: Spot) -> str:
    column = cast("MariaColumn", spot.column)
    charset = f" {column.charset}" if column.charset else ""
    return f"`{spot.field}` does not fit {spot.place} (`{column.shape.type}`{charset})"


def _constraint(sending: Sending, query: str, kind: str, name: str, spots: Sequence[Spot]) -> str:
    """The table of the record that has it is the one whose catalog knows it."""
    for table in dict.fromkeys(spot.table for spot in spots):
        asked = query.format(schema=literal(table[0]), table=literal(table[1]), name=literal(name))
        columns = [str(column) for (column,) in sending.ask(asked).rows]
        if columns:
            about = _listed(_called(table, column, spots) for column in columns)
            return f"{kind} `{name}` of `{'.'.join(table)}` about {about}"
    return f"{kind} `{name}`"


def _check(name: str, spots: Sequence[Spot]) -> str:
    """The check of a column is called as the column."""
    named = [spot for spot in spots if name.rpartition(".")[2] == spot.column.shape.name]
    about = [spot for spot in named if spot.value is not None] or named
    return f"constraint `{name}`" + (f" about {_listed(f'`{spot.field}`' for spot in about[:1])}" if about else "")


def _raised(sending: Sending, spots: Sequence[Spot]) -> str:
    """The triggers that may have raised it."""
    found = []
    for table in dict.fromkeys(spot.table for spot in spots):
        asked = TRIGGERS.format(schema=literal(table[0]), table=literal(table[1]))
        names = [f"`{name}`" for (name,) in sending.ask(asked).rows]
        if names:
            found.append(f"by a trigger of `{'.'.join(table)}` ({_listed(names)})")
    return _listed(found)


def _called(table: TableName, column: str, spots: Sequence[Spot]) -> str:
    """The field that lies in a column, of several that which has a value; else the column."""
    here = [spot for spot in spots if spot.table == table and spot.column.shape.name == column]
    fields = [spot for spot in here if spot.value is not None] or here
    return _listed(f"`{spot.field}`" for spot in fields) or f"column `{column}`"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
