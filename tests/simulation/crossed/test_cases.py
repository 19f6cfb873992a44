"""Histories of records with keys of their own, written out: what a person would see in both systems at the end."""

from __future__ import annotations

from tests.simulation.crossed.books import LIVE, MEMBERS, PARTY, PARTY_ADDRESS, PARTY_CODE, PARTY_GROUP
from tests.simulation.crossed.features import CrossedFeatures
from tests.simulation.crossed.reading import records
from tests.simulation.crossed.world import CrossedWorld

CALM = {
    "kind": "free", "systems": ("erp", "crm"), "creators": frozenset({"erp", "crm"}),
    "delete": {"erp": "propagate", "crm": "propagate"}, "delete_wins": False, "skew": {"erp": 0, "crm": 0},
    "cache_records": 100, "turn_rows": 6, "store_apart": False, "removal": {"erp": "row", "crm": "row"},
    "leave": {"erp": "propagate"},
}  # fmt: skip
"""Two systems, and nothing happens that is not written here."""


def world(**features: object) -> CrossedWorld:
    """An empty world."""
    made = CrossedWorld(1, features=CrossedFeatures(**{**CALM, **features}))  # type: ignore[arg-type]
    made.become_quiet()
    return made


def account(made: CrossedWorld, number: str, **values: str) -> str:
    """A user of `crm` makes a customer; returns its key there."""
    crm = made.databases["crm"]
    changes = crm.insert("accounts", {"vat_number": number, "state": LIVE, **values})
    made.users.commit("crm", changes)
    return made.users._key("crm", changes[0])


def party(made: CrossedWorld, number: str, name: str) -> str:
    """A user of `erp` makes a customer; returns its key there."""
    erp = made.databases["erp"]
    changes = erp.insert(PARTY, {"name": name, "phone": "", "state": LIVE})
    key = made.users._key("erp", changes[0])
    changes += erp.insert(PARTY_CODE, {"party": key, "kind": "vat", "code": number, "seq": "1"})
    changes += erp.insert(PARTY_GROUP, {"party": key, "grp": MEMBERS})
    made.users.commit("erp", changes)
    return key


def names(made: CrossedWorld, system: str) -> dict[str, str | None]:
    """The customers of a system: number → name."""
    return {str(row["vat"]): row["name"] for row in records(made.databases[system], "customer").values()}


def test_a_new_account_becomes_a_party_with_all_its_rows() -> None:
    made = world()

    account(made, "DE 1", name="Anna", city="Ulm", country="DE")
    made.become_quiet()

    (row,) = records(made.databases["erp"], "customer").values()
    assert row == {
        "vat": "DE 1", "email": None, "name": "Anna", "phone": None, "street": None, "city": "Ulm", "country": "DE",
    }  # fmt: skip


def test_a_person_made_in_two_systems_at_once_is_one_customer_in_each() -> None:
    made = world()

    account(made, "DE 1", name="Anna")
    party(made, "de-1", "Anne")
    made.become_quiet()

    for system in ("erp", "crm"):
        assert len(records(made.databases[system], "customer")) == 1
    assert names(made, "erp") == names(made, "crm")
    assert {entry.kind for entry in made.store.journal} == {"insert_exists"}
    made.oracle.check(fully=True)


def test_a_person_made_again_while_ours_was_being_made_takes_its_place() -> None:
    made = world()
    account(made, "DE 1", name="Anna")
    for _ in range(4):
        made.deliver("crm")
        made.turn()
    party(made, "DE1", "Anne")
    made.write("erp")
    assert len(records(made.databases["erp"], "customer")) == 2

    made.become_quiet()

    assert len(records(made.databases["erp"], "customer")) == 1
    made.oracle.check(fully=True)


def test_an_order_refers_to_the_customer_by_each_systems_key() -> None:
    made = world()
    crm = made.databases["crm"]
    key = account(made, "DE 1", name="Anna")
    changes = crm.insert("users", {"number": "n1", "name": "Bert"})
    rep = made.users._key("crm", changes[0])
    changes += crm.update("users", rep, {"boss": rep})
    changes += crm.insert("deals", {"code": "c1", "account": key, "owner": rep})
    made.users.commit("crm", changes)
    made.become_quiet()

    (customer,) = records(made.databases["erp"], "customer")
    (employee,) = records(made.databases["erp"], "employee")
    (order,) = records(made.databases["erp"], "order").values()
    assert (order["customer"], order["rep"]) == (customer, employee)
    assert records(made.databases["erp"], "employee")[employee]["boss"] == employee


def test_another_row_that_comes_first_is_a_change_of_the_record() -> None:
    made = world()
    key = party(made, "DE1", "Anna")
    made.become_quiet()

    erp = made.databases["erp"]
    made.users.commit("erp", made.users._insert_address(key, "Gasse", "Ulm", "1"))
    made.users.commit("erp", made.users._insert_address(key, "Weg", "Bonn", "2"))
    made.become_quiet()
    (account_row,) = records(made.databases["crm"], "customer").values()
    assert (account_row["street"], account_row["city"]) == ("Weg", "Bonn")

    made.users.commit("erp", erp.update(PARTY_ADDRESS, sorted(erp.stored[PARTY_ADDRESS])[0], {"seq": "3"}))
    made.become_quiet()

    (account_row,) = records(made.databases["crm"], "customer").values()
    assert (account_row["street"], account_row["city"]) == ("Gasse", "Ulm")


def test_who_leaves_the_group_is_deleted_elsewhere_and_who_enters_again_comes_back() -> None:
    made = world()
    key = party(made, "DE1", "Anna")
    made.become_quiet()
    assert names(made, "crm") == {"DE1": "Anna"}

    made.users.commit("erp", made.databases["erp"].delete(PARTY_GROUP, f"{key}\x1f{MEMBERS}"))
    made.become_quiet()
    assert names(made, "crm") == {}

    made.users.commit("erp", made.users.revive("erp", key))
    made.become_quiet()
    assert names(made, "crm") == {"DE1": "Anna"}
    made.oracle.check(fully=True)


def test_a_country_that_the_erp_does_not_know_waits_for_it() -> None:
    made = world()
    account(made, "DE 1", name="Anna", country="XX")
    made.become_quiet()
    assert [place[2] for place in made.store.quarantine] == ["erp"]

    made.users.commit("erp", made.databases["erp"].insert("country", {"iso": "XX"}))
    made.become_quiet()

    assert made.store.quarantine == {}
    assert [row["country"] for row in records(made.databases["erp"], "customer").values()] == ["XX"]
