"""All systems' tables read as a whole, and gathered by record: what each system has of it.

Turns tables into images by record id, put aside in a store until all systems have been read, so that memory is flat.
Which record a row is, and what becomes of a value that means nothing to us, is said by those who gather: day one
(`engine.first_pairing`) and `verify` (`engine.standing`). It decides no value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

import msgspec

from engine.assembly import PartRows, belongs, image_of, key_of, part_rows
from engine.crossing import Crossing
from engine.crossing.entries import Find
from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.ports import Delta, Store
from engine.rulebook import RuleBook
from engine.vocabulary import ABSENT, Image, Row

CHUNK_ROWS = 2_000
"""Rows worked through between two writes to the store."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, list[str | None | bool]]).decode

Reading = Callable[[str, int], None]
"""Told (what of which system, rows read so far)."""

OwnRow = tuple[str, Image]
"""(the system's own key, the raw image)"""


class Tables(Protocol):
    """Whole tables of one system."""

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table (a number in `RuleBook.tables[system]`), in the order of its columns; in any order."""


@dataclass(slots=True)
class Found:
    """One record, as the systems have it."""

    id: str
    keys: dict[str, str] = field(default_factory=dict)
    """By system: its own key."""
    rows: Mapping[str, Image] = field(default_factory=dict)
    """By system: its image."""
    refused: dict[str, str] = field(default_factory=dict)
    """By system: why its image could not be understood."""
    others: list[str] = field(default_factory=list)
    """Records that look like it, where not every system has it: told on day one."""


class Gathering:
    """See the module. `only`: the entities that are gathered. `store` is written to, `find` reads the multimap."""

    def __init__(
        self, book: RuleBook, rules: Mapping[str, EntityRules], only: Collection[str], tables: Mapping[str, Tables],
        store: Store, find: Find, reading: Reading = lambda what, rows: None,
    ) -> None:  # fmt: skip
        self.book = book
        self.rules = {name: each for name, each in rules.items() if name in only}
        self.tables = tables
        self.store = store
        self.reading = reading
        self.crossing = Crossing(book, rules, find)

    def prepare(self) -> None:
        """Reads the systems, and puts aside what their rows say."""
        for system in self.crossing.staging:
            self._keep_rows(system)
        self.crossing.load_codes(self.store)
        for rules in self.rules.values():
            for system in rules.layouts:
                self._read(rules, system)
        self.flush()

    def flush(self) -> None:
        """Hands what was found to the store, uncommitted."""
        entries = self.crossing.entries
        self.store.write(Delta(entries=entries.taken()))
        entries.trim(())

    def records(self, rules: EntityRules) -> Iterator[Found]:
        """All records of an entity, ascending by id."""
        found: Found | None = None
        for id, system, state in self.store.entries(aside(rules)):
            if found is None or found.id != id:
                if found is not None:
                    yield found
                found = Found(id, rows={})
            key, values = _decode(state)
            found.keys[system] = key
            if not values:
                continue  # its row says that it is deleted
            self._take(rules, found, system, tuple([ABSENT if value is False else value for value in values]))
        if found is not None:
            yield found

    def _keep_rows(self, system: str) -> None:
        """All rows of records that have parts, and of code tables."""
        staging = self.crossing.staging[system]
        for number, table in enumerate(self.book.tables[system]):
            gathered = any(entity in self.rules for entity, _ in staging.parts.get(number, ()))
            if number in staging.rows and (gathered or table.whole):
                for rows in self._chunks(system, number, table.name):
                    staging.rows.fetch_rows(number, rows)
                    for row in rows:
                        staging.rows.put(number, row)
                    self.flush()

    def _read(self, rules: EntityRules, system: str) -> None:
        """The rows of an entity in one system."""
        staging = self.crossing.staging[system]
        assembly = staging.assemblies[rules.name]
        table, there = assembly.parts[0].table, replace(assembly, gone=())
        for rows in self._chunks(system, table, rules.name):
            keys = [key_of(staging.tables[table], row) for row in rows]
            if len(assembly.parts) > 1:
                staging.rows.fetch(table, keys)
            own: list[OwnRow] = []
            gone: list[OwnRow] = []
            for key, row in zip(keys, rows, strict=True):
                parts: PartRows | None = (row,)
                if len(assembly.parts) > 1:
                    parts = part_rows(assembly, staging.tables, staging.rows, key)
                raw, _ = self.crossing.raw_image(rules, system, parts)
                if raw is not None:
                    own.append((key, raw))
                elif parts is not None and assembly.gone and belongs(there, parts):
                    gone.append((key, image_of(assembly, parts, len(rules.entity.fields))))
            self._place(rules, system, own)
            self._note_gone(rules, system, gone)
            self.flush()

    def _chunks(self, system: str, table: int, what: str) -> Iterator[list[Row]]:
        """A table's rows, some at a time, told as they are read."""
        stream, count = self.tables[system].table(table), 0
        while chunk := list(islice(stream, CHUNK_ROWS)):
            count += len(chunk)
            self.reading(f"{what} in {system}", count)
            yield chunk

    def _place(self, rules: EntityRules, system: str, rows: Sequence[OwnRow]) -> None:
        """Finds out which records these rows are, and puts them aside."""
        raise NotImplementedError

    def _note_gone(self, rules: EntityRules, system: str, rows: Sequence[OwnRow]) -> None:
        """Rows that would be records if they did not say that they are deleted."""

    def _put_aside(self, rules: EntityRules, system: str, id: str, row: OwnRow) -> None:
        key, raw = row
        state = _encode((key, [False if value is ABSENT else value for value in raw]))
        self.crossing.entries.put(aside(rules), id, system, state)

    def _take(self, rules: EntityRules, found: Found, system: str, raw: Image) -> None:
        """One system's image of a record, now that all keys are known."""
        image: Image | None
        try:
            image = self.crossing.translations[rules.name, system].image(raw)
        except ValueRefused as error:
            image = self._refused(rules, found, system, raw, error)
        if image is not None:
            found.rows = {**found.rows, system: image}

    def _refused(self, rules: EntityRules, found: Found, system: str, raw: Image, error: ValueRefused) -> Image | None:
        """A reference or code in an image means nothing to us: what stands for the image, if anything does."""
        raise NotImplementedError


def aside(rules: EntityRules) -> str:
    """The space in which an entity's rows wait until all systems have been read."""
    return f"f/{rules.name}"
