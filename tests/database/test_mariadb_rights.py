"""The rights that are printed for MariaDB, those that a server says are lacking, and what a reader may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.mariadb.catalog import read_columns, read_foreign_keys
from adapters.mariadb.created import created
from adapters.mariadb.rights import account, closed_sequences, grants, lacking
from adapters.mariadb.session import Connection, ask, connect, execute
from tests.database.books import Bound, book

CLERK = "clerk@'127.0.0.1'"


@pytest.fixture
def both(erp_maria: str) -> Iterator[tuple[Connection, Connection]]:
    """(the superuser, a user without any right), connected to the same database."""
    dba = connect("erp", erp_maria, application_name="test")
    execute(dba, f"CREATE USER {CLERK}; GRANT USAGE ON *.* TO {CLERK}")
    clerk = connect("erp", erp_maria.replace("root@", "clerk@").rpartition("/")[0] + "/information_schema",
                    application_name="test")  # fmt: skip
    yield dba, clerk
    clerk.close()
    execute(dba, f"DROP USER {CLERK}")
    dba.close()


def test_what_is_printed_names_each_table_and_column_and_nothing_else() -> None:
    rules = book(Bound("item", ("id", "v`x"), ("id",), schema="shop"), Bound("log", ("id",), ("id",), schema="o'ther"))
    who = "'duo''log'@'10.%'"

    assert grants(rules, "erp", "duo'log@10.%", "mariadb", "shop") == [
        f"GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO {who.replace(chr(39) * 2, chr(92) + chr(39))};",
        *(f"GRANT {right} TO {who.replace(chr(39) * 2, chr(92) + chr(39))};" for right in (
            "SELECT ON `shop`.`item`", "INSERT (`id`, `v``x`) ON `shop`.`item`", "UPDATE (`v``x`) ON `shop`.`item`",
            "DELETE ON `shop`.`item`", "SELECT ON `o'ther`.`log`", "INSERT (`id`) ON `o'ther`.`log`",
            "DELETE ON `o'ther`.`log`", "SELECT, INSERT, UPDATE, DELETE ON `duolog`.`ledger`",
        )),
    ]  # fmt: skip
    assert grants(rules, "erp", "a", "mysql", "shop")[0] == (
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT, RELOAD ON *.* TO 'a'@'%';"
    )
    assert "GRANT UPDATE (`id`) ON `o'ther`.`log` TO 'a'@'%';" in grants(rules, "erp", "a", "mysql", "shop")
    assert account("a@b@localhost") == "'a@b'@'localhost'"


def test_each_right_that_is_lacking_is_found_by_column(both: tuple[Connection, Connection], erp_maria: str) -> None:
    dba, clerk = both
    at = erp_maria.rpartition("/")[2]
    execute(dba, f"CREATE TABLE `we``ird` (`a'b` int NOT NULL, `c``d` int, `e\\f` text); GRANT INSERT (`a'b`), "
                 f"SELECT (`a'b`, `e\\f`) ON `{at}`.`we``ird` TO {CLERK}")  # fmt: skip
    table, columns = (at, "we`ird"), ["a'b", "c`d", "e\\f"]

    assert lacking(clerk, "INSERT", table, columns) == ("c`d", "e\\f")
    assert lacking(clerk, "SELECT", table, columns) == ("c`d",)
    assert lacking(clerk, "UPDATE", table, columns) == tuple(columns)
    assert lacking(clerk, "DELETE", table, ["*"]) == ("*",)
    assert lacking(clerk, "SELECT", (at, "nothing"), ["a"]) == ("a",), "a server tells a stranger no more"
    assert lacking(dba, "DELETE", table, ["*"]) == ()
    assert lacking(dba, "SELECT", (at, "nothing"), ["a"]) is None
    assert ask(dba, "SELECT COUNT(*) FROM `we``ird`") == [("0",)], "and nothing was carried out"


def test_sequences_that_may_not_be_drawn_from_and_that_are_none(
    both: tuple[Connection, Connection], erp_maria: str
) -> None:
    dba, clerk = both
    at = erp_maria.rpartition("/")[2]
    execute(dba, "CREATE SEQUENCE counter; CREATE TABLE item (id int)")
    names = [f"`{at}`.`{name}`" for name in ("counter", "item", "nothing")]

    assert closed_sequences(dba, names) == ((), (names[1], names[2]))
    assert closed_sequences(clerk, names[:1]) == ((names[0],), ())
    assert ask(dba, "SELECT NEXTVAL(counter)") == [("1",)], "no number was used up"
    execute(dba, f"GRANT SELECT, INSERT ON {names[0]} TO {CLERK}")
    assert closed_sequences(clerk, names[:1]) == ((), ())


def test_who_may_only_read_a_table_sees_what_is_json_and_what_its_foreign_keys_do(
    both: tuple[Connection, Connection], erp_maria: str
) -> None:
    dba, clerk = both
    at = erp_maria.rpartition("/")[2]
    execute(dba, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE item (id int PRIMARY KEY, doc json COMMENT "
                 "'it''s) CHECK (json_valid(`note`))', note longtext, p int, FOREIGN KEY (p) REFERENCES p (id) "
                 f"ON DELETE CASCADE ON UPDATE SET NULL); GRANT SELECT ON `{at}`.item TO {CLERK}")  # fmt: skip

    columns = read_columns(clerk, [(at, "item")])[at, "item"]
    (key,) = read_foreign_keys(clerk, [(at, "item"), (at, "p")])

    assert [columns[name].shape.family for name in ("doc", "note")] == ["json", "text"]
    assert (key.columns, key.other, key.on_delete, key.on_update) == (("p",), (at, "p"), "CASCADE", "SET NULL")
    assert not any(column.insertable for column in columns.values())
    told = {name: replace(column, insertable=True) for name, column in columns.items()}
    assert told == read_columns(dba, [(at, "item")])[at, "item"]
    assert (key,) == read_foreign_keys(dba, [(at, "item")])


def test_a_statement_is_read_line_by_line_whatever_a_comment_says() -> None:
    said = created(
        ("a", "t"),
        "CREATE TABLE `t` (\n"
        "  `doc` longtext DEFAULT NULL COMMENT 'CHECK (json_valid(`doc`))',\n"
        "  `x``y` mediumtext NOT NULL CHECK (json_valid(`x``y`)),\n"
        "  KEY `k` (`doc`(10)),\n"
        "  CONSTRAINT `f` FOREIGN KEY (`p``q`, `r`) REFERENCES `b`.`u` (`s`, `t`)\n"
        ") ENGINE=InnoDB COMMENT='CONSTRAINT `g` FOREIGN KEY'",
    )

    assert said.documents == {"x`y"}
    (key,) = said.foreign_keys
    assert (key.name, key.columns, key.other, key.other_columns) == ("f", ("p`q", "r"), ("b", "u"), ("s", "t"))
    assert (key.on_delete, key.on_update) == ("RESTRICT", "RESTRICT")
