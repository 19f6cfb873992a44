"""What the engine asks of the world: four ports, each method with its promise. Implementations need not inherit.

The engine itself never opens a connection, reads a clock or waits; the runner does, through these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from engine.vocabulary import Batch, JournalEntry, Outcome, Position, Progress, Reread, Row, Transaction


class Source(Protocol):
    """Tails one system's change log. Used by one thread, but for `acknowledge`."""

    system: str

    def open(self, resume: Position) -> None:
        """Connects, checks that the server is the one we know and still has everything after `resume`, starts reading.

        Raises SystemUnavailable (try again) or SystemStopped (a person is needed)."""

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """The next whole committed transaction, in commit order, that ends after `resume`; or news that there is none
        up to a position; or None after `timeout_s`. Own transactions are handed over marked `own`, or, where nothing
        bound can change as their side effect, told as Progress. Answers the server's keepalives meanwhile."""

    def keep_alive(self) -> None:
        """Called at least every second while nobody wants to read: keeps the server from hanging up."""

    def acknowledge(self, position: Position) -> None:
        """Everything up to `position` is durable in our store: the server may forget it. Thread-safe, never blocks."""

    def delivered(self, position: Position) -> None:
        """What users committed up to `position` is in the other systems, or need not be waited for any more: those who
        wait for it at COMMIT may go on. Told of synchronous systems only; what is acknowledged may be beyond it.
        Thread-safe, never blocks."""

    def nudge(self) -> None:
        """Asks the server to tell its position soon, because a write waits for it. Thread-safe, never blocks."""

    def verify(self) -> None:
        """Looks whether the server still sends everything that it should: what was taken out falls silent. Thread-safe.

        Raises SystemStopped, or SystemUnavailable."""

    def close(self) -> None:
        """Hangs up; may be opened again."""


class Target(Protocol):
    """Writes one system. Used by one thread."""

    system: str

    def open(self) -> None:
        """Connects. Raises SystemUnavailable or SystemStopped."""

    def committed(self, after: int) -> list[Outcome]:
        """The ledger's rows of ours with `number_to > after`, in order: what was committed before a crash or cut."""

    def apply(self, batch: Batch) -> Outcome:
        """Writes the whole batch in one transaction: ledger row first, guarded statements, separator last; commits it
        once `batch.is_durable` says so, and until then keeps nobody from his rows for long. Rows that the target
        refuses are isolated and reported as `failed`; never is anything overwritten that is not as held.

        Raises SystemUnavailable; then the ledger tells whether it was committed."""

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """The rows of these records as they are now, each under its row lock, with the log position at that moment.

        `keys`: record keys; of an entity whose systems have keys of their own, this system's."""

    def clock(self) -> tuple[int, int]:
        """(how far the server's clock is ahead of ours, the most by which that may be wrong), microseconds.

        Measured on `open`; the server is asked again at most every minute. Raises SystemUnavailable."""

    def close(self) -> None:
        """Hangs up; may be opened again."""


class Snapshot(Protocol):
    """One consistent picture of one system, taken at a known log position."""

    system: str
    position: Position

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity as (record key, values in field order), ascending by record key (code point order).

        Only for bindings without an assembly."""

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table (a number in `RuleBook.tables[system]`), in the order of its columns; in any order."""

    def close(self) -> None:
        """Lets go of the picture."""


@dataclass(slots=True)
class Pending:
    """Which records a durable step touched: the to-do list that survives a crash."""

    number: int
    """The deciding step."""
    records: list[tuple[str, str]]
    """(entity, key)"""


@dataclass(slots=True)
class Applied:
    """A batch that a target has confirmed."""

    system: str
    number_to: int
    separator: Position


@dataclass(slots=True)
class Request:
    """Something a person asked for on the command line, to be carried out by the running engine."""

    id: int
    kind: str
    """`resolve`, `retry`, `truncated`, `join`, `allow`"""
    arguments: dict[str, str]


Entry: TypeAlias = "tuple[str, str, str]"
"""(space, value, item): one entry of the store's sorted multimap, which the cross-reference and the rows of assembled
records are kept in. A space is one map; a value may have any number of items, each with some bytes."""


@dataclass(slots=True)
class Delta:
    """Everything that one durable commit of the store changes. All of it, or nothing."""

    records: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """(entity, key) → encoded state"""
    entries: dict[Entry, bytes | None] = field(default_factory=dict)
    """What is put into the multimap, in place of what stood there, or with None taken out of it."""
    journal: list[JournalEntry] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    """By system: everything up to here has been decided."""
    pending: list[Pending] = field(default_factory=list)
    pending_done_to: int | None = None
    """Pending rows up to this number are finished everywhere."""
    applied: list[Applied] = field(default_factory=list)
    applied_forget: dict[str, int] = field(default_factory=dict)
    """By system: its applied rows with a number_to *below* this one are no longer needed."""
    quarantine: dict[tuple[str, str, str], str | None] = field(default_factory=dict)
    """(entity, key, system) → reason, or None: it is out again."""
    holds: dict[tuple[str, str, int], str | None] = field(default_factory=dict)
    """(entity, key, register) → why, or None: it is resolved."""
    requests_done: dict[int, str] = field(default_factory=dict)
    """Request id → what came of it, in words."""
    number: int | None = None
    """The highest deciding step used."""
    phase: str | None = None
    """`base`: the first merge is complete."""

    def __bool__(self) -> bool:
        """True if there is anything to commit."""
        return bool(
            self.records
            or self.entries
            or self.journal
            or self.positions
            or self.pending
            or self.applied
            or self.quarantine
            or self.holds
            or self.requests_done
            or self.phase
            or self.applied_forget
            or self.pending_done_to is not None
            or self.number is not None
        )


@dataclass(slots=True)
class StoreState:
    """What the store remembers of the engine as a whole."""

    number: int
    phase: str
    """`""` before the first merge is complete, then `base`."""
    positions: dict[str, Position]
    applied: list[Applied]
    """Recent ones of each system, ascending; the last of each system is its watermark."""


class Store(Protocol):
    """Our own durable state. Used by the deciding thread; `pages` by writer threads too, on their own connections."""

    def state(self) -> StoreState:
        """What was last committed."""

    def load(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The encoded states of those of the records that are known, including writes not yet committed."""

    def find(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Of the store's multimap: by value (of those that have any), its items in code point order, each with its
        bytes; including writes not yet committed."""

    def find_committed(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """Like `find`, but only what is committed; may be called from any thread."""

    def entries(self, space: str) -> Iterator[tuple[str, str, bytes]]:
        """All entries of a space as (value, item, bytes), ascending by both in code point order; including writes not
        yet committed, but for those made while it is read."""

    def write(self, delta: Delta) -> None:
        """Adds to the open transaction without committing: for a source transaction larger than memory."""

    def commit(self, delta: Delta) -> None:
        """Makes `delta`, and what was written before it, durable (fsynced), all or nothing, before it returns."""

    def pending(self, after: int, *, written: bool = False) -> Iterator[Pending]:
        """Pending rows with a number above `after`, ascending. May be called from a writer thread; `written`: including
        writes not yet committed, by the deciding thread alone."""

    def load_committed(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Like `load`, but only what is committed; may be called from a writer thread."""

    def scan(self, entity: str, start: str = "") -> Iterator[tuple[str, bytes]]:
        """All records of an entity from a key on, ascending by key."""

    def requests(self) -> list[Request]:
        """What people asked for and has not been done."""

    def quarantined(self) -> Iterable[tuple[str, str, str, str]]:
        """(entity, key, system, reason)"""

    def held(self) -> Iterable[tuple[str, str, int]]:
        """(entity, key, register) of what is left to a person."""


class Clock(Protocol):
    """The only time the engine knows."""

    def monotonic(self) -> float:
        """Seconds, never going back."""
