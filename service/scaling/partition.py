"""The engine of one partition, from its lease to its end: a first merge of its records if there is no base, then runs.

Turns a partition's number into a running engine, whose state is in a store of its own and whose batches no former
holder of the partition can follow up. It decides nothing about a change itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from adapters.changes.topic import Reader, reach, topic_name
from engine.errors import StoreUnfit, SystemUnavailable
from engine.runner import Runner
from service.day_one import Watch, agree, has_base
from service.failpoints import Failpoint
from service.feed import telling
from service.passing import Passed
from service.running import doing, made_ready
from service.scaling.job import Job, Tell
from service.scaling.lease import Lease
from service.scaling.share import Sharing, share

STATUS_EVERY_S: Final = 1.0
PLAN: Final = "plan"
"""The store's note of how the records were shared out when its base was made."""

_merging = threading.Lock()
"""Of a worker's partitions, one compares at a time: each reads whole tables."""


class _Stopped(Exception):
    """The partition was taken away during its first merge: nothing of it is kept."""


class PartitionEngine(Job):
    """See the module."""

    def __init__(
        self, sharing: Sharing, partition: int, tell: Tell, point: Failpoint | None, *, merge_again: bool,
        is_read: Callable[[str], bool] = lambda system: True,
    ) -> None:  # fmt: skip
        """`is_read`: whether this worker's reader of a system has begun; asked before all is merged again."""
        super().__init__(tell)
        self.name = f"partition {partition}"
        self.partition = partition
        self._sharing = sharing
        self._point = point
        self._merge_again = merge_again
        self._is_read = is_read
        self._runner: Runner | None = None
        self._passed: Passed | None = None
        self._lease: Lease | None = None
        self._written_at = 0.0

    def work(self) -> None:
        """Runs the engine until it is taken away. Raises DuologError."""
        self.state, self.trouble = "starting", ""
        lease = self._lease = Lease(self._sharing.passed.wired.rules, f"p{self.partition}")
        try:
            self.tell("taken over", f"epoch {lease.epoch}")
            passed = self._passed = share(self._sharing, self.partition, lease.fence)
            self._base(passed, lease)
            if not self.stopping.is_set():
                self._run_once(passed, lease)
        except _Stopped:
            pass
        except (SystemUnavailable, StoreUnfit) as error:
            lease.explain(error)
            raise
        finally:
            self._runner = None
            self._lease = None
            self.write_status(lease, running=False)
            lease.close()

    def ask(self) -> None:
        """See `Job.ask`: who does not reach Kafka is not told by the group that it went on without him."""
        reach(self._sharing.broker)

    def interrupt(self) -> None:
        """The engine finishes what it has in hand."""
        runner = self._runner
        if runner is not None:
            runner.stop()

    def _base(self, passed: Passed, lease: Lease) -> None:
        wired, store = passed.wired, lease.store
        rules, plan = wired.rules.path, plan_text(self._sharing)
        if not self._merge_again and has_base(wired, store, rules):
            if store.recall(PLAN) != plan:
                raise StoreUnfit(
                    "the records are to be shared out otherwise than when they were compared",
                    mend="put `workers` and the rules back; or stop all workers and start one with "
                    f"`duolog run {rules} --worker --merge-again`",
                )
            return
        self._await_readers()
        self.state = "first merge"
        with _merging:
            if self.stopping.is_set():
                raise _Stopped
            self.tell("first merge", "comparing all systems")
            tally = agree(wired, store, Watch(self._look, self._look, self._reach))
        store.remember(PLAN, plan)
        self._merge_again = False
        self.tell("first merge done", f"{tally.records} records, {tally.one_sided} to be created, {tally.held} held")

    def _await_readers(self) -> None:
        """What is written while we compare must be on its way already. Raises SystemUnavailable."""
        for system in self._sharing.passed.wired.book.systems:
            if self._merge_again and not self._is_read(system):
                raise SystemUnavailable(
                    "its log is not read anew by this worker yet", system=system,
                    mend="none needed if it is just starting; else stop all other workers",
                )  # fmt: skip
            topic = topic_name(self._sharing.name, system)
            with closing(Reader(system, self._sharing.broker, topic, self.partition)) as reader:
                if reader.last() is None:
                    raise SystemUnavailable("its reader has not begun", system=system)

    def _look(self, what: str, count: int) -> None:
        if self.stopping.is_set():
            raise _Stopped

    def _reach(self, point: str) -> None:
        if self._point is not None:
            self._point.reach(point)

    def _run_once(self, passed: Passed, lease: Lease) -> None:
        runner, _ = made_ready(passed, lease.store, self._point, self.tell)
        self._runner = runner
        self.state = "running"
        try:
            if not self.stopping.is_set():
                with telling(passed.wired, runner, lease.store, self._point, self.tell):
                    runner.run()
        finally:
            self._runner = None

    def look_after(self) -> None:
        """To be called now and then by the worker: tells how it is doing."""
        lease = self._lease
        if lease is not None and time.monotonic() - self._written_at > STATUS_EVERY_S:
            self._written_at = time.monotonic()
            self.write_status(lease, running=True)

    def write_status(self, lease: Lease, *, running: bool) -> None:
        """Into the partition's own store."""
        trouble = lease.tell(self.document(), running=running)
        if trouble:
            self.tell("status not written", trouble)

    def document(self) -> dict[str, Any]:
        """How it is doing, for `duolog status`."""
        runner, passed = self._runner, self._passed
        known = super().document() | {"partition": self.partition}
        if runner is None or passed is None:
            return known | {"quiet": False}
        return known | doing(runner, passed.wired, passed.wired.rules.path) | {"quiet": runner.quiet()}


def plan_text(sharing: Sharing) -> str:
    """How the records are shared out, as the store remembers it."""
    flows = [[list(flow.entities), flow.root, list(flow.partitions)] for flow in sharing.plan.flows]
    return json.dumps([sharing.plan.partitions, flows])
