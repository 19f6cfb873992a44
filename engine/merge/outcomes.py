"""What comes of a write, once it is decided: it is accepted, agrees, is overruled, merged, or left to a person.

Turns a decision into the record's next state, into what is due, and into the journal. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.merge.step import DEFAULT, EntityRules, Step, held_alive_next, journal_entry, make_due
from engine.merge.values import decoded_value, is_same, stores_so
from engine.record import UNSET_VERSION, Held, Layout, Record
from engine.resolve import Contender, RegisterValue, describe, resolve
from engine.vocabulary import Text, Version


def has_seen(had: Version | None, current: Version) -> bool:
    """True if whoever wrote the version `had` in his system had the current version before him, or it is that."""
    return had == current or (had is not None and had.note == _after(current))


def _after(current: Version) -> str:
    """The note of a version that its owner's rule overruled: its writer had seen the current one."""
    return f"after {current.number}"


def _apart(record: Record, register: int, step: Step) -> Version:
    """The version of a write that does not become current, told from one that did in the same transaction."""
    return step.version._replace(note="again") if record.version(register) == step.version else step.version


def note_seen(record: Record, register: int, stored: RegisterValue, step: Step) -> None:
    """The write that was just overruled was made by somebody who had seen the current version."""
    note = _after(record.version(register))
    record.side(step.system).held[register] = (step.version._replace(note=note), stored)


def accept(
    rules: EntityRules,
    record: Record,
    registers: list[int],
    written: dict[int, Text | bool],
    version: Version,
    step: Step,
    writer: str | None = None,
) -> None:
    """Makes values current; whoever else than the writer (the step's system) holds something else becomes due."""
    writer = step.system if writer is None else writer
    for system, layout in rules.layouts.items():
        if system != writer:
            diverge(record, system, layout, registers, step)
    values = list(record.values)
    for register in registers:
        for number in rules.registers[register].fields:
            values[number] = written[number]
    record.values = tuple(values)
    record.accept(registers, version)
    for system, layout in rules.layouts.items():
        if system != writer and not layout.loose.isdisjoint(registers):
            _keep_spelling(rules, record, system, layout, registers)


def _keep_spelling(rules: EntityRules, record: Record, system: str, layout: Layout, registers: list[int]) -> None:
    """What a system has stays as it is spelled there, if it means what is now current."""
    side = record.sides.get(system)
    if side is None:
        return
    layer = side.layer()
    for register in layout.loose.intersection(registers).intersection(layer):
        rule, stored = rules.registers[register], layer[register][1]
        value = decoded_value(layout, rule, stored)
        if value is not None and is_same(rules, rule, layout, value, tuple([record.values[f] for f in rule.fields])):
            layer[register] = (record.version(register), stored)


def diverge(record: Record, system: str, layout: Layout, registers: Iterable[int], step: Step) -> None:
    """Notes what another system still holds of registers that are about to change."""
    side = record.sides.get(system)
    if side is not None and side.out:
        return
    concerned = [r for r in registers if layout.fields_of[r]]
    if not concerned:
        return
    side = side or record.side(system)
    if held_alive_next(record, side):
        layer = side.layer()
        for register in concerned:
            keep_held(record, layer, layout, register, step)
    make_due(side, system, step)


def keep_held(record: Record, layer: dict[int, Held], layout: Layout, register: int, step: Step) -> None:
    """Notes what a system that has the record holds of a register that is about to change."""
    current = record.version(register)
    entry = layer.get(register) or (current, layout.stored(register, record.values))
    if current.number == step.version.number and entry[0] == current:
        entry = (current._replace(note="amid"), entry[1])  # current for a moment, within this very transaction
    layer[register] = entry


def holds_now(
    rules: EntityRules,
    record: Record,
    register: int,
    version: Version,
    value: RegisterValue,
    stored: RegisterValue,
    step: Step,
) -> None:
    """The writer's system holds the version that is about to become current."""
    layout = rules.layouts[step.system]
    side = record.sides.get(step.system)
    if (layout.codecs or not rules.plain) and not stores_so(layout, rules.registers[register], value, stored):
        record.side(step.system).held[register] = (version, stored)
    elif side is not None:
        side.held.pop(register, None)


def agree(
    rules: EntityRules, record: Record, register: int, current: Version, stored: RegisterValue, step: Step
) -> None:
    """The user wrote what all should have anyway."""
    step.count("agreements")
    value = tuple([record.values[f] for f in rules.registers[register].fields])
    holds_now(rules, record, register, current, value, stored, step)


def spelled_anew(record: Record, register: int, entry: Held, stored: RegisterValue, step: Step) -> None:
    """The user's system has what it had, in another spelling: it is still to be written."""
    step.count("agreements")
    side = record.side(step.system)
    side.held[register] = (entry[0], stored)
    make_due(side, step.system, step)


def restamp(
    rules: EntityRules, record: Record, register: int, current: Version, value: RegisterValue, step: Step
) -> Version:
    """Two wrote the same without having seen each other: one version, with the stamp of the one that would have won.

    Otherwise a third write would meet the stamp of whichever was heard first, and the winner depend on the delivery."""
    rule = rules.registers[register]
    if rule.owner not in (None, step.system) or rule.policy in ("delta", "hold") or current == UNSET_VERSION:
        return current
    verdict = resolve(rule, rules.families[register], Contender(step.version, value), Contender(current, value))
    if verdict.winner != "incoming" and current.note != DEFAULT:
        return current
    # Not the step's own version: the same transaction may write another value yet.
    agreed = step.version._replace(note=f"agreed with {describe(current)}")
    for side in record.sides.values():
        for layer in (side.held, side.sent or {}):
            if register in layer and layer[register][0] == current:
                layer[register] = (agreed, layer[register][1])
    record.accept([register], agreed)
    return agreed


def overrule(
    rules: EntityRules,
    key: str,
    record: Record,
    register: int,
    value: RegisterValue,
    stored: RegisterValue,
    because: str,
    kind: str,
    step: Step,
) -> None:
    """The user's write loses: it is kept in the journal, and his system is written back."""
    now = tuple([record.values[f] for f in rules.registers[register].fields])
    step.journal.append(
        journal_entry(rules, key, register, kind, because, record.version(register), now, step.version, value, step)
    )
    step.count("overruled")
    side = record.side(step.system)
    side.held[register] = (_apart(record, register, step), stored)
    make_due(side, step.system, step)


def merge_values(
    rules: EntityRules,
    record: Record,
    register: int,
    merged: RegisterValue,
    stored: RegisterValue,
    because: str,
    step: Step,
) -> None:
    """Both writes count: a value of neither becomes current, and the writer's system is written too."""
    rule = rules.registers[register]
    version = Version(step.version.number, "", step.version.committed_at, 0, because)
    side = record.side(step.system)
    side.held[register] = (step.version, stored)
    make_due(side, step.system, step)
    accept(rules, record, [register], dict(zip(rule.fields, merged, strict=True)), version, step)


def hold(
    rules: EntityRules,
    key: str,
    record: Record,
    register: int,
    value: RegisterValue,
    stored: RegisterValue,
    step: Step,
    because: str = "",
) -> None:
    """A person is to decide: every system keeps its own value until then."""
    now = tuple([record.values[f] for f in rules.registers[register].fields])
    current = record.version(register)
    because = because or f"hold: {step.system} and {describe(current)} wrote it without having seen each other"
    step.journal.append(journal_entry(rules, key, register, "hold", because, current, now, step.version, value, step))
    record.holds[register] = because
    step.holds[(rules.name, key, register)] = because
    step.count("held")
    record.side(step.system).held[register] = (_apart(record, register, step), stored)


def hold_more(
    rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue, stored: RegisterValue, step: Step
) -> None:
    """A write of a register that already waits for a person: it stays where it was written, and its user waits, too."""
    step.holds[(rules.name, key, register)] = record.holds[register]
    now = tuple([record.values[f] for f in rules.registers[register].fields])
    record.side(step.system).held[register] = (step.version, stored)
    step.count("held")
    step.journal.append(
        journal_entry(
            rules,
            key,
            register,
            "hold",
            "hold: still left to a person",
            record.version(register),
            now,
            step.version,
            value,
            step,
        )
    )
