"""Ports in memory that die on demand: the named points at which an engine can be killed.

Wraps the store, a source and a target of `adapters.memory`; each keeps its promises until the armed point is reached,
and then raises `SimCrash`. Nothing here is random: the world arms a point, the point disarms itself.
"""

from __future__ import annotations

from collections.abc import Callable

from adapters.memory import MemorySource, MemoryStore, MemorySystem, MemoryTarget
from engine.ports import Delta
from engine.vocabulary import Batch, Outcome, Position

POINTS = (
    "before the store's commit",
    "after the store's commit",
    "after a spooled chunk",
    "before the acknowledgement",
    "after the acknowledgement",
    "between statements",
    "before the batch",
    "after the target's commit",
)
"""Where an engine can be killed; "after read" is a crash between two rounds."""

DELIVERY_POINTS = ("before it is told what is delivered", "after it is told what is delivered")
"""Where users wait at COMMIT, besides."""


class SimCrash(Exception):
    """The process was killed here."""


class Killer:
    """Holds the point at which the engine is to die."""

    def __init__(self) -> None:
        self.point = ""
        self.died: dict[str, int] = {}

    def at(self, point: str) -> None:
        """Dies here if this is the armed point."""
        if self.point == point:
            self.point = ""
            self.died[point] = self.died.get(point, 0) + 1
            raise SimCrash(point)


class MortalStore(MemoryStore):
    """A store whose process can die beside its commit."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self.killer = killer

    def write(self, delta: Delta) -> None:
        """Adds to the open transaction."""
        super().write(delta)
        self.killer.at("after a spooled chunk")

    def commit(self, delta: Delta) -> None:
        """Makes everything written durable."""
        self.killer.at("before the store's commit")
        super().commit(delta)
        self.killer.at("after the store's commit")


class MortalSource(MemorySource):
    """A source that checks that nothing is acknowledged which the store does not have, and nothing delivered twice."""

    def __init__(self, database: MemorySystem, store: MemoryStore, killer: Killer, rows_max: int) -> None:
        super().__init__(database, rows_max)
        self.store = store
        self.killer = killer

    def acknowledge(self, position: Position) -> None:
        """Nothing that is not durable may be acknowledged."""
        durable = self.store.positions.get(self.system, 0)
        assert position <= durable, f"{self.system} acknowledged to {position}, durable is {durable}"
        self.killer.at("before the acknowledgement")
        super().acknowledge(position)
        self.killer.at("after the acknowledgement")

    def delivered(self, position: Position) -> None:
        """Never less than before, nor more than was read."""
        read_to = max(self.read_to, self.store.positions.get(self.system, 0))
        assert position <= read_to, f"S3: {self.system} delivered to {position}, read to {read_to}"
        assert position > self.delivered_to, f"S3: {self.system} delivered to {position} after {self.delivered_to}"
        self.killer.at(DELIVERY_POINTS[0])
        super().delivered(position)
        self.killer.at(DELIVERY_POINTS[1])


class MortalTarget(MemoryTarget):
    """A target whose client can die inside a batch."""

    def __init__(self, database: MemorySystem, now_us: Callable[[], int], killer: Killer) -> None:
        super().__init__(database, now_us)
        self.killer = killer
        self.between = lambda: killer.at("between statements")

    def apply(self, batch: Batch) -> Outcome:
        """Writes the batch as one transaction."""
        self.killer.at("before the batch")
        outcome = super().apply(batch)
        self.killer.at("after the target's commit")
        return outcome
