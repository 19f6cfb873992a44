"""The merge rule: one row's change, as a system's log tells it, applied to the state of its record.

Turns (record, change) into the record's next state, journal entries, and the set of systems that are now to be written.
Detection needs no clock: a write made when its system held the current version is a successor; any other is a conflict,
and only then is a policy asked. See `docs/merge.md` for the rule in words and `tests/unit/test_merge_tables.py` for it
as a table.

Nothing here does I/O. A record is changed only after everything that can be refused has been looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import compress
from operator import ne
from types import EllipsisType

from engine.errors import EngineFault
from engine.record import (
    TABLE_MAX,
    UNREAD,
    UNSET_VERSION,
    Held,
    Layout,
    Mark,
    Record,
    Side,
    held_after,
    held_alive,
    held_row,
    is_fresh,
    settle,
)
from engine.resolve import Contender, RegisterValue, describe, resolve
from engine.rulebook import EXISTENCE, Entity, Register
from engine.vocabulary import (
    ABSENT,
    DELETE,
    INSERT,
    UNSET,
    UPDATE,
    Image,
    JournalEntry,
    Position,
    Text,
    Values,
    Version,
)

DEFAULT = "default"
"""The note of a version that is a system's own default, which nobody wrote: any user's write succeeds it."""


class Incomplete(Exception):
    """The log did not carry a column that is needed to decide: the row has to be read again."""


class EntityRules:
    """One entity's rules, prepared for the hot path."""

    __slots__ = ("all_registers", "entity", "families", "layouts", "name", "numbers", "quick", "rank", "references",
                 "register_of", "registers")

    def __init__(self, entity: Entity, rank: int) -> None:
        self.entity = entity
        self.rank = rank
        """Its place in the order "parents before children"."""
        self.references = tuple((f.number, f.reference) for f in entity.fields if f.reference is not None)
        self.name = entity.name
        self.registers = entity.registers
        self.register_of = tuple(f.register for f in entity.fields)
        self.all_registers = [r.number for r in entity.registers if r.number != EXISTENCE]
        self.layouts = {system: Layout(entity, binding) for system, binding in entity.bindings.items()}
        for system, layout in self.layouts.items():
            layout.owns = frozenset(
                r.number for r in entity.registers[1:] if r.owner in (None, system) and layout.fields_of[r.number]
            )
            layout.owns_all = not layout.codecs and len(layout.owns) == len(entity.registers) - 1 and (
                len(layout.bound) == layout.width
            )
        self.numbers = range(len(entity.fields))
        self.quick = self._quick()
        """By system whose updates may take `quick_update`: all other systems."""
        self.families = tuple(
            tuple(entity.fields[f].family for f in register.fields) for register in entity.registers
        )

    def _quick(self) -> dict[str, tuple[str, ...]]:
        """Where no system maps or lacks a field, an update has a short way."""
        if not all(layout.direct and not layout.codecs for layout in self.layouts.values()):
            return {}
        return {system: tuple(other for other in self.layouts if other != system) for system in self.layouts}

    def names(self, register: int) -> tuple[str, ...]:
        """The names of the fields decided together in a register."""
        return tuple(self.entity.fields[f].name for f in self.registers[register].fields)


@dataclass(slots=True)
class Step:
    """One deciding step: one source transaction (or one thing that duolog does itself), and what came of it."""

    version: Version
    """What a write of this step is, if it is accepted."""
    system: str
    """Whose log it was read from; `""` for duolog's own steps."""
    marks: dict[str, Mark]
    due: int = 0
    """The number under which writes become due; the version's own, but for later chunks of a huge transaction."""
    reason: str = ""
    """`unlogged` when the change was found by reading the row, not in the log."""
    journal: list[JournalEntry] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Systems to which the record last read has become due."""
    counts: dict[str, int] = field(default_factory=dict)
    holds: dict[tuple[str, str, int], str | None] = field(default_factory=dict)
    """(entity, key, register) → why it is left to a person now, or None: no longer."""
    noise: bool = False
    """The change last read said nothing new."""

    def __post_init__(self) -> None:
        self.due = self.due or self.version.number

    def skip(self) -> None:
        """The change last read said nothing new: the record stays as it is stored."""
        self.noise = True
        self.count("noise")

    def count(self, what: str, n: int = 1) -> None:
        """Adds to a counter that `status` shows."""
        self.counts[what] = self.counts.get(what, 0) + n


def begin(rules: EntityRules, record: Record, marks: dict[str, Mark]) -> None:
    """Before a record changes: settles its sides, and splits off a second layer where a write is under way."""
    for system, side in list(record.sides.items()):
        mark = marks[system]
        settle(record, side, mark, rules.layouts[system])
        if side.sent is None and mark.under_way(side):
            side.sent = held_after(record, side)
            side.sent_due = side.due
        elif side.idle():
            del record.sides[system]


def read(
    rules: EntityRules, key: str, record: Record | None, op: str, row: Image | None, position: Position, step: Step
) -> Record | None:
    """Applies one change that `step.system` made.

    `row`: stored values by field number (ABSENT where the log had none); None for DELETE. Returns the record (a new one
    if there was none), or None if there is nothing to keep. Raises Incomplete or ValueRefused; nothing has changed then.
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
            table[index[register]], (values[number],) if len(fields) == 1 else tuple([values[f] for f in fields])
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
        _write_meets_tombstone(rules, key, record, row, before, registers, step)
    else:
        _decide_all(rules, key, record, row, before, registers, "update_differs", step)
    return record


def _touched(
    rules: EntityRules, side: Side | None, row: Image, before: Image, position: Position
) -> list[int]:
    """The registers that the user changed: present in the image, different from what was held, not known better."""
    register_of = rules.register_of
    numbers = compress(range(len(row)), map(ne, row, before))
    registers = sorted({register_of[n] for n in numbers if row[n] is not ABSENT and register_of[n] > 0})
    if side is not None and side.fresh:
        registers = [r for r in registers if not is_fresh(side, r, position)]
    return registers


def _decide_all(
    rules: EntityRules, key: str, record: Record, row: Image, before: Image, registers: list[int], kind: str, step: Step
) -> None:
    """Decides the registers that a user wrote in a record that exists."""
    layout = rules.layouts[step.system]
    if step.system not in record.sides and not record.holds and not layout.codecs and layout.owns.issuperset(registers):
        _succeed(rules, record, row, registers, step)
        return
    written = _canonical(rules, layout, row, before, registers)
    side = record.sides.get(step.system)
    accepted: list[int] = []
    for register in registers:
        stored = _stored(layout, register, row, before)
        value = tuple([written[f] for f in rules.registers[register].fields])
        entry = side.held.get(register) if side is not None else None
        if _decide(rules, key, record, register, entry, value, stored, kind, step):
            accepted.append(register)
        side = record.sides.get(step.system)
    if accepted:
        _accept(rules, record, accepted, written, step.version, step)


def _succeed(rules: EntityRules, record: Record, row: Image, registers: list[int], step: Step) -> None:
    """The usual case, without detours: the system held the current version of everything, and may write what it wrote."""
    for system, layout in rules.layouts.items():
        if system != step.system:
            _diverge(record, system, layout, registers, step)
    values = list(record.values)
    for register in registers:
        for number in rules.registers[register].fields:
            value = row[number]
            if value is not ABSENT:
                values[number] = value
    record.values = tuple(values)
    record.accept(registers, step.version)
    step.count("successors", len(registers))


def _decide(
    rules: EntityRules, key: str, record: Record, register: int, entry: Held | None, value: RegisterValue,
    stored: RegisterValue, kind: str, step: Step,
) -> bool:
    """Decides one register. True if the user's write is to become current; otherwise everything is done here."""
    rule = rules.registers[register]
    current = record.version(register)
    now = tuple([record.values[f] for f in rule.fields])
    if register in record.holds:
        _hold_more(rules, key, record, register, value, stored, step)
        return False
    had = current if entry is None else entry[0]
    if value == now and (rule.policy != "delta" or had is None or had == current):
        if had != current:
            current = _restamp(rules, record, register, current, value, step)
        _agree(rules, record, register, current, stored, step)
        return False
    if rule.owner is not None and rule.owner != step.system:
        _overrule(rules, key, record, register, value, stored, f"owner: only {rule.owner} may write it", "owner", step)
        if has_seen(had, current):
            _note_seen(record, register, stored, step)
        return False
    if had == current or current in (UNSET_VERSION, step.version) or current.note == DEFAULT:
        step.count("successors")
        _holds_now(rules, record, register, step.version, value, stored, step)
        return True
    return _conflict(rules, key, record, register, entry, value, stored, kind, step)


def has_seen(had: Version | None, current: Version) -> bool:
    """True if whoever wrote the version `had` in his system had the current version before him, or it is that."""
    return had == current or (had is not None and had.note == _after(current))


def _after(current: Version) -> str:
    """The note of a version that its owner's rule overruled: its writer had seen the current one."""
    return f"after {current.number}"


def _note_seen(record: Record, register: int, stored: RegisterValue, step: Step) -> None:
    """The write that was just overruled was made by somebody who had seen the current version."""
    note = _after(record.version(register))
    record.side(step.system).held[register] = (step.version._replace(note=note), stored)


def _conflict(
    rules: EntityRules, key: str, record: Record, register: int, entry: Held | None, value: RegisterValue,
    stored: RegisterValue, kind: str, step: Step,
) -> bool:
    """Asks the policy. True if the user's write is to become current as it stands."""
    step.count("conflicts")
    rule = rules.registers[register]
    layout = rules.layouts[step.system]
    now = tuple([record.values[f] for f in rule.fields])
    base = None if entry is None or entry[0] is None else _decoded(layout, rule, entry[1])
    verdict = resolve(
        rule,
        rules.families[register],
        Contender(step.version, value, base),
        Contender(record.version(register), now),
    )
    if verdict.winner == "incoming":
        step.journal.append(_entry(
            rules, key, register, kind, verdict.because, step.version, value, record.version(register), now, step
        ))
        step.count("overruled")
        _holds_now(rules, record, register, step.version, value, stored, step)
        return True
    if verdict.winner == "current":
        _overrule(rules, key, record, register, value, stored, verdict.because, kind, step)
    elif verdict.winner == "merged":
        _merge_values(rules, record, register, verdict.merged, stored, verdict.because, step)
    else:
        _hold(rules, key, record, register, value, stored, step)
    return False


def _accept(
    rules: EntityRules, record: Record, registers: list[int], written: dict[int, Text | bool], version: Version, step: Step
) -> None:
    """Makes values current; whoever else holds something else becomes due."""
    for system, layout in rules.layouts.items():
        if system != step.system:
            _diverge(record, system, layout, registers, step)
    values = list(record.values)
    for register in registers:
        for number in rules.registers[register].fields:
            values[number] = written[number]
    record.values = tuple(values)
    record.accept(registers, version)


def _diverge(record: Record, system: str, layout: Layout, registers: Iterable[int], step: Step) -> None:
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
            if register not in layer:
                layer[register] = (record.version(register), layout.stored(register, record.values))
    make_due(side, system, step)


def held_alive_next(record: Record, side: Side) -> bool:
    """True if the system has the record once what is under way has been written."""
    entry = side.layer().get(EXISTENCE)
    return bool(entry[1][0]) if entry is not None else record.alive


def make_due(side: Side, system: str, step: Step) -> None:
    """A write of this record to this system is due (unless it waits: then it is looked at again when the wait ends)."""
    if side.bad and not side.bad.startswith(UNREAD):
        side.bad = ""  # what was refused is no longer what would be written
    if not side.wait and not side.bad:
        side.due = step.due
    step.touched.add(system)


def _holds_now(
    rules: EntityRules, record: Record, register: int, version: Version, value: RegisterValue, stored: RegisterValue, step: Step
) -> None:
    """The writer's system holds the version that is about to become current."""
    layout = rules.layouts[step.system]
    side = record.sides.get(step.system)
    if layout.codecs and _predicted(layout, rules.registers[register], value) != stored:
        record.side(step.system).held[register] = (version, stored)
    elif side is not None:
        side.held.pop(register, None)


def _agree(
    rules: EntityRules, record: Record, register: int, current: Version, stored: RegisterValue, step: Step
) -> None:
    """The user wrote what all should have anyway."""
    step.count("agreements")
    value = tuple([record.values[f] for f in rules.registers[register].fields])
    _holds_now(rules, record, register, current, value, stored, step)


def _restamp(
    rules: EntityRules, record: Record, register: int, current: Version, value: RegisterValue, step: Step
) -> Version:
    """Two wrote the same without having seen each other: one version, with the stamp of the one that would have won.

    Otherwise a third write would meet the stamp of whichever was heard first, and the winner depend on the delivery."""
    rule = rules.registers[register]
    if rule.owner not in (None, step.system) or rule.policy in ("delta", "hold") or current == UNSET_VERSION:
        return current
    verdict = resolve(
        rule, rules.families[register], Contender(step.version, value), Contender(current, value)
    )
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


def _overrule(
    rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue, stored: RegisterValue,
    because: str, kind: str, step: Step,
) -> None:
    """The user's write loses: it is kept in the journal, and his system is written back."""
    now = tuple([record.values[f] for f in rules.registers[register].fields])
    step.journal.append(_entry(
        rules, key, register, kind, because, record.version(register), now, step.version, value, step
    ))
    step.count("overruled")
    side = record.side(step.system)
    side.held[register] = (step.version, stored)
    make_due(side, step.system, step)


def _merge_values(
    rules: EntityRules, record: Record, register: int, merged: RegisterValue, stored: RegisterValue, because: str, step: Step
) -> None:
    """Both writes count: a value of neither becomes current, and the writer's system is written too."""
    rule = rules.registers[register]
    version = Version(step.version.number, "", step.version.committed_at, 0, because)
    side = record.side(step.system)
    side.held[register] = (step.version, stored)
    make_due(side, step.system, step)
    _accept(rules, record, [register], dict(zip(rule.fields, merged, strict=True)), version, step)


def _hold(
    rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue, stored: RegisterValue, step: Step
) -> None:
    """A person is to decide: every system keeps its own value until then."""
    now = tuple([record.values[f] for f in rules.registers[register].fields])
    current = record.version(register)
    because = f"hold: {step.system} and {describe(current)} wrote it without having seen each other"
    step.journal.append(_entry(rules, key, register, "hold", because, current, now, step.version, value, step))
    record.holds[register] = because
    step.holds[(rules.name, key, register)] = because
    step.count("held")
    record.side(step.system).held[register] = (step.version, stored)


def _hold_more(
    rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue, stored: RegisterValue, step: Step
) -> None:
    """A write of a register that already waits for a person: it stays where it was written."""
    now = tuple([record.values[f] for f in rules.registers[register].fields])
    record.side(step.system).held[register] = (step.version, stored)
    step.count("held")
    step.journal.append(_entry(
        rules, key, register, "hold", "hold: still left to a person", record.version(register), now, step.version,
        value, step,
    ))


# ---------------------------------------------------------------- existence


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
        return _first_seen(rules, key, row, step)
    if not record.alive and system not in rules.entity.create:
        _may_not_create(rules, key, record, step)
        return record
    written = _canonical(rules, layout, row, row, rules.all_registers)
    if record.alive:
        _insert_exists(rules, key, record, row, step)
    else:
        _come_alive(rules, key, record, row, written, step)
    return record


def _first_seen(rules: EntityRules, key: str, row: Image, step: Step) -> Record:
    """A record that no system had: it is to be created in all others."""
    record = empty_record(rules)
    if step.system not in rules.entity.create:
        _may_not_create(rules, key, record, step)
        return record
    written = _canonical(rules, rules.layouts[step.system], row, row, rules.all_registers)
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
    _decide_all(rules, key, record, image, before, registers, "update_differs", step)


def carry_over(rules: EntityRules, record: Record, former: Values, step: Step) -> None:
    """A record got a new key: what the writer's system has no column for, or may not write, comes along with it."""
    if not record.alive or record.version(EXISTENCE) != step.version:
        return
    layout = rules.layouts[step.system]
    values = list(record.values)
    carried: list[int] = []
    for register in rules.registers[1:]:
        foreign = register.owner not in (None, step.system) or not layout.fields_of[register.number]
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
                _note_seen(record, number, own.held[number][1], step)


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
    for register in rules.registers[1:]:
        if not layout.fields_of[register.number]:
            continue
        stored = _stored(layout, register.number, row, row)
        if register.owner is not None and register.owner != step.system:
            value = tuple([written[f] for f in register.fields])
            if any(v is not None for v in value):
                because = f"owner: only {register.owner} may write it"
                _overrule(rules, key, record, register.number, value, stored, because, "owner", step)
            else:
                side = record.side(step.system)
                side.held[register.number] = (step.version, stored)
                make_due(side, step.system, step)
            _note_seen(record, register.number, stored, step)
            continue
        for number in register.fields:
            values[number] = written[number]
        accepted.append(register.number)
        value = tuple([written[f] for f in register.fields])
        _holds_now(rules, record, register.number, step.version, value, stored, step)
    record.values = tuple(values)
    if accepted:
        record.accept(accepted, step.version)


def _may_not_create(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """A row appeared where the rule lets nobody create: it stays there alone."""
    side = record.side(step.system)
    if not side.out:
        side.out, side.due = True, 0
        creators = ", ".join(sorted(rules.entity.create))
        step.count("overruled")
        step.journal.append(_entry(
            rules, key, EXISTENCE, "owner", f"owner: records are created in {creators} only; the row stays where it is",
            None, (), step.version, (), step,
        ))


def _insert_exists(rules: EntityRules, key: str, record: Record, row: Image, step: Step) -> None:
    """Both systems made the same record: existence agrees, each differing field is a conflict."""
    side = record.side(step.system)
    side.out = False
    side.held = {}
    nothing: Held = (None, ())
    for register in rules.all_registers:
        if rules.layouts[step.system].fields_of[register]:
            side.held[register] = nothing
    step.count("agreements")
    registers = list(side.held)
    _decide_all(rules, key, record, row, row, registers, "insert_exists", step)
    for register, entry in list(side.held.items()):
        if entry is nothing:
            raise EngineFault(f"register {register} of an inserted row was not decided")
    if side.held and not side.wait:
        make_due(side, step.system, step)


def _come_alive(
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
                _keep_held(record, side.held, layout, rules.all_registers)
            layer = side.layer()
            layer.setdefault(EXISTENCE, (record.version(EXISTENCE), (False,)))
            if layer[EXISTENCE][1][0]:
                _keep_held(record, layer, layout, rules.all_registers)
        make_due(side, system, step)
    record.alive = True
    _take_key(rules, record, row)
    record.accept([EXISTENCE], step.version)
    _write_all(rules, key, record, row, written, step)


def _keep_held(record: Record, layer: dict[int, Held], layout: Layout, registers: list[int]) -> None:
    """A system that still has the row holds the old values of it."""
    for register in registers:
        if register not in layer and layout.fields_of[register]:
            layer[register] = (record.version(register), layout.stored(register, record.values))


def _take_key(rules: EntityRules, record: Record, row: Image) -> None:
    """The key fields' values come with the row."""
    values = list(record.values)
    for number in rules.entity.key:
        value = row[number]
        if value is not ABSENT:
            values[number] = value
    record.values = tuple(values)


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
    policy = rules.entity.delete[step.system]
    if policy == "ignore":
        _leave(rules, key, record, step)
    elif policy == "restore":
        _undo_delete(rules, key, record, "owner: records are not deleted from here", "owner", step)
    elif policy == "hold":
        _hold_delete(rules, key, record, step)
    else:
        _deletion(rules, key, record, side, step)
    return record


def _deletion(rules: EntityRules, key: str, record: Record, side: Side | None, step: Step) -> None:
    """A deletion that is to mean one everywhere: a successor, unless something was written that it had not seen."""
    unseen = _unseen(record, side, rules.layouts[step.system])
    if unseen and not rules.entity.delete_wins:
        _undo_delete(rules, key, record, "a concurrent write wins over a deletion", "delete_differs", step)
        step.count("conflicts")
        return
    for register in unseen:
        now = tuple([record.values[f] for f in rules.registers[register].fields])
        step.count("conflicts")
        step.count("overruled")
        step.journal.append(_entry(
            rules, key, register, "delete_differs", "a deletion wins over a concurrent write", step.version, (),
            record.version(register), now, step,
        ))
    step.count("deletes")
    _die(rules, key, record, step)


def _unseen(record: Record, side: Side | None, layout: Layout) -> list[int]:
    """The registers of which somebody made another value current than the system has: its users have not seen that.

    A register left to a person counts for whoever deletes, whichever of the contending values happens to be current."""
    held = [register for register in record.holds if register != EXISTENCE and layout.fields_of[register]]
    if side is None or not side.held:
        return sorted(held)
    row = layout.stored_row(record.values)
    return sorted({*held, *[
        register
        for register, (version, stored) in side.held.items()
        if not has_seen(version, current := record.version(register))
        and current != UNSET_VERSION and current.note != DEFAULT
        and (register == EXISTENCE or stored != tuple([row[f] for f in layout.fields_of[register]]))
    ]})


def _die(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The record is a tombstone now; whoever still has the row is to delete it."""
    for system in rules.layouts:
        if system == step.system:
            continue
        side = record.side(system)
        if side.out:
            continue
        if side.sent is not None:  # the batch under way was formed for a record that exists
            side.held.setdefault(EXISTENCE, (record.version(EXISTENCE), (record.alive,)))
        side.layer().setdefault(EXISTENCE, (record.version(EXISTENCE), (True,)))
        make_due(side, system, step)
    own = record.sides.get(step.system)
    if own is not None:
        own.held, own.due, own.bad = {}, 0, ""
    for register in list(record.holds):
        del record.holds[register]
        step.holds[(rules.name, key, register)] = None
    record.alive = False
    record.accept([EXISTENCE], step.version)


def _undo_delete(rules: EntityRules, key: str, record: Record, because: str, kind: str, step: Step) -> None:
    """The deletion is overruled: the record is created again where it was deleted."""
    step.count("overruled")
    step.journal.append(_entry(
        rules, key, EXISTENCE, kind, f"{because}; it is created again in {step.system}", record.version(EXISTENCE), (),
        step.version, (), step,
    ))
    side = record.side(step.system)
    side.held = {EXISTENCE: (step.version, (False,))}
    make_due(side, step.system, step)


def restore(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The system's table was emptied, and that is to mean nothing: what it had is created there again."""
    side = record.sides.get(step.system)
    if record.alive and held_alive(record, side) and not (side is not None and side.out):
        _undo_delete(rules, key, record, "truncated: to be restored", "owner", step)


def _leave(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The system no longer has the record, and that means nothing to the others."""
    step.count("deletes")
    step.journal.append(_entry(
        rules, key, EXISTENCE, "delete_differs", f"delete: ignore; {step.system} alone no longer has it", None, (),
        step.version, (), step,
    ))
    side = record.side(step.system)
    side.held, side.due, side.wait, side.out, side.bad = {}, 0, 0, True, ""


def _hold_delete(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """A person is to say whether the deletion holds; until then nothing is deleted nor created again."""
    because = f"hold: deleted in {step.system}"
    step.count("held")
    step.journal.append(_entry(
        rules, key, EXISTENCE, "hold", because, record.version(EXISTENCE), (), step.version, (), step
    ))
    record.holds[EXISTENCE] = because
    step.holds[(rules.name, key, EXISTENCE)] = because
    record.side(step.system).held = {EXISTENCE: (step.version, (False,))}


def _write_meets_tombstone(
    rules: EntityRules, key: str, record: Record, row: Image, before: Image, registers: list[int], step: Step
) -> None:
    """A write of a record that was deleted elsewhere before this system heard of it."""
    layout = rules.layouts[step.system]
    full: Image = tuple([b if r is ABSENT else r for r, b in zip(row, before, strict=True)])
    written = _canonical(rules, layout, full, full, rules.all_registers)
    step.count("conflicts")
    step.count("overruled")
    tombstone = record.version(EXISTENCE)
    if rules.entity.delete_wins:
        side = record.side(step.system)
        for register in registers:
            value = tuple([written[f] for f in rules.registers[register].fields])
            step.journal.append(_entry(
                rules, key, register, "update_deleted", "a deletion wins over a concurrent write", tombstone, (),
                step.version, value, step,
            ))
            side.held[register] = (step.version, _stored(layout, register, row, before))
        make_due(side, step.system, step)
        return
    step.journal.append(_entry(
        rules, key, EXISTENCE, "update_deleted", "a concurrent write wins over a deletion; the record is created again",
        step.version, (), tombstone, (), step,
    ))
    _come_alive(rules, key, record, full, written, step)


# ---------------------------------------------------------------- a person


def settle_hold(rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue | None, step: Step) -> None:
    """Carries out a person's decision of a held register: `value` becomes current everywhere.

    For existence: `()` keeps the record (it is created again where it was deleted), None deletes it everywhere."""
    begin(rules, record, step.marks)
    step.touched.clear()
    record.holds.pop(register, None)
    step.holds[(rules.name, key, register)] = None
    if register == EXISTENCE:
        what = "it is deleted everywhere" if value is None else "it stays"
        step.journal.append(_entry(
            rules, key, EXISTENCE, "resolved", f"{step.version.note}; {what}", step.version, (), None, (), step
        ))
        if value is None:
            _die(rules, key, record, step)
        else:
            record.accept([EXISTENCE], step.version)
            _all_due(record, step)
        return
    rule = rules.registers[register]
    now = tuple([record.values[f] for f in rule.fields])
    _journal_held_losers(rules, key, record, register, value or (), step)
    if value is not None and value != now:
        _accept(rules, record, [register], dict(zip(rule.fields, value, strict=True)), step.version, step)
    _all_due(record, step)


def _journal_held_losers(
    rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue, step: Step
) -> None:
    """What a person's decision overwrites is kept, as any write that loses."""
    rule = rules.registers[register]
    lost: dict[Version, RegisterValue] = {}
    now = tuple([record.values[f] for f in rule.fields])
    if now != value:
        lost[record.version(register)] = now
    for system, side in record.sides.items():
        entry = side.held.get(register)
        if entry is not None and entry[0] is not None:
            own = _decoded(rules.layouts[system], rule, entry[1])
            if own is not None and own != value:
                lost[entry[0]] = own
    for version, losing in lost.items():
        step.journal.append(_entry(
            rules, key, register, "resolved", step.version.note, step.version, value, version, losing, step
        ))


def _all_due(record: Record, step: Step) -> None:
    for system, side in record.sides.items():
        if side.layer() and not side.out:
            make_due(side, system, step)


# ---------------------------------------------------------------- values


def _canonical(
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


def _stored(layout: Layout, register: int, row: Image, before: Image) -> RegisterValue:
    """What the system holds of a register after the change, as stored."""
    return tuple([_present(row[f], before[f]) for f in layout.fields_of[register]])


def _predicted(layout: Layout, rule: Register, value: RegisterValue) -> RegisterValue:
    """How a system is expected to store a register's canonical value."""
    codecs = layout.binding.codecs
    by_field = dict(zip(rule.fields, value, strict=True))
    return tuple([
        codecs[f].encode(v) if f in codecs and isinstance(v := by_field[f], str) else by_field[f]
        for f in layout.fields_of[rule.number]
    ])


def _decoded(layout: Layout, rule: Register, stored: RegisterValue) -> RegisterValue | None:
    """The canonical value of what a system holds, if it holds all of the register's fields."""
    if len(stored) != len(rule.fields) or any(v is UNSET for v in stored):
        return None
    return tuple([layout.canonical(f, v) for f, v in zip(rule.fields, stored, strict=True)])


def _entry(
    rules: EntityRules, key: str, register: int, kind: str, because: str, winner: Version | None, won: RegisterValue,
    loser: Version | None, lost: RegisterValue, step: Step,
) -> JournalEntry:
    """A journal entry; what was found by re-reading says so."""
    if step.reason:
        because = f"{because} ({step.reason})"
    return JournalEntry(
        entity=rules.name, key=key, fields=rules.names(register), kind=kind, because=because, winner=winner, won=won,
        loser=loser, lost=lost, number=step.version.number,
    )
