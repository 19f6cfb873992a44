"""A person's decision of what was held, carried out on the record; what loses by it goes to the journal."""

from __future__ import annotations

from engine.merge.checks import release
from engine.merge.deletion import die
from engine.merge.derived import derive
from engine.merge.outcomes import accept
from engine.merge.step import EntityRules, Step, begin, journal_entry, make_due
from engine.merge.values import decoded_value
from engine.record import Record
from engine.resolve import RegisterValue
from engine.rulebook import EXISTENCE
from engine.vocabulary import Version

LOOKS_LIKE = "identity: looks like"
"""What the reason of a hold begins with, if a record looks like others that are not it."""


def settle_hold(
    rules: EntityRules, key: str, record: Record, register: int, value: RegisterValue | None, step: Step
) -> None:
    """Carries out a person's decision of a held register: `value` becomes current everywhere.

    For existence: `()` keeps the record (it is created again where it was deleted), None deletes it everywhere."""
    begin(rules, record, step.marks)
    step.touched.clear()
    record.holds.pop(register, None)
    step.holds[(rules.name, key, register)] = None
    if register == EXISTENCE:
        what = "it is deleted everywhere" if value is None else "it stays"
        step.journal.append(
            journal_entry(
                rules, key, EXISTENCE, "resolved", f"{step.version.note}; {what}", step.version, (), None, (), step
            )
        )
        if value is None:
            die(rules, key, record, step)
        else:
            record.accept([EXISTENCE], step.version)
            _all_due(record, step)
        return
    rule = rules.registers[register]
    now = tuple([record.values[f] for f in rule.fields])
    _journal_held_losers(rules, key, record, register, value or (), step)
    if value is not None and value != now:
        accept(rules, record, [register], dict(zip(rule.fields, value, strict=True)), step.version, step)
        derive(rules, record, step)
    if record.holds and rules.checks:
        release(rules, key, record, step)  # something else may be in order with it
    _all_due(record, step)


def hold_identity(rules: EntityRules, key: str, record: Record, others: list[str], step: Step) -> None:
    """A record looks like others that are not it: it is made nowhere before a person has said which it is."""
    because = f"{LOOKS_LIKE} {', '.join(others)}"
    step.count("held")
    step.journal.append(
        journal_entry(rules, key, EXISTENCE, "hold", because, record.version(EXISTENCE), (), step.version, (), step)
    )
    record.holds[EXISTENCE] = because
    step.holds[(rules.name, key, EXISTENCE)] = because


def tell_likeness(rules: EntityRules, key: str, record: Record, others: list[str], step: Step) -> None:
    """A record looks like others, and every system has all of them: too late to hold anything, but worth knowing."""
    because = f"{LOOKS_LIKE} {', '.join(others)}; every system has both: `merge-records` makes them one"
    kind = "unique_conflict"
    step.journal.append(journal_entry(rules, key, EXISTENCE, kind, because, None, (), step.version, (), step))


def release_identity(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The record no longer looks like another one: it is made where it is missing."""
    del record.holds[EXISTENCE]
    step.holds[(rules.name, key, EXISTENCE)] = None
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
            own = decoded_value(rules.layouts[system], rule, entry[1])
            if own is not None and own != value:
                lost[entry[0]] = own
    for version, losing in lost.items():
        step.journal.append(
            journal_entry(
                rules, key, register, "resolved", step.version.note, step.version, value, version, losing, step
            )
        )


def _all_due(record: Record, step: Step) -> None:
    for system, side in record.sides.items():
        if side.layer() and not side.out:
            make_due(side, system, step)
