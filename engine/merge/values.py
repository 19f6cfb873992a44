"""Values between a system's stored form and the house's canonical one, register by register.

Turns images and held values into canonical values and back. It decides nothing and changes no record.
"""

from __future__ import annotations

from types import EllipsisType

from engine.merge.step import EntityRules
from engine.record import Layout
from engine.resolve import RegisterValue
from engine.rulebook import Register
from engine.vocabulary import ABSENT, UNSET, Image, Text


def canonical_values(
    rules: EntityRules, layout: Layout, row: Image, before: Image, registers: list[int]
) -> dict[int, Text | bool]:
    """The canonical values of the fields of some registers. Raises ValueRefused."""
    out: dict[int, Text | bool] = {}
    if not layout.codecs and ABSENT not in row:
        return dict(enumerate(row))  # type: ignore[arg-type]
    for register in registers:
        for number in rules.registers[register].fields:
            out[number] = layout.canonical(number, _present(row[number], before[number]))
    return out


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


def decoded_value(layout: Layout, rule: Register, stored: RegisterValue) -> RegisterValue | None:
    """The canonical value of what a system holds, if it holds all of the register's fields."""
    if len(stored) != len(rule.fields) or any(v is UNSET for v in stored):
        return None
    return tuple([layout.canonical(f, v) for f, v in zip(rule.fields, stored, strict=True)])
