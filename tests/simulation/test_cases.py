"""Histories written out: what the random ones meet only by chance, told step by step, with what a person would see."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.books import FIELDS
from tests.simulation.features import Features
from tests.simulation.users import POISON
from tests.simulation.world import World

CALM = Features(
    kind="free", systems=("erp", "crm"), creators=frozenset({"erp", "crm"}),
    delete={"erp": "propagate", "crm": "propagate"}, delete_wins=False, skew={"erp": 0, "crm": 0}, cache_records=100,
    turn_rows=6, store_apart=False,
)
"""Two systems, and nothing happens that is not written here."""


def world(**features: object) -> World:
    """A world in which `erp` has made k0, and `crm` has it too."""
    made = World(1, features=replace(CALM, **features))  # type: ignore[arg-type]
    row = {name: f"{name}0" if name not in ("high", "low", "points", "grade") else "1" for name in FIELDS}
    made.users.commit("erp", made.databases["erp"].insert("item", {**row, "code": "k0", "grade": "A"}))
    made.become_quiet()
    return made


def update(made: World, system: str, key: str, **values: str) -> None:
    """A user's UPDATE, committed and logged."""
    made.users.commit(system, made.databases[system].update("item", key, dict(values)))


def value(made: World, system: str, key: str, name: str) -> str | None:
    """What a system has."""
    return made.databases[system].rows["item"][key][FIELDS.index(name)]


def test_a_row_changed_outside_the_log_is_found_by_the_guard_and_taken_for_a_users_write() -> None:
    made = world()
    made.databases["crm"].update("item", "k0", {"note": "unheard"})

    update(made, "erp", "k0", note="new")
    made.become_quiet()

    assert value(made, "crm", "k0", "note") == "new"
    (entry,) = made.store.journal
    assert (entry.kind, entry.lost) == ("update_differs", ("unheard",))
    assert entry.because.endswith("(unlogged)")


def test_a_poison_row_waits_alone_and_goes_on_when_it_is_retried() -> None:
    made = world(poison=True)
    update(made, "erp", "k0", name=f"erp{POISON}")
    made.users.commit("erp", made.databases["erp"].insert("item", {"code": "k1", "name": "harmless"}))
    made.become_quiet()

    assert made.store.quarantine == {("item", "k0", "crm"): "constraint `no shouting`"}
    assert value(made, "crm", "k0", "name") == "name0"
    assert value(made, "crm", "k1", "name") == "harmless"

    made.databases["crm"].constraint = lambda entity, row: ""
    made.store.ask("retry", {})
    made.become_quiet()

    assert made.store.quarantine == {}
    assert value(made, "crm", "k0", "name") == f"erp{POISON}"


def test_a_child_waits_for_its_parent_in_quarantine_and_follows_it() -> None:
    made = world(poison=True, orders=True, foreign_keys=True)
    erp = made.databases["erp"]
    made.users.commit("erp", erp.insert("item", {"code": "k1", "name": f"erp{POISON}"}))
    made.users.commit("erp", erp.insert("order", {"code": "o0", "item": "k1"}))
    made.become_quiet()

    assert made.store.quarantine == {
        ("item", "k1", "crm"): "constraint `no shouting`",
        ("order", "o0", "crm"): "waits for item `k1`, which is in quarantine",
    }

    made.databases["crm"].constraint = lambda entity, row: ""
    made.store.ask("retry", {})
    made.become_quiet()

    assert made.store.quarantine == {}
    assert made.databases["crm"].rows["order"].keys() == {"o0"}


def test_a_child_whose_parent_is_only_late_is_not_quarantined_but_follows_it() -> None:
    made = world(orders=True, foreign_keys=True)
    made.databases["crm"].locked.add(("item", "k1"))
    made.users.commit("erp", made.databases["erp"].insert("item", {"code": "k1", "name": "parent"}))
    made.users.commit("erp", made.databases["erp"].insert("order", {"code": "o1", "item": "k1"}))
    for _ in range(20):
        made.deliver("erp")
        made.turn()
        made.write("crm")
    assert "o1" not in made.databases["crm"].rows["order"]
    assert made.store.quarantine == {}

    made.databases["crm"].locked.clear()
    made.become_quiet()

    assert "k1" in made.databases["crm"].rows["item"]
    assert "o1" in made.databases["crm"].rows["order"]


def test_a_value_that_no_map_knows_waits_until_it_is_corrected() -> None:
    made = world(codecs=True)
    update(made, "crm", "k0", grade="9", note="too")
    made.become_quiet()

    assert made.store.quarantine == {("item", "k0", "crm"): "cannot be read: `9` has no counterpart"}
    assert value(made, "erp", "k0", "note") == "note0"

    update(made, "crm", "k0", grade="3")
    made.become_quiet()

    assert made.store.quarantine == {}
    assert (value(made, "erp", "k0", "grade"), value(made, "erp", "k0", "note")) == ("C", "too")


def test_a_large_column_that_the_log_left_out_is_never_written_as_null() -> None:
    made = world(large=True)

    update(made, "crm", "k0", name="new")
    made.become_quiet()

    assert value(made, "erp", "k0", "note") == "note0"
    assert value(made, "erp", "k0", "name") == "new"


def test_an_update_of_a_row_that_nobody_knows_is_read_whole() -> None:
    made = world(large=True)
    made.databases["crm"].insert("item", {"code": "k1", "name": "old", "note": "large"})

    update(made, "crm", "k1", name="new")
    made.become_quiet()

    assert (value(made, "erp", "k1", "name"), value(made, "erp", "k1", "note")) == ("new", "large")


def test_a_transaction_larger_than_memory_arrives_whole_though_its_records_do_not_fit_the_cache() -> None:
    made = world(huge=True, cache_records=3)
    erp = made.databases["erp"]
    changes = [change for n in range(1, 30) for change in erp.insert("item", {"code": f"k{n}", "name": str(n)})]
    made.users.commit("erp", changes)
    update(made, "erp", "k0", name="after")
    made.become_quiet()

    assert len(made.databases["crm"].rows["item"]) == 30
    assert value(made, "crm", "k0", "name") == "after"
    assert not made.store.journal
