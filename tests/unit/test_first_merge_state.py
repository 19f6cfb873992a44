"""Day one where values are stored in other forms, and where the record's state decides.

Rows go into memory systems, the first merge runs on their snapshots, and the record says what came of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.memory import MemorySnapshot, MemoryStore, MemorySystem
from engine.conditions import Holds, holds
from engine.errors import ValueRefused
from engine.first_merge import first_merge
from engine.record import Record, decode
from tests.unit.crossed_desk import book_of

ENTITY = """\
  thing:
    identity: ["no"]
    conflict: last_writer
    order: [crm, erp]
    bind: {erp: {table: t}, crm: {table: t}}
    fields:
      "no": "no"
"""


def merged(folder: Path, fields: str, erp: dict[str, Any] | None, crm: dict[str, Any] | None, more: str = "",
           ) -> tuple[Record, MemoryStore, dict[str, Any]]:  # fmt: skip
    """(the record, the store, its values by field) after a first merge of one row of each system."""
    book = book_of(folder, ENTITY + fields + more)
    systems = {s: MemorySystem(s, book) for s in book.systems}
    for name, row in (("erp", erp), ("crm", crm)):
        if row is not None:
            systems[name].insert("thing", {"no": "1", **row})
    store = MemoryStore()
    first_merge(book, {s: MemorySnapshot(system) for s, system in systems.items()}, store)
    ((_, state),) = store.scan("thing")
    record = decode(state)
    names = [field.name for field in book.entities["thing"].fields]
    return record, store, dict(zip(names, record.values, strict=True))


def due(record: Record) -> set[str]:
    return {system for system, side in record.sides.items() if side.due}


PRICE = "      price: {erp: price, crm: {column: price, round: 2}}\n"


def test_what_a_system_has_rounded_does_not_replace_what_was_rounded(tmp_path: Path) -> None:
    """The CRM comes first in the order, but its 1.24 is only how it would store the ERP's 1.2390."""
    record, store, values = merged(tmp_path, PRICE, {"price": "1.239"}, {"price": "1.24"})
    assert (values["price"], due(record), store.journal) == ("1.239", set(), [])
    record, store, values = merged(tmp_path, PRICE, {"price": "1.239"}, {"price": "1.25"})
    assert (values["price"], due(record), len(store.journal)) == ("1.25", {"erp"}, 1)


def test_capitals_of_one_system_are_no_difference(tmp_path: Path) -> None:
    city = "      city: {erp: city, crm: {column: city, case: upper}}\n"
    record, store, values = merged(tmp_path, city, {"city": "Köln"}, {"city": "KÖLN"})
    assert (values["city"], due(record), store.journal) == ("Köln", set(), [])


def test_what_a_one_way_column_has_need_not_mean_anything(tmp_path: Path) -> None:
    flag = "      flag: {erp: flag, crm: {column: flag, map: {Y: t, N: f}, one_way: true}}\n"
    record, store, values = merged(tmp_path, flag, {"flag": "t"}, {"flag": "perhaps"})
    assert (values["flag"], due(record), store.quarantine) == ("t", {"crm"}, {})


def test_what_a_one_way_column_spells_as_others_do_is_put_right(tmp_path: Path) -> None:
    flag = "      flag: {erp: flag, crm: {column: flag, map: {Y: t, N: f}, one_way: true}}\n"
    record, *_ = merged(tmp_path, flag, {"flag": "t"}, {"flag": "t"})
    assert due(record) == {"crm"}
    record, *_ = merged(tmp_path, flag, {"flag": "t"}, {"flag": "Y"})
    assert due(record) == set()


def test_each_side_keeps_its_spelling_from_day_one(tmp_path: Path) -> None:
    phone = "      phone: {erp: phone, crm: phone, same: digits}\n"
    record, store, _ = merged(tmp_path, phone, {"phone": "030 1"}, {"phone": "(03)01"})
    assert (due(record), store.journal) == (set(), [])


@pytest.mark.parametrize(("stage", "phone"), [("prospect", "2"), ("customer", "1")])
def test_whose_a_field_is_by_state_is_asked_of_the_agreed_state(tmp_path: Path, stage: str, phone: str) -> None:
    fields = """\
      phone: {erp: phone, crm: phone, owner: [{crm: "stage = 'prospect'"}, erp]}
      stage: {erp: stage, crm: stage, owner: erp}
"""
    rows = {"phone": "1", "stage": stage}, {"phone": "2", "stage": "unheard of"}
    _, _, values = merged(tmp_path, fields, *rows)
    assert (values["stage"], values["phone"]) == (stage, phone)


CHECKED = '      credit: {erp: credit, crm: credit, check: "credit >= 0"}\n'


def test_what_would_be_written_against_a_check_waits(tmp_path: Path) -> None:
    record, store, _ = merged(tmp_path, CHECKED, {"credit": "5"}, {"credit": "-1"})
    assert list(record.holds.values()) == ["check: credit >= 0"]
    assert list(store.holds) == [("thing", "1", 1)]
    record, *_ = merged(tmp_path, CHECKED, {"credit": "-1"}, {"credit": "-1"})
    assert record.holds == {}  # all have it already


def test_a_record_that_breaks_a_check_is_made_nowhere_on_day_one(tmp_path: Path) -> None:
    record, *_ = merged(tmp_path, CHECKED, {"credit": "-1"}, None)
    assert record.holds == {0: "check: credit >= 0"}


def test_a_derived_field_is_worked_out_on_day_one(tmp_path: Path) -> None:
    fields = '      name: name\n      short: {crm: short, derive: "upper(name)"}\n'
    record, _, values = merged(tmp_path, fields, {"name": "ab"}, {"name": "ab", "short": "AB"})
    assert (values["short"], due(record)) == ("AB", set())
    record, _, values = merged(tmp_path, fields, {"name": "ab"}, {"name": "ab", "short": "x"})
    assert (values["short"], due(record)) == ("AB", {"crm"})


NAMES = """\
      first: {erp: first}
      last: {erp: last}
      whole: {crm: whole, join: {of: [first, last], split: last}}
"""


def test_a_whole_that_its_parts_make_is_no_difference_however_it_would_be_split(tmp_path: Path) -> None:
    record, store, values = merged(tmp_path, NAMES, {"first": "Jan", "last": "van Berg"}, {"whole": "Jan van Berg"})
    assert (values["first"], values["last"], due(record)) == ("Jan", "van Berg", set())
    assert store.journal == []


def test_a_whole_that_differs_is_decided_with_its_parts(tmp_path: Path) -> None:
    record, _, values = merged(tmp_path, NAMES, {"first": "Jan", "last": "Berg"}, {"whole": "Jan Meer"})
    assert (values["first"], values["last"], due(record)) == ("Jan", "Meer", {"erp"})


def test_a_filter_that_cannot_be_worked_out_does_not_hold() -> None:
    """A number beyond all bounds in one row is no reason for the engine to stop."""

    def beyond(row: object) -> bool:
        raise ValueRefused("a number has more than 1,000 digits")

    assert holds(Holds(frozenset({0}), beyond, ()), ("1",)) is False


def test_lists_are_united_on_day_one(tmp_path: Path) -> None:
    tags = "      tags: {erp: {column: tags, list: \",\"}, crm: {column: tags, list: \";\"}, conflict: union}\n"
    record, _, values = merged(tmp_path, tags, {"tags": "a,b"}, {"tags": "b;c"})
    assert (values["tags"], due(record)) == ("{a,b,c}", {"erp", "crm"})
