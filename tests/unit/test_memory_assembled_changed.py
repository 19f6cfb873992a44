"""Records of several tables in memory, changed: updated and deleted whole or not at all, whatever stands in the way.

Another value than the one held, a lock and a lost connection each leave every row as it was.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.memory import MemoryTarget
from engine.errors import SystemUnavailable
from engine.rulebook import Clearing, Part
from engine.vocabulary import UPDATE, Batch, KeyOf, RowResult, Text
from tests.unit.assembled_memory import (
    ADDRESS,
    CITY,
    CODE,
    COUNTRY,
    GROUP,
    NAME,
    PARENT,
    PARTY,
    PARTY_ASSEMBLY,
    STREET,
    VAT,
    apply,
    delete,
    insert,
    only,
    parties,
    rows,
    update,
    whole,
)


def cleared(clear: Clearing) -> tuple[Part, ...]:
    """The parts of a party, its address being cleared in this way."""
    parts = list(PARTY_ASSEMBLY.parts)
    parts[2] = replace(parts[2], clear=clear)
    return tuple(parts)


# ---------------------------------------------------------------- update


def test_an_update_is_guarded_across_all_parts_and_written_whole_or_not_at_all() -> None:
    database = whole()
    before = [rows(database, table) for table in range(5)]

    refused = apply(database, update("c1", "1", {NAME: "Eva", CITY: "Bonn"}, {NAME: "Anna", CITY: "Berlin"}))

    assert only(refused) == RowResult("customer", "c1", "unmatched")
    assert [rows(database, table) for table in range(5)] == before
    assert database.log[-1].changes == []

    written = apply(database, update("c1", "1", {NAME: "Eva", CITY: "Bonn"}, {NAME: "Anna", CITY: "Ulm"}))

    assert written.exceptions == []
    assert (rows(database, PARTY)[0][1], rows(database, ADDRESS)) == ("Eva", [("2001", "Bonn", "Gasse")])
    assert [change[:2] for change in database.log[-1].changes] == [(PARTY, UPDATE), (ADDRESS, UPDATE)]


def test_a_missing_row_holds_nulls_and_is_made_when_it_gets_a_value() -> None:
    database = parties(members=())
    database.insert("party", {"name": "Anna"})
    database.insert("party_code", {"party": "1", "kind": "other", "code": "A"})

    outcome = apply(
        database, update("c1", "1", {VAT: "B", CITY: "Ulm", STREET: None}, {VAT: None, CITY: None, STREET: None})
    )

    assert outcome.exceptions == []
    assert rows(database, CODE) == [("1001", "1", "other", "A", None), ("1002", "1", "vat", "B", "1")]
    assert rows(database, ADDRESS) == [("2001", "Ulm", None)]
    assert rows(database, PARTY) == [("1", "Anna", None, "2001", None, None)]


def test_a_missing_row_is_not_made_of_nulls() -> None:
    database = parties(members=())
    database.insert("party", {"name": "Anna"})

    apply(database, update("c1", "1", {CITY: None, NAME: "Eva"}, {CITY: None, NAME: "Anna"}))

    assert rows(database, ADDRESS) == []
    assert rows(database, PARTY)[0][3] is None


@pytest.mark.parametrize(
    ("clear", "pointer", "addresses"),
    [("keep", "2001", [("2001", None, None)]), ("delete", "2001", []), ("unlink", None, [("2001", None, None)])],
)
def test_a_part_without_any_value_is_cleared(
    clear: Clearing, pointer: Text, addresses: list[tuple[Text, ...]]
) -> None:
    database = parties(parts=cleared(clear), members=())
    database.insert("address", {"city": "Ulm", "street": "Gasse"})
    database.insert("party", {"name": "Anna", "address_id": "2001"})

    apply(database, update("c1", "1", {CITY: None}, {CITY: "Ulm"}))
    assert rows(database, ADDRESS) == [("2001", None, "Gasse")], "the street has a value yet"
    outcome = apply(database, update("c1", "1", {STREET: None}, {STREET: "Gasse"}))

    assert outcome.exceptions == []
    assert rows(database, ADDRESS) == addresses
    assert rows(database, PARTY)[0][3] == pointer


def test_a_root_row_that_is_no_record_matches_no_update_and_no_deletion() -> None:
    database = whole()
    database.delete("party_group", "1\x1f7")

    outcome = apply(
        database, update("c1", "1", {NAME: "Eva"}, {NAME: "Anna"}), delete("c1", "1", {NAME: "Anna"}),
        update("c2", "99", {NAME: "Eva"}, {NAME: "Anna"}),
    )  # fmt: skip

    assert [result.kind for result in outcome.exceptions] == ["unmatched"] * 3
    assert rows(database, PARTY)[0][1] == "Anna"


# ---------------------------------------------------------------- delete, and create again


def test_a_record_is_deleted_with_the_rows_of_its_parts() -> None:
    database = whole()
    database.insert("party_code", {"party": "1", "kind": "other", "code": "B"})

    outcome = apply(database, delete("c1", "1", {NAME: "Anna", VAT: "A", CITY: "Ulm", COUNTRY: "DE"}))

    assert outcome.exceptions == []
    assert [len(database.stored[table]) for table in range(5)] == [0, 1, 0, 0, 1]
    assert rows(database, CODE)[0][3] == "B", "a row that does not count stays"


def test_the_row_of_a_part_that_is_not_to_be_removed_stays() -> None:
    parts = list(PARTY_ASSEMBLY.parts)
    parts[2] = replace(parts[2], remove=False)
    database = parties(parts=tuple(parts))
    apply(database, insert("c1", {NAME: "Anna", CITY: "Ulm"}))

    apply(database, delete("c1", "1", {NAME: "Anna"}))

    assert rows(database, PARTY) == []
    assert rows(database, ADDRESS) == [("2001", "Ulm", None)]


def test_membership_alone_is_taken_away_and_given_back() -> None:
    database = parties(removal="membership")
    apply(database, insert("c1", {NAME: "Anna", VAT: "A"}))

    assert apply(database, delete("c1", "1", {NAME: "Anna", VAT: "A"})).exceptions == []
    assert (rows(database, GROUP), len(rows(database, PARTY))) == ([], 1)

    again = apply(database, insert("c1", {NAME: "Eva", VAT: None, CITY: "Ulm"}, key=("1",)))

    assert (only(again).kind, only(again).made) == ("created", "1")
    assert rows(database, GROUP) == [("1", "7")]
    assert rows(database, PARTY) == [("1", "Eva", "t", "2001", None, None)]
    assert [row[3] for row in rows(database, CODE)] == [None]


@pytest.mark.parametrize("key", ["1", "2"])
def test_a_record_that_is_there_or_whose_root_row_is_not_is_not_created_under_a_given_key(key: str) -> None:
    database = parties()
    apply(database, insert("c1", {NAME: "Anna"}))

    outcome = apply(database, insert("c1", {NAME: "Eva"}, key=(key,)))

    assert only(outcome).kind == "unmatched"
    assert [row[1] for row in rows(database, PARTY)] == ["Anna"]


def test_columns_say_that_a_record_is_gone_and_is_back() -> None:
    database = parties(removal="columns", gone=((2, "f"),), back=((2, "t"),), members=())
    apply(database, insert("c1", {NAME: "Anna"}))

    assert apply(database, delete("c1", "1", {NAME: "Anna"})).exceptions == []
    assert rows(database, PARTY)[0][2] == "f"
    assert only(apply(database, update("c1", "1", {NAME: "Eva"}, {NAME: "Anna"}))).kind == "unmatched"

    assert only(apply(database, insert("c1", {NAME: "Eva"}, key=("1",)))).kind == "created"
    assert rows(database, PARTY) == [("1", "Eva", "t", None, None, None)]


# ---------------------------------------------------------------- locks, lost connections, reading again


@pytest.mark.parametrize("locked", [("party", "1"), ("address", "2001"), ("party_group", "1\x1f7")])
def test_a_locked_row_of_any_part_defers_its_whole_step(locked: tuple[str, str]) -> None:
    database = whole()
    database.locked.add(locked)

    outcome = apply(
        database,
        insert("c2", {NAME: "Bert"}, step=1),
        insert("c3", {NAME: "Cleo", PARENT: KeyOf("customer", "c2")}, step=2),
        update("c1", "1", {NAME: "Eva"}, {NAME: "Anna"}, step=1),
    )

    assert [(result.key, result.kind) for result in outcome.exceptions] == [
        ("c2", "deferred"), ("c3", "failed"), ("c1", "deferred"),
    ]  # fmt: skip
    assert [row[1] for row in rows(database, PARTY)] == ["Anna"]


def test_a_lost_connection_leaves_nothing_of_the_batch() -> None:
    database = whole()
    target = MemoryTarget(database)
    before = [rows(database, table) for table in range(5)]

    def lost() -> None:
        raise SystemUnavailable("the connection broke", system="erp")

    target.between = lost
    with pytest.raises(SystemUnavailable):
        target.apply(Batch("erp", 1, [insert("c2", {NAME: "Bert", CITY: "Bonn", COUNTRY: "DE"})], 1, 0))

    assert [rows(database, table) for table in range(5)] == before
    assert target.committed(0) == []


def test_reading_again_gives_the_rows_that_count_unless_a_user_has_locked_one() -> None:
    database = whole()
    database.insert("party", {"name": "Bert"})
    target = MemoryTarget(database)

    first, second, third = target.reread("customer", ["1", "2", "99"])

    assert (first.key, first.row, first.position) == ("1", None, database.end)
    assert first.parts == (
        ("1", "Anna", "t", "2001", "49", None), ("1001", "1", "vat", "A", "2"), ("2001", "Ulm", "Gasse"), ("1", "7"),
    )  # fmt: skip
    assert second.parts == (("2", "Bert", None, None, None, None), None, None, None)
    assert third.parts is None
    database.locked.add(("party_code", "1001"))
    assert [answer.key for answer in target.reread("customer", ["1", "2"])] == ["2"]
