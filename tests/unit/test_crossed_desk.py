"""Records with keys of their own, decided by the real desk: paired, created, referred to, joined; never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rulebook import EXISTENCE
from engine.vocabulary import KeyOf, RowResult
from tests.unit.crossed_desk import CrossedDesk, book_of

EMPLOYEES_AND_CUSTOMERS = """\
  employee:
    identity: [email]
    conflict: last_writer
    bind: {erp: {table: hr_employee, key: id}, crm: {table: users, key: id}}
    fields:
      email: email
      name: name
      boss: {erp: boss, crm: manager, reference: employee}
  customer:
    identity: [[{field: vat_no, same: compact}], [name]]
    conflict: last_writer
    bind:
      erp:
        table: party
        key: id
        parts:
          vat: {table: party_code, on: "party = root.id", where: "kind = 'vat'", first_by: [seq], clear: delete}
          link: {table: party_address, on: "party = root.id and type = 'invoice'"}
          address: {table: address, on: "id = link.address", remove: keep}
          member: {table: party_group, on: "party = root.id", where: "grp = 7"}
        member_when: member
      crm: {table: accounts, key: id}
    fields:
      vat_no: {erp: vat.code, crm: vat_number}
      name: {erp: name, crm: account_name}
      city: {erp: address.city, crm: billing_city}
      country: {erp: {column: address.country_id, lookup: {table: country, key: id, by: iso}}, crm: billing_country}
      rep: {erp: rep_id, crm: owner_id, reference: employee}
"""


@pytest.fixture
def desk(tmp_path: Path) -> CrossedDesk:
    """A desk between two systems that share no key."""
    return CrossedDesk(book_of(tmp_path, EMPLOYEES_AND_CUSTOMERS))


def test_a_record_is_created_elsewhere_and_its_key_there_is_the_one_that_was_made(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    [write] = desk.deliver("erp", employee="41")
    assert (write.kind, write.rows[0][1], write.rows[0][2]) == ("insert", "crm:3", ())
    assert desk.record("employee", "crm:3").keys == {"crm": "3", "erp": "41"}
    desk.tx("erp", desk.row("erp", "hr_employee", id="41", email="a@x", name="Ann"), own=True)
    desk.tx("erp", desk.update("erp", "hr_employee", id="41", email="a@x", name="Anna"))
    [write] = desk.deliver("crm")
    assert (write.kind, write.rows[0][2], write.rows[0][3]) == ("update", ("3",), ("Anna",))


def test_the_pairing_is_known_after_a_crash(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.restart()
    desk.tx("erp", desk.update("erp", "hr_employee", id="41", email="a@x", name="Anna"))
    assert desk.values("employee", "crm:3")["name"] == "Anna"


def test_rows_that_appear_in_both_systems_are_one_record(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"), at=1)
    desk.tx("erp", desk.row("erp", "hr_employee", id="9", email="a@x", name="Anna"), at=2)
    assert desk.record("employee", "crm:3").keys == {"crm": "3", "erp": "9"}
    assert desk.deliver("erp") == []
    [write] = desk.deliver("crm")
    assert (write.kind, write.rows[0][3]) == ("update", ("Anna",))


def test_a_row_made_by_a_user_while_ours_was_under_way_takes_its_place(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"), at=1)
    assert desk.batch("erp")
    desk.answer("erp", RowResult("employee", "crm:3", "created", made="41"))
    desk.positions["erp"] -= 5  # the user committed before our separator
    desk.positions["erp"] -= 9
    desk.tx("erp", desk.row("erp", "hr_employee", id="40", email="a@x", name="Anna"), at=2)
    assert desk.record("employee", "crm:3").keys == {"crm": "3", "erp": "40"}
    [write] = desk.batch("erp")
    assert (write.kind, write.rows[0][2]) == ("delete", ("41",))


def test_a_second_row_with_the_same_identity_in_one_system_is_held_not_guessed(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.row("crm", "users", id="4", email="a@x", name="Ann"))
    assert desk.record("employee", "crm:4").holds == {EXISTENCE: "identity: looks like crm:3"}
    assert desk.deliver("erp") == []
    desk.tx("crm", desk.update("crm", "users", id="4", email="b@x", name="Ann"))
    assert desk.record("employee", "crm:4").holds == {}
    assert [w.kind for w in desk.deliver("erp", employee="42")] == ["insert"]


def test_a_person_says_that_a_record_is_one_of_its_own(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.row("crm", "users", id="4", email="a@x", name="Ann"))
    assert desk.ask("resolve", entity="employee", key="crm:4", take="erp", by="me") == "1 resolved"
    [write] = desk.deliver("erp", employee="42")
    assert (write.kind, write.rows[0][1]) == ("insert", "crm:4")


def test_an_identity_that_comes_later_or_changes_keeps_the_pairing(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email=None, name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.update("crm", "users", id="3", email="a@x", name="Ann"))
    [write] = desk.deliver("erp")
    assert (write.kind, write.rows[0][2], write.rows[0][3]) == ("update", ("41",), ("a@x",))


def test_a_record_that_is_deleted_and_made_again_is_the_same(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.delete("crm", "users", "3"))
    desk.deliver("erp")
    desk.tx("erp", desk.delete("erp", "hr_employee", "41"), own=True)
    assert desk.record("employee", "crm:3").keys == {}
    desk.tx("crm", desk.row("crm", "users", id="8", email="A@x", name="Ann"))
    assert desk.record("employee", "crm:8").keys == {"crm": "8"}  # the form is exact: it is another one
    desk.tx("crm", desk.row("crm", "users", id="9", email="a@x", name="Ann"))
    assert desk.record("employee", "crm:3").keys == {"crm": "9"}


def test_a_reference_is_the_other_systems_key_or_a_place_for_it(desk: CrossedDesk) -> None:
    desk.tx(
        "crm",
        desk.row("crm", "users", id="3", email="b@x", name="Bo"),
        desk.row("crm", "users", id="4", email="a@x", name="Ann", manager="3"),
    )
    [write] = desk.batch("erp")
    assert [row[3][-1] for row in write.rows] == [None, KeyOf("employee", "crm:3")]
    made = [RowResult("employee", "crm:3", "created", made="41"), RowResult("employee", "crm:4", "created", made="42")]
    desk.answer("erp", *made)
    desk.tx("crm", desk.row("crm", "users", id="5", email="c@x", name="Cy", manager="4"))
    [write] = desk.deliver("erp", employee="43")
    assert write.rows[0][3][-1] == "42"


def test_a_child_whose_parent_is_not_known_is_listed_and_read_again_when_it_is(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="4", email="a@x", name="Ann", manager="3"))
    place = ("employee", "crm:4", "crm")
    assert desk.decider.quarantined[place] == "cannot be read: boss: refers to employee `3`, which is not known"
    desk.tx("crm", desk.row("crm", "users", id="3", email="b@x", name="Bo"))
    assert list(desk.decider.rereads["crm"]) == [("employee", "crm:4")]
    desk.reread("crm", "employee", "crm:4", (("4", "a@x", "Ann", "3"),))
    assert desk.values("employee", "crm:4") == {"email": "a@x", "name": "Ann", "boss": "crm:3"}
    assert desk.decider.quarantined == {}


def erp_party(desk: CrossedDesk, id: str, name: str) -> list[object]:
    """A party that is a customer, with a VAT number."""
    return [
        desk.row("erp", "country", id="49", iso="DE"),
        desk.row("erp", "party", id=id, name=name),
        desk.row("erp", "party_code", id="1" + id, code="DE 1", party=id, kind="vat", seq="2"),
        desk.row("erp", "address", id="2" + id, city="Ulm", country_id="49"),
        desk.row("erp", "party_address", id="3" + id, party=id, address="2" + id, type="invoice"),
        desk.row("erp", "party_group", id="4" + id, party=id, grp="7"),
    ]


def test_rows_of_six_tables_are_one_record(desk: CrossedDesk) -> None:
    desk.tx("erp", *erp_party(desk, "5", "Acme"))
    assert desk.values("customer", "erp:5") == {
        "vat_no": "DE 1", "name": "Acme", "city": "Ulm", "country": "DE", "rep": None
    }
    [write] = desk.deliver("crm", customer="1")
    assert write.rows[0][3] == ("DE 1", "Acme", "Ulm", "DE", None)


def test_a_change_of_any_part_is_a_change_of_the_record(desk: CrossedDesk) -> None:
    desk.tx("erp", *erp_party(desk, "5", "Acme"))
    desk.deliver("crm", customer="1")
    desk.tx("erp", desk.update("erp", "address", id="25", city="Bonn", country_id="49"))
    [write] = desk.deliver("crm")
    assert (write.rows[0][2], write.rows[0][3]) == (("1",), ("Bonn",))
    desk.tx("erp", desk.row("erp", "party_code", id="99", code="DE 2", party="5", kind="vat", seq="1"))
    [write] = desk.deliver("crm")
    assert write.rows[0][3] == ("DE 2",)
    desk.tx("erp", desk.delete("erp", "party_code", "99"), desk.delete("erp", "party_code", "15"))
    [write] = desk.deliver("crm")
    assert write.rows[0][3] == (None,)
    desk.tx("erp", desk.update("erp", "party_code", id="15", code="DE 1", party="5", kind="tax", seq="2"))
    assert desk.deliver("crm") == []


def test_a_link_row_makes_and_ends_a_member(desk: CrossedDesk) -> None:
    changes = erp_party(desk, "5", "Acme")
    desk.tx("erp", *changes[:-1])
    assert desk.deliver("crm") == []
    desk.tx("erp", changes[-1])
    [write] = desk.deliver("crm", customer="1")
    assert write.kind == "insert"
    desk.tx("erp", desk.delete("erp", "party_group", "45"))
    assert desk.record("customer", "erp:5").sides["erp"].out  # leave: ignore
    desk.tx("erp", desk.update("erp", "party", id="5", name="Acme Ltd"))
    assert desk.deliver("crm") == []
    desk.tx("erp", desk.row("erp", "party_group", id="46", party="5", grp="7"))
    [write] = desk.deliver("crm")
    assert (write.kind, write.rows[0][3]) == ("update", ("Acme Ltd",))


def test_the_first_way_of_telling_that_knows_a_record_counts(desk: CrossedDesk) -> None:
    desk.tx("erp", *erp_party(desk, "5", "Acme"))
    desk.deliver("crm", customer="1")
    desk.tx("crm", desk.row("crm", "accounts", id="2", vat_number=None, account_name="Other"))
    assert desk.record("customer", "crm:2").keys == {"crm": "2"}
    desk.deliver("erp", customer="6")
    desk.tx("erp", *erp_party(desk, "7", "Third"))
    desk.tx("crm", desk.row("crm", "accounts", id="9", vat_number="de-1", account_name="Third"))
    assert "crm:9" in desk.decider.cache["customer"]  # DE 1 is both `erp:5` and `erp:7`: nobody guesses
    assert desk.record("customer", "crm:9").holds[EXISTENCE] == "identity: looks like erp:5, erp:7"


def test_two_records_are_joined_and_what_refers_to_them_follows(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.tx("crm", desk.row("crm", "users", id="4", email="b@x", name="Ann B"))
    batch = desk.batch("erp")
    assert len(batch[0].rows) == 2
    made = [RowResult("employee", "crm:3", "created", made="41"), RowResult("employee", "crm:4", "created", made="42")]
    desk.answer("erp", *made)
    desk.tx("crm", desk.row("crm", "users", id="5", email="c@x", name="Cy", manager="4"))
    desk.deliver("erp", employee="43")
    answer = desk.ask("join", entity="employee", key="crm:4", into="crm:3", by="me")
    assert answer == "joined; 1 references re-pointed"
    [write] = desk.deliver("erp")
    assert (write.rows[0][2], write.rows[0][3], write.rows[0][4]) == (("43",), ("41",), ("42",))
    [write] = desk.deliver("crm")
    assert (write.rows[0][2], write.rows[0][3], write.rows[0][4]) == (("5",), ("3",), ("4",))
    desk.tx("erp", desk.row("erp", "hr_employee", id="50", email="d@x", name="Di", boss="42"))
    assert desk.values("employee", "erp:50")["boss"] == "crm:3"


def test_an_application_that_joins_two_records_is_survived_and_listed(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.tx("crm", desk.row("crm", "users", id="4", email="b@x", name="Ann B"))
    desk.tx("crm", desk.row("crm", "users", id="5", email="c@x", name="Cy", manager="4"))
    desk.tx(
        "crm",
        desk.update("crm", "users", id="5", email="c@x", name="Cy", manager="3"),
        desk.delete("crm", "users", "4"),
    )
    assert [(e.key, e.kind) for e in desk.store.journal] == [("crm:4", "joined")]


def test_a_changed_key_is_the_same_record(desk: CrossedDesk) -> None:
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", employee="41")
    desk.tx("crm", desk.rekeyed("crm", "users", "3", id="30", email="a@x", name="Ann"))
    assert desk.record("employee", "crm:3").keys == {"crm": "30", "erp": "41"}
    desk.tx("erp", desk.update("erp", "hr_employee", id="41", email="a@x", name="Anna"))
    [write] = desk.deliver("crm")
    assert write.rows[0][2] == ("30",)
