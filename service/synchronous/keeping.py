"""Keeps synchronous systems armed while an engine runs: arms when it has caught up, lets go when it ends.

Turns looks at a server and what the runner tells of its deliveries into arming and letting go, one thread a system, and
keeps what was seen for `duolog status`. It never lets anybody go before a range is recorded: that is the switch's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from adapters.relational.switch import Switch, SwitchState, Withholding
from engine.errors import DuologError
from engine.lanes import Delivered
from engine.ports import Source
from engine.rulebook import Synchronous
from engine.vocabulary import Position
from service.synchronous import watching

LOOK_EVERY_S: Final = 0.25
AFTER_TROUBLE_S: Final = 1.0
"""Between attempts, after a server did not answer or refused."""
GOAL_FOR_S: Final = 5.0
"""A place in the log that deliveries have not reached after so long may be one that no reader is ever told of: the log
has gone on, so a later one is chosen."""
SLACK_S: Final = 0.5
"""So much later than the watchdog this thread lets go what has waited for too long: only where there is no watchdog."""

Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Post:
    """What a keeper needs of one system."""

    rule: Synchronous
    switch: Switch
    withholding: Withholding
    nudge: Callable[[], None]
    delivery: Callable[[], Delivered]
    runs: Callable[[], bool]
    """True while all readers and writers are at work."""
    guarded: Callable[[], bool]
    """True while somebody lets go what waits for too long, even if this process dies."""
    watched: bool
    """The server lets nobody go by itself."""
    text: Callable[[Position], str]


def withholding_of(source: Source) -> Withholding:
    """How the source of a system keeps from telling what was delivered; one that need not, does not."""
    found: Withholding = getattr(source, "withholding", nullcontext)
    return found


class Keeper(threading.Thread):
    """Keeps one system."""

    def __init__(self, post: Post, tell: Tell) -> None:
        self.system = post.switch.system
        super().__init__(name=f"keeper-{self.system}", daemon=True)
        self.post = post
        self.tell = tell
        self.state: SwitchState | None = None
        """As it was seen last."""
        self.trouble = ""
        self._ended = threading.Event()
        self._arming = False
        self._taken_on = False
        """The server goes by this rule, not by one of a former engine, or of this one before it took on others."""
        self._why = ""
        """Why the server is to be let go at the end; empty: it is not."""
        self._goal: tuple[Position, float] | None = None
        """Where the log ended a moment ago, and when that was."""

    def run(self) -> None:
        """Looks until it is ended, then lets go if that was asked for."""
        try:
            while not self._ended.is_set():
                self._try(self._look)
                self._ended.wait(AFTER_TROUBLE_S if self.trouble else LOOK_EVERY_S)
            self._try(self._look_back)
        finally:
            self.post.switch.close()

    def end(self, why: str) -> None:
        """Asks it to end; `why` it lets go, or empty if those who wait are to wait on. The first word counts."""
        if not self._ended.is_set():
            self._why = why
            self._ended.set()

    def hurry(self) -> None:
        """After `end`: has it give up arming, if it is at that."""
        if self._arming:
            self.post.switch.close()

    @property
    def let_go(self) -> bool:
        """True if nobody waits for us, as it was seen last. Asked after its end."""
        return not self.is_alive() and not self.trouble and (self.state is None or not self.state.armed)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except DuologError as error:
            if self.trouble != str(error):
                self.trouble = str(error)
                self.tell("synchronous", self.trouble)
        else:
            self.trouble = ""

    def _look(self) -> None:
        post = self.post
        state = self.state = post.switch.look()
        # The server's own timeout is exact, and is the server's affair.
        slack = SLACK_S if post.watched else float("inf")
        why = watching.why_let_go(post.rule, state, slack_s=slack)
        if why:
            self._let_go(why)
        elif (not state.armed or state.degraded is not None) and self._may_be_armed(state):
            self._goal = None
            self._arming = True
            try:
                position = post.switch.arm(post.withholding)
            finally:
                self._arming = False
            self._taken_on = True
            self.state = post.switch.look()
            self.tell("armed", f"{self.system}: from {post.text(position)} on, COMMIT waits for the other systems")
        elif state.armed and state.degraded is None and not self._taken_on:
            post.switch.arm(post.withholding)
            self._taken_on = True

    def _may_be_armed(self, state: SwitchState) -> bool:
        """True if all that users had committed a moment ago is delivered, and nobody wants it to stay off."""
        if (state.degraded is not None and state.degraded.stays) or not state.readable:
            return False
        if not (state.reading and self.post.runs() and self.post.guarded()):
            self._goal = None
            return False
        now = time.monotonic()
        if self._goal is not None and self.post.delivery().position >= self._goal[0]:
            return True
        if self._goal is None or now - self._goal[1] > GOAL_FOR_S:
            self._goal = (state.end, now)
        self.post.nudge()
        return False

    def _let_go(self, why: str) -> None:
        released = self.post.switch.release(why, "engine")
        self.state = self.post.switch.look()
        self.tell("let go", f"{self.system}: {why}; degraded since {self.post.text(released.since)}")

    def _look_back(self) -> None:
        """The last look. What could never catch up is let go, whatever was asked for."""
        self.state = self.post.switch.look()
        why = self._why or watching.why_let_go(self.post.rule, self.state, slack_s=float("inf"))
        if self.state.armed and why:
            self._let_go(why)

    def document(self) -> dict[str, Any]:
        """For `duolog status`."""
        delivery = self.post.delivery()
        return {
            **document(self.post.rule, self.state, self.post.text),
            "trouble": self.trouble or ("" if self.is_alive() or self._ended.is_set() else "its keeper has died"),
            "delivered": self.post.text(delivery.position) if delivery.position else "",
            "undelivered": delivery.undelivered,
            "oldest_s": round(delivery.oldest_s, 3),
            "first_waits_for": delivery.waits_for,
        }


class Keepers:
    """All keepers of one run of an engine."""

    def __init__(self, posts: Mapping[str, Post], tell: Tell) -> None:
        self.keepers = [Keeper(post, tell) for post in posts.values()]

    def start(self) -> None:
        """From here on the systems are kept."""
        for keeper in self.keepers:
            keeper.start()

    def end(self, why: Callable[[str], str], within_s: float) -> bool:
        """Ends them; `why(system)`: why that one is let go, or empty if its users are to wait on. The first word
        counts. True if nobody waits for us afterwards; those that have not been started are not waited for."""
        deadline = time.monotonic() + within_s
        for keeper in self.keepers:
            keeper.end(why(keeper.system))
        for keeper in self.keepers:
            keeper.hurry()
        for keeper in self.keepers:
            if keeper.ident is not None:
                keeper.join(max(0.0, deadline - time.monotonic()))
        return all(keeper.let_go for keeper in self.keepers)

    def document(self) -> dict[str, Any]:
        """For `duolog status`, by system."""
        return {keeper.system: keeper.document() for keeper in self.keepers}


def document(rule: Synchronous, state: SwitchState | None, text: Callable[[Position], str]) -> dict[str, Any]:
    """What a look at a server says, for `duolog status`; None: nobody could look."""
    told: dict[str, Any] = {
        "when_away": watching.words(rule), "when_refused": rule.refused, "armed": False, "reading": False,
        "waiting": 0, "longest_s": 0.0, "delivered": "", "undelivered": 0, "oldest_s": 0.0, "first_waits_for": "",
        "degraded": None, "trouble": "",
    }  # fmt: skip
    if state is None:
        return told
    degraded = state.degraded
    told.update(
        armed=state.armed, reading=state.reading, waiting=state.waiting, longest_s=round(state.longest_s, 3),
        delivered=text(state.delivered) if state.delivered else "",
    )  # fmt: skip
    if degraded is not None:
        told["degraded"] = {
            "since": text(degraded.since), "since_at": degraded.since_at, "why": degraded.why, "by": degraded.by,
            "stays": degraded.stays,
        }  # fmt: skip
    return told
