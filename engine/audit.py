"""Do the systems agree? Their rows compared through the mapping, and what is known about a difference.

Turns the systems' rows of a record (and its state, where there is one) into a difference, or nothing. It reads and
writes nothing itself, and repairs nothing: a repair is a user's write like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.errors import ValueRefused
from engine.gathering import Found
from engine.merge import EntityRules
from engine.record import STOPPED, Layout, Record
from engine.rulebook import EXISTENCE, Register
from engine.vocabulary import ABSENT, UNSET, Image, Text

Status = Literal["differs", "in flight", "held", "quarantine", "stopped"]
"""`differs`: nobody knows why. The others are known, and listed elsewhere too."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where systems do not agree about one record."""

    entity: str
    key: str
    fields: tuple[str, ...]
    """The fields that differ; empty if the record itself is missing somewhere."""
    missing: tuple[str, ...]
    """The systems that do not have the record though others do."""
    status: Status
    values: Mapping[str, tuple[Text | bool, ...]]
    """By system: the canonical values of `fields`. Row content: shown only if asked for."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """By system that has a row: its own key, where the systems have keys of their own."""


def compare(rules: EntityRules, found: Found, record: Record | None) -> Difference | None:
    """Compares one record's rows, by system. A system that has no row is not in `found.rows`."""
    key, rows = found.id, found.rows
    keys = {s: found.keys[s] for s in rules.layouts if s in found.keys}
    taking_part = [s for s in rules.layouts if record is None or (side := record.sides.get(s)) is None or not side.out]
    present = [s for s in taking_part if s in rows]
    missing = tuple(s for s in taking_part if s not in rows)
    if not present:
        return None
    if record is not None and not record.alive and not any(s in rules.entity.create for s in present):
        return None
    if missing:
        wrong = missing if record is None or record.alive else present  # who is to get it, or to lose it
        return Difference(rules.name, key, (), missing, _status(record, [EXISTENCE], wrong), {}, keys)
    registers = [r for r in rules.registers[1:] if _differs(rules, r, rows, present, record)]
    if not registers:
        return None
    fields = tuple(name for r in registers for name in rules.names(r.number))
    numbers = [f for r in registers for f in r.fields]
    values = {s: tuple(_canonical(rules.layouts[s], f, rows[s]) for f in numbers) for s in present}
    status = _status(record, [r.number for r in registers], present)
    return Difference(rules.name, key, fields, (), status, values, keys)


def _status(record: Record | None, registers: list[int], systems: Sequence[str]) -> Status:
    if record is None:
        return "in flight"
    sides = [record.sides[s] for s in systems if s in record.sides]
    if any(side.bad for side in sides):
        return "quarantine"
    if record.holds and all(r in record.holds for r in registers):
        return "held"
    if any(side.wait == STOPPED for side in sides):
        return "stopped"
    return "in flight" if any(side.due or side.wait for side in sides) else "differs"


def _differs(
    rules: EntityRules, register: Register, rows: Mapping[str, Image], present: list[str], record: Record | None
) -> bool:
    """True unless each two systems' values are the same, or one is what the other's mapping makes of it."""
    bound = [s for s in present if rules.layouts[s].fields_of[register.number]]
    first = bound[0] if bound else ""
    for other in bound[1:]:
        for number in register.fields:
            if not _same(rules, number, first, other, rows) and not _known(rules, register, bound, rows, record):
                return True
    return False


def _same(rules: EntityRules, number: int, one: str, other: str, rows: Mapping[str, Image]) -> bool:
    left, right = rules.layouts[one], rules.layouts[other]
    if number not in left.bound or number not in right.bound:
        return True
    a, b = _canonical(left, number, rows[one]), _canonical(right, number, rows[other])
    return a == b or _stored(right, number, a) == rows[other][number] or _stored(left, number, b) == rows[one][number]


def _known(
    rules: EntityRules, register: Register, systems: list[str], rows: Mapping[str, Image], record: Record | None
) -> bool:
    """True if the state knows that each system holds the current version, as it really stored it."""
    if record is None:
        return False
    current = record.version(register.number)
    for system in systems:
        layout = rules.layouts[system]
        side = record.sides.get(system)
        entry = side.held.get(register.number) if side is not None else None
        version, stored = entry or (current, layout.stored(register.number, record.values))
        if version != current or stored != tuple([rows[system][f] for f in layout.fields_of[register.number]]):
            return False
    return True


def _canonical(layout: Layout, number: int, row: Image) -> Text | bool:
    value = row[number]
    if value is ABSENT:
        return UNSET
    try:
        return layout.canonical(number, value)
    except ValueRefused:
        return UNSET


def _stored(layout: Layout, number: int, value: Text | bool) -> Text | bool:
    codec = layout.binding.codecs.get(number)
    if codec is None or not isinstance(value, str):
        return value
    try:
        return codec.encode(value)
    except ValueRefused:
        return UNSET
