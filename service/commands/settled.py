"""Brings a record as it stands in the store up to what its systems have confirmed since, for commands that show it.

A record is not written again when a target confirms a write (`engine.record`): whoever looks at it settles it against
the target's watermark. Read the watermarks *before* the records, never after: an older watermark only makes a write
look due for a moment longer; a younger one could make a write look confirmed that the target had answered otherwise.
"""

from __future__ import annotations

from adapters.store import SqlStore
from engine.merge import EntityRules
from engine.record import Mark, Record, decode, settle


def watermarks(store: SqlStore, systems: tuple[str, ...]) -> dict[str, Mark]:
    """How far each system is, as it was last committed."""
    state = store.state()
    marks = {system: Mark() for system in systems}
    for system, position in state.positions.items():
        if system in marks:
            marks[system].read = position
    for applied in state.applied:
        if applied.system in marks:
            mark = marks[applied.system]
            mark.recent.append((applied.number_to, applied.separator))
            mark.applied = mark.dispatched = applied.number_to
    return marks


def settled(state: bytes, rules: EntityRules, marks: dict[str, Mark]) -> Record:
    """The record that these bytes stand for, with every confirmed write taken into account."""
    record = decode(state)
    for system, side in record.sides.items():
        if system in rules.layouts:
            settle(record, side, marks[system], rules.layouts[system])
    return record
