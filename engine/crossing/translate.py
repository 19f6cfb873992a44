"""A system's keys, codes and empty texts on their way in: from a row's raw values to those that the merge compares.

Turns a raw image into one in which a reference is the record's id, a looked-up code its natural text, and an empty text
NULL where the rules say so. The way out is the planner's and the target's.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.crossing.keys import CrossReference
from engine.errors import ValueRefused
from engine.record import FOREIGN
from engine.rulebook import Assembly, Entity
from engine.vocabulary import Image

UNKNOWN_CODE = "has no such key"
"""What the refusal ends with, if a code is in no code table, as far as that was read."""

REFERS_TO, NOT_KNOWN = "refers to ", "which is not known"


def unknown_reference(entity: str, key: str) -> str:
    """What the refusal ends with, if a row refers to a record that nobody knows."""
    return f"{REFERS_TO}{entity} `{key}`, {NOT_KNOWN}"


class Translation:
    """One entity's values in one system. `references`: by field number, the entity whose keys stand there; `codes`: by
    field number, the code table's texts by key; `places`: by field number, that table's name."""

    def __init__(
        self,
        entity: Entity,
        system: str,
        assembly: Assembly,
        keys: CrossReference,
        references: Mapping[int, str],
        codes: Mapping[int, Mapping[str, str]],
        names: Mapping[int, str],
    ) -> None:
        self._entity = entity
        self._keys = keys
        self._system = system
        self._references = references
        self._codes = codes
        self._names = names
        self._empty = assembly.empty
        self._plain = not (references or codes or assembly.empty)

    def image(self, raw: Image) -> Image:
        """The whole image. Raises ValueRefused if a reference or code means nothing to us."""
        if self._plain:
            return raw
        image = list(raw)
        for number in (*self._references, *self._codes, *self._empty):
            value = image[number]
            if isinstance(value, str):
                image[number] = self.value(number, value)
        return tuple(image)

    def value(self, number: int, text: str) -> str | None:
        """One field's value. Raises ValueRefused."""
        if number in self._empty and text == "":
            return None
        if number in self._codes:
            return self._natural(number, text)
        parent = self._references.get(number)
        return text if parent is None else self._id(number, parent, text)

    def _natural(self, number: int, text: str) -> str:
        natural = self._codes[number].get(text)
        if natural is None:
            field = self._entity.fields[number].name
            raise ValueRefused(f"{field}: {self._names[number]} {UNKNOWN_CODE}", system=self._system)
        return natural

    def _id(self, number: int, parent: str, text: str) -> str:
        id = self._keys.id_of(parent, self._system, text)
        if id is None:
            field = self._entity.fields[number].name
            raise ValueRefused(f"{field}: {unknown_reference(parent, text)}", system=self._system)
        return id + FOREIGN + text if self._keys.is_alias(parent, self._system, text) else id
