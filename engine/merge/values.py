"""Values between a system's stored form and the house's canonical one, register by register.

Turns images and held values into canonical values and back, and says when two are the same. It decides nothing and
changes no record.
"""

from __future__ import annotations

from types import EllipsisType

from engine.errors import ValueRefused
from engine.merge.step import EntityRules
from engine.record import Layout
from engine.resolve import RegisterValue
from engine.rulebook import Register
from engine.sameness import same
from engine.vocabulary import ABSENT, UNSET, Image, Text, Values


def canonical_values(
    rules: EntityRules, layout: Layout, row: Image, before: Image, registers: list[int]
) -> dict[int, Text | bool]:
    """The canonical values of the fields of some registers. Raises ValueRefused."""
    out: dict[int, Text | bool] = {}
    if rules.plain and not layout.codecs and ABSENT not in row:
        return dict(enumerate(row))  # type: ignore[arg-type]
    for register in registers:
        rule = rules.registers[register]
        if register in layout.straight:
            for number in rule.fields:
                value = row[number]
                out[number] = value if value is not ABSENT else _present(value, before[number])
            continue
        for number in rule.fields:
            out[number] = understood(layout, rule, number, _present(row[number], before[number]))
        complete(rule, layout, out)
    return out


def understood(layout: Layout, rule: Register, number: int, stored: Text | bool) -> Text | bool:
    """A stored value's meaning. What means nothing to us only matters where it may count."""
    try:
        return layout.canonical(number, stored)
    except ValueRefused:
        if rule.number in layout.owns or rule.claims:
            raise
        return stored


def complete(rule: Register, layout: Layout, values: dict[int, Text | bool]) -> None:
    """What a system has no column for, of fields that are one another's parts and whole, is worked out."""
    joint = rule.joint
    if joint is None:
        return
    if joint.whole in layout.bound:
        whole = values[joint.whole]
        parts = joint.split(whole) if isinstance(whole, str) else (None,) * len(joint.parts)
        values.update(zip(joint.parts, parts, strict=True))
    elif layout.bound.issuperset(joint.parts):
        values[joint.whole] = joint.join(tuple([v if isinstance(v := values[f], str) else None for f in joint.parts]))


def state_of(rules: EntityRules, layout: Layout, row: Image, values: Values) -> Values:
    """A record as one system has it, in canonical form: `row` where that says something that we understand, and the
    current `values` for the rest."""
    state: dict[int, Text | bool] = dict(enumerate(values))
    for number in layout.bound:
        stored = row[number]
        if stored is not ABSENT:
            try:
                state[number] = layout.canonical(number, stored)
            except ValueRefused:
                continue
    for rule in rules.registers[1:]:
        complete(rule, layout, state)
    return tuple(state.values())


def is_same(rules: EntityRules, rule: Register, layout: Layout, one: RegisterValue, other: RegisterValue) -> bool:
    """True if a value that the system of `layout` wrote means what another one does, by the form that the rule gives.

    Where it has only the whole of several parts, nothing is said by how we have taken that apart."""
    if one == other:
        return True
    forms = rules.forms[rule.number]
    joint = rule.joint
    if not forms and joint is None:
        return False
    for place, number in enumerate(rule.fields):
        if joint is not None and number not in layout.bound:
            continue
        if not same(one[place], other[place], forms[place] if forms else "exact"):
            return False
    return True


def _present(new: Text | bool | EllipsisType, old: Text | bool | EllipsisType) -> Text | bool:
    """The new value, or where the log did not carry it, the old one (NULL where the system has no such column)."""
    if new is not ABSENT:
        return new
    return None if old is ABSENT else old


def stored_now(layout: Layout, register: int, row: Image, before: Image) -> RegisterValue:
    """What the system holds of a register after the change, as stored."""
    return tuple([_present(row[f], before[f]) for f in layout.fields_of[register]])


def predicted_value(layout: Layout, rule: Register, value: RegisterValue) -> RegisterValue:
    """How a system is expected to store a register's canonical value."""
    codecs = layout.binding.codecs
    by_field = dict(zip(rule.fields, value, strict=True))
    return tuple(
        [
            codecs[f].encode(v) if f in codecs and isinstance(v := by_field[f], str) else by_field[f]
            for f in layout.fields_of[rule.number]
        ]
    )


def stores_so(layout: Layout, rule: Register, value: RegisterValue, stored: RegisterValue) -> bool:
    """True if a system is expected to store a canonical value as this. What can be read there need not be a value
    that could be written."""
    try:
        return predicted_value(layout, rule, value) == stored
    except ValueRefused:
        return False


def decoded_value(layout: Layout, rule: Register, stored: RegisterValue) -> RegisterValue | None:
    """The canonical value of what a system holds, if it holds all of the register's fields, and they mean anything:
    where nothing counts that is written there, nothing need."""
    fields = layout.fields_of[rule.number]
    if any(v is UNSET for v in stored) or len(stored) != len(fields):
        return None
    try:
        values: dict[int, Text | bool] = {f: layout.canonical(f, v) for f, v in zip(fields, stored, strict=True)}
    except ValueRefused:
        return None
    if len(fields) != len(rule.fields):
        if rule.joint is None:
            return None
        complete(rule, layout, values)
    return tuple([values[f] for f in rule.fields]) if values.keys() >= set(rule.fields) else None
