"""Records that come into being: first seen, made in two systems at once, made again, met by a late write.

Turns a row that a system has and the others lack into the record's next state. Deletions are in `deletion`.
"""

from __future__ import annotations

from engine.errors import EngineFault
from engine.merge.checks import hold_new, meet_waiting
from engine.merge.derived import derive
from engine.merge.fields import decide_all
from engine.merge.outcomes import agree, holds_now, keep_held, note_seen, overrule
from engine.merge.ownership import DERIVED, forbidden
from engine.merge.step import EntityRules, Step, begin, journal_entry, make_due
from engine.merge.values import canonical_values, is_same, state_of, stored_now
from engine.record import UNSET_VERSION, Held, Layout, Record, held_alive, held_row
from engine.resolve import RegisterValue
from engine.rulebook import EXISTENCE, Register
from engine.vocabulary import ABSENT, UNSET, Image, Text, Values


def empty_record(rules: EntityRules) -> Record:
    """A record that does not exist anywhere and that nobody has written."""
    return Record(
        alive=False,
        values=tuple([UNSET] * len(rules.entity.fields)),
        table=[UNSET_VERSION],
        index=bytes(len(rules.registers)),
        sides={},
        holds={},
    )


def first_seen(rules: EntityRules, key: str, row: Image, step: Step) -> Record:
    """A record that no system had: it is to be created in all others."""
    record = empty_record(rules)
    if step.system not in rules.entity.create:
        may_not_create(rules, key, record, step)
        return record
    written = canonical_values(rules, rules.layouts[step.system], row, row, rules.all_registers)
    record.alive = True
    _take_key(rules, record, row)
    step.count("inserts")
    record.accept([EXISTENCE], step.version)
    _write_all(rules, key, record, row, written, step)
    for system in rules.layouts:
        if system != step.system:
            side = record.side(system)
            side.held[EXISTENCE] = (None, (False,))
            make_due(side, system, step)
    return record


def take_defaults(rules: EntityRules, key: str, record: Record, image: Image, step: Step) -> None:
    """Fields that nobody had written got the system's own default when the row was made: its owner's value now."""
    step.touched.clear()
    begin(rules, record, step.marks)
    registers = sorted({rules.register_of[n] for n, value in enumerate(image) if value is not ABSENT})
    registers = [r for r in registers if record.version(r) == UNSET_VERSION]  # a user has written it since: his counts
    if not registers:
        return
    before = held_row(record, record.sides.get(step.system), rules.layouts[step.system])
    decide_all(rules, key, record, image, before, registers, "update_differs", step)


def carry_over(rules: EntityRules, record: Record, former: Values, step: Step) -> None:
    """A record got a new key: what the writer's system has no column for, or may not write, comes along with it."""
    if not record.alive or record.version(EXISTENCE) != step.version:
        return
    layout = rules.layouts[step.system]
    values = list(record.values)
    carried: list[int] = []
    derived = {number for number, _, _ in rules.derived}
    for register in rules.registers[1:]:
        if register.number in derived:
            continue  # it is worked out of what has come along
        foreign = forbidden(register, step.system, former) or not layout.fields_of[register.number]
        if foreign and all(former[f] is not UNSET for f in register.fields):
            for number in register.fields:
                values[number] = former[number]
            carried.append(register.number)
    if carried:
        record.values = tuple(values)
        record.accept(carried, step.version._replace(system="", position=0, note="came along with the key"))
        own = record.side(step.system)
        for number in carried:
            if number in own.held:
                note_seen(record, number, own.held[number][1], step)
        derive(rules, record, step)


def _write_all(
    rules: EntityRules, key: str, record: Record, row: Image, written: dict[int, Text | bool], step: Step
) -> None:
    """Every register that the writer may write takes his value; the rest stay as they are, and he is to be told."""
    layout = rules.layouts[step.system]
    if layout.owns_all and step.system not in record.sides:
        record.values = tuple([None if value is ABSENT else value for value in row])
        record.accept_all(step.version)
        return
    values = list(record.values)
    accepted: list[int] = []
    state = state_of(rules, layout, row, record.values) if any(r.claims for r in rules.registers) else ()
    derived = {number for number, _, _ in rules.derived}
    straight = layout.straight if step.system not in record.sides else ()
    for register in rules.registers[1:]:
        if register.number in straight:
            for number in register.fields:
                values[number] = written[number]
            accepted.append(register.number)
            continue
        if not layout.fields_of[register.number] or register.number in derived:
            continue
        stored = stored_now(layout, register.number, row, row)
        value = tuple([written[f] for f in register.fields])
        because = forbidden(register, step.system, state)
        if because is not None:
            _not_his(rules, key, record, register, value, stored, because, step)
            continue
        for number in register.fields:
            values[number] = written[number]
        accepted.append(register.number)
        holds_now(rules, record, register.number, step.version, value, stored, step)
    record.values = tuple(values)
    if accepted:
        record.accept(accepted, step.version)
    derive(rules, record, step)
    for number in sorted(derived):
        if layout.fields_of[number]:
            _meet_derived(rules, key, record, rules.registers[number], row, written, step)
    hold_new(rules, key, record, step)


def _not_his(
    rules: EntityRules,
    key: str,
    record: Record,
    register: Register,
    value: RegisterValue,
    stored: RegisterValue,
    because: str,
    step: Step,
) -> None:
    """What the writer of a new row may not decide: if he gave a value it is overruled, and he is to be told."""
    if any(v is not None for v in value):
        overrule(rules, key, record, register.number, value, stored, because, "owner", step)
    else:
        side = record.side(step.system)
        side.held[register.number] = (step.version, stored)
        make_due(side, step.system, step)
    note_seen(record, register.number, stored, step)


def _meet_derived(
    rules: EntityRules,
    key: str,
    record: Record,
    register: Register,
    row: Image,
    written: dict[int, Text | bool],
    step: Step,
) -> None:
    """The writer's own value of a field that is worked out: the same, or overruled."""
    layout = rules.layouts[step.system]
    stored = stored_now(layout, register.number, row, row)
    value = tuple([written[f] for f in register.fields])
    now = tuple([record.values[f] for f in register.fields])
    if is_same(rules, register, layout, value, now):
        agree(rules, record, register.number, record.version(register.number), stored, step)
    else:
        _not_his(rules, key, record, register, value, stored, DERIVED, step)


def may_not_create(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """A row appeared where the rule lets nobody create: it stays there alone."""
    side = record.side(step.system)
    if not side.out:
        side.out, side.due = True, 0
        creators = ", ".join(sorted(rules.entity.create))
        step.count("overruled")
        step.journal.append(
            journal_entry(
                rules,
                key,
                EXISTENCE,
                "owner",
                f"owner: records are created in {creators} only; the row stays where it is",
                None,
                (),
                step.version,
                (),
                step,
            )
        )


def insert_exists(rules: EntityRules, key: str, record: Record, row: Image, step: Step) -> None:
    """Both systems made the same record: existence agrees, each differing field is a conflict."""
    side = record.side(step.system)
    side.out = False
    side.bad = ""  # what was refused was to make it there, and it is there
    side.held = {}
    nothing: Held = (None, ())
    for register in rules.all_registers:
        if rules.layouts[step.system].fields_of[register]:
            side.held[register] = nothing
    step.count("agreements")
    registers = meet_waiting(rules, key, record, row, list(side.held), step)
    claimed = [register for register in registers if rules.registers[register].claims]
    if claimed:  # whose they are depends on what is agreed of the others
        registers = [register for register in registers if register not in claimed]
    decide_all(rules, key, record, row, row, registers, "insert_exists", step)
    if claimed:
        decide_all(rules, key, record, row, row, claimed, "insert_exists", step, record.values)
    for register, entry in list(side.held.items()):
        if entry is nothing:
            raise EngineFault(f"register {register} of an inserted row was not decided")
    if side.held and not side.wait:
        make_due(side, step.system, step)


def come_alive(
    rules: EntityRules, key: str, record: Record, row: Image, written: dict[int, Text | bool], step: Step
) -> None:
    """A record that had been deleted exists again: every field of it is a new version."""
    step.count("inserts")
    own = record.sides.get(step.system)
    if own is not None:
        own.held, own.out, own.due, own.bad = {}, False, 0, ""
    for system, layout in rules.layouts.items():
        if system == step.system:
            continue
        side = record.side(system)
        if side.out:
            side.out, side.sent, side.sent_due = False, None, 0
            side.held = {EXISTENCE: (None, (False,))}
        else:
            if side.sent is not None and held_alive(record, side):
                # A deletion is under way that may not take place: then the old row is still there.
                for register, entry in side.sent.items():
                    side.held.setdefault(register, entry)
                _keep_row(rules, record, side.held, layout, step)
            layer = side.layer()
            layer.setdefault(EXISTENCE, (record.version(EXISTENCE), (False,)))
            if layer[EXISTENCE][1][0]:
                _keep_row(rules, record, layer, layout, step)
        make_due(side, system, step)
    record.alive = True
    _take_key(rules, record, row)
    record.accept([EXISTENCE], step.version)
    _write_all(rules, key, record, row, written, step)


def _keep_row(rules: EntityRules, record: Record, layer: dict[int, Held], layout: Layout, step: Step) -> None:
    """A system that still has the row holds the old values of it."""
    for register in rules.all_registers:
        if layout.fields_of[register]:
            keep_held(record, layer, layout, register, step)


def _take_key(rules: EntityRules, record: Record, row: Image) -> None:
    """The key fields' values come with the row."""
    values = list(record.values)
    for number in rules.entity.key:
        value = row[number]
        if value is not ABSENT:
            values[number] = value
    record.values = tuple(values)


def write_meets_tombstone(
    rules: EntityRules, key: str, record: Record, row: Image, before: Image, registers: list[int], step: Step
) -> None:
    """A write of a record that was deleted elsewhere before this system heard of it."""
    layout = rules.layouts[step.system]
    full: Image = tuple([b if r is ABSENT else r for r, b in zip(row, before, strict=True)])
    written = canonical_values(rules, layout, full, full, rules.all_registers)
    step.count("conflicts")
    step.count("overruled")
    tombstone = record.version(EXISTENCE)
    derived = {number for number, _, _ in rules.derived}
    state = state_of(rules, layout, before, record.values)
    reasons = [forbidden(rules.registers[r], step.system, state, derived=r in derived) for r in registers]
    unheeded = all(reason is not None for reason in reasons)
    if rules.entity.delete_wins or unheeded:  # what nobody heeds brings no record back
        side = record.side(step.system)
        for register, reason in zip(registers, reasons, strict=True):
            value = tuple([written[f] for f in rules.registers[register].fields])
            step.journal.append(
                journal_entry(
                    rules,
                    key,
                    register,
                    "owner" if unheeded else "update_deleted",
                    (reason or "") if unheeded else "a deletion wins over a concurrent write",
                    tombstone,
                    (),
                    step.version,
                    value,
                    step,
                )
            )
            side.held[register] = (step.version, stored_now(layout, register, row, before))
        make_due(side, step.system, step)
        return
    step.journal.append(
        journal_entry(
            rules,
            key,
            EXISTENCE,
            "update_deleted",
            "a concurrent write wins over a deletion; the record is created again",
            step.version,
            (),
            tombstone,
            (),
            step,
        )
    )
    come_alive(rules, key, record, full, written, step)
