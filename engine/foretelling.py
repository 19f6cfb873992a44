"""What would be written, in words: planned writes and the records behind them, as intents with the reason per field.

Turns `engine.plan`'s rows into values that a person or a program can be told. It plans, decides and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from engine.assembly import KEY_SEPARATOR
from engine.merge import EntityRules
from engine.record import UNSET_VERSION, Record
from engine.rulebook import EXISTENCE
from engine.vocabulary import JournalEntry, KeyOf, Text, Values, Version, Write, WriteKind, WriteRow


@dataclass(frozen=True, slots=True)
class FieldIntent:
    """One field that would be written."""

    name: str
    new: Text | bool
    """As the system would store it; of a reference, the key there, or the id of a record that is yet to be made."""
    held: Text | bool
    because: str


@dataclass(frozen=True, slots=True)
class Intent:
    """One row that would be written."""

    system: str
    entity: str
    key: str
    """The record key."""
    own: str
    """The system's own key of it, where the systems have keys of their own and it has one."""
    kind: WriteKind
    fields: tuple[FieldIntent, ...]
    """Of an update, those that would change; of a creation, those that would be given; of a deletion none."""
    because: str
    """Why it would be created or deleted; of an update empty."""


@dataclass(slots=True)
class Amount:
    """How much would be written of one entity in one system."""

    creates: int = 0
    updates: int = 0
    deletes: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    """By field: how many updates would change it."""

    def add(self, intent: Intent) -> None:
        """Counts one more."""
        if intent.kind == "insert":
            self.creates += 1
        elif intent.kind == "delete":
            self.deletes += 1
        else:
            self.updates += 1
            for each in intent.fields:
                self.fields[each.name] = self.fields.get(each.name, 0) + 1


Journal = Callable[[str, str], Sequence[JournalEntry]]
"""Of a record (entity, key): what was written into its journal now, the newest first."""


def intents(
    rules: EntityRules, system: str, write: Write, record: Callable[[str, str], Record | None], journal: Journal
) -> Iterator[Intent]:
    """The rows of one planned write, in words. `record`: by entity and key."""
    for row in write.rows:
        known = record(rules.name, row[1])
        if known is not None:
            yield _intent(rules, system, write, row, known, journal)


def _intent(rules: EntityRules, system: str, write: Write, row: WriteRow, record: Record, journal: Journal) -> Intent:
    _, key, own, new, held = row
    entries = journal(rules.name, key)
    fields = [] if write.kind == "delete" else _fields(rules, record, write.columns, new, held, entries)
    because = _why_existence(record, write.kind, entries) if write.kind != "update" else ""
    names = KEY_SEPARATOR.join(str(part) for part in own) if rules.entity.crossed else ""
    return Intent(system, rules.name, key, names, write.kind, tuple(fields), because)


def _fields(
    rules: EntityRules, record: Record, columns: Sequence[int], new: Values, held: Values,
    entries: Sequence[JournalEntry],
) -> Iterator[FieldIntent]:  # fmt: skip
    before: Iterable[Text | bool] = held or [None] * len(columns)
    for number, wanted, had in zip(columns, new, before, strict=True):
        if held and wanted == had:
            continue  # it only guards the row
        name = rules.entity.fields[number].name
        value = f"{wanted.entity} {wanted.id}" if isinstance(wanted, KeyOf) else wanted
        yield FieldIntent(name, value, had, why(rules, record, rules.register_of[number], name, entries))


def why(rules: EntityRules, record: Record, register: int, name: str, entries: Iterable[JournalEntry]) -> str:
    """Why a field's value is the current one."""
    if register < 0:
        return "it is the key"
    current = record.version(register)
    for entry in entries:
        if name in entry.fields and entry.winner == current:
            return entry.because
    owner = rules.registers[register].owner
    return f"owner: only {owner} may write it" if owner == current.system and owner else origin(current)


def origin(version: Version) -> str:
    """Who made a version, in words."""
    if version == UNSET_VERSION:
        return "nobody has written it yet"
    if not version.system:
        return version.note
    return f"{version.note}: {version.system} has it" if version.note else f"{version.system} wrote it"


def _why_existence(record: Record, kind: WriteKind, entries: Iterable[JournalEntry]) -> str:
    current = record.version(EXISTENCE)
    for entry in entries:
        if not entry.fields and entry.winner == current:
            return entry.because
    if kind == "insert":
        return f"{current.note}: {current.system} has it" if current.note else f"{current.system} made it"
    return f"{current.system or current.note} deleted it"
