"""What the users of one system did since a certain step is taken back: the others' values count again.

Turns a record whose current versions are that system's into one whose values are those that the others still hold. What
is taken back stays in the journal. Where nobody else has anything, there is nothing to take back to.
"""

from __future__ import annotations

from engine.merge.checks import release
from engine.merge.deletion import die
from engine.merge.derived import derive
from engine.merge.outcomes import accept
from engine.merge.ownership import forbidden
from engine.merge.step import EntityRules, Step, begin, held_alive_next, journal_entry, make_due
from engine.merge.values import decoded_value
from engine.record import Record
from engine.resolve import RegisterValue
from engine.rulebook import EXISTENCE
from engine.vocabulary import Version


def put_back(rules: EntityRules, key: str, record: Record, system: str, since: int, step: Step) -> bool:
    """Takes back what `system` wrote of a record from step `since` on. False: it wrote nothing that counts."""
    begin(rules, record, step.marks)
    step.touched.clear()
    others = [s for s in rules.layouts if s != system and not record.side(s).out]
    having = [s for s in others if held_alive_next(record, record.side(s))]
    existence = record.version(EXISTENCE)
    revived = False
    if _is_of(existence, system, since) and EXISTENCE not in record.holds:
        if record.alive and not having:
            _unmake(rules, key, record, step)
            return True
        # Who holds that very version has our own copy of a row, which gives way to a user's: nobody deleted anything.
        ours = {s for s in having if record.side(s).layer().get(EXISTENCE, (None, ()))[0] == existence}
        revived = not record.alive and bool(set(having) - ours)
        if revived:
            _revive(rules, key, record, step)
    return _put_back_fields(rules, key, record, having, system, since, revived, step) or revived


def _is_of(version: Version, system: str, since: int) -> bool:
    return version.system == system and version.number >= since


def _unmake(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """It was made, and nobody else has it: it is deleted where it was made."""
    for register in rules.all_registers:
        value = tuple([record.values[f] for f in rules.registers[register].fields])
        if any(isinstance(v, str) for v in value):
            _tell(rules, key, register, record.version(register), value, (), step)
    _tell(rules, key, EXISTENCE, record.version(EXISTENCE), (), (), step)
    die(rules, key, record, step)


def _revive(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """It was deleted, and others have it: it is made again where it is missing."""
    gone = record.version(EXISTENCE)
    _tell(rules, key, EXISTENCE, gone, (), (), step)
    for system in rules.layouts:
        side = record.side(system)
        if side.out:
            continue
        if side.sent is not None:  # the batch under way was formed for a record that does not exist
            side.held.setdefault(EXISTENCE, (gone, (False,)))
        side.layer().setdefault(EXISTENCE, (gone, (False,)))
        make_due(side, system, step)
    record.alive = True
    record.accept([EXISTENCE], step.version)


def _put_back_fields(
    rules: EntityRules,
    key: str,
    record: Record,
    having: list[str],
    system: str,
    since: int,
    revived: bool,
    step: Step,
) -> bool:
    done = False
    derived = {register for register, _, _ in rules.derived}
    for register in sorted(set(rules.all_registers) - derived) if record.alive else ():
        current = record.version(register)
        mine = _is_of(current, system, since)
        held = _newest_held(rules, record, register, having) if mine or revived else None
        if register in record.holds or held is None:
            continue
        version, value = held
        now = tuple([record.values[f] for f in rules.registers[register].fields])
        if value == now or not (mine or (version is not None and version.number > current.number)):
            continue  # of a record that was gone, what others wrote meanwhile counts again
        _tell(rules, key, register, current, now, value, step)
        fields = rules.registers[register].fields
        accept(rules, record, [register], dict(zip(fields, value, strict=True)), step.version, step)
        done = True
    if record.alive and derived:
        derive(rules, record, step)
    if record.holds and rules.checks:
        release(rules, key, record, step)
    return done


def _newest_held(
    rules: EntityRules, record: Record, register: int, having: list[str]
) -> tuple[Version | None, RegisterValue] | None:
    """What another system has of a register; of several the newest, then the most trusted. None: one of them has the
    current version, or none has all of it."""
    rule = rules.registers[register]
    found: list[tuple[int, int, Version | None, RegisterValue]] = []
    for system in having:
        if not rules.layouts[system].fields_of[register]:
            continue
        entry = record.side(system).layer().get(register)
        if entry is None:
            return None
        version, stored = entry
        if version is not None and version.system == system and forbidden(rule, system, record.values):
            continue  # what its own users wrote there does not count
        if system in rule.closed:
            continue  # how it spells a value is none
        value = decoded_value(rules.layouts[system], rule, stored)
        if value is not None:
            found.append((version.number if version is not None else -1, -rule.order.index(system), version, value))
    if not found:
        return None
    _, _, version, value = max(found, key=lambda item: item[:2])
    return version, value


def _tell(
    rules: EntityRules, key: str, register: int, loser: Version, lost: RegisterValue, won: RegisterValue, step: Step
) -> None:
    """What is taken back stays in the journal."""
    step.count("overruled")
    step.journal.append(
        journal_entry(rules, key, register, "resolved", step.version.note, step.version, won, loser, lost, step)
    )
