"""The laws L1 to L5, L8 and G7 on the merge rule alone: short scripts of two to four systems, which Hypothesis shrinks.

A script says who writes, deletes, reads or is written when; a `Desk` carries it out over plain rows. Users' values are
unique tokens, so that the fate of each can be told without asking the engine.
"""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ValueRefused
from engine.merge import Step, read
from engine.merge.existence import carry_over
from engine.rulebook import PolicyName
from engine.vocabulary import INSERT, UPDATE, Text, Version
from tests.simulation.books import GRADE_CODEC, MARK_CODEC
from tests.unit.desk import KEY, Desk, rules_of

SYSTEMS = ("erp", "crm", "mes", "shop")
ORDERED: tuple[PolicyName, ...] = ("last_writer", "first_writer", "system_of_record", "max", "min")
"""The policies that pick one of two writes."""


class Act(NamedTuple):
    """One thing that happens to one system."""

    what: str
    system: int
    skew: int


acts = st.lists(
    st.builds(
        Act,
        what=st.sampled_from(("f", "f", "g", "both", "delete", "read", "read", "apply", "apply")),
        system=st.integers(0, 2),
        skew=st.sampled_from((0, 0, 3_600_000_000, -3_600_000_000)),
    ),
    max_size=25,
)
policies = st.sampled_from((*ORDERED, "hold"))


class Users:
    """Carries scripts out, and knows the fate of every token."""

    def __init__(self, desk: Desk, *, deletes: bool = True) -> None:
        self.desk = desk
        self.deletes = deletes
        self.tokens: set[str] = set()
        self.seen: set[Text] = set()
        self.now = 10_000_000_000

    def act(self, act: Act) -> None:
        system = self.desk.systems[act.system % len(self.desk.systems)]
        self.now += 1
        if act.what == "read":
            self.desk.read(system)
        elif act.what == "apply":
            self.desk.apply(system)
        elif act.what == "delete":
            if self.deletes:
                self.seen.update(self.desk.rows[system] or ())
                self.desk.delete(system, self.now + act.skew)
        else:
            self.write(system, act)

    def write(self, system: str, act: Act) -> None:
        columns = {"f": (1,), "g": (2,), "both": (1, 2)}[act.what]
        row = self.desk.rows[system]
        values = {column: f"{system}{self.now}.{column}" for column in columns}
        self.tokens.update(values.values())
        if row is not None:
            self.seen.update(row[column] for column in columns)
        self.desk.write(system, self.now + act.skew, f=values.get(1, ""), g=values.get(2, ""))


@given(script=acts, size=st.integers(2, 3), policy=policies, delete_wins=st.booleans())
@settings(max_examples=400, deadline=None)
def test_all_systems_are_equal_after_quiet_and_a_second_pass_writes_nothing(
    script: list[Act], size: int, policy: PolicyName, delete_wins: bool
) -> None:
    desk = Desk(rules_of(SYSTEMS[:size], policy=policy, delete_wins=delete_wins))
    users = Users(desk)
    for act in script:
        users.act(act)

    desk.settle_all()
    held = desk.record is not None and bool(desk.record.holds)
    rows = {row if row is None or not held else (row[0], row[2]) for row in desk.rows.values()}
    written = desk.written
    desk.settle_all()

    assert len(rows) == 1, desk.rows
    if desk.record is not None and desk.record.alive and not held:
        assert desk.rows["erp"] == desk.record.values
    assert desk.written == written


@given(script=acts, size=st.integers(2, 3), policy=policies)
@settings(max_examples=400, deadline=None)
def test_every_write_is_current_or_succeeded_or_in_the_journal(
    script: list[Act], size: int, policy: PolicyName
) -> None:
    desk = Desk(rules_of(SYSTEMS[:size], policy=policy))
    users = Users(desk, deletes=False)
    for act in script:
        users.act(act)

    desk.settle_all()
    current = {value for row in desk.rows.values() for value in row or ()}
    overruled = {value for entry in desk.journal for value in entry.lost}

    assert users.tokens <= current | overruled | users.seen


@given(script=acts, size=st.integers(2, 3))
@settings(max_examples=300, deadline=None)
def test_a_field_never_carries_what_its_owner_rule_forbids(script: list[Act], size: int) -> None:
    desk = Desk(rules_of(SYSTEMS[:size], owner="erp"))
    users = Users(desk)

    for act in script:
        users.act(act)
        value = desk.record.values[1] if desk.record is not None else None
        assert not isinstance(value, str) or value.startswith("erp")

    desk.settle_all()
    assert all((row or (KEY, None, None))[1] is None or str(row[1]).startswith("erp")  # type: ignore[index]
               for system, row in desk.rows.items() if system == "erp")


@given(script=acts, size=st.integers(2, 3), policy=policies)
@settings(max_examples=300, deadline=None)
def test_who_has_seen_all_before_he_writes_is_never_in_conflict_at_any_clock(
    script: list[Act], size: int, policy: PolicyName
) -> None:
    desk = Desk(rules_of(SYSTEMS[:size], policy=policy))
    users = Users(desk)

    for act in script:
        if act.what not in ("read", "apply"):
            desk.settle_all()
        users.act(act)
    desk.settle_all()

    assert desk.counts.get("conflicts", 0) == 0
    assert not desk.journal


@given(script=acts, size=st.integers(2, 3), at=st.integers(0, 2))
@settings(max_examples=200, deadline=None)
def test_writing_back_what_was_read_changes_nothing(script: list[Act], size: int, at: int) -> None:
    desk = Desk(rules_of(SYSTEMS[:size]))
    users = Users(desk)
    for act in script:
        users.act(act)
    desk.settle_all()
    system = desk.systems[at % size]
    row = desk.rows[system]
    if desk.record is None or row is None:
        return
    step = Step(Version(999, system, users.now, desk.ends[system] + 10), system, desk.marks)

    read(desk.rules, KEY, desk.record, UPDATE, row, desk.ends[system] + 10, step)

    assert step.noise
    assert not step.journal and not step.touched


@given(value=st.text(max_size=8))
def test_reading_back_what_was_written_gives_it(value: str) -> None:
    for codec in (MARK_CODEC, GRADE_CODEC):
        try:
            stored = codec.encode(value)
        except ValueRefused:
            continue
        assert codec.decode(stored) == value
        assert codec.encode(codec.decode(stored)) == stored


def test_a_changed_key_takes_along_what_its_writer_may_not_write() -> None:
    desk = Desk(rules_of(("erp", "crm"), owner="erp"))
    desk.write("erp", 1, f="12", g="x")
    desk.settle_all()
    assert desk.record is not None
    step = Step(Version(9, "crm", 2, 200), "crm", desk.marks)

    made = read(desk.rules, "new", None, INSERT, ("new", "12", "x"), 200, step)
    assert made is not None
    carry_over(desk.rules, made, desk.record.values, step)

    assert made.values == ("new", "12", "x")
    assert made.sides["erp"].due == 9


class Concurrent(NamedTuple):
    """Writes of one field that none of their writers had seen of the others: (value, time) by system."""

    writes: tuple[tuple[str, int], ...]


concurrent = st.builds(
    Concurrent,
    st.lists(
        st.tuples(st.sampled_from(("1", "2", "30", "4")), st.sampled_from((5, 6, 7))), min_size=2, max_size=4
    ).map(tuple),
)


@pytest.mark.parametrize("policy", [*ORDERED, "delta"])
@given(case=concurrent)
@settings(max_examples=60, deadline=None)
def test_the_winner_does_not_depend_on_the_order_of_delivery(policy: PolicyName, case: Concurrent) -> None:
    ends = {_end(policy, case, order) for order in permutations(range(len(case.writes)))}

    assert len(ends) == 1, ends


def _end(policy: PolicyName, case: Concurrent, order: tuple[int, ...]) -> Text:
    """What all have when the writes were delivered in this order."""
    systems = SYSTEMS[: len(case.writes)]
    desk = Desk(rules_of(systems, policy=policy, family="integer"))
    desk.write("erp", 1, f="10", g="x")
    desk.settle_all()
    for system, (value, at) in zip(systems, case.writes, strict=True):
        desk.write(system, at, f=value)
    for place in order:
        desk.read(systems[place])
    desk.settle_all(tuple(systems[place] for place in order))
    values = {(row or (KEY, None, None))[1] for row in desk.rows.values()}
    assert len(values) == 1, values
    return values.pop()


@given(case=concurrent, delete_wins=st.booleans(), policy=st.sampled_from((*ORDERED, "hold")))
@settings(max_examples=100, deadline=None)
def test_a_deletion_and_a_write_end_the_same_whichever_is_heard_first(
    case: Concurrent, delete_wins: bool, policy: PolicyName
) -> None:
    ends = set()
    for first, second in (("erp", "crm"), ("crm", "erp")):
        desk = Desk(rules_of(("erp", "crm"), policy=policy, family="integer", delete_wins=delete_wins))
        desk.write("erp", 1, f="10", g="x")
        desk.settle_all()
        desk.delete("erp", case.writes[0][1])
        desk.write("crm", case.writes[1][1], f=case.writes[1][0])
        desk.read(first)
        desk.read(second)
        desk.settle_all()
        ends.add((desk.rows["erp"], desk.rows["crm"]))

    assert len(ends) == 1, ends
