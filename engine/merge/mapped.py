"""The short way of an update where systems store fields otherwise, or something is decided by the record's state.

Turns an update of a record that all systems hold as it is current into its next state, if all that it changes becomes
current as it stands: it means something new, its writer may write it, and no check is broken by it. It does exactly
what `read` would do, and leaves to that whatever may be otherwise: nothing has happened then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import ne

from engine.errors import ValueRefused
from engine.merge.checks import broken
from engine.merge.derived import derive, worked_out_once
from engine.merge.ownership import forbidden
from engine.merge.step import EntityRules, Step
from engine.merge.values import decoded_value, is_same, state_of
from engine.record import Held, Layout, Record, Side
from engine.resolve import RegisterValue
from engine.vocabulary import ABSENT, Image, Text, Values


def quick_mapped(rules: EntityRules, record: Record, row: Image, others: tuple[str, ...], step: Step) -> bool:
    """True if that was all: the record has its next state. It has no sides, and nothing of it is held."""
    layout = rules.layouts[step.system]
    before = layout.stored_row(record.values)
    numbers = [n for n in compress(rules.numbers, map(ne, row, before)) if row[n] is not ABSENT or n in layout.bound]
    registers = list(dict.fromkeys([rules.register_of[number] for number in numbers]))
    if not registers:
        step.skip()
        return True
    if not layout.quick.issuperset(registers) or not worked_out_once(rules, record):
        return False
    try:
        if not _may_write(rules, layout, record, before, registers, step.system):
            return False
        values = _written(rules, layout, record.values, row, registers)
        if values is None or broken(rules, values):
            return False
        sides = {system: _held(rules, record, values, system, registers) for system in others}
    except ValueRefused:
        return False
    if None in sides.values():
        return False
    record.values = values
    record.accept(registers, step.version)
    step.touched.clear()
    for system, held in sides.items():
        if held:
            record.sides[system] = Side(held=held, due=step.due, fresh=[])
            step.touched.add(system)
    step.noise = False
    step.count("successors", len(registers))
    derive(rules, record, step)
    return True


def _may_write(
    rules: EntityRules, layout: Layout, record: Record, before: Image, registers: list[int], system: str
) -> bool:
    """True if the system owns these registers in the state that it had before the write."""
    claimed = [register for register in registers if register not in layout.owns]
    if not claimed:
        return True
    state = state_of(rules, layout, before, record.values)
    return all(forbidden(rules.registers[register], system, state) is None for register in claimed)


def _written(
    rules: EntityRules, layout: Layout, values: Values, row: Image, registers: list[int]
) -> tuple[Text | bool, ...] | None:
    """The record's values with the user's in place; None if they may mean what was there, or are not as we would have
    written them. Raises ValueRefused."""
    written = list(values)
    codecs = layout.binding.codecs
    for register in registers:
        for number in layout.fields_of[register]:
            stored = row[number]
            if stored is ABSENT:
                return None
            codec = codecs.get(number)
            if codec is None or not isinstance(stored, str):
                written[number] = stored
                continue
            value = codec.decode(stored)
            if not isinstance(value, str) or codec.encode(value) != stored:
                return None
            written[number] = value
        rule = rules.registers[register]
        if is_same(rules, rule, layout, _value(written, rule.fields), _value(values, rule.fields)):
            return None
    return tuple(written)


def _held(
    rules: EntityRules, record: Record, values: Values, system: str, registers: list[int]
) -> dict[int, Held] | None:
    """What another system still holds of these registers; None if it may stay as it is spelled there. Raises
    ValueRefused."""
    layout = rules.layouts[system]
    held: dict[int, Held] = {}
    for register in registers:
        if not layout.fields_of[register]:
            continue
        stored = layout.stored(register, record.values)
        if register in layout.loose:
            rule = rules.registers[register]
            value = decoded_value(layout, rule, stored)
            if value is not None and is_same(rules, rule, layout, value, _value(values, rule.fields)):
                return None
        held[register] = (record.version(register), stored)
    return held


def _value(values: Sequence[Text | bool], fields: tuple[int, ...]) -> RegisterValue:
    return tuple([values[number] for number in fields])
