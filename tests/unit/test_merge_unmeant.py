"""What a system has need not mean anything, nor be writable again: nothing is lost by that, and nobody falls over it.

The entity has a key and the fields `f` and `g`, in `erp` and `crm`, as in `test_merge_state`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.errors import ValueRefused
from engine.merge import EntityRules, Step, put_back, settle_hold
from engine.rulebook import Check, Codec
from engine.vocabulary import Version
from tests.unit.desk import KEY, Desk, rules_of
from tests.unit.test_merge_state import CHECKED, POSITIVE, F, G, agreed, entity, formula


def refuse(text: str) -> str:
    """A text that means nothing."""
    raise ValueRefused("a value means nothing")


def with_codec(decode: Callable[[str], str], encode: Callable[[str], str], *, closed: bool, **words: object
               ) -> EntityRules:  # fmt: skip
    """The entity, with a codec of `f` in crm."""
    rules = rules_of(("erp", "crm"))
    crm = replace(rules.entity.bindings["crm"], codecs={F: Codec("f in crm", decode, encode)})
    bindings = {**rules.entity.bindings, "crm": crm}
    register = {"closed": frozenset({"crm"})} if closed else {}
    return entity(rules, register=register, bindings=bindings, **words)


def by_a_person(desk: Desk) -> Step:
    """The step in which somebody's decision is carried out."""
    desk.number += 1
    return Step(Version(desk.number, "", 9, 0, "by a person"), "", desk.marks)


def runaway(rules: EntityRules) -> Desk:
    """erp has written `f` twice, the second time too much of it: crm has not been written yet."""
    desk = Desk(rules)
    desk.write("erp", 1, f="1", g="x")
    desk.settle_all()
    desk.write("erp", 2, f="2", g="y")
    assert desk.read("erp")
    return desk


def test_what_a_closed_system_stores_is_not_what_is_put_back() -> None:
    """`one_way`: how crm spells it is no value of the field, so there is nothing to put back to."""
    desk = runaway(with_codec(lambda text: text, lambda text: f"<{text}>", closed=True))
    assert desk.record is not None
    assert put_back(desk.rules, KEY, desk.record, "erp", 2, by_a_person(desk))
    assert desk.record.values == (KEY, "2", "x")


def test_what_means_nothing_is_not_put_back() -> None:
    desk = runaway(with_codec(refuse, lambda text: f"<{text}>", closed=False))
    assert desk.record is not None
    assert put_back(desk.rules, KEY, desk.record, "erp", 2, by_a_person(desk))
    assert desk.record.values == (KEY, "2", "x")


def test_a_hold_is_resolved_also_where_another_system_has_what_means_nothing() -> None:
    desk = Desk(with_codec(refuse, lambda text: f"<{text}>", closed=True, checks=(POSITIVE,)))
    desk.write("erp", 1, f="1", g="x")
    desk.settle_all()
    desk.write("erp", 2, f="-2")
    desk.settle_all()
    desk.write("crm", 3, f="what")
    assert desk.read("crm") and desk.record is not None and desk.record.holds
    settle_hold(desk.rules, KEY, desk.record, F, ("-2",), by_a_person(desk))
    desk.settle_all()
    assert (desk.rows["erp"], desk.rows["crm"]) == ((KEY, "-2", "x"), (KEY, "<-2>", "x"))


def test_what_can_be_read_but_not_written_back_counts_all_the_same() -> None:
    """Found by reading: the record was left with half of the write, and nobody was told of the other half."""
    desk = Desk(with_codec(lambda text: text.strip("<>"), lambda text: refuse(text) if text == "9" else f"<{text}>",
                           closed=False))  # fmt: skip
    desk.write("erp", 1, f="1", g="x")
    desk.settle_all()
    desk.write("crm", 2, f="<9>", g="y")
    desk.settle_all()
    assert desk.rows == {"erp": (KEY, "9", "y"), "crm": (KEY, "<9>", "y")}


def test_a_derived_field_follows_a_write_that_was_let_go() -> None:
    """Found by reading: it kept the value of before the write that had waited."""
    rules = CHECKED.entity
    double = formula("f || f", {F}, lambda v: None if v[F] is None else v[F] + v[F], "text")
    fields = (*rules.fields[:2], replace(rules.fields[G], formula=double))
    registers = (*rules.registers[:2], replace(rules.registers[G], closed=frozenset({"erp", "crm"})))
    allowed = [False]
    check = Check("allowed", formula("allowed", {F}, lambda v: "ft"[allowed[0] or v[F] != "7"]))
    desk = Desk(EntityRules(replace(rules, fields=fields, registers=registers, checks=(check,)), 0))
    desk.write("erp", 1, f="1")
    desk.settle_all()
    desk.write("erp", 2, f="7")
    desk.settle_all()
    assert desk.record is not None and desk.record.holds
    allowed[0] = True
    desk.write("crm", 3, g="what")
    desk.settle_all()
    assert desk.rows == dict.fromkeys(("erp", "crm"), (KEY, "7", "77"))


@pytest.mark.parametrize("later", ["erp", "crm"])
def test_what_waits_as_a_new_record_gives_way_to_the_same_one_that_is_in_order(later: str) -> None:
    """Found by reading: the later of both won, and was written to the other system against the check."""
    desk = Desk(CHECKED)
    desk.write("crm", 5, f="-3", g="x")
    assert desk.read("crm") and desk.record is not None and desk.record.holds
    desk.write("erp", 1 if later == "crm" else 9, f="5", g="x")
    desk.settle_all()
    assert desk.rows == dict.fromkeys(("erp", "crm"), (KEY, "5", "x"))
    assert [entry.because for entry in desk.journal] == ["check: f >= 0", "check: f >= 0"]
    assert not desk.record.holds


def test_two_new_records_that_are_both_against_a_check_overwrite_nobody() -> None:
    desk = Desk(CHECKED)
    desk.write("crm", 5, f="-3", g="x")
    assert desk.read("crm")
    desk.write("erp", 9, f="-5", g="x")
    desk.settle_all()
    assert (desk.rows["crm"], desk.rows["erp"]) == ((KEY, "-3", "x"), (KEY, "-5", "x"))
    desk.write("erp", 10, f="-6")
    desk.settle_all()
    assert (desk.rows["crm"], desk.rows["erp"]) == ((KEY, "-3", "x"), (KEY, "-6", "x"))
    desk.write("erp", 11, f="6")
    desk.settle_all()
    assert desk.rows == dict.fromkeys(("erp", "crm"), (KEY, "6", "x"))
    assert desk.record is not None and not desk.record.holds


def test_what_waits_since_day_one_is_let_go_when_another_field_puts_the_record_in_order() -> None:
    """Found by reading: nobody had written it, so nobody's write was let go, and it waited for ever."""
    below = Check("f <= g", formula("f <= g", {F, G}, lambda v: "ft"[int(v[F] or 0) <= int(v[G] or 0)]))
    desk = agreed(entity(checks=(below,)), "5", "9")
    record = desk.record
    assert record is not None
    desk.number += 1
    record.side("erp").held[F] = (record.version(F), ("5",))  # what the first merge leaves of crm's 12 and erp's 5
    record.values = (KEY, "12", "9")
    record.accept([F], Version(desk.number, "crm", 0, 0, "first merge"))
    record.holds[F] = "check: f <= g"
    desk.rows["crm"] = (KEY, "12", "9")
    desk.write("erp", 3, g="20")
    desk.settle_all()
    assert desk.rows == dict.fromkeys(("erp", "crm"), (KEY, "12", "20"))
    assert desk.record is not None and not desk.record.holds


def test_a_value_spelled_as_elsewhere_is_put_right_where_it_is_only_written_to() -> None:
    """Found by reading: it seemed to agree, and stayed in the other form for ever."""
    desk = Desk(with_codec(lambda text: text, lambda text: f"<{text}>", closed=True))
    desk.write("erp", 1, f="1", g="x")
    desk.settle_all()
    desk.write("crm", 2, f="1")
    desk.settle_all()
    assert desk.rows["crm"] == (KEY, "<1>", "x")
    assert [entry.because for entry in desk.journal] == ["owner: nothing is taken from crm"]
