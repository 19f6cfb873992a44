"""Turns MariaDB's and MySQL's information schema into what the rules and the statements need to know of bound tables.

One query a question, for all tables at once; only what the information schema hides from a user who may read is asked
table by table (`created`). It never reads a row of the application's. A server shows a user only the tables that the
user has some right on: others do not exist here.

`read_catalog` gives the engine's own words (`engine.catalog`); `read_columns` gives what only this adapter needs
beside them: how a column's text is cast there and printed back (`columns` makes both of what is read here).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import pymysql

from adapters.mariadb.columns import MariaColumn, column
from adapters.mariadb.created import Created, MariaForeignKey, created
from adapters.mariadb.phrases import quoted
from adapters.mariadb.session import Connection, ask, error_number, text_literal
from adapters.relational.live import TableName
from engine.catalog import Catalog, TableShape

COLUMNS: Final = """
SELECT c.table_schema, c.table_name, c.column_name, c.data_type, c.column_type, c.is_nullable, c.column_default,
       c.character_maximum_length, c.character_octet_length, c.numeric_precision, c.numeric_scale,
       c.datetime_precision, c.character_set_name, c.collation_name, c.extra, c.generation_expression, c.privileges
FROM information_schema.columns c
WHERE {where}
ORDER BY c.table_schema, c.table_name, c.ordinal_position
"""

SHAPES: Final = """
SELECT t.table_schema, t.table_name, t.table_type, t.engine FROM information_schema.tables t WHERE {where}
"""

INDEXES: Final = """
SELECT s.table_schema, s.table_name, s.index_name, s.column_name, s.sub_part
FROM information_schema.statistics s
WHERE {where} AND s.non_unique = 0
ORDER BY s.table_schema, s.table_name, s.index_name <> 'PRIMARY', s.index_name, s.seq_in_index
"""

LEADING: Final = """
SELECT s.table_schema, s.table_name, s.column_name, s.index_name
FROM information_schema.statistics s
WHERE {where} AND s.seq_in_index = 1 AND s.sub_part IS NULL AND s.index_type = 'BTREE' AND s.{used}
ORDER BY s.index_name <> 'PRIMARY', s.index_name
"""
USED: Final[Mapping[str, str]] = {"mariadb": "ignored = 'NO'", "mysql": "is_visible = 'YES'"}
"""What is so of an index that the server uses; by flavour."""

NAMES: Final = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'duolog')
ORDER BY 1, 2
"""

KINDS: Final[Mapping[str, str]] = {
    "VIEW": "view", "SYSTEM VIEW": "view", "SEQUENCE": "sequence", "SYSTEM VERSIONED": "versioned",
    "TEMPORARY": "temporary", "TEMPORARY SEQUENCE": "sequence",
}  # fmt: skip
HIDDEN: Final = frozenset({1142, 1143, 1146, 1932})
"""A table that we may know of but not look at, or that is gone or broken."""
ENGINE: Final = "InnoDB"
"""The storage engine of what is simply a `table`: the others have no transactions, or no rows of their own."""


def read_catalog(conn: Connection, system: str, tables: Iterable[TableName]) -> Catalog:
    """What the server's catalog says of `tables`; those that do not exist are left out of the answer.

    Raises pymysql.MySQLError."""
    wanted = list(dict.fromkeys(tables))
    columns = read_columns(conn, wanted)
    uniques = _uniques(conn, wanted)
    shapes: dict[TableName, TableShape] = {}
    for schema, name, kind, engine in _ask(conn, SHAPES, "t", wanted):
        keys = uniques.get((schema, name), {})
        shapes[(schema, name)] = TableShape(
            schema=schema,
            name=name,
            kind=KINDS.get(kind) or ("table" if engine == ENGINE else f"{engine or 'broken'} table"),
            columns={column: known.shape for column, known in columns.get((schema, name), {}).items()},
            primary_key=keys.get("PRIMARY", ()),
            unique=tuple(keys.values()),
        )
    names = tuple((str(schema), str(name)) for schema, name in ask(conn, NAMES))
    return Catalog(system=system, tables=shapes, names=names)


def read_columns(conn: Connection, tables: Iterable[TableName]) -> dict[TableName, dict[str, MariaColumn]]:
    """The columns of `tables`, by table and name, in the table's own order. Raises pymysql.MySQLError."""
    wanted = list(dict.fromkeys(tables))
    found: dict[TableName, dict[str, MariaColumn]] = {}
    statements = _created(conn, wanted) if conn.server.flavour == "mariadb" else {}
    for *row, rights in _ask(conn, COLUMNS, "c", wanted):
        schema, table, name = row[:3]
        told = statements.get((schema, table))
        is_json = told is not None and name in told.documents
        known = column(row[2:], conn.server, is_json=is_json)
        insertable = "insert" in rights.split(",")
        found.setdefault((schema, table), {})[name] = replace(known, insertable=insertable)
    for schema, table, name, index in _ask(conn, LEADING, "s", wanted, used=USED[conn.server.flavour]):
        indexed = found.get((schema, table), {}).get(name)
        if indexed is not None:
            found[schema, table][name] = replace(indexed, indexes=(*indexed.indexes, index))
    return found


def read_foreign_keys(conn: Connection, tables: Iterable[TableName]) -> tuple[MariaForeignKey, ...]:
    """The foreign keys of `tables`, wherever they lead. Raises pymysql.MySQLError."""
    told = _created(conn, list(dict.fromkeys(tables)))
    return tuple(key for each in told.values() for key in each.foreign_keys)


def _created(conn: Connection, tables: list[TableName]) -> dict[TableName, Created]:
    """What the statements say that would make these tables again; of those that there are, and that we may look at."""
    found: dict[TableName, Created] = {}
    for schema, name, kind, _ in _ask(conn, SHAPES, "t", tables):
        if KINDS.get(kind) not in (None, "versioned"):
            continue
        try:
            ((_, statement),) = ask(conn, f"SHOW CREATE TABLE {quoted(schema, name)}")
        except pymysql.MySQLError as error:
            if error_number(error) not in HIDDEN:
                raise
            continue
        found[(schema, name)] = created((schema, name), str(statement))
    return found


def _uniques(conn: Connection, tables: list[TableName]) -> dict[TableName, dict[str, tuple[str, ...]]]:
    """By table and name of the index, the columns of unique indexes that hold whole columns."""
    found: dict[TableName, dict[str, tuple[str, ...]]] = {}
    partial: set[tuple[TableName, str]] = set()
    for schema, table, index, name, part in _ask(conn, INDEXES, "s", tables):
        if name is None or part is not None:  # an expression, or the beginning of a column
            partial.add(((schema, table), index))
            continue
        indexes = found.setdefault((schema, table), {})
        indexes[index] = (*indexes.get(index, ()), name)
    for table, index in partial:
        found.get(table, {}).pop(index, None)
    return found


def _ask(
    conn: Connection, query: str, alias: str, tables: list[TableName], **words: str
) -> Iterator[tuple[Any, ...]]:
    """The rows of a question of `tables`, each beginning with (schema, name). A schema at a time, because the server
    looks through all of them otherwise; names are compared again here, because it does not tell `A` from `a`.
    `words`: what else stands in the question."""
    prefix = f"{alias}." if alias else ""
    schema_column = f"{prefix}table_schema" if alias else "constraint_schema"
    schemas: dict[str, list[str]] = {}
    for schema, name in tables:
        schemas.setdefault(schema, []).append(name)
    for schema, names in schemas.items():
        listed = ", ".join(map(text_literal, names))
        where = f"{schema_column} = {text_literal(schema)} AND {prefix}table_name IN ({listed})"
        rows = ask(conn, query.format(where=where, **words))
        yield from (row for row in rows if row[0] == schema and row[1] in names)


def _checked(clause: str) -> str:
    """The name of the column that a check calls JSON."""
    return clause.removeprefix("json_valid(`").removesuffix("`)").replace("``", "`")
