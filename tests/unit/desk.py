"""A desk without a runner: one record, some systems, and words for what users, readers and writers do to it.

Turns short calls (`write`, `read`, `apply`) into changes that `merge.read` decides and batches that `plan.row_of`
plans, over plain dictionaries instead of databases. No store, no threads, no clock; nothing is random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.merge import EntityRules, Step, read
from engine.plan import row_of
from engine.record import Mark, Record, decode, encode, rejoin, settle
from engine.rulebook import Binding, DeletePolicy, Entity, Field, PolicyName, Register
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Image, JournalEntry, Position, Text, Version

KEY = "k"


def rules_of(
    systems: tuple[str, ...],
    *,
    policy: PolicyName = "last_writer",
    owner: str | None = None,
    family: str = "text",
    delete: Mapping[str, DeletePolicy] | None = None,
    delete_wins: bool = False,
    create: tuple[str, ...] | None = None,
) -> EntityRules:
    """An entity of a key and two fields: `f`, as asked for, and `g`, which the last writer wins."""
    registers = (
        Register(0, (), None, "last_writer", systems),
        Register(1, (1,), owner, policy, systems),
        Register(2, (2,), None, "last_writer", systems),
    )
    fields = (Field("key", 0, -1), Field("f", 1, 1, family), Field("g", 2, 2))
    return EntityRules(Entity(
        name="thing", fields=fields, key=(0,), registers=registers,
        bindings={s: Binding(s, "thing", 0, (0, 1, 2)) for s in systems},
        create=frozenset(create or systems), delete=delete or dict.fromkeys(systems, "propagate"),
        delete_wins=delete_wins,
    ), 0)


@dataclass(slots=True)
class Logged:
    """One user's transaction, as a log tells it."""

    op: str
    row: Image | None
    position: Position
    at: int


class Desk:
    """See the module. `rows[system]` is the row that the system really has, or None."""

    def __init__(self, rules: EntityRules) -> None:
        self.rules = rules
        self.systems = tuple(rules.layouts)
        self.marks = {s: Mark() for s in self.systems}
        self.rows: dict[str, tuple[Text, ...] | None] = dict.fromkeys(self.systems)
        self.logs: dict[str, list[Logged]] = {s: [] for s in self.systems}
        self.ends: dict[str, Position] = dict.fromkeys(self.systems, 100)
        self.record: Record | None = None
        self.journal: list[JournalEntry] = []
        self.counts: dict[str, int] = {}
        self.number = 0
        self.written = 0

    # users

    def write(self, system: str, at: int, f: Text = "", g: Text = "") -> None:
        """A user sets one or both fields ("" leaves one as it is); inserts the row if there is none."""
        old = self.rows[system]
        had = old or (KEY, None, None)
        row: tuple[Text, ...] = (KEY, f if f != "" else had[1], g if g != "" else had[2])
        self.rows[system] = row
        self._log(system, UPDATE if old else INSERT, row, at)

    def delete(self, system: str, at: int) -> None:
        """A user deletes the row."""
        if self.rows[system] is not None:
            self.rows[system] = None
            self._log(system, DELETE, None, at)

    def _log(self, system: str, op: str, row: Image | None, at: int) -> None:
        self.ends[system] += 10
        self.logs[system].append(Logged(op, row, self.ends[system], at))

    # readers

    def read(self, system: str) -> bool:
        """The next change of a system's log is decided. False: there is none, or it waits for an answer."""
        mark = self.marks[system]
        side = self.record.sides.get(system) if self.record is not None else None
        if not self.logs[system] or (side is not None and mark.under_way(side)):
            return False
        change = self.logs[system].pop(0)
        self.number += 1
        step = Step(Version(self.number, system, change.at, change.position), system, self.marks)
        self.record = read(self.rules, KEY, self.record, change.op, change.row, change.position, step)
        mark.read = change.position
        self.journal += step.journal
        for what, n in step.counts.items():
            self.counts[what] = self.counts.get(what, 0) + n
        if self.record is not None:
            self.record = decode(encode(self.record))  # what is kept is what can be stored
        return True

    # writers

    def apply(self, system: str) -> bool:
        """What is due to a system is written there, guarded. False: nothing was sent."""
        mark = self.marks[system]
        side = self.record.sides.get(system) if self.record is not None else None
        if self.record is None or side is None:
            return False
        settle(self.record, side, mark, self.rules.layouts[system])
        if side.wait and mark.read >= side.wait:
            self.number += 1
            side.wait, side.due = 0, self.number
        if not side.due:
            return False
        planned = row_of(self.rules, KEY, self.record, side, system)
        mark.dispatched = self.number
        matched = planned is None or self._write(system, planned)
        self.ends[system] += 10
        if not matched:
            rejoin(side)
            side.due, side.wait = 0, self.ends[system] - 5
        elif planned is not None:
            self.written += 1
            self.logs[system].append(Logged(*self._echo(system, planned[0]), self.ends[system], 0))
        mark.applied = self.number
        mark.recent = [*mark.recent, (self.number, self.ends[system] - 5)]
        return planned is not None

    def _write(self, system: str, planned: tuple) -> bool:  # type: ignore[type-arg]
        kind, columns, (_, _, _, new, held) = planned
        row = self.rows[system]
        if (row is None) != (kind == "insert") or (row is not None and any(
            row[c] != h for c, h in zip(columns, held, strict=True)
        )):
            return False
        if kind == "delete":
            self.rows[system] = None
        else:
            values = dict(zip(columns, new, strict=True))
            self.rows[system] = tuple([values.get(n, row[n] if row else None) for n in range(3)])
        return True

    def _echo(self, system: str, kind: str) -> tuple[str, Image | None]:
        return {"insert": INSERT, "update": UPDATE, "delete": DELETE}[kind], self.rows[system]

    # all of it

    def pass_to_end(self, system: str) -> None:
        """The reader has seen the end of the log."""
        if not self.logs[system]:
            self.marks[system].read = self.ends[system]

    def settle_all(self, order: tuple[str, ...] | None = None) -> None:
        """Reads and writes until nothing moves."""
        for _ in range(60):
            moved = False
            for system in order or self.systems:
                while self.read(system):
                    moved = True
                self.pass_to_end(system)
            for system in order or self.systems:
                before = self.number, self.marks[system].applied
                moved |= self.apply(system) or before != (self.number, self.marks[system].applied)
            if not moved and not any(self.logs.values()):
                return
        raise AssertionError("it does not become quiet")


def absent(row: tuple[Text, ...], *columns: int) -> Image:
    """A row as a log tells it that leaves these columns out."""
    return tuple([ABSENT if n in columns else value for n, value in enumerate(row)])
