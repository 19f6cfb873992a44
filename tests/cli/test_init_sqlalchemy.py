"""`duolog init` looks at databases that SQLAlchemy speaks to: SQLite, and whatever is behind an address of ODBC."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adapters.alchemy.survey import listed_values
from service.cli import app
from service.wiring import survey

TABLES = """
CREATE TABLE customer (
    id INTEGER PRIMARY KEY, customer_no VARCHAR(12) NOT NULL UNIQUE, name VARCHAR(80) NOT NULL, city VARCHAR(40),
    stage CHAR(1) NOT NULL CHECK (stage IN ('a', 'it''s')), kind TEXT CHECK (kind = 'x' OR kind = 'y'),
    note TEXT CHECK (length(note) < 9), token TEXT DEFAULT (hex(randomblob(8)))
);
CREATE TABLE address (
    customer INTEGER REFERENCES customer (id), seq INT NOT NULL, street VARCHAR(40), PRIMARY KEY (customer, seq)
);
CREATE TABLE counted (id INTEGER PRIMARY KEY, n NUMERIC(12,2)) WITHOUT ROWID;
CREATE TABLE duolog_ledger (a INT);
CREATE VIEW seen AS SELECT id FROM customer;
"""


def made(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return f"sqlite:///{path}"


def duolog(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_file_is_surveyed_with_its_checks_its_references_and_what_it_numbers(tmp_path: Path) -> None:
    found = survey("erp", made(tmp_path / "erp.sqlite"), ())

    assert (found.adapter, found.home) == ("sqlite", "main")
    tables = {table.shape.name: table for table in found.tables}
    assert tables.keys() == {"customer", "address", "counted"}, "neither views nor what is ours"
    assert tables["customer"].allowed == {"stage": ("a", "it's"), "kind": ("x", "y")}
    assert tables["customer"].made == {"id", "token"}
    assert tables["address"].made == {"customer"}, "it refers to what is numbered"
    assert tables["counted"].made == frozenset(), "a table without rowids numbers nothing"
    assert [(key.columns, key.other) for key in tables["address"].foreign] == [(("customer",), ("main", "customer"))]
    number = tables["customer"].shape.columns["id"]
    assert (number.nullable, number.default, number.precision) == (False, True, 64)


def test_two_files_are_drafted_and_the_draft_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = {name: made(tmp_path / f"{name}.sqlite") for name in ("erp", "crm")}
    for name, url in urls.items():
        monkeypatch.setenv(f"{name.upper()}_URL", url)
    path = tmp_path / "two.yaml"

    told = duolog("init", "erp", "crm", "-o", str(path))

    assert told.exit_code == 0, told.output
    text = path.read_text(encoding="utf-8")
    assert text.count("{adapter: sqlite, url:") == 2
    assert "table: customer" in text and "main" not in text
    assert duolog("check", str(path), "--offline").exit_code == 0


@pytest.mark.parametrize(
    ("dialect", "condition", "told"),
    [
        ("sqlite", "x IN ('a', 'it''s')", ("a", "it's")),
        ("sqlite", "x = 'a' OR x='b' or x = 'c'", ("a", "b", "c")),
        ("postgresql", "x = ANY (ARRAY['a'::text, 'b'::text])", ("a", "b")),
        ("postgresql", "(x)::text = ANY ((ARRAY['a'::character varying])::text[])", ("a",)),
        ("mssql", "([x]='b' OR [x]=N'a')", ("b", "a")),
        ("mysql", "(`x` in (_utf8mb4'a',_utf8mb4'b'))", ("a", "b")),
        ("mariadb", "`x` in ('a','b')", ("a", "b")),
        ("sqlite", "x = 'a' OR y = 'b'", None),
        ("sqlite", "x = 'a' OR x > 'b'", None),
        ("sqlite", "x IN ('a') AND y", None),
        ("sqlite", "length(x) IN (1, 2)", None),
        ("sqlite", "x IN (1, 2)", None),
        ("sqlite", "(((", None),
        ("a dialect that nobody knows", "x IN ('a')", None),
    ],
)
def test_what_a_check_lets_in_is_read_in_the_words_of_each_database(
    dialect: str, condition: str, told: tuple[str, ...] | None
) -> None:
    assert list(listed_values(condition, dialect)) == ([("x", told)] if told is not None else [])
