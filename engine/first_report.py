"""What day one found, record by record, so that a person can look at it before it becomes the base.

Turns decided records into the lines of a report, kept in the store's multimap beside what was agreed, and those into
lines again. A record that is the same in all systems leaves nothing but a count, so that neither memory nor the store
grows with what agrees. It decides nothing, and reads no system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from engine.crossing.entries import Find
from engine.gathering import Found
from engine.merge import EntityRules
from engine.ports import Delta
from engine.record import Record
from engine.resolve import RegisterValue
from engine.rulebook import EXISTENCE, Register

REPORT: Final = "d/"
"""What the names of the report's spaces begin with, and no other: they are forgotten when day one is accepted."""

_ABOUT: Final = f"{REPORT}about"

LineKind: TypeAlias = Literal["differing", "one-sided", "ambiguous", "refused"]
"""A record has fields that differ; only some of the systems have it; it looks like another record, so a person has to
say what it is; a system has a value of it that means nothing to the others. One record may have several such lines."""

LINE_KINDS: Final[tuple[LineKind, ...]] = get_args(LineKind)


class Choice(msgspec.Struct, array_like=True):
    """A field (or group) that differs, and what the rules make of it."""

    fields: tuple[str, ...]
    values: dict[str, RegisterValue]
    """By system: canonical values, in the order of `fields`. Row content: shown only if asked for."""
    winner: str
    """The system whose value becomes everybody's; "": none's does, because a person is asked, or because what all get
    is worked out."""
    because: str


class Line(msgspec.Struct, array_like=True):
    """One line of the report, without its kind and the record's key."""

    systems: list[str]
    """Those that have the record."""
    missing: list[str] = []
    """Those that do not."""
    keys: dict[str, str] = {}
    """By system: its own key, where the systems have keys of their own."""
    meaning: str = ""
    """Of a one-sided record: what becomes of it."""
    choices: list[Choice] = []
    """Of a differing record."""
    others: list[str] = []
    """Of an ambiguous record: those that it looks like."""
    refused: dict[str, str] = {}
    """Of a refused record: by system, why."""


class Count(msgspec.Struct):
    """How many records of an entity there are, and how many lines of each kind."""

    records: int = 0
    equal: int = 0
    """All systems have it, and have the same."""
    kinds: dict[LineKind, int] = {}
    fields: dict[str, int] = {}
    """By field (or group, its fields joined by commas): in how many records it differs."""
    meanings: dict[str, int] = {}
    """Of one-sided records: how many become what."""


class About(msgspec.Struct):
    """The report as a whole."""

    since: int
    """The first deciding step that belongs to it."""
    over_base: bool = False
    """There was a base before, which this is to replace."""
    counts: dict[str, Count] = {}
    """By entity."""
    notes: dict[str, str] = {}
    """What those who had it made want to find with it."""


Differing: TypeAlias = "tuple[Register, Mapping[str, RegisterValue], str | None, str]"
"""(what differs, its value by system, the system that wins, why)"""


class Report:
    """Notes what is found, record by record."""

    def __init__(self, notes: Mapping[str, str], *, over_base: bool) -> None:
        self.about = About(0, over_base, notes=dict(notes))

    def take(
        self, rules: EntityRules, found: Found, record: Record, differing: Sequence[Differing],
        refused: Mapping[str, str], delta: Delta,
    ) -> None:  # fmt: skip
        """Puts what there is to say of a decided record into `delta`. `refused`: by system, the reason."""
        count = self.about.counts.setdefault(rules.name, Count())
        count.records += 1
        if not differing and not refused and len(found.rows) == len(rules.layouts):
            count.equal += 1
            return
        for kind, line in _lines(rules, found, record, differing, refused):
            count.kinds[kind] = count.kinds.get(kind, 0) + 1
            for choice in line.choices:
                name = ", ".join(choice.fields)
                count.fields[name] = count.fields.get(name, 0) + 1
            if line.meaning:
                count.meanings[line.meaning] = count.meanings.get(line.meaning, 0) + 1
            delta.entries[_space(rules.name, kind), found.id, ""] = _encode(line)

    def close(self, since: int, delta: Delta) -> None:
        """Puts what there is to say of the whole into `delta`."""
        self.about.since = since
        delta.entries[_ABOUT, "", ""] = _encode(self.about)


def read_about(find: Find) -> About | None:
    """The report that a store keeps, as a whole; None if it keeps none."""
    state = find(_ABOUT, [""]).get("", {}).get("")
    return _decode_about(state) if state is not None else None


def read_lines(
    entries: Callable[[str], Iterator[tuple[str, str, bytes]]], entity: str, kind: LineKind
) -> Iterator[tuple[str, Line]]:
    """The lines of one kind, each with its record's key, in the order of the keys."""
    for key, _, state in entries(_space(entity, kind)):
        yield key, _decode_line(state)


def _lines(
    rules: EntityRules, found: Found, record: Record, differing: Sequence[Differing], refused: Mapping[str, str]
) -> Iterator[tuple[LineKind, Line]]:
    present = [s for s in rules.layouts if s in found.rows]
    missing = [s for s in rules.layouts if s not in found.rows and s not in refused]
    keys = {s: found.keys[s] for s in rules.layouts if s in found.keys}
    if differing:
        choices = [
            Choice(rules.names(register.number), dict(values), *_chosen(register, record, winner, because))
            for register, values, winner, because in differing
        ]
        yield "differing", Line(present, keys=keys, choices=choices)
    if found.others and EXISTENCE in record.holds:
        yield "ambiguous", Line(present, missing, keys, others=sorted(found.others))
    elif missing and present:
        yield "one-sided", Line(present, missing, keys, meaning=_meaning(rules, record, missing))
    if refused:
        yield "refused", Line(present, keys=keys, refused=dict(refused))


def _chosen(register: Register, record: Record, winner: str | None, because: str) -> tuple[str, str]:
    if register.number in record.holds:
        return "", record.holds[register.number]
    return winner or "", because or "nobody who may write it has the record"


def _meaning(rules: EntityRules, record: Record, missing: Sequence[str]) -> str:
    """What becomes of a record that only some systems have."""
    if EXISTENCE in record.holds:
        return f"left to a person: {record.holds[EXISTENCE]}"
    if record.alive:
        back = [system for system in missing if system in record.keys]
        made = [system for system in missing if system not in record.keys]
        told = [f"created in {', '.join(made)}"] if made else []
        return ", ".join(told + ([f"brought back in {', '.join(back)}, where it is deactivated"] if back else []))
    return f"kept out: records are created in {', '.join(s for s in rules.layouts if s in rules.entity.create)} only"


def _space(entity: str, kind: LineKind) -> str:
    return f"{REPORT}{entity}/{kind}"


_encode = msgspec.msgpack.Encoder().encode
_decode_line = msgspec.msgpack.Decoder(Line).decode
_decode_about = msgspec.msgpack.Decoder(About).decode
