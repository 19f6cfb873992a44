"""An engine made ready to run on rules that have passed, and how it is doing, in one document.

Turns a wired rule file and a store into a `Runner` with its sources and targets; opens none of them. Whoever runs it
(`service.daemon`, alone; `service.scaling`, one partition of several) decides when it starts and ends.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.store import SqlStore
from engine.decide import Decider
from engine.errors import StoreUnfit
from engine.ports import Delta, Source, Target
from engine.runner import Runner
from service.failpoints import FailingSource, FailingTarget, Failpoint, around_commit
from service.passing import Passed
from service.profiling import profiled
from service.stops import stop_document
from service.wiring import SystemClock, Wired

COUNTERS = (
    "transactions", "changes", "successors", "agreements", "conflicts", "overruled", "held", "written", "echoes",
    "noise", "inserts", "deletes", "unmatched", "deferred", "failed", "quarantined", "reread",
)


def tuned() -> None:
    """Sets the process up for an engine."""
    # Rows and records hold no cycles: at Python's default the collector would look through all of them every few
    # hundred rows, a third of the engine's time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    # A thread that has something to hand on waits no longer than this for one that computes.
    sys.setswitchinterval(0.001)


def made_ready(
    passed: Passed, store: SqlStore, point: Failpoint | None, tell: Callable[[str, str], None]
) -> tuple[Runner, dict[str, Source]]:
    """A runner that has not begun, and its sources as the adapters made them. `tell` hears (action, detail).

    Raises StoreUnfit if the store has no base."""
    wired = passed.wired
    sources: dict[str, Source] = {}
    targets: dict[str, Target] = {}
    for name, kit in wired.kits.items():
        identity = store.identity(name)
        if identity is None:
            raise StoreUnfit(f"the store does not know which server `{name}` is", mend="run with --merge-again")
        sources[name] = kit.source(
            wired.book, identity, capabilities=passed.capabilities[name], spool_dir=spool_folder(wired)
        )
        targets[name] = kit.target(wired.book)
    decider = Decider(wired.book, _Watched(store, point) if point else store)  # type: ignore[arg-type]
    decider.start()
    plain = sources
    if point is not None:
        sources = {name: FailingSource(source, point) for name, source in sources.items()}
        targets = {name: FailingTarget(target, point) for name, target in targets.items()}
    return Runner(wired.book, decider, sources, targets, SystemClock(), observe=tell, around=profiled), plain


def doing(runner: Runner, wired: Wired, rules: Path) -> dict[str, Any]:
    """How a runner is doing, or was when it ended, as far as one can tell from another thread."""
    document: dict[str, Any] = {"systems": {}, "queues": {}}
    decider = runner.decider
    now_us = time.time() * 1_000_000
    for name, lane in list(runner.lanes.items()):
        position = decider.durable_positions.get(name, 0)
        behind = (bool(lane.inbox) or lane.reader != "running") and lane.committed_at > 0
        document["systems"][name] = {
            "state": lane.reader if lane.reader != "running" else lane.writer,
            "reader": lane.reader,
            "writer": lane.writer,
            "position": wired.kits[name].position_text(position),
            "lag_s": round(max(0.0, (now_us - lane.committed_at) / 1e6), 3) if behind else 0.0,
            "trouble": lane.trouble,
        }
        document["queues"][name] = {
            "read": lane.inbox_rows, "due": decider.backlog(name), "waiting": len(decider.waiting[name]),
            "locked": len(decider.deferred[name]),
        }  # fmt: skip
    document["counters"] = {key: decider.counts.get(key, 0) for key in COUNTERS} | dict(decider.counts)
    document["quarantine"] = len(decider.quarantined)
    document["holds"] = len(decider.held)
    document["stops"] = [stop_document(stop, rules) for stop in list(decider.stops.values())]
    return document


class _Watched:
    """The store, with the failpoints around its commits."""

    def __init__(self, store: SqlStore, point: Failpoint) -> None:
        self._store, self._point = store, point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, delta: Delta) -> None:
        """As the store, with `before_commit` and `after_commit` around."""
        around_commit(self._point, delta, before=True)
        self._store.commit(delta)
        around_commit(self._point, delta, before=False)


def spool_folder(wired: Wired) -> Path:
    """Where transactions too large for memory are kept meanwhile: beside the rule file, or in the folder of several."""
    return wired.rules.home
