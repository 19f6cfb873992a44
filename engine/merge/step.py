"""One deciding step and what it needs to know: an entity's rules made ready, the step's version and findings.

Turns nothing into anything by itself; `fields`, `existence`, `deletion` and `person` note in a `Step` what they decide.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from engine.record import UNREAD, Layout, Mark, Record, Side, held_after, settle
from engine.resolve import RegisterValue
from engine.rulebook import EXISTENCE, Entity, Form, Register, RuleBook
from engine.vocabulary import JournalEntry, Version

DEFAULT = "default"
"""The note of a version that is a system's own default, which nobody wrote: any user's write succeeds it."""


class Incomplete(Exception):
    """The log did not carry a column that is needed to decide: the row has to be read again."""


class EntityRules:
    """One entity's rules, prepared for the hot path."""

    __slots__ = (
        "alike",
        "all_registers",
        "checks",
        "crossed_references",
        "derived",
        "entity",
        "families",
        "forms",
        "identifying",
        "layouts",
        "name",
        "numbers",
        "plain",
        "quick",
        "rank",
        "reduced",
        "references",
        "register_of",
        "registers",
    )

    def __init__(self, entity: Entity, rank: int, crossed: Container[str] = ()) -> None:
        """`crossed`: the entities whose systems have keys of their own."""
        self.entity = entity
        self.rank = rank
        """Its place in the order "parents before children"."""
        self.references = tuple((f.number, f.reference) for f in entity.fields if f.reference is not None)
        self.crossed_references = tuple((n, parent) for n, parent in self.references if parent in crossed)
        """The references whose stored form is a record's id, not a key."""
        self.name = entity.name
        self.identifying = frozenset(number for way in entity.identities for number, _ in way)
        """The fields by which records are recognised."""
        self.registers = entity.registers
        self.register_of = tuple(f.register for f in entity.fields)
        self.all_registers = [r.number for r in entity.registers if r.number != EXISTENCE]
        referring = [number for number, _ in self.crossed_references]
        self.layouts = {system: Layout(entity, binding, referring) for system, binding in entity.bindings.items()}
        self.checks = entity.checks
        derived = ((f.register, f.number, f.formula) for f in entity.fields if f.formula is not None)
        self.derived = tuple(sorted(derived, key=lambda one: one[0]))
        """(register, field, what it is worked out of), each after those that it looks at."""
        self.forms = tuple(_forms(entity, register) for register in entity.registers)
        """By register: in what form the values of its fields are the same; () if only as they stand."""
        joined = any(register.joint is not None for register in entity.registers)
        self.plain = not (self.checks or self.derived or joined or any(self.forms))
        """What a user writes becomes current as it stands, if he may write it."""
        for system, layout in self.layouts.items():
            layout.owns = frozenset(
                r.number for r in entity.registers[1:] if _always_owns(r, system) and layout.fields_of[r.number]
            )
            layout.loose = frozenset(
                r.number
                for r in entity.registers[1:]
                if self.forms[r.number]
                or any(f in layout.binding.codecs and layout.binding.codecs[f].many for f in r.fields)
            )
            layout.owns_all = (
                self.plain
                and not layout.codecs
                and len(layout.owns) == len(entity.registers) - 1
                and (len(layout.bound) == layout.width)
            )
        self._find_short_ways()
        self.numbers = range(len(entity.fields))
        self.alike = self.plain and all(layout.direct and not layout.codecs for layout in self.layouts.values())
        """No system maps or lacks a field, and what a user writes becomes current as it stands."""
        self.quick = {
            system: tuple(other for other in self.layouts if other != system)
            for system, layout in self.layouts.items()
            if layout.quick
        }
        """By system whose updates may take `quick_update`: all other systems."""
        self.reduced = frozenset(
            f.number
            for f in entity.fields
            if f.family in ("numeric", "float") and any(f.number in b.codecs for b in entity.bindings.values())
        )
        """Numbers whose canonical form has no zeros at the end, as their columns do not all print them alike."""
        self.families = tuple(tuple(entity.fields[f].family for f in register.fields) for register in entity.registers)

    def _find_short_ways(self) -> None:
        """By layout: which registers need no look at what else there may be."""
        made = frozenset(register for register, _, _ in self.derived)
        joined = frozenset(r.number for r in self.registers if r.joint is not None)
        looked_at = frozenset(self.register_of[f] for _, _, formula in self.derived for f in formula.fields)
        checked = frozenset(self.register_of[f] for check in self.checks for f in check.condition.fields)
        coded = {s: frozenset(self.register_of[f] for f in o.binding.codecs) for s, o in self.layouts.items()}
        claimed = frozenset(r.number for r in self.registers if r.claims)
        for system, layout in self.layouts.items():
            whole = frozenset(r.number for r in self.registers[1:] if layout.fields_of[r.number] == r.fields)
            loose = frozenset().union(*(other.loose for name, other in self.layouts.items() if name != system))
            alone = layout.owns - made - joined
            layout.straight = alone.intersection(whole) - coded[system]
            layout.simple = alone - looked_at - checked - coded[system] - loose
            layout.quick = layout.owns.union(claimed) - made - joined
            if any(not made.isdisjoint(found) for found in coded.values()):
                layout.quick -= looked_at  # what a codec may refuse is left to the long way

    def names(self, register: int) -> tuple[str, ...]:
        """The names of the fields decided together in a register."""
        return tuple(self.entity.fields[f].name for f in self.registers[register].fields)


def _forms(entity: Entity, register: Register) -> tuple[Form, ...]:
    forms = tuple(entity.fields[number].same for number in register.fields)
    return forms if any(form != "exact" for form in forms) else ()


def _always_owns(register: Register, system: str) -> bool:
    """True if its writes of a register count whatever the record's state."""
    return register.owner in (None, system) and not register.claims and system not in register.closed


def rules_of(book: RuleBook) -> dict[str, EntityRules]:
    """Every entity's rules, prepared; parents first."""
    crossed = {name for name, entity in book.entities.items() if entity.crossed}
    return {e.name: EntityRules(e, rank, crossed) for rank, e in enumerate(book.entities.values())}


@dataclass(slots=True)
class Step:
    """One deciding step: one source transaction (or one thing that duolog does itself), and what came of it."""

    version: Version
    """What a write of this step is, if it is accepted."""
    system: str
    """Whose log it was read from; `""` for duolog's own steps."""
    marks: dict[str, Mark]
    due: int = 0
    """The number under which writes become due; the version's own, but for later chunks of a huge transaction."""
    reason: str = ""
    """`unlogged` when the change was found by reading the row, not in the log."""
    journal: list[JournalEntry] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Systems to which the record last read has become due."""
    counts: dict[str, int] = field(default_factory=dict)
    holds: dict[tuple[str, str, int], str | None] = field(default_factory=dict)
    """(entity, key, register) → why it is left to a person now, or None: no longer."""
    noise: bool = False
    """The change last read said nothing new."""
    leaving: bool = False
    """The deletion read next is none: the row is still there, but no longer a member."""
    referenced: bool = False
    """Other records refer to the one whose deletion is read next."""
    clock_errors: Mapping[str, int] = field(default_factory=dict)
    """By system: how exactly its clock is known, in microseconds."""

    def clock_error(self, system: str) -> int:
        """How exactly a system's clock is known, in microseconds; 0 for what duolog itself made."""
        return self.clock_errors.get(system, 0)

    def __post_init__(self) -> None:
        self.due = self.due or self.version.number

    def skip(self) -> None:
        """The change last read said nothing new: the record stays as it is stored."""
        self.noise = True
        self.count("noise")

    def count(self, what: str, n: int = 1) -> None:
        """Adds to a counter that `status` shows."""
        self.counts[what] = self.counts.get(what, 0) + n


def begin(rules: EntityRules, record: Record, marks: dict[str, Mark]) -> None:
    """Before a record changes: settles its sides, and splits off a second layer where a write is under way."""
    for system, side in list(record.sides.items()):
        mark = marks[system]
        settle(record, side, mark, rules.layouts[system])
        if side.sent is None and mark.under_way(side):
            side.sent = held_after(record, side)
            side.sent_due = side.due
        elif side.idle():
            del record.sides[system]


def make_due(side: Side, system: str, step: Step) -> None:
    """A write of this record to this system is due (unless it waits: then it is looked at again when the wait ends)."""
    if side.bad and not side.bad.startswith(UNREAD):
        side.bad = ""  # what was refused is no longer what would be written
    if not side.wait and not side.bad:
        side.due = step.due
    step.touched.add(system)


def held_alive_next(record: Record, side: Side) -> bool:
    """True if the system has the record once what is under way has been written."""
    entry = side.layer().get(EXISTENCE)
    return bool(entry[1][0]) if entry is not None else record.alive


def journal_entry(
    rules: EntityRules,
    key: str,
    register: int,
    kind: str,
    because: str,
    winner: Version | None,
    won: RegisterValue,
    loser: Version | None,
    lost: RegisterValue,
    step: Step,
) -> JournalEntry:
    """A journal entry; what was found by re-reading says so."""
    if step.reason:
        because = f"{because} ({step.reason})"
    return JournalEntry(
        entity=rules.name,
        key=key,
        fields=rules.names(register),
        kind=kind,
        because=because,
        winner=winner,
        won=won,
        loser=loser,
        lost=lost,
        number=step.version.number,
    )
