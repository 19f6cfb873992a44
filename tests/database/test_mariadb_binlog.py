"""Every type of MariaDB comes out of the log as a SELECT prints it; and where another reader of the log is right, it
agrees."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

import pytest

from adapters.mariadb import positions
from adapters.mariadb.binlog import charsets
from adapters.mariadb.catalog import read_columns
from adapters.mariadb.phrases import cast, printed, reader, sent
from adapters.mariadb.phrases import given as rows_given
from adapters.mariadb.session import Connection, address, ask, connect, execute
from engine.errors import LogUnreadable
from engine.rulebook import Table
from tests.database.maria_erp import MariaErp, transaction
from tests.database.maria_values import KINDS, fill_raw, make, table

NAMES = list(KINDS)


@pytest.fixture
def erp(erp_maria: str) -> Iterator[MariaErp]:
    made = MariaErp(erp_maria)
    yield made
    made.close()


@pytest.fixture
def conn(erp: MariaErp) -> Iterator[Connection]:
    with contextlib.closing(connect("erp", erp.url, application_name="test")) as connection:
        yield connection


def test_every_value_is_read_from_the_log_as_a_select_prints_it(erp: MariaErp, conn: Connection) -> None:
    make(conn)
    tables = [Table(erp.database, table(number), ("id", "x"), (0,)) for number in range(len(KINDS))]
    known = read_columns(conn, [(bound.schema, bound.name) for bound in tables])
    source = erp.opened(erp.position(), tables=tables)

    for number, (name, kind) in enumerate(KINDS.items()):
        column = known[erp.database, table(number)]["x"]
        texts = [*kind.texts, None]
        ids = [str(at) for at in range(len(texts))]
        rows = rows_given(["id", "x"])
        execute(conn, sent([ids, texts]))
        execute(conn, f"INSERT INTO {table(number)} (id, x) SELECT u.id, {cast(column, 'x')} FROM {rows}")
        spelled = reader(column) or str
        shown = {
            (id_, None if text is None else spelled(text))
            for id_, text in ask(conn, f"SELECT t.id, {printed(column)} FROM {table(number)} t")
        }
        assert {new for _, _, new, _ in transaction(source).changes} == shown, name

        execute(conn, f"UPDATE {table(number)} SET id = id + 100")
        moved = transaction(source).changes
        assert {(new[0], new[1]) for _, _, new, _ in moved if new} == {(str(int(i) + 100), x) for i, x in shown}, name
        assert {old for _, _, _, old in moved} == shown, name

        execute(conn, f"DELETE FROM {table(number)}")
        gone = transaction(source).changes
        assert {old for _, _, _, old in gone} == {(str(int(i) + 100), x) for i, x in shown}, name


def test_what_others_write_is_read_as_the_house_spells_it(erp: MariaErp, conn: Connection) -> None:
    make(conn)
    tables = [Table(erp.database, table(number), ("id", "x"), (0,)) for number in range(len(KINDS))]
    source = erp.opened(erp.position(), tables=tables)

    expected = fill_raw(conn)

    found: dict[int, dict[int, str]] = {}
    while found != expected:
        for number, _, new, _ in transaction(source).changes:
            assert new is not None
            assert isinstance(new[0], str)
            id_ = int(new[0])
            found.setdefault(number, {})[id_] = str(new[1])
            assert found[number][id_] == expected[number][id_], NAMES[number]


def test_columns_that_are_not_bound_are_stepped_over(erp: MariaErp, conn: Connection) -> None:
    columns = ", ".join(f"c{at} {ddl}" for at, ddl in enumerate(KINDS) if "timestamp" not in ddl and "json" not in ddl)
    execute(conn, "SET SESSION sql_mode = ''")
    execute(conn, f"CREATE TABLE wide (id int PRIMARY KEY, {columns}, json json, last text) ROW_FORMAT = DYNAMIC")
    source = erp.opened(erp.position(), tables=[Table(erp.database, "wide", ("last", "id"), (1,))])
    names = [row[0] for row in ask(conn, "SHOW COLUMNS FROM wide")][1:-1]

    filled = ", ".join(name for at, name in enumerate(names) if at % 3)
    values = ", ".join("'[]'" if name == "json" else "'1'" for at, name in enumerate(names) if at % 3)
    geometry = {name: "POINT(1, 2)" for name in names if name in _geometries(conn)}
    listed = ", ".join(
        geometry.get(name, value) for name, value in zip(filled.split(", "), values.split(", "), strict=True)
    )
    execute(conn, f"INSERT IGNORE INTO wide (id, last, {filled}) VALUES (1, 'the end', {listed})")
    execute(conn, "UPDATE wide SET last = 'really'")

    assert transaction(source).changes == [(0, "I", ("the end", "1"), None)]
    assert transaction(source).changes == [(0, "U", ("really", "1"), None)]


def _geometries(conn: Connection) -> set[str]:
    return {row[0] for row in ask(conn, "SHOW COLUMNS FROM wide") if row[1] in ("point", "geometry")}


# Character sets


def test_every_collation_of_the_server_is_known_by_its_number(conn: Connection) -> None:
    said = ask(conn, "SELECT id, character_set_name FROM information_schema.collations WHERE id IS NOT NULL")
    newer = ask(conn, "SELECT id, character_set_name FROM information_schema.collation_character_set_applicability"
                      " WHERE id > 2047")  # fmt: skip

    assert len(said) > 200
    assert {int(number): charsets.character_set(int(number)) for number, _ in [*said, *newer]} == {
        int(number): {"utf8": "utf8mb3"}.get(charset, charset) for number, charset in [*said, *newer]
    }


@pytest.mark.parametrize("charset", charsets.NARROW)
def test_every_byte_is_the_character_that_the_server_takes_it_for(conn: Connection, charset: str) -> None:
    decode = charsets.decoder(charsets.codec(charset) or "")
    shown = [f"CONVERT(CONVERT(X'{byte:02x}' USING {charset}) USING utf8mb4)" for byte in range(256)]

    (row,) = ask(conn, f"SELECT {', '.join(shown)}")

    assert [decode(bytes([byte])) for byte in range(256)] == list(row)


@pytest.mark.parametrize("charset", ["gbk", "gb2312", "euckr", "cp932"])
def test_every_two_bytes_are_the_character_that_the_server_takes_them_for(conn: Connection, charset: str) -> None:
    decode = charsets.decoder(charsets.codec(charset) or "")
    pairs = [bytes([first, second]) for first in range(0x81, 0xFF) for second in range(0x40, 0xFF)]
    differing = []
    for at in range(0, len(pairs), 3000):
        part = pairs[at : at + 3000]
        shown = [f"CONVERT(CONVERT(X'{pair.hex()}' USING {charset}) USING utf8mb4)" for pair in part]
        (row,) = ask(conn, f"SELECT {', '.join(shown)}")
        for pair, text in zip(part, row, strict=True):
            # Two bytes that are not one character are two, or none: no column holds them.
            if len(text) == 1 and text != "?" and decode(pair) != text:
                differing.append(pair)

    assert differing == []


def test_a_character_set_that_is_not_known_is_refused_by_name(erp: MariaErp) -> None:
    erp.run("CREATE TABLE old (id int PRIMARY KEY, name varchar(20) CHARACTER SET dec8)")
    bound = Table(erp.database, "old", ("id", "name"), (0,))
    source = erp.opened(erp.position(), tables=[bound])
    unbound = erp.opened(erp.position(), tables=[Table(erp.database, "old", ("id",), (0,))], server_id=71)
    erp.run("INSERT INTO old VALUES (1, 'x')")

    with pytest.raises(LogUnreadable) as refused:
        transaction(source)

    assert erp.plain(str(refused.value)) == (
        "D215 erp: `DB.old`: the column `name` has the character set dec8, which is not decoded exactly as the server "
        "does (log at POSITION)\n  mend: ALTER TABLE `DB`.`old` CONVERT TO CHARACTER SET utf8mb4; then "
        "`duolog run RULES --merge-again` compares both sides"
    )
    assert transaction(unbound).changes == [(0, "I", ("1",), None)]


# Former formats


def test_times_in_the_former_format_are_read_but_for_parts_of_a_second(erp: MariaErp) -> None:
    erp.run("SET GLOBAL mysql56_temporal_format = OFF")
    try:
        old = erp.another()
        old.run("CREATE TABLE old (id int PRIMARY KEY, a datetime, b timestamp NULL, c time)")
        old.run("CREATE TABLE older (id int PRIMARY KEY, a datetime(3), b int)")
    finally:
        erp.run("SET GLOBAL mysql56_temporal_format = ON")
    source = erp.opened(erp.position(), tables=[Table(erp.database, "old", ("id", "a", "b", "c"), (0,))])
    erp.run("SET time_zone = '+00:00'; INSERT INTO old VALUES (1, '2026-01-31 12:34:56', '2026-02-28 01:02:03', "
            "'-838:59:59'), (2, '0001-01-01', '2038-01-19 03:14:07', '12:00:00')")  # fmt: skip

    assert [new for _, _, new, _ in transaction(source).changes] == [
        ("1", "2026-01-31 12:34:56", "2026-02-28 01:02:03+00", "-838:59:59"),
        ("2", "0001-01-01 00:00:00", "2038-01-19 03:14:07+00", "12:00:00"),
    ]
    finer = erp.opened(erp.position(), tables=[Table(erp.database, "older", ("id", "b"), (0,))])
    erp.run("INSERT INTO older VALUES (1, '2026-01-31 12:34:56.789', 1)")
    with pytest.raises(LogUnreadable, match="former format") as refused:
        transaction(finer)
    assert erp.plain(refused.value.mend).startswith(
        "SET GLOBAL mysql56_temporal_format = ON; ALTER TABLE `DB`.`older` FORCE"
    )


# Another reader


def test_another_reader_of_the_log_finds_the_same(erp: MariaErp) -> None:
    binlogstream = pytest.importorskip("pymysqlreplication")
    row_event = pytest.importorskip("pymysqlreplication.row_event")
    erp.run(
        "CREATE TABLE both_read (id bigint unsigned PRIMARY KEY, a int, b smallint unsigned, c mediumint, "
        "d decimal(65,30), e datetime(6), f date, g varchar(300), h varchar(40) CHARACTER SET latin1, i mediumtext, "
        "j enum('x','ü'), k bigint, l tinyint, m decimal(10,3), n bit(11))"
    )
    columns = ("id", *"abcdefghijklmn")
    source = erp.opened(erp.position(), tables=[Table(erp.database, "both_read", columns, (0,))])
    begun = erp.position()
    erp.run(
        "INSERT INTO both_read SELECT 18446744073709551615 - seq, seq * 7919 - 40000, seq * 60, -seq * 700, "
        "seq / 7 - 300, '2026-01-31 00:00:00' + INTERVAL seq * 7919 SECOND + INTERVAL seq * 13 MICROSECOND, "
        "'1000-01-01' + INTERVAL seq * 300 DAY, REPEAT('中a', seq % 100), 'é€', REPEAT('long ', seq), "
        "IF(seq % 2, 'x', 'ü'), (seq - 500) * 9223372036854775, seq % 128, -seq / 8, seq "
        "FROM (SELECT CAST(seq AS SIGNED) AS seq FROM seq_1_to_1000) s"
    )
    erp.run("UPDATE both_read SET a = NULL, g = NULL, d = -d WHERE id % 3 = 0")
    ours = [new for _ in range(2) for chunk in transaction(source).chunks() for _, _, new, _ in chunk]

    where = address(erp.url)
    file, offset = positions.parts(begun)
    stream = binlogstream.BinLogStreamReader(
        connection_settings={"host": where.host, "port": where.port, "user": where.user}, server_id=72, blocking=False,
        resume_stream=True, log_file=f"log.{file:06}", log_pos=offset, only_schemas=[erp.database],
        only_events=[row_event.WriteRowsEvent, row_event.UpdateRowsEvent],
    )  # fmt: skip
    theirs = [
        tuple(_spelled(row.get("values", row.get("after_values"))[column]) for column in columns)
        for event in stream
        for row in event.rows
    ]
    stream.close()

    assert len(ours) > 1300
    assert ours == theirs


def _spelled(value: object) -> str | None:
    """What the other reader made of a value, as the house spells it."""
    if isinstance(value, datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S.%f")
        return text.rstrip("0").rstrip(".")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return None if value is None else str(value)
