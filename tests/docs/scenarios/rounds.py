"""One round of a scenario: what users write, and what is to be seen then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Round:
    """What is written at one time, and what is seen when all of it has arrived."""

    written: Mapping[str, Sequence[str]]
    """By system: transactions."""
    seen: Mapping[str, tuple[str, Sequence[tuple[Any, ...]]]]
    """By system: a query, and its rows."""
