"""One round of a scenario: what users write, and what is to be seen then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Round:
    """What is written at one time, what a person then asks of duolog, and what is seen when all of it has arrived."""

    written: Mapping[str, Sequence[str]]
    """By system: transactions."""
    seen: Mapping[str, tuple[str, Sequence[tuple[Any, ...]]]]
    """By system: a query, and its rows."""
    unseen: bool = False
    """It is written while duolog is stopped: nobody has seen what is written elsewhere."""
    at_once: bool = False
    """It is seen as soon as the last COMMIT has returned: everybody waits there, and nobody looks later."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """Commands, and words of what they answer."""
