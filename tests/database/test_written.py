"""Columns that the application maintains are written along, in whatever we insert or update, and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.errors import SchemaChanged
from engine.rulebook import Part, RuleBook
from engine.vocabulary import RowResult
from tests.database.assembled import Ground, batch, ground, said
from tests.database.books import Bound, book, row, write
from tests.database.crossed import Crossed, Rows, crossed_book
from tests.ground import POSTGRESQL

__all__ = ["ground"]

ITEM_SQL = """
CREATE SEQUENCE revisions START 100;
CREATE TABLE item (id int PRIMARY KEY, name varchar(9), price numeric(9,2), editor text, rev int, at timestamptz);
INSERT INTO item VALUES (1, 'a', 1, 'user', 1, '2020-01-01'), (2, 'b', 2, 'user', 1, '2020-01-01'),
    (3, 'c', 3, 'user', 1, '2020-01-01'), (4, 'd', 4, 'user', 1, '2020-01-01');
"""
WRITTEN = (("editor", "'duolog'"), ("rev", "nextval('revisions')"), ("at", "now()"))
"""As the rules say it."""


def items(written: tuple[tuple[str, str], ...] = WRITTEN, kind: str = POSTGRESQL) -> RuleBook:
    """A rule book of one table that is touched by what is written, as it is compiled for such a database."""
    rules = book(Bound("item", ("id", "name", "price"), ("id",)))
    (item,) = rules.tables["erp"]
    told = tuple((name, said(kind, words)) for name, words in written)
    return replace(rules, tables={"erp": (replace(item, written=told),)})


@pytest.fixture
def user(ground: Ground) -> Ground:
    """The application's own session, and its items."""
    ground.run(ITEM_SQL)
    return ground


def test_inserts_and_updates_touch_the_row_and_what_is_unmatched_or_left_alone_is_not_touched(user: Ground) -> None:
    with user.opened(items(kind=user.kind)) as target:
        update = write("update", "item", (1,), [row(1, "1", ("A",), ("a",)), row(1, "2", ("B",), ("other",))])
        insert = write("insert", "item", (1, 2), [row(1, "7", ("n", "7.00")), row(1, "3", ("n", "7.00"))])
        delete = write("delete", "item", (1, 2), [row(1, "4", (), ("d", "4.00"))])
        outcome = target.apply(batch(1, insert, update, delete))

    assert outcome.exceptions == [RowResult("item", key, "unmatched") for key in ("3", "2")]
    fresh = "CASE WHEN rev >= 100 AND at > '2021-01-01' AND at < '2999-01-01' THEN 'touched' ELSE 'as it was' END"
    assert user.table(f"SELECT id, name, editor, {fresh} FROM item ORDER BY id") == [  # noqa: S608
        ("1", "A", "duolog", "touched"),
        ("2", "b", "user", "as it was"),
        ("3", "c", "user", "as it was"),
        ("7", "n", "duolog", "touched"),
    ]


def test_a_column_that_is_also_a_field_is_written_once_as_the_field_says(user: Ground) -> None:
    with user.opened(items((("name", "'touched'"),), user.kind)) as target:
        rows = [write("update", "item", (1,), [row(1, "1", ("A",), ("a",))])]
        rows += [write("update", "item", (2,), [row(1, "2", ("5",), ("2.00",))])]
        target.apply(batch(1, *rows))

    assert user.table("SELECT id, name FROM item WHERE id < 3 ORDER BY id") == [("1", "A"), ("2", "touched")]


def test_the_way_row_by_row_touches_too(user: Ground) -> None:
    with user.opened(items(kind=user.kind)) as target:
        rows = [row(1, "1", ("A",), ("a",)), row(2, "2", ("much too long",), ("b",)), row(3, "3", ("C",), ("c",))]
        outcome = target.apply(batch(3, write("update", "item", (1,), rows)))

    assert [(result.key, result.kind) for result in outcome.exceptions] == [("2", "failed")]
    assert user.table("SELECT id, editor FROM item WHERE id < 4 ORDER BY id") == [
        ("1", "duolog"), ("2", "user"), ("3", "duolog"),
    ]  # fmt: skip


def test_a_column_that_is_gone_stops_the_system(user: Ground) -> None:
    user.run("ALTER TABLE item DROP COLUMN at")

    gone = pytest.raises(SchemaChanged, match=rf"`{user.schema}\.item` has no column `at`")
    with gone, user.opened(items(kind=user.kind)):
        pass


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
CREATE TABLE fax (id serial PRIMARY KEY, fax text, editor text DEFAULT 'nobody');
CREATE TABLE firm (id serial PRIMARY KEY, name text, boss int REFERENCES firm, fax int REFERENCES fax,
    active boolean DEFAULT true, born date, at date, editor text DEFAULT 'nobody');
CREATE TABLE mail (id serial PRIMARY KEY, firm int REFERENCES firm, mail text, editor text DEFAULT 'nobody');
INSERT INTO fax VALUES (1, '77', 'user');
INSERT INTO firm VALUES (1, 'a', NULL, 1, true, '2020-01-01', '2020-01-01', 'user');
INSERT INTO firm VALUES (2, 'b', NULL, NULL, true, '2020-01-01', '2020-01-01', 'user');
INSERT INTO mail VALUES (1, 1, 'a@a', 'user');
SELECT setval('firm_id_seq', 10); SELECT setval('fax_id_seq', 10); SELECT setval('mail_id_seq', 10);
"""
FIRMS = "SELECT id, name, editor, active, at FROM firm ORDER BY id"


def _touching(part: Part, kind: str) -> Part:
    at = (("at", said(kind, "current_date")),) if part.name == "root" else ()
    return replace(part, written=(("editor", f"'{part.name}'"), *at))


def firms(kind: str) -> RuleBook:
    """Firms of three tables, each of which is touched in a way of its own."""
    rules = crossed_book(FIRM)
    (binding,) = rules.bound["erp"]
    assert binding.assembly is not None
    assembly = replace(binding.assembly, parts=tuple(_touching(part, kind) for part in binding.assembly.parts))
    return replace(rules, bound={"erp": (replace(binding, assembly=assembly),)})


@pytest.fixture
def firm(ground: Ground) -> Ground:
    """Two firms, the first with a mail and a fax row."""
    ground.run(FIRM_SQL)
    return ground


def test_every_part_is_touched_where_it_is_written(firm: Ground) -> None:
    with firm.opened(firms(firm.kind)) as target:
        mail = FIRM.write("update", "mail", (1, "a", "1", ("new", "a@a")), (1, "b", "2", ("b@b", None)))
        made = FIRM.write("insert", "name fax", (1, "n", "", ("n", "88")))
        outcome = target.apply(batch(1, mail, made))

    assert [result.kind for result in outcome.exceptions] == ["created"]
    mails = firm.table("SELECT firm, mail, editor FROM mail ORDER BY firm")
    assert mails == [("1", "new", "mail"), ("2", "b@b", "mail")]
    assert firm.table("SELECT fax, editor FROM fax ORDER BY fax") == [("77", "user"), ("88", "fax")]
    new = outcome.exceptions[0].made
    assert firm.table(FIRMS) == [
        ("1", "a", "user", "t", "2020-01-01"),
        ("2", "b", "user", "t", "2020-01-01"),
        (new, "n", "root", "t", "2020-02-02"),  # what a new row gets by itself counts before
    ]


def test_a_root_is_touched_when_it_is_changed_unlinked_or_set_aside(firm: Ground) -> None:
    with firm.opened(firms(firm.kind)) as target:
        target.apply(batch(1, FIRM.write("update", "fax", (1, "a", "1", (None, "77")))))
        unlinked = firm.table("SELECT editor, fax FROM firm WHERE id = 1")
        firm.run("UPDATE firm SET editor = 'user'")
        target.apply(batch(2, FIRM.write("delete", "name", (1, "b", "2", ("b",)))))

    assert unlinked == [("root", "None")]
    assert firm.table("SELECT fax, editor FROM fax") == [("77", "user")]  # nothing was written there
    assert firm.table("SELECT id, editor, active FROM firm ORDER BY id") == [
        ("1", "user", "t"), ("2", "root", "f"),
    ]  # fmt: skip


# ---------------------------------------------------------------- what only a new row gets


def test_a_new_row_gets_what_the_rules_say_in_each_databases_own_words(ground: Ground) -> None:
    ground.run(
        "CREATE SEQUENCE numbers START WITH 500;"
        "CREATE TABLE ticket (id int PRIMARY KEY, name text, token varchar(36), made timestamptz, day date, note text)"
    )
    words = {
        "id": "next value for numbers" if ground.kind != POSTGRESQL else "nextval('numbers')",
        "token": "gen_random_uuid()", "made": "now()", "day": "current_date", "note": "'it''s \\ so'",
    }  # fmt: skip
    create = {column: said(ground.kind, text) for column, text in words.items()}
    ticket = Crossed("ticket", {"root": Rows("ticket", {"name": "name"}, create=create)})

    with ground.opened(crossed_book(ticket)) as target:
        outcome = target.apply(batch(1, ticket.write("insert", "name", *((1, n, "", (n,)) for n in "abc"))))

    assert [(result.key, result.made) for result in outcome.exceptions] == [("a", "500"), ("b", "501"), ("c", "502")]
    fresh = "CASE WHEN made > '2021-01-01' AND day > '2021-01-01' THEN 'now' END"
    assert ground.table(f"SELECT id, name, {fresh}, note FROM ticket ORDER BY id") == [  # noqa: S608
        (number, name, "now", "it's \\ so") for number, name in (("500", "a"), ("501", "b"), ("502", "c"))
    ]
    assert ground.table("SELECT count(DISTINCT token), min(length(token)) FROM ticket") == [("3", "36")]
