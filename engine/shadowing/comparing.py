"""Where two desks differ that decided the same transaction on the same state.

Turns the records that it changed under the rules in force and under others into differences: another value, another
write, a hold or a quarantine that only one of them has. Another reason for the same result is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.errors import ValueRefused
from engine.foretelling import origin, why
from engine.merge import EntityRules
from engine.record import Record, Side, encode, held_alive, is_due
from engine.rulebook import EXISTENCE
from engine.shadowing.following import Follower
from engine.shadowing.trial import Trial
from engine.vocabulary import JournalEntry, Values


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of one register of a record."""

    value: Values
    """The canonical values; of existence (True,) or (False,)."""
    writes: tuple[tuple[str, Values], ...]
    """(system, what would be stored there) of the systems that are to be written; of existence (True,): created."""
    waits: str
    """Why it waits for a person; "" if it does not."""
    because: str

    def same(self, other: Decided) -> bool:
        """True if the result is the same, whatever the reason."""
        return (self.value, self.writes, bool(self.waits)) == (other.value, other.writes, bool(other.waits))


@dataclass(frozen=True, slots=True)
class Differing:
    """One register of one record on which the two do not agree."""

    entity: str
    key: str
    fields: tuple[str, ...]
    """Empty: the record as a whole, or its quarantine."""
    in_force: Decided
    tried: Decided


Entries = tuple[Sequence[JournalEntry], Sequence[JournalEntry]]
"""What one transaction wrote into the journal: under the rules in force, and under the others."""

NOTHING = Decided((), (), "", "nothing is known of it")


def differing(base: Follower, trial: Trial, entries: Entries) -> list[Differing]:
    """All differences about the records that a transaction changed under either."""
    found: list[Differing] = []
    for entity, key in sorted(base.touched.keys() | trial.touched.keys()):
        if entity in trial.left_out or entity not in trial.rules:
            continue
        one, other = base.record(entity, key), trial.record(entity, key)
        if one is not None and other is not None:
            # The same state may still be stored in another form.
            if encode(one) != encode(other) or _has_codecs(base, entity) or _has_codecs(trial, entity):
                found += _compare(base, trial, entity, key, (one, other), entries)
        elif (one is None) != (other is None):
            here = _decided(base, entity, key, one, EXISTENCE, entries[0]) if one is not None else NOTHING
            there = _decided(trial, entity, key, other, EXISTENCE, entries[1]) if other is not None else NOTHING
            found.append(Differing(entity, key, (), here, there))
    return found


def _has_codecs(desk: Follower | Trial, entity: str) -> bool:
    return any(layout.codecs for layout in desk.rules[entity].layouts.values())


def _compare(
    base: Follower, trial: Trial, entity: str, key: str, records: tuple[Record, Record], entries: Entries
) -> Iterator[Differing]:
    rules = base.rules[entity]
    for register in range(len(rules.registers)):
        one = _decided(base, entity, key, records[0], register, entries[0])
        other = _decided(trial, entity, key, records[1], register, entries[1])
        if not one.same(other):
            yield Differing(entity, key, rules.names(register), one, other)


def _decided(
    desk: Follower | Trial, entity: str, key: str, record: Record, register: int, entries: Sequence[JournalEntry]
) -> Decided:
    rules = desk.rules[entity]
    mine = [entry for entry in reversed(entries) if entry.entity == entity and entry.key == key]
    if register == EXISTENCE:
        return _existence(rules, record, mine)
    value = tuple([record.values[f] for f in rules.registers[register].fields])
    writes: list[tuple[str, Values]] = []
    for system, side in record.sides.items():
        stored = _written(rules, system, record, side, register)
        if stored is not None:
            writes.append((system, stored))
    because = _reason(rules, record, register, mine)
    return Decided(value, tuple(sorted(writes, key=lambda w: w[0])), record.holds.get(register, ""), because)


def _reason(rules: EntityRules, record: Record, register: int, mine: Sequence[JournalEntry]) -> str:
    names = rules.names(register)
    for entry in mine:
        if names and names[0] in entry.fields:
            return entry.because
    return why(rules, record, register, names[0] if names else "", ())


def _written(rules: EntityRules, system: str, record: Record, side: Side, register: int) -> Values | None:
    """What would be stored, if anything: to a record that is there, and that nothing keeps from being written."""
    entry = side.held.get(register)
    if entry is None or side.out or side.bad or not record.alive or not held_alive(record, side):
        return None
    if not is_due(record, register, entry):
        return None
    try:
        stored = rules.layouts[system].stored(register, record.values)
    except ValueRefused:
        return None
    return stored if stored != entry[1] else None


def _existence(rules: EntityRules, record: Record, mine: Sequence[JournalEntry]) -> Decided:
    """Whether it exists, where it would be made or removed, and where it waits."""
    writes: list[tuple[str, Values]] = []
    waits = record.holds.get(EXISTENCE, "")
    for system, side in sorted(record.sides.items()):
        if side.bad:
            waits = waits or f"{system}: {side.bad}"
        elif not side.out and held_alive(record, side) != record.alive and not waits:
            writes.append((system, (record.alive,)))
    because = next((entry.because for entry in mine if not entry.fields), "") or origin(record.version(EXISTENCE))
    return Decided((record.alive,), tuple(writes), waits, because)
