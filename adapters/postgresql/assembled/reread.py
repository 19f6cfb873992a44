"""Turns root keys into the rows that make up their records now, each locked for a moment, with the log position.

It writes nothing, waits for nobody, and decides nothing: whether the rows are a record is the engine's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from adapters.postgresql import reread
from adapters.postgresql.assembled import locating
from adapters.postgresql.assembled.codes import Run
from adapters.postgresql.assembled.shapes import Shape
from adapters.postgresql.phrases import KEY_SEPARATOR, array_literal
from engine.vocabulary import Position, Reread, Row

PartRows: TypeAlias = "tuple[Row | None, ...]"


def looking(run: Run, system: str, shape: Shape) -> reread.Looking:
    """How the records of a shape are looked at."""

    def told(key: str, rows: PartRows, position: Position) -> Reread:
        return Reread(system, shape.entity, key, None, position, rows)

    return reread.Looking(
        shape.entity,
        locked=lambda keys: _locked(run, shape, keys),
        there=lambda keys: set(_rows(run, shape, keys, (0,))),
        told=told,
    )


def _locked(run: Run, shape: Shape, keys: Sequence[str]) -> dict[str, PartRows]:
    busy: set[int] = set()
    parts = range(len(shape.places))
    for at, strength in locating.strengths(shape, parts):
        busy.update(at for (at,) in run(locating.contested(shape, at, strength), _literals(keys)).fetchall())
    others = {keys[ordinal - 1] for ordinal in busy}
    return {key: rows for key, rows in _rows(run, shape, keys, tuple(parts)).items() if key not in others}


def _rows(run: Run, shape: Shape, keys: Sequence[str], parts: tuple[int, ...]) -> dict[str, PartRows]:
    """By root key: the rows of these parts that count."""
    found: dict[str, PartRows] = {}
    for ordinal, _, *texts in run(locating.look(shape, parts), _literals(keys)).fetchall() if keys else ():
        rows = locating.rows(shape, parts, texts)
        found[keys[ordinal - 1]] = cast("PartRows", tuple(rows.get(at) for at in parts))
    return found


def _literals(keys: Sequence[str]) -> list[str]:
    return [array_literal(column) for column in zip(*(key.split(KEY_SEPARATOR) for key in keys), strict=True)]
