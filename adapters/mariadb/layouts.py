"""Turns the rules' tables and the server's catalog into layouts and shapes: where each entity lives here.

What the rules and a catalog say together is `relational`'s affair; here the catalog is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from adapters.mariadb.assembled.belonging import Belongs, belonging
from adapters.mariadb.catalog import read_columns, read_foreign_keys
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.session import Connection
from adapters.relational import layout
from adapters.relational.assembled import shapes as assembled
from adapters.relational.assembled.places import Place
from adapters.relational.assembled.shapes import Shape
from adapters.relational.layout import Layout
from engine.rulebook import Assembly, RuleBook


def layouts(conn: Connection, book: RuleBook, system: str) -> dict[str, Layout]:
    """Where each entity lives that has one table and one key everywhere, by entity.

    Raises SchemaChanged, pymysql.MySQLError."""
    return layout.layouts(book, system, columns_of(conn, book, system))


def shapes(conn: Connection, book: RuleBook, system: str) -> dict[str, Shape]:
    """How the records lie that are put together out of rows, by entity. Raises SchemaChanged, pymysql.MySQLError."""
    if all(binding.assembly is None for binding in book.bound[system]):
        return {}
    known = columns_of(conn, book, system)
    foreign = read_foreign_keys(conn, [(table.schema, table.name) for table in book.tables[system]])
    return assembled.shapes(book, system, known, foreign, _belonging)


def columns_of(conn: Connection, book: RuleBook, system: str) -> Sequence[Mapping[str, MariaColumn]]:
    """All columns of each table of the rules, by its number. Raises SchemaChanged if a bound one is not there."""
    tables = [(table.schema, table.name) for table in book.tables[system]]
    found = layout.columns_of(book, system, read_columns(conn, tables))
    return cast("Sequence[Mapping[str, MariaColumn]]", found)


def _belonging(assembly: Assembly, places: Sequence[Place]) -> Belongs | None:
    return belonging(assembly, places)
