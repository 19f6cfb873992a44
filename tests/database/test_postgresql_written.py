"""Columns that the application maintains are written along, in whatever we insert or update, and in nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from adapters.postgresql.kit import PostgresKit
from adapters.postgresql.rights import grants
from adapters.postgresql.setup import setup
from engine.errors import SchemaChanged
from engine.rulebook import Part, RuleBook
from engine.vocabulary import RowResult
from tests.database.books import Bound, book, row, write
from tests.database.crossed import Crossed, Rows, crossed_book
from tests.database.test_postgresql_target import batch, opened, table

ITEM_SQL = """
CREATE SEQUENCE revisions START 100;
CREATE TABLE item (id int PRIMARY KEY, name varchar(9), price numeric(9,2), by text, rev int, at timestamptz);
INSERT INTO item VALUES (1, 'a', 1, 'user', 1, '2020-01-01'), (2, 'b', 2, 'user', 1, '2020-01-01'),
    (3, 'c', 3, 'user', 1, '2020-01-01'), (4, 'd', 4, 'user', 1, '2020-01-01');
"""
WRITTEN = (("by", "'duolog'"), ("rev", "nextval('revisions')"), ("at", "now()"))


def items(written: tuple[tuple[str, str], ...] = WRITTEN) -> RuleBook:
    """A rule book of one table that is touched by what is written."""
    rules = book(Bound("item", ("id", "name", "price"), ("id",)))
    (item,) = rules.tables["erp"]
    return replace(rules, tables={"erp": (replace(item, written=written),)})


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's own connection."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute(ITEM_SQL)
        yield conn


def test_inserts_and_updates_touch_the_row_and_what_is_unmatched_or_left_alone_is_not_touched(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    with opened(erp_db, items()) as target:
        update = write("update", "item", (1,), [row(1, "1", ("A",), ("a",)), row(1, "2", ("B",), ("other",))])
        insert = write("insert", "item", (1, 2), [row(1, "7", ("n", "7.00")), row(1, "3", ("n", "7.00"))])
        delete = write("delete", "item", (1, 2), [row(1, "4", (), ("d", "4.00"))])
        outcome = target.apply(batch(1, insert, update, delete))

    assert outcome.exceptions == [RowResult("item", key, "unmatched") for key in ("3", "2")]
    assert [values[:4] for values in table(user, "SELECT id, name, by, rev > 1, at FROM item ORDER BY id")] == [
        ("1", "A", "duolog", "True"),
        ("2", "b", "user", "False"),
        ("3", "c", "user", "False"),
        ("7", "n", "duolog", "True"),
    ]
    assert table(user, "SELECT id FROM item WHERE at > now() - interval '1 h' ORDER BY id") == [("1",), ("7",)]


def test_a_column_that_is_also_a_field_is_written_once_as_the_field_says(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    with opened(erp_db, items((("name", "'touched'"),))) as target:
        rows = [write("update", "item", (1,), [row(1, "1", ("A",), ("a",))])]
        rows += [write("update", "item", (2,), [row(1, "2", ("5",), ("2.00",))])]
        target.apply(batch(1, *rows))

    assert table(user, "SELECT id, name FROM item WHERE id < 3 ORDER BY id") == [("1", "A"), ("2", "touched")]


def test_the_way_row_by_row_touches_too(erp_db: str, user: psycopg.Connection[Any]) -> None:
    with opened(erp_db, items()) as target:
        rows = [row(1, "1", ("A",), ("a",)), row(2, "2", ("much too long",), ("b",)), row(3, "3", ("C",), ("c",))]
        outcome = target.apply(batch(3, write("update", "item", (1,), rows)))

    assert [(result.key, result.kind) for result in outcome.exceptions] == [("2", "failed")]
    assert table(user, "SELECT id, by FROM item WHERE id < 4 ORDER BY id") == [
        ("1", "duolog"), ("2", "user"), ("3", "duolog"),
    ]  # fmt: skip


def test_a_column_that_is_gone_stops_the_system(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("ALTER TABLE item DROP at")

    with pytest.raises(SchemaChanged, match=r"`public\.item` has no column `at`"), opened(erp_db, items()):
        pass


def test_the_grants_are_enough_to_touch_and_no_more(erp_db: str, user: psycopg.Connection[Any]) -> None:
    setup(user, items(), "erp")
    user.execute("CREATE ROLE hand LOGIN")
    try:
        hand = PostgresKit("erp", erp_db.replace("postgres@", "hand@"), insecure=True)
        before = {finding.code for finding in hand.findings(items())[0]}
        for grant in PostgresKit("erp", erp_db, insecure=True).grants(items(), "hand"):
            user.execute(grant.encode())
        after = {finding.code for finding in hand.findings(items())[0]}
        target = hand.target(items())
        target.open()
        with closing(target):
            target.apply(batch(1, write("update", "item", (1,), [row(1, "1", ("A",), ("a",))])))
    finally:
        user.execute("DROP OWNED BY hand; DROP ROLE hand")

    assert {"P231", "P232", "P234"} <= before
    assert after <= {"P107"}
    assert table(user, "SELECT name, by FROM item WHERE id = 1") == [("A", "duolog")]


def test_a_column_that_is_only_written_is_granted_by_name() -> None:
    granted = next(grant for grant in grants(items((("at", "now()"),)), "erp", "hand") if "UPDATE (" in grant)

    assert granted == 'GRANT UPDATE ("name", "price", "at") ON "public"."item" TO "hand";'


# ---------------------------------------------------------------- records of several tables

FIRM = Crossed(
    "firm",
    {
        "root": Rows("firm", {"name": "name", "boss": "boss"}, create={"born": "'2020-02-02'", "at": "'2020-02-02'"}),
        "mail": Rows("mail", {"mail": "mail"}, {"firm": "root.id"}, clear="delete"),
        "fax": Rows("fax", {"fax": "fax"}, {"id": "root.fax"}, clear="unlink"),
    },
    gone={"active": "f"}, back={"active": "t"}, removal="columns", references={"boss": "firm"},
)  # fmt: skip
FIRM_SQL = """
CREATE TABLE fax (id serial PRIMARY KEY, fax text, by text DEFAULT 'nobody');
CREATE TABLE firm (id serial PRIMARY KEY, name text, boss int REFERENCES firm, fax int REFERENCES fax,
    active boolean DEFAULT true, born date, at date, by text DEFAULT 'nobody');
CREATE TABLE mail (id serial PRIMARY KEY, firm int REFERENCES firm, mail text, by text DEFAULT 'nobody');
INSERT INTO fax VALUES (1, '77', 'user');
INSERT INTO firm VALUES (1, 'a', NULL, 1, true, '2020-01-01', '2020-01-01', 'user');
INSERT INTO firm VALUES (2, 'b', NULL, NULL, true, '2020-01-01', '2020-01-01', 'user');
INSERT INTO mail VALUES (1, 1, 'a@a', 'user');
SELECT setval('firm_id_seq', 10), setval('fax_id_seq', 10), setval('mail_id_seq', 10);
"""
FIRMS = "SELECT id, name, by, active, at FROM firm ORDER BY id"


def _touching(part: Part) -> Part:
    at = (("at", "current_date"),) if part.name == "root" else ()
    return replace(part, written=(("by", f"'{part.name}'"), *at))


def firms() -> RuleBook:
    """Firms of three tables, each of which is touched in a way of its own."""
    rules = crossed_book(FIRM)
    (binding,) = rules.bound["erp"]
    assert binding.assembly is not None
    assembly = replace(binding.assembly, parts=tuple(map(_touching, binding.assembly.parts)))
    return replace(rules, bound={"erp": (replace(binding, assembly=assembly),)})


@pytest.fixture
def firm(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """Two firms, the first with a mail and a fax row."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute(FIRM_SQL)
        yield conn


def test_every_part_is_touched_where_it_is_written(erp_db: str, firm: psycopg.Connection[Any]) -> None:
    with opened(erp_db, firms()) as target:
        mail = FIRM.write("update", "mail", (1, "a", "1", ("new", "a@a")), (1, "b", "2", ("b@b", None)))
        made = FIRM.write("insert", "name fax", (1, "n", "", ("n", "88")))
        outcome = target.apply(batch(1, mail, made))

    assert [result.kind for result in outcome.exceptions] == ["created"]
    assert table(firm, "SELECT firm, mail, by FROM mail ORDER BY firm") == [("1", "new", "mail"), ("2", "b@b", "mail")]
    assert table(firm, "SELECT fax, by FROM fax ORDER BY fax") == [("77", "user"), ("88", "fax")]
    new = outcome.exceptions[0].made
    assert table(firm, FIRMS) == [
        ("1", "a", "user", "True", "2020-01-01"),
        ("2", "b", "user", "True", "2020-01-01"),
        (new, "n", "root", "True", "2020-02-02"),  # what a new row gets by itself counts before
    ]


def test_a_root_is_touched_when_it_is_changed_unlinked_or_set_aside(
    erp_db: str, firm: psycopg.Connection[Any]
) -> None:
    with opened(erp_db, firms()) as target:
        target.apply(batch(1, FIRM.write("update", "fax", (1, "a", "1", (None, "77")))))
        unlinked = table(firm, "SELECT by, fax FROM firm WHERE id = 1")
        firm.execute("UPDATE firm SET by = 'user'")
        target.apply(batch(2, FIRM.write("delete", "name", (1, "b", "2", ("b",)))))

    assert unlinked == [("root", "None")]
    assert table(firm, "SELECT fax, by FROM fax") == [("77", "user")]  # nothing was written there
    assert table(firm, "SELECT id, by, active FROM firm ORDER BY id") == [
        ("1", "user", "True"), ("2", "root", "False"),
    ]  # fmt: skip
