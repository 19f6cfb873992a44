"""What all systems have of each record, as they are now: for comparing records whose systems have keys of their own.

Turns whole tables into images by record, through the cross-reference as the engine keeps it. A row whose key the engine
has not read yet stands for a record of its own. What is gathered goes to a scratch store; the engine's own store is
only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.crossing import OWN_KEYS, shown
from engine.crossing.entries import Find
from engine.errors import ValueRefused
from engine.gathering import Found, Gathering, OwnRow, Tables, aside
from engine.merge import EntityRules
from engine.ports import Store
from engine.rulebook import RuleBook
from engine.vocabulary import UNSET, Image

UNKNOWN = "\x1d"
"""What the made-up id begins with that stands for a row of which the engine knows nothing yet."""


class Standing(Gathering):
    """One entity. `scratch` is a store to be thrown away; `find` reads the engine's multimap."""

    def __init__(
        self, book: RuleBook, rules: Mapping[str, EntityRules], entity: str, tables: Mapping[str, Tables],
        scratch: Store, find: Find,
    ) -> None:  # fmt: skip
        def look(space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
            return find(space, values) if space.startswith(OWN_KEYS) else scratch.find(space, values)

        super().__init__(book, rules, {entity}, tables, scratch, look)

    def _place(self, rules: EntityRules, system: str, rows: Sequence[OwnRow]) -> None:
        keys = self.crossing.keys
        keys.fetch(rules.name, system, [key for key, _ in rows])
        placed: list[tuple[str, OwnRow]] = []
        for row in rows:
            if not keys.is_alias(rules.name, system, row[0]):  # left over after a join: no record's own row
                id = keys.id_of(rules.name, system, row[0])
                placed.append((UNKNOWN + shown(system, row[0]) if id is None else id, row))
        self.crossing.entries.fetch(aside(rules), [id for id, _ in placed])
        for id, row in placed:
            self._put_aside(rules, system, id, row)

    def _refused(self, rules: EntityRules, found: Found, system: str, raw: Image, error: ValueRefused) -> Image | None:
        """Only the values that mean nothing to us differ from everything."""
        translation = self.crossing.translations[rules.name, system]
        image: list[object] = list(raw)
        for number, value in enumerate(raw):
            if isinstance(value, str):
                try:
                    image[number] = translation.value(number, value)
                except ValueRefused:
                    image[number] = UNSET
        return tuple(image)  # type: ignore[arg-type]
