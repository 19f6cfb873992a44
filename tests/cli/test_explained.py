"""What `explain` says of a record, and that it fits the terminal: on records made by hand, without any database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from adapters.store import JournalRow
from engine.merge import EntityRules, empty_record, rules_of
from engine.record import DEFERRED, Mark, Record, encode
from engine.rulebook import EXISTENCE
from engine.vocabulary import JournalEntry, Version
from rules import compile_book, load
from service.commands.explained import IN_STEP, Known, explained, lines
from service.commands.settled import settled
from tests.cli.desk import SHOP

FIRST = Version(1, "erp", 0, 100, "first merge")
LATER = Version(7, "crm", 1_700_000_000_123_456, 400)
PRINTED = {"erp": "E{}".format, "crm": "C{}".format}


@pytest.fixture
def rules(tmp_path: Path) -> EntityRules:
    """The shop's customer: name, city, stage, limit (the ERP's), terms (left to a person)."""
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP, encoding="utf-8")
    loaded = load(path, {"ERP_URL": "postgresql://d@erp/erp", "CRM_URL": "postgresql://d@crm/crm"})
    assert loaded.rules is not None, loaded.problems
    book, _ = compile_book(loaded.rules, None)
    return rules_of(book)["customer"]


@pytest.fixture
def record(rules: EntityRules) -> Record:
    """Customer C1 as the first merge left it, in step everywhere."""
    record = empty_record(rules)
    record.alive = True
    record.values = ("C1", "Ada", "Wien", "active", "10.00", "N30")
    record.accept([EXISTENCE, *rules.all_registers], FIRST)
    return record


def register(rules: EntityRules, field: str) -> int:
    """The register that a field is decided in."""
    return next(f.register for f in rules.entity.fields if f.name == field)


DECIDING = """\
duolog: 1
systems: {erp: {adapter: postgresql, url: "${ERP_URL}"}, crm: {adapter: postgresql, url: "${CRM_URL}"}}
entities:
  customer:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: customer}, crm: {table: account}}
    fields:
      no: no
      stage: stage
      phone: {erp: phone, crm: phone, owner: [{crm: "stage = 'prospect'"}, erp]}
      name: {erp: name, crm: name, conflict: {expression: length(name)}, check: "name <> ''"}
      label: {crm: label, derive: "name || stage"}
"""


def document(
    rules: EntityRules, record: Record, applied: dict[str, int] | None = None, journal: Sequence[JournalRow] = ()
) -> dict[str, Any]:
    """What `explain --json` prints of a record, if the targets have confirmed these steps."""
    marks = {system: Mark() for system in rules.layouts}
    for system, number in (applied or {}).items():
        marks[system].applied = marks[system].dispatched = number
    settled_record = settled(encode(record), rules, marks)
    return explained(rules, "C1", settled_record, Known(PRINTED, journal))


def field(found: dict[str, Any], name: str) -> dict[str, Any]:
    """One field of the document."""
    return next(f for f in found["fields"] if f["field"] == name)


def change_city(rules: EntityRules, record: Record) -> None:
    """The CRM's user moved the customer in step 7; the ERP still has the old city."""
    city = register(rules, "city")
    record.side("erp").held[city] = (FIRST, ("Wien",))
    record.side("erp").due = 7
    record.values = ("C1", "Ada", "Graz", "active", "10.00", "N30")
    record.accept([city], LATER)


def test_a_write_that_was_confirmed_is_not_said_to_be_due(rules: EntityRules, record: Record) -> None:
    change_city(rules, record)

    found = document(rules, record, {"erp": 7, "crm": 7})

    assert found["systems"] == {"erp": IN_STEP, "crm": IN_STEP}
    assert field(found, "city")["systems"]["erp"] == {"value": "Graz", "state": IN_STEP}


def test_a_write_that_was_not_confirmed_is_due_for_the_fields_that_it_concerns(
    rules: EntityRules, record: Record
) -> None:
    change_city(rules, record)

    found = document(rules, record, {"erp": 6, "crm": 7})

    assert found["systems"] == {"erp": "a write is due", "crm": IN_STEP}
    assert field(found, "city")["systems"]["erp"] == {"value": "Wien", "state": "a write is due"}
    assert field(found, "name")["systems"]["erp"] == {"value": "Ada", "state": IN_STEP}


def test_a_batch_under_way_counts_once_it_was_confirmed(rules: EntityRules, record: Record) -> None:
    change_city(rules, record)
    side = record.side("erp")
    side.sent, side.sent_due, side.due = {}, 7, 0

    assert document(rules, record, {"erp": 7})["systems"]["erp"] == IN_STEP


def test_a_row_that_a_user_has_locked_is_said_to_wait(rules: EntityRules, record: Record) -> None:
    change_city(rules, record)
    record.side("erp").due, record.side("erp").wait = 0, DEFERRED

    found = document(rules, record, {"erp": 7})

    assert found["systems"]["erp"] == "a write waits: a user has locked the row"
    assert field(found, "city")["systems"]["erp"]["state"] == "a write waits"


def test_a_value_that_its_system_stores_in_its_own_way_is_in_step_and_shown(
    rules: EntityRules, record: Record
) -> None:
    record.side("crm").held[register(rules, "name")] = (FIRST, ("ADA",))

    found = document(rules, record)

    assert field(found, "name")["systems"]["crm"] == {"value": "ADA", "state": "in step, stored in its own way"}
    assert "crm holds `ADA`: in step, stored in its own way" in text(found, 80)


def test_a_held_field_shows_what_each_system_keeps(rules: EntityRules, record: Record) -> None:
    terms = register(rules, "terms")
    record.side("crm").held[terms] = (LATER, ("N60",))
    record.holds[terms] = "hold: crm and erp wrote it without having seen each other"

    found = document(rules, record)
    shown = text(found, 80)

    assert found["systems"] == {"erp": IN_STEP, "crm": "left to a person: it keeps its own value"}
    assert "left to a person: hold: crm and erp wrote it" in shown
    assert "erp keeps `N30`" in shown
    assert "crm keeps `N60`" in shown


def test_the_winner_of_a_conflict_is_told_with_the_loser_below_it(rules: EntityRules, record: Record) -> None:
    change_city(rules, record)
    entry = JournalEntry(
        "customer", "C1", ("city",), "update_differs", "last_writer: crm committed 5.000 ms later than erp",
        LATER, ("Graz",), Version(6, "erp", 1_700_000_000_118_456, 300), ("Linz",),
    )  # fmt: skip

    found = document(rules, record, {"erp": 7}, journal=[JournalRow(1, 1_700_000_001_000_000, entry)])

    city = field(found, "city")
    assert city["from"] == "crm"
    assert city["committed_at"] == "2023-11-14 22:13:20.123Z"
    assert city["position"] == "C400"
    assert city["why"] == "won a conflict by last_writer"
    assert city["overruled"][0]["loser"] == {
        "system": "erp", "committed_at": "2023-11-14 22:13:20.118Z", "position": "E300", "number": 6,
    }  # fmt: skip
    assert "`Linz` of erp gave way to `Graz`: last_writer: crm committed 5.000 ms later than erp" in text(found, 200)


def test_an_owner_a_merge_and_a_successor_are_told_apart(rules: EntityRules, record: Record) -> None:
    record.accept([register(rules, "name")], LATER)
    record.accept([register(rules, "stage")], Version(9, "", 5, 0, "delta: erp +2, crm +3"))

    found = document(rules, record)

    assert field(found, "limit")["why"] == "erp owns it"
    assert field(found, "name")["why"] == "a successor: no conflict"
    assert field(found, "city")["why"] == "first merge"
    assert field(found, "stage")["why"] == "delta: erp +2, crm +3"
    assert field(found, "stage")["from"] == "duolog"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal(rules: EntityRules, record: Record, width: int) -> None:
    change_city(rules, record)
    record.values = ("C1", "千代田区丸の内" * 12, "Graz", "active", "x" * 200, None)
    record.side("erp").bad = "23505 unique_violation: constraint `customer_vat_no_key_with_quite_a_long_name`"

    shown = text(document(rules, record), width)

    assert max(cell_len(line) for line in shown.splitlines()) <= width
    assert "千代田区" in shown and "xxx" in shown


def test_short_fields_take_one_line_each_where_there_is_room(rules: EntityRules, record: Record) -> None:
    shown = text(document(rules, record), 80).splitlines()

    assert shown == [
        "customer C1: exists (erp)",
        "  erp: in step",
        "  crm: in step",
        "",
        "name   Ada     erp: first merge",
        "city   Wien    erp: first merge",
        "stage  active  erp: first merge",
        "limit  10.00   erp: erp owns it",
        "terms  N30     erp: first merge",
    ]


def test_a_control_character_of_a_value_never_reaches_the_terminal(rules: EntityRules, record: Record) -> None:
    record.values = ("C1", "Ada\x1b[31m\r\n[bold]", "Wien", "active", "10.00", "N30")

    shown = text(document(rules, record), 120)

    assert "Ada\\x1b[31m\\r\\n[bold]" in shown
    assert "\x1b" not in shown


def text(found: dict[str, Any], width: int) -> str:
    """What a terminal of that width shows."""
    return "\n".join(line.plain for line in lines(found, width))


def test_who_decides_by_state_by_expression_and_by_working_out_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "deciding.yaml"
    path.write_text(DECIDING, encoding="utf-8")
    loaded = load(path, {"ERP_URL": "postgresql://d@erp/erp", "CRM_URL": "postgresql://d@crm/crm"})
    assert loaded.rules is not None, loaded.problems
    rules = rules_of(compile_book(loaded.rules, None)[0])["customer"]
    record = empty_record(rules)
    record.alive = True
    record.accept([EXISTENCE, *rules.all_registers], FIRST._replace(note=""))

    def why(name: str, stage: str, journal: Sequence[JournalRow] = ()) -> str:
        record.values = ("C1", stage, "1", "Ada", "Ada" + stage)
        return field(document(rules, record, journal=journal), name)["why"]

    assert why("label", "prospect") == "worked out: name || stage"
    assert why("phone", "active") == "erp owns it in this state"
    assert why("phone", "prospect") == "erp owned it when that was written, now crm owns it while stage = 'prospect'"
    record.accept([register(rules, "phone"), register(rules, "name")], LATER)
    assert why("phone", "prospect") == "crm owns it while stage = 'prospect'"
    by_kind = {
        kind: [JournalRow(1, 100, JournalEntry(
            "customer", "C1", ("name",), kind, kind, LATER, ("Ada",), FIRST, ("B",)
        ))]
        for kind in ("update_differs", "check", "owner")
    }  # fmt: skip
    assert why("name", "active", by_kind["update_differs"]) == "won a conflict by expression: length(name)"
    assert {why("name", "active", by_kind[kind]) for kind in ("check", "owner")} == {"a successor: no conflict"}
