"""Merging full systems again: what was known of their keys still holds, also where no identity tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.memory import MemorySnapshot, MemorySystem
from adapters.store import SqlStore
from engine.first_merge import first_merge
from engine.record import Record, decode
from engine.rulebook import RuleBook
from tests.unit.crossed_desk import book_of

PEOPLE = """\
  person:
    identity: [email]
    conflict: last_writer
    bind: {erp: {table: staff, key: id}, crm: {table: users, key: id}}
    fields: {email: email, name: name}
"""


@pytest.fixture
def book(tmp_path: Path) -> RuleBook:
    """One table on each side, under keys of their own."""
    return book_of(tmp_path, PEOPLE)


@pytest.fixture
def systems(book: RuleBook) -> dict[str, MemorySystem]:
    """The ERP's keys begin at 1, the CRM's at 101."""
    return {"erp": MemorySystem("erp", book, first_key=1), "crm": MemorySystem("crm", book, first_key=101)}


def merge(book: RuleBook, systems: dict[str, MemorySystem], folder: Path) -> dict[str, Record]:
    """Merges, forgetting what was agreed before; all records by id."""
    store = SqlStore.open(f"sqlite:///{folder}/s.db", name="t")
    store.forget_base()
    first_merge(book, {name: MemorySnapshot(system) for name, system in systems.items()}, store)
    records = {id: decode(state) for id, state in store.scan("person")}
    store.close()
    return records


def test_records_without_identity_are_paired_as_they_were(
    book: RuleBook, systems: dict[str, MemorySystem], tmp_path: Path
) -> None:
    systems["erp"].insert("staff", {"email": "a@x", "name": "Ann"})
    systems["crm"].insert("users", {"email": "a@x", "name": "Ann"})
    [(id, record)] = merge(book, systems, tmp_path).items()
    assert record.keys == {"erp": "1", "crm": "101"}

    systems["erp"].update("staff", "1", {"email": None})
    systems["crm"].update("users", "101", {"email": None})
    again = merge(book, systems, tmp_path)

    assert {name: record.keys for name, record in again.items()} == {id: {"erp": "1", "crm": "101"}}


def test_a_row_that_came_meanwhile_does_not_take_a_known_records_id(
    book: RuleBook, systems: dict[str, MemorySystem], tmp_path: Path
) -> None:
    systems["erp"].insert("staff", {"email": "a@x", "name": "Ann"})
    systems["crm"].insert("users", {"email": "a@x", "name": "Ann"})
    [id] = merge(book, systems, tmp_path)
    place, key = id.split(":")
    table = {"erp": "staff", "crm": "users"}[place]

    systems[place].delete(table, key)
    systems[place].insert(table, {"id": key, "email": "b@x", "name": "Bo"})  # another person under the old key
    again = merge(book, systems, tmp_path)

    assert [record.keys for record in again.values()] == [{"erp": "1", "crm": "101"}]


SOFT = PEOPLE.replace("{table: staff, key: id}", "{table: staff, key: id, deactivate: {active: \"false\"}}")


@pytest.fixture
def soft(tmp_path: Path) -> tuple[RuleBook, dict[str, MemorySystem]]:
    """An ERP that says by a column that somebody has left."""
    book = book_of(tmp_path, SOFT)
    return book, {"erp": MemorySystem("erp", book, first_key=1), "crm": MemorySystem("crm", book, first_key=101)}


def test_a_row_that_is_deactivated_is_the_record_that_lives_elsewhere(
    soft: tuple[RuleBook, dict[str, MemorySystem]], tmp_path: Path
) -> None:
    """Found by a newcomer: such a customer was made a second time beside his archived row."""
    book, systems = soft
    systems["erp"].insert("staff", {"email": "a@x", "name": "Ann", "active": "f"})
    systems["crm"].insert("users", {"email": "a@x", "name": "Ann of the CRM"})

    [record] = merge(book, systems, tmp_path).values()

    assert record.alive and record.keys == {"erp": "1", "crm": "101"}
    side = record.sides["erp"]
    assert side.due and side.held == {0: (None, (False,))}, "its row is brought back, not made anew"


def test_a_row_that_is_deactivated_does_not_come_before_one_that_lives(
    soft: tuple[RuleBook, dict[str, MemorySystem]], tmp_path: Path
) -> None:
    book, systems = soft
    systems["erp"].insert("staff", {"email": "a@x", "name": "Ann", "active": "f"})
    systems["erp"].insert("staff", {"email": "a@x", "name": "Ann", "active": "t"})
    systems["crm"].insert("users", {"email": "a@x", "name": "Ann"})

    records = merge(book, systems, tmp_path)

    assert sorted((record.alive, record.keys) for record in records.values()) == [
        (False, {"erp": "1"}), (True, {"erp": "2", "crm": "101"})
    ]  # fmt: skip
    assert not any(record.holds or any(side.due for side in record.sides.values()) for record in records.values())


def test_a_record_that_is_deactivated_everywhere_is_known_and_made_nowhere(
    soft: tuple[RuleBook, dict[str, MemorySystem]], tmp_path: Path
) -> None:
    book, systems = soft
    systems["erp"].insert("staff", {"email": "a@x", "name": "Ann", "active": "f"})
    again: dict[str, Record] = {}
    for _ in range(2):  # also when all systems are merged again
        again = merge(book, systems, tmp_path)
        assert [(record.alive, record.keys, record.sides) for record in again.values()] == [(False, {"erp": "1"}, {})]

