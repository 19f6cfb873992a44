"""One change that a log tells, applied to its record: the way in to the merge rule.

Turns (record, operation, row) into the record's next state, by handing it to `fields`, `existence` or `deletion`. A
record is changed only after everything that can be refused has been looked at.
"""

from __future__ import annotations

from itertools import compress
from operator import ne
from types import EllipsisType

from engine.errors import EngineFault
from engine.merge.deletion import decide_deletion, hold_delete, leave, undo_delete
from engine.merge.existence import come_alive, first_seen, insert_exists, may_not_create, write_meets_tombstone
from engine.merge.fields import decide_all
from engine.merge.mapped import quick_mapped
from engine.merge.step import EntityRules, Incomplete, Step, begin
from engine.merge.values import canonical_values, state_of
from engine.record import TABLE_MAX, Held, Record, Side, held_alive, held_row, is_fresh
from engine.rulebook import EXISTENCE
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Image, Position, Text, Values


def read(
    rules: EntityRules, key: str, record: Record | None, op: str, row: Image | None, position: Position, step: Step
) -> Record | None:
    """Applies one change that `step.system` made.

    `row`: stored values by field number (ABSENT where the log had none); None for DELETE. Returns the record (a new one
    if there was none), or None if there is nothing to keep. Raises Incomplete or ValueRefused; nothing has changed
    then.
    """
    step.touched.clear()
    step.noise = False
    if record is not None and record.sides:
        begin(rules, record, step.marks)
        side = record.sides.get(step.system)
        if side is not None:
            side.heard = True
            if side.fresh and is_fresh(side, EXISTENCE, position):
                step.skip()
                return record
    if op == UPDATE and row is not None:
        return _update(rules, key, record, row, position, step)
    if op == INSERT and row is not None:
        return _insert(rules, key, record, row, position, step)
    if op == DELETE:
        return _delete(rules, key, record, step)
    raise EngineFault(f"operation `{op}` cannot be merged")


def quick_update(rules: EntityRules, record: Record, row: Image, step: Step) -> bool:
    """The usual change by the shortest way: an update of a record that all systems hold as it is current.

    Does exactly what `read` would do, without a look at what cannot be the case; False if it may be the case, and then
    nothing has happened."""
    others = rules.quick.get(step.system)
    if others is None or record.holds or not record.alive or len(record.table) >= TABLE_MAX:
        return False
    if record.sides:
        begin(rules, record, step.marks)
        if record.sides:
            return False
    return _succeed(rules, record, row, others, step) if rules.alike else quick_mapped(rules, record, row, others, step)


def _succeed(rules: EntityRules, record: Record, row: Image, others: tuple[str, ...], step: Step) -> bool:
    """The same where no system maps or lacks a field: the row is the record."""
    values = record.values
    if row == values:
        step.skip()
        return True
    table, index, register_of = record.table, record.index, rules.register_of
    layout = rules.layouts[step.system]
    place = len(table)
    placed = bytearray(index)
    held: dict[int, Held] = {}
    for number in compress(rules.numbers, map(ne, row, values)):
        register = register_of[number]
        if row[number] is ABSENT or register not in layout.owns:
            return False
        fields = layout.fields_of[register]
        held[register] = (
            table[index[register]],
            (values[number],) if len(fields) == 1 else tuple([values[f] for f in fields]),
        )
        placed[register] = place
    record.values = row  # type: ignore[assignment]
    record.table = [*table, step.version]
    record.index = bytes(placed)
    for system in others:
        record.sides[system] = Side(held=dict(held), due=step.due, fresh=[])
    step.touched.clear()
    step.touched.update(others)
    step.noise = False
    step.count("successors", len(held))
    return True


def _update(
    rules: EntityRules, key: str, record: Record | None, row: Image, position: Position, step: Step
) -> Record | None:
    system = step.system
    if record is None:
        # No insert of it was ever read: it came into being outside the log, or before it.
        return _insert(rules, key, None, row, position, step)
    side = record.sides.get(system)
    if side is not None and side.out:
        step.skip()
        return record
    if not held_alive(record, side):
        return _insert(rules, key, record, row, position, step)
    layout = rules.layouts[system]
    before = held_row(record, side, layout)
    if row == before:
        step.skip()
        return record
    registers = _touched(rules, side, row, before, position)
    if not registers:
        step.skip()
    elif not record.alive:
        write_meets_tombstone(rules, key, record, row, before, registers, step)
    else:
        state = _state(rules, record, row, before, registers, position, step.system)
        decide_all(rules, key, record, row, before, registers, "update_differs", step, state)
    return record


def _state(
    rules: EntityRules,
    record: Record,
    row: Image,
    before: Image,
    registers: list[int],
    position: Position,
    system: str,
) -> Values:
    """What claims are judged by, if we have written to the system since: the older row still tells what its user saw.

    () if it is simply what the system holds."""
    side = record.sides.get(system)
    if side is None or not side.fresh or not any(rules.registers[register].claims for register in registers):
        return ()
    seen: list[Text | bool | EllipsisType] = list(before)
    for number, register in enumerate(rules.register_of):
        if row[number] is not ABSENT and register > EXISTENCE and is_fresh(side, register, position):
            seen[number] = row[number]
    return state_of(rules, rules.layouts[system], tuple(seen), record.values)


def _touched(rules: EntityRules, side: Side | None, row: Image, before: Image, position: Position) -> list[int]:
    """The registers that the user changed: present in the image, different from what was held, not known better."""
    register_of = rules.register_of
    numbers = compress(range(len(row)), map(ne, row, before))
    registers = sorted({register_of[n] for n in numbers if row[n] is not ABSENT and register_of[n] > 0})
    if side is not None and side.fresh:
        registers = [r for r in registers if not is_fresh(side, r, position)]
    return registers


def _insert(
    rules: EntityRules, key: str, record: Record | None, row: Image, position: Position, step: Step
) -> Record | None:
    system = step.system
    layout = rules.layouts[system]
    if record is not None:
        side = record.sides.get(system)
        if held_alive(record, side) and not (side is not None and side.out):
            return _update(rules, key, record, row, position, step)
    if any(row[number] is ABSENT for number in layout.bound):
        raise Incomplete
    if record is None:
        return first_seen(rules, key, row, step)
    if not record.alive and system not in rules.entity.create:
        may_not_create(rules, key, record, step)
        return record
    written = canonical_values(rules, layout, row, row, rules.all_registers)
    if record.alive:
        insert_exists(rules, key, record, row, step)
    else:
        come_alive(rules, key, record, row, written, step)
    return record


def _delete(rules: EntityRules, key: str, record: Record | None, step: Step) -> Record | None:
    if record is None:
        step.skip()
        return None
    side = record.sides.get(step.system)
    if side is not None and side.out:
        side.held = {}
        return record
    if not held_alive(record, side):
        step.skip()
        return record
    if not record.alive:
        step.count("agreements")
        if side is not None:
            side.held, side.due, side.bad = {}, 0, ""
        return record
    policy = rules.entity.leave.get(step.system, "ignore") if step.leaving else rules.entity.delete[step.system]
    if policy == "ignore":
        leave(rules, key, record, step)
    elif policy == "restore":
        undo_delete(rules, key, record, "owner: records are not deleted from here", "owner", step)
    elif policy == "restrict" and step.referenced:
        undo_delete(rules, key, record, "restrict: other records refer to it", "owner", step)
    elif policy == "hold":
        hold_delete(rules, key, record, step)
    else:
        decide_deletion(rules, key, record, side, step)
    return record
