"""Who may write as an engine, where several processes may believe that they are it.

Turns "I have taken over" into something that every target can check: an epoch that grows with every holder of the name.
It opens nothing: targets keep the epoch beside their ledger, under the lock that their only writer has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import Fenced


@dataclass(frozen=True, slots=True)
class Fence:
    """What the holder of an engine's name shows to a target."""

    epoch: int
    """Grows with every holder, by one at least."""
    check: Callable[[], None]
    """Raises Fenced if somebody else holds the name now, as far as our own store knows. Any thread."""


def overtaken(system: str, ours: int, theirs: int) -> Fenced:
    """The error for a holder whose epoch is over."""
    return Fenced(
        f"another worker has taken this partition over: it is in epoch {theirs}, we are in {ours}", system=system,
        mend="none needed: nothing was written; this worker gets its share of the partitions again by itself",
    )  # fmt: skip
