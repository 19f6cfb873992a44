"""One worker: the engines and readers that the group gives it, from start to SIGTERM.

Turns an agreement of the group into threads: what is newly ours is begun, what no longer is, is asked to end. SIGTERM
ends everything in order and then leaves, so that the others take over at once. It decides nothing about a change.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from adapters.changes.topic import make_topics
from adapters.kafka.broker import broker
from engine.errors import EngineFault, StoreUnfit
from rules.flows import plan_of
from service.day_one import require_set_up
from service.failpoints import from_environment
from service.passing import fit, tried
from service.running import tuned
from service.scaling.job import Job, Tell
from service.scaling.membership import Membership
from service.scaling.partition import PartitionEngine
from service.scaling.reading import SystemReader
from service.scaling.share import Sharing
from service.wiring import Wired, wire

LOOK_EVERY_S: Final = 0.2
ENDS_WITHIN_S: Final = 20.0
"""An engine finishes what it has in hand; one that does not, ends with the process, and its locks with it."""


class Worker:
    """One `duolog run --worker`."""

    def __init__(self, rules: Path, tell: Tell, *, merge_again: bool = False) -> None:
        self._rules = rules
        self._tell = tell
        self._merge_again = merge_again
        self._begun: set[tuple[str, int]] = set()
        """What has been compared, or is read, anew: once is enough."""
        self._jobs: dict[tuple[str, int], PartitionEngine | SystemReader] = {}
        self._ending: list[Job] = []
        self._stop_asked = False

    def run(self) -> None:
        """Works until SIGTERM. Raises RulesRefused, DuologError."""
        tuned()
        sharing = sharing_of(wire(self._rules), self._tell)
        require_set_up(sharing.passed.wired, self._rules)
        make_topics(sharing.broker, sharing.topics())
        systems = len(sharing.passed.wired.book.systems)
        membership = Membership(
            sharing.name, sharing.broker, self._tell, partitions=sharing.plan.partitions, systems=systems
        )
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        membership.start()
        try:
            while not self._stop_asked:
                membership.changed.wait(LOOK_EVERY_S)
                membership.look_after()
                if membership.changed.is_set():
                    membership.changed.clear()
                    self._agree(sharing, membership)
                for job in list(self._jobs.values()):
                    job.look_after()
                    if job.died is not None:
                        raise _defect(job.name, job.died) from job.died
                self._ending = [job for job in self._ending if not job.wait(0)]
        finally:
            self._end()
            membership.leave()

    def _agree(self, sharing: Sharing, membership: Membership) -> None:
        """Begins what is newly ours, and ends what no longer is."""
        ours = {("engine", n) for n in membership.engines} | {("reader", n) for n in membership.readers}
        self._tell("group agreed", f"partitions {sorted(membership.engines)}, readers {sorted(membership.readers)}")
        for at in [at for at in self._jobs if at not in ours]:
            job = self._jobs.pop(at)
            job.stop()
            self._ending.append(job)
        for at in sorted(ours - self._jobs.keys(), reverse=True):  # readers first: engines wait for them
            self._jobs[at] = self._made(sharing, *at)
            self._jobs[at].start()

    def _made(self, sharing: Sharing, kind: str, number: int) -> PartitionEngine | SystemReader:
        again = self._merge_again and (kind, number) not in self._begun
        self._begun.add((kind, number))
        systems = sharing.passed.wired.book.systems
        if kind == "reader":
            return SystemReader(sharing, systems[number], self._tell, anew=again)

        def is_read(system: str) -> bool:
            job = self._jobs.get(("reader", systems.index(system)))
            return isinstance(job, SystemReader) and job.has_begun

        return PartitionEngine(sharing, number, self._tell, from_environment(), merge_again=again, is_read=is_read)

    def _end(self) -> None:
        ending = [*self._jobs.values(), *self._ending]
        for job in ending:
            job.stop()
        for job in ending:
            if not job.wait(ENDS_WITHIN_S):
                self._tell("not ended", job.name)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True


def _defect(name: str, error: BaseException) -> EngineFault:
    """Told by kind only: what a driver says of an error may hold the content of a row."""
    return EngineFault(
        f"the thread of {name} died of {type(error).__name__}",
        mend="this is a defect of duolog: report it; nothing is lost, and the other workers go on",
    )


def sharing_of(wired: Wired, tell: Callable[[str, str], None]) -> Sharing:
    """What all partitions of wired rules have in common. Raises RulesRefused, DuologError."""
    workers = wired.rules.workers
    if workers is None:
        raise StoreUnfit(
            "the rules do not say how workers share the work",
            mend="add `workers: {kafka: ${KAFKA_URL}, partitions: 8}` and `store: ${STORE_URL}` (PostgreSQL)",
        )
    assert workers.kafka is not None, "loaded with an environment"
    tried(wired.rules, wired.book, types_known=True)
    plan = plan_of(wired.book, workers.partitions)
    return Sharing(fit(wired, tell), plan, broker(workers.kafka.reveal()))
