"""Day one for records whose systems have keys of their own: which rows are the same record.

Turns the tables of all systems' snapshots into records with the rows that each system has of them: recognised by
identity, never guessed. What rows say is put aside in the store until all systems have been read, so memory is flat. It
decides no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from engine.assembly import PartRows, key_of, part_rows
from engine.crossing import Crossing, shown
from engine.crossing.identity import Identity, identity_of
from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.ports import Delta, Snapshot, Store
from engine.rulebook import RuleBook
from engine.vocabulary import ABSENT, Image, Row, Values

CHUNK_ROWS = 2_000
"""Rows worked through between two writes to the store."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, list[str | None | bool]]).decode


@dataclass(slots=True)
class Found:
    """One record, as the systems have it."""

    id: str
    keys: dict[str, str] = field(default_factory=dict)
    """By system: its own key."""
    rows: dict[str, Image] = field(default_factory=dict)
    """By system: its image."""
    refused: dict[str, str] = field(default_factory=dict)
    """By system: why its image could not be understood."""
    others: list[str] = field(default_factory=list)
    """Records that look like it, where not every system has it."""


class FirstPairing:
    """See the module."""

    def __init__(
        self, book: RuleBook, rules: Mapping[str, EntityRules], snapshots: Mapping[str, Snapshot], store: Store
    ) -> None:
        self.book = book
        self.rules = {name: each for name, each in rules.items() if each.entity.crossed}
        self.snapshots = snapshots
        self.store = store
        self.crossing = Crossing(book, rules, store.find)

    def prepare(self) -> None:
        """Reads the systems and pairs their rows."""
        for system in self.crossing.staging:
            self._keep_rows(system)
        self.crossing.load_codes(self.store)
        for rules in self.rules.values():
            for system in rules.layouts:
                self._pair_rows(rules, system)
        self.flush()

    def flush(self) -> None:
        """Hands what was found to the store, uncommitted."""
        entries = self.crossing.entries
        self.store.write(Delta(entries=entries.taken()))
        entries.trim(())

    def records(self, rules: EntityRules) -> Iterator[Found]:
        """All records of an entity, ascending by id. What was put aside for them is taken out again."""
        space = _aside(rules)
        found: Found | None = None
        for id, system, state in self.store.entries(space):
            if found is None or found.id != id:
                if found is not None:
                    yield self._complete(rules, found)
                found = Found(id)
            self._take(rules, found, system, state)
        if found is not None:
            yield self._complete(rules, found)

    def _keep_rows(self, system: str) -> None:
        """All rows of records that have parts, and of code tables."""
        kept = self.crossing.staging[system].rows
        for number in range(len(self.book.tables[system])):
            if number in kept:
                for rows in _chunks(self.snapshots[system].table(number)):
                    kept.fetch_rows(number, rows)
                    for row in rows:
                        kept.put(number, row)
                    self.flush()

    def _pair_rows(self, rules: EntityRules, system: str) -> None:
        staging = self.crossing.staging[system]
        assembly = staging.assemblies[rules.name]
        table = assembly.parts[0].table
        for rows in _chunks(self.snapshots[system].table(table)):
            images: list[tuple[str, Image, Identity]] = []
            for row in rows:
                key = key_of(staging.tables[table], row)
                parts: PartRows | None = (row,)
                if len(assembly.parts) > 1:
                    parts = part_rows(assembly, staging.tables, staging.rows, key)
                raw, _ = self.crossing.raw_image(rules, system, parts)
                if raw is not None:
                    images.append((key, raw, self.crossing.identity(rules, system, raw)))
            for way in range(len(rules.entity.identities)):
                wanted = [text for _, _, identity in images if (text := identity[way]) is not None]
                self.crossing.keys.fetch_recognised(rules.name, way, wanted)
            for key, raw, identity in images:
                self._pair(rules, system, key, raw, identity)
            self.flush()

    def _pair(self, rules: EntityRules, system: str, key: str, raw: Image, identity: Identity) -> None:
        crossing, space = self.crossing, _aside(rules)
        found: list[str] = []
        for way, text in enumerate(identity):
            if text is not None and not found:
                found = crossing.keys.recognised(rules.name, way, text)
        id = shown(system, key)
        if len(found) == 1 and system not in crossing.entries.items(space, found[0]):
            id = found[0]
        crossing.keys.put(rules.name, system, key, id)
        for way, text in enumerate(identity):
            if text is not None:
                crossing.keys.recognise(rules.name, way, text, id)
        crossing.entries.put(space, id, system, _encode((key, [False if v is ABSENT else v for v in raw])))

    def _take(self, rules: EntityRules, found: Found, system: str, state: bytes) -> None:
        key, values = _decode(state)
        raw: Image = tuple([ABSENT if value is False else value for value in values])
        found.keys[system] = key
        try:
            found.rows[system] = self.crossing.translations[rules.name, system].image(raw)
        except ValueRefused as error:
            found.refused[system] = error.found
        for way, text in enumerate(self.crossing.identity(rules, system, raw)):
            if text is not None:
                others = self.crossing.keys.recognised(rules.name, way, text)
                found.others += [other for other in others if other not in (found.id, *found.others)]
        self.crossing.entries.remove(_aside(rules), found.id, system)

    def _complete(self, rules: EntityRules, found: Found) -> Found:
        """A record that every system has is that record, whatever looks like it."""
        if len(found.keys) == len(rules.layouts):
            found.others = []
        return found

    def index(self, rules: EntityRules, found: Found, values: Values) -> None:
        """By what the record is found again, now that its values are agreed."""
        keys = self.crossing.keys
        agreed = identity_of(rules.entity, values)
        for system, image in found.rows.items():
            for way, text in enumerate(self.crossing.identity_of_image(rules, system, image)):
                if text is not None and text != agreed[way]:
                    keys.forget(rules.name, way, text, found.id)
        self.crossing.index(rules, found.id, None, values)


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def _aside(rules: EntityRules) -> str:
    """The space in which rows wait until all systems have been read."""
    return f"f/{rules.name}"
