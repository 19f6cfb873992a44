"""In which order it is decided what the logs tell: users' transactions by their commits, the engine's own after what
caused them.

Turns the queues of all logs into one sequence. No clock says what caused an own transaction: before the engine writes,
it makes durable how far it has decided every log. So once an own transaction has been read, the store in force tells up
to where its causes can reach, and until the other logs have been decided that far, it waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Event

from adapters.store import SqlStore
from engine.assembly import key_of
from engine.crossing import OWN_KEYS
from engine.crossing.staging import Staging
from engine.shadowing.following import Follower
from engine.vocabulary import Change, Position, Progress, Transaction

QUEUED_MAX = 1_000
"""Transactions read from one log and not yet decided."""
OTHERS_S = 0.02
"""For so long the log of a system is waited for, before another one's later transaction is decided."""


@dataclass(slots=True)
class Told:
    """What a log told."""

    event: Transaction | Progress
    at: float
    """When it was read."""
    causes: Mapping[str, Position] = field(default_factory=dict)
    """Of an own transaction: up to where the engine in force had decided each log, when it was read at the latest."""

    @property
    def own(self) -> bool:
        """It is one of the engine's own."""
        return isinstance(self.event, Transaction) and self.event.own


class Order:
    """See the module. `nudge`: asks a system's server for its position; `stopping`: nothing is waited for any more."""

    def __init__(self, base: Follower, known: SqlStore, nudge: Callable[[str], None], stopping: Event) -> None:
        self._base, self._known, self._nudge, self._stopping = base, known, nudge, stopping
        self._queues: dict[str, Queue[Told]] = {system: Queue(QUEUED_MAX) for system in base.marks}
        self._heads: dict[str, Told] = {}

    def told(self, event: Transaction | Progress) -> Told:
        """What was just read, with what is known of its causes. For the thread that reads. Raises StoreUnfit."""
        own = isinstance(event, Transaction) and event.own
        return Told(event, time.monotonic(), self._known.state().positions if own else {})

    def put(self, told: Told) -> bool:
        """Takes it for the queue of its system; False if there is no room for now."""
        try:
            self._queues[told.event.system].put(told, timeout=0.5)
        except Full:
            return False
        return True

    def next(self) -> Transaction | Progress | None:
        """The next one; None if there is none yet."""
        self._look()
        users = [system for system, told in self._heads.items() if not told.own]
        system = min(users, key=self._committed_at) if users else self._own()
        if system is not None:
            return self._heads.pop(system).event
        if len(self._heads) == len(self._queues):
            self._stopping.wait(OTHERS_S)  # between two looks at the store in force
        return None

    def _look(self) -> None:
        deadline = time.monotonic() + OTHERS_S
        for system, queue in self._queues.items():
            if system not in self._heads:
                try:
                    self._heads[system] = queue.get(timeout=max(0.001, deadline - time.monotonic()))
                except Empty:
                    continue

    def _committed_at(self, system: str) -> int:
        event = self._heads[system].event
        return event.committed_at if isinstance(event, Transaction) else 0

    def _own(self) -> str | None:
        """The system whose own transaction is next; None if each of them waits. There are no others at hand."""
        waiting = sorted(self._heads, key=lambda system: self._heads[system].at)
        behind = {system: self._behind(system) for system in waiting}
        free = [system for system in waiting if not behind[system]]
        if free:
            return next((system for system in free if self._learn_keys(system)), None)
        unread = {other for others in behind.values() for other in others if other not in self._heads}
        for system in unread:
            self._nudge(system)
        if unread or not waiting:
            return None
        # Each stands behind another one. The causes of the batch that was formed first stand behind none.
        system = min(waiting, key=self._batch)
        return system if self._learn_keys(system) else None

    def _behind(self, system: str) -> list[str]:
        """The systems whose logs have not been decided as far as the causes of this own transaction may reach."""
        causes = self._heads[system].causes
        others = [(other, mark.read) for other, mark in self._base.marks.items() if other != system]
        return [other for other, read in others if read < causes.get(other, 0)]

    def _batch(self, system: str) -> tuple[int, bool]:
        """Where an own transaction stands among all; if its log does not tell, those come first that can be explained.
        """
        event = self._heads[system].event
        assert isinstance(event, Transaction)
        return event.number, not self._base.explains(event)

    def _learn_keys(self, system: str) -> bool:
        """Records that the engine in force has made: under which keys, only its store knows. False: not yet."""
        event, staging = self._heads[system].event, self._base.crossing.staging.get(system)
        if staging is None or not isinstance(event, Transaction):
            return True
        keys = self._base.crossing.keys
        # It decides its own transaction when it has heard what became of it: what it does not know then, it never will.
        heard = self._known.state().positions.get(system, 0) >= event.position
        there = True
        for entity, root in _roots(staging, event.changes):
            if keys.id_of(entity, system, root) is not None:
                continue
            found = self._known.find_committed(f"{OWN_KEYS}{entity}/{system}", [root]).get(root, {})
            for id in found:
                self._base.learn_key(entity, system, root, id)
            there = there and keys.id_of(entity, system, root) is not None
        return there or heard


def _roots(staging: Staging, changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    """The root rows that were written: (entity, key there)."""
    for table, _, new, _ in changes:
        if new is not None:
            entities = [*staging.direct.get(table, ()), *(e for e, part in staging.parts.get(table, ()) if part == 0)]
            yield from [(entity, key_of(staging.tables[table], new)) for entity in entities]
