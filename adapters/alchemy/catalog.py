"""Turns SQLAlchemy's inspector into what the rules and the statements need to know of bound tables.

Names are as the database stores them, and are always quoted: `ID` of Oracle is `ID`. It reads catalogs only, never a
row of the application's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy.columns import KEY_NUMBERED, ROW_NUMBER, AlchemyColumn, column
from adapters.alchemy.session import Session
from adapters.relational.live import ForeignKey, TableName
from engine.catalog import Catalog, TableShape


def read_catalog(session: Session, tables: Iterable[TableName]) -> Catalog:
    """What the database says of these tables, and which others there are. Raises sqlalchemy.exc.DBAPIError."""
    wanted = list(dict.fromkeys(tables))
    known = read_columns(session, wanted)
    with session.transaction() as conn:
        inspector = sa.inspect(conn)
        names = {schema: _names(inspector, session, schema) for schema in dict.fromkeys(schema for schema, _ in wanted)}
        shapes = {
            name: TableShape(
                schema=name[0], name=name[1], kind=names[name[0]].get(name[1], "table"),
                columns={each: live.shape for each, live in columns.items()},
                primary_key=_primary_key(inspector, session, name),
                unique=_unique(inspector, session, name, columns),
            )
            for name, columns in known.items()
        }  # fmt: skip
    listed = tuple((schema, name) for schema, found in names.items() for name in found)
    return Catalog(session.system, shapes, listed)


def read_columns(session: Session, tables: Iterable[TableName]) -> dict[TableName, dict[str, AlchemyColumn]]:
    """The columns of these tables, by table and name, in the table's own order; a table that is not there is left out.

    Raises sqlalchemy.exc.DBAPIError."""
    found: dict[TableName, dict[str, AlchemyColumn]] = {}
    with session.transaction() as conn:
        inspector = sa.inspect(conn)
        for schema, name in dict.fromkeys(tables):
            try:
                told = inspector.get_columns(_quoted(name), schema=_quoted(schema))
            except exc.NoSuchTableError:
                continue
            if session.name == KEY_NUMBERED:
                told = _numbered(inspector, name, schema, told)
            live = [column(each, _stored(session, each["name"]), session.dialect, session.can) for each in told]
            _in_table(schema, name, live, _primary_key(inspector, session, (schema, name)))
            found[(schema, name)] = {each.shape.name: each for each in live}
    return found


def read_foreign_keys(session: Session, tables: Iterable[TableName]) -> tuple[ForeignKey, ...]:
    """The foreign keys of these tables, wherever they lead. Raises sqlalchemy.exc.DBAPIError."""
    found = []
    with session.transaction() as conn:
        inspector = sa.inspect(conn)
        for schema, name in dict.fromkeys(tables):
            try:
                keys = inspector.get_foreign_keys(_quoted(name), schema=_quoted(schema))
            except exc.NoSuchTableError:
                continue
            for key in keys:
                other = key["referred_schema"]
                table = (_stored(session, other) if other else schema, _stored(session, key["referred_table"]))
                mine = tuple(_stored(session, each) for each in key["constrained_columns"])
                theirs = tuple(_stored(session, each) for each in key["referred_columns"])
                found.append(ForeignKey((schema, name), mine, table, theirs))
    return tuple(found)


def _numbered(inspector: Any, name: str, schema: str, told: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The columns, with what SQLite's catalog does not say: that one is another name of the row's number."""
    keyed = [each for each in told if each.get("primary_key")]
    options = inspector.get_table_options(_quoted(name), schema=_quoted(schema))
    if len(keyed) != 1 or str(keyed[0]["type"]) != ROW_NUMBER or not options.get("sqlite_with_rowid", True):
        return list(told)
    return [{**each, "autoincrement": True, "nullable": False} if each is keyed[0] else each for each in told]


def _in_table(schema: str, name: str, columns: Sequence[AlchemyColumn], key: Sequence[str]) -> None:
    """Puts the columns into a table of SQLAlchemy's. What it makes is asked for by us alone: with triggers, not every
    database answers an INSERT."""
    made = sa.Table(
        _quoted(name), sa.MetaData(), *[each.element for each in columns], schema=_quoted(schema),
        implicit_returning=False,
    )  # fmt: skip
    keyed = [each for each in columns if each.shape.name in key]
    for each in keyed:
        if each.element.autoincrement is not True:
            each.element.server_default = sa.FetchedValue()  # by a trigger perhaps: SQLAlchemy shall not warn of it
    if keyed:
        made.append_constraint(sa.PrimaryKeyConstraint(*[each.element for each in keyed]))


def _quoted(name: str) -> sa.quoted_name:
    return sa.quoted_name(name, quote=True)


def _stored(session: Session, name: Any) -> str:
    """A name that the inspector tells, as the database stores it."""
    dialect = session.dialect
    if dialect.requires_name_normalize:
        return str(dialect.denormalize_name(name))
    # Of MySQL's the inspector takes names out of SHOW CREATE TABLE, and leaves its doubled marks in them.
    return str(name).replace("``", "`") if session.can.marks_doubled else str(name)


def _names(inspector: Any, session: Session, schema: str) -> dict[str, str]:
    """The kinds of all tables of a schema, by name; there may be no such schema."""
    try:
        tables, views = inspector.get_table_names(_quoted(schema)), inspector.get_view_names(_quoted(schema))
    except (exc.NoSuchTableError, exc.OperationalError):
        return {}
    return {_stored(session, name): kind for kind, some in (("view", views), ("table", tables)) for name in some}


def _primary_key(inspector: Any, session: Session, name: TableName) -> tuple[str, ...]:
    told = inspector.get_pk_constraint(_quoted(name[1]), schema=_quoted(name[0]))
    return tuple(_stored(session, each) for each in told.get("constrained_columns") or ())


def _unique(
    inspector: Any, session: Session, name: TableName, columns: Mapping[str, AlchemyColumn]
) -> tuple[tuple[str, ...], ...]:
    table, schema = _quoted(name[1]), _quoted(name[0])
    sets = [_primary_key(inspector, session, name)]
    try:
        constraints = inspector.get_unique_constraints(table, schema=schema)
    except NotImplementedError:
        constraints = []
    sets += [tuple(_stored(session, each) for each in told["column_names"]) for told in constraints]
    for told in inspector.get_indexes(table, schema=schema):
        partial = any("where" in option for option in told.get("dialect_options") or ())
        if told.get("unique") and not partial and None not in told["column_names"]:
            sets.append(tuple(_stored(session, each) for each in told["column_names"]))
    return tuple(dict.fromkeys(each for each in sets if each and set(each) <= columns.keys()))
