"""Turns the rules' tables and the server's catalog into layouts and shapes: where each entity lives here.

What the rules and a catalog say together is `relational`'s affair; here the catalog is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from adapters.postgresql.assembled.belonging import is_record
from adapters.postgresql.catalog import PgColumn, read_columns, read_foreign_keys
from adapters.relational import layout
from adapters.relational.assembled import shapes as assembled
from adapters.relational.assembled.shapes import Shape
from adapters.relational.layout import Layout
from engine.rulebook import RuleBook


def layouts(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> dict[str, Layout]:
    """Where each entity lives that has one table and one key everywhere, by entity. Raises SchemaChanged."""
    return layout.layouts(book, system, columns_of(conn, book, system))


def shapes(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> dict[str, Shape]:
    """How the records lie that are put together out of rows, by entity. Raises SchemaChanged, psycopg.Error."""
    if all(binding.assembly is None for binding in book.bound[system]):
        return {}
    known = columns_of(conn, book, system)
    foreign = read_foreign_keys(conn, [(table.schema, table.name) for table in book.tables[system]])
    return assembled.shapes(book, system, known, foreign, is_record)


def columns_of(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> Sequence[Mapping[str, PgColumn]]:
    """All columns of each table of the rules, by its number. Raises SchemaChanged if a bound one is not there."""
    tables = [(table.schema, table.name) for table in book.tables[system]]
    return layout.columns_of(book, system, read_columns(conn, tables))
