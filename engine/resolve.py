"""Two writes of one register that had not seen each other: which one wins, by the rule's policy, and why in words.

Every policy gives the same winner whichever write is asked about first, and always gives one (`order` is the last tie
rule), so that systems cannot end up with swapped values. Commit times come from the logs; no clock is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Context, Decimal, InvalidOperation
from typing import Literal, assert_never

from engine.days import civil, days_of
from engine.errors import ValueRefused
from engine.lists import elements, listed
from engine.rulebook import PolicyName, Register
from engine.vocabulary import Text, Values, Version

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
    weight: Text = None
    """For the policy `expression`: what the rule's expression gives for this write."""


def contender(
    register: Register, values: Values, version: Version, value: RegisterValue, base: RegisterValue | None = None
) -> Contender:
    """A write, weighed if the rule asks for that. `values`: the record's, whatever this register has there."""
    weight: Text = None
    if register.preference is not None:
        row = [*values, version.system or None, _moment(version.committed_at) if version.committed_at else None]
        for number, text in zip(register.fields, value, strict=True):
            row[number] = text
        try:
            weight = register.preference.formula.value(row)
        except ValueRefused:
            weight = None  # what cannot be weighed weighs least
    return Contender(version, value, base, weight)


def resolve(
    register: Register, families: tuple[str, ...], incoming: Contender, current: Contender, margin_us: int = 0
) -> Verdict:
    """Decides a conflict.

    `families`: the canonical types of the register's fields, in their order. `margin_us`: commit times that are no
    further apart cannot be told apart."""
    policy: PolicyName = register.policy
    match policy:
        case "last_writer" | "first_writer":
            return _by_time(policy, register, families, incoming, current, margin_us)
        case "system_of_record":
            return _by_order(register, incoming, current, "system_of_record")
        case "max" | "min":
            return _by_size(policy, register, families, incoming, current)
        case "delta":
            return _by_difference(register, families, incoming, current)
        case "union":
            return _by_union(register, incoming, current)
        case "expression":
            return _by_weight(register, incoming, current)
        case "hold":
            return Verdict("hold", "hold: left to a person")
        case _:
            assert_never(policy)


def describe(version: Version) -> str:
    """Who made a version, in words."""
    return version.system or version.note or "duolog"


def _by_time(
    policy: PolicyName,
    register: Register,
    families: tuple[str, ...],
    incoming: Contender,
    current: Contender,
    margin_us: int,
) -> Verdict:
    ours, theirs = incoming.version.committed_at, current.version.committed_at
    why = ""
    if ours == theirs == 0:
        why = f"{policy}: when either committed is not known"
    elif ours == theirs:
        why = f"{policy}: both committed at the same microsecond"
    elif ours and theirs and abs(ours - theirs) <= margin_us:
        apart = f"{abs(ours - theirs) / 1000:.3f} ms apart"
        why = f"{policy}: committed {apart}, too close to tell (within {margin_us / 1000:.3f} ms)"
    if why:
        return _fallback(register, families, incoming, current, why)
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


def _fallback(
    register: Register, families: tuple[str, ...], incoming: Contender, current: Contender, why: str
) -> Verdict:
    """Asks the policy that stands in where times do not tell."""
    if register.fallback == "system_of_record":
        return _by_order(register, incoming, current, why)
    verdict = resolve(replace(register, policy=register.fallback), families, incoming, current)
    if verdict.winner == "hold":
        return Verdict("hold", f"hold: {why}")
    return replace(verdict, because=f"{why}; {verdict.because}")


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


def _by_union(register: Register, incoming: Contender, current: Contender) -> Verdict:
    """What the writer added to the list is added, what he took out is taken out; in the order of code points."""
    lists: list[dict[Text, None]] = []
    for value in (incoming.base or (None,), incoming.value, current.value):
        try:
            lists.append(dict.fromkeys(elements(value[0])) if isinstance(value[0], str) else {})
        except ValueRefused:
            return _by_order(register, incoming, current, "union: one of the values is no list")
    had, wrote, now = lists
    merged = {**now, **{each: None for each in wrote if each not in had}}
    left = [each for each in merged if each in wrote or each not in had]
    text = listed(sorted(left, key=lambda each: (each is None, each or "")))
    words = f"union: what {describe(incoming.version)} added to and took out of the list counts, too"
    return Verdict("merged", words, (text,))


def _by_weight(register: Register, incoming: Contender, current: Contender) -> Verdict:
    """The write that the rule's expression gives more; nothing is least."""
    preference = register.preference
    family = preference.formula.family if preference is not None else "text"
    ours, theirs = _sortable((incoming.weight,), (family,)), _sortable((current.weight,), (family,))
    if ours == theirs:
        return _by_order(register, incoming, current, "expression: it is the same for both")
    winner = incoming if ours > theirs else current
    text = preference.formula.text if preference is not None else ""
    return Verdict(
        "incoming" if winner is incoming else "current",
        f"expression: `{text}` is more for what {describe(winner.version)} wrote",
    )


def _moment(microseconds: int) -> str:
    """Microseconds since 1970 UTC, as PostgreSQL prints a timestamptz."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    days, second = divmod(seconds, 86_400)
    year, month, day = civil(days + _EPOCH)
    time = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{year:04d}-{month:02d}-{day:02d} {time}" + (f".{fraction:06d}".rstrip("0") if fraction else "") + "+00"


_EPOCH = days_of(1970, 1, 1)
_NUMERIC = {"integer", "numeric", "float"}
_EXACT = Context(prec=5000)
"""Enough digits for any number a database stores: Python's default of 28 would round."""


def _sortable(value: RegisterValue, families: tuple[str, ...]) -> tuple[tuple[int, Decimal, str], ...]:
    """Something that compares as the fields' types do: NULL, then numbers, then texts (ISO dates sort as they
    stand)."""
    out: list[tuple[int, Decimal, str]] = []
    for text, family in zip(value, families, strict=True):
        number = _decimal(text) if family in _NUMERIC else _seconds(text) if family == "time" else None
        if number is not None:
            out.append((1, number, ""))
        else:
            out.append((2, Decimal(0), text) if isinstance(text, str) else (0, Decimal(0), ""))
    return tuple(out)


def _seconds(text: Text | bool) -> Decimal | None:
    """A time that may be below zero or above a day: such texts do not sort as they stand."""
    if not isinstance(text, str) or text.count(":") != 2:
        return None
    hours, minutes, seconds = map(_decimal, text.removeprefix("-").split(":"))
    if hours is None or minutes is None or seconds is None:
        return None
    size = hours * 3600 + minutes * 60 + seconds
    return -size if text.startswith("-") else size


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
