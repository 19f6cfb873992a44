"""Day one: several full systems become one agreed base, from consistent snapshots at known log positions.

Turns sorted streams of rows into records: paired by identity, each field decided by the rules as a conflict without
commit times, one-sided records due to the others. What loses is in the journal. Nothing is written to any system here;
afterwards the logs are followed from the snapshots' positions, and what is due flows as any other write.

Memory is flat: the streams are merged as they come, and the store takes them chunk by chunk, committed as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from engine.errors import EngineFault
from engine.first_agreement import Case, Tally, agree_fields, entry
from engine.first_alike import Alike
from engine.first_pairing import FirstPairing
from engine.first_report import Report
from engine.gathering import Found
from engine.merge import EntityRules, Step, empty_record, hold_identity, rules_of
from engine.ports import Delta, Pending, Snapshot, Store
from engine.record import UNREAD, encode
from engine.rulebook import EXISTENCE, RuleBook
from engine.vocabulary import ABSENT, Image, Row, Version

CHUNK_RECORDS = 2_000
"""Records handed to the store at a time."""

Observer = Callable[[str, int], None]
"""Told (entity, records merged so far)."""


def first_merge(
    book: RuleBook, snapshots: Mapping[str, Snapshot], store: Store, observe: Observer = lambda entity, n: None,
    report: Report | None = None, reading: Observer = lambda what, n: None,
) -> Tally:  # fmt: skip
    """Agrees on a base and makes it durable, with the snapshots' positions, in one commit of the store.

    With `report` it is only `matched`, until a person has seen what is noted there and accepts it. `reading` is told
    how many rows have been read of what has to be read as a whole first."""
    start = store.state().number + 1
    number = start
    versions = {s: Version(start, s, 0, snapshots[s].position, "first merge") for s in book.systems}
    tally = Tally()
    delta = Delta()
    names: list[tuple[str, str]] = []
    entities = rules_of(book)
    anew = report is not None and not report.about.over_base
    pairing = FirstPairing(book, entities, snapshots, store, reading, anew=anew)
    pairing.prepare()
    for rules in entities.values():
        alike = Alike(rules)
        for found in _found(rules, snapshots, pairing):
            case = Case(rules, found.id, found.rows, versions, number, empty_record(rules))
            _agree(case, found, tally, alike)
            if rules.entity.crossed:
                pairing.index(rules, found, case.record.values)
            _take(case, delta, names)
            if report is not None and (found.rows or found.refused):
                report.take(rules, found, case.record, case.differing, _refused(case, found), delta)
            if len(delta.records) >= CHUNK_RECORDS:
                pairing.flush()
                number = _flush(store, delta, names, number)
                delta, names = Delta(), []
                observe(rules.name, tally.records)
        observe(rules.name, tally.records)
    pairing.flush()
    number = _flush(store, delta, names, number)
    last = Delta(number=number, phase="base", positions={s: snapshots[s].position for s in book.systems})
    if report is not None:
        last.phase = "matched"
        report.close(start, last)
    store.commit(last)
    return tally


def _refused(case: Case, found: Found) -> dict[str, str]:
    """By system: why what it has of a record means nothing to us."""
    bad = {s: side.bad.removeprefix(f"{UNREAD}: ") for s, side in case.record.sides.items() if side.bad}
    return {**bad, **found.refused}


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


def _take(case: Case, delta: Delta, names: list[tuple[str, str]]) -> None:
    name = (case.rules.name, case.key)
    delta.records[name] = encode(case.record)
    delta.journal += case.journal
    delta.quarantine.update(case.quarantine)
    delta.holds.update(case.holds)
    if any(side.due for side in case.record.sides.values()):
        names.append(name)


def _agree(case: Case, found: Found, tally: Tally, alike: Alike) -> None:
    """Decides one record."""
    if not found.keys or found.rows or found.refused:
        tally.records += 1
    values = alike.values(found)
    record = alike.record(found, values) if values is not None else None
    if record is not None:
        case.record = record
        tally.paired += len(case.rows) > 1
        return
    case.record.keys = found.keys
    if case.rows:
        _agree_rows(case, tally)
    if values is not None:
        alike.learn(case.record, values)
    for system, why in found.refused.items():
        side = case.record.side(system)
        side.held, side.due, side.bad = {EXISTENCE: (None, (False,))}, 0, f"{UNREAD}: {why}"
        case.quarantine[(case.rules.name, case.key, system)] = side.bad
        tally.refused += 1
    if found.others and case.record.alive:
        _hold_identity(case, found.others, tally)


def _hold_identity(case: Case, others: list[str], tally: Tally) -> None:
    """It looks like another record: it is made nowhere before a person has said which it is."""
    step = Step(next(iter(case.versions.values())), "", {})
    hold_identity(case.rules, case.key, case.record, sorted(others), step)
    case.journal += step.journal
    case.holds.update(step.holds)
    tally.held += 1


def _agree_rows(case: Case, tally: Tally) -> None:
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
    agree_fields(case, tally)
    for system in rules.layouts:
        if system not in case.rows:
            side = record.side(system)
            side.held = {EXISTENCE: (None, (False,))}
            side.due = case.number


def _keep_out(case: Case) -> None:
    """Only systems that may not create it have this record: it stays theirs alone."""
    creators = ", ".join(sorted(case.rules.entity.create))
    for system in case.rows:
        case.record.side(system).out = True
        case.journal.append(
            entry(
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
