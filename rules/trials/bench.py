"""One test carried out: what users write in some systems, decided by the engine's own merge, written until quiet.

Turns steps of writes into a record, the rows that each system has in the end, and the journal. The merge is the real
one (`engine.merge.read`) and so is what is due (`engine.plan.row_of`); in place of the databases stand rows in memory,
which store what is written to them as their codecs say. No clock, nothing random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import EngineFault, ValueRefused
from engine.merge import EntityRules, Step, empty_record, read
from engine.plan import row_of
from engine.record import UNREAD, Mark, Record, settle
from engine.rulebook import EXISTENCE
from engine.vocabulary import (
    ABSENT,
    DELETE,
    INSERT,
    UNSET,
    UPDATE,
    Image,
    JournalEntry,
    Text,
    Values,
    Version,
    WriteRow,
)

RECORD = "record"
"""What is held where a person is to decide whether the record exists."""

KEY = "1"
"""The record's key or id; what a field of the key has that no test names."""

BEGINNING_US = 1_767_225_600_000_000
"""When the first step begins: 2026-01-01 00:00 UTC."""

ROUNDS_MAX = 50
"""After so many rounds of writing, the rules do not come to rest."""

Stored = dict[int, Text | bool]
"""A system's row: stored values by field number; UNSET where the column has a default that no test can know."""


class Bench:
    """See the module. `rows[system]` is what that system has, or None."""

    def __init__(self, rules: EntityRules, key: Mapping[int, Text], apart_us: int) -> None:
        self.rules = rules
        self.key = {number: key.get(number, KEY) for number in rules.entity.key}
        self.apart_us = apart_us
        self.rows: dict[str, Stored | None] = dict.fromkeys(rules.layouts)
        self.record: Record | None = None
        self.journal: list[JournalEntry] = []
        self.counts: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        """By system: why the record waits in quarantine there."""
        self._marks = {system: Mark() for system in rules.layouts}
        self._number = 1
        self._committed_at = BEGINNING_US

    def agree(self, agreed: Mapping[int, Text]) -> None:
        """All have the record, with these canonical values. Raises ValueRefused if one of them cannot store it."""
        record = empty_record(self.rules)
        record.alive = True
        record.values = self._whole({**agreed, **self.key})
        record.accept_all(Version(self._number, "", BEGINNING_US, 0, "agreed"))
        for system, layout in self.rules.layouts.items():
            row = layout.stored_strict(record.values)
            self.rows[system] = {number: row[number] for number in layout.bound}
        self.record = record

    def _whole(self, known: Mapping[int, Text]) -> Values:
        """All canonical values: NULL where nothing is said, and worked out what can be."""
        values: list[Text | bool] = [known.get(number) for number in self.rules.numbers]
        for register in self.rules.registers[1:]:
            joint = register.joint
            if joint is not None and joint.whole in known:
                for number, part in zip(joint.parts, joint.split(known[joint.whole]), strict=True):
                    values[number] = part
            elif joint is not None:
                values[joint.whole] = joint.join(tuple([_text(values[number]) for number in joint.parts]))
        for field in self.rules.entity.fields:
            if field.formula is not None and field.number not in known:
                values[field.number] = field.formula.value(values)
        return tuple(values)

    def step(self, written: Mapping[str, Stored | None]) -> None:
        """Each of these systems' users write, having seen nothing of the others; then all is carried everywhere."""
        for system, fields in written.items():
            self._write(system, fields)
        for _ in range(ROUNDS_MAX):
            if not self._deliver():
                return
        raise EngineFault(f"a test of `{self.rules.name}` does not come to rest", mend="report it: this is a defect")

    def _write(self, system: str, fields: Stored | None) -> None:
        had = self.rows[system]
        if fields is None:
            op, row = DELETE, None
        else:
            nothing: Stored = dict.fromkeys(self.rules.layouts[system].bound)
            row = {**(had if had is not None else {**nothing, **self.key}), **fields}
            op = UPDATE if had is not None else INSERT
        self.rows[system] = row
        self._number += 1
        self._committed_at += self.apart_us
        position = self._number
        step = Step(Version(self._number, system, self._committed_at, position), system, self._marks)
        image: Image | None = None
        if row is not None:
            image = tuple([ABSENT if row.get(n, UNSET) is UNSET else row[n] for n in self.rules.numbers])
        try:
            self.record = read(self.rules, KEY, self.record, op, image, position, step)
        except ValueRefused as error:
            self._refuse(system, f"{UNREAD}: {error.found}")
        self._marks[system].read = position
        self.journal += step.journal
        for what, times in step.counts.items():
            self.counts[what] = self.counts.get(what, 0) + times

    def _refuse(self, system: str, reason: str) -> None:
        self.refused[system] = reason
        if self.record is not None:
            side = self.record.side(system)
            side.bad, side.due = reason, 0

    def _deliver(self) -> bool:
        """Writes to every system what is due to it. False if nothing was."""
        record, moved = self.record, False
        if record is None:
            return False
        for system, layout in self.rules.layouts.items():
            side, mark = record.sides.get(system), self._marks[system]
            if side is None:
                continue
            settle(record, side, mark, layout)
            if not side.due:
                continue
            moved = True
            try:
                planned = row_of(self.rules, KEY, record, side, system)
            except ValueRefused as error:
                self._refuse(system, str(error.found))
                continue
            if planned is not None:
                self._apply(system, *planned)
            self._number += 1
            mark.dispatched = mark.applied = mark.read = self._number
            settle(record, side, mark, layout)
        return moved

    def _apply(self, system: str, kind: str, columns: Sequence[int], planned: WriteRow) -> None:
        """One guarded write, as a database carries it out."""
        _, _, _, new, held = planned
        row = self.rows[system]
        if (row is None) != (kind == "insert") or (row is not None and [row[n] for n in columns] != list(held)):
            raise EngineFault(f"a test of `{self.rules.name}` met a row of {system} that is not held", system=system)
        if kind == "delete":
            self.rows[system] = None
            return
        nothing: Stored = dict.fromkeys(self.rules.layouts[system].bound, UNSET)
        self.rows[system] = {**(row or {**nothing, **self.key}), **dict(zip(columns, new, strict=True))}

    @property
    def alive(self) -> bool:
        """True if the record exists in the end."""
        return self.record is not None and self.record.alive

    def held(self) -> dict[str, str]:
        """What a person is to decide: by field (or `record`), why."""
        found: dict[str, str] = {}
        for register, because in (self.record.holds if self.record is not None else {}).items():
            for name in self.rules.names(register) if register != EXISTENCE else (RECORD,):
                found[name] = because
        return found


def _text(value: Text | bool) -> Text:
    return value if isinstance(value, str) else None
