"""A PostgreSQL snapshot beside the contract: encodings, types of keys, slots, and reading without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from adapters.postgresql.snapshot import PostgresSnapshot, read_rows, rows_of_keys
from engine.errors import SchemaChanged, SystemUnavailable
from engine.vocabulary import ABSENT
from service.embedded import EmbeddedServer
from tests.database.books import Bound, book

BOOK = book(Bound("item", ("id", "v"), ("id",)))


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's own connection."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute("CREATE TABLE item (id text PRIMARY KEY, v text)")
        yield conn


def test_composite_and_numeric_keys_are_ordered_by_their_record_key(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    user.execute("CREATE TABLE part (a int, b char(3), v bool, w inet, PRIMARY KEY (b, a))")
    rows = [(10, "x"), (9, "x"), (9, "xy"), (100, ""), (-1, "é")]
    user.cursor().executemany("INSERT INTO part VALUES (%s, %s, true, '10.0.0.1')", rows)
    rules = book(Bound("part", ("v", "a", "b", "w"), ("b", "a"), missing=("extra",)))

    with closing(PostgresSnapshot("erp", erp_db, rules)) as snapshot:
        found = list(snapshot.rows("part"))
        again = rows_of_keys(user, rules, "erp", "part", [found[0][0], "no \x1f1"])

    expected = [(f"{b.ljust(3)}\x1f{a}", ("t", str(a), b.ljust(3), "10.0.0.1", ABSENT)) for a, b in rows]
    assert found == sorted(expected, key=lambda pair: pair[0])
    assert again == {found[0][0]: found[0][1]}


def test_it_leaves_no_slot_behind_and_says_so_when_closed(erp_db: str, user: psycopg.Connection[Any]) -> None:
    snapshot = PostgresSnapshot("erp", erp_db, BOOK)
    snapshot.close()

    with pytest.raises(SystemUnavailable, match="the snapshot is closed"):
        next(snapshot.rows("item"))
    slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
    while user.execute(slots.encode()).fetchone() != (0,):
        pass  # the server drops it when it has noticed that we hung up


def test_a_missing_column_is_told_and_nothing_stays_open(erp_db: str, user: psycopg.Connection[Any]) -> None:
    with pytest.raises(SchemaChanged) as missing:
        PostgresSnapshot("erp", erp_db, book(Bound("item", ("id", "w"), ("id",))))
    assert str(missing.value) == (
        "D210 erp: `public.item` has no column `w`\n  mend: `duolog check RULES` tells what the rules need"
    )


def test_verify_reads_the_same_rows_without_a_slot(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("INSERT INTO item VALUES ('b', NULL), ('a', '')")

    rows = read_rows(user, BOOK, "erp", "item")
    first = next(rows)
    rows.close()

    assert first == ("a", ("a", ""))
    assert list(read_rows(user, BOOK, "erp", "item")) == [("a", ("a", "")), ("b", ("b", None))]
    assert user.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_keys_are_in_code_point_order_also_where_the_servers_encoding_is_not(erp_server: EmbeddedServer) -> None:
    with erp_server.connect() as conn:
        conn.execute("CREATE DATABASE chinese ENCODING 'EUC_CN' LOCALE 'C' TEMPLATE template0")
    url = erp_server.url("chinese")
    try:
        with psycopg.connect(url, autocommit=True, client_encoding="UTF8") as conn:
            keys = ["中", "国", "啊", "阿", "a", "鑫", "一"]
            conn.execute("CREATE TABLE item (id text PRIMARY KEY, v text)")
            conn.cursor().executemany("INSERT INTO item VALUES (%s, %s)", [[key, key] for key in keys])
        with closing(PostgresSnapshot("erp", url, BOOK)) as snapshot:
            assert [key for key, _ in snapshot.rows("item")] == sorted(keys)
    finally:
        erp_server.drop_database("chinese")
