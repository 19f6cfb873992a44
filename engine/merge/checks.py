"""What must be so for a user's write to go to the other systems (`check`), and what becomes of a write that breaks it.

Turns accepted writes into those that may become current; the others wait for a person, or are overruled. A write that
waits is let go by itself as soon as the record would be in order with it. What nobody has just written is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import ValueRefused
from engine.merge.derived import derive
from engine.merge.outcomes import accept, hold, holds_now, note_seen, overrule
from engine.merge.ownership import forbidden
from engine.merge.step import EntityRules, Step, journal_entry, make_due
from engine.merge.values import canonical_values, decoded_value, is_same, stored_now, stores_so
from engine.record import Record, held_alive
from engine.resolve import RegisterValue
from engine.rulebook import EXISTENCE, Check
from engine.vocabulary import Image, Text, Values

CHECK = "check:"
"""What the reason of a hold begins with, if a check is broken."""

_BY = ", written in "
"""Before the names of the systems whose writes wait, at the end of the reason."""


def broken(rules: EntityRules, values: Values) -> list[Check]:
    """The checks that are false for these values, or cannot be worked out. NULL is good enough, as in SQL."""
    return [check for check in rules.checks if _is_broken(check, values)]


def _is_broken(check: Check, values: Values) -> bool:
    try:
        return check.condition.value(values) == "f"
    except ValueRefused:
        return True


def checked(
    rules: EntityRules,
    key: str,
    record: Record,
    accepted: Sequence[int],
    written: Mapping[int, Text | bool],
    stored: Mapping[int, RegisterValue],
    step: Step,
) -> list[int]:
    """Those of the accepted registers that may become current. `stored`: by register, what the writer's system has."""
    free = list(accepted)
    while free and not waits_whole(rules, record, step.system):
        candidate = patched(record.values, rules, free, written)
        for check in broken(rules, candidate):
            concerned = [r for r in free if not check.condition.fields.isdisjoint(rules.registers[r].fields)]
            for register in concerned:
                value = tuple([written[f] for f in rules.registers[register].fields])
                if check.otherwise == "hold":
                    systems = dict.fromkeys([*waiters(record, register), step.system])
                    because = f"{CHECK} {check.name}{_BY}{' and '.join(systems)}"
                    hold(rules, key, record, register, value, stored[register], step, because)
                else:
                    because = f"{CHECK} {check.name}"
                    overrule(rules, key, record, register, value, stored[register], because, "check", step)
                    note_seen(record, register, stored[register], step)
                free.remove(register)
            if concerned:
                break
        else:
            break
    return free


def patched(values: Values, rules: EntityRules, registers: Sequence[int], written: Mapping[int, Text | bool]) -> Values:
    """The record's values, with what was written in some registers in place."""
    out = list(values)
    for register in registers:
        for number in rules.registers[register].fields:
            out[number] = written[number]
    return tuple(out)


def waits_whole(rules: EntityRules, record: Record, system: str) -> bool:
    """True if the record as such waits because of a check, and nobody else has it: then its writer may write on."""
    if not record.holds.get(EXISTENCE, "").startswith(CHECK):
        return False
    return not any(held_alive(record, record.sides.get(other)) for other in rules.layouts if other != system)


def meet_waiting(rules: EntityRules, key: str, record: Record, row: Image, registers: list[int], step: Step
                 ) -> list[int]:  # fmt: skip
    """A record that waits as a whole has been made elsewhere, too: what keeps it waiting gives way to what is in order,
    or waits by itself. Returns the registers that are still to be decided."""
    if not record.holds.get(EXISTENCE, "").startswith(CHECK):
        return registers
    layout = rules.layouts[step.system]
    written = canonical_values(rules, layout, row, row, registers)
    left: list[int] = []
    for register in registers:
        rule, current = rules.registers[register], record.version(register)
        value, now = (tuple([values[f] for f in rule.fields]) for values in (written, record.values))
        concerned = [c for c in broken(rules, record.values) if not c.condition.fields.isdisjoint(rule.fields)]
        if not concerned or is_same(rules, rule, layout, value, now):
            left.append(register)
            continue
        because, stored = f"{CHECK} {concerned[0].name}", stored_now(layout, register, row, row)
        mended = concerned[0] not in broken(rules, patched(record.values, rules, [register], written))
        if mended and forbidden(rule, step.system, record.values) is None:
            step.journal.append(
                journal_entry(rules, key, register, "check", because, step.version, value, current, now, step)
            )
            if register in record.holds:
                lift(rules, key, record, register, step)
            holds_now(rules, record, register, step.version, value, stored, step)
            accept(rules, record, [register], written, step.version, step)
        else:
            systems = dict.fromkeys([current.system, *waiters(record, register), step.system])
            because = f"{because}{_BY}{' and '.join(systems)}"
            hold(rules, key, record, register, value, stored, step, because)
    return left


def hold_new(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """A record that comes into being against a check is made nowhere before a person has said so, or it is mended."""
    for check in broken(rules, record.values)[:1]:
        because = f"{CHECK} {check.name}"
        step.count("held")
        step.journal.append(
            journal_entry(rules, key, EXISTENCE, "hold", because, record.version(EXISTENCE), (), step.version, (), step)
        )
        record.holds[EXISTENCE] = because
        step.holds[(rules.name, key, EXISTENCE)] = because


def lift(rules: EntityRules, key: str, record: Record, register: int, step: Step) -> None:
    """Nothing waits any more because of a check, whatever it was: it is overtaken, or in order.

    What was kept back from other systems meanwhile is due to them."""
    del record.holds[register]
    step.holds[(rules.name, key, register)] = None
    for system, side in record.sides.items():
        if register in side.layer() and not side.out:
            make_due(side, system, step)


def waiters(record: Record, register: int) -> list[str]:
    """The systems whose writes of a register wait because of a check."""
    because = record.holds.get(register, "")
    return because.rpartition(_BY)[2].split(" and ") if because.startswith(CHECK) and _BY in because else []


def write_on(rules: EntityRules, key: str, record: Record, register: int, step: Step) -> bool:
    """The user of a system writes a register again. True if what he wrote before was waiting: it is overtaken."""
    if step.system not in waiters(record, register):
        return False
    _waits_no_more(rules, key, record, register, step.system, step)
    return True


def _waits_no_more(rules: EntityRules, key: str, record: Record, register: int, system: str, step: Step) -> None:
    """One of the systems whose writes wait is no longer among them."""
    left = [other for other in waiters(record, register) if other != system]
    if not left:
        lift(rules, key, record, register, step)
    else:
        because = f"{record.holds[register].rpartition(_BY)[0]}{_BY}{' and '.join(left)}"
        record.holds[register] = because
        step.holds[(rules.name, key, register)] = because


def forget(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """A system has lost its row, and with it whatever was waiting there."""
    for register in [r for r in record.holds if r != EXISTENCE]:
        write_on(rules, key, record, register, step)


def release(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """Lets go what waited because of a check and is in order by now, and what that puts in order."""
    while _release_one(rules, key, record, step):
        derive(rules, record, step)


def _release_one(rules: EntityRules, key: str, record: Record, step: Step) -> bool:
    """True if a write that waited is current now."""
    for register in [r for r, because in record.holds.items() if because.startswith(CHECK)]:
        if register == EXISTENCE or not waiters(record, register):  # the second: since day one, when nobody wrote
            fields = rules.registers[register].fields
            left = broken(rules, record.values)
            if not any(register == EXISTENCE or not c.condition.fields.isdisjoint(fields) for c in left):
                lift(rules, key, record, register, step)
                for system, side in record.sides.items():
                    if side.layer() and not side.out:
                        make_due(side, system, step)
        else:
            for system in waiters(record, register):
                if _release_register(rules, key, record, register, system, step):
                    return True
    return False


def _release_register(rules: EntityRules, key: str, record: Record, register: int, system: str, step: Step) -> bool:
    """True if the write of that system is current now."""
    rule = rules.registers[register]
    side = record.side(system)
    version, stored = side.held.get(register, (record.version(register), ()))
    if version == record.version(register):
        if all(check.condition.fields.isdisjoint(rule.fields) for check in broken(rules, record.values)):
            _waits_no_more(rules, key, record, register, system, step)  # it is current, and others only wait
        return False
    value = decoded_value(rules.layouts[system], rule, stored) if version is not None else None
    if value is None or version is None:
        return False
    written = dict(zip(rule.fields, value, strict=True))
    candidate = patched(record.values, rules, [register], written)
    if any(not check.condition.fields.isdisjoint(rule.fields) for check in broken(rules, candidate)):
        return False
    because = f"{CHECK} the record is in order with it now"
    now, current = tuple([record.values[f] for f in rule.fields]), record.version(register)
    step.journal.append(journal_entry(rules, key, register, "resolved", because, version, value, current, now, step))
    lift(rules, key, record, register, step)
    accept(rules, record, [register], written, version, step, system)
    if stores_so(rules.layouts[system], rule, value, stored):
        side.held.pop(register, None)
    else:
        side.held[register] = (version, stored)
    return True
