"""Day one, the usual record: every system has it, and has the same. A short way to what `first_agreement` would say.

Turns the rows of such a record into its first state, without looking at one field after the other; anything else is
left alone. What its state looks like is learned from the first such record of an entity, which takes the long way: who
may write what, and in which order, is asked there only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from engine.errors import ValueRefused
from engine.gathering import Found
from engine.merge import EntityRules
from engine.record import Layout, Record
from engine.rulebook import Codec
from engine.vocabulary import ABSENT, Image, Version


class Alike:
    """The short way for one entity."""

    def __init__(self, rules: EntityRules) -> None:
        self._first, *self._others = rules.layouts
        self._codecs = {system: layout.codecs for system, layout in rules.layouts.items()}
        self._missing = _missing(rules.layouts)
        self._compared = [(system, _compared(rules, rules.layouts[system])) for system in self._others]
        self._learned: tuple[list[Version], bytes] | None = None
        self._possible = not (
            rules.checks or rules.derived or any(r.claims or r.joint is not None for r in rules.registers)
        )
        """False where a record's state depends on more than on being the same everywhere."""

    def values(self, found: Found) -> tuple[Any, ...] | None:
        """The canonical values of a record that all systems have, and have the same, stored as their mappings predict;
        None of any other."""
        if not self._possible or len(found.rows) <= len(self._others) or found.others or found.refused:
            return None
        rows: dict[str, Sequence[Any]] = {}
        for system, image in found.rows.items():
            row = _canonical(image, self._codecs[system])
            if row is None:
                return None
            rows[system] = row
        whole = rows[self._first]
        if self._missing:
            whole = list(whole)
            for number, system in self._missing:
                whole[number] = rows[system][number]
        for system, shared in self._compared:
            if shared(whole) != shared(rows[system]):
                return None
        return None if ABSENT in whole else tuple(whole)

    def record(self, found: Found, values: tuple[Any, ...]) -> Record | None:
        """The first state of such a record; None as long as nothing has been learned."""
        if self._learned is None:
            return None
        table, index = self._learned
        return Record(alive=True, values=values, table=table, index=index, sides={}, holds={}, keys=found.keys)

    def learn(self, record: Record, values: tuple[Any, ...]) -> None:
        """How the long way has decided such a record."""
        if record.alive and not record.sides and not record.holds and record.values == values:
            self._learned = record.table, record.index
        else:
            self._possible = False


def _canonical(image: Image, codecs: tuple[tuple[int, Codec], ...]) -> Sequence[Any] | None:
    """The values as all mean them; None if a value means nothing, or is not stored as it would be by us."""
    if not codecs:
        return image
    row = list(image)
    for number, codec in codecs:
        stored = row[number]
        if isinstance(stored, str):
            try:
                value = codec.decode(stored)
                if value is None or codec.encode(value) != stored:
                    return None
            except ValueRefused:
                return None
            row[number] = value
    return row


def _missing(layouts: Mapping[str, Layout]) -> list[tuple[int, str]]:
    """The fields that the first system has no column for, each with the first system that has one."""
    first, *others = layouts.values()
    bound = {
        number: next((other.binding.system for other in others if number in other.bound), "")
        for number in range(first.width)
        if number not in first.bound
    }
    return [(number, system) for number, system in bound.items() if system]


def _compared(rules: EntityRules, layout: Layout) -> Callable[[Sequence[Any]], Any]:
    """What of a row is compared: all that is decided, and that this system has a column for."""
    fields = [f for register in rules.registers for f in register.fields if f in layout.bound]
    return itemgetter(*fields) if fields else lambda row: None
