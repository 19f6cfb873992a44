"""`where` of a rule file means the same to us, for the rows that a log tells, and to PostgreSQL, for those it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from adapters.postgresql.assembled.belonging import condition
from adapters.postgresql.catalog import read_catalog
from adapters.postgresql.layouts import columns_of
from adapters.postgresql.phrases import comma, printed
from adapters.postgresql.session import session_options
from engine.conditions import Condition, Holds, In, holds
from engine.conditions import columns_of as columns_asked
from engine.rulebook import RuleBook
from rules import compile_book
from tests.rules.test_compile import HEAD, rules_of

TABLE = """
CREATE EXTENSION citext;
CREATE TYPE stage AS ENUM ('won', 'lost', 'a%b');
CREATE TABLE "par-ty" (
    id serial PRIMARY KEY, name text, code char(5), "Odd Name" citext, n int, big bigint,
    paid numeric(12,2), due numeric, share float8, active boolean, since date, at timestamp(3), seen timestamptz,
    stage stage, u uuid, extra jsonb
);
CREATE TABLE accounts (id serial PRIMARY KEY, name text);
INSERT INTO "par-ty" VALUES
    (1, 'Ünïcode', 'AB', 'Müller', 3, 9223372036854775807, 1.50, 1.500, 0.1, true, '2024-02-29',
     '2024-02-29 10:00:00.5', '2024-02-29 10:00:00+02', 'won', '6f2c1e0a-7d2b-4c1e-9a53-0c5f6e1d2b3a', '{"a": 1}'),
    (2, 'straße 100%', 'AB CD', 'MÜLLER', 0, -1, 0, 'NaN', 1e20, false, '0044-03-15 BC', 'infinity', '-infinity',
     'a%b', NULL, '[]'),
    (3, 'O''Neill \\ ', '', '', -7, 0, 99999999.99, 99999999.990, 'NaN', NULL, 'infinity', '1999-12-31 23:59:59',
     '2030-01-01 00:00:00+00', 'lost', '00000000-0000-0000-0000-000000000000', NULL),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, '中文字 😀', 'x', 'e\u0301', 2147483647, 42, -0.01, 'Infinity', -0.0, true, '2026-12-28',
     '2026-12-28 00:00:00', '2026-12-28 00:00:00+00', 'won', '6F2C1E0A7D2B4C1E9A530C5F6E1D2B3B', '"text"');
"""

FILTERS = (
    "paid > 1", "paid = 1.5", "due = paid", "due > 1e6", "paid * n >= due", "n / nullif(big, 0) = 0", "share > 0.05",
    "share = 0", "due is distinct from paid", "n::bigint + 1 > 3 and active", "not (n > 3 or active is true)",
    "n % 2 = 1", "name like '%ü%'", "name ilike 'ü%'", "lower(name) = 'ünïcode'", "upper(name) like 'STRAßE%'",
    r"name like '%\\%'", r"name like '%''%\\ '", "code = 'AB' and length(code) = 2", "code || '|' = 'x|'",
    "code like 'AB%'", "\"Odd Name\" > 'Müller'", "\"Odd Name\" = 'müller'", "lower(\"Odd Name\") = 'müller'",
    "position('ü' in \"Odd Name\") = 2", "\"Odd Name\" like 'M%'", "since > '2000-01-01'",
    "since between '2024-01-01' and date '2026-12-31'", "since < at", "at + interval '1 month' < seen",
    "extract(year from since) in (2024, 2026)", "date_trunc('year', at) = '2024-01-01'", "at::date = since",
    "seen::date > since", "stage = 'won'", "stage in ('won', 'a%b')", r"stage like 'a\%%'", "stage > 'lost'",
    "u > '1f2c1e0a-7d2b-4c1e-9a53-0c5f6e1d2b3a'", "u = '6F2C1E0A-7d2b-4c1e-9a53-0c5f6e1d2b3a'",
    "extra = '{\"a\": 1}'", "extra is not null", "case when active then n > 0 else n < 0 end",
    "coalesce(name, code, 'none') = 'none'", "coalesce(active, true)", "active is not true", "active = (n > 0)",
    "concat(name, active) = 't' or concat(active) = 'f'", "greatest(n, paid, 5) = 5", "name is null or n is null",
    "starts_with(name, 'straße')", "replace(name, 'ß', 'ss') like 'strasse%'", "reverse(code) = 'BA'",
    "name in ('Ünïcode', 'x') and big > 10", "substring(name from 1) = '中文字 😀'", "n::text = '3'",
    "paid::text = '1.50'", "round(paid) = 2", "abs(n) = 7", "'%' = right('100%', 1) and n = 3", "name || code = name",
    "split_part(name, ' ', 2) = '100%'", "paid / 3 > 0.5", "trim(name) <> name", "lpad(code, 3, '*') = '**x'",
)


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of ours, on a table with all kinds of columns."""
    with psycopg.connect(erp_db, options=session_options(), autocommit=True) as conn:
        conn.execute(TABLE.encode())
        yield conn


def test_every_filter_means_the_same_here_and_there(user: psycopg.Connection[Any], tmp_path: Path) -> None:
    wrong, told = [], set()
    for text in FILTERS:
        book, where = filtered(user, text, tmp_path)
        mine, theirs = here(user, book, where), there(user, book, where)
        told.add(tuple(theirs))
        if mine != theirs:
            wrong.append((text, mine, theirs))

    assert wrong == []
    assert len(told) > 12, "the filters tell rows apart"


def test_what_a_filter_means_is_what_the_rule_file_says(user: psycopg.Connection[Any], tmp_path: Path) -> None:
    """Where the column's type and collation have no say, it is PostgreSQL's own answer to the very text."""
    for text in ("paid * n >= due", "since < at", "name like '%''%'", "at + interval '1 month' < seen", "n % 2 = 1"):
        book, where = filtered(user, text, tmp_path)
        rows = user.execute(f'SELECT id FROM "par-ty" WHERE {text} ORDER BY id'.encode()).fetchall()  # noqa: S608

        assert here(user, book, where) == [row[0] for row in rows], text


def test_constants_fill_new_rows_beside_what_is_worked_out(user: psycopg.Connection[Any], tmp_path: Path) -> None:
    book, where = filtered(user, "stage = 'won' and lower(name) <> 'x' and active", tmp_path)
    binding = book.entities["customer"].bindings["erp"]

    assert binding.assembly is not None
    names = book.tables["erp"][0].columns
    assert {names[at]: text for at, text in binding.assembly.parts[0].constants} == {"stage": "won", "active": "t"}
    assert [type(each) for each in where.inner] == [In, Holds, In]  # type: ignore[union-attr]


def filtered(conn: psycopg.Connection[Any], text: str, folder: Path) -> tuple[RuleBook, Condition]:
    """A rule book whose ERP has this filter."""
    quoted = "'" + text.replace("'", "''") + "'"
    rules = HEAD + (
        "  customer:\n    identity: [name]\n    conflict: last_writer\n    bind:\n"
        f'      erp: {{schema: public, table: par-ty, key: id, where: {quoted}}}\n'
        "      crm: {table: accounts, key: id}\n    create: [erp]\n    fields:\n      name: {erp: name, crm: name}\n"
    )
    tables = [("public", "par-ty"), ("public", "accounts")]
    catalogs = {system: read_catalog(conn, system, tables) for system in ("erp", "crm")}
    book, problems = compile_book(rules_of(rules, folder), catalogs)
    assert [problem for problem in problems if problem.severity == "error"] == [], text
    assembly = book.entities["customer"].bindings["erp"].assembly
    assert assembly is not None and assembly.parts[0].where is not None
    return book, assembly.parts[0].where


def here(conn: psycopg.Connection[Any], book: RuleBook, where: Condition) -> list[int]:
    """The rows that belong, by the texts that a log tells."""
    columns = list(columns_of(conn, book, "erp")[0].values())
    names = book.tables["erp"][0].columns
    known = {column.shape.name: column for column in columns}
    query = sql.SQL('SELECT t.id, {} FROM "par-ty" AS t ORDER BY t.id').format(comma(printed(known[n]) for n in names))
    assert columns_asked(where) <= set(range(len(names)))
    return [row[0] for row in conn.execute(query) if holds(where, row[1:])]


def there(conn: psycopg.Connection[Any], book: RuleBook, where: Condition) -> list[int]:
    """The rows that belong, by the database."""
    known = columns_of(conn, book, "erp")[0]
    columns = [known[name] for name in book.tables["erp"][0].columns]
    query = sql.SQL('SELECT id FROM "par-ty" AS t WHERE {} ORDER BY id').format(condition(where, columns, "t"))
    return [row[0] for row in conn.execute(query)]
