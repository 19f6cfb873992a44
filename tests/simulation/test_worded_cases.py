"""What random histories found about spellings, checks, owners by state and worked-out fields, written out."""

from __future__ import annotations

from dataclasses import replace

from adapters.memory import MemorySnapshot
from engine.first_merge import first_merge
from tests.simulation.test_cases import CALM, update, value, world
from tests.simulation.world import World


def made(*words: str, **features: object) -> World:
    """Two systems that have k0, with these words in the rules."""
    return world(words=frozenset(words), **features)


def worded(made: World, system: str, name: str) -> str | None:
    """What a system has in one of the further fields of k0."""
    database = made.databases[system]
    return database.rows["item"]["k0"][database.columns("item").index(name)]


def at_once(made: World, system: str, *statements: dict[str, str]) -> None:
    """Several UPDATEs of k0 in one transaction."""
    database = made.databases[system]
    made.users.commit(system, [change for said in statements for change in database.update("item", "k0", said)])


def agreed(made: World, **values: str) -> World:
    """Both have these values (as `erp` spells them)."""
    update(made, "erp", "k0", **values)
    made.become_quiet()
    made.store.journal.clear()
    return made


def test_a_write_that_breaks_a_check_after_one_that_did_not_in_the_same_transaction_is_resolved() -> None:
    """Found by seed 5000564: both had the version of the transaction, and the second was taken for the first."""
    history = made("check")
    crm = history.databases["crm"]
    inserted = crm.insert("item", {"code": "k1", "name": "n", "points": "0", "credit": "7"})
    history.users.commit("crm", [*inserted, *crm.update("item", "k1", {"credit": "-1"})])
    history.become_quiet()
    place = crm.columns("item").index("credit")
    assert [history.databases[s].rows["item"]["k1"][place] for s in history.systems] == ["7", "-1"]

    (held,) = history.store.holds
    history.resolve(held, "erp")
    history.become_quiet()

    assert [history.databases[s].rows["item"]["k1"][place] for s in history.systems] == ["7", "7"]
    assert not history.store.holds


def test_a_write_that_is_overruled_after_one_that_was_not_in_the_same_transaction_is_put_right() -> None:
    history = agreed(made("check"), seal="good")
    at_once(history, "crm", {"seal": "better"}, {"seal": "bad"})
    history.become_quiet()
    assert (worded(history, "erp", "seal"), worded(history, "crm", "seal")) == ("better", "better")


def test_an_owner_for_a_while_who_gives_up_in_the_same_transaction_is_overruled_from_there_on() -> None:
    history = agreed(made("many", "claims"), stage="prospect")
    at_once(history, "crm", {"rate": "1"}, {"stage": "C"}, {"rate": "2"})
    history.become_quiet()
    assert (worded(history, "erp", "rate"), worded(history, "crm", "rate")) == ("1", "1")


def test_a_spelling_that_meant_the_right_thing_amid_a_transaction_does_not_stay() -> None:
    """Found by seed 5002970: to and fro in one transaction, and `crm` kept the spelling of what was there between."""
    history = agreed(made("many", "same"), stage="prospect")
    update(history, "crm", "k0", stage="PP")
    history.become_quiet()
    at_once(history, "erp", {"stage": "customer"}, {"stage": "prospect"}, {"stage": "customer"})
    history.become_quiet()
    assert (worded(history, "erp", "stage"), worded(history, "crm", "stage")) == ("customer", "C")


def test_who_mends_what_a_check_overruled_has_seen_what_is_current_whatever_the_clocks() -> None:
    hour = 3_600_000_000
    history = agreed(made("check", skew={"erp": hour, "crm": -hour}), seal="good")
    update(history, "crm", "k0", seal="bad")
    update(history, "crm", "k0", seal="best")  # before ours has put it right
    history.become_quiet()
    assert (worded(history, "erp", "seal"), worded(history, "crm", "seal")) == ("best", "best")
    assert [entry.kind for entry in history.store.journal] == ["check"]


def test_who_deletes_before_he_was_told_what_was_worked_out_of_his_own_write_has_seen_everything() -> None:
    """Found by seed 5000340: a conflict was reported, and without `delete_wins` the deletion was taken back."""
    history = made("derived", deletes=True)
    update(history, "crm", "k0", name="crm1")
    history.users.commit("crm", history.databases["crm"].delete("item", "k0"))
    history.become_quiet()
    assert "k0" not in history.databases["erp"].rows["item"]
    assert not history.store.journal


def test_what_waited_in_a_row_that_is_gone_waits_no_more() -> None:
    """Found by seed 5001348: the row came back without the write that waited, and the hold stayed."""
    history = agreed(made("check", deletes=True, delete={"erp": "propagate", "crm": "restore"}), credit="5")
    update(history, "crm", "k0", credit="-1")
    history.become_quiet()
    history.users.commit("crm", history.databases["crm"].delete("item", "k0"))
    history.become_quiet()
    assert (worded(history, "erp", "credit"), worded(history, "crm", "credit")) == ("5", "5")
    assert not history.store.holds


def test_who_mends_a_write_that_waits_by_what_is_current_keeps_it_from_nobody() -> None:
    """`mes` was not told of the current value while it was held; nobody wrote it again after that."""
    history = agreed(made("check", systems=("erp", "crm", "mes"), skew=dict.fromkeys(("erp", "crm", "mes"), 0),
                          delete=dict.fromkeys(("erp", "crm", "mes"), "propagate")), credit="5")  # fmt: skip
    history.databases["mes"].locked.add(("item", "k0"))
    update(history, "erp", "k0", credit="6")
    for _ in range(20):
        for system in ("erp", "crm"):
            history.deliver(system)
        history.turn()
        for system in ("erp", "crm", "mes"):
            history.write(system)
    assert (worded(history, "crm", "credit"), worded(history, "mes", "credit")) == ("6", "5")
    update(history, "crm", "k0", credit="-1")
    for _ in range(20):
        for system in ("erp", "crm"):
            history.deliver(system)
        history.turn()
    history.databases["mes"].locked.clear()
    history.become_quiet()
    assert worded(history, "mes", "credit") == "5"
    update(history, "crm", "k0", credit="6")
    history.become_quiet()
    assert {worded(history, system, "credit") for system in history.systems} == {"6"}
    assert not history.store.holds


def test_a_write_that_puts_another_in_order_overtakes_one_that_waits_itself() -> None:
    history = agreed(made("check"), credit="5", floor="1")
    update(history, "crm", "k0", floor="9")
    history.become_quiet()
    update(history, "erp", "k0", credit="-1")
    history.become_quiet()
    assert len(history.store.holds) == 2
    at_once(history, "crm", {"credit": "20"})
    history.become_quiet()
    assert (worded(history, "erp", "floor"), worded(history, "crm", "floor")) == ("9", "9")
    assert not history.store.holds
    assert value(history, "erp", "k0", "name") == "name0"


def test_what_is_worked_out_twice_in_one_transaction_is_written_where_it_was_right_between() -> None:
    """Found by seed 5015122: `erp` had inserted the row with what was worked out of its first name."""
    history = made("derived")
    erp = history.databases["erp"]
    inserted = erp.insert("item", {"code": "k1", "name": "erp7", "note": "n", "points": "0"})  # label: NULL
    history.users.commit("erp", [*inserted, *erp.update("item", "k1", {"name": "erp8"})])
    history.become_quiet()
    place = erp.columns("item").index("label")
    assert [history.databases[s].rows["item"]["k1"][place] for s in history.systems] == ["ERP8/n"] * 2


def test_a_worked_out_field_does_not_take_a_record_with_a_new_key_out_of_quarantine() -> None:
    """Found by seed 5012156: what was due anew was not looked at, and the writer met a value that it cannot store."""
    history = made("derived", codecs=True, rekeys=True)
    update(history, "crm", "k0", note="crm1", name="crm2")
    history.become_quiet()
    erp = history.databases["erp"]
    renamed = erp.update("item", "k0", {"code": "k1", "name": "erp3", "grade": "Z"})
    history.users.commit("erp", renamed)
    history.become_quiet()
    assert history.store.quarantine == {("item", "k1", "crm"): "cannot be stored: `Z` has no counterpart"}


def test_a_spelling_that_meant_the_right_thing_of_a_record_that_was_then_made_again_does_not_stay() -> None:
    """Found by seed 5040459: all in one transaction."""
    history = agreed(made("many", "same", deletes=True), stage="prospect")
    update(history, "crm", "k0", stage="PP")
    history.become_quiet()
    erp = history.databases["erp"]
    row = dict(zip(erp.columns("item"), erp.rows["item"]["k0"], strict=True))
    statements = [*erp.update("item", "k0", {"stage": "customer"}), *erp.update("item", "k0", {"stage": "prospect"})]
    statements += [*erp.delete("item", "k0"), *erp.insert("item", {**row, "stage": "lost"})]
    history.users.commit("erp", statements)
    history.become_quiet()
    assert (worded(history, "erp", "stage"), worded(history, "crm", "stage")) == ("lost", "L")


def test_a_spelling_stays_where_the_others_have_changed_their_mind_back() -> None:
    history = agreed(made("many"), stage="prospect")
    update(history, "crm", "k0", stage="PP")
    history.become_quiet()
    at_once(history, "erp", {"stage": "customer"}, {"stage": "prospect"})
    history.become_quiet()
    assert (worded(history, "erp", "stage"), worded(history, "crm", "stage")) == ("prospect", "PP")


def test_what_is_due_to_a_row_that_cannot_be_read_on_day_one_is_not_taken_for_written() -> None:
    """Found by seed 5100066: `crm`'s old name counted as a new one as soon as its grade had been corrected."""
    history = World(1, features=replace(CALM, codecs=True))
    history.databases["erp"].insert("item", {"code": "k0", "name": "erp1", "grade": "A"})
    history.databases["crm"].insert("item", {"code": "k0", "name": "crm1", "grade": "9"})
    first_merge(history.book, {s: MemorySnapshot(d) for s, d in history.databases.items()}, history.store)
    history.start_engine()
    history.become_quiet()
    assert history.store.quarantine
    update(history, "crm", "k0", grade="2")
    history.become_quiet()
    assert [value(history, system, "k0", "name") for system in history.systems] == ["erp1", "erp1"]


def test_what_some_systems_have_on_day_one_against_a_check_is_not_written_to_one_another_either() -> None:
    """Found by seed 5114629: the record was made nowhere, but its values went from those that had it to each other."""
    systems = ("erp", "crm", "mes")
    history = World(1, features=replace(
        CALM, systems=systems, words=frozenset({"check"}), skew=dict.fromkeys(systems, 0),
        delete=dict.fromkeys(systems, "propagate"),
    ))  # fmt: skip
    history.databases["erp"].insert("item", {"code": "k0", "name": "n", "credit": "-1"})
    history.databases["crm"].insert("item", {"code": "k0", "name": "n", "credit": "5"})
    first_merge(history.book, {s: MemorySnapshot(d) for s, d in history.databases.items()}, history.store)
    history.start_engine()
    history.become_quiet()
    assert (worded(history, "erp", "credit"), worded(history, "crm", "credit")) == ("-1", "5")
    assert not history.databases["mes"].rows["item"]


def test_a_row_that_is_made_twice_in_one_transaction_is_put_right_in_what_is_not_its_own_any_more() -> None:
    """Found by seed 100502: the first row's value became current, the second's was overruled under the same version."""
    history = agreed(
        made("many", "claims", deletes=True, delete={"erp": "restore", "crm": "propagate"}), stage="customer", rate="1"
    )
    erp = history.databases["erp"]
    row = dict(zip(erp.columns("item"), erp.rows["item"]["k0"], strict=True))
    statements = [*erp.delete("item", "k0"), *erp.insert("item", {**row, "rate": "2"})]
    statements += [*erp.delete("item", "k0"), *erp.insert("item", {**row, "rate": "3", "stage": "prospect"})]
    history.users.commit("erp", statements)
    history.become_quiet()
    assert worded(history, "erp", "rate") == worded(history, "crm", "rate")


def test_what_cannot_be_read_on_day_one_is_not_taken_for_what_all_agree_on() -> None:
    """Found by seed 102039: nor can `crm` store that, and the next change of it elsewhere was refused for that."""
    history = World(1, features=replace(CALM, codecs=True))
    history.databases["erp"].insert("item", {"code": "k0", "name": "erp1", "grade": "Z"})
    history.databases["crm"].insert("item", {"code": "k0", "name": "erp1", "grade": "9"})
    first_merge(history.book, {s: MemorySnapshot(d) for s, d in history.databases.items()}, history.store)
    history.start_engine()
    update(history, "erp", "k0", grade="B")
    history.become_quiet()
    assert ("item", "k0", "erp") not in history.store.quarantine
