"""The roof of the room: everything that the desk asks about records whose systems have keys of their own.

Holds one `Entries` and what stands on it, by system. It keeps no record and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from engine.assembly import PartRows, belongs, image_of, is_gone
from engine.conditions import columns_of
from engine.crossing.entries import Entries, Find
from engine.crossing.foresight import reached
from engine.crossing.identity import Identity, identity_of
from engine.crossing.keys import CrossReference, shown
from engine.crossing.rows import KeptRows, decode_row, kept_tables, row_space
from engine.crossing.staging import Staging
from engine.crossing.translate import Translation
from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.ports import Store
from engine.record import referred
from engine.rulebook import Binding, RuleBook
from engine.vocabulary import ABSENT, Change, Image, Row, Values


class Crossing:
    """See the module. `find` reads the store's multimap."""

    def __init__(self, book: RuleBook, rules: Mapping[str, EntityRules], find: Find) -> None:
        self.book = book
        self.rules = rules
        self.entries = Entries(find)
        self.keys = CrossReference(self.entries)
        self.staging: dict[str, Staging] = {}
        """By system that has any such record."""
        self.codes: dict[tuple[str, int], dict[str, str]] = {}
        """By (system, table): the code table's natural texts by key."""
        self.translations: dict[tuple[str, str], Translation] = {}
        """By (entity, system)."""
        for system in book.systems:
            if any(binding.assembly is not None for binding in book.bound[system]):
                kept = KeptRows(system, book.tables[system], kept_tables(book, system), self.entries)
                self.staging[system] = Staging(book, system, kept)
        for system in self.staging:
            for number, table in enumerate(book.tables[system]):
                if table.whole:
                    self.codes[system, number] = {}
            for binding in book.bound[system]:
                if binding.assembly is not None:
                    self.translations[binding.entity, system] = self._translation(binding)

    def _translation(self, binding: Binding) -> Translation:
        assembly = binding.assembly
        assert assembly is not None
        tables = self.book.tables[binding.system]
        names = {f: f"`{tables[look.table].schema}.{tables[look.table].name}`" for f, look in assembly.lookups.items()}
        return Translation(
            self.book.entities[binding.entity],
            binding.system,
            assembly,
            self.keys,
            {n: parent for n, parent in self.rules[binding.entity].crossed_references if n in binding.columns},
            {f: self.codes[binding.system, look.table] for f, look in assembly.lookups.items()},
            names,
        )

    def load_codes(self, store: Store) -> None:
        """Reads all code tables, as they were last kept."""
        for (system, table), texts in self.codes.items():
            texts.clear()
            for key, _, state in store.entries(row_space(system, self.book.tables[system][table])):
                text = decode_row(state)[1]
                if isinstance(text, str):
                    texts[key] = text

    def codes_changed(self, system: str, table: int, changes: Iterable[Change]) -> None:
        """Follows a code table. A key that is gone is still understood: rows may bear it yet."""
        texts = self.codes[system, table]
        for number, _, new, _ in changes:
            if number == table and new is not None and isinstance(new[0], str) and isinstance(new[1], str):
                texts[new[0]] = new[1]

    def fetch(self, system: str, changes: Sequence[Change], wanted: dict[str, dict[str, None]]) -> None:
        """Loads the rows and keys that these changes will ask for, and adds the records to `wanted`."""
        staging = self.staging[system]
        for entity, roots in reached(staging, changes).items():
            self.keys.fetch(entity, system, roots)
            self._want(entity, system, roots, wanted)
        for entity, known in staging.direct_rows(changes).items():
            self.keys.fetch(entity, system, known)
            self._want(entity, system, known, wanted)
            new = [row for key, row in known.items() if row and self.keys.id_of(entity, system, key) is None]
            if new:
                self._fetch_recognised(self.rules[entity], system, new)

    def _want(self, entity: str, system: str, keys: Iterable[str], wanted: dict[str, dict[str, None]]) -> None:
        """The records of these keys; of a key that is new, the one that may have had its id."""
        ids = wanted.setdefault(entity, {})
        for key in keys:
            ids[self.keys.id_of(entity, system, key) or shown(system, key)] = None

    def _fetch_recognised(self, rules: EntityRules, system: str, rows: list[Row]) -> None:
        """Loads what these rows may be recognised as."""
        assembly, width = self.staging[system].assemblies[rules.name], len(rules.entity.fields)
        identities = [self.identity(rules, system, image_of(assembly, (row,), width)) for row in rows]
        for way in range(len(rules.entity.identities)):
            texts = [text for identity in identities if (text := identity[way]) is not None]
            self.keys.fetch_recognised(rules.name, way, texts)

    def concerns(self, system: str, changes: Iterable[Change]) -> bool:
        """True if any of these changes is about such records."""
        staging = self.staging.get(system)
        return staging is not None and any(change[0] in staging.concerned for change in changes)

    def raw_image(
        self, rules: EntityRules, system: str, parts: PartRows | None, was: Callable[[], bool] = lambda: False
    ) -> tuple[Image | None, bool]:
        """(the record's raw image, None if these rows are no record; True if its root row is there but has left, other
        than by being deleted). A column that the log left out is what it was: where it is needed to tell, rows that
        `was` a record are one still, and the image of others is all ABSENT."""
        assembly = self.staging[system].assemblies[rules.name]
        if parts is None or parts[0] is None:
            return None, False
        needed = columns_of(assembly.parts[0].where) | {column for column, _ in assembly.gone}
        if any(parts[0][column] is ABSENT for column in needed):
            width = len(rules.entity.fields)
            return image_of(assembly, parts, width) if was() else (ABSENT,) * width, False
        if belongs(assembly, parts):
            return image_of(assembly, parts, len(rules.entity.fields)), False
        return None, not is_gone(assembly, parts[0])

    def identity(self, rules: EntityRules, system: str, raw: Image) -> Identity:
        """The identity that a row's raw values tell, as far as they can be understood."""
        translation = self.translations[rules.name, system]
        image = list(raw)
        for number in rules.identifying:
            text = image[number]
            if isinstance(text, str):
                image[number] = None
                with suppress(ValueRefused):
                    image[number] = translation.value(number, text)
        return self.identity_of_image(rules, system, tuple(image))

    def identity_of_image(self, rules: EntityRules, system: str, image: Image) -> Identity:
        """The same, of an image whose keys are translated."""
        values: list[object] = [None] * len(image)
        for number in rules.identifying:
            stored = image[number]
            if isinstance(stored, str):
                with suppress(ValueRefused):
                    values[number] = rules.layouts[system].canonical(number, stored)
        return identity_of(rules.entity, values)

    def recognise_alone(self, rules: EntityRules, id: str, identity: Identity) -> None:
        """By what a row is recognised that no system shares yet; by nothing, with an identity of None."""
        space, keys = f"p/{rules.name}", self.keys
        state = self.entries.only(space, id)
        had: Identity = tuple(msgspec.msgpack.decode(state)) if state is not None else (None,) * len(identity)
        if had == identity:
            return
        for way, (was, now) in enumerate(zip(had, identity, strict=True)):
            if was is not None:
                keys.forget(rules.name, way, was, id)
            if now is not None:
                keys.recognise(rules.name, way, now, id)
        if any(text is not None for text in identity):
            self.entries.put(space, id, "", msgspec.msgpack.encode(identity))
        else:
            self.entries.remove(space, id)

    def index(self, rules: EntityRules, id: str, before: Values | None, after: Values) -> bool:
        """Keeps up by what the record is recognised, and to whom it refers. True if the former has changed."""
        if before == after:
            return False
        keys, entity = self.keys, rules.entity
        none: Identity = (None,) * len(entity.identities)
        had = identity_of(entity, before) if before is not None else none
        has = identity_of(entity, after)
        for way, (was, now) in enumerate(zip(had, has, strict=True)):
            if was != now:
                if was is not None:
                    keys.forget(rules.name, way, was, id)
                if now is not None:
                    keys.recognise(rules.name, way, now, id)
        for number, _ in rules.references:
            former = before[number] if before is not None else None
            refers = after[number]
            if former != refers:
                if isinstance(former, str):
                    keys.unrefer(rules.name, number, referred(former), id)
                if isinstance(refers, str):
                    keys.refer(rules.name, number, referred(refers), id)
        return had != has
