"""`duolog run`: one engine on one store, from start to SIGTERM.

Takes the lock, holds the rules against the live systems, makes the first merge if there is no base yet, and runs the
engine; tells its status every second. SIGTERM finishes what is in hand; SIGHUP has the rules read anew beside it
(`service.reload`). It decides nothing about a change itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from adapters.feed.publisher import Publisher
from adapters.store import SqlStore
from engine.errors import StoreUnfit, SystemStopped
from engine.runner import Runner
from service.day_one import Watch, agree, has_base, require_set_up
from service.failpoints import Failpoint, from_environment
from service.feed import telling
from service.passing import Passed, fit, tried
from service.reload import Reload
from service.running import doing, made_ready, tuned
from service.synchronous.arrangement import Arrangement
from service.wiring import Wired, open_store, wire, with_bookmarks

STATUS_EVERY_S = 1.0
VERIFY_EVERY_S = 60.0
"""How often a source looks whether its publication still has all tables."""

Tell = Callable[[str, str], None]
"""Told (action, detail): one line of the log."""


class StopAsked(Exception):
    """SIGTERM came during the first merge: nothing of it is kept, and the next start begins it anew."""


@dataclass(slots=True)
class Options:
    """How to run."""

    rules: Path
    merge_again: bool = False
    """Make the first merge anew: both sides are compared again, and the logs followed from there."""


class Daemon:
    """One `duolog run`."""

    def __init__(self, options: Options, tell: Tell) -> None:
        self.options = options
        self.tell = tell
        self.runner: Runner | None = None
        self.wired: Wired | None = None
        self.publisher: Publisher | None = None
        self.reload = Reload(options.rules, tell)
        self.arrangement = Arrangement(options.rules, tell)
        self.stop_asked = False
        self._telling = threading.Lock()
        self.phase = "starting"
        self.last: dict[str, Any] = {
            "systems": {}, "counters": {}, "queues": {}, "synchronous": {}, "holds": 0, "quarantine": 0, "stops": [],
        }  # fmt: skip
        """What `status` tells while no runner works."""
        self.merged: dict[str, int] = {}
        self.point: Failpoint | None = from_environment()
        self.started_at = time.time()

    # ------------------------------------------------------------ life

    def run(self) -> None:
        """Runs until SIGTERM. Raises RulesRefused, DuologError."""
        tuned()
        wired = wire(self.options.rules)
        tried(wired.rules, wired.book, types_known=True)
        store = open_store(wired.rules, create=True)
        with_bookmarks(wired.kits, store)
        teller = threading.Thread(target=self._tell_status, args=(store,), name="status", daemon=True)
        watching = (self._running, store, lambda: self.stop_asked, self._switch)
        reloader = threading.Thread(target=self.reload.watch, args=watching, name="reload", daemon=True)
        try:
            store.lock()
            self._signals()
            self.wired = wired
            teller.start()
            self._run_on(wired, store, reloader)
        finally:
            self.stop_asked = True
            if reloader.ident is not None:
                reloader.join(timeout=5)
            if teller.ident is not None:
                teller.join(timeout=5)
                self._write_status(store, running=False)
            store.close()

    def _run_on(self, wired: Wired, store: SqlStore, reloader: threading.Thread) -> None:
        """From the base on, with one set of rules after another."""
        error: BaseException | None = None
        try:
            self.arrangement.begin(wired)
            with suppress(StopAsked):
                self._base(wired, store)
            reloader.start()
            passed = fit(wired, self.tell) if not self.stop_asked else None
            while passed is not None and not self.stop_asked:
                self._run_once(passed, store)
                passed = self.reload.take() or passed
        except BaseException as stopped:
            error = stopped
            if isinstance(stopped, SystemStopped):
                self._blame(stopped)
            raise
        finally:
            self.arrangement.end(self._running(), error)

    def _signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked = True
        if self.runner is not None:
            # `stop` takes a lock that the interrupted thread may hold: another thread asks for it.
            threading.Thread(target=self._stop, args=(self.runner,), daemon=True).start()

    def _stop(self, runner: Runner) -> None:
        self.arrangement.stop()  # while the readers still read
        runner.stop()

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.reload.asked = True

    def _running(self) -> Wired:
        assert self.wired is not None
        return self.wired

    def _switch(self) -> None:
        """New rules have passed: the engine ends at the next transaction's edge, and is started anew with them."""
        if self.runner is not None:
            self.runner.stop()

    # ------------------------------------------------------------ first merge

    def _reach(self, point: str) -> None:
        if self.point is not None:
            self.point.reach(point)

    def _base(self, wired: Wired, store: SqlStore) -> None:
        """Agrees on a base if there is none yet, or if one is asked for anew."""
        require_set_up(wired, self.options.rules)
        if not self.options.merge_again and has_base(wired, store, self.options.rules):
            return
        self.phase = "first merge"
        self.arrangement.comparing(wired)
        self.tell("first merge", "comparing all systems")
        tally = agree(wired, store, Watch(self._merging, self._reading, self._reach))
        self.tell(
            "first merge done",
            f"{tally.records} records, {tally.paired} in more than one system, {tally.one_sided} to be created, "
            f"{tally.differing} fields decided, {tally.held} held, {tally.refused} refused",
        )

    def _merging(self, entity: str, records: int) -> None:
        self.merged[entity] = records
        self._reach("first_merge")
        self._reading(entity, records)

    def _reading(self, what: str, rows: int) -> None:
        if self.stop_asked:
            raise StopAsked

    # ------------------------------------------------------------ the engine

    def _run_once(self, passed: Passed, store: SqlStore) -> None:
        """Runs an engine on these rules, until it is asked to stop, or others have passed."""
        self.phase = "starting"
        wired = self.wired = passed.wired
        with_bookmarks(wired.kits, store)
        runner, plain = made_ready(passed, store, self.point, self.tell)
        self.runner = runner
        self.phase = "running"
        try:
            if not self.stop_asked and self.reload.passed is None:
                self.arrangement.keep(wired, plain, runner, store)
                with telling(wired, runner, store, self.point, self.tell) as self.publisher:
                    runner.run()
                if not self.stop_asked and self.reload.passed is not None:
                    self.arrangement.pass_on(self.reload.passed.wired.book.synchronous)
                    # Nobody is to read a second from now that commits wait, by rules that are in force no more.
                    self._write_status(store, running=True)
        finally:
            self.last = self._doing(runner, wired)
            for system in self.last["systems"].values():
                system["state"] = "stopped" if system["state"] == "stopped" else "not running"
            self.publisher = None
            self.runner = None

    # ------------------------------------------------------------ status

    def _blame(self, error: SystemStopped) -> None:
        """What stopped the engine is what `status` tells until the next start."""
        unknown = {"reader": "", "writer": "", "position": "", "lag_s": 0.0}
        system = self.last["systems"].setdefault(error.system, unknown)
        system.update(state="stopped", trouble=str(error))

    def _tell_status(self, store: SqlStore) -> None:
        """Every second, in a thread of its own: how the engine is doing, for `duolog status`."""
        verified_at = time.monotonic()
        while not self.stop_asked:
            self._write_status(store, running=True)
            self.arrangement.look_after()
            runner = self.runner
            if runner is not None and time.monotonic() - verified_at > VERIFY_EVERY_S:
                verified_at = time.monotonic()
                runner.verify_sources()
            deadline = time.monotonic() + STATUS_EVERY_S
            while not self.stop_asked and time.monotonic() < deadline:
                time.sleep(0.05)  # the pause between two tellings, short so that a stop is not kept waiting

    def _write_status(self, store: SqlStore, *, running: bool) -> None:
        """By any thread: what is written last was also true last."""
        try:
            with self._telling:
                store.set_status(json.dumps(self.document(running=running)))
        except StoreUnfit as error:
            self.tell("status not written", str(error))

    def document(self, *, running: bool) -> dict[str, Any]:
        """What `duolog status --json` prints, as far as the engine knows it."""
        runner, wired = self.runner, self.wired
        engine = {
            "running": running, "pid": os.getpid(), "host": socket.gethostname(), "at": time.time(),
            "since": self.started_at, "phase": self.phase, "merged": dict(self.merged),
        }
        if runner is not None and wired is not None:
            doing = self._doing(runner, wired)
            return {"engine": engine, "rules": self.reload.document(), **doing, "quiet": running and runner.quiet()}
        return {"engine": engine, "rules": self.reload.document(), **self.last, "quiet": False}

    def _doing(self, runner: Runner, wired: Wired) -> dict[str, Any]:
        """How a runner is doing, or was when it ended."""
        told = {} if self.publisher is None else {"feed": self.publisher.document()}
        return doing(runner, wired, self.options.rules) | {"synchronous": self.arrangement.document()} | told
