"""The state of one record: the current version of every register, and what each system holds where that differs.

A system without a `Side` holds the current version of everything, stored as its mapping predicts: the usual case costs
nothing. Registers are numbered as in the rule book; register 0 is existence.

The state is written once for a change, not twice. A side notes the deciding step (`due`) at which a write to it became
due, and stays as it is when the target confirms: whoever looks at it later *settles* it against the target's watermark.
Only a record that changes while a write of it is under way needs a second layer (`sent`: what the system will hold if
that batch commits).

Nothing here decides who is right, reads a clock, or knows a store; encoding is to and from bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from types import EllipsisType

import msgspec

from engine.errors import ValueRefused
from engine.rulebook import EXISTENCE, Binding, Codec, Entity
from engine.vocabulary import ABSENT, UNSET, Image, Position, Row, Text, Values, Version

Held = tuple[Version | None, tuple[Text | bool, ...]]
"""(the version that a system has of a register, as which stored values; for existence: as `(alive,)`)."""

UNSET_VERSION = Version(0, "", 0, 0, "unset")
"""The version of a register that nobody entitled has written yet."""

DEFERRED: Position = -1
"""In `Side.wait`: a user had locked the row; the write comes again after a pause."""

TABLE_MAX = 8
"""Versions that a record may list before those that are no longer in use are dropped."""

REREAD: Position = -2
"""In `Side.wait`: the row is to be read again; until then nobody knows what the system holds."""

STOPPED: Position = -3
"""In `Side.wait`: a limit was broken; nothing is written before a person lets go."""


FOREIGN = "\x1e"
"""In a stored reference, between a record's id and the key of another row of it: two records were merged into one."""


def referred(stored: str) -> str:
    """The id of the record that a stored reference means."""
    return stored.partition(FOREIGN)[0]


REFERENCE = Codec("reference", referred, lambda id: id)
"""What a stored reference means."""

UNREAD = "cannot be read"
"""What `Side.bad` begins with where a change of the system itself was refused: what it holds is not known any more."""


class Side(msgspec.Struct, array_like=True, gc=False):
    """What one system holds of one record, where it is not simply the current versions."""

    held: dict[int, Held] = {}
    """By register, only where the version is not the current one, or the stored value not the predicted one."""
    due: int = 0
    """The deciding step at which a write to this system became due; 0: none is."""
    sent: dict[int, Held] | None = None
    """While a batch is under way and the record has changed since: what `held` is once that batch has committed."""
    sent_due: int = 0
    """The `due` that the batch under way carries, while `sent` is there."""
    fresh: list[tuple[Position, list[int]]] = []
    """Registers that we wrote at a separator that the system's reader has not passed yet. An empty list: all."""
    wait: Position = 0
    """A guard did not match: nothing is written before the reader has passed this position (or `DEFERRED`,
    `REREAD`)."""
    heard: bool = False
    """While waiting: the log has told something about this record."""
    out: bool = False
    """The record is not kept in step with this system (it may not create it, or its deletion was to be ignored)."""
    bad: str = ""
    """In quarantine for this system: the reason."""

    def layer(self) -> dict[int, Held]:
        """Where new divergence is noted: beside the batch under way, if there is one."""
        return self.held if self.sent is None else self.sent

    def idle(self) -> bool:
        """True if this side says nothing any more and may be dropped."""
        return not (self.held or self.due or self.sent is not None or self.fresh or self.wait or self.out or self.bad)


class Record(msgspec.Struct, array_like=True, gc=False):
    """One record: what all systems should have, and how far each one is."""

    alive: bool
    """False: a tombstone; the last values are kept."""
    values: Values
    """Canonical, by field number."""
    table: list[Version]
    """The versions in use."""
    index: bytes
    """By register: which of `table` is current."""
    sides: dict[str, Side] = {}
    """By system, where it is not simply in step."""
    holds: dict[int, str] = {}
    """Registers left to a person, with the reason. No system is overwritten there."""
    keys: dict[str, str] = {}
    """By system: its own key of the record, where it has a row of it (a member or not), as far as its log was read."""

    def version(self, register: int) -> Version:
        """The current version of a register."""
        return self.table[self.index[register]]

    def side(self, system: str) -> Side:
        """The side of a system, made if it had none."""
        side = self.sides.get(system)
        if side is None:
            side = self.sides[system] = Side(held={}, fresh=[])
        return side

    def accept(self, registers: list[int], version: Version) -> None:
        """Makes `version` the current one of `registers`."""
        table = self.table
        if len(table) >= TABLE_MAX:
            table = self._compact(registers)
        index = bytearray(self.index)
        place = len(table)
        if table and table[-1] is version:
            place -= 1
        else:
            self.table = [*table, version]
        for register in registers:
            index[register] = place
        self.index = bytes(index)

    def accept_all(self, version: Version) -> None:
        """Makes `version` the current one of every register, existence among them."""
        self.table = [version]
        self.index = bytes(len(self.index))

    def _compact(self, replaced: list[int]) -> list[Version]:
        """Drops the versions that nobody uses any more, `replaced` registers left out; renumbers the index."""
        leaving = set(replaced)
        used = sorted({place for register, place in enumerate(self.index) if register not in leaving})
        renumber = {old: new for new, old in enumerate(used)}
        self.index = bytes([renumber.get(place, 0) for place in self.index])
        self.table = [self.table[place] for place in used]
        return self.table


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def encode(record: Record) -> bytes:
    """The record as bytes, for the store."""
    return _encode(record)


def decode(state: bytes) -> Record:
    """The record that `encode` made these bytes of. Raises msgspec.DecodeError if they are damaged."""
    return _decode(state)


class Mark:
    """How far one system is: what it has confirmed, what is under way to it, what its reader has passed."""

    __slots__ = ("applied", "dispatched", "read", "recent")

    def __init__(self) -> None:
        self.applied = 0
        """The deciding step up to which the target has everything but what the records themselves say otherwise."""
        self.dispatched = 0
        """The deciding step up to which writes have been handed to the target."""
        self.read: Position = 0
        """Everything in the system's log up to here has been decided."""
        self.recent: list[tuple[int, Position]] = []
        """Confirmed batches whose separator the reader may not have passed: (number_to, separator), ascending."""

    def under_way(self, side: Side) -> bool:
        """True if a write of this side has been handed to the target and not been answered."""
        settled = side.sent is None or side.sent_due <= self.applied  # confirmed since, perhaps not looked at yet
        due = side.due if settled else side.sent_due
        return self.applied < due <= self.dispatched

    def separator_of(self, due: int) -> Position:
        """The separator of the confirmed batch that carried `due`; 0 if the reader has long passed it."""
        at = bisect_left(self.recent, (due, 0))
        return self.recent[at][1] if at < len(self.recent) else 0


class Layout:
    """One entity's mapping to one system, prepared for speed: canonical values to stored rows and back."""

    __slots__ = (
        "binding",
        "bound",
        "codecs",
        "direct",
        "fields_of",
        "key_fields",
        "keys",
        "loose",
        "owns",
        "owns_all",
        "quick",
        "simple",
        "straight",
        "width",
    )

    def __init__(self, entity: Entity, binding: Binding, references: Iterable[int] = ()) -> None:
        """`references`: fields that refer to records whose systems have keys of their own."""
        if referring := {number: REFERENCE for number in references if number in binding.columns}:
            binding = replace(binding, codecs={**binding.codecs, **referring})
        self.binding = binding
        self.bound = frozenset(binding.columns)
        self.codecs = tuple(binding.codecs.items())
        self.keys = entity.key
        assembly = binding.assembly
        self.key_fields = frozenset(assembly.key_fields if assembly is not None else ()) - {-1}
        """Fields that are stored in the system's own key: to write one is to give the row another key."""
        self.width = len(entity.fields)
        self.direct = binding.columns == tuple(range(self.width))
        """The table's columns are the entity's fields, in their order."""
        self.fields_of: tuple[tuple[int, ...], ...] = tuple(
            tuple(f for f in register.fields if f in self.bound) for register in entity.registers
        )
        """By register: its fields that this system has a column for."""
        self.owns: frozenset[int] = frozenset()
        """The registers that this system may write."""
        self.loose: frozenset[int] = frozenset()
        """The registers of which it may have other texts that mean the same: these stay."""
        self.quick: frozenset[int] = frozenset()
        """The registers that it may write, always or now and then, each by itself."""
        self.simple: frozenset[int] = frozenset()
        """Those of them that it may always write, on which nothing else depends, and whose values nobody has to read:
        they are stored here in their canonical form, and elsewhere in one form only."""
        self.straight: frozenset[int] = frozenset()
        """Those of them that it may always write, and of which it has all fields, in their canonical form."""
        self.owns_all = False
        """It may write every one of them, and stores every field in its canonical form."""

    def stored_row(self, values: Values) -> Values:
        """Canonical values of all fields, as this system stores them; UNSET for a value that it cannot store."""
        if not self.codecs:
            return values
        row = list(values)
        for number, codec in self.codecs:
            value = row[number]
            if isinstance(value, str):
                try:
                    row[number] = codec.encode(value)
                except ValueRefused:
                    row[number] = UNSET
        return tuple(row)

    def stored_strict(self, values: Values) -> Values:
        """Like `stored_row`, but a value that the system cannot store is refused. Raises ValueRefused."""
        row = list(values)
        for number, codec in self.codecs:
            value = row[number]
            if isinstance(value, str):
                row[number] = codec.encode(value)
        return tuple(row)

    def stored(self, register: int, values: Values) -> tuple[Text | bool, ...]:
        """One register's stored values, in the order of `fields_of`."""
        fields = self.fields_of[register]
        codecs = self.binding.codecs
        if len(fields) == 1 and fields[0] not in codecs:
            return (values[fields[0]],)
        if not codecs:
            return tuple([values[f] for f in fields])
        return tuple(
            [
                codecs[f].encode(value) if f in codecs and isinstance(value := values[f], str) else values[f]
                for f in self.fields_of[register]
            ]
        )

    def canonical(self, number: int, value: Text | bool) -> Text | bool:
        """One field's canonical value. Raises ValueRefused if the rules know no counterpart."""
        if isinstance(value, str):
            codec = self.binding.codecs.get(number)
            if codec is not None:
                return codec.decode(value)
        return value


def settle(record: Record, side: Side, mark: Mark, layout: Layout) -> None:
    """Brings a side up to what its system has confirmed in the meantime."""
    if side.sent is not None and side.sent_due <= mark.applied:
        _freshen(record, side, side.sent, mark.separator_of(side.sent_due), mark, layout)
        side.held, side.sent, side.sent_due = side.sent, None, 0
    if side.sent is None and 0 < side.due <= mark.applied:
        after = held_after(record, side)
        _freshen(record, side, after, mark.separator_of(side.due), mark, layout)
        side.held, side.due = after, 0
    if side.fresh:
        side.fresh = [entry for entry in side.fresh if entry[0] > mark.read]


def _freshen(
    record: Record, side: Side, after: dict[int, Held], separator: Position, mark: Mark, layout: Layout
) -> None:
    """Notes what a confirmed batch wrote, while the reader has not passed it: older log entries tell nothing of that.

    Only what was in a statement counts: where the value did not differ no SQL was sent, and nothing was guarded."""
    if separator <= mark.read or not side.held:
        return
    was = held_alive(record, side)
    entry = after.get(EXISTENCE)
    if (bool(entry[1][0]) if entry is not None else record.alive) != was:
        side.fresh.append((separator, []))
        return
    if not was:
        return
    written = []
    for register, (_, stored) in side.held.items():
        if register != EXISTENCE:
            now = after[register][1] if register in after else layout.stored(register, record.values)
            if now != stored:
                written.append(register)
    if written:
        side.fresh.append((separator, written))


def rejoin(side: Side) -> None:
    """The batch under way did not write this record: the system still holds what it held."""
    for register, entry in (side.sent or {}).items():
        side.held.setdefault(register, entry)
    existence = side.held.get(EXISTENCE)
    if existence is not None and not existence[1][0]:
        side.held = {EXISTENCE: existence}  # it was not created: there is no row to hold anything
    side.sent, side.sent_due = None, 0


def held_after(record: Record, side: Side) -> dict[int, Held]:
    """What the system holds once everything that is due to it now has been written: only what is not written stays."""
    if held_alive(record, side) != record.alive and EXISTENCE not in record.holds:
        return {}
    return {r: entry for r, entry in side.held.items() if not is_due(record, r, entry)}


def is_due(record: Record, register: int, entry: Held) -> bool:
    """True if a system that holds `entry` is to be written: it is not the current version, nor left to a person."""
    current = record.version(register)
    return entry[0] != current and register not in record.holds and current != UNSET_VERSION


def held_alive(record: Record, side: Side | None) -> bool:
    """True if the system has the record, as far as we know."""
    if side is not None and EXISTENCE in side.held:
        return bool(side.held[EXISTENCE][1][0])
    return record.alive


def held_row(record: Record, side: Side | None, layout: Layout) -> Values:
    """The row as the system has it, as far as we know: stored values by field number."""
    row = layout.stored_row(record.values)
    if side is None or not side.held:
        return row
    patched = list(row)
    for register, (_, stored) in side.held.items():
        if register != EXISTENCE:
            for number, value in zip(layout.fields_of[register], stored, strict=True):
                patched[number] = value
    return tuple(patched)


def is_fresh(side: Side, register: int, position: Position) -> bool:
    """True if we know a later state of this register than a log entry at `position` can tell."""
    return any(position <= x and (not rs or register in rs) for x, rs in side.fresh)


def by_field(row: Row, layout: Layout) -> Image:
    """A table's row, put in the order of the entity's fields; ABSENT where the system has no column."""
    columns = layout.binding.columns
    out: list[str | bool | EllipsisType | None] = [ABSENT] * layout.width
    for number, value in zip(columns, row, strict=True):
        out[number] = value
    return tuple(out)
