"""Turns whole rows of a log into rows of bound columns, at C speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from engine.vocabulary import Row


def picker(places: Sequence[int]) -> Callable[[Row], Row]:
    """itemgetter that answers a tuple for a single place, too."""
    if len(places) == 1:
        place = places[0]
        return lambda row: (row[place],)
    getter: Any = itemgetter(*places)
    return getter  # type: ignore[no-any-return]


def bound_picker(places: Sequence[int], width: int) -> Callable[[Row], Row] | None:
    """Takes the bound columns, at these places, out of a row of `width` columns; None: they are the whole row."""
    return None if list(places) == list(range(width)) else picker(places)
