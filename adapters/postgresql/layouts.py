"""Turns the rules' bindings and the server's catalog into layouts: where each entity lives, and how its columns print.

The one place where the rules meet a live table; a bound column that is gone stops the system here.
"""

from __future__ import annotations

from typing import Any

import psycopg

from adapters.postgresql.catalog import read_columns
from adapters.postgresql.statements import Layout, layout
from engine.errors import SchemaChanged
from engine.rulebook import RuleBook


def layouts(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> dict[str, Layout]:
    """Where each entity lives in `system`, by entity. Raises SchemaChanged if a bound column is not there."""
    tables = book.tables[system]
    known = read_columns(conn, [(table.schema, table.name) for table in tables])
    made = {}
    for binding, table in zip(book.bound[system], tables, strict=True):
        columns = known.get((table.schema, table.name), {})
        for column in table.columns:
            if column not in columns:
                raise SchemaChanged(
                    f"`{table.schema}.{table.name}` has no column `{column}`",
                    system=system,
                    mend="`duolog check RULES` tells what the rules need",
                )
        made[binding.entity] = layout(book.entities[binding.entity], binding, table, columns)
    return made
