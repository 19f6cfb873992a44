"""Records of several tables in memory, made: a user's rows, and those that one record of ours becomes.

The parties of `assembled_memory`, and shops, whose address is two tables away.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.memory import MemorySnapshot, MemorySystem, MemoryTarget
from engine.conditions import In
from engine.errors import EngineFault
from engine.rulebook import Assembly, Join, Order, Part, Table
from engine.vocabulary import DELETE, INSERT, UNSET, UPDATE, RowResult, Text
from tests.unit.assembled_memory import (
    ADDRESS,
    CITY,
    CODE,
    COUNTRIES,
    COUNTRY,
    GROUP,
    NAME,
    PARENT,
    PARTY,
    PARTY_ASSEMBLY,
    STREET,
    VAT,
    apply,
    book,
    insert,
    only,
    parties,
    rows,
    update,
    whole,
)

# ---------------------------------------------------------------- users


def test_a_user_writes_tables_and_the_log_has_their_rows() -> None:
    database = whole()

    changes = database.update(PARTY, "1", {"id": "8", "name": "Eva"}) + database.delete("party_group", "1\x1f7")
    database.commit(changes, 6)

    assert [change[:2] for change in database.log[0].changes] == [
        (COUNTRIES, INSERT), (ADDRESS, INSERT), (PARTY, INSERT), (CODE, INSERT), (GROUP, INSERT),
    ]  # fmt: skip
    assert database.log[0].changes[3] == (CODE, INSERT, ("1001", "1", "vat", "A", "2"), None)
    assert database.log[1].changes == [
        (PARTY, UPDATE, ("8", "Eva", "t", "2001", "49", None), ("1", ..., ..., ..., ..., ...)),
        (GROUP, DELETE, None, ("1", "7")),
    ]


def test_a_drawn_key_is_one_that_no_row_has() -> None:
    database = parties()
    database.insert("party", {"id": "2", "name": "given"})

    drawn = [database.insert("party", {"name": "drawn"})[0][2] for _ in range(2)]

    assert [row[0] for row in drawn if row is not None] == ["1", "3"]


def test_a_snapshot_shows_the_rows_of_its_moment() -> None:
    database = whole()
    snapshot = MemorySnapshot(database)

    database.update("party", "1", {"name": "later"})

    assert list(snapshot.table(PARTY)) == [("1", "Anna", "t", "2001", "49", None)]
    assert snapshot.position == database.end


# ---------------------------------------------------------------- insert


def test_a_new_record_gets_keys_and_rows_in_either_direction() -> None:
    database = parties()
    database.insert("country", {"id": "49", "iso": "DE"})

    outcome = apply(database, insert("c1", {NAME: "Anna", VAT: "A", CITY: "Ulm", STREET: None, COUNTRY: "DE"}))

    assert only(outcome) == RowResult("customer", "c1", "created", {PARENT: None}, made="1")
    assert rows(database, PARTY) == [("1", "Anna", "t", "2001", "49", None)]
    assert rows(database, CODE) == [("1001", "1", "vat", "A", "1")]
    assert rows(database, ADDRESS) == [("2001", "Ulm", None)]
    assert rows(database, GROUP) == [("1", "7")]
    assert database.log[-1].own
    assert [change[:2] for change in database.log[-1].changes] == [
        (PARTY, INSERT), (CODE, INSERT), (ADDRESS, INSERT), (GROUP, INSERT),
    ]  # fmt: skip


def test_a_part_without_a_value_is_not_made_but_a_member_is() -> None:
    database = parties()

    outcome = apply(database, insert("c1", {NAME: "Anna", VAT: None, CITY: None, STREET: UNSET, PARENT: None}))

    assert only(outcome).made == "1"
    assert only(outcome).stored == {STREET: None, COUNTRY: None}, "what nobody has set is told"
    assert rows(database, PARTY) == [("1", "Anna", "t", None, None, None)]
    assert (rows(database, CODE), rows(database, ADDRESS)) == ([], [])
    assert rows(database, GROUP) == [("1", "7")]


def test_what_a_trigger_makes_of_a_value_is_told_as_stored() -> None:
    database = parties()
    database.trigger = lambda table, row: [v.upper() if v == "Ulm" else v for v in row]  # type: ignore[union-attr]

    outcome = apply(database, insert("c1", {f: "x" if f == NAME else None for f in range(6)} | {CITY: "Ulm"}))

    assert only(outcome).stored == {CITY: "ULM"}


def test_a_record_that_a_constraint_refuses_leaves_nothing() -> None:
    database = parties()
    database.constraint = lambda table, row: "no A" if table == "party_code" and row[3] == "A" else ""

    refused, made = apply(
        database, insert("c1", {NAME: "Anna", VAT: "A"}), insert("c2", {NAME: "Bert", VAT: "B"})
    ).exceptions

    assert refused == RowResult("customer", "c1", "failed", reason="constraint `no A`")
    assert made.kind == "created"
    assert [row[1] for row in rows(database, PARTY)] == ["Bert"]
    assert len(database.log[-1].changes) == 3


@pytest.mark.parametrize(
    ("expression", "text"), [("'it''s'", "it's"), ("12", "12"), ("-1.5", "-1.5"), ("TRUE", "t"), ("NULL", None)]
)
def test_a_new_row_gets_constants(expression: str, text: Text) -> None:
    parts = (replace(PARTY_ASSEMBLY.parts[0], create=(("active", expression),)), *PARTY_ASSEMBLY.parts[1:])
    database = parties(parts=parts)

    apply(database, insert("c1", {NAME: "Anna"}))

    assert rows(database, PARTY)[0][2] == text


def test_an_expression_that_is_no_constant_is_a_fault() -> None:
    parts = (replace(PARTY_ASSEMBLY.parts[0], create=(("active", "now()"),)), *PARTY_ASSEMBLY.parts[1:])

    with pytest.raises(EngineFault, match=r"now\(\)"):
        apply(parties(parts=parts), insert("c1", {NAME: "Anna"}))


# ---------------------------------------------------------------- several hops

SHOP, PLACE, PLACE_TEXT = range(3)
SHOP_ASSEMBLY = Assembly(
    parts=(
        Part("root", SHOP, fields=((0, 1),)),
        Part(
            "link", PLACE, joins=(Join(0, 0, 0),), where=In(2, ("main",)), constants=((2, "main"),),
            first_by=(Order(3, "integer", descending=True),),
        ),
        Part("place", PLACE_TEXT, fields=((1, 1),), joins=(Join(0, 1, 1),)),
    )
)  # fmt: skip


def shops() -> MemorySystem:
    """Shops, each with places (by a table between), the main one being the last by rank."""
    tables = (
        Table("public", "shop", ("id", "name"), (0,)),
        Table("public", "shop_place", ("shop", "place", "kind", "rank"), (0, 1)),
        Table("public", "place", ("id", "city"), (0,)),
    )
    return MemorySystem("erp", book(tables, SHOP_ASSEMBLY, ("name", "city"), None))


def test_a_part_two_tables_away_is_made_with_what_lies_between() -> None:
    database = shops()

    apply(database, insert("c1", {0: "Shop", 1: "Ulm"}), insert("c2", {0: "None", 1: None}))

    assert rows(database, SHOP) == [("1", "Shop"), ("2", "None")]
    assert rows(database, PLACE) == [("1", "2001", "main", None)]
    assert rows(database, PLACE_TEXT) == [("2001", "Ulm")]


def test_a_missing_part_two_tables_away_is_made_by_an_update() -> None:
    database = shops()
    database.insert(SHOP, {"name": "Shop"})
    database.insert(PLACE, {"shop": "1", "place": "5", "kind": "other"})
    database.insert(PLACE_TEXT, {"id": "5", "city": "Bonn"})

    outcome = apply(database, update("c1", "1", {1: "Ulm"}, {1: None}))

    assert outcome.exceptions == []
    assert rows(database, PLACE) == [("1", "2001", "main", None), ("1", "5", "other", None)]
    assert rows(database, PLACE_TEXT) == [("2001", "Ulm"), ("5", "Bonn")]


def test_a_row_between_that_leads_nowhere_is_led_to_the_new_one() -> None:
    database = shops()
    database.insert(SHOP, {"name": "Shop"})
    database.insert(PLACE, {"shop": "1", "place": "99", "kind": "main"})

    apply(database, update("c1", "1", {1: "Ulm"}, {1: None}))

    assert rows(database, PLACE) == [("1", "2001", "main", None)]
    assert rows(database, PLACE_TEXT) == [("2001", "Ulm")]


def test_of_several_rows_the_first_counts_with_null_last_and_numbers_as_numbers() -> None:
    database = shops()
    database.insert(SHOP, {"name": "Shop"})
    for place, rank in (("10", "9"), ("9", "10"), ("8", "10"), ("7", None)):
        database.insert(PLACE, {"shop": "1", "place": place, "kind": "main", "rank": rank})
        database.insert(PLACE_TEXT, {"id": place, "city": f"city {place}"})

    (answer,) = MemoryTarget(database).reread("customer", ["1"])

    assert answer.parts == (("1", "Shop"), ("1", "8", "main", "10"), ("8", "city 8"))
    assert apply(database, update("c1", "1", {1: "Ulm"}, {1: "city 8"})).exceptions == []
    assert ("8", "Ulm") in rows(database, PLACE_TEXT)
