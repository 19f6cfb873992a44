"""Records of several tables in memory, and what stands in a row for something else: codes, empty texts, keys.

A key may be that of a record which the same batch makes, or a field of the record itself.
"""

from __future__ import annotations

from adapters.memory import MemorySystem
from engine.rulebook import Assembly, Join, Lookup, Part, Table
from engine.vocabulary import INSERT, MISSING_CODE, MISSING_PARENT, KeyOf, RowResult, Write, WriteKind
from tests.unit.assembled_memory import (
    ADDRESS,
    CITY,
    COUNTRIES,
    COUNTRY,
    GROUP,
    NAME,
    PARENT,
    PARTY,
    STREET,
    apply,
    book,
    delete,
    insert,
    only,
    parties,
    rows,
    update,
    whole,
)


def merged(kind: WriteKind, *writes: Write) -> Write:
    """Several rows in one statement."""
    return Write(kind, writes[0].entity, writes[0].columns, [row for write in writes for row in write.rows])


# ---------------------------------------------------------------- codes and empty texts


def test_a_code_is_looked_up_both_ways() -> None:
    database = whole()
    database.insert("country", {"id": "33", "iso": "FR"})

    outcome = apply(database, update("c1", "1", {COUNTRY: "FR"}, {COUNTRY: "DE"}))

    assert outcome.exceptions == []
    assert rows(database, PARTY)[0][4] == "33"


def test_a_held_code_that_means_something_else_or_nothing_does_not_match() -> None:
    database = whole()
    assert only(apply(database, update("c1", "1", {COUNTRY: None}, {COUNTRY: "FR"}))).kind == "unmatched"

    database.update("party", "1", {"country_id": "77"})

    assert only(apply(database, update("c1", "1", {COUNTRY: None}, {COUNTRY: "77"}))).kind == "unmatched"


def test_a_missing_code_fails_the_row_alone() -> None:
    database = whole()

    outcome = apply(database, update("c1", "1", {NAME: "Eva", COUNTRY: "XX"}, {NAME: "Anna", COUNTRY: "DE"}))

    assert only(outcome) == RowResult("customer", "c1", "failed", reason=f"`country`: {MISSING_CODE} `public.country`")
    assert rows(database, PARTY)[0][1] == "Anna"


def test_a_missing_code_is_added_where_the_rules_say_so() -> None:
    database = parties(lookups={COUNTRY: Lookup(COUNTRIES, missing="insert")})

    apply(database, insert("c1", {NAME: "Anna", COUNTRY: "DE"}), insert("c2", {NAME: "Bert", COUNTRY: "DE"}))

    assert rows(database, COUNTRIES) == [("4001", "DE")]
    assert [row[4] for row in rows(database, PARTY)] == ["4001", "4001"]
    assert database.log[-1].changes[0] == (COUNTRIES, INSERT, ("4001", "DE"), None)


def test_a_code_added_for_a_record_that_is_refused_is_not_added() -> None:
    database = parties(lookups={COUNTRY: Lookup(COUNTRIES, missing="insert")})
    database.constraint = lambda table, row: "no" if table == "party" else ""

    apply(database, insert("c1", {NAME: "Anna", COUNTRY: "DE"}))

    assert rows(database, COUNTRIES) == []
    assert database.log[-1].changes == []


def test_null_is_an_empty_text_where_the_rules_say_so() -> None:
    database = parties(empty=frozenset({NAME, CITY}), members=())

    apply(database, insert("c1", {NAME: None, CITY: None, STREET: "Gasse"}))
    assert (rows(database, PARTY)[0][1], rows(database, ADDRESS)[0][1]) == ("", "")

    assert apply(database, update("c1", "1", {NAME: "Anna"}, {NAME: None})).exceptions == []
    assert apply(database, update("c1", "1", {NAME: None}, {NAME: "Anna"})).exceptions == []
    assert rows(database, PARTY)[0][1] == ""


# ---------------------------------------------------------------- keys of records that the same batch makes


def test_records_of_a_batch_may_refer_to_each_other_in_a_circle() -> None:
    database = parties(foreign_keys=True)

    outcome = apply(
        database,
        merged(
            "insert",
            insert("c1", {NAME: "Anna", PARENT: KeyOf("customer", "c2")}),
            insert("c2", {NAME: "Bert", PARENT: KeyOf("customer", "c1")}),
            insert("c3", {NAME: "Cleo", PARENT: KeyOf("customer", "c3")}),
        ),
    )

    assert [(result.key, result.made) for result in outcome.exceptions] == [("c1", "1"), ("c2", "2"), ("c3", "3")]
    assert [(row[1], row[5]) for row in rows(database, PARTY)] == [("Anna", "2"), ("Bert", "1"), ("Cleo", "3")]


def test_an_update_may_refer_to_a_record_that_the_batch_makes() -> None:
    database = parties(members=())
    database.insert("party", {"name": "Anna"})

    apply(database, insert("c2", {NAME: "Bert"}), update("c1", "1", {PARENT: KeyOf("customer", "c2")}, {PARENT: None}))

    assert rows(database, PARTY)[0][5] == "2"


def test_whoever_refers_to_a_record_that_is_not_there_fails_and_so_do_those_that_refer_to_it() -> None:
    database = parties()
    database.constraint = lambda table, row: "no Cleo" if table == "party" and row[1] == "Cleo" else ""

    outcome = apply(
        database,
        merged(
            "insert",
            insert("c1", {NAME: "Anna", PARENT: KeyOf("customer", "c2")}),
            insert("c2", {NAME: "Bert", PARENT: KeyOf("customer", "c3")}),
            insert("c3", {NAME: "Cleo", PARENT: None}),
            insert("c4", {NAME: "Dora", PARENT: KeyOf("customer", "never heard of")}),
            insert("c5", {NAME: "Emil", PARENT: None}),
        ),
    )

    assert [(result.key, result.kind, result.reason) for result in outcome.exceptions] == [
        ("c1", "failed", MISSING_PARENT),
        ("c2", "failed", MISSING_PARENT),
        ("c3", "failed", "constraint `no Cleo`"),
        ("c4", "failed", MISSING_PARENT),
        ("c5", "created", ""),
    ]
    assert [row[1] for row in rows(database, PARTY)] == ["Emil"]
    assert len(rows(database, GROUP)) == 1


def test_a_foreign_key_is_looked_at_when_all_is_written() -> None:
    database = parties(foreign_keys=True, members=())
    for name, parent in (("Anna", None), ("Bert", "1"), ("Cleo", "2")):
        database.insert("party", {"name": name, "parent_id": parent})

    refused = apply(database, delete("c1", "1", {NAME: "Anna"}))
    written = apply(database, merged("delete", delete("c2", "2", {PARENT: "1"}), delete("c3", "3", {PARENT: "2"})))

    assert only(refused) == RowResult("customer", "c1", "failed", reason="constraint `foreign key`")
    assert written.exceptions == []
    assert [row[1] for row in rows(database, PARTY)] == ["Anna"]


def test_a_key_of_nobody_is_refused_by_a_foreign_key() -> None:
    database = parties(foreign_keys=True)

    outcome = apply(database, insert("c1", {NAME: "Anna", PARENT: "77"}), insert("c2", {NAME: "Bert", PARENT: None}))

    assert [(result.kind, result.reason) for result in outcome.exceptions] == [
        ("failed", "constraint `foreign key`"), ("created", ""),
    ]  # fmt: skip


# ---------------------------------------------------------------- keys that are fields


def coded() -> MemorySystem:
    """A system that keeps records under the field `name`, with a part."""
    tables = (Table("public", "item", ("code", "city"), (0,)), Table("public", "note", ("id", "item", "text"), (0,)))
    assembly = Assembly(
        parts=(Part("root", 0, fields=((0, 0), (1, 1))), Part("note", 1, fields=((2, 2),), joins=(Join(1, 0, 0),))),
        key_fields=(0,),
    )
    return MemorySystem("erp", book(tables, assembly, ("code", "city", "text"), None))


def test_a_key_that_is_a_field_is_not_drawn() -> None:
    database = coded()

    outcome = apply(database, insert("c1", {0: "x", 1: "Ulm", 2: "hello"}), insert("c2", {0: None, 1: "Bonn", 2: None}))

    assert [(result.kind, result.made, result.reason) for result in outcome.exceptions] == [
        ("created", "x", ""), ("failed", "", "constraint `not null`"),
    ]  # fmt: skip
    assert (rows(database, 0), rows(database, 1)) == ([("x", "Ulm")], [("1001", "x", "hello")])


def test_a_key_that_a_user_has_taken_is_left_to_him() -> None:
    database = coded()
    database.insert(0, {"code": "x", "city": "user's"})

    outcome = apply(database, insert("c1", {0: "x", 1: "Ulm"}))

    assert only(outcome).kind == "unmatched"
    assert rows(database, 0) == [("x", "user's")]


def test_a_changed_key_takes_the_parts_along() -> None:
    database = coded()
    apply(database, insert("c1", {0: "x", 1: "Ulm", 2: "hello"}), insert("c2", {0: "z"}))

    apply(database, update("c1", "x", {0: "y"}, {0: "x"}))
    taken = apply(database, update("c1", "y", {0: "z"}, {0: "y"}))

    assert rows(database, 0)[0] == ("y", "Ulm")
    assert rows(database, 1) == [("1001", "y", "hello")]
    assert only(taken).reason == "constraint `primary key`"
