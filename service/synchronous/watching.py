"""When nobody may wait at COMMIT any longer, and when a watchdog has nothing left to watch.

Turns looks at a server into a reason, or into "goes on"; never opens, waits or reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from adapters.relational.switch import SwitchState
from engine.rulebook import Synchronous
from rules.durations import UNITS

LOOK_MOST_S: Final = 0.25
"""The longest pause between two looks."""
LOOKS_IN_TIME: Final = 10
"""How many looks there are at least in the time that a commit may wait."""
UNARMED_FOR_S: Final = 3.0
"""An engine that died while it armed a server may have left an order behind that takes effect a moment later."""
OTHER_READS_FOR_S: Final = 120.0
"""A reader that a server still counts may be that of the engine that is gone: its line may be cut, not closed. Servers
notice that sooner than this."""


def pause_s(rule: Synchronous) -> float:
    """Between two looks, in seconds."""
    if rule.open_after_s is None:
        return LOOK_MOST_S
    return min(LOOK_MOST_S, rule.open_after_s / LOOKS_IN_TIME)


def words(rule: Synchronous) -> str:
    """What happens while nobody answers, as a rule file says it."""
    if rule.open_after_s is None:
        return "closed"
    whole = round(rule.open_after_s * UNITS["s"])
    unit = next(name for name in ("h", "min", "s", "ms", "us") if whole % UNITS[name] == 0)
    return f"open after {whole // UNITS[unit]}{unit}"


def why_let_go(rule: Synchronous, state: SwitchState, *, slack_s: float = 0.0) -> str:
    """Why those who wait have to be let go now; empty: they may wait on, or nobody does.

    `slack_s`: how much longer than the rule says is left to somebody else to do it."""
    if not state.armed:
        return ""
    if state.degraded is not None and state.degraded.stays:
        return state.degraded.why  # begun by somebody, and not finished
    if not state.readable:
        return "what our reader needs is gone from the server: it could never catch up"
    if state.stood_in and not state.reading:
        return "our reader is away, and others can answer at COMMIT in its stead"
    if rule.open_after_s is not None and state.longest_s >= rule.open_after_s + slack_s:
        return f"a commit has waited for longer than {rule.open_after_s:g} s"
    return ""


@dataclass(slots=True)
class Vigil:
    """What a watchdog has seen of one system since its engine is gone."""

    unarmed_since: float | None = None
    reading_since: float | None = None
    alone: bool = False
    """There was a moment without any reader, so whoever reads now is another engine."""

    def over(self, state: SwitchState, now: float) -> bool:
        """True if there is nothing left to watch: nobody waits for the engine that is gone, or another one reads.

        `now`: seconds on a clock that never goes back."""
        self.alone = self.alone or not state.reading
        if state.armed:
            self.unarmed_since = None
        elif self.unarmed_since is None:
            self.unarmed_since = now
        if not state.reading:
            self.reading_since = None
        elif self.reading_since is None:
            self.reading_since = now
        if self.unarmed_since is not None and now - self.unarmed_since >= UNARMED_FOR_S:
            return True
        if self.reading_since is None:
            return False
        return self.alone or now - self.reading_since >= OTHER_READS_FOR_S
