"""Named places at which a process may be told to die, so that crashes can be tried on real servers.

`DUOLOG_FAILPOINT=name:n` ends the process by SIGKILL at the n-th passing of a point; without the variable nothing here
is in anybody's way. The points are those of a change's way: see `POINTS`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

from engine.ports import Delta, Source, Target
from engine.vocabulary import Batch, Outcome, Position, Progress, Reread, Transaction, Write

POINTS = {
    "snapshots_taken": "day one: the snapshots are open and nothing has been compared",
    "first_merge": "day one: part of what was agreed is written, nothing of it is committed",
    "base_agreed": "day one: the base is committed, and nothing has been read or written since",
    "after_read": "a transaction has been read, nothing of it is durable",
    "before_commit": "before the store's commit of a decision",
    "after_commit": "after the store's commit of a decision, before anything is written",
    "between_statements": "between two statements of a batch",
    "after_target_commit": "after the target's commit, before its answer is known",
    "feed_sent": "messages of a feed are sent, and not that they are",
    "before_feed_commit": "all of a Kafka transaction of a feed is sent, and it is not committed",
    "after_feed_commit": "after the commit of a Kafka transaction of a feed, before that is known",
    "before_acknowledge": "before a position is acknowledged to the source",
}
DAY_ONE = ("snapshots_taken", "first_merge", "base_agreed")
OF_A_FEED = ("feed_sent", "before_feed_commit", "after_feed_commit")
"""Passed only where the rules have one."""


class Failpoint:
    """Counts the passings of one point, and dies at the chosen one."""

    def __init__(self, setting: str) -> None:
        name, _, count = setting.partition(":")
        if name and name not in POINTS:
            raise ValueError(f"unknown failpoint `{name}`; known: {', '.join(POINTS)}")
        self.name = name
        self.left = int(count or "1")

    def reach(self, name: str) -> None:
        """The process passes the point `name`."""
        if name == self.name:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def from_environment() -> Failpoint | None:
    """The failpoint that was asked for, if one was."""
    setting = os.environ.get("DUOLOG_FAILPOINT", "")
    return Failpoint(setting) if setting else None


class FailingSource:
    """A source that dies after reading, or before acknowledging."""

    def __init__(self, inner: Source, point: Failpoint) -> None:
        self.inner, self.point, self.system = inner, point, inner.system

    def open(self, resume: Position) -> None:
        """As the inner one."""
        self.inner.open(resume)

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """As the inner one, then `after_read`."""
        event = self.inner.read(timeout_s)
        if isinstance(event, Transaction):
            self.point.reach("after_read")
        return event

    def keep_alive(self) -> None:
        """As the inner one."""
        self.inner.keep_alive()

    def acknowledge(self, position: Position) -> None:
        """`before_acknowledge`, then as the inner one."""
        self.point.reach("before_acknowledge")
        self.inner.acknowledge(position)

    def delivered(self, position: Position) -> None:
        """As the inner one."""
        self.inner.delivered(position)

    def nudge(self) -> None:
        """As the inner one."""
        self.inner.nudge()

    def verify(self) -> None:
        """As the inner one."""
        self.inner.verify()

    def close(self) -> None:
        """As the inner one."""
        self.inner.close()


class FailingTarget:
    """A target that dies between statements, or after its commit."""

    def __init__(self, inner: Target, point: Failpoint) -> None:
        self.inner, self.point, self.system = inner, point, inner.system

    def open(self) -> None:
        """As the inner one."""
        self.inner.open()

    def committed(self, after: int) -> list[Outcome]:
        """As the inner one."""
        return self.inner.committed(after)

    def apply(self, batch: Batch) -> Outcome:
        """As the inner one, with `between_statements` within and `after_target_commit` behind."""
        if self.point.name == "between_statements" and len(batch.writes) > 1:
            batch = Batch(
                batch.system, batch.number_to, [], batch.rows, batch.forget_to, pages=_Torn(batch.writes, self.point)
            )
        outcome = self.inner.apply(batch)
        self.point.reach("after_target_commit")
        return outcome

    def reread(self, entity: str, keys: Sequence[str]) -> list[Reread]:
        """As the inner one."""
        return self.inner.reread(entity, keys)

    def clock(self) -> tuple[int, int]:
        """As the inner one."""
        return self.inner.clock()

    def close(self) -> None:
        """As the inner one."""
        self.inner.close()


class _Torn:
    """A batch's writes, one at a time, with a point between."""

    def __init__(self, writes: list[Write], point: Failpoint) -> None:
        self.writes, self.point = writes, point

    def __iter__(self) -> Iterator[list[Write]]:
        for place, write in enumerate(self.writes):
            if place:
                self.point.reach("between_statements")
            yield [write]


def around_commit(point: Failpoint, delta: Delta, *, before: bool) -> None:
    """Passes the points around a commit of the store that carries decisions."""
    if delta.records:
        point.reach("before_commit" if before else "after_commit")
