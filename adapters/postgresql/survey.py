"""Turns a live database into what a first rule file can be guessed from: tables, keys, foreign keys, allowed values.

It reads the catalog only, all of it in a handful of queries, and never a row. What the tables mean is not guessed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import psycopg

from adapters.postgresql.catalog import NAMES, read_catalog, read_columns, read_foreign_keys
from adapters.postgresql.session import connect, translate
from adapters.relational.live import TableName
from adapters.relational.survey import Survey, surveyed

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
HOME: Final = "public"


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
    made = [(name, column) for name, known in columns.items() for column, each in known.items() if _makes(each.made_by)]
    tables = surveyed(catalog, BINDABLE, foreign, allowed, made)
    return Survey(system, "postgresql", HOME, tables, catalog)


def _makes(default: str) -> bool:
    return MAKING.search(default) is not None


def listed_values(condition: str) -> tuple[str, ...]:
    """The texts that a condition about one column lets in; () if it is none that lists them."""
    found = LISTED.match(condition)
    return tuple(text.replace("''", "'") for text in TEXT.findall(found["values"])) if found else ()
