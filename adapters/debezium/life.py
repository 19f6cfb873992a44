"""Turns the times at which a connector's messages were read into how long it has lived, and could have told more.

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
