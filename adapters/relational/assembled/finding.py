"""Turns rows to write into the rows that stand in their place: locked, looked at, and compared with what is held.

It reads and locks, and writes nothing. The locks are held until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from adapters.relational.assembled.shapes import Shape, Strength
from adapters.relational.assembled.values import Record, Value
from adapters.relational.speech import Columns, Speech
from engine.vocabulary import Text, Values, WriteRow


@dataclass(slots=True)
class Found:
    """A row to write, and what stands in its place."""

    row: WriteRow
    record: bool
    """It is a record of the entity."""
    rows: dict[int, Sequence[Text]]
    """By part, as far as they are there."""


class Finder:
    """Finds the rows of records through one connection."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    def found(
        self, shape: Shape, parts: Iterable[int], given: Sequence[WriteRow], removed: Iterable[int] = ()
    ) -> list[Found]:
        """Locks the rows of these records, and looks at those that count; records without a root row are left out.

        Raises `Speech.errors`."""
        keys = _keys(given)
        locks = shape.locks(parts, removed)
        for at, strength in locks:
            self._speech.lock(shape, at, strength, keys)
        chosen = tuple(at for at, _ in locks)
        return [
            Found(given[ordinal - 1], record, shape.rows(chosen, texts))
            for ordinal, record, texts in self._speech.look(shape, chosen, keys)
        ]

    def contested(
        self, shape: Shape, parts: Iterable[int], given: Sequence[WriteRow], removed: Iterable[int] = ()
    ) -> list[int]:
        """Which of these records are there, and others have a row of them locked, by index; the others' locks are ours
        now. Raises `Speech.errors`."""
        return contested(self._speech, shape, shape.locks(parts, removed), _keys(given))


def contested(speech: Speech, shape: Shape, locks: Iterable[tuple[int, Strength]], keys: Columns) -> list[int]:
    """Of the records with these root keys, those of which others have a row locked, by index; the others' are ours now.

    Part after part, as rows are found through those that are ours: a record that is contested is left out from there.
    Raises `Speech.errors`."""
    left = list(range(len(keys[0]) if keys else 0))
    found: set[int] = set()
    for at, strength in locks:
        if not left:
            break
        asked = [[values[index] for index in left] for values in keys]
        found.update(left[ordinal - 1] for ordinal in speech.contested(shape, at, strength, asked))
        left = [index for index in left if index not in found]
    return sorted(found)


def record_of(
    shape: Shape, id: str, columns: Sequence[int], new: Sequence[Value], rows: dict[int, Sequence[Text]]
) -> Record:
    """A record that has rows."""
    keys = {at: tuple(row[position] for position in shape.places[at].key) for at, row in rows.items()}
    return Record(id, dict(zip(columns, new, strict=True)), rows, keys)


def left_as_they_are(
    shape: Shape, columns: Sequence[int], rows: Mapping[int, Sequence[Text]]
) -> dict[int, Text]:
    """The fields that a record which comes back is not given, as they stand in its rows."""
    return {
        number: rows[part][position]
        for number, (part, position) in shape.spots.items()
        if number not in columns and part in rows
    }


def is_held(
    shape: Shape, columns: Sequence[int], held: Values, texts: list[Text] | None, rows: Mapping[int, Sequence[Text]]
) -> bool:
    """True if every field is as it is known to be held; a row that is missing holds NULL in all its fields."""
    if texts is None:
        return False
    for number, known, text in zip(columns, held, texts, strict=True):
        part, position = shape.spots[number]
        if part not in rows:
            if known is not None:
                return False
            continue
        stored = rows[part][position]
        if stored != text and not (number in shape.assembly.empty and (stored or "") == text):
            return False
    return True


def _keys(given: Sequence[WriteRow]) -> Columns:
    """These rows' keys, by column."""
    return cast("Columns", list(zip(*(row[2] for row in given), strict=True)))
