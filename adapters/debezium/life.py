"""Turns the times at which a connector's messages were read into how long it has lived, and since when what it left
untold is overdue.

A connector that is killed leaves transactions half told: their END is in Kafka, some of their events are not, and come
when it is started again, however late. Pure: it is told the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

sign_within_s: Final = 10.0
"""So much of a pause between two messages counts as lived: twice the interval of heartbeats that we recommend."""


@dataclass(slots=True)
class Life:
    """Of one connector. Times are seconds that never go back. Used by one thread."""

    _told_at: float
    lived_s: float = 0.0
    """How long it has given signs of life since `anew`, or since it was started again, if that was later."""
    _runs: set[bytes] = field(default_factory=set)

    def told(self, now: float, run: bytes) -> None:
        """A message was read. `run`: what the connector calls its run; empty if it does not."""
        if run and run not in self._runs:
            self._runs.add(run)
            self.anew()
        else:
            self.lived_s += min(now - self._told_at, sign_within_s)
        self._told_at = now

    def anew(self) -> None:
        """Counts from now on."""
        self.lived_s = 0.0


@dataclass(slots=True)
class Lacking:
    """Since when the next transaction lacks some of its events. Used by one thread."""

    _life: Life
    since: float = 0.0
    """0: nothing is lacking."""
    _turn: str = ""
    _due: float = 0.0

    def nothing(self) -> None:
        """All that is awaited is there."""
        self.since = 0.0

    def due(self, turn: str, now: float, after_s: float, *, beats: bool) -> float:
        """When the transaction `turn` had lacked something for longer than `after_s`; 0: not yet. `beats`: the
        connector gives signs of life, and what is lacking could come only while it does."""
        if self.since == 0.0 or self._turn != turn:
            self.since, self._turn, self._due = now, turn, 0.0
            self._life.anew()
            return 0.0
        waited_s = self._life.lived_s if beats else now - self.since
        self._due = (self._due or now) if waited_s > after_s else 0.0
        return self._due
