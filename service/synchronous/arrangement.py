"""What one `duolog run` does for its synchronous systems, from its start to its end.

Turns the life of an engine (it starts, compares, runs, takes on new rules, is stopped, fails) into a watchdog beside
it, keepers within it, and the order in which they let go: the setting first, then the stream, for a stop must not wait
for readers that somebody waits for.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from adapters.store import SqlStore
from engine.errors import DuologError, LogLost, LogReset, SlotLost, SlotMissing
from engine.ports import Source
from engine.runner import Runner
from service.synchronous.guarding import Guard
from service.synchronous.keeping import Keepers, Post, Tell, withholding_of
from service.synchronous.leftovers import COMPARED, UNWANTED, Leftovers, let_go
from service.wiring import Wired, watched

LETS_GO_WITHIN_S: Final = 10.0
"""How long a stop waits for a server that does not answer. The watchdog goes on trying afterwards."""
BY_HAND: Final = (
    "if it was renamed or taken out before duolog let go of it, commits there wait for nobody; on PostgreSQL: "
    "ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf(); on MariaDB: "
    "SET GLOBAL rpl_semi_sync_master_enabled = OFF"
)
"""What helps a system whose address we do not have any more."""
ARMED: Final = "synchronous"
"""The store's note of which systems this engine has armed, for a start with rules that have changed meanwhile."""
NEVER_AGAIN: Final = (SlotMissing, SlotLost, LogLost, LogReset)
"""The log cannot be read on from our position: no engine could ever deliver what is waited for."""


class Arrangement:
    """See the module. Its methods are called by the engine's own thread, `stop` by another."""

    def __init__(self, rules: Path, tell: Tell) -> None:
        self.tell = tell
        self.guard = Guard(rules, tell)
        self.keepers: Keepers | None = None
        self.leftovers: Leftovers | None = None
        self._lock = threading.Lock()
        """No watchdog is started while the last one is being sent home."""
        self._over = False

    def begin(self, wired: Wired) -> None:
        """The engine starts: from here on somebody watches, also over what an engine before left armed."""
        if watched(wired.rules, wired.book):
            self.guard.watch()

    def comparing(self, wired: Wired) -> None:
        """Everything is going to be compared. A picture of a database waits for all who write, so nobody may wait for
        us meanwhile."""
        let_go(wired, wired.book.synchronous, lambda _: COMPARED, self.tell)

    def keep(self, wired: Wired, sources: Mapping[str, Source], runner: Runner, store: SqlStore) -> None:
        """The runner is about to run on these rules: each of their synchronous systems gets a keeper."""
        noted = set((store.recall(ARMED) or "").split())
        for name in sorted(noted - wired.kits.keys()):
            self.tell("still armed, perhaps", f"{name} is not in the rules any more: {BY_HAND}")
        former = noted & wired.kits.keys()
        unwanted = former - wired.book.synchronous.keys()
        if let_go(wired, unwanted, lambda _: UNWANTED, self.tell):
            unwanted = set()
        else:
            self.leftovers = Leftovers(wired, unwanted, self.tell)
            self.leftovers.start()
        if former or wired.book.synchronous:
            store.remember(ARMED, " ".join([*wired.book.synchronous, *sorted(unwanted)]))
        guarded = watched(wired.rules, wired.book)
        if guarded:
            self.guard.watch()
        elif self.guard.lives:
            self.guard.end(all_let_go=True)
        posts = {
            name: Post(
                rule, kit.switch(wired.book), withholding_of(sources[name]), sources[name].nudge,
                delivery=partial(runner.delivery, name),
                runs=partial(_all_run, runner),
                guarded=partial(self._is_guarded, name, name in guarded),
                watched=name in guarded,
                text=kit.position_text,
            )
            for name, rule in wired.book.synchronous.items()
            for kit in [wired.kits[name]]
        }  # fmt: skip
        self.keepers = Keepers(posts, self.tell)
        self.keepers.start()

    def look_after(self) -> None:
        """To be called every second: a watchdog that has died is replaced."""
        with self._lock:
            keepers = self.keepers
            if not self._over and keepers is not None and any(keeper.post.watched for keeper in keepers.keepers):
                self.guard.watch()

    def stop(self) -> None:
        """Somebody asked the engine to stop: lets go, while its readers still read. By another thread."""
        if self.keepers is not None:
            self.keepers.end(lambda _: "the engine was stopped", LETS_GO_WITHIN_S)

    def pass_on(self, synchronous: Collection[str]) -> None:
        """The engine goes on with rules in which these systems are synchronous: there, commits wait for the moment."""
        if self.keepers is not None:
            self.keepers.end(
                lambda system: "" if system in synchronous else UNWANTED, LETS_GO_WITHIN_S
            )
        self.keepers = None
        self._end_leftovers()
        self.guard.read_again()

    def end(self, wired: Wired, error: BaseException | None) -> None:
        """The engine has ended: in order, or by this error.

        Where the rules say `open`, all are let go at once: nobody is left to answer. Where they say `closed`, a commit
        waits for as long as the engine is away, and an error, unlike a clean stop, is nothing that a person has chosen;
        but where the log is lost, no engine could ever answer."""
        closed = {name for name, rule in wired.book.synchronous.items() if rule.open_after_s is None}

        def why(system: str) -> str:
            if error is None:
                return "the engine was stopped"
            lost = isinstance(error, NEVER_AGAIN) and error.system == system
            code = error.code if isinstance(error, DuologError) else type(error).__name__
            return f"the engine stopped: {code}" if lost or system not in closed else ""

        with self._lock:
            self._over = True
            keepers, self.keepers = self.keepers, None
        if keepers is not None:
            all_let_go = keepers.end(why, LETS_GO_WITHIN_S)
        else:
            all_let_go = let_go(wired, wired.book.synchronous, why, self.tell)
        all_let_go = self._end_leftovers() and all_let_go
        if error is None or all_let_go:
            self.guard.end(all_let_go=all_let_go)
        else:
            self.guard.leave()
        if not all_let_go:
            self.tell("still armed", "users wait at COMMIT until an engine runs, or `duolog release RULES`")

    def _end_leftovers(self) -> bool:
        leftovers, self.leftovers = self.leftovers, None
        return leftovers is None or leftovers.end()

    def document(self) -> dict[str, Any]:
        """For `duolog status`, by synchronous system."""
        keepers = self.keepers
        return keepers.document() if keepers is not None else {}

    def _is_guarded(self, system: str, by_us: bool) -> bool:
        return not by_us or self.guard.watches(system)


def _all_run(runner: Runner) -> bool:
    return all(lane.reader == lane.writer == "running" for lane in list(runner.lanes.values()))
