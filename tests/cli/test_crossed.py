"""Records with a key of their own in each system, on the command line: named, explained, held, joined; no database.

The real desk fills the store of a real rule file, with transactions and answers given by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.store import SqlStore
from engine.ports import Store
from service.cli import app
from tests.unit.crossed_desk import CrossedDesk, book_of
from tests.unit.test_crossed_desk import EMPLOYEES_AND_CUSTOMERS

PLAIN = """\
  rate:
    identity: [code, day]
    conflict: last_writer
    bind: {erp: {table: rate}, crm: {table: rate}}
    fields: {code: code, day: day, value: value}
"""


@dataclass
class Place:
    """A rule file with its store, the desk that decides, and the commands."""

    desk: CrossedDesk
    store: SqlStore
    rules: Path

    def said(self, *arguments: str) -> Any:
        """One command to its end."""
        verb, *rest = arguments
        found = CliRunner().invoke(app, [verb, str(self.rules), *rest], env={"COLUMNS": "200"})
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found

    def told(self, *arguments: str) -> Any:
        """What a command prints for programs; it must succeed."""
        found = self.said(*arguments, "--json")
        assert found.exit_code == 0, found.stderr
        return json.loads(found.stdout)

    def carry_out(self) -> list[str]:
        """The engine does what was asked for; its answers."""
        requests = self.store.requests()
        for request in requests:
            self.desk.decider.request(request, 1)
        self.desk.decider.commit()
        return [str(self.store.answer(request.id)) for request in requests]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Employees and customers in two systems, nothing in them."""
    desk = CrossedDesk(book_of(tmp_path, EMPLOYEES_AND_CUSTOMERS + PLAIN))
    store = SqlStore.open(f"sqlite:///{tmp_path / 't.store.db'}", name="t")
    lent: Store = store
    desk.store = lent  # type: ignore[assignment]
    desk.restart()
    yield Place(desk, store, tmp_path / "rules.yaml")
    store.close()


@pytest.fixture
def ann(place: Place) -> Place:
    """Ann is `3` in the CRM, `41` in the ERP; Bob (`4`, `42`) reports to her."""
    desk = place.desk
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.row("crm", "users", id="4", email="b@x", name="Bob", manager="3"))
    desk.deliver("erp", employee="42")
    return place


def test_a_record_is_named_by_its_id_by_any_systems_key_and_by_its_identity(ann: Place) -> None:
    for words in (["crm:3"], ["erp:41"], ["a@x"]):
        found = ann.told("explain", "employee", *words)
        assert found["key"] == ["crm:3"]
        assert found["keys"] == {"crm": "3", "erp": "41"}
        assert found["note"] == ""
    assert ann.told("explain", "employee", "erp:42")["key"] == ["crm:4"]


def test_what_a_record_refers_to_is_told_with_its_keys(ann: Place) -> None:
    boss = next(f for f in ann.told("explain", "employee", "b@x")["fields"] if f["field"] == "boss")
    text = ann.said("explain", "employee", "b@x").stdout

    assert boss["value"] == "crm:3"
    assert boss["refers_to"] == {"entity": "employee", "key": "crm:3", "keys": {"crm": "3", "erp": "41"}}
    assert boss["systems"]["erp"] == {"value": "crm:3", "key": "41", "state": "in step"}
    assert boss["systems"]["crm"] == {"value": "crm:3", "key": "3", "state": "in step"}
    assert "employee crm:4: exists (crm" in text
    assert "  crm: key 4, in step" in text
    assert "  erp: key 42, in step" in text
    assert "refers to employee crm:3: erp 41, crm 3" in text


def test_a_system_that_has_no_row_yet_is_said_to_have_none(place: Place) -> None:
    desk = place.desk
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))

    assert place.told("explain", "employee", "crm:3")["keys"] == {"crm": "3"}
    assert "  erp: no row, a write is due" in place.said("explain", "employee", "crm:3").stdout


def test_a_name_that_means_nothing_says_how_records_are_named(ann: Place) -> None:
    unknown = ann.said("explain", "employee", "erp:404")

    assert unknown.exit_code == 1
    assert unknown.stderr == (
        "no record `erp:404` of `employee` is known; name it by its id or by a key in a system (erp, crm), as in "
        "`erp:17`, or by email\n"
    )
    assert ann.said("explain", "employee", "a@x", "b@x").exit_code == 1
    assert ann.said("journal", "--entity", "employee", "--key", "nobody").exit_code == 1
    assert ann.said("retry", "employee", "nobody").exit_code == 1
    assert ann.said("resolve", "employee", "nobody", "--take", "erp").exit_code == 1
    assert ann.store.requests() == []


@pytest.fixture
def twins(place: Place) -> Place:
    """Two accounts of the CRM with one VAT number: the second is left to a person."""
    desk = place.desk
    desk.tx("crm", desk.row("crm", "accounts", id="17", vat_number="DE 1", account_name="Smith"))
    desk.tx("crm", desk.row("crm", "accounts", id="18", vat_number="DE-1", account_name="Smith Ltd"))
    return place


def test_where_several_records_have_an_identity_they_are_named(twins: Place) -> None:
    several = twins.said("explain", "customer", "de1")

    assert (several.exit_code, several.stderr) == (1, "several of `customer` are `de1`: crm:17, crm:18\n")
    assert twins.told("explain", "customer", "Smith Ltd")["key"] == ["crm:18"]


def test_a_hold_for_looking_like_another_names_the_two_ways_out(twins: Place) -> None:
    other, hold = twins.told("held")
    text = twins.said("held").stdout
    shown = twins.said("explain", "customer", "crm:18").stdout

    assert (other["key"], other["why"]) == ("crm:17", "identity: looks like crm:18")  # it is not made elsewhere either

    assert (hold["entity"], hold["key"], hold["why"]) == ("customer", "crm:18", "identity: looks like crm:17")
    assert hold["values"] == {"erp": "absent", "crm": "exists"}
    assert hold["keys"] == {"crm": "18"}
    assert hold["mend"] == [
        f"`duolog merge-records {twins.rules} customer crm:18 crm:17` if they are one",
        f"`duolog resolve {twins.rules} customer crm:18 --take crm` if it is a record of its own",
    ]
    assert "    erp has no row of it\n" in text
    assert "    crm keeps the record\n" in text
    assert "  erp: no row, left to a person: it is not made here before" in shown


def test_a_record_of_its_own_is_taken_from_a_system_that_has_it(twins: Place) -> None:
    wrong = twins.said("resolve", "customer", "crm:18", "--take", "erp")
    right = twins.said("resolve", "customer", "Smith Ltd", "--take", "crm")

    assert wrong.exit_code == 2
    assert "erp has no row of it" in wrong.stderr and "--take crm" in wrong.stderr
    assert right.stdout == "noted: it is carried out when the engine runs\n"
    assert twins.carry_out() == ["1 resolved"]
    assert twins.told("held") == []


def test_two_records_are_made_one_and_the_former_names_say_what_became_of_it(twins: Place) -> None:
    assert twins.told("merge-records", "customer", "crm:18", "crm:17") == {"request": 1, "answer": None}
    assert twins.carry_out() == ["joined; 0 references re-pointed"]

    assert twins.told("held") == []
    stays = twins.told("explain", "customer", "de1")
    gone = twins.told("explain", "customer", "crm:18")
    assert (stays["key"], stays["exists"], stays["keys"]) == (["crm:17"], True, {"crm": "17"})
    assert (gone["key"], gone["exists"], gone["keys"]) == (["crm:18"], False, {})
    assert gone["note"] == "`crm:18` is a key of crm:17 now"
    assert "`crm:18` is a key of crm:17 now" in twins.said("explain", "customer", "crm:18").stdout
    [entry] = twins.told("journal", "--entity", "customer", "--key", "crm:18")[:1]
    assert entry["kind"] == "resolved" and entry["because"].endswith(": into crm:17")


def test_a_key_that_is_left_over_means_the_record_that_stays(ann: Place) -> None:
    desk = ann.desk
    desk.tx("erp", desk.row("erp", "hr_employee", id="50", email="z@x", name="Ann Z.", boss="42"))
    desk.deliver("crm", employee="9")
    desk.tx("erp", desk.row("erp", "hr_employee", id="51", email="c@x", name="Cid", boss="50"))
    desk.deliver("crm", employee="10")

    ann.said("merge-records", "employee", "z@x", "a@x")
    assert ann.carry_out() == ["joined; 1 references re-pointed"]

    by_left_over = ann.told("explain", "employee", "crm:9")
    assert (by_left_over["key"], by_left_over["keys"]) == (["crm:3"], {"crm": "3", "erp": "41"})
    assert by_left_over["note"] == "`crm:9` is left over after a join, and means this record"
    boss = next(f for f in ann.told("explain", "employee", "c@x")["fields"] if f["field"] == "boss")
    assert boss["value"] == "crm:3"
    assert {s: (h["value"], h["key"]) for s, h in boss["systems"].items()} == {
        "erp": ("crm:3", "50"), "crm": ("crm:3", "9")
    }  # fmt: skip
    assert "\x1e" not in ann.said("explain", "employee", "c@x").stdout
    assert "\x1e" not in ann.said("journal", "--values").stdout


def test_what_cannot_be_made_one_is_refused_before_anything_is_asked(ann: Place) -> None:
    plain = ann.said("merge-records", "rate", "EUR/1", "EUR/2")
    same = ann.said("merge-records", "employee", "crm:3", "erp:41")
    unknown = ann.said("merge-records", "employee", "crm:3", "erp:404")
    ann.desk.tx("crm", ann.desk.delete("crm", "users", "4"))
    dead = ann.said("merge-records", "employee", "crm:3", "crm:4")

    assert plain.exit_code == 2 and "one key in all systems" in plain.stderr
    assert same.exit_code == 2 and "one record already" in same.stderr
    assert unknown.exit_code == 1
    assert (dead.exit_code, dead.stderr) == (1, "crm:4 is deleted: no other record can become one with it\n")
    assert ann.store.requests() == []


def test_a_record_with_one_key_everywhere_has_nothing_of_all_this(place: Place) -> None:
    place.desk.tx("erp", place.desk.row("erp", "rate", code="EUR", day="1", value="2"))

    found = place.told("explain", "rate", "EUR/1")

    assert found["key"] == ["EUR", "1"]
    assert "keys" not in found and "note" not in found
    assert all("refers_to" not in field for field in found["fields"])
