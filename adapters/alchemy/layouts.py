"""Turns the rules' tables and SQLAlchemy's inspector into layouts and shapes: where each entity lives here.

What the rules and a catalog say together is `relational`'s affair; here the catalog is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from adapters.alchemy.catalog import read_columns, read_foreign_keys
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.parts import belonging
from adapters.alchemy.session import Session
from adapters.relational import layout
from adapters.relational.assembled import shapes as assembled
from adapters.relational.assembled.shapes import Shape
from adapters.relational.layout import Layout
from engine.rulebook import RuleBook


def layouts(session: Session, book: RuleBook) -> dict[str, Layout]:
    """Where each entity lives that has one table and one key everywhere, by entity. Raises SchemaChanged."""
    return layout.layouts(book, session.system, columns_of(session, book))


def shapes(session: Session, book: RuleBook) -> dict[str, Shape]:
    """How the records lie that are put together out of rows, by entity. Raises SchemaChanged."""
    if all(binding.assembly is None for binding in book.bound[session.system]):
        return {}
    foreign = read_foreign_keys(session, [(table.schema, table.name) for table in book.tables[session.system]])
    return assembled.shapes(book, session.system, columns_of(session, book), foreign, belonging)


def columns_of(session: Session, book: RuleBook) -> Sequence[Mapping[str, AlchemyColumn]]:
    """All columns of each table of the rules, by its number. Raises SchemaChanged if a bound one is not there."""
    known = read_columns(session, [(table.schema, table.name) for table in book.tables[session.system]])
    found = layout.columns_of(book, session.system, known)
    return cast("Sequence[Mapping[str, AlchemyColumn]]", found)
