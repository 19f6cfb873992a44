"""Whether the users of a system wait for us at COMMIT: what that is told in, and what a database's switch promises.

Turns nothing itself: values and the protocol only. How a server is armed is in `adapters/*/switch.py`; when, in
`service.synchronous`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from engine.vocabulary import Position

Withholding: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Makes a context in which our reader tells the server of nothing that was delivered: so a commit of our own can be
seen to wait."""


@dataclass(frozen=True, slots=True)
class Degraded:
    """A range of a log whose commits did not wait for the other systems; kept in the system itself, table
    `duolog.degraded`."""

    since: Position
    """Commits after it may have been answered before the other systems had them. Never too late, maybe too early."""
    since_at: float
    """Seconds since 1970, by the server's clock; so are all times here."""
    until: Position | None
    """The first position from which every commit is known to wait again; None: the range is still open."""
    until_at: float | None
    why: str
    by: str
    """Who let go: `setup` (never armed yet), `engine`, `watchdog`, `release`, `server` (its own timeout, a restart)."""
    stays: bool
    """A person wants it so: not to be armed again before `duolog arm`."""


@dataclass(frozen=True, slots=True)
class SwitchState:
    """A look at the server."""

    armed: bool
    """The server makes commits wait for us."""
    reading: bool
    """Our reader is connected, and the server counts it."""
    readable: bool
    """What our reader needs is there: slot and log. False: it could never catch up, so nothing must wait for it."""
    waiting: int
    """Sessions that wait at COMMIT for us."""
    longest_s: float
    """For how long the first of them has waited, as far as this switch has looked on."""
    delivered: Position
    """What the server knows to be delivered; 0: nothing."""
    end: Position
    """The end of the log now."""
    degraded: Degraded | None
    """The open range."""
    stood_in: bool = False
    """Others can answer for us at COMMIT while our reader is away: what returns then has not waited for us."""


class Switch(Protocol):
    """One system's switch. One connection, opened by the first call and again after a cut; used by one thread.

    Every method raises SystemUnavailable (try again) or SystemStopped (AccessDenied names the GRANT)."""

    system: str

    def look(self) -> SwitchState:
        """How it stands."""

    def arm(self, withholding: Withholding) -> Position:
        """Makes commits wait for us from now on, and proves it; closes the open range at the position that is answered.
        Other standbys stay named. Our reader must be streaming. Nothing is done if a person wants it to stay off; where
        it is armed already, the server only takes on how long its commits may wait by these rules."""

    def release(self, why: str, by: str, *, stays: bool = False) -> Degraded:
        """Lets go of everybody who waits, at once, and of all that follow; the range is recorded first. May be called
        by any process, whether an engine is at work or not. Of an open range, only `stays` may change."""

    def allow(self) -> bool:
        """Ends `stays`; False if there was nothing to end. The engine arms when it has caught up."""

    def history(self) -> list[Degraded]:
        """All ranges, the latest first."""

    def close(self) -> None:
        """Hangs up."""
