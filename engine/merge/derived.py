"""Fields that are worked out of others: their value follows, as a version of our own.

Turns a record whose fields have changed into one whose derived fields agree with them again. Nobody's write is judged
here.
"""

from __future__ import annotations

from engine.errors import ValueRefused
from engine.merge.outcomes import diverge
from engine.merge.step import EntityRules, Step
from engine.record import UNSET_VERSION, Record
from engine.rulebook import Formula
from engine.vocabulary import Text, Values, Version

NOTE = "derived"
"""The note of a version that was worked out."""


def derive(rules: EntityRules, record: Record, step: Step) -> None:
    """Brings all derived fields up to date; whoever has another value becomes due."""
    for register, number, formula in rules.derived:
        value = worked_out(formula, record.values)
        if value == record.values[number] and record.version(register) != UNSET_VERSION:
            continue
        for system, layout in rules.layouts.items():
            diverge(record, system, layout, [register], step)
        values = list(record.values)
        values[number] = value
        record.values = tuple(values)
        record.accept([register], Version(step.version.number, "", step.version.committed_at, 0, NOTE))


def worked_out_once(rules: EntityRules, record: Record) -> bool:
    """True if all derived fields have their values: they stay, if nothing changes that they look at."""
    return all(record.version(register) != UNSET_VERSION for register, _, _ in rules.derived)


def worked_out(formula: Formula, values: Values) -> Text:
    """What a formula gives; NULL where it gives nothing (a division by zero, a text that is no number)."""
    try:
        return formula.value(values)
    except ValueRefused:
        return None
