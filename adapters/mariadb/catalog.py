"""Turns MariaDB's and MySQL's information schema into what the rules and the statements need to know of bound tables.

One query a question, for all tables at once, so that a thousand bound tables cost what one costs. It never reads a row
of the application's. A server shows a user only the tables that the user has some right on: others do not exist here.

`read_catalog` gives the engine's own words (`engine.catalog`); `read_columns` gives what only this adapter needs
beside them: how a column's text is cast there and printed back (`columns` makes both of what is read here).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.mariadb.columns import MariaColumn, column
from adapters.mariadb.session import Connection, ask, text_literal
from adapters.relational.live import ForeignKey, TableName
from engine.catalog import Catalog, TableShape

COLUMNS: Final = """
SELECT c.table_schema, c.table_name, c.column_name, c.data_type, c.column_type, c.is_nullable, c.column_default,
       c.character_maximum_length, c.character_octet_length, c.numeric_precision, c.numeric_scale,
       c.datetime_precision, c.character_set_name, c.collation_name, c.extra, c.generation_expression
FROM information_schema.columns c
WHERE {where}
ORDER BY c.table_schema, c.table_name, c.ordinal_position
"""

JSON_CHECKS: Final = """
SELECT constraint_schema, table_name, check_clause FROM information_schema.check_constraints
WHERE {where} AND check_clause LIKE 'json_valid(`%`)'
"""
"""MariaDB's JSON is a text whose column checks that it is one. MySQL has a type of its own."""

SHAPES: Final = """
SELECT t.table_schema, t.table_name, t.table_type, t.engine FROM information_schema.tables t WHERE {where}
"""

INDEXES: Final = """
SELECT s.table_schema, s.table_name, s.index_name, s.column_name, s.sub_part
FROM information_schema.statistics s
WHERE {where} AND s.non_unique = 0
ORDER BY s.table_schema, s.table_name, s.index_name <> 'PRIMARY', s.index_name, s.seq_in_index
"""

FOREIGN_KEYS: Final = """
SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema,
       k.referenced_table_name, k.referenced_column_name, r.update_rule, r.delete_rule
FROM information_schema.key_column_usage k
JOIN information_schema.referential_constraints r
  ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name
 AND r.table_name = k.table_name
WHERE {where} AND k.referenced_table_name IS NOT NULL
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
"""

NAMES: Final = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'duolog')
ORDER BY 1, 2
"""

KINDS: Final[Mapping[str, str]] = {
    "VIEW": "view", "SYSTEM VIEW": "view", "SEQUENCE": "sequence", "SYSTEM VERSIONED": "versioned",
    "TEMPORARY": "temporary", "TEMPORARY SEQUENCE": "sequence",
}  # fmt: skip
ENGINE: Final = "InnoDB"
"""The storage engine of what is simply a `table`: the others have no transactions, or no rows of their own."""


@dataclass(frozen=True, slots=True)
class MariaForeignKey(ForeignKey):
    """A foreign key, and what the database does by itself when the row goes or changes that it refers to.

    What it does so is in no binlog."""

    on_update: str
    """`RESTRICT`, `NO ACTION`, `CASCADE`, `SET NULL`, `SET DEFAULT`."""
    on_delete: str


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
    documents: set[tuple[str, str, str]] = set()
    if conn.server.flavour == "mariadb":
        documents = {(s, t, _checked(clause)) for s, t, clause in _ask(conn, JSON_CHECKS, "", wanted)}
    for row in _ask(conn, COLUMNS, "c", wanted):
        schema, table, name = row[:3]
        is_json = (schema, table, name) in documents
        found.setdefault((schema, table), {})[name] = column(row[2:], conn.server, is_json=is_json)
    return found


def read_foreign_keys(conn: Connection, tables: Iterable[TableName]) -> tuple[MariaForeignKey, ...]:
    """The foreign keys of `tables`, wherever they lead. Raises pymysql.MySQLError."""
    keys: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {}
    for row in _ask(conn, FOREIGN_KEYS, "k", list(dict.fromkeys(tables))):
        keys.setdefault(row[:3], []).append(row[3:])
    return tuple(
        MariaForeignKey(
            table=(schema, name),
            columns=tuple(row[0] for row in rows),
            other=(rows[0][1], rows[0][2]),
            other_columns=tuple(row[3] for row in rows),
            on_update=rows[0][4],
            on_delete=rows[0][5],
        )
        for (schema, name, _), rows in keys.items()
    )


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


def _ask(conn: Connection, query: str, alias: str, tables: list[TableName]) -> Iterator[tuple[Any, ...]]:
    """The rows of a question of `tables`, each beginning with (schema, name). A schema at a time, because the server
    looks through all of them otherwise; names are compared again here, because it does not tell `A` from `a`."""
    prefix = f"{alias}." if alias else ""
    schema_column = f"{prefix}table_schema" if alias else "constraint_schema"
    schemas: dict[str, list[str]] = {}
    for schema, name in tables:
        schemas.setdefault(schema, []).append(name)
    for schema, names in schemas.items():
        listed = ", ".join(map(text_literal, names))
        where = f"{schema_column} = {text_literal(schema)} AND {prefix}table_name IN ({listed})"
        yield from (row for row in ask(conn, query.format(where=where)) if row[0] == schema and row[1] in names)


def _checked(clause: str) -> str:
    """The name of the column that a check calls JSON."""
    return clause.removeprefix("json_valid(`").removesuffix("`)").replace("``", "`")
