"""Rows that point at each other and hang on a record: what becomes of them when it lets go of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.database.crossed import Crossed, Rows, crossed_book
from tests.database.test_postgresql_target import batch, opened, table

TABLES = """
CREATE TABLE party (id serial PRIMARY KEY, name text, seat int);
CREATE TABLE relation (
    id serial PRIMARY KEY, kind text NOT NULL, from_party int NOT NULL REFERENCES party,
    to_party int NOT NULL REFERENCES party, opposite int REFERENCES relation
);
CREATE TABLE address (id serial PRIMARY KEY, party int NOT NULL REFERENCES party, city text);
ALTER TABLE party ADD FOREIGN KEY (seat) REFERENCES address;
INSERT INTO party (name) VALUES ('Acme'), ('Bolt');
"""


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's own connection."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute(TABLES.encode())
        yield conn


def test_a_link_that_is_cleared_takes_its_mirror_with_it(erp_db: str, user: psycopg.Connection[Any]) -> None:
    back = {"id": "link.opposite", "from_party": "link.to_party", "to_party": "link.from_party"}
    contact = Crossed("contact", {
        "root": Rows("party", {"name": "name"}),
        "link": Rows("relation", {"employer": "to_party"}, {"from_party": "root.id"}, {"kind": "for"}, clear="delete"),
        "mirror": Rows("relation", {}, back, {"kind": "of"}, links={"opposite": "link.id"}, clear="delete"),
    })  # fmt: skip
    query = "SELECT kind, from_party, to_party FROM relation ORDER BY 1, 2"

    with opened(erp_db, crossed_book(contact)) as target:
        first = target.apply(batch(1, contact.write("insert", "name employer", (1, "a", "", ("Ann", "1")))))
        ann = first.exceptions[0].made
        made = table(user, query)
        second = target.apply(batch(2, contact.write("update", "employer", (2, "a", ann, ("2", "1")))))
        moved = table(user, query)
        third = target.apply(batch(3, contact.write("update", "employer", (3, "a", ann, (None, "2")))))

    assert made == [("for", ann, "1"), ("of", "1", ann)]
    assert second.exceptions == third.exceptions == []
    assert moved == [("for", ann, "2"), ("of", "2", ann)]
    assert table(user, query) == []


def test_what_is_unlinked_may_still_point_at_its_record(erp_db: str, user: psycopg.Connection[Any]) -> None:
    company = Crossed("company", {
        "root": Rows("party", {"name": "name"}),
        "seat": Rows("address", {"city": "city"}, {"id": "root.seat", "party": "root.id"}, clear="unlink"),
    })  # fmt: skip
    query = "SELECT name, seat FROM party WHERE id > 2"

    with opened(erp_db, crossed_book(company)) as target:
        first = target.apply(batch(1, company.write("insert", "name city", (1, "c", "", ("C", "Ulm")))))
        key = first.exceptions[0].made
        made = table(user, query)
        second = target.apply(batch(2, company.write("update", "city", (2, "c", key, (None, "Ulm")))))

    assert made == [("C", "1")]
    assert second.exceptions == []
    assert table(user, query) == [("C", "None")]
    assert table(user, "SELECT party FROM address") == [(key,)]


def test_a_row_that_a_field_points_at_is_neither_made_nor_removed(erp_db: str, user: psycopg.Connection[Any]) -> None:
    user.execute("INSERT INTO address (party, city) VALUES (1, 'Ulm')")
    note = Crossed(
        "note", {
            "root": Rows("party", {"name": "name", "seat": "seat"}),
            "place": Rows("address", {}, {"id": "root.seat"}, {"city": "Ulm"}, remove=False),
        },
        members=["place"], removal="membership",
    )  # fmt: skip

    with opened(erp_db, crossed_book(note)) as target:
        first = target.apply(batch(1, note.write("insert", "name seat", (1, "n", "", ("N", "1")))))
        second = target.apply(batch(2, note.write("update", "name", (2, "n", first.exceptions[0].made, ("M", "N")))))

    assert [result.kind for result in first.exceptions] == ["created"]
    assert second.exceptions == []
    assert table(user, "SELECT name, seat, city FROM party JOIN address ON address.id = seat") == [("M", "1", "Ulm")]
