"""What the users of a system do to an entity, counted, and when that is more than its rule allows.

Turns the counts of one transaction after the other into a `Stop`. Values only: it changes no record, and the only time
it knows is that of the commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from engine.rulebook import Limit, Limits

Kind = Literal["inserts", "updates", "deletes"]
KINDS: tuple[Kind, ...] = ("inserts", "updates", "deletes")
VERBS: dict[str, str] = {"inserts": "inserted", "updates": "updated", "deletes": "deleted"}

HANDFUL = 16
"""A table that loses fewer records than this within `EMPTIED_S` may well be empty."""

EMPTIED_S = 3600
"""Within how long the records have to be deleted that make an empty table one that was emptied."""

GRAINS = 100
"""A window is as exact as this part of it: it is never longer than the rule says."""


class Stop(msgspec.Struct, array_like=True, frozen=True):
    """Why nothing of an entity is written any more, and since when."""

    entity: str
    system: str
    """Whose users broke the limit."""
    what: str
    """`inserts`, `updates`, `deletes`, or `emptied`."""
    count: int
    """How many there were."""
    limit: int
    """How many are allowed; 0 for `emptied`."""
    seconds: int
    number: int
    """The deciding step of the transaction that broke it: the first that is written nowhere."""
    committed_at: int
    """When that transaction was committed, microseconds since 1970 UTC."""

    def words(self) -> str:
        """What happened, for people."""
        if self.what == "emptied":
            return (
                f"{self.system} has no record of `{self.entity}` left: its users deleted {self.count} within "
                f"{span(self.seconds)}"
            )
        return (
            f"users of {self.system} {VERBS[self.what]} {self.count} records of `{self.entity}` within "
            f"{span(self.seconds)}; {self.limit} are allowed"
        )


def span(seconds: int) -> str:
    """A length of time as rule files write it."""
    for unit, name in ((3_600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


@dataclass(slots=True)
class Tally:
    """What one transaction did to the records of an entity, as far as it means a write to another system."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0


class Window:
    """How many there were within so many seconds, by commit times; bounded, however many transactions there are."""

    __slots__ = ("_counts", "_grain", "_latest", "_total")

    def __init__(self, seconds: int) -> None:
        self._grain = max(1, seconds * 1_000_000 // GRAINS)
        self._counts: dict[int, int] = {}
        self._latest = 0
        self._total = 0

    def add(self, at: int, count: int) -> int:
        """Counts what was committed at a time; returns how many there are in the window that ends then.

        A clock that was set back or forward starts the window anew: what lies far in its future does not count."""
        place = at // self._grain
        if place != self._latest:
            self._latest = place
            self._counts = {p: n for p, n in self._counts.items() if abs(place - p) < GRAINS}
            self._total = sum(self._counts.values())
        self._counts[place] = self._counts.get(place, 0) + count
        self._total += count
        return self._total


class Guard:
    """One entity's limits, for the users of one system."""

    __slots__ = ("_emptied", "_windows", "entity", "limits", "system", "witness")

    def __init__(self, entity: str, system: str, limits: Limits) -> None:
        self.entity = entity
        self.system = system
        self.limits = limits
        self.witness = ""
        """A record that the system had when last looked."""
        self._windows: dict[Kind, tuple[Limit, Window]] = {}
        self._emptied = Window(EMPTIED_S)
        self.forget()

    def forget(self) -> None:
        """The windows start anew."""
        given: dict[Kind, Limit | None] = {
            "inserts": self.limits.inserts, "updates": self.limits.updates, "deletes": self.limits.deletes,
        }  # fmt: skip
        self._windows = {kind: (limit, Window(limit.seconds)) for kind, limit in given.items() if limit is not None}
        self._emptied = Window(EMPTIED_S)

    def weigh(self, tally: Tally, number: int, at: int) -> Stop | None:
        """Counts what a transaction did; a Stop if that is too much. All of it is counted, whatever is found."""
        found: Stop | None = None
        counts: dict[Kind, int] = {"inserts": tally.inserts, "updates": tally.updates, "deletes": tally.deletes}
        for kind, (limit, window) in self._windows.items():
            if counts[kind] <= 0:
                continue
            total = window.add(at, counts[kind])
            if total > limit.number and found is None:
                found = Stop(self.entity, self.system, kind, total, limit.number, limit.seconds, number, at)
        return found

    def may_be_empty(self, tally: Tally, number: int, at: int) -> Stop | None:
        """What to say if the system has no record left; None if that need not be looked at."""
        if not self.limits.emptied or tally.deletes <= 0:
            return None
        total = self._emptied.add(at, tally.deletes)
        if total < HANDFUL or tally.inserts > 0:
            return None
        return Stop(self.entity, self.system, "emptied", total, 0, EMPTIED_S, number, at)
