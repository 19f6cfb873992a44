"""Day one, one record: what all systems' rows of it agree on, and who holds something else.

Turns the rows of one record into its first state: each field decided by the rules as a conflict without commit times.
What loses is in the journal; what breaks a check waits for a person. It reads no system and no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import ValueRefused
from engine.first_report import Differing
from engine.merge import EntityRules
from engine.merge.checks import CHECK, broken
from engine.merge.derived import NOTE, worked_out
from engine.merge.ownership import DERIVED, forbidden
from engine.merge.values import complete, is_same, stores_so, understood
from engine.record import UNREAD, Record
from engine.resolve import RegisterValue, contender, resolve
from engine.rulebook import EXISTENCE, Register
from engine.vocabulary import ABSENT, Image, JournalEntry, Text, Version


@dataclass(slots=True)
class Tally:
    """What the first merge found, over all entities."""

    records: int = 0
    paired: int = 0
    one_sided: int = 0
    differing: int = 0
    """Fields (or groups) that differed and were decided by the rules."""
    held: int = 0
    refused: int = 0


@dataclass(slots=True)
class Case:
    """One record under decision."""

    rules: EntityRules
    key: str
    rows: Mapping[str, Image]
    versions: Mapping[str, Version]
    number: int
    record: Record
    journal: list[JournalEntry] = field(default_factory=list)
    quarantine: dict[tuple[str, str, str], str | None] = field(default_factory=dict)
    holds: dict[tuple[str, str, int], str | None] = field(default_factory=dict)
    differing: list[Differing] = field(default_factory=list)


@dataclass(slots=True)
class _Choice:
    """What becomes of one register."""

    winner: str | None = None
    """The system whose value it is; None: nobody's, or what several make together."""
    version: Version | None = None
    """None: nobody entitled has the record yet."""
    value: RegisterValue = ()
    because: str = ""
    held: bool = False


def agree_fields(case: Case, tally: Tally) -> None:
    """Decides all registers of a record that some system may create: whose they are by state comes after the state,
    what is worked out comes last."""
    rules, record = case.rules, case.record
    derived = {register: formula for register, _, formula in rules.derived}
    plain = [r for r in rules.registers[1:] if not r.claims and r.number not in derived]
    for register in (*plain, *[r for r in rules.registers[1:] if r.claims]):
        found = _found(case, register, tally)
        _settle(case, register, found, _choose(case, register, found), tally)
    for number, formula in derived.items():
        register = rules.registers[number]
        start = next(iter(case.versions.values()))._replace(system="", position=0, note=NOTE)
        choice = _Choice(None, start, (worked_out(formula, record.values),), DERIVED)
        _settle(case, register, _found(case, register, tally), choice, tally)
    if rules.checks:
        _check(case, tally)


def _found(case: Case, register: Register, tally: Tally) -> dict[str, RegisterValue]:
    return {system: value for system in case.rows if (value := _value(case, register, system, tally)) is not None}


def _value(case: Case, register: Register, system: str, tally: Tally) -> RegisterValue | None:
    """The canonical value of a register in a system; None if the system has no column for it, or cannot be read."""
    layout = case.rules.layouts[system]
    if not layout.fields_of[register.number]:
        return None
    row = case.rows[system]
    try:
        values: dict[int, Text | bool] = {
            f: understood(layout, register, f, None if (stored := row[f]) is ABSENT else stored)
            for f in register.fields
        }
    except ValueRefused as error:
        side = case.record.side(system)
        side.bad, side.due = f"{UNREAD}: {error.found}", 0
        side.held[register.number] = (case.versions[system], _stored(case, register, system))
        case.quarantine[(case.rules.name, case.key, system)] = side.bad
        tally.refused += 1
        return None
    complete(register, layout, values)
    return tuple([values[f] for f in register.fields])


def _choose(case: Case, register: Register, found: Mapping[str, RegisterValue]) -> _Choice:
    """The value that becomes the base, and why."""
    reasons = {system: forbidden(register, system, case.record.values) for system in found}
    choice = _Choice(because=next((reason for reason in reasons.values() if reason), ""))
    for system in register.order:
        if system not in found or reasons[system]:
            continue
        value, version = found[system], case.versions[system]
        if choice.version is None:
            choice.winner, choice.version, choice.value = system, version, value
        elif choice.winner is not None and _is_image(case, register, choice.winner, value):
            choice.winner, choice.version, choice.value = system, version, value  # as exact as anybody has it
        elif _same(case, register, system, value, choice):
            continue
        elif register.policy == "hold":
            choice.held = True
        else:
            verdict = resolve(
                register,
                case.rules.families[register.number],
                contender(register, case.record.values, version, value),
                contender(register, case.record.values, choice.version, choice.value),
            )
            choice.because = f"first merge: {verdict.because}"
            if verdict.winner == "incoming":
                choice.winner, choice.version, choice.value = system, version, value
            elif verdict.winner == "merged":
                made = Version(case.number, "", 0, 0, verdict.because)
                choice.winner, choice.version, choice.value = None, made, verdict.merged
            choice.held |= verdict.winner == "hold"
    return choice


def _same(case: Case, register: Register, system: str, value: RegisterValue, choice: _Choice) -> bool:
    layouts = case.rules.layouts
    if is_same(case.rules, register, layouts[system], value, choice.value):
        return True
    if _is_image(case, register, system, choice.value):
        return True
    return choice.winner is not None and is_same(case.rules, register, layouts[choice.winner], choice.value, value)


def _is_image(case: Case, register: Register, system: str, value: RegisterValue) -> bool:
    """True if what a system has is how it would store this value: rounded, cut, in capitals, put together."""
    layout = case.rules.layouts[system]
    if not layout.codecs and register.joint is None:
        return False
    return stores_so(layout, register, value, _stored(case, register, system))


def _agrees(case: Case, register: Register, system: str, value: RegisterValue, chosen: RegisterValue) -> bool:
    """True if a system has what is chosen, in whatever spelling. Where it is only written to, what it has is no value,
    but how it would store one."""
    layout = case.rules.layouts[system]
    if system in register.closed and layout.codecs:
        return stores_so(layout, register, chosen, _stored(case, register, system))
    return is_same(case.rules, register, layout, value, chosen) or _is_image(case, register, system, chosen)


def _settle(case: Case, register: Register, found: Mapping[str, RegisterValue], choice: _Choice, tally: Tally) -> None:
    if choice.version is not None:
        values = list(case.record.values)
        for number, chosen in zip(register.fields, choice.value, strict=True):
            values[number] = chosen
        case.record.values = tuple(values)
        case.record.accept([register.number], choice.version)
    differing = [
        system
        for system, value in found.items()
        if choice.version is None or not _agrees(case, register, system, value, choice.value)
    ]
    if differing and len(found) > 1:
        case.differing.append((register, found, choice.winner, choice.because))
    if choice.held and differing and choice.version is not None:
        because = f"hold: {choice.winner or 'duolog'} and {', '.join(differing)} differed at the first merge"
        _hold(case, register, because, choice, differing, found)
        tally.held += 1
    for system in found:
        if system in differing:
            _note_differing(case, register, system, choice, found[system], tally)
        else:
            _note_same(case, register, system, choice)


def _hold(
    case: Case,
    register: Register,
    because: str,
    choice: _Choice,
    differing: list[str],
    found: Mapping[str, RegisterValue],
) -> None:
    case.record.holds[register.number] = because
    case.holds[(case.rules.name, case.key, register.number)] = because
    for system in differing:
        won, lost = (choice.version, choice.value), (case.versions[system], found[system])
        case.journal.append(entry(case, register.number, "hold", because, *won, *lost))


def _stored(case: Case, register: Register, system: str) -> RegisterValue:
    row, fields = case.rows[system], case.rules.layouts[system].fields_of[register.number]
    return tuple([None if (v := row[f]) is ABSENT else v for f in fields])


def _note_same(case: Case, register: Register, system: str, choice: _Choice) -> None:
    """What a system holds of the base, where that is not stored as it would store it."""
    stored = _stored(case, register, system)
    try:
        predicted = case.rules.layouts[system].stored(register.number, case.record.values)
    except ValueRefused:
        predicted = stored
    if predicted != stored and choice.version is not None:
        case.record.side(system).held[register.number] = (choice.version, stored)


def _note_differing(
    case: Case, register: Register, system: str, choice: _Choice, value: RegisterValue, tally: Tally
) -> None:
    """What a system holds that is not the base: it is to be put right, unless a person is asked."""
    side = case.record.side(system)
    side.held[register.number] = (case.versions[system], _stored(case, register, system))
    if register.number in case.record.holds:
        return
    if not side.bad:
        side.due = case.number
    tally.differing += 1
    lost = (case.versions[system], value)
    case.journal.append(
        entry(case, register.number, "insert_exists", choice.because, choice.version, choice.value, *lost)
    )


def _check(case: Case, tally: Tally) -> None:
    """What would be written against a check waits for a person; what all have already stays as it is."""
    rules, record = case.rules, case.record
    whole = len(case.rows) == len(rules.layouts)
    for check in broken(rules, record.values):
        because = f"{CHECK} {check.name}"
        due = {n for side in record.sides.values() for n, (version, _) in side.held.items() if n != EXISTENCE}
        held = [n for n in due if not check.condition.fields.isdisjoint(rules.registers[n].fields)]
        for number in held if whole else [EXISTENCE, *held]:
            if number not in record.holds:
                record.holds[number] = because
                case.holds[(rules.name, case.key, number)] = because
                case.journal.append(entry(case, number, "hold", because, None, (), None, ()))
                tally.held += 1


def entry(
    case: Case,
    register: int,
    kind: str,
    because: str,
    winner: Version | None,
    won: RegisterValue,
    loser: Version | None,
    lost: RegisterValue,
) -> JournalEntry:
    """An entry of the journal."""
    return JournalEntry(
        entity=case.rules.name,
        key=case.key,
        fields=case.rules.names(register),
        kind=kind,
        because=because,
        winner=winner,
        won=won,
        loser=loser,
        lost=lost,
        number=case.number,
    )
