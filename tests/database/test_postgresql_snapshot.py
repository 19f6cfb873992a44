"""A PostgreSQL snapshot is one consistent picture, exact to a log position, in key order, in flat memory."""

from __future__ import annotations

import random
import re
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from adapters.postgresql.session import lsn_number
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


def test_rows_come_in_the_order_of_python_whatever_the_columns_collation(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    keys = ["a", "B", "ä", "z", "Z", "10", "9", "中", "\U0001f600", "￿", "a b", "a\u0301", ""]
    user.cursor().executemany("INSERT INTO item VALUES (%s, 'x')", [[key] for key in keys])

    with closing(PostgresSnapshot("erp", erp_db, BOOK)) as snapshot:
        found = list(snapshot.rows("item"))

    assert found == [(key, (key, "x")) for key in sorted(keys)]


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


def test_a_hundred_thousand_rows_stream_in_flat_memory(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("INSERT INTO item SELECT md5(g::text), repeat('x', 200) FROM generate_series(1, 100000) g")

    with closing(PostgresSnapshot("erp", erp_db, BOOK)) as snapshot:
        tracemalloc.start()
        count, last = 0, ""
        for key, _ in snapshot.rows("item"):
            assert key > last
            count, last = count + 1, key
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert count == 100_000
    assert peak < 8_000_000


def test_what_is_in_the_picture_and_what_is_behind_its_position_make_the_whole_exactly(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    user.execute("SELECT pg_create_logical_replication_slot('duolog_unit_watch', 'test_decoding')")
    stop = threading.Event()
    writers = [threading.Thread(target=_insert_until, args=(stop, erp_db, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    try:
        pictures = []
        for _ in range(5):
            with closing(PostgresSnapshot("erp", erp_db, BOOK)) as snapshot:
                pictures.append((snapshot.position, {key for key, _ in snapshot.rows("item")}))
    finally:
        stop.set()
        for writer in writers:
            writer.join()

    history = _history(user)
    for position, picture in pictures:
        assert picture == {key for end, keys in history if end <= position for key in keys}


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


def _insert_until(stop: threading.Event, url: str, writer: int) -> None:
    dice = random.Random(writer)
    with psycopg.connect(url) as conn:
        number = 0
        while not stop.is_set():
            for _ in range(dice.randrange(1, 4)):
                number += 1
                conn.execute("INSERT INTO item VALUES (%s, 'x')", [f"{writer}-{number}"])
            conn.commit()


def _history(user: psycopg.Connection[Any]) -> list[tuple[int, list[str]]]:
    """(end of commit, keys inserted) of every transaction."""
    history: list[tuple[int, list[str]]] = []
    keys: list[str] = []
    watched = "SELECT lsn::text, data FROM pg_logical_slot_get_changes('duolog_unit_watch', NULL, NULL)"
    for lsn, said in user.execute(watched):
        keys += re.findall(r"id\[text\]:'([^']*)'", said)
        if said.startswith("COMMIT"):
            history.append((lsn_number(lsn), keys))
            keys = []
    return history
