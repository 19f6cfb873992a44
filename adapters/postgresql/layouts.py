"""Turns the rules' tables and the server's catalog into layouts: where each entity lives, and how its columns print.

The one place where the rules meet a live table; a bound column that is gone stops the system here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from adapters.postgresql.catalog import PgColumn, read_columns
from adapters.postgresql.statements import Layout, layout
from engine.errors import SchemaChanged
from engine.rulebook import RuleBook


def layouts(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> dict[str, Layout]:
    """Where each entity lives that has one table and one key everywhere, by entity. Raises SchemaChanged."""
    known = columns_of(conn, book, system)
    return {
        binding.entity: layout(
            book.entities[binding.entity], binding, book.tables[system][binding.table], known[binding.table]
        )
        for binding in book.bound[system]
        if binding.assembly is None
    }


def columns_of(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> Sequence[Mapping[str, PgColumn]]:
    """All columns of each table of the rules, by its number. Raises SchemaChanged if a bound one is not there."""
    tables = book.tables[system]
    known = read_columns(conn, [(table.schema, table.name) for table in tables])
    found = [known.get((table.schema, table.name), {}) for table in tables]
    written = {(number, name) for number, table in enumerate(tables) for name, _ in table.written}
    for binding in book.bound[system]:
        parts = binding.assembly.parts if binding.assembly is not None else ()
        written |= {(part.table, name) for part in parts for name, _ in part.written}
    for number, (table, columns) in enumerate(zip(tables, found, strict=True)):
        for column in (*table.columns, *sorted(name for at, name in written if at == number)):
            if column not in columns:
                raise SchemaChanged(
                    f"`{table.schema}.{table.name}` has no column `{column}`",
                    system=system,
                    mend="`duolog check RULES` tells what the rules need",
                )
    return found
