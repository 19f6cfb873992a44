"""Turns keys into their records as they are now, each looked at under its locks, with the log position of that moment.

It writes nothing, waits for no user, and decides nothing: what rows mean is the engine's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from adapters.relational.assembled.finding import contested
from adapters.relational.assembled.shapes import Shape
from adapters.relational.layout import KEY_SEPARATOR
from adapters.relational.refused import Unreadable
from adapters.relational.speech import Columns, Speech
from engine.vocabulary import Position, Reread, Row

PartRows: TypeAlias = "tuple[Row | None, ...]"


@dataclass(frozen=True, slots=True)
class Looking:
    """How the records of one entity are looked at. Keys without a row are not in the answers."""

    entity: str
    locked: Callable[[Sequence[str]], dict[str, Any]]
    """What these records have, but for those that somebody else has locked; the others' locks are ours."""
    there: Callable[[Sequence[str]], set[str]]
    """Which of these are there."""
    told: Callable[[str, Any, Position], Reread]
    """The answer for a record that is there."""


class Moments(Protocol):
    """What looking asks of a connection beside the rows."""

    def transaction(self) -> AbstractContextManager[None]:
        """A transaction, in which each statement sees what has been committed until then. Rolled back at an error;
        raises Unreadable if that says that a key is no value of its column's type."""

    def position(self) -> Position:
        """The end of the log now. Under a row's lock it is behind every earlier change of that row."""

    def settled(self) -> Position:
        """A position, once all that stands in the log before it can be seen, or as good as: see `_absent`."""


def look_again(moments: Moments, system: str, looking: Looking, keys: Sequence[str]) -> list[Reread]:
    """These records as they are now, each looked at under its locks; those that somebody else has locked are left out.

    The position of a row that is there is exact, as its lock is held. Of one that is not, nothing can be locked: it is
    the position before we looked. Raises `Speech.errors`, with the transaction left to the caller to end."""
    try:
        with moments.transaction():
            ours = looking.locked(keys)
            there = looking.there(keys)
            position = moments.position()
    except Unreadable:
        if len(keys) == 1:
            return [Reread(system, looking.entity, keys[0], None, moments.position())]
        return [answer for key in keys for answer in look_again(moments, system, looking, [key])]
    answers = [looking.told(key, ours[key], position) for key in keys if key in ours]
    missing = [key for key in keys if key not in ours and key not in there]
    return answers + _absent(moments, system, looking, missing) if missing else answers


def _absent(moments: Moments, system: str, looking: Looking, keys: Sequence[str]) -> list[Reread]:
    """Those of the keys that really have no row, with a position up to which that is the whole truth.

    A commit stands in the log a moment before others can see it. So the position is taken first, then all who were
    writing at that moment are waited for, and then we look."""
    position = moments.settled()
    there = looking.there(keys)
    return [Reread(system, looking.entity, key, None, position) for key in keys if key not in there]


def records_of(speech: Speech, system: str, shape: Shape) -> Looking:
    """How the records of a shape are looked at, by their root keys."""

    def told(key: str, rows: PartRows, position: Position) -> Reread:
        return Reread(system, shape.entity, key, None, position, rows)

    return Looking(
        shape.entity,
        locked=lambda keys: _locked(speech, shape, keys),
        there=lambda keys: set(_rows(speech, shape, keys, (0,))),
        told=told,
    )


def _locked(speech: Speech, shape: Shape, keys: Sequence[str]) -> dict[str, PartRows]:
    parts = range(len(shape.places))
    others = {keys[index] for index in contested(speech, shape, shape.locks(parts), by_column(keys))}
    return {key: rows for key, rows in _rows(speech, shape, keys, tuple(parts)).items() if key not in others}


def _rows(speech: Speech, shape: Shape, keys: Sequence[str], parts: tuple[int, ...]) -> dict[str, PartRows]:
    """By root key: the rows of these parts that count."""
    found: dict[str, PartRows] = {}
    for ordinal, _, texts in speech.look(shape, parts, by_column(keys)) if keys else ():
        rows = shape.rows(parts, texts)
        found[keys[ordinal - 1]] = cast("PartRows", tuple(rows.get(at) for at in parts))
    return found


def by_column(keys: Sequence[str]) -> Columns:
    """Record keys as the values of their columns."""
    return list(zip(*(key.split(KEY_SEPARATOR) for key in keys), strict=True))
