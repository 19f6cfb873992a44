"""An entity that is stopped, in the real desk: who waits and what flows, until a person lets it go or puts it back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.merge import Step, put_back
from engine.record import STOPPED, Mark, Record, Side
from engine.vocabulary import RowResult, Transaction, Version
from tests.unit.crossed_desk import CrossedDesk, book_of
from tests.unit.desk import rules_of
from tests.unit.limits import DELETES, INSERTS, SECOND, UPDATES, LimitedDesk, desk_of, limited

SYSTEMS = ("erp", "crm", "mes")


# ------------------------------------------------------------ what waits, and what flows


def test_reading_goes_on_and_other_entities_flow() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(6), "update", name="y"), desk.row("erp", "order", code="o1", item="i9"))
    assert desk.written("crm") == [("insert", "o1")]
    desk.tx("erp", *desk.items("erp", range(7, 8), "update", name="z"))
    assert desk.written("crm") == []
    desk.tx("crm", *desk.items("crm", range(8, 9), "update", name="z"))
    assert desk.written("erp") == []
    assert desk.decider.durable_positions["erp"] == desk.positions["erp"]


def test_what_was_due_before_is_written_and_what_comes_with_the_transaction_is_not() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(2), "update", name="y"))
    desk.tx("erp", *desk.items("erp", range(1, 7), "update", name="z"))
    assert desk.written("crm") == [("update", "i0")]
    desk.ask("allow", entity="item")
    [write] = desk.batch("crm")
    assert {row[1]: row[3] for row in write.rows} == {f"i{n}": ("z",) for n in range(1, 7)}


def test_what_was_decided_in_the_same_round_before_is_written() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    for position, numbers in ((1000, range(2)), (1010, range(2, 8))):
        changes = desk.items("erp", numbers, "update", name="y")
        transaction = Transaction("erp", position, position, False, changes, len(changes))
        desk.decider.prefetch([transaction])
        desk.decider.decide(transaction)
    desk.decider.commit()
    assert desk.written("crm") == [("update", "i0"), ("update", "i1")]


def test_a_batch_under_way_when_it_stops_is_answered_and_what_changed_since_waits() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(2), "update", name="y"))
    assert desk.batch("crm")
    desk.tx("erp", *desk.items("erp", range(6), "update", name="z"))
    desk.answer("crm", RowResult("item", "i1", "unmatched"))
    desk.tx("crm", *desk.items("crm", range(1, 2), "update", name="u"), at=1)  # this is why
    desk.decider.pass_position("crm", desk.positions["crm"])
    assert desk.written("crm") == []
    assert {desk.record("item", f"i{n}").sides["crm"].wait for n in range(6)} == {STOPPED}
    desk.ask("allow", entity="item")
    assert len(desk.written("crm")) == 6


def test_a_batch_planned_page_by_page_writes_what_it_was_formed_of_though_it_stops_meanwhile() -> None:
    desk = desk_of(UPDATES)
    desk.tx("erp", *desk.items("erp", range(20), name="x"))
    desk.restart()  # what is due is read back from the store from here on, when the writer gets to it
    batch = desk.decider.next_batch("crm")
    assert batch is not None and batch.pages is not None
    desk.decider.commit()
    desk.tx("erp", *desk.items("erp", range(6), "update", name="y"))
    assert desk.decider.stops
    inserted = {row[1]: row[3][1] for writes in batch.parts() for w in writes for row in w.rows}
    assert inserted == {f"i{n}": "x" for n in range(20)}, "else they would be taken for written"
    desk.sent = batch.number_to
    desk.answer("crm")
    desk.ask("allow", entity="item")
    assert desk.written("crm") == [("update", f"i{n}") for n in range(6)]


def test_children_of_what_is_not_made_wait_with_it_and_come_with_it() -> None:
    desk = desk_of(INSERTS)
    desk.fill(3)
    children = [desk.row("erp", "order", code=f"o{n}", item=f"i{n}") for n in (1, 12)]
    desk.tx("erp", *desk.items("erp", range(10, 16), name="x"), *children)
    assert desk.written("crm") == [("insert", "o1")]
    desk.tx("erp", desk.row("erp", "order", code="late", item="i13"))
    assert desk.written("crm") == []
    assert desk.ask("allow", entity="item") == "`item` goes on; 8 records waited"
    assert [key for _, key in desk.written("crm")] == ["i10", "i11", "i12", "i13", "i14", "i15", "late", "o12"]


def test_deleting_a_parent_waits_while_its_children_are_stopped() -> None:
    desk = desk_of(order=DELETES)
    desk.fill(20)
    desk.tx("erp", *[desk.row("erp", "order", code=f"o{n}", item="i1") for n in range(20)])
    desk.settle()
    gone = [desk.delete("erp", "order", f"o{n}") for n in range(20)]
    desk.tx("erp", desk.delete("erp", "item", "i1"), *gone)  # as a cascade writes it
    assert desk.written("crm") == [], "a cascade there would delete the orders"
    desk.tx("erp", desk.delete("erp", "item", "i2"), *desk.items("erp", range(3, 4), "update", name="y"))
    assert desk.written("crm") == [("update", "i3")]
    assert desk.ask("allow", entity="order") == "`order` goes on; 22 records waited"
    assert len(desk.written("crm")) == 22


def test_two_stops_and_one_is_let_go() -> None:
    desk = desk_of(UPDATES, DELETES)
    desk.fill(20)
    desk.tx("erp", *[desk.row("erp", "order", code=f"o{n}", item="i1") for n in range(20)])
    desk.settle()
    desk.tx("erp", *[desk.delete("erp", "order", f"o{n}") for n in range(6)])
    desk.tx("erp", *desk.items("erp", range(6), "update", name="y"), desk.delete("erp", "item", "i9"))
    assert desk.ask("allow", entity="item") == "`item` goes on; 7 records waited"
    assert [key for _, key in desk.written("crm")] == [f"i{n}" for n in range(6)], "i9 waits for the orders"
    desk.ask("allow", entity="order")
    assert len(desk.written("crm")) == 7


# ------------------------------------------------------------ the answers


def test_a_stop_outlives_a_crash_and_so_does_who_waits() -> None:
    desk = desk_of(DELETES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(6), "delete"))
    before = desk.decider.stops
    desk.restart()
    assert desk.decider.stops == before
    assert desk.decider.news == [("entity still stopped", (
        "users of erp deleted 6 records of `item` within 1 min; 5 are allowed; nothing of it is written before "
        "`duolog allow RULES item`"
    ))]
    assert desk.written("crm") == []
    desk.tx("erp", *desk.items("erp", range(8, 9), "update", name="y"))
    assert desk.written("crm") == []
    assert desk.ask("allow", entity="item") == "`item` goes on; 7 records waited"
    assert len(desk.written("crm")) == 7
    desk.restart()
    assert desk.decider.stops == {}
    assert desk.written("crm") == []


def test_after_it_is_allowed_the_window_starts_anew() -> None:
    desk = desk_of(DELETES)
    desk.fill(30)
    desk.tx("erp", *desk.items("erp", range(6), "delete"))
    desk.ask("allow", entity="item")
    desk.settle()
    desk.tx("erp", *desk.items("erp", range(6, 11), "delete"))
    assert len(desk.written("crm")) == 5
    assert desk.ask("allow", entity="item") == "`item` is not stopped"


def test_any_number_may_wait_and_is_let_go_page_by_page() -> None:
    desk = desk_of(UPDATES)
    desk.fill(4100)
    desk.tx("erp", *desk.items("erp", range(4100), "update", name="y"))
    assert desk.written("crm") == []
    assert desk.ask("allow", entity="item") == "`item` goes on; 4100 records waited"
    desk.decider.commit()
    assert len(desk.written("crm")) == 4100
    assert desk.written("crm") == []


def test_rows_restored_by_hand_leave_nothing_to_write() -> None:
    desk = desk_of()
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(20), "delete"))
    desk.tx("erp", *desk.items("erp", range(20), name="x"))
    assert desk.ask("allow", entity="item") == "`item` goes on; 20 records waited"
    assert desk.written("crm") == desk.written("erp") == []
    desk.tx("erp", *desk.items("erp", range(1), "update", name="y"))
    assert desk.written("crm") == [("update", "i0")]


def test_a_deletion_is_put_back_as_the_others_have_it() -> None:
    desk = desk_of(systems=SYSTEMS)
    desk.fill(20)
    before = desk.record("item", "i3").values
    desk.tx("erp", *desk.items("erp", range(3, 4), "update", name="last words"), at=1)
    desk.settle()
    desk.tx("erp", *desk.items("erp", range(20), "delete"), at=2)
    answer = desk.ask("allow", entity="item", undo="erp", by="ann")
    assert answer == "`item` goes on; 20 records waited, 20 were put back"
    assert desk.written("crm") == desk.written("mes") == []
    [write] = desk.batch("erp")
    assert (write.kind, len(write.rows)) == ("insert", 20)
    values = {row[1]: dict(zip(write.columns, row[3], strict=True)) for row in write.rows}
    assert values["i3"][1] == "last words" and values["i4"][1] == before[1]
    entry = desk.store.journal[-1]
    assert (entry.kind, entry.loser.system if entry.loser else "") == ("resolved", "erp")
    assert entry.because == "put back by ann: erp has no record of `item` left: its users deleted 20 within 1 h"
    desk.answer("erp")
    desk.tx("erp", *desk.items("erp", range(3, 4), "update", name="again"), at=3)
    assert desk.written("crm") == [("update", "i3")]


def test_what_others_wrote_of_a_deleted_record_counts_when_it_is_put_back() -> None:
    made = limited(DELETES)
    entities = {n: replace(e, delete_wins=True) for n, e in made.entities.items()}
    desk = LimitedDesk(replace(made, entities=entities))
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(6), "delete"))
    desk.tx("crm", *desk.items("crm", range(1), "update", name="late"))  # overruled: the deletion wins
    desk.ask("allow", entity="item", undo="erp")
    assert desk.written("crm") == []
    assert desk.values("item", "i0")["name"] == "late"
    assert len(desk.written("erp")) == 6


def test_updates_are_put_back_and_what_others_wrote_meanwhile_stays() -> None:
    desk = desk_of(UPDATES, systems=SYSTEMS)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(6), "update", name="runaway"), at=1000)
    desk.tx("crm", *desk.items("crm", range(1), "update", name="later"), at=2000)  # a conflict; the last writer wins
    desk.tx("crm", *desk.items("crm", range(1, 2), "update", name="earlier"), at=500)  # it loses
    assert desk.ask("allow", entity="item", undo="erp") == "`item` goes on; 6 records waited, 5 were put back"
    assert desk.written("crm") == []
    assert [desk.values("item", f"i{n}")["name"] for n in range(3)] == ["later", "earlier", "x"]
    [write] = desk.batch("erp")
    assert {row[1]: row[3] for row in write.rows} == {
        "i0": ("later",), "i1": ("earlier",), **{f"i{n}": ("x",) for n in range(2, 6)},
    }  # fmt: skip
    lost = {entry.key: entry.lost for entry in desk.store.journal if entry.kind == "resolved"}
    assert lost == {f"i{n}": ("runaway",) for n in range(1, 6)}


def test_what_is_put_back_is_nothing_that_its_writer_may_not_write() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(6), "update", limit="by erp"), at=10)
    desk.tx("crm", *desk.items("crm", range(1), "update", limit="by crm"), at=20)  # only erp may
    desk.ask("allow", entity="item", undo="erp")
    assert desk.values("item", "i1")["limit"] is None
    assert desk.values("item", "i0")["limit"] == "by erp", "what it was before stands nowhere any more"
    assert ("update", "i0") in desk.written("crm")


def test_an_import_is_put_back_by_deleting_it_where_it_was_made() -> None:
    desk = desk_of(INSERTS)
    desk.fill(3)
    desk.tx("erp", *desk.items("erp", range(10, 16), name="n"), desk.row("erp", "order", code="o1", item="i11"))
    assert desk.ask("allow", entity="item", undo="erp") == "`item` goes on; 7 records waited, 7 were put back"
    assert desk.written("crm") == []
    assert desk.written("erp") == [("delete", "i10"), ("delete", "i11"), ("delete", "i12"), ("delete", "i13"),
                                   ("delete", "i14"), ("delete", "i15"), ("delete", "o1")]  # fmt: skip
    assert ("n",) in [entry.lost for entry in desk.store.journal if entry.key == "i12"]


def test_putting_back_while_a_batch_is_under_way() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(2), "update", name="y"))
    desk.batch("crm")
    desk.tx("erp", *desk.items("erp", range(6), "update", name="z"))
    assert desk.ask("allow", entity="item", undo="erp") == "`item` goes on; 6 records waited, 6 were put back"
    desk.answer("crm")
    assert desk.written("crm") == []
    [write] = desk.batch("erp")
    assert [row[3] for row in sorted(write.rows, key=lambda row: row[1])] == [("y",)] * 2 + [("x",)] * 4


def test_a_truncation_that_a_person_has_spoken_about_is_not_asked_about_again() -> None:
    desk = desk_of(DELETES)
    desk.fill(20)
    desk.ask("truncated", system="erp", entity="item", choice="delete")
    desk.tx("erp", (0, "T", None, None))
    assert len(desk.written("crm")) == 20


def test_our_own_copy_that_gives_way_to_a_users_row_is_not_made_a_record_again() -> None:
    rules = rules_of(("erp", "crm"))
    made = Version(7, "erp", 0, 0)
    ghost = Record(False, ("k", "f", "g"), [made], bytes(3), {"crm": Side(held={0: (made, (True,))}, due=8)})
    step = Step(Version(9, "", 0, 0, "put back"), "", {"erp": Mark(), "crm": Mark()})
    assert not put_back(rules, "k", ghost, "erp", 7, step)
    assert not ghost.alive

    before = Version(3, "crm", 0, 0)
    deleted = Record(False, ("k", "f", "g"), [made], bytes(3), {"crm": Side(held={0: (before, (True,))}, due=8)})
    assert put_back(rules, "k", deleted, "erp", 7, step)
    assert deleted.alive


# ------------------------------------------------------------ records with a key of their own in each system


OWN_KEYS = """\
  employee:
    identity: [email]
    conflict: last_writer
    bind: {erp: {table: hr_employee, key: id}, crm: {table: users, key: id}}
    fields:
      email: email
      name: name
      boss: {erp: boss, crm: manager, reference: employee}
    limits: {inserts: 3 in 1 h, deletes: 3 in 1 h}
  account:
    identity: [number]
    conflict: last_writer
    bind: {erp: {table: account, key: id}, crm: {table: accounts, key: id}}
    fields:
      number: number
      rep: {erp: rep, crm: owner, reference: employee}
"""


@pytest.fixture
def own_keys(tmp_path: Path) -> CrossedDesk:
    """Three employees everywhere, each with a key of his own in each system."""
    desk = CrossedDesk(book_of(tmp_path, OWN_KEYS))
    for n in range(3):
        desk.tx("erp", desk.row("erp", "hr_employee", id=f"{n}", email=f"e{n}@x", name="x"), at=n * 3600 * SECOND)
        desk.deliver("crm", employee=f"c{n}")
    desk.tx("erp", desk.row("erp", "account", id="1", number="A1", rep="0"))
    desk.deliver("crm", account="k1")
    return desk


def test_own_keys_deleted_records_are_put_back_under_new_keys_and_referred_to_again(own_keys: CrossedDesk) -> None:
    desk = own_keys
    desk.tx("erp", desk.row("erp", "hr_employee", id="3", email="e3@x", name="x"), at=9 * 3600 * SECOND)
    desk.deliver("crm", employee="c3")
    gone = [desk.delete("erp", "hr_employee", f"{n}") for n in range(4)]
    desk.tx("erp", *gone, desk.update("erp", "account", id="1", number="A1", rep=None), at=20 * 3600 * SECOND)
    assert [(w.kind, w.entity) for w in desk.batch("crm")] == [("update", "account")]
    desk.answer("crm")
    answer = desk.ask("allow", entity="employee", undo="erp")
    assert answer == "`employee` goes on; 4 records waited, 4 were put back"
    assert desk.batch("crm") == []
    [write] = desk.batch("erp")
    assert (write.kind, len(write.rows)) == ("insert", 4)
    desk.answer("erp", *[RowResult("employee", row[1], "created", made=f"n{row[1]}") for row in write.rows])
    assert desk.record("employee", "erp:0").keys == {"crm": "c0", "erp": "nerp:0"}
    desk.tx("crm", desk.update("crm", "accounts", id="k1", number="A1", owner="c0"), at=21 * 3600 * SECOND)
    [write] = desk.batch("erp")
    assert (write.entity, write.rows[0][3]) == ("account", ("nerp:0",))


def test_own_keys_what_looks_like_a_record_that_is_put_back_is_held_again(own_keys: CrossedDesk) -> None:
    """Found by a newcomer: the deletion let go who was held for looking like it; after the undo he was made twice."""
    desk = own_keys
    desk.tx("erp", desk.row("erp", "hr_employee", id="3", email="e3@x", name="x"), at=9 * 3600 * SECOND)
    desk.deliver("crm", employee="c3")
    desk.tx("crm", desk.row("crm", "users", id="c9", email="e1@x", name="double"), at=10 * 3600 * SECOND)
    assert desk.batch("erp") == []
    assert desk.record("employee", "crm:c9").holds == {0: "identity: looks like erp:1"}

    desk.tx("erp", *[desk.delete("erp", "hr_employee", f"{n}") for n in range(4)], at=20 * 3600 * SECOND)
    desk.ask("allow", entity="employee", undo="erp")

    assert desk.record("employee", "crm:c9").holds == {0: "identity: looks like erp:1"}
    [write] = desk.batch("erp")
    assert sorted(row[1] for row in write.rows) == ["erp:0", "erp:1", "erp:2", "erp:3"]


def test_own_keys_what_refers_to_records_that_are_not_made_waits_with_them(own_keys: CrossedDesk) -> None:
    desk = own_keys
    new = [desk.row("erp", "hr_employee", id=f"{n}", email=f"e{n}@x", name="x", boss="7") for n in range(7, 11)]
    desk.tx("erp", *new, desk.row("erp", "account", id="2", number="A2", rep="8"), at=20 * 3600 * SECOND)
    assert desk.batch("crm") == []
    assert dict(desk.decider.quarantined) == {}
    desk.restart()
    assert desk.batch("crm") == []
    assert desk.ask("allow", entity="employee") == "`employee` goes on; 5 records waited"
    assert sorted((w.kind, w.entity, len(w.rows)) for w in desk.batch("crm")) == [
        ("insert", "account", 1), ("insert", "employee", 4),
    ]  # fmt: skip


def test_own_keys_rows_restored_by_hand_are_recognised_and_leave_nothing_to_write(own_keys: CrossedDesk) -> None:
    desk = own_keys
    desk.tx("erp", desk.row("erp", "hr_employee", id="3", email="e3@x", name="x"), at=9 * 3600 * SECOND)
    desk.deliver("crm", employee="c3")
    desk.tx("erp", *[desk.delete("erp", "hr_employee", f"{n}") for n in range(4)], at=20 * 3600 * SECOND)
    back = [desk.row("erp", "hr_employee", id=f"9{n}", email=f"e{n}@x", name="x") for n in range(4)]
    desk.tx("erp", *back, at=21 * 3600 * SECOND)
    desk.ask("allow", entity="employee")
    assert desk.batch("crm") == desk.batch("erp") == []
    assert desk.record("employee", "erp:2").keys == {"crm": "c2", "erp": "92"}
