"""What the runner knows of each system, the bounds of its queues, and what its threads tell each other: values only."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from engine.errors import DuologError, SystemUnavailable
from engine.vocabulary import Batch, Outcome, Position, Progress, Reread, Transaction

DEFERRED_PAUSE_S = 0.1
"""How long rows that a user had locked are left alone before they are tried again."""
REQUESTS_EVERY_S = 0.5
"""How often the store is asked for what people want."""
LAZY_COMMIT_S = 0.2
"""How long confirmations alone may wait before they are made durable (the ledger has them anyway)."""
COMMIT_APART_RECORDS_MIN = 200
"""From how many records on a commit is left to the store's thread."""
STUCK_TARGET_S = 2.0
"""A target that has not answered for so long no longer holds the others back: what is due to it goes to the store."""
PAUSE_FIRST_S, PAUSE_MOST_S = 0.1, 10.0
"""Between attempts to reach a system."""

State = Literal["connecting", "running", "unavailable", "stopped"]


@dataclass(slots=True)
class Limits:
    """The bounds of every queue and batch."""

    turn_rows_max: int = 5_000
    """Changes decided between two commits of the store."""
    inbox_rows_max: int = 10_000
    """Changes read from one source and not yet decided."""
    open_rows_max: int = 10_000
    """Records due to one healthy target before the sources have to wait."""
    commit_apart_records_min: int = COMMIT_APART_RECORDS_MIN
    """From how many records on a commit is left to the store's thread."""


@dataclass(slots=True)
class Ask:
    """Rows that a target is asked to read again."""

    system: str
    entity: str
    own: dict[str, str]
    """By the system's own key: the record's (the same one, where the systems share their keys)."""


@dataclass(slots=True)
class Lane:
    """What the runner knows of one system."""

    system: str
    inbox: deque[Transaction | Progress] = field(default_factory=deque)
    """Read, not yet decided."""
    inbox_rows: int = 0
    outbox: deque[Batch | Ask] = field(default_factory=deque)
    """To be carried out by the writer: at most one batch, and rows to be read again."""
    reader: State = "connecting"
    writer: State = "connecting"
    trouble: str = ""
    """Why the reader or writer is not running, in words."""
    error: DuologError | None = None
    """What stopped it."""
    busy_since: float = 0.0
    """Since when a batch has been under way; 0: none is."""
    deferred_at: float = 0.0
    """When rows locked by users were last put aside; 0: there are none."""
    barred: tuple[int, int] | None = None
    """How far the system's batches were when the first in its inbox had to wait for the one under way. While they are
    no further, it still has to."""
    committed_at: int = 0
    """Commit time of the last transaction decided, microseconds since 1970."""
    acknowledged: Position = 0
    delivered: Position = 0
    """Of a synchronous system: up to where its users' transactions are in the others."""
    undelivered: int = 0
    """How many of them are not, as far as they are decided."""
    undelivered_since: float = 0.0
    """When the first of these was decided, on the runner's clock; 0: there is none."""
    waits_for: str = ""
    """What it waits for, in words."""
    ask_again_at: float = 0.0
    """Rows that a user had locked are not asked for before."""
    recovered: bool = False
    """The ledger has been asked what was committed before."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How it stands with those who wait at a synchronous system's COMMIT, as far as the engine knows."""

    position: Position
    """Up to here nobody has to wait any more."""
    undelivered: int
    """Transactions that have been decided and are not everywhere; before the first answer, all that was due is one."""
    oldest_s: float
    """For how long the first of them has been decided."""
    waits_for: str
    """What the first of them waits for, in words; empty: nothing."""


class Gate:
    """Shut until the store has what batches rest on: their targets do everything but commit meanwhile."""

    def __init__(self) -> None:
        self._decided = threading.Event()
        self._open = False

    def passed(self, within_s: float | None) -> bool:
        """See `Batch.is_durable`. By any thread."""
        if not self._decided.wait(within_s):
            return False
        if not self._open:
            raise SystemUnavailable("the store failed: nothing is written that rests on it", system="")
        return True

    def open(self) -> None:
        """The store has it."""
        self._open = True
        self._decided.set()

    def give_up(self) -> None:
        """The store failed."""
        self._decided.set()


Order = Batch | Ask
"""What a writer is asked to do."""

STORED: Final = "stored"
"""The store's thread has committed what it was given."""

Arrival = Outcome | Reread | Ask | tuple[str, list[Outcome]] | str
"""What the other threads have to tell the deciding one: an outcome, a row read again, rows that could not be read, what
a ledger knew (system, outcomes), or STORED."""

Observer = Callable[[str, str], None]
"""Told (action, detail) of what happens; must not raise or block."""
