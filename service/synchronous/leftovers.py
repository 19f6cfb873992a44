"""Lets systems go that an engine before this one left armed, where no engine is at work that could.

Turns a reason into the calls of each system's switch, and tells what came of it. It never arms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from contextlib import closing
from typing import Final

from engine.errors import DuologError
from service.synchronous import watching
from service.synchronous.watchdog import Tell
from service.wiring import Wired

COMPARED: Final = "everything is compared again"
"""A picture of a database waits for all who write: whoever waits for us would wait for it, and it for him."""

UNWANTED: Final = "the rules say asynchronous now"
TRIED_EVERY_S: Final = 5.0


class Leftovers(threading.Thread):
    """Lets systems go that the rules call asynchronous now, and that could not be let go at once."""

    def __init__(self, wired: Wired, systems: Collection[str], tell: Tell) -> None:
        super().__init__(name="leftovers", daemon=True)
        self._wired, self._systems, self._tell = wired, systems, tell
        self._ended = threading.Event()
        self._free = False

    def run(self) -> None:
        """Tries until nobody waits there, or the engine ends."""
        while not self._ended.wait(TRIED_EVERY_S) and not self._try():
            pass

    def end(self) -> bool:
        """Tries once more, if nobody has succeeded. True if nobody waits there."""
        self._ended.set()
        return self._free or self._try()

    def _try(self) -> bool:
        self._free = let_go(self._wired, self._systems, lambda _: UNWANTED, self._tell)
        return self._free


def let_go(wired: Wired, systems: Collection[str], why: Callable[[str], str], tell: Tell) -> bool:
    """Lets each of these systems go, if there is a reason: `why(system)`, or that nobody could ever answer there.

    True if nobody waits for us afterwards. A system that cannot be reached is told, and passed over."""
    free = True
    for name in systems:
        rule = wired.book.synchronous.get(name)
        with closing(wired.kits[name].switch(wired.book)) as switch:
            try:
                state = switch.look()
                because = why(name)
                if not because and rule is not None:
                    because = watching.why_let_go(rule, state, slack_s=float("inf"))
                if state.armed and because:
                    switch.release(because, "engine")
                    tell("let go", f"{name}: {state.waiting} commits that waited; {because}")
                free = free and not (state.armed and not because)
            except DuologError as error:
                tell("synchronous", str(error))
                free = False
    return free
