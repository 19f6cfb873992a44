"""`duolog watchdog`: lets commits go that have waited for too long, whether an engine is at work or not.

Turns a rule file into one watch a system, each with a connection of its own; needs neither the store nor the
catalogs, and never arms. An engine that has started it tells through a pipe how it ended: a pipe that closes without a
word means that it died. Through another one the watchdog tells which systems it has reached.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final, Literal

from adapters.relational.switch import Switch, SwitchState
from engine.errors import DuologError
from engine.rulebook import Synchronous
from service.synchronous import watching
from service.wiring import Kit, RulesRefused, kits, known, watched

OF_ENGINE: Final = "DUOLOG_WATCHDOG_OF_ENGINE"
"""The environment of a watchdog whose standard input is the pipe of the engine that started it."""
DONE: Final = b"done\n"
"""The engine has let everybody go, or nothing was armed: there is nothing to watch."""
RELEASE: Final = b"release\n"
"""The engine was stopped in order, and could not let everybody go: do it as soon as that can be done."""

STANDARD_OUTPUT: Final = 1

AFTER_TROUBLE_S: Final = 1.0
"""Between attempts to reach a server that did not answer, or refused."""
UNREACHED_FOR_S: Final = 3600.0
"""A watchdog whose engine is gone gives up a server after so long: one of its own beside the database does not."""

Tell = Callable[[str, str], None]
Word = Literal["with", "gone", "release"]
"""The engine that started it: is at work (or nobody started it), is gone without a word, was stopped in order."""


class Watchdog:
    """One `duolog watchdog`. `engine`: the pipe from the engine that started it; None: it was started by itself."""

    def __init__(self, path: Path, tell: Tell, engine: BinaryIO | None) -> None:
        self.path = path
        self.tell = tell
        self.engine = engine
        self.word: Word = "with"
        self.ended = threading.Event()
        """SIGTERM came, or the engine has said that it is done."""
        self.read_again = False

    def run(self) -> None:
        """Watches until SIGTERM; with an engine: until it says that it is done, or nothing is left to watch after its
        end. Raises RulesRefused."""
        systems = self._systems()
        signal.signal(signal.SIGTERM, self._on_end)
        signal.signal(signal.SIGINT, self._on_end)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._on_reload)
        if self.engine is not None:
            threading.Thread(target=self._listen, args=(self.engine,), name="engine", daemon=True).start()
        while True:
            over = threading.Event()
            watches = [Watch(self, over, *system) for system in systems]
            self.tell("watchdog", f"watches {', '.join(w.switch.system for w in watches) or 'nothing: none is armed'}")
            for watch in watches:
                watch.start()
            self._stand_by(watches)
            over.set()
            for watch in watches:
                watch.join()
            if not self.read_again:
                return
            self.read_again = False
            systems = self._read_again() or systems

    def reached(self, system: str) -> None:
        """Tells the engine that this system is watched from now on: it arms none before. Any thread."""
        if self.engine is not None:
            with contextlib.suppress(OSError):  # the engine is gone
                os.write(STANDARD_OUTPUT, f"{system}\n".encode())

    def _stand_by(self, watches: list[Watch]) -> None:
        """Until there is something for this thread to do. A signal handler may take no lock to wake it."""
        idle = self.engine is None
        while not self.ended.is_set() and not self.read_again:
            if not idle and not any(watch.is_alive() for watch in watches):
                return
            time.sleep(0.05)  # the pause between two looks at the flags

    def _systems(self) -> list[tuple[Kit, Synchronous, Switch]]:
        rules = known(self.path)
        book, at_hand = rules.book, kits(rules)
        return [(at_hand[name], book.synchronous[name], at_hand[name].switch(book)) for name in watched(rules, book)]

    def _read_again(self) -> list[tuple[Kit, Synchronous, Switch]] | None:
        try:
            return self._systems()
        except RulesRefused as refused:
            self.tell("watchdog", f"rules refused, the old ones stay in force: {refused.problems[0]}")
            return None

    def _listen(self, engine: BinaryIO) -> None:
        """A thread: what the engine says last."""
        said = engine.read()
        if said == DONE:
            self.ended.set()
        else:
            self.word = "release" if said == RELEASE else "gone"
            self.tell("watchdog", "the engine is gone" if self.word == "gone" else "the engine was stopped")

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        self.ended.set()

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.read_again = True


class Watch(threading.Thread):
    """Watches one system."""

    def __init__(self, dog: Watchdog, over: threading.Event, kit: Kit, rule: Synchronous, switch: Switch) -> None:
        super().__init__(name=f"watch-{switch.system}", daemon=True)
        self.dog, self.over, self.kit, self.rule, self.switch = dog, over, kit, rule, switch
        self.vigil = watching.Vigil()
        self.trouble = ""
        self.reached_at = time.monotonic()
        self.reached = False

    def run(self) -> None:
        """Looks, lets go where that is due, and pauses, until there is nothing to watch."""
        try:
            while self._goes_on():
                self.over.wait(AFTER_TROUBLE_S if self.trouble else watching.pause_s(self.rule))
        finally:
            self.switch.close()

    def _goes_on(self) -> bool:
        """One look. False: it was the last one."""
        last = self.over.is_set()
        try:
            state = self.switch.look()
            why = watching.why_let_go(self.rule, state) or (self._why_at_the_end(last) if state.armed else "")
            if why:
                self._let_go(state, why)
        except DuologError as error:
            if str(error) != self.trouble:
                self.dog.tell("watchdog", f"cannot look: {error}")
            self.trouble = str(error)
            unreached = time.monotonic() - self.reached_at > UNREACHED_FOR_S
            return not last and not (unreached and self.dog.word != "with")
        if self.trouble:
            self.dog.tell("watchdog", f"looks again: {self.switch.system}")
            self.trouble = ""
        self.reached_at = time.monotonic()
        if not self.reached:
            self.reached = True
            self.dog.reached(self.switch.system)
        return not last and not (self.dog.word != "with" and self.vigil.over(state, self.reached_at))

    def _why_at_the_end(self, last: bool) -> str:
        """Why an armed server is let go before its time: nobody would be there to do it then."""
        if self.dog.word == "release":
            return "the engine was stopped"
        if last and self.dog.word == "gone" and self.rule.open_after_s is not None:
            return "the engine is gone, and its watchdog was ended"
        return ""

    def _let_go(self, state: SwitchState, why: str) -> None:
        released = self.switch.release(why, "watchdog")
        since = self.kit.position_text(released.since)
        self.dog.tell(
            "let go", f"{self.switch.system}: {state.waiting} commits that waited; {why}; degraded since {since}"
        )
