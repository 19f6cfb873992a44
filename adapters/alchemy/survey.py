"""Turns a live database that SQLAlchemy speaks to into what a first rule file can be guessed from: tables, keys,
foreign keys, allowed values.

It reads the catalog only, and never a row. Without further words, the schema is meant in which a table is that is named
alone. What a CHECK lets in is read out of its condition, in whatever words the database prints it. What the tables mean
is not guessed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import sqlalchemy as sa
import sqlglot
from sqlalchemy import exc
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.alchemy.catalog import read_catalog, read_columns, read_foreign_keys
from adapters.alchemy.session import Session, connect, translate
from adapters.relational.live import TableName
from adapters.relational.survey import Survey, surveyed

BINDABLE: Final = frozenset({"table"})
OURS: Final = "duolog"
"""How everything begins that `setup` makes beside the application's tables."""
MAKING: Final = re.compile(r"nextval|next value for|uuid|newid|newsequentialid|randomblob", re.IGNORECASE)
"""What a default says that makes another value each time."""
_DIALECTS: Final = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}
"""What sqlglot calls a dialect of SQLAlchemy's, where it has another name for it."""


def survey(system: str, url: str, schemas: Collection[str] = (), *, adapter: str) -> Survey:
    """The tables of these schemas, or of the default one. `adapter`: the word of the rules for such a database.

    Raises SystemUnavailable, SystemStopped."""
    session = connect(system, url)
    try:
        return _survey(session, system, schemas, adapter)
    except exc.DBAPIError as error:
        raise translate(error, system) from None
    finally:
        session.close()


def _survey(session: Session, system: str, schemas: Collection[str], adapter: str) -> Survey:
    with session.transaction() as conn:
        inspector = sa.inspect(conn)
        home = str(inspector.default_schema_name or "")
        names = [
            (schema, str(name))
            for schema in (schemas or (home,))
            for name in inspector.get_table_names(sa.quoted_name(schema, quote=True))
            if not str(name).startswith(OURS)
        ]
        allowed = {name: dict(_allowed(inspector, session.name, name)) for name in names}
        made = [(name, column) for name in names for column in _made(inspector, name)]
    catalog = read_catalog(session, names)
    made += [
        (name, column)
        for name, columns in read_columns(session, names).items()
        for column, each in columns.items()
        if each.numbered
    ]
    tables = surveyed(catalog, BINDABLE, read_foreign_keys(session, names), allowed, made)
    return Survey(system, adapter, home, tables, catalog)


def _allowed(inspector: Any, dialect: str, name: TableName) -> Iterator[tuple[str, tuple[str, ...]]]:
    schema, table = name
    try:
        checks = inspector.get_check_constraints(table, schema=schema)
    except NotImplementedError:  # not every dialect asks for them
        return
    for check in checks:
        yield from listed_values(str(check["sqltext"]), dialect)


def _made(inspector: Any, name: TableName) -> Iterator[str]:
    schema, table = name
    for column in inspector.get_columns(table, schema=schema):
        if MAKING.search(str(column.get("default") or "")):
            yield str(column["name"])


def listed_values(condition: str, dialect: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(column, the only texts that a condition lets in), where it says no more than that: `x IN ('a', 'b')`,
    `x = 'a' OR x = 'b'`, `x = ANY (ARRAY['a', 'b'])`. `dialect`: SQLAlchemy's name for whose words these are."""
    try:
        tree = sqlglot.parse_one(condition, dialect=_DIALECTS.get(dialect, dialect))
    except (SqlglotError, ValueError):
        return
    match _plain(tree):
        case exp.In(this=column, expressions=[*values]) if values:
            found = [(column, values)]
        case exp.EQ(this=column, expression=exp.Any(this=values)) if isinstance(_plain(values), exp.Array):
            found = [(column, _plain(values).expressions)]
        case exp.Or() as either:
            found = [(one.this, [one.expression]) for one in map(_plain, either.flatten()) if isinstance(one, exp.EQ)]
            if len(found) < len(list(either.flatten())):
                return
        case _:
            return
    columns = {_plain(column).name for column, _ in found if isinstance(_plain(column), exp.Column)}
    texts = [_plain(value) for _, values in found for value in values]
    if len(columns) == 1 and all(isinstance(text, exp.National) or text.is_string for text in texts):
        yield columns.pop(), tuple(str(text.this) for text in texts)


def _plain(tree: exp.Expr) -> exp.Expr:
    """Without brackets, casts and words on character sets around it."""
    while isinstance(tree, exp.Paren | exp.Cast | exp.Introducer):
        tree = tree.expression if isinstance(tree, exp.Introducer) else tree.this
    return tree
