"""Every type of MariaDB: what is written comes back as the same text, is found by its key, and is told from others."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.mariadb import texts
from adapters.mariadb.catalog import read_catalog, read_columns
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.phrases import (
    cast,
    key_matches,
    native,
    printed,
    quoted,
    reader,
    same,
    sent,
)
from adapters.mariadb.phrases import given as rows_given
from adapters.mariadb.session import Connection, ask, connect, execute
from tests.database.maria_values import KINDS, fill_raw, make, table
from tests.rules.maria import maria_column
from tests.servers import MariaServer

NUMBERS = list(range(len(KINDS)))
NAMES = list(KINDS)


@pytest.fixture(scope="module")
def conn(erp_maria_server: MariaServer) -> Iterator[Connection]:
    url = erp_maria_server.create_database("types")
    with contextlib.closing(connect("erp", url, application_name="test")) as connection:
        make(connection)
        yield connection
    erp_maria_server.drop_database("types")


@pytest.fixture(scope="module")
def columns(conn: Connection) -> list[MariaColumn]:
    schema = ask(conn, "SELECT DATABASE()")[0][0]
    known = read_columns(conn, [(schema, table(number)) for number in NUMBERS])
    return [known[(schema, table(number))]["x"] for number in NUMBERS]


def written(conn: Connection, number: int, column: MariaColumn, told: list[str | None]) -> dict[int, str | None]:
    """What `told` are in the table, by id, once they have been written."""
    ids = [str(at) for at in range(1, len(told) + 1)]
    execute(conn, f"DELETE FROM {table(number)}; {sent([ids, told])}")
    rows = rows_given(["id", "x"])
    execute(conn, f"INSERT INTO {table(number)} (id, x) SELECT u.id, {cast(column, 'x')} FROM {rows}")
    return shown(conn, number, column)


def shown(conn: Connection, number: int, column: MariaColumn) -> dict[int, str | None]:
    """What a table holds, by id."""
    spelled = reader(column) or str
    rows = ask(conn, f"SELECT t.id, {printed(column)} FROM {table(number)} t ORDER BY t.id")
    return {int(id_): None if text is None else spelled(text) for id_, text in rows}


@pytest.mark.parametrize("number", NUMBERS, ids=NAMES)
def test_what_is_written_is_what_is_printed(conn: Connection, columns: list[MariaColumn], number: int) -> None:
    texts = [*KINDS[NAMES[number]].texts, None]

    assert written(conn, number, columns[number], texts) == dict(enumerate(texts, 1))


def test_what_others_write_is_spelled_as_the_house_does(conn: Connection, columns: list[MariaColumn]) -> None:
    for number in NUMBERS:
        execute(conn, f"DELETE FROM {table(number)}")

    expected = fill_raw(conn)

    for number, rows in expected.items():
        assert shown(conn, number, columns[number]) == rows, NAMES[number]


@pytest.mark.parametrize("number", NUMBERS, ids=NAMES)
def test_a_text_is_the_same_as_itself_and_as_no_other(
    conn: Connection, columns: list[MariaColumn], number: int
) -> None:
    column, texts = columns[number], [*KINDS[NAMES[number]].texts, None]
    written(conn, number, column, texts)

    rows = ask(conn, f"SELECT t.id, u.ord FROM {table(number)} t STRAIGHT_JOIN {rows_given(['id', 'x'])}"
                     f" ON {same(column, 't', 'x')}")  # fmt: skip

    assert sorted((int(a), int(b)) for a, b in rows) == [(at, at) for at in range(1, len(texts) + 1)]


LAX = {
    "varchar(40)": ["a", "A", "a ", "ä", "Ä", "ß", "ss", ""],
    "varchar(40) collate utf8mb4_nopad_bin": ["a", "A", "a ", "ä", ""],
    "varchar(40) character set latin1": ["a", "A", "a ", "ä", "Ä", "?", "中", ""],
    "varchar(40) character set utf8mb3": ["a", "A", "ä", "?", "😀"],
    "float": ["1.1", "1.1000001", "1.6777216e+07"],
}


@pytest.mark.parametrize("kind", LAX)
def test_what_the_collation_calls_equal_is_told_apart(
    conn: Connection, columns: list[MariaColumn], kind: str
) -> None:
    number = NAMES.index(kind)
    texts = LAX[kind]
    column = columns[number]
    for text in texts:
        try:
            written(conn, number, column, [text])
        except pymysql.MySQLError:
            continue
        held = shown(conn, number, column)[1]
        execute(conn, sent([texts, texts]))
        rows = ask(conn, f"SELECT u.k1 FROM {rows_given(['x', 'k1'])} STRAIGHT_JOIN {table(number)} t"
                         f" ON {key_matches([column])}")  # fmt: skip
        assert [row[0] for row in rows] == ([held] if held in texts else []), text


KEYS = [
    "int", "bigint unsigned", "int(7) zerofill", "decimal(12,2)", "varchar(40)", "char(4)",
    "varchar(40) character set latin1", "varchar(40) collate utf8mb4_nopad_bin", "date", "datetime(3)", "time(3)",
    "uuid", "inet6", "binary(4)", "varbinary(40)", "year", "enum('2','1') character set latin1", "timestamp(3) null",
    "bit(9)", "boolean",
]  # fmt: skip


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_found_by_its_index(conn: Connection, columns: list[MariaColumn], kind: str) -> None:
    column = columns[NAMES.index(kind)]
    type_ = kind.removesuffix(" null")
    texts = list(KINDS[kind].texts)
    execute(conn, f"DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (x {type_} NOT NULL DEFAULT 0 PRIMARY KEY, n int)"
            if "timestamp" in kind else
            f"DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (x {type_} NOT NULL PRIMARY KEY, n int)")  # fmt: skip
    distinct = [text for text in texts if text.strip() == text and text.lower() == text and text != "ß"]
    rows = rows_given(["k1"])
    execute(conn, f"{sent([distinct])}; INSERT IGNORE INTO keyed SELECT {cast(column, 'k1')}, 1 FROM {rows}")
    execute(conn, "ANALYZE TABLE keyed")
    execute(conn, sent([texts]))
    query = f"SELECT u.k1 FROM {rows} STRAIGHT_JOIN keyed t ON {key_matches([column])}"

    plan = ask(conn, f"EXPLAIN {query}")
    found = [row[0] for row in ask(conn, query)]

    used = {row[2]: (row[3], row[5]) for row in plan}
    assert used["t"] == ("eq_ref", "PRIMARY") or used["t"] == ("ref", "PRIMARY"), plan
    held = [row[0] for row in ask(conn, f"SELECT {printed(column)} FROM keyed t")]
    assert sorted(found) == sorted(text for text in texts if text in held)
    assert len(held) > 1 and native(column, "k1")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_log_has_is_spelled_as_a_select_does(
    conn: Connection, columns: list[MariaColumn], data: st.DataObject
) -> None:
    words = st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0x2001, 0x102]), min_size=8, max_size=8)
    inet6 = b"".join(word.to_bytes(2, "big") for word in data.draw(words))
    number = data.draw(st.floats(allow_nan=False, allow_infinity=False))
    single = struct.unpack("<f", struct.pack("<I", data.draw(st.integers(0, 0x7F7F_FFFF))))[0]

    def told(kind: str, literal: str) -> str:
        column, into = columns[NAMES.index(kind)], table(NAMES.index(kind))
        execute(conn, f"REPLACE INTO {into} VALUES (0, {literal})")
        text = ask(conn, f"SELECT {printed(column)} FROM {into} t WHERE id = 0")[0][0]
        return (reader(column) or str)(text)

    assert told("inet6", f"UNHEX('{inet6.hex()}')") == texts.inet6(inet6)
    assert told("double", f"{number!r}e0" if "e" not in repr(number) else repr(number)) == texts.double(number + 0.0)
    assert told("float", f"{single!r}e0" if "e" not in repr(single) else repr(single)) == texts.single(single)


def test_the_columns_of_tests_without_a_server_are_those_of_a_server(columns: list[MariaColumn]) -> None:
    for ddl, known in zip(NAMES, columns, strict=True):
        assert maria_column("x", ddl) == known, ddl


def test_the_catalog_knows_keys_and_kinds(conn: Connection) -> None:
    schema = ask(conn, "SELECT DATABASE()")[0][0]
    execute(conn, f"CREATE TABLE {quoted('Od`d')} (a int, b varchar(200), {quoted('c`c')} int AS (a + 1) STORED, e int"
                  " AUTO_INCREMENT UNIQUE, UNIQUE (b(10)), UNIQUE both_ (a, b), PRIMARY KEY (a, e));"
                  " CREATE TABLE isam (a int) ENGINE=MyISAM; CREATE VIEW seen AS SELECT a FROM isam;"
                  " CREATE TABLE hist (a int PRIMARY KEY) WITH SYSTEM VERSIONING; CREATE SEQUENCE seq")  # fmt: skip

    names = ["Od`d", "od`d", "isam", "seen", "hist", "seq", "none"]
    catalog = read_catalog(conn, "erp", [(schema, name) for name in names])

    odd = catalog.tables[(schema, "Od`d")]
    assert odd.primary_key == ("a", "e")
    assert odd.unique == (("a", "e"), ("a", "b"), ("e",))
    assert odd.columns["c`c"].generated and not odd.columns["a"].generated
    assert odd.columns["e"].default
    assert {name: shape.kind for (_, name), shape in catalog.tables.items()} == {
        "Od`d": "table", "isam": "MyISAM table", "seen": "view", "hist": "versioned", "seq": "sequence"
    }  # fmt: skip
    assert (schema, "hist") in catalog.names
