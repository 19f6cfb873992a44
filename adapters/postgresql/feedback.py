"""Turns what our store keeps and what the other systems have into what a walsender is told of it.

A server learns three positions from us: written, flushed, applied. Flushed is what the slot forgets, so it never goes
beyond what is durable in our store; and where users wait for us at COMMIT, no position goes beyond what is delivered,
whichever of them their `synchronous_commit` looks at. It never waits, and opens nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.postgresql import walsender
from engine.vocabulary import Position


class Feedback:
    """What one source has been told, for as long as it lives: what is durable, or delivered, stays so after a cut.

    `synchronous`: users wait for us at COMMIT. All methods are thread-safe, and none blocks."""

    def __init__(self, *, synchronous: bool) -> None:
        self._synchronous = synchronous
        self._lock = threading.Lock()
        self._acknowledged: Position = 0
        self._delivered: Position = 0
        self._ceilings: list[Position] = []
        """What was delivered when each `withholding` began that has not ended."""

    def acknowledge(self, position: Position) -> bool:
        """Our store has everything up to `position`. True if the server ought to be told something new."""
        with self._lock:
            before = self._positions()
            self._acknowledged = max(self._acknowledged, position)
            return self._positions() != before

    def deliver(self, position: Position) -> bool:
        """Nobody waits any more for what is up to `position`. True if the server ought to be told something new."""
        with self._lock:
            before = self._positions()
            self._delivered = max(self._delivered, position)
            return self._positions() != before

    @contextmanager
    def withholding(self) -> Iterator[None]:
        """Inside, nothing counts as delivered that did not before."""
        with self._lock:
            ceiling = self._delivered
            self._ceilings.append(ceiling)
        try:
            yield
        finally:
            with self._lock:
                self._ceilings.remove(ceiling)

    def frame(self, now_us: int, *, reply: bool) -> bytes:
        """The frame for the server; 0 in it, which the server passes over, is a position not known yet.

        `now_us`: microseconds since 1970 UTC. `reply`: the server shall tell its position."""
        with self._lock:
            applied, flushed = self._positions()
        return walsender.status_update(applied, flushed, applied, now_us, reply=reply)

    def _positions(self) -> tuple[Position, Position]:
        """(written and applied, flushed). The lock is held."""
        if not self._synchronous:
            return self._acknowledged, self._acknowledged
        delivered = min([self._delivered, *self._ceilings])
        return delivered, min(self._acknowledged, delivered)
