"""Each policy: which of two writes wins, with ties, NULLs, and numbers that no float could hold; and why, in words."""

from __future__ import annotations

from itertools import product

import pytest

from engine.resolve import Contender, Verdict, resolve
from engine.rulebook import PolicyName, Register
from engine.vocabulary import Text, Version

ORDER = ("erp", "crm", "mes")
LONG = "1" + "0" * 58 + "1"
"""A number of 60 digits."""


def judge(
    policy: PolicyName, incoming: tuple[str, int, Text], current: tuple[str, int, Text], *, base: Text = "",
    family: str = "integer",
) -> Verdict:
    """The verdict on a write (system, time, value) that met another. `base`: what its system had, "": nothing."""
    (system, at, value), (other, then, now) = incoming, current
    return resolve(
        Register(1, (1,), None, policy, ORDER), (family,),
        Contender(Version(2, system, at, 20), (value,), None if base == "" else (base,)),
        Contender(Version(1, other, then, 10), (now,)),
    )


@pytest.mark.parametrize(
    ("policy", "incoming", "current", "winner"),
    [
        ("last_writer", ("crm", 6, "1"), ("erp", 5, "2"), "incoming"),
        ("last_writer", ("crm", 4, "1"), ("erp", 5, "2"), "current"),
        ("last_writer", ("crm", 5, "1"), ("erp", 5, "2"), "current"),
        ("last_writer", ("erp", 5, "1"), ("crm", 5, "2"), "incoming"),
        ("first_writer", ("crm", 6, "1"), ("erp", 5, "2"), "current"),
        ("first_writer", ("crm", 4, "1"), ("erp", 5, "2"), "incoming"),
        ("first_writer", ("erp", 5, "1"), ("crm", 5, "2"), "incoming"),
        ("system_of_record", ("crm", 9, "1"), ("erp", 5, "2"), "current"),
        ("system_of_record", ("erp", 1, "1"), ("mes", 5, "2"), "incoming"),
        ("system_of_record", ("erp", 9, "1"), ("", 5, "2"), "current"),
        ("max", ("crm", 1, "10"), ("erp", 5, "9"), "incoming"),
        ("max", ("crm", 1, "9"), ("erp", 5, "10"), "current"),
        ("max", ("crm", 1, "5.0"), ("erp", 5, "5"), "current"),
        ("max", ("crm", 1, None), ("erp", 5, "-9"), "current"),
        ("max", ("crm", 1, "-9"), ("erp", 5, None), "incoming"),
        ("max", ("crm", 1, None), ("erp", 5, None), "current"),
        ("min", ("crm", 1, "10"), ("erp", 5, "9"), "current"),
        ("min", ("crm", 1, "9"), ("erp", 5, "10"), "incoming"),
        ("min", ("crm", 1, None), ("erp", 5, "99"), "current"),
        ("min", ("crm", 1, "99"), ("erp", 5, None), "incoming"),
        ("hold", ("crm", 1, "9"), ("erp", 5, "10"), "hold"),
    ],
)
def test_the_policy_picks_its_winner(
    policy: PolicyName, incoming: tuple[str, int, Text], current: tuple[str, int, Text], winner: str
) -> None:
    assert judge(policy, incoming, current).winner == winner


@pytest.mark.parametrize("policy", ["max", "min"])
@pytest.mark.parametrize(("less", "more"), [("NaN", "1"), (LONG, LONG[:-1] + "2"), ("-0.1", "0"), ("1e3", "1001")])
def test_size_is_exact_and_defined_for_every_value_a_database_prints(policy: PolicyName, less: str, more: str) -> None:
    one = judge(policy, ("crm", 1, less), ("erp", 1, more), family="numeric")
    other = judge(policy, ("erp", 1, more), ("crm", 1, less), family="numeric")

    assert {one.winner, other.winner} == {"incoming", "current"}


def test_texts_and_dates_sort_as_they_stand() -> None:
    assert judge("max", ("crm", 1, "2026-10-01"), ("erp", 1, "2026-09-30"), family="date").winner == "incoming"
    assert judge("max", ("crm", 1, "9"), ("erp", 1, "10"), family="text").winner == "incoming"
    assert judge("max", ("crm", 1, "100:00:00"), ("erp", 1, "99:00:00"), family="time").winner == "incoming"
    assert judge("max", ("crm", 1, "-00:00:02"), ("erp", 1, "-00:00:01.5"), family="time").winner == "current"
    assert judge("max", ("crm", 1, "13:00:00+02"), ("erp", 1, "12:00:00+02"), family="time").winner == "incoming"


def test_delta_adds_what_the_writer_added() -> None:
    verdict = judge("delta", ("crm", 1, "15"), ("erp", 5, "12"), base="10")

    assert (verdict.winner, verdict.merged) == ("merged", ("17",))


def test_delta_keeps_sixty_digits_and_every_decimal() -> None:
    verdict = judge("delta", ("crm", 1, LONG + ".01"), ("erp", 5, "0.1"), base="1", family="numeric")

    assert verdict.merged == ("1" + "0" * 59 + ".11",)


@pytest.mark.parametrize(
    ("value", "now", "base"), [("15", "12", ""), (None, "12", "10"), ("15", None, "10"), ("15", "12", None),
                               ("NaN", "12", "10"), ("15", "Infinity", "10"), ("fifteen", "12", "10")],
)
def test_delta_without_three_numbers_falls_back_to_the_order(value: Text, now: Text, base: Text) -> None:
    verdict = judge("delta", ("crm", 9, value), ("erp", 5, now), base=base)

    assert verdict.winner == "current"
    assert "erp comes first in erp, crm, mes" in verdict.because


@pytest.mark.parametrize("policy", ["last_writer", "first_writer", "system_of_record", "max", "min"])
def test_either_write_may_be_asked_about_first(policy: PolicyName) -> None:
    values: tuple[Text, ...] = ("1", "2", "10", "NaN", None)
    for one, two, at, then in product(values, values, (5, 6), (5, 6)):
        forth = judge(policy, ("crm", at, one), ("erp", then, two), family="numeric").winner
        back = judge(policy, ("erp", then, two), ("crm", at, one), family="numeric").winner

        assert {forth, back} == {"incoming", "current"}, (one, two, at, then)


def test_the_reason_says_who_and_by_how_much() -> None:
    assert judge("last_writer", ("crm", 7_500, "1"), ("erp", 5_000, "2")).because == (
        "last_writer: crm committed 2.500 ms later than erp"
    )
    assert judge("first_writer", ("crm", 7_500, "1"), ("erp", 5_000, "2")).because == (
        "first_writer: erp committed 2.500 ms earlier than crm"
    )
    assert judge("max", ("crm", 1, "3"), ("erp", 5, "2")).because == "max: the value of crm is larger"
    assert judge("hold", ("crm", 1, "3"), ("erp", 5, "2")).because == "hold: left to a person"
