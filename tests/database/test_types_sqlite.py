"""The page about SQLite says what becomes of values: every line of its table is what a file and a server make of them.

`DUOLOG_REWRITE=1 pytest tests/database/test_types_sqlite.py` writes the table anew; read it before committing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from adapters.alchemy.catalog import read_columns
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.session import WRITE, Session, connect
from adapters.relational.refused import Unstorable
from engine.catalog import Column
from engine.errors import ValueRefused
from engine.rulebook import Codec
from tests.database.test_types_page import (
    OF_POSTGRESQL,
    Place,
    crossed,
    described_or_key,
    postgres,
    postgres_place,
)
from tests.rules.conversions import Conversion, judged

__all__ = ["postgres"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sqlite.md"
MARK = "<!-- from here on written by the test tests/database/test_types_sqlite.py -->\n"

PAIRS: Sequence[tuple[str, str, str]] = (
    ("integer", "bigint", ""), ("integer", "int", ""), ("integer", "boolean", ""), ("boolean", "boolean", ""),
    ("integer", "numeric(12,2)", "scale: 0.01, round: 0"), ("decimal(12,2)", "numeric(12,2)", ""),
    ("numeric", "numeric", ""), ("real", "float8", ""), ("real", "real", ""), ("text", "text", ""),
    ("varchar(40)", "varchar(40)", ""), ("char(4)", "char(4)", ""), ("blob", "bytea", ""), ("date", "date", ""),
    ("text", "date", ""), ("datetime", "timestamp", ""), ("timestamp", "timestamptz", ""),
    ("datetime", "timestamptz", "time_zone: Europe/Berlin"), ("time", "time", ""), ("text", "uuid", ""),
    ("json", "jsonb", ""), ("text", "jsonb", ""), ("text", "enum stage(a, Bc, 中)", ""),
    ("text", "text[]", 'list: ","'),
)  # fmt: skip
"""(type on SQLite, type on PostgreSQL, words of SQLite's column)"""

_MOMENTS = ("2026-01-31 12:00:00", "2026-01-31 12:00:00.123456", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")
OF_SQLITE: Mapping[str, tuple[str, ...]] = {
    "integer": ("0", "-1", "2", "9223372036854775807", "-9223372036854775808"), "boolean": ("t", "f"),
    "decimal(12,2)": ("0.00", "-0.01", "9999999999.99"), "numeric": ("0", "-1.5", "123456789012345"),
    "real": ("0", "0.1", "1.7976931348623157e+308"),
    "text": ("", "a", "A", "a ", "中😀", "\\", "x" * 70_000, "2026-01-31", "a,B", "[1, 2]"),
    "varchar(40)": ("", "a", "a ", "中😀"), "char(4)": ("a", "abcd"), "blob": ("\\x", "\\x00ff", "\\x" + "00" * 70_000),
    "date": ("2026-01-31", "0001-01-01", "9999-12-31"), "datetime": _MOMENTS,
    "timestamp": tuple(text + "+00" for text in _MOMENTS),
    "time": ("00:00:00", "12:00:00.123456", "23:59:59.999999"), "json": ("{}", '{"b":1,"a":[1.50,1e2]}', '"é"'),
}  # fmt: skip
"""Values of SQLite's columns, as they are told."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Session]:
    (tmp_path / "one.sqlite").touch()
    session = connect("erp", f"sqlite:///{tmp_path}/one.sqlite", purpose=WRITE)
    yield session
    session.close()


def made(file: Session, ddl: str) -> AlchemyColumn:
    """The column of a table of one, made anew."""
    with file.transaction() as conn:
        conn.exec_driver_sql("DROP TABLE IF EXISTS one")
        conn.exec_driver_sql(f"CREATE TABLE one (x {ddl})")
    return read_columns(file, [("main", "one")])["main", "one"]["x"]


def place(file: Session, ddl: str, codec: Codec | None) -> Place:
    """A table of one column."""
    column = made(file, ddl)

    def put(text: str) -> str:
        try:
            value = column.value(text)
        except Unstorable:
            raise ValueRefused("no such value", system="erp") from None
        with file.transaction() as conn:
            conn.execute(sa.delete(column.table))
            conn.execute(sa.insert(column.table).values({column.element: column.parameter("v")}), {"v": value})
            told = column.text(conn.execute(sa.select(column.selected)).scalar_one())
        assert told is not None, (ddl, text)
        return told

    return Place(put, codec)


def test_the_page_says_what_a_file_and_a_server_do(
    file: Session, postgres: psycopg.Connection[tuple[str]]
) -> None:
    postgres.prepare_threshold = None  # each of its tables is another, and has the same name
    lines = ["", "| SQLite | PostgreSQL | `check` | from SQLite and back | from PostgreSQL and back |",
             "| --- | --- | --- | --- | --- |"]  # fmt: skip

    def described(name: str, text: str) -> Column:
        kind, _, ddl = text.partition(" ")
        return made(file, ddl).shape if kind == "sqlite" else described_or_key(name, text)

    for ddl, type_, words in PAIRS:
        ((found, problems),) = judged({"f": (f"pg {type_}", f"sqlite {ddl}", words)}, columns=described)
        head = f"| `{ddl}`{f' with `{words}`' if words else ''} | `{type_}` |"
        lines.append(f"{head} {cells(found, problems, ddl, type_, file, postgres)} |")
    page = PAGE.read_text(encoding="utf-8")
    head, mark, _ = page.partition(MARK)
    assert mark, "the page has lost its mark"
    written = head + MARK + "\n".join(lines) + "\n"

    if os.environ.get("DUOLOG_REWRITE"):
        PAGE.write_text(written, encoding="utf-8")
    assert page == written or os.environ.get("DUOLOG_REWRITE"), "run this test with DUOLOG_REWRITE=1, and read the page"


def cells(
    found: Conversion, problems: Sequence[object], ddl: str, type_: str, file: Session,
    postgres: psycopg.Connection[tuple[str]],
) -> str:  # fmt: skip
    """The last three of a line. (The rules' `crm` is SQLite.)"""
    codes = " ".join(sorted({problem.code for problem in problems}))
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        return f"{errors[0].code} | refused: {errors[0].what.partition(': ')[2]} |"
    here = place(file, ddl, found.codecs.get("crm"))
    there = postgres_place(postgres, type_, found.codecs.get("erp"))
    return f"{codes} | {crossed(OF_SQLITE[ddl], here, there)} | {crossed(OF_POSTGRESQL[type_], there, here)}"
