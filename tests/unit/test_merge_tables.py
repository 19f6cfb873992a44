"""The merge rule as a table: what was held, who writes what, under which policy, and what comes of it.

One line a case: situation, operation of `crm`, policy | the value all should have, who is to be written | the journal.
Before: all hold 10, written by `erp`. Unseen by `crm`, `erp` has written 12 (at 4); then `crm` writes 15, or deletes
(at 5). `any` stands for every policy; `none`: nobody entitled has said anything yet, the rule leaves the field alone.
`docs/merge.md` tells the same in words. The last test finds a combination that the table lacks.
"""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from engine.plan import row_of
from engine.rulebook import PolicyName
from engine.vocabulary import UNSET
from tests.unit.desk import KEY, Desk, rules_of

TABLE = """
successor  update  any              | 15   | erp     | -
successor  insert  any              | 15   | erp     | -
successor  delete  any              | gone | erp     | -
beside     update  any              | 15   | crm erp | -
conflict   update  last_writer      | 15   | erp     | update_differs 12
conflict   update  first_writer     | 12   | crm     | update_differs 15
conflict   update  system_of_record | 12   | crm     | update_differs 15
conflict   update  max              | 15   | erp     | update_differs 12
conflict   update  min              | 12   | crm     | update_differs 15
conflict   update  delta            | 17   | crm erp | -
conflict   update  union            | 12   | crm     | update_differs 15
conflict   update  expression       | 12   | crm     | update_differs 15
conflict   update  hold             | 12   | -       | hold 15
conflict   insert  last_writer      | 15   | erp     | insert_exists 12
conflict   insert  first_writer     | 12   | crm     | insert_exists 15
conflict   insert  system_of_record | 12   | crm     | insert_exists 15
conflict   insert  max              | 15   | erp     | insert_exists 12
conflict   insert  min              | 12   | crm     | insert_exists 15
conflict   insert  delta            | 12   | crm     | insert_exists 15
conflict   insert  union            | 12   | crm     | insert_exists 15
conflict   insert  expression       | 12   | crm     | insert_exists 15
conflict   insert  hold             | 12   | -       | hold 15
conflict   delete  any              | 12   | crm     | delete_differs -
conflict   delete! any              | gone | erp     | delete_differs 12
tombstone  update  any              | 15   | erp     | update_deleted -
tombstone  update! any              | gone | crm     | update_deleted 15
tombstone  insert  any              | 15   | erp     | -
tomb+owner update  any              | gone | crm     | owner 15
agreement  update  delta            | 14   | crm erp | -
agreement  update  any              | 12   | -       | -
agreement  insert  any              | 12   | -       | -
agreement  delete  any              | gone | -       | -
owner      update  any              | 10   | crm     | owner 15
owner      insert  any              | 12   | crm     | owner 15
owner      delete  any              | 10   | crm     | owner -
held       update  hold             | 12   | -       | hold 15
held       insert  hold             | 12   | -       | hold 15
held       delete  hold             | 12   | crm     | delete_differs -
held       delete! hold             | gone | erp     | delete_differs 12
unset      update  any              | none | erp     | owner 15
unset      insert  any              | none | erp     | owner 15
unset      delete  any              | gone | -       | -
"""
"""`beside`: what `crm` has not seen is another field. `tomb+owner`: only `erp` may write the field, and has deleted the
record. `union` of what is no list, and an `expression` that weighs nothing, go by the order. `delete!`, `update!`:
under `delete_wins`. `owner delete`: deletions there are undone (`restore`)."""

POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)


def cases() -> dict[tuple[str, str, PolicyName], tuple[str, str, str]]:
    """(situation, operation, policy) → (value, due, journal); a line that names its policy goes before `any`."""
    found: dict[tuple[str, str, PolicyName], tuple[str, str, str]] = {}
    for line in TABLE.strip().splitlines():
        given, *expected = [part.strip() for part in line.split("|")]
        situation, op, policy = given.split()
        for one in POLICIES if policy == "any" else (policy,):
            found.setdefault((situation, op, one), tuple(expected))  # type: ignore[arg-type]
    return found


def before(situation: str, op: str, policy: PolicyName) -> Desk:
    """A desk that has come to the situation, `crm` having heard nothing of it."""
    owned = situation in ("owner", "unset", "tomb+owner")
    desk = Desk(rules_of(
        ("erp", "crm"), policy=policy, family="integer", owner="erp" if owned else None,
        delete_wins=op.endswith("!"),
        delete={"erp": "propagate", "crm": "restore" if situation == "owner" else "propagate"},
    ))
    if op == "insert":
        if situation in ("conflict", "agreement", "owner", "held"):
            desk.write("erp", 4, f="12")
            desk.read("erp")
        elif situation == "tombstone":
            _agreed(desk)
            desk.delete("erp", 4)
            desk.settle_all()
        return desk
    if situation == "unset":
        desk.write("crm", 1, g="x")
        desk.read("crm")
        return desk
    _agreed(desk)
    if situation == "beside":
        desk.write("erp", 4, g="y")
        desk.read("erp")
    elif situation in ("conflict", "agreement", "held") and not (situation == "agreement" and op == "delete"):
        desk.write("erp", 4, f="12")
        desk.read("erp")
    elif situation in ("tombstone", "tomb+owner", "agreement"):
        desk.delete("erp", 4)
        desk.read("erp")
    if situation == "held":
        desk.write("crm", 4, f="13")
        desk.read("crm")
        desk.journal.clear()
    return desk


def _agreed(desk: Desk) -> None:
    desk.write("erp", 1, f="10", g="x")
    desk.settle_all()
    desk.journal.clear()


def write(desk: Desk, situation: str, op: str) -> None:
    """What the user of `crm` does, and the reader tells."""
    if op.startswith("delete"):
        desk.delete("crm", 5)
    elif situation == "held" and op == "insert":
        desk.write("crm", 4, f="13")
        desk.read("crm")
        desk.journal.clear()
        desk.write("crm", 5, f="15")
    else:
        desk.write("crm", 5, f="12" if situation == "agreement" else "15")
    desk.read("crm")


def outcome(desk: Desk) -> tuple[str, str, str]:
    """(the value all should have, who is to be written, journal kinds with what was lost of `f`)."""
    record = desk.record
    assert record is not None
    value = record.values[1]
    shown = "gone" if not record.alive else "none" if value is UNSET else str(value)
    due = [
        system for system, side in sorted(record.sides.items())
        if side.due and row_of(desk.rules, KEY, record, side, system) is not None
    ]
    entries = [e for e in desk.journal if e.fields in ((), ("f",))]
    told = [f"{e.kind} {e.lost[0] if e.lost else '-'}" for e in entries]
    return shown, " ".join(due) or "-", ", ".join(told) or "-"


@pytest.mark.parametrize(("case", "expected"), cases().items(), ids=["-".join(case) for case in cases()])
def test_the_merge_rule_does_what_its_table_says(
    case: tuple[str, str, PolicyName], expected: tuple[str, str, str]
) -> None:
    situation, op, policy = case
    desk = before(situation, op, policy)

    write(desk, situation, op)

    assert outcome(desk) == expected


@pytest.mark.parametrize("case", cases(), ids="-".join)
def test_every_case_ends_with_both_systems_equal_or_held(case: tuple[str, str, PolicyName]) -> None:
    situation, op, policy = case
    desk = before(situation, op, policy)
    write(desk, situation, op)

    desk.settle_all()

    assert desk.record is not None
    if desk.record.holds or (situation == "unset" and desk.record.alive):
        return  # a person decides; or the owner has not said anything yet
    assert desk.rows["erp"] == desk.rows["crm"]


def test_the_table_lacks_no_combination() -> None:
    situations = ("successor", "conflict", "agreement", "owner", "unset")
    needed = set(product(situations, ("update", "insert", "delete"), POLICIES))
    needed |= set(product(("held",), ("update", "insert", "delete"), ("hold",)))  # only `hold` holds
    needed |= set(product(("beside",), ("update",), POLICIES))
    needed |= set(product(("tombstone",), ("update", "insert"), POLICIES))
    needed |= set(product(("tomb+owner",), ("update",), POLICIES))
    needed |= {("conflict", "delete!", p) for p in POLICIES} | {("tombstone", "update!", p) for p in POLICIES}

    assert needed - set(cases()) == set()
