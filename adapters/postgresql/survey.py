"""Turns a live database into what a first rule file can be guessed from: tables, keys, foreign keys, allowed values.

It reads the catalog only, all of it in a handful of queries, and never a row. What the tables mean is not guessed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from adapters.postgresql.catalog import (
    NAMES,
    ForeignKey,
    PgColumn,
    TableName,
    read_catalog,
    read_columns,
    read_foreign_keys,
)
from adapters.postgresql.session import connect, translate
from engine.catalog import Catalog, TableShape

CHECKS: Final = """
SELECT n.nspname, c.relname, a.attname, pg_get_constraintdef(k.oid)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
WHERE k.contype = 'c' AND cardinality(k.conkey) = 1
"""
"""Conditions about one column."""

LISTED: Final = re.compile(r"^CHECK \([^']*? = ANY \(+ARRAY\[(?P<values>[^\]]*)\][^']*\)$")
"""As the server prints `CHECK (column IN ('a', 'b'))`."""
TEXT: Final = re.compile(r"'((?:[^']|'')*)'")
MAKING: Final = re.compile(r"nextval|gen_random_uuid|uuid_generate")

BINDABLE: Final = frozenset({"table", "partitioned"})


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One table that could be bound."""

    shape: TableShape
    foreign: tuple[ForeignKey, ...] = ()
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By column: the only texts that an enum or a CHECK lets in."""
    made: frozenset[str] = frozenset()
    """Columns whose values the database makes: serial numbers, UUIDs."""

    parents: tuple[tuple[str, TableName, str], ...] = ()
    """(part, table, how it is joined): tables whose rows have the same key, and say what this one's are besides. Their
    columns are among its own, as `part.column`."""

    @property
    def name(self) -> TableName:
        """(schema, name)"""
        return self.shape.schema, self.shape.name


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in one database."""

    system: str
    tables: tuple[Surveyed, ...]
    catalog: Catalog


def survey(system: str, url: str, schemas: Collection[str] = ()) -> Survey:
    """The tables of these schemas, or of all but the server's own. Raises SystemUnavailable, SystemStopped."""
    conn = connect(system, url, application_name="duolog init")
    try:
        conn.execute("SET default_transaction_read_only = on")
        return _survey(conn, system, schemas)
    except psycopg.Error as error:
        raise translate(error, system) from None
    finally:
        conn.close()


def _survey(conn: psycopg.Connection[Any], system: str, schemas: Collection[str]) -> Survey:
    names = [name for name in conn.execute(NAMES.encode()).fetchall() if not schemas or name[0] in schemas]
    catalog = read_catalog(conn, system, names)
    columns = read_columns(conn, names)
    foreign = read_foreign_keys(conn, names)
    allowed: dict[TableName, dict[str, tuple[str, ...]]] = {}
    for schema, table, column, condition in conn.execute(CHECKS.encode()):
        values = listed_values(condition)
        if values:
            allowed.setdefault((schema, table), {})[column] = values
    making = _made(columns, foreign)
    tables = []
    for name, shape in catalog.tables.items():
        if shape.kind in BINDABLE:
            labels = {column.name: column.labels for column in shape.columns.values() if column.labels}
            made = {column for table, column in making if table == name}
            keys = tuple(key for key in foreign if key.table == name)
            tables.append(Surveyed(shape, keys, labels | allowed.get(name, {}), frozenset(made)))
    return Survey(system, tuple(tables), catalog)


def _made(
    columns: Mapping[TableName, Mapping[str, PgColumn]], foreign: Collection[ForeignKey]
) -> set[tuple[TableName, str]]:
    """The columns whose values the database makes: by a default, or as what they refer to is made."""
    made = {(table, name) for table, known in columns.items() for name, c in known.items() if MAKING.search(c.made_by)}
    before = -1
    while before != len(made):
        before = len(made)
        made |= {
            (key.table, mine)
            for key in foreign
            for mine, theirs in zip(key.columns, key.other_columns, strict=True)
            if (key.other, theirs) in made
        }
    return made


def listed_values(condition: str) -> tuple[str, ...]:
    """The texts that a condition about one column lets in; () if it is none that lists them."""
    found = LISTED.match(condition)
    return tuple(text.replace("''", "'") for text in TEXT.findall(found["values"])) if found else ()
