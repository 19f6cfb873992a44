"""Records with keys of their own that end: soft here and hard there, refused, left, re-created; by the real desk."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.desk.batches import PAGE_RECORDS
from engine.record import REREAD
from engine.rulebook import EXISTENCE
from engine.vocabulary import ABSENT, Change, Outcome, RowResult
from tests.unit.crossed_desk import CrossedDesk, book_of

SOFT = """\
  item:
    identity: [code]
    conflict: last_writer
    bind:
      erp: {table: product, key: id, deactivate: {active: "false"}, reactivate: {active: "true"}}
      crm: {table: item, key: id}
    fields: {code: code, name: name}
"""

RESTRICTED = """\
  customer:
    identity: [no]
    conflict: last_writer
    delete: {crm: restrict}
    bind: {erp: {table: party, key: id}, crm: {table: accounts, key: id}}
    fields: {no: no, name: name}
  order:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: sale, key: id}, crm: {table: deals, key: id}}
    fields:
      no: no
      customer: {erp: party, crm: account, reference: customer}
"""

LEAVING = """\
  deal:
    identity: [no]
    conflict: last_writer
    leave: {crm: LEAVE}
    bind:
      erp: {table: sale, key: id}
      crm: {table: deals, key: id, where: "stage = 'won'"}
    fields: {no: no, total: total}
"""


def desk_of(folder: Path, entities: str) -> CrossedDesk:
    """A desk on these entities."""
    return CrossedDesk(book_of(folder, entities))


def soft(folder: Path) -> CrossedDesk:
    """An item that both systems have."""
    desk = desk_of(folder, SOFT)
    desk.tx("crm", desk.row("crm", "item", id="1", code="A", name="Bolt"))
    desk.deliver("erp", item="7")
    desk.tx("erp", desk.row("erp", "product", id="7", code="A", name="Bolt", active="t"), own=True)
    return desk


def test_a_hard_deletion_here_is_a_soft_one_there(tmp_path: Path) -> None:
    desk = soft(tmp_path)
    desk.tx("crm", desk.delete("crm", "item", "1"))
    [write] = desk.deliver("erp")
    assert (write.kind, write.rows[0][2]) == ("delete", ("7",))
    desk.tx("erp", desk.update("erp", "product", id="7", code="A", name="Bolt", active="f"), own=True)
    assert desk.record("item", "crm:1").keys == {"erp": "7"}  # the row is still there


def test_a_soft_deletion_here_is_a_hard_one_there(tmp_path: Path) -> None:
    desk = soft(tmp_path)
    desk.tx("erp", desk.update("erp", "product", id="7", code="A", name="Bolt", active="f"))
    [write] = desk.deliver("crm")
    assert (write.kind, write.rows[0][2]) == ("delete", ("1",))


def left_out(desk: CrossedDesk, name: str) -> Change:
    """An UPDATE of the ERP's item in a log that tells of the key and the name only."""
    number, op, row, old = desk.update("erp", "product", id="7", name=name)
    columns = desk.book.tables["erp"][number].columns
    told = [v if column in ("id", "name") else ABSENT for column, v in zip(columns, row or (), strict=True)]
    return number, op, tuple(told), old


def test_a_log_without_the_column_that_tells_who_is_gone_loses_no_write(tmp_path: Path) -> None:
    desk = soft(tmp_path)
    desk.tx("erp", left_out(desk, "Nut"))
    [write] = desk.deliver("crm")
    assert write.kind == "update"
    assert desk.values("item", "crm:1") == {"code": "A", "name": "Nut"}


def test_who_is_gone_stays_gone_where_the_log_leaves_that_column_out(tmp_path: Path) -> None:
    desk = soft(tmp_path)
    desk.tx("erp", desk.update("erp", "product", id="7", code="A", name="Bolt", active="f"))
    desk.deliver("crm")
    desk.tx("erp", left_out(desk, "Nut"))
    assert desk.deliver("crm") == []
    assert not desk.record("item", "crm:1").alive


def test_what_was_deactivated_is_activated_again_not_made_a_second_time(tmp_path: Path) -> None:
    desk = soft(tmp_path)
    desk.tx("crm", desk.delete("crm", "item", "1"))
    desk.deliver("erp")
    desk.tx("erp", desk.update("erp", "product", id="7", code="A", name="Bolt", active="f"), own=True)
    desk.tx("crm", desk.row("crm", "item", id="2", code="A", name="Bolt, new"))
    [write] = desk.deliver("erp")
    assert (write.kind, write.rows[0][1], write.rows[0][2]) == ("insert", "crm:1", ("7",))
    assert desk.record("item", "crm:1").keys == {"crm": "2", "erp": "7"}


def test_a_user_who_activates_it_again_brings_it_back_everywhere(tmp_path: Path) -> None:
    desk = soft(tmp_path)
    desk.tx("crm", desk.delete("crm", "item", "1"))
    desk.deliver("erp")
    desk.tx("erp", desk.update("erp", "product", id="7", code="A", name="Bolt", active="f"), own=True)
    desk.tx("erp", desk.update("erp", "product", id="7", code="A", name="Bolt 2", active="t"))
    [write] = desk.deliver("crm", item="9")
    assert (write.kind, write.rows[0][2], write.rows[0][3]) == ("insert", (), ("A", "Bolt 2"))


def restricted(folder: Path) -> CrossedDesk:
    """A customer with an order, in both systems."""
    desk = desk_of(folder, RESTRICTED)
    desk.tx("crm", desk.row("crm", "accounts", id="1", no="C1", name="Acme"))
    desk.deliver("erp", customer="5")
    desk.tx("crm", desk.row("crm", "deals", id="2", no="O1", account="1"))
    desk.deliver("erp", order="6")
    return desk


def test_a_deletion_is_overruled_while_others_refer_to_it(tmp_path: Path) -> None:
    desk = restricted(tmp_path)
    desk.tx("crm", desk.delete("crm", "accounts", "1"))
    assert desk.deliver("erp") == []
    [write] = desk.deliver("crm", customer="3")
    assert (write.kind, write.rows[0][1], write.rows[0][2]) == ("insert", "crm:1", ())
    assert desk.record("customer", "crm:1").keys == {"erp": "5", "crm": "3"}
    [entry] = desk.store.journal
    assert entry.because.startswith("restrict: other records refer to it")


def test_a_deletion_goes_through_with_the_last_that_referred_to_it(tmp_path: Path) -> None:
    desk = restricted(tmp_path)
    desk.tx("crm", desk.delete("crm", "deals", "2"), desk.delete("crm", "accounts", "1"))
    assert [(w.kind, w.entity) for w in desk.deliver("erp")] == [("delete", "order"), ("delete", "customer")]


@pytest.mark.parametrize("policy", ["ignore", "delete", "hold"])
def test_a_row_that_leaves_means_what_the_rule_says(tmp_path: Path, policy: str) -> None:
    desk = desk_of(tmp_path, LEAVING.replace("LEAVE", policy))
    desk.tx("crm", desk.row("crm", "deals", id="2", no="O1", total="5", stage="open"))
    assert desk.deliver("erp") == []
    desk.tx("crm", desk.update("crm", "deals", id="2", no="O1", total="5", stage="won"))
    assert [w.kind for w in desk.deliver("erp", deal="6")] == ["insert"]
    desk.tx("crm", desk.update("crm", "deals", id="2", no="O1", total="5", stage="lost"))
    writes = desk.deliver("erp")
    record = desk.record("deal", "crm:2")
    assert record.keys["crm"] == "2"
    if policy == "delete":
        assert [w.kind for w in writes] == ["delete"]
    else:
        assert writes == []
        assert (EXISTENCE in record.holds) == (policy == "hold")


def test_a_child_waits_for_a_parent_that_the_target_refused(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, RESTRICTED)
    desk.tx("crm", desk.row("crm", "accounts", id="1", no="C1", name="Acme"))
    desk.batch("erp")
    desk.answer("erp", RowResult("customer", "crm:1", "failed", reason="constraint `c`"))
    desk.tx("crm", desk.row("crm", "deals", id="2", no="O1", account="1"))
    assert desk.deliver("erp") == []
    reason = desk.decider.quarantined["order", "crm:2", "erp"]
    assert reason == "waits for customer `crm:1`, which is in quarantine"
    desk.tx("crm", desk.update("crm", "accounts", id="1", no="C1", name="Acme Ltd"))
    assert [(w.kind, w.entity) for w in desk.deliver("erp", customer="5", order="6")] == [
        ("insert", "customer"), ("insert", "order"),
    ]
    assert desk.decider.quarantined == {}


def test_rows_left_alone_are_read_not_made_again_when_their_owner_makes_the_record(tmp_path: Path) -> None:
    owned = SOFT.replace("conflict: last_writer", "owner: erp")
    desk = desk_of(tmp_path, owned)
    desk.tx("crm", desk.row("crm", "item", id="1", code="A", name="Bolt"))  # only the ERP may create: it stays alone
    assert desk.record("item", "crm:1").sides["crm"].out
    desk.tx("erp", desk.row("erp", "product", id="7", code="A", name="Bolts", active="t"))
    assert desk.record("item", "crm:1").keys == {"crm": "1", "erp": "7"}
    assert desk.record("item", "crm:1").sides["crm"].wait == REREAD
    assert desk.deliver("crm") == []
    desk.reread("crm", "item", "crm:1", (("1", "A", "Bolt"),))
    [write] = desk.deliver("crm")
    assert (write.kind, write.rows[0][2], write.rows[0][3]) == ("update", ("1",), ("Bolts",))


def test_a_record_that_could_not_be_made_is_out_of_quarantine_when_a_user_makes_it(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, RESTRICTED)
    desk.tx("crm", desk.row("crm", "accounts", id="1", no="C1", name="Acme"))
    desk.batch("erp")
    desk.answer("erp", RowResult("customer", "crm:1", "failed", reason="constraint `party_no_key`"))
    assert desk.decider.quarantined
    desk.tx("erp", desk.row("erp", "party", id="5", no="C1", name="Acme"))
    assert desk.record("customer", "crm:1").keys == {"crm": "1", "erp": "5"}
    assert desk.decider.quarantined == {}
    assert desk.deliver("erp") == []


PEOPLE = """\
  person:
    identity: [email]
    conflict: last_writer
    bind: {erp: {table: people, key: id}, crm: {table: users, key: id}}
    fields: {email: {erp: email, crm: email, conflict: hold}, name: name}
  task:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: task, key: id}, crm: {table: todo, key: id}}
    fields:
      no: no
      who: {erp: who, crm: assignee, reference: person}
"""


def test_any_number_may_wait_for_one_parent(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, PEOPLE)
    tasks = [desk.row("crm", "todo", id=str(n), no=f"T{n}", assignee="1") for n in range(2_000)]
    desk.tx("crm", desk.row("crm", "users", id="1", email="a@x", name="Ann"), *tasks)
    desk.batch("erp")
    refused = [RowResult("task", f"crm:{n}", "failed", reason="its parent is not there") for n in range(2_000)]
    desk.answer("erp", RowResult("person", "crm:1", "failed", reason="constraint `c`"), *refused)
    assert len(desk.decider.quarantined) == 2_001
    desk.tx("crm", desk.update("crm", "users", id="1", email="a@x", name="Anna"))
    assert desk.decider.quarantined == {}
    assert sum(len(write.rows) for write in desk.batch("erp")) == 2_001


def test_only_what_refers_to_a_record_is_read_again_when_it_becomes_known(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, PEOPLE)
    desk.tx("crm", desk.row("crm", "todo", id="1", no="T1", assignee="8"))
    desk.tx("crm", desk.row("crm", "todo", id="2", no="T2", assignee="9"))
    desk.tx("crm", desk.row("crm", "users", id="9", email="a@x", name="Ann"))
    assert list(desk.decider.rereads["crm"]) == [("task", "crm:2")]
    assert list(desk.decider.quarantined) == [("task", "crm:1", "crm")]


def test_a_record_is_recognised_by_what_a_person_decided(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, PEOPLE)
    desk.tx("crm", desk.row("crm", "users", id="3", email="a@x", name="Ann"))
    desk.deliver("erp", person="41")
    desk.tx("crm", desk.update("crm", "users", id="3", email="b@x", name="Ann"), at=1_000)
    desk.tx("erp", desk.update("erp", "people", id="41", email="c@x", name="Ann"), at=1_001)
    assert desk.ask("resolve", entity="person", key="crm:3", take="erp", by="me") == "1 resolved"
    assert desk.values("person", "crm:3")["email"] == "c@x"
    desk.tx("crm", desk.row("crm", "users", id="4", email="b@x", name="Bo"))
    assert desk.record("person", "crm:4").holds == {}
    desk.tx("crm", desk.row("crm", "users", id="5", email="c@x", name="Cy"))
    assert desk.record("person", "crm:5").holds == {EXISTENCE: "identity: looks like crm:3"}


def test_what_looked_like_a_record_goes_on_when_that_was_joined_into_another(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, PEOPLE)
    for id, email in (("3", "a@x"), ("4", "b@x")):
        desk.tx("crm", desk.row("crm", "users", id=id, email=email, name="Ann"))
        desk.deliver("erp", person=f"4{id}")
    desk.tx("crm", desk.row("crm", "users", id="5", email="a@x", name="Amy"))
    assert EXISTENCE in desk.record("person", "crm:5").holds
    assert desk.ask("join", entity="person", key="crm:3", into="crm:4", by="me").startswith("joined")
    assert desk.record("person", "crm:5").holds == {}
    [write] = desk.deliver("erp", person="45")
    assert (write.kind, write.rows[0][1]) == ("insert", "crm:5")


def test_a_batch_larger_than_memory_is_answered_page_by_page_and_all_or_nothing(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, PEOPLE)
    count = 3 * PAGE_RECORDS
    desk.tx("crm", *[desk.row("crm", "users", id=str(n), email=f"{n}@x", name="x") for n in range(count)])
    desk.batch("erp")
    made = [RowResult("person", f"crm:{n}", "created", made=f"4{n}") for n in range(count)]
    outcome = Outcome("erp", desk.sent, 200, made)
    desk.decider.confirm(outcome)
    assert len(desk.decider.dirty) <= PAGE_RECORDS
    desk.store.crash()
    desk.restart()
    assert desk.record("person", "crm:7").keys == {"crm": "7"}
    desk.decider.recover("erp", [outcome])
    desk.decider.commit()
    desk.restart()
    assert all(desk.record("person", f"crm:{n}").keys == {"crm": str(n), "erp": f"4{n}"} for n in range(count))
    assert desk.batch("erp") == []


NATURAL_KEY = """\
  order:
    identity: [code]
    conflict: last_writer
    bind: {erp: {table: sale, key: id}, crm: {table: jobs, key: code}}
    fields: {code: code, memo: memo}
"""


def test_a_key_that_our_own_batch_gave_from_one_record_to_another_is_the_latters(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, NATURAL_KEY)
    desk.tx("erp", desk.row("erp", "sale", id="1", code="c0", memo="a"))
    desk.deliver("crm", order="c0")
    desk.tx("crm", desk.row("crm", "jobs", code="c0", memo="a"), own=True)
    desk.tx("erp", desk.update("erp", "sale", id="1", code="c9", memo="a"))
    desk.tx("erp", desk.row("erp", "sale", id="2", code="c0", memo="b"))
    desk.deliver("crm", order="c0")
    echo = [desk.rekeyed("crm", "jobs", "c0", code="c9", memo="a"), desk.row("crm", "jobs", code="c0", memo="b")]
    desk.tx("crm", *echo, own=True)
    assert desk.record("order", "erp:1").keys == {"erp": "1", "crm": "c9"}
    assert desk.record("order", "erp:2").keys == {"erp": "2", "crm": "c0"}
    assert desk.deliver("erp") == desk.deliver("crm") == []
