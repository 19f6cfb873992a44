"""Two writes of one register that had not seen each other: which one wins, by the rule's policy, and why in words.

Every policy gives the same winner whichever write is asked about first, and always gives one (`order` is the last tie
rule), so that systems cannot end up with swapped values. Commit times come from the logs; no clock is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Literal, assert_never

from engine.rulebook import PolicyName, Register
from engine.vocabulary import Text, Version

RegisterValue = tuple[Text | bool, ...]
"""The canonical values of a register's fields."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a conflict."""

    winner: Literal["incoming", "current", "merged", "hold"]
    because: str
    merged: RegisterValue = ()
    """For `merged`: the value that both writes make together."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the two writes."""

    version: Version
    value: RegisterValue
    base: RegisterValue | None = None
    """What the writer's system had before; None: nothing, or unknown."""


def resolve(register: Register, families: tuple[str, ...], incoming: Contender, current: Contender) -> Verdict:
    """Decides a conflict. `families`: the canonical types of the register's fields, in their order."""
    policy: PolicyName = register.policy
    match policy:
        case "last_writer" | "first_writer":
            return _by_time(policy, register, incoming, current)
        case "system_of_record":
            return _by_order(register, incoming, current, "system_of_record")
        case "max" | "min":
            return _by_size(policy, register, families, incoming, current)
        case "delta":
            return _by_difference(register, families, incoming, current)
        case "hold":
            return Verdict("hold", "hold: left to a person")
        case _:
            assert_never(policy)


def describe(version: Version) -> str:
    """Who made a version, in words."""
    return version.system or version.note or "duolog"


def _by_time(policy: str, register: Register, incoming: Contender, current: Contender) -> Verdict:
    ours, theirs = incoming.version.committed_at, current.version.committed_at
    if ours == theirs == 0:
        return _by_order(register, incoming, current, f"{policy}: when either committed is not known")
    if ours == theirs:
        return _by_order(register, incoming, current, f"{policy}: both committed at the same microsecond")
    incoming_wins = (ours > theirs) == (policy == "last_writer")
    winner, loser = (incoming, current) if incoming_wins else (current, incoming)
    when = "later" if policy == "last_writer" else "earlier"
    if not ours or not theirs:
        unknown = describe((current if ours else incoming).version)
        return Verdict(
            "incoming" if incoming_wins else "current",
            f"{policy}: when {unknown} committed is not known, and counts as long ago",
        )
    words = (
        f"{policy}: {describe(winner.version)} committed {abs(ours - theirs) / 1000:.3f} ms {when} "
        f"than {describe(loser.version)}"
    )
    return Verdict("incoming" if incoming_wins else "current", words)


def _by_order(register: Register, incoming: Contender, current: Contender, why: str) -> Verdict:
    """The more trusted system; what duolog itself made (a person's resolution) comes before all."""
    rank = {system: place for place, system in enumerate(register.order)}
    ours = rank.get(incoming.version.system, -1)
    theirs = rank.get(current.version.system, -1)
    winner = incoming.version if ours < theirs else current.version
    words = f"{why}: {describe(winner)} comes first in {', '.join(register.order)}"
    return Verdict("incoming" if ours < theirs else "current", words)


def _by_size(
    policy: str, register: Register, families: tuple[str, ...], incoming: Contender, current: Contender
) -> Verdict:
    ours, theirs = _sortable(incoming.value, families), _sortable(current.value, families)
    if ours == theirs:
        return _by_order(register, incoming, current, f"{policy}: both are of the same size")
    incoming_wins = (ours > theirs) == (policy == "max")
    if _has_null(incoming.value) != _has_null(current.value):
        incoming_wins = not _has_null(incoming.value)
    winner = incoming if incoming_wins else current
    size = "larger" if policy == "max" else "smaller"
    words = f"{policy}: the value of {describe(winner.version)} is {size}"
    return Verdict("incoming" if incoming_wins else "current", words)


def _by_difference(register: Register, families: tuple[str, ...], incoming: Contender, current: Contender) -> Verdict:
    """Adds what the writer added to what it had, field by field."""
    if incoming.base is None:
        return _by_order(register, incoming, current, "delta: one side had no value before")
    merged: list[Text | bool] = []
    for had, wrote, now in zip(incoming.base, incoming.value, current.value, strict=True):
        numbers = _decimal(had), _decimal(wrote), _decimal(now)
        if numbers[0] is None or numbers[1] is None or numbers[2] is None:
            return _by_order(register, incoming, current, "delta: one of the values is no number")
        merged.append(format(_EXACT.add(numbers[2], _EXACT.subtract(numbers[1], numbers[0])), "f"))
    words = f"delta: the difference that {describe(incoming.version)} wrote was added"
    return Verdict("merged", words, tuple(merged))


_NUMERIC = {"integer", "numeric", "float"}
_EXACT = Context(prec=5000)
"""Enough digits for any number a database stores: Python's default of 28 would round."""


def _sortable(value: RegisterValue, families: tuple[str, ...]) -> tuple[tuple[int, Decimal, str], ...]:
    """Something that compares as the fields' types do: NULL, then numbers, then texts (ISO dates sort as they
    stand)."""
    out: list[tuple[int, Decimal, str]] = []
    for text, family in zip(value, families, strict=True):
        number = _decimal(text) if family in _NUMERIC else None
        if number is not None:
            out.append((1, number, ""))
        else:
            out.append((2, Decimal(0), text) if isinstance(text, str) else (0, Decimal(0), ""))
    return tuple(out)


def _has_null(value: RegisterValue) -> bool:
    return any(not isinstance(text, str) for text in value)


def _decimal(text: Text | bool) -> Decimal | None:
    if not isinstance(text, str):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
