"""Records of several tables are found, written and taken away as one: all of a record, or none of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from engine.assembly import belongs, key_of, part_rows
from engine.rulebook import RuleBook, Table
from engine.vocabulary import KeyOf, Row, RowResult
from tests.database.assembled import Ground, batch, ground
from tests.database.books import Bound, book, row, write
from tests.database.crossed import Code, Crossed, Rows, crossed_book
from tests.ground import MARIADB, POSTGRESQL

__all__ = ["ground"]


@pytest.fixture
def user(ground: Ground) -> Ground:
    """The application's own session, on a database of each kind."""
    return ground


COMPANY = Crossed(
    "company",
    {
        "root": Rows("company", {"terms": "terms"}, {}, key=("party",)),
        "party": Rows("par-ty", {"name": "na me"}, {"id": "root.party"}, {"kind": "company"}),
        "invoice": Rows(
            "address", {"city": "city", "zip": "zip"}, {"party": "party.id"}, {"kind": "invoice"},
            first_by=[("seq", "integer")], clear="delete",
        ),
        "mail": Rows(
            "contact", {"mail": "value"}, {"party": "party.id"}, {"kind": "mail", "active": "t"},
            first_by=[("seq", "integer")], create={"seq": "10"},
        ),
        "phone": Rows("contact", {"phone": "value"}, {"party": "party.id"}, {"kind": "phone"}),
    },
)  # fmt: skip
COMPANY_SQL = """
CREATE TABLE "par-ty" (id serial PRIMARY KEY, kind text NOT NULL, "na me" text);
CREATE TABLE company (party int PRIMARY KEY REFERENCES "par-ty", terms text);
CREATE TABLE address (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), party int REFERENCES "par-ty", kind text, city text, zip text,
    seq int DEFAULT 5
);
CREATE TABLE contact (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, party int NOT NULL REFERENCES "par-ty" ON DELETE CASCADE,
    kind text NOT NULL, active boolean DEFAULT false, seq int, value text CHECK (value <> 'bad')
);
"""
WHOLE = """
SELECT c.party, terms, "na me",
       (SELECT string_agg(concat_ws(' ', kind, city, zip), ', ' ORDER BY kind, city)
        FROM address WHERE party = c.party),
       (SELECT string_agg(concat_ws(' ', kind, active, seq, value), ', ' ORDER BY kind, seq)
        FROM contact WHERE party = c.party)
FROM company c JOIN "par-ty" p ON p.id = c.party AND p.kind = 'company' ORDER BY c.party
"""
POINTED = {
    POSTGRESQL: "23503 foreign_key_violation: constraint `seat_firm_fkey` of `public.seat` about column `firm`",
    MARIADB: "1451 foreign key: constraint `seat_ibfk_1` of `{schema}.seat` about column `firm`",
}
BAD = {
    POSTGRESQL: "23514 check_violation: constraint `contact_value_check` of `public.contact` about `phone`",
    MARIADB: "4025 check constraint: constraint `contact.value` about `phone`",
}
"""How a refusal is worded."""
ALL = "terms name city zip mail phone"


@pytest.fixture
def company(user: Ground) -> Ground:
    """A company is a party with addresses and contacts by kind."""
    user.run(COMPANY_SQL)
    return user


def test_a_record_of_four_tables_is_made_with_the_rows_that_have_something_to_say(company: Ground) -> None:
    rows = [
        (1, "a", "", ("net", "A", "Bonn", None, "a@b", "1")),
        (1, "b", "", (None, "B", None, None, None, "2")),
        (1, "c", "", (None, None, None, "9", "c@d", None)),
    ]

    with company.opened(crossed_book(COMPANY)) as target:
        outcome = target.apply(batch(1, COMPANY.write("insert", ALL, *rows)))
        keys = [r.made for r in outcome.exceptions]
        parts = target.reread("company", [keys[0], keys[2], "77"])

    assert [(r.key, r.kind, r.stored) for r in outcome.exceptions] == [(id, "created", {}) for id in "abc"]
    assert company.table(WHOLE) == [
        (keys[0], "net", "A", "invoice Bonn", "mail t 10 a@b, phone f 1"),
        (keys[1], "None", "B", "None", "phone f 2"),
        (keys[2], "None", "None", "invoice 9", "mail t 10 c@d"),
    ]
    assert {r.key for r in parts} == {keys[0], keys[2], "77"}
    by_key = {r.key: r.parts for r in parts}
    assert by_key["77"] is None
    found = by_key[keys[0]]
    assert found is not None and found[1] == (keys[0], "company", "A")
    assert [row is None for row in by_key[keys[2]] or ()] == [False, False, False, False, True]


def test_a_change_writes_where_all_parts_are_as_held_and_makes_and_clears_rows(company: Ground) -> None:
    company.run("""
        INSERT INTO "par-ty" VALUES (1, 'company', 'a'), (2, 'company', 'b'), (3, 'person', 'c'), (4, 'company', 'd');
        INSERT INTO company (party) VALUES (1), (2), (3), (4);
        INSERT INTO address (party, kind, city, seq) VALUES (1, 'invoice', 'late', 9), (1, 'invoice', 'early', 10),
            (1, 'delivery', 'other', 0), (2, 'invoice', 'x', NULL), (2, 'invoice', 'y', 1), (4, 'invoice', 'gone', 1);
        INSERT INTO contact (party, kind, active, seq, value)
            VALUES (2, 'mail', false, 1, 'old'), (2, 'phone', true, 1, '5');
    """)
    rows = [
        (1, "a", "1", ("A", "ulm", "m@a", "a", "late", None)),
        (1, "b", "2", ("B", "Ulm", "m@b", "b", "x", None)),  # another address counts
        (1, "c", "3", ("C", "Ulm", "m@c", "c", None, None)),  # no company
        (1, "d", "4", ("D", None, None, "d", "gone", None)),
        (1, "e", "5", ("E", "Ulm", "m@e", "e", None, None)),
    ]

    with company.opened(crossed_book(COMPANY)) as target:
        outcome = target.apply(batch(1, COMPANY.write("update", "name city mail", *rows)))

    assert outcome.exceptions == [RowResult("company", id, "unmatched") for id in "bce"]
    assert company.table(WHOLE) == [
        ("1", "None", "A", "delivery other, invoice early, invoice ulm", "mail t 10 m@a"),
        ("2", "None", "b", "invoice x, invoice y", "mail f 1 old, phone t 1 5"),
        ("4", "None", "D", "None", "None"),
    ]


def test_a_record_is_removed_with_its_rows_where_all_is_as_held(company: Ground) -> None:
    rows = [(1, id, "", (None, id, city, None, None, "1")) for id, city in (("a", "X"), ("b", None), ("c", "Y"))]

    with company.opened(crossed_book(COMPANY)) as target:
        keys = [r.made for r in target.apply(batch(1, COMPANY.write("insert", ALL, *rows))).exceptions]
        cities = {"a": "X", "b": None, "c": None}
        held = {id: (None, id, city, None, None, "1") for id, city in cities.items()}
        gone = [(2, id, key, held[id]) for id, key in zip("abc", keys, strict=True)]
        outcome = target.apply(batch(2, COMPANY.write("delete", ALL, *gone)))

    assert outcome.exceptions == [RowResult("company", "c", "unmatched")]
    assert [r[:4] for r in company.table(WHOLE)] == [(keys[2], "None", "c", "invoice Y")]
    assert company.table('SELECT count(*) FROM "par-ty"') == [("1",)]
    assert company.table("SELECT count(*) FROM address") == [("1",)]


def test_a_refused_part_leaves_nothing_of_its_record_and_all_others_are_made(company: Ground) -> None:
    rows = [(n % 7, str(n), "", (None, f"n{n:02}", "X", None, None, "bad" if n == 13 else "1")) for n in range(30)]

    with company.opened(crossed_book(COMPANY)) as target:
        outcome = target.apply(batch(30, COMPANY.write("insert", ALL, *rows)))
        told = target.committed(0)

    failed = [r for r in outcome.exceptions if r.kind != "created"]
    assert [(r.key, r.reason) for r in failed] == [("13", company.refusal(BAD))]
    made = {r.key: r.made for r in outcome.exceptions if r.kind == "created"}
    assert told == [outcome]
    assert len(set(made.values())) == 29
    rows_there = sorted((r[2], r[0]) for r in company.table(WHOLE))
    assert rows_there == [(f"n{n:02}", made[str(n)]) for n in range(30) if n != 13]
    for name in ("company", '"par-ty"', "address", "contact"):
        assert company.table(f"SELECT count(*) FROM {name}") == [("29",)]  # noqa: S608


@pytest.mark.parametrize("locked", ['"par-ty"', "company", "contact"])
def test_a_user_who_holds_one_row_of_a_record_is_not_waited_for(
    company: Ground, locked: str
) -> None:
    rows = [(1, id, "", (None, id, None, None, "x@y", None)) for id in "ab"]

    with company.opened(crossed_book(COMPANY)) as target:
        keys = [r.made for r in target.apply(batch(1, COMPANY.write("insert", ALL, *rows))).exceptions]
        changes = [(n, id, key, ("new", "m", id, "x@y")) for n, id, key in zip((2, 3), "ab", keys, strict=True)]
        with company.transaction():
            column = {"company": "party", '"par-ty"': "id", "contact": "party"}[locked]
            company.run(f"SELECT 1 FROM {locked} WHERE {column} = {keys[0]} FOR UPDATE")  # noqa: S608
            outcome = target.apply(batch(3, COMPANY.write("update", "name mail", *changes)))
            read = target.reread("company", keys)
            again = [target.apply(batch(n, COMPANY.write("update", "name mail", changes[0]))) for n in range(4, 9)]
        late = target.apply(batch(9, COMPANY.write("update", "name mail", changes[0])))

    assert outcome.exceptions == [RowResult("company", "a", "deferred")]
    assert [each.exceptions for each in again] == [outcome.exceptions] * 5, "whatever the order of its tries"
    assert late.exceptions == []
    assert [r.key for r in read] == [keys[1]]
    assert [r[2] for r in company.table(WHOLE)] == ["new", "new"]


def test_a_user_who_is_adding_a_child_row_is_not_overlooked(company: Ground) -> None:
    with company.opened(crossed_book(COMPANY)) as target:
        insert = COMPANY.write("insert", ALL, (1, "a", "", (None, "a", None, None, None, None)))
        (key,) = [r.made for r in target.apply(batch(1, insert)).exceptions]
        change = COMPANY.write("update", "mail", (2, "a", key, ("ours", None)))
        with company.transaction():
            given = [key]
            company.run("INSERT INTO contact (party, kind, active, value) VALUES (%s, 'mail', true, 'user')", given)
            waiting = target.apply(batch(2, change))
            overlooked = target.reread("company", [key])
        late = target.apply(batch(3, change))

    assert waiting.exceptions == [RowResult("company", "a", "deferred")]
    assert overlooked == []
    assert late.exceptions == [RowResult("company", "a", "unmatched")]


def test_a_record_comes_back_where_its_root_row_is(company: Ground) -> None:
    user = company
    user.run("ALTER TABLE company ADD active boolean DEFAULT true")
    member = Crossed(
        "customer", {
            "root": Rows("company", {"terms": "terms"}, {}, key=("party",)),
            "mail": Rows("contact", {"mail": "value", "seq": "seq"}, {"party": "root.party"}, {"kind": "mail"}),
            "group": Rows("contact", {}, {"party": "root.party"}, {"kind": "customer"}),
        },
        members=["group"], gone={"active": "f"}, back={"active": "t"}, removal="membership",
    )  # fmt: skip
    user.run("""
        INSERT INTO "par-ty" (id, kind) SELECT n, 'company' FROM generate_series(1, 4) n;
        INSERT INTO company VALUES (1, 'a', false), (2, 'b', true), (3, 'c', true);
        INSERT INTO contact (party, kind, value, seq) VALUES (1, 'customer', NULL, NULL), (1, 'mail', 'old', 7),
            (3, 'customer', NULL, NULL), (3, 'mail', 'm', NULL);
    """)

    with company.opened(crossed_book(member)) as target:
        rows = [(1, str(n), str(n), ("T", f"m{n}")) for n in (1, 2, 3, 4)]
        first = target.apply(batch(1, member.write("insert", "terms mail", *rows)))
        leave = member.write("delete", "terms mail", (2, "1", "1", ("T", "m1")), (2, "3", "3", ("c", "other")))
        second = target.apply(batch(2, leave))

    assert sorted(first.exceptions) == [
        RowResult("customer", "1", "created", {2: "7"}, made="1"),
        RowResult("customer", "2", "created", {2: None}, made="2"),
        RowResult("customer", "3", "unmatched"), RowResult("customer", "4", "unmatched"),
    ]  # fmt: skip
    assert second.exceptions == [RowResult("customer", "3", "unmatched")]
    assert user.table("SELECT * FROM company ORDER BY 1") == [
        ("1", "T", "t"), ("2", "T", "t"), ("3", "c", "t"),
    ]  # fmt: skip
    assert user.table("SELECT party, kind, value FROM contact ORDER BY party, kind") == [
        ("1", "mail", "m1"), ("2", "customer", "None"), ("2", "mail", "m2"), ("3", "customer", "None"),
        ("3", "mail", "m"),
    ]  # fmt: skip


POINTING = Crossed(
    "firm", {
        "root": Rows("firm", {"name": "name"}),
        "seat": Rows("seat", {"city": "city"}, {"id": "root.seat"}, links={"firm": "root.id"}, clear="unlink"),
    },
)  # fmt: skip
POINTING_SQL = """
CREATE TABLE firm (id serial PRIMARY KEY, name text, seat int);
CREATE TABLE seat (id serial PRIMARY KEY, city text, firm int REFERENCES firm);
ALTER TABLE firm ADD FOREIGN KEY (seat) REFERENCES seat;
SELECT setval('seat_id_seq', 50);
"""


def test_rows_that_point_at_each_other_are_made_changed_unlinked_and_removed(user: Ground) -> None:
    user.run(POINTING_SQL)
    query = (
        "SELECT f.name, s.city, CASE WHEN s.firm = f.id THEN 't' END "
        "FROM firm f LEFT JOIN seat s ON s.id = f.seat ORDER BY f.id"
    )

    with user.opened(crossed_book(POINTING)) as target:
        rows = [(1, "a", "", ("A", "Bonn")), (1, "b", "", ("B", None)), (1, "c", "", ("C", "Ulm"))]
        first = target.apply(batch(1, POINTING.write("insert", "name city", *rows)))
        made = user.table(query)
        a, b, c = [r.made for r in sorted(first.exceptions)]
        moves = [(2, "a", a, (None, "Bonn")), (2, "b", b, ("Trier", None)), (2, "c", c, ("Jena", "Ulm"))]
        second = target.apply(batch(2, POINTING.write("update", "city", *moves)))
        moved = user.table(query)
        gone = [(3, "b", b, ("B", "Trier")), (3, "a", a, ("A", None)), (3, "c", c, ("C", "Ulm"))]
        third = target.apply(batch(3, POINTING.write("delete", "name city", *gone)))

    assert {(r.key, r.kind) for r in first.exceptions} == {(id, "created") for id in "abc"}
    assert sorted(made) == [("A", "Bonn", "t"), ("B", "None", "None"), ("C", "Ulm", "t")]
    assert second.exceptions == []
    assert sorted(moved) == [("A", "None", "None"), ("B", "Trier", "t"), ("C", "Jena", "t")]
    assert third.exceptions == [
        RowResult("firm", "c", "unmatched"),
        RowResult("firm", "a", "failed", reason=user.refusal(POINTED)),
    ]  # its old seat is no part of it any more, and still points at it
    assert user.table("SELECT city FROM seat ORDER BY 1") == [("Bonn",), ("Jena",)]


def test_inheritance_over_three_tables_shares_one_key(user: Ground) -> None:
    user.run("""
        CREATE TABLE thing (id serial PRIMARY KEY, label text);
        CREATE TABLE vehicle (id int PRIMARY KEY REFERENCES thing, wheels int NOT NULL DEFAULT 4);
        CREATE TABLE car (id int PRIMARY KEY REFERENCES vehicle, doors int, twin int REFERENCES car);
    """)
    car = Crossed(
        "car", {
            "root": Rows("car", {"doors": "doors", "twin": "twin"}),
            "vehicle": Rows("vehicle", {"wheels": "wheels"}, {"id": "root.id"}),
            "thing": Rows("thing", {"label": "label"}, {"id": "vehicle.id"}),
        },
        members=["vehicle", "thing"], references={"twin": "car"},
    )  # fmt: skip

    with user.opened(crossed_book(car)) as target:
        rows = [(1, "a", "", ("2", KeyOf("car", "b"), "A")), (1, "b", "", (None, KeyOf("car", "a"), "B"))]
        first = target.apply(batch(1, car.write("insert", "doors twin label", *rows)))
        a, b = (r.made for r in first.exceptions)
        second = target.apply(
            batch(
                2,
                car.write("update", "wheels label", (2, "a", a, ("3", "AA", "4", "A"))),
                car.write("update", "doors twin", (2, "b", b, ("5", None, None, a))),
                car.write("delete", "doors label", (2, "b", b, ("5", "B"))),
            )
        )

    assert [(r.key, r.kind, r.stored) for r in first.exceptions] == [(id, "created", {2: "4"}) for id in "ab"]
    referred = {POSTGRESQL: "23503", MARIADB: "1451 "}[user.kind]
    assert [(r.key, r.kind, r.reason[:5]) for r in second.exceptions] == [("b", "failed", referred)]
    assert user.table("SELECT * FROM car NATURAL JOIN vehicle NATURAL JOIN thing ORDER BY id") == [
        (a, "2", b, "3", "AA"), (b, "5", "None", "4", "B"),
    ]  # fmt: skip


def test_mirrored_rows_that_point_at_each_other_are_made_with_their_record(user: Ground) -> None:
    user.run("""
        CREATE TABLE node (id serial PRIMARY KEY, name text);
        CREATE TABLE "Link" (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "from" int NOT NULL REFERENCES node,
                             "to" int NOT NULL REFERENCES node, mirror uuid REFERENCES "Link", role text);
        INSERT INTO node VALUES (1, 'hub'); SELECT setval('node_id_seq', 10);
    """)
    node = Crossed(
        "node", {
            "root": Rows("node", {"name": "name"}, where={"name": ["A", "B", "AA"]}),
            "out": Rows("Link", {}, {"from": "root.id"}, {"to": "1"}, links={"mirror": "back.id"}, key=("id",)),
            "back": Rows("Link", {}, {"id": "out.mirror", "to": "root.id"}, {"from": "1"}, links={"mirror": "out.id"}),
        },
        members=["out"],
    )  # fmt: skip
    query = (
        'SELECT a."from", a."to", b."from", b."to", CASE WHEN b.mirror = a.id THEN 1 END '
        'FROM "Link" a JOIN "Link" b ON b.id = a.mirror ORDER BY 1, 2'
    )

    with user.opened(crossed_book(node)) as target:
        first = target.apply(batch(1, node.write("insert", "name", (1, "a", "", ("A",)), (1, "b", "", ("B",)))))
        a, b = (r.made for r in first.exceptions)
        links = user.table(query)
        second = target.apply(batch(2, node.write("update", "name", (2, "a", a, ("AA", "A")))))
        third = target.apply(batch(3, node.write("delete", "name", (3, "a", a, ("AA",)), (3, "b", b, ("x",)))))

    mirrored = [("1", a, a, "1"), ("1", b, b, "1"), (a, "1", "1", a), (b, "1", "1", b)]
    assert links == [(*row, "1") for row in mirrored]
    assert second.exceptions == []
    assert third.exceptions == [RowResult("node", "b", "unmatched")]
    assert user.table("SELECT id FROM node ORDER BY 1") == [("1",), (b,)]
    assert len(user.table(query)) == 2


def test_a_link_that_leads_to_a_part_is_made_and_goes_with_it(user: Ground) -> None:
    user.run("""
        CREATE TABLE person (id serial PRIMARY KEY, name text);
        CREATE TABLE home (id serial PRIMARY KEY, city text);
        CREATE TABLE living (
            person int NOT NULL REFERENCES person, home int NOT NULL REFERENCES home, kind text,
            PRIMARY KEY (person, home, kind)
        );
        CREATE TABLE note (id serial PRIMARY KEY, home int NOT NULL REFERENCES home, text text);
    """)
    way = {"person": "root.id"}
    person = Crossed(
        "person", {
            "root": Rows("person", {"name": "name"}),
            "living": Rows("living", {}, way, {"kind": "main"}, key=("person", "home", "kind"), clear="delete"),
            "home": Rows("home", {"city": "city"}, {"id": "living.home"}, clear="delete"),
            "note": Rows("note", {"note": "text"}, {"home": "home.id"}),
        },
    )  # fmt: skip
    query = (
        "SELECT name, city, text FROM person p LEFT JOIN living l ON l.person = p.id LEFT JOIN home h ON h.id = l.home "
        "LEFT JOIN note n ON n.home = h.id ORDER BY 1"
    )

    with user.opened(crossed_book(person)) as target:
        rows = [(1, "a", "", ("A", "X", None)), (1, "b", "", ("B", "Y", "y")), (1, "c", "", ("C", None, None))]
        keys = {
            r.key: r.made for r in target.apply(batch(1, person.write("insert", "name city note", *rows))).exceptions
        }
        changes = [
            (2, "a", keys["a"], (None, None, "X", None)), (2, "b", keys["b"], (None, None, "Y", "y")),
            (2, "c", keys["c"], (None, "c", None, None)),
        ]  # fmt: skip
        outcome = target.apply(batch(2, person.write("update", "city note", *changes)))

    assert outcome.exceptions == []
    assert user.table(query) == [("A", "None", "None"), ("B", "None", "None"), ("C", "None", "c")]
    assert user.table("SELECT count(*) FROM living") == [("2",)]  # the note of b stays, and so does its home
    assert user.table("SELECT count(*) FROM home") == [("2",)]


def test_entities_that_refer_to_each_other_are_made_in_one_batch(user: Ground) -> None:
    user.run("""
        CREATE TABLE team (id serial PRIMARY KEY, name text, lead int);
        CREATE TABLE player (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), team int NOT NULL REFERENCES team);
        CREATE TABLE profile (
            player uuid REFERENCES player, nick text, id serial PRIMARY KEY, best_team int REFERENCES team
        );
        ALTER TABLE team DROP COLUMN lead; ALTER TABLE team ADD lead uuid REFERENCES player;
    """)
    team = Crossed("team", {"root": Rows("team", {"name": "name", "lead": "lead"})}, references={"lead": "player"})
    player = Crossed(
        "player", {
            "root": Rows("player", {"team": "team"}),
            "profile": Rows("profile", {"nick": "nick", "best": "best_team"}, {"player": "root.id"}),
        },
        references={"team": "team", "best": "team"},
    )  # fmt: skip
    teams = [(1, t, "", (t, KeyOf("player", p))) for t, p in (("t1", "p1"), ("t2", "p2"))]
    sides = (("p1", "t1", "t2"), ("p2", "t2", "t1"))
    players = [(1, p, "", (KeyOf("team", t), p, KeyOf("team", best))) for p, t, best in sides]

    with user.opened(crossed_book(team, player)) as target:
        writes = team.write("insert", "name lead", *teams), player.write("insert", "team nick best", *players)
        outcome = target.apply(batch(1, *writes))

    assert [(r.entity, r.kind, r.stored) for r in outcome.exceptions] == [
        ("team", "created", {}), ("team", "created", {}), ("player", "created", {}), ("player", "created", {}),
    ]  # fmt: skip
    query = (
        "SELECT t.name, nick, b.name FROM team t JOIN player p ON p.id = t.lead AND p.team = t.id "
        "JOIN profile f ON f.player = p.id JOIN team b ON b.id = f.best_team ORDER BY 1"
    )
    assert user.table(query) == [("t1", "p1", "t2"), ("t2", "p2", "t1")]


def test_a_looked_up_field_of_a_part_is_compared_by_its_key(user: Ground) -> None:
    user.run("""
        CREATE TABLE land ("Key" serial PRIMARY KEY, "ISO-2" text UNIQUE);
        INSERT INTO land ("ISO-2") VALUES ('de'), ('fr');
        CREATE TABLE shop (id serial PRIMARY KEY);
        CREATE TABLE place (id serial PRIMARY KEY, shop int REFERENCES shop, land int REFERENCES land ("Key"));
    """)
    shop = Crossed(
        "shop", {"root": Rows("shop"), "place": Rows("place", {"land": "land"}, {"shop": "root.id"})},
        lookups={"land": Code("land", "Key", "ISO-2")},
    )  # fmt: skip

    with user.opened(crossed_book(shop)) as target:
        rows = [(1, "a", "", ("de",)), (1, "b", "", (None,)), (1, "c", "", ("fr",)), (1, "d", "", ("xx",))]
        first = target.apply(batch(1, shop.write("insert", "land", *rows)))
        keys = {r.key: r.made for r in first.exceptions}
        changes = [
            (2, "a", keys["a"], ("fr", "de")), (2, "b", keys["b"], ("de", None)), (2, "c", keys["c"], ("de", "de")),
        ]  # fmt: skip
        second = target.apply(batch(2, shop.write("update", "land", *changes)))

    failed = [(r.key, r.reason) for r in first.exceptions if r.kind == "failed"]
    assert failed == [("d", f"`land`: no such code in `{user.schema}.land`")]
    assert second.exceptions == [RowResult("shop", "c", "unmatched")]
    query = 'SELECT s.id, "ISO-2" FROM shop s LEFT JOIN place p ON p.shop = s.id LEFT JOIN land l ON l."Key" = p.land'
    assert sorted(user.table(query)) == sorted([(keys["a"], "fr"), (keys["b"], "de"), (keys["c"], "fr")])


def test_plain_and_assembled_records_share_a_batch_and_its_isolation(company: Ground) -> None:
    company.run("CREATE TABLE account (id int PRIMARY KEY, credit int CHECK (credit < 100))")
    plain = book(Bound("account", ("id", "credit"), ("id",)))
    rules = beside(crossed_book(COMPANY), plain)

    with company.opened(rules) as target:
        records = COMPANY.write("insert", ALL, *((n, str(n), "", (None, str(n), "X", *[None] * 3)) for n in range(4)))
        accounts = write("insert", "account", (1,), [row(n, str(n), ("100" if n == 2 else "1",)) for n in range(4)])
        outcome = target.apply(batch(4, records, accounts))
        nothing = target.apply(batch(5))

    kinds = {(r.entity, r.key): r.kind for r in outcome.exceptions}
    assert kinds == {("company", str(n)): "created" for n in range(4)} | {("account", "2"): "failed"}
    assert nothing.exceptions == []
    assert company.table("SELECT id FROM account ORDER BY 1") == [("0",), ("1",), ("3",)]
    assert len(company.table(WHOLE)) == 4


def test_which_rows_make_up_a_record_is_the_same_in_the_database_as_in_the_engine(user: Ground) -> None:
    user.run("""
        CREATE TABLE party (id int PRIMARY KEY, kind char(3), active boolean, code text, address text);
        CREATE TABLE line (id text PRIMARY KEY, party int, code text, seq numeric, kind text);
        CREATE TABLE place ("Id" text PRIMARY KEY, line text, rank float8);
    """)
    random = Random(7)

    def some(*texts: str | None) -> str | None:
        return random.choice(texts)

    for n in range(60):
        party = [str(n), some("a", "b", None), some("t", "f", None), some("x", "X", "", None), some("p1", "P1", None)]
        user.run("INSERT INTO party VALUES (%s, %s, %s, %s, %s)", party)
    for n in range(400):
        line = [f"l{n}", str(random.randrange(60)), some("x", "X", "", None), some("1.0", "10", "9", "-1", None)]
        user.run("INSERT INTO line VALUES (%s, %s, %s, %s, %s)", [*line, some("k", "K", "z", None)])
        place = [some("p", "P", "") or "" + str(n), f"l{random.randrange(400)}", some("1", "2", None)]
        user.run('INSERT INTO place VALUES (%s, %s, %s) ON CONFLICT DO NOTHING', [f"{place[0]}{n}", *place[1:]])
    blanks = "  " if user.kind == POSTGRESQL else ""  # which prints them
    record = Crossed(
        "record", {
            "root": Rows("party", {"code": "code"}, where={"kind": ["a" + blanks, "b" + blanks]}),
            "first": Rows("line", {"k": "kind"}, {"party": "root.id"}, {"kind": ["k", "z"]}, [("seq", "numeric")]),
            "same": Rows("line", {"s": "seq"}, {"code": "root.code", "party": "root.id"}, first_by=[("kind", "text")]),
            "place": Rows("place", {"r": "rank"}, {"line": "first.id"}, first_by=[("rank", "float")], key=("Id",)),
        },
        members=["first"], gone={"active": "f", "code": "x"},
    )  # fmt: skip
    rules = crossed_book(record)
    assembly = rules.bound["erp"][0].assembly
    assert assembly is not None
    code = rules.tables["erp"][0].columns.index("code")

    with user.opened(rules) as target:
        answers = target.reread("record", [str(n) for n in range(60)])
        roots = [(answer.key, answer.parts[0]) for answer in answers if answer.parts]
        codes = [(key, str(root[code]) if root and root[code] is not None else None) for key, root in roots]
        same = [(1, key, key, (text, text)) for key, text in codes]
        outcome = target.apply(batch(1, record.write("update", "code", *same)))
    rows = InMemory(rules.tables["erp"], [user.rows(rules, number) for number in range(3)])

    expected = {str(n): part_rows(assembly, rules.tables["erp"], rows, str(n)) for n in range(60)}
    assert {answer.key: answer.parts for answer in answers} == expected
    assert {r.key for r in outcome.exceptions} == {key for key in expected if not belongs(assembly, expected[key])}
    assert 5 < len(outcome.exceptions) < 55


class InMemory:
    """Rows of whole tables, as the engine asks for them."""

    def __init__(self, tables: Sequence[Table], rows: Sequence[Sequence[Row]]) -> None:
        self._tables = tables
        self._rows = rows

    def row(self, table: int, key: str) -> Row | None:
        """The row with this key."""
        return next((row for row in self._rows[table] if key_of(self._tables[table], row) == key), None)

    def rows_with(self, table: int, column: int, text: str) -> list[Row]:
        """The rows whose column has this text."""
        return [row for row in self._rows[table] if row[column] == text]


def beside(first: RuleBook, second: RuleBook) -> RuleBook:
    """Both rule books in one; the tables of the second are numbered after those of the first."""
    shift = len(first.tables["erp"])
    moved = tuple(replace(binding, table=binding.table + shift) for binding in second.bound["erp"])
    return replace(
        first,
        entities={**first.entities, **second.entities},
        tables={"erp": first.tables["erp"] + second.tables["erp"]},
        bound={"erp": first.bound["erp"] + moved},
    )
