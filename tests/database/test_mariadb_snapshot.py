"""A MariaDB snapshot beside the contract: collations, rights, tables that change meanwhile; and how much there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from adapters.mariadb import extent, positions
from adapters.mariadb.session import ask, connect
from adapters.mariadb.snapshot import MariaSnapshot, read_rows, read_table, rows_of_keys
from engine.errors import AccessDenied, LogLost, SchemaChanged, SystemUnavailable
from engine.vocabulary import ABSENT
from service.embedded.mariadb import EmbeddedMariaDB
from tests.database.books import Bound
from tests.database.maria_target import User, rules

ITEM = Bound("item", ("id", "v"), ("id",))


@pytest.fixture
def user(erp_maria: str) -> Iterator[User]:
    """The application's own connection."""
    made = User(erp_maria)
    made.do("CREATE TABLE item (id int PRIMARY KEY, v text)")
    yield made
    made.conn.close()


COLLATIONS = ["utf8mb4_general_ci", "utf8mb4_unicode_520_ci", "utf8mb4_bin", "latin1_swedish_ci"]
CHANGES = ["ALTER TABLE item ADD w int, ALGORITHM = COPY", "ALTER TABLE item DROP v", "DROP TABLE item"]


@pytest.mark.parametrize("collation", COLLATIONS)
def test_rows_come_in_the_order_of_python_whatever_the_columns_collation(
    erp_maria: str, user: User, collation: str
) -> None:
    keys = ["b", "Ä", "ö", "z", "É", "10", "9", "ñ", "x y", "", "_"]
    charset = collation.split("_")[0]
    user.do(f"CREATE TABLE word (id varchar(20) CHARACTER SET {charset} COLLATE {collation} PRIMARY KEY, v char(3))")
    user.do("INSERT INTO word VALUES " + ", ".join(f"('{key}', 'x')" for key in keys))

    with closing(MariaSnapshot("erp", erp_maria, rules(erp_maria, Bound("word", ("id", "v"), ("id",))))) as picture:
        assert list(picture.rows("word")) == [(key, (key, "x")) for key in sorted(keys)]


def test_keys_of_other_types_are_ordered_as_they_are_printed(erp_maria: str, user: User) -> None:
    user.do("CREATE TABLE part (a decimal(6,2), b char(3), c binary(2), v bit(3), PRIMARY KEY (c, b, a))")
    user.do(r"INSERT INTO part VALUES (10, 'x', 'a', 1), (9.5, 'x', 'a', 2), (-1, '', '\0', 3), (100, 'é', 'ÿ', 4)")
    bound = Bound("part", ("v", "a", "b", "c"), ("c", "b", "a"), missing=("extra",))
    book = rules(erp_maria, bound)

    with closing(MariaSnapshot("erp", erp_maria, book)) as picture:
        found = list(picture.rows("part"))
    with closing(connect("erp", erp_maria, application_name="test")) as conn:
        again = rows_of_keys(conn, book, "erp", "part", [found[0][0], "no \x1f1\x1f2", "\\xff\x1fé\x1f100"])

    assert found == [
        ("\\x0000\x1f\x1f-1.00", ("011", "-1.00", "", "\\x0000", ABSENT)),
        ("\\x6100\x1fx\x1f10.00", ("001", "10.00", "x", "\\x6100", ABSENT)),
        ("\\x6100\x1fx\x1f9.50", ("010", "9.50", "x", "\\x6100", ABSENT)),
        ("\\xc3bf\x1fé\x1f100.00", ("100", "100.00", "é", "\\xc3bf", ABSENT)),
    ]
    assert again == {found[0][0]: found[0][1]}


def test_verify_reads_the_same_rows_and_leaves_the_connection_idle(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO item SELECT seq, REPEAT('x', 100) FROM seq_1_to_20000; UPDATE item SET v = NULL WHERE id = 2")
    book = rules(erp_maria, ITEM)

    with closing(connect("erp", erp_maria, application_name="test")) as conn:
        rows = read_rows(conn, book, "erp", "item")
        first = next(rows)
        rows.close()
        assert first == ("1", ("1", "x" * 100))
        assert ask(conn, "SELECT @@in_transaction") == [("0",)] or ask(conn, "SELECT @@in_transaction") == [(0,)]
        assert sum(1 for _ in read_rows(conn, book, "erp", "item")) == 20_000
        assert [row for row in read_table(conn, book, "erp", 0) if row[0] == "2"] == [("2", None)]


def test_the_right_to_read_is_enough(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO item VALUES (1, 'a')")
    user.do("CREATE USER 'looks'@'%' IDENTIFIED BY 'hush'")
    place = urlsplit(erp_maria)
    url = place._replace(netloc=f"looks:hush@{place.hostname}:{place.port}").geturl()
    book = rules(erp_maria, ITEM)
    try:
        user.do(f"GRANT SELECT ON {place.path[1:]}.item TO 'looks'@'%'")
        for at_once in (False, True):
            with closing(MariaSnapshot("erp", url, book, at_once=at_once)) as picture:
                assert list(picture.rows("item")) == [("1", ("1", "a"))]
                assert picture.position > 0
        user.do(f"REVOKE SELECT ON {place.path[1:]}.item FROM 'looks'@'%'")
        with pytest.raises((AccessDenied, SchemaChanged)) as refused:
            MariaSnapshot("erp", url, book)
        assert "hush" not in str(refused.value)
    finally:
        user.do("DROP USER 'looks'@'%'")


def test_a_missing_column_is_told(erp_maria: str, user: User) -> None:
    with pytest.raises(SchemaChanged, match=r"\.item` has no column `w`"):
        MariaSnapshot("erp", erp_maria, rules(erp_maria, Bound("item", ("id", "w"), ("id",))))


@pytest.mark.parametrize("change", CHANGES)
def test_a_table_that_is_changed_while_the_picture_is_open_is_told_and_not_shown_otherwise(
    erp_maria: str, user: User, change: str
) -> None:
    user.do("INSERT INTO item VALUES (1, 'a')")

    with closing(MariaSnapshot("erp", erp_maria, rules(erp_maria, ITEM))) as picture:
        user.do(change)
        with pytest.raises(SchemaChanged) as told:
            list(picture.rows("item"))
        with pytest.raises(SchemaChanged):
            list(picture.table(0))

    assert "`duolog check` tells what changed" in str(told.value)


def test_rows_that_are_not_all_there_do_not_end_as_if_they_were(erp_maria: str, user: User) -> None:
    user.do("INSERT INTO item SELECT seq, REPEAT('x', 1000) FROM seq_1_to_30000")
    book = rules(erp_maria, ITEM)

    closed = MariaSnapshot("erp", erp_maria, book)
    rows = closed.rows("item")
    next(rows)
    closed.close()
    with pytest.raises(SystemUnavailable):
        list(rows)

    with closing(MariaSnapshot("erp", erp_maria, book)) as killed:
        rows = killed.rows("item")
        next(rows)
        ((thread,),) = user.do(
            "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
        )
        user.do(f"KILL {thread}")
        with pytest.raises(SystemUnavailable):
            list(rows)


def test_how_much_there_is_is_told_without_counting(own_maria: EmbeddedMariaDB) -> None:
    own_maria.start()
    url = own_maria.create_database("erp")
    user = User(url)
    user.do("CREATE TABLE item (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY)")
    user.do("INSERT INTO item SELECT seq, 'x' FROM seq_1_to_5000; ANALYZE TABLE item")
    book = rules(url, Bound("other", ("id",), ("id",)), ITEM)
    with closing(connect("erp", url, application_name="test")) as conn:
        none, about = extent.rows_about(conn, book, "erp")
        assert none == 0 and 4000 < about < 6000

        with closing(MariaSnapshot("erp", url, book)) as picture:
            start = picture.position
        assert extent.log_kept(conn, book, "erp", start) == 0
        user.do("INSERT INTO other VALUES (1); FLUSH BINARY LOGS; INSERT INTO other VALUES (2)")
        kept = extent.log_kept(conn, book, "erp", start)
        assert 300 < kept < 5000
        user.do("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
        while len(logs := user.do("SHOW BINARY LOGS")) > 1:  # the server keeps what its storage engine may still need
            user.do(f"PURGE BINARY LOGS TO '{logs[-1][0]}'")
        with pytest.raises(LogLost) as lost:
            extent.log_kept(conn, book, "erp", start)
    user.conn.close()
    assert positions.text(start) in str(lost.value)
