"""Who waits at a synchronous system's COMMIT, and what for: values only, and nothing is decided by them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from engine.desk.records import Debt, Name
from engine.rulebook import Synchronous
from engine.vocabulary import Position


@dataclass(slots=True)
class Expected:
    """A transaction whose user waits, or all that was due when the engine started."""

    number: int
    """The deciding step."""
    position: Position
    through: Position
    """Up to here follows nothing that anybody waits for: own transactions, other tables, other databases."""
    owed: dict[Debt, None] | None
    """What is not known to be delivered; None: whatever was due by `number`."""
    names: frozenset[Name] = frozenset()
    """The records that it changed: its user holds their locks."""
    unsure: bool = False
    """There may be more of them."""
    begun: int = 0
    """The first deciding step of it; 0: all that was due at the start."""
    since: float = 0.0
    """When it was decided, on the runner's clock; 0: not told yet."""
    let_go: bool = False
    """Nothing is waited for any more, but that the journal says so durably."""
    not_before: int = 0
    """The commit of the store, counted since the start, that must be durable before: it holds what the journal says."""
    halted: bool = False
    """Something of it was refused, or stopped by a limit: what became of that, the journal tells."""


@dataclass(slots=True)
class Queue:
    """One synchronous system's users, in the order of its log."""

    rules: Synchronous
    expected: deque[Expected] = field(default_factory=deque)
    passed: Position = 0
    """Delivered up to here."""
    lacking: Debt | None = None
    """What the first one waits for, as far as it is one record."""
