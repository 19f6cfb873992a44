"""Day one: several full systems become one agreed base, from consistent snapshots at known log positions.

Turns sorted streams of rows into records: paired by identity, each field decided by the rules as a conflict without
commit times, one-sided records due to the others. What loses is in the journal. Nothing is written to any system here;
afterwards the logs are followed from the snapshots' positions, and what is due flows as any other write.

Memory is flat: the streams are merged as they come, and the store takes them chunk by chunk, committed as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from engine.errors import EngineFault, ValueRefused
from engine.first_pairing import FirstPairing
from engine.gathering import Found
from engine.merge import EntityRules, Step, empty_record, hold_identity, rules_of
from engine.ports import Delta, Pending, Snapshot, Store
from engine.record import UNREAD, Record, encode
from engine.resolve import Contender, RegisterValue, resolve
from engine.rulebook import EXISTENCE, Register, RuleBook
from engine.vocabulary import ABSENT, Image, JournalEntry, Row, Text, Version

CHUNK_RECORDS = 2_000
"""Records handed to the store at a time."""

Observer = Callable[[str, int], None]
"""Told (entity, records merged so far)."""


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
class _Case:
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


def first_merge(
    book: RuleBook, snapshots: Mapping[str, Snapshot], store: Store, observe: Observer = lambda entity, n: None
) -> Tally:
    """Agrees on a base and makes it durable, with the snapshots' positions, in one commit of the store."""
    start = store.state().number + 1
    number = start
    versions = {s: Version(start, s, 0, snapshots[s].position, "first merge") for s in book.systems}
    tally = Tally()
    delta = Delta()
    names: list[tuple[str, str]] = []
    entities = rules_of(book)
    pairing = FirstPairing(book, entities, snapshots, store)
    pairing.prepare()
    for rules in entities.values():
        for found in _found(rules, snapshots, pairing):
            case = _Case(rules, found.id, found.rows, versions, number, empty_record(rules))
            _agree(case, found, tally)
            if rules.entity.crossed:
                pairing.index(rules, found, case.record.values)
            _take(case, delta, names)
            if len(delta.records) >= CHUNK_RECORDS:
                pairing.flush()
                number = _flush(store, delta, names, number)
                delta, names = Delta(), []
                observe(rules.name, tally.records)
        observe(rules.name, tally.records)
    pairing.flush()
    number = _flush(store, delta, names, number)
    store.commit(Delta(number=number, phase="base", positions={s: snapshots[s].position for s in book.systems}))
    return tally


def _found(rules: EntityRules, snapshots: Mapping[str, Snapshot], pairing: FirstPairing) -> Iterator[Found]:
    """All records of an entity, each with its rows: paired by the key that the systems share, or by identity."""
    if rules.entity.crossed:
        yield from pairing.records(rules)
    else:
        for key, rows in paired(rules, snapshots):
            yield Found(key, rows=rows)


def paired(rules: EntityRules, snapshots: Mapping[str, Snapshot]) -> Iterator[tuple[str, dict[str, Image]]]:
    """Merges the systems' streams, each ascending by record key: one item a key, with the row of each system."""
    streams = {system: snapshots[system].rows(rules.name) for system in rules.layouts}
    heads: dict[str, tuple[str, Row]] = {}
    for system, stream in streams.items():
        _advance(system, stream, heads)
    while heads:
        key = min(head[0] for head in heads.values())
        rows: dict[str, Image] = {}
        for system in list(heads):
            if heads[system][0] == key:
                rows[system] = heads[system][1]
                _advance(system, streams[system], heads)
        yield key, rows


def _advance(system: str, stream: Iterator[tuple[str, Row]], heads: dict[str, tuple[str, Row]]) -> None:
    before = heads.pop(system, None)
    head = next(stream, None)
    if head is None:
        return
    if before is not None and head[0] <= before[0]:
        raise EngineFault("the rows of a snapshot are not in ascending order of their keys", system=system)
    heads[system] = head


def _flush(store: Store, delta: Delta, names: list[tuple[str, str]], number: int) -> int:
    if names:
        delta.pending.append(Pending(number, names))
    store.write(delta)
    return number + 1


def _take(case: _Case, delta: Delta, names: list[tuple[str, str]]) -> None:
    name = (case.rules.name, case.key)
    delta.records[name] = encode(case.record)
    delta.journal += case.journal
    delta.quarantine.update(case.quarantine)
    delta.holds.update(case.holds)
    if any(side.due for side in case.record.sides.values()):
        names.append(name)


def _agree(case: _Case, found: Found, tally: Tally) -> None:
    """Decides one record."""
    case.record.keys = found.keys
    tally.records += 1
    if case.rows:
        _agree_rows(case, tally)
    for system, why in found.refused.items():
        side = case.record.side(system)
        side.held, side.due, side.bad = {EXISTENCE: (None, (False,))}, 0, f"{UNREAD}: {why}"
        case.quarantine[(case.rules.name, case.key, system)] = side.bad
        tally.refused += 1
    if found.others and case.record.alive:
        _hold_identity(case, found.others, tally)


def _hold_identity(case: _Case, others: list[str], tally: Tally) -> None:
    """It looks like another record: it is made nowhere before a person has said which it is."""
    step = Step(next(iter(case.versions.values())), "", {})
    hold_identity(case.rules, case.key, case.record, sorted(others), step)
    case.journal += step.journal
    case.holds.update(step.holds)
    tally.held += 1


def _agree_rows(case: _Case, tally: Tally) -> None:
    rules, record = case.rules, case.record
    creators = [s for s in rules.entity.bindings if s in case.rows and s in rules.entity.create]
    first = next(iter(case.rows.values()))
    values = list(record.values)
    for number in rules.entity.key:
        there = first[number]
        values[number] = None if there is ABSENT else there
    record.values = tuple(values)
    if not creators:
        _keep_out(case)
        return
    tally.paired += len(case.rows) > 1
    tally.one_sided += len(case.rows) < len(rules.layouts)
    record.alive = True
    record.accept([EXISTENCE], case.versions[creators[0]])
    for register in rules.registers[1:]:
        _agree_register(case, register, tally)
    for system in rules.layouts:
        if system not in case.rows:
            side = record.side(system)
            side.held = {EXISTENCE: (None, (False,))}
            side.due = case.number


def _keep_out(case: _Case) -> None:
    """Only systems that may not create it have this record: it stays theirs alone."""
    creators = ", ".join(sorted(case.rules.entity.create))
    for system in case.rows:
        case.record.side(system).out = True
        case.journal.append(
            _entry(
                case,
                EXISTENCE,
                "owner",
                f"owner: records are created in {creators} only; the row stays where it is",
                None,
                (),
                case.versions[system],
                (),
            )
        )


def _agree_register(case: _Case, register: Register, tally: Tally) -> None:
    found = {system: value for system in case.rows if (value := _value(case, register, system, tally)) is not None}
    winner, because = _winner(case, register, found)
    if winner is not None:
        values = list(case.record.values)
        for number, chosen in zip(register.fields, found[winner], strict=True):
            values[number] = chosen
        case.record.values = tuple(values)
        case.record.accept([register.number], case.versions[winner])
    differing = [s for s, value in found.items() if winner is None or value != found[winner]]
    if winner is not None and differing and register.policy == "hold" and register.owner is None:
        _hold(case, register, winner, differing, found)
        tally.held += 1
    for system in found:
        _note_held(case, register, system, winner, found, because, tally)


def _value(case: _Case, register: Register, system: str, tally: Tally) -> RegisterValue | None:
    """The canonical value of a register in a system; None if the system has no column for it, or cannot be read."""
    layout = case.rules.layouts[system]
    if not layout.fields_of[register.number]:
        return None
    row = case.rows[system]
    try:
        return tuple([_canonical(case, system, f, row[f]) for f in register.fields])
    except ValueRefused as error:
        side = case.record.side(system)
        side.bad = f"{UNREAD}: {error.found}"
        case.quarantine[(case.rules.name, case.key, system)] = side.bad
        tally.refused += 1
        return None


def _canonical(case: _Case, system: str, number: int, stored: object) -> Text | bool:
    if stored is ABSENT or not isinstance(stored, str):
        return None
    return case.rules.layouts[system].canonical(number, stored)


def _winner(case: _Case, register: Register, found: Mapping[str, RegisterValue]) -> tuple[str | None, str]:
    """The system whose value becomes the base, and why. None: the owner does not have the record yet."""
    if register.owner is not None:
        return (register.owner if register.owner in found else None), f"owner: only {register.owner} may write it"
    winner: str | None = None
    because = ""
    for system in register.order:
        if system not in found:
            continue
        if winner is None:
            winner = system
        elif found[system] != found[winner] and register.policy != "hold":
            verdict = resolve(
                register,
                case.rules.families[register.number],
                Contender(case.versions[system], found[system]),
                Contender(case.versions[winner], found[winner]),
            )
            because = f"first merge: {verdict.because}"
            winner = system if verdict.winner == "incoming" else winner
    return winner, because


def _hold(
    case: _Case, register: Register, winner: str, differing: list[str], found: Mapping[str, RegisterValue]
) -> None:
    because = f"hold: {winner} and {', '.join(differing)} differed at the first merge"
    case.record.holds[register.number] = because
    case.holds[(case.rules.name, case.key, register.number)] = because
    for system in differing:
        case.journal.append(
            _entry(
                case,
                register.number,
                "hold",
                because,
                case.versions[winner],
                found[winner],
                case.versions[system],
                found[system],
            )
        )


def _note_held(
    case: _Case,
    register: Register,
    system: str,
    winner: str | None,
    found: Mapping[str, RegisterValue],
    because: str,
    tally: Tally,
) -> None:
    """What a system holds, where that is not the base as it would store it."""
    layout = case.rules.layouts[system]
    row = case.rows[system]
    stored: RegisterValue = tuple([None if (v := row[f]) is ABSENT else v for f in layout.fields_of[register.number]])
    if winner is not None and found[system] == found[winner]:
        try:
            predicted = layout.stored(register.number, case.record.values)
        except ValueRefused:
            predicted = stored
        if predicted != stored:
            case.record.side(system).held[register.number] = (case.versions[winner], stored)
        return
    side = case.record.side(system)
    side.held[register.number] = (case.versions[system], stored)
    if register.number in case.record.holds:
        return
    if not side.bad:
        side.due = case.number
    tally.differing += 1
    won = found[winner] if winner is not None else ()
    case.journal.append(
        _entry(
            case,
            register.number,
            "insert_exists",
            because,
            case.versions[winner] if winner is not None else None,
            won,
            case.versions[system],
            found[system],
        )
    )


def _entry(
    case: _Case,
    register: int,
    kind: str,
    because: str,
    winner: Version | None,
    won: RegisterValue,
    loser: Version | None,
    lost: RegisterValue,
) -> JournalEntry:
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
