"""What `on_create` and `on_write` may say is written for the database that it goes to, or refused with its own list."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import RFC_4122, UUID

import pytest

from rules.assembly.dialects import SQLITE_UUID, asked_of_sequence, dialect_of
from rules.assembly.sql import parsed
from rules.findings import Findings
from rules.located import Document

WORDS = {
    "'it''s \\ done'": ("'it''s \\ done'", "'it''s \\\\ done'"),
    "-1.50": ("-1.50", "-1.50"),
    "true": ("TRUE", "true"),
    "null": ("NULL", "NULL"),
    "now()": ("CURRENT_TIMESTAMP", "utc_timestamp(6)"),
    "now() at time zone 'utc'": ("CURRENT_TIMESTAMP AT TIME ZONE 'utc'", "utc_timestamp(6)"),
    "current_date": ("CURRENT_DATE", "utc_date()"),
    "gen_random_uuid()": ("GEN_RANDOM_UUID()", "uuid()"),
    "uuid()": ("GEN_RANDOM_UUID()", "uuid()"),
    "nextval('numbers')": ("nextval('numbers')", "nextval(`numbers`)"),
    "nextval('shop.\"odd`name\"')": ("nextval('shop.\"odd`name\"')", "nextval(`shop`.`odd``name`)"),
    "nextval('numbers'::regclass)": ("nextval(CAST('numbers' AS REGCLASS))", "nextval(`numbers`)"),
    "next value for shop.numbers": ("nextval('shop.numbers')", "nextval(`shop`.`numbers`)"),
    "utc_timestamp()": (None, "utc_timestamp(6)"),
    "newid()": ("gen_random_uuid()", "uuid()"),
    "sysutcdatetime()": ("CURRENT_TIMESTAMP", "utc_timestamp(6)"),
    "version()": (None, None),
    "now() + interval '1 day'": (None, None),
    "(select 1)": (None, None),
    "nextval(numbers)": (None, None),
    "lower('A')": (None, None),
}


@pytest.mark.parametrize("text", WORDS)
def test_a_value_is_written_for_the_database_that_it_goes_to(text: str) -> None:
    sequence = asked_of_sequence(text)
    sql = parsed(text, (), Findings(Document("rules.yaml", []))) if sequence is None else None
    tree = sequence if sql is None else sql.tree
    assert tree is not None

    told = tuple(dialect_of(adapter).render(tree.unnest()) for adapter in ("postgresql", "mariadb"))

    assert told == WORDS[text]
    assert dialect_of("mysql").render(tree.unnest()) == (None if "next" in text else told[1])


OTHERS = {
    "'it''s \\ done'": ("N'it''s \\ done'", "'it''s \\ done'", "'it''s \\ done'"),
    "-1.50": ("-1.50", "-1.50", "-1.50"),
    "true": ("1", "1", "true"),
    "false": ("0", "0", "false"),
    "null": ("NULL", "NULL", "NULL"),
    "now()": ("SYSUTCDATETIME()", "strftime('%Y-%m-%d %H:%M:%f', 'now')", None),
    "now() at time zone 'utc'": ("SYSUTCDATETIME()", "strftime('%Y-%m-%d %H:%M:%f', 'now')", None),
    "sysutcdatetime()": ("SYSUTCDATETIME()", "strftime('%Y-%m-%d %H:%M:%f', 'now')", None),
    "current_date": ("CAST(SYSUTCDATETIME() AS date)", "date('now')", None),
    "newid()": ("NEWID()", SQLITE_UUID, None),
    "nextval('shop.\"odd]name\"')": ("NEXT VALUE FOR [shop].[odd]]name]", None, None),
    "next value for shop.numbers": ("NEXT VALUE FOR [shop].[numbers]", None, None),
    "lower('A')": (None, None, None),
}


@pytest.mark.parametrize("text", OTHERS)
def test_a_value_is_written_for_sql_server_for_sqlite_and_for_what_is_not_known(text: str) -> None:
    sequence = asked_of_sequence(text)
    sql = parsed(text, (), Findings(Document("rules.yaml", []))) if sequence is None else None
    tree = sequence if sql is None else sql.tree
    assert tree is not None

    assert tuple(dialect_of(kind).render(tree.unnest()) for kind in ("mssql", "sqlite", "odbc")) == OTHERS[text]


def test_a_uuid_of_sqlite_is_one_of_version_four() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        made = {UUID(connection.execute(f"SELECT {SQLITE_UUID}").fetchone()[0]) for _ in range(200)}

    assert len(made) == 200
    assert {(each.version, each.variant) for each in made} == {(4, RFC_4122)}
