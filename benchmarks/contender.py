"""What a measure asks of a system under test: five verbs, the same for every contender."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from benchmarks.bench import Bench
from benchmarks.probe import Process


class Contender(Protocol):
    """Something that carries changes from one server to the other."""

    name: str
    one_to_one: bool
    """It carries a table's rows only into a table of the same name and columns."""
    both_ways: bool
    """It always carries from both sides, whatever it is asked for."""

    def connect(self, bench: Bench, sources: Sequence[str]) -> None:
        """Starts to carry from each of these sides to the other, between tables that are alike already.

        Returns when a change would be carried at once."""

    def pause(self) -> None:
        """Stops carrying; the servers keep what is missed."""

    def resume(self) -> None:
        """Begins to start again, and returns at once: the measure watches the slots to see when it
        streams."""

    def processes(self) -> Iterable[Process]:
        """The processes that do the work now. Asked by another thread."""

    def must_live(self) -> None:
        """Raises CommandFailed if what `resume` started has ended by itself, so that nobody waits for it."""

    def threads(self) -> Mapping[str, float]:
        """By thread: its CPU seconds since `resume`, once it was stopped by `pause`; empty: not told."""

    def close(self) -> None:
        """Stops for good, and ends what it started."""


class Standby(Contender, Protocol):
    """A contender that users can be made to wait for at COMMIT."""

    def arm(self, bench: Bench, side: str) -> None:
        """Users of this side wait from now on, until what they wrote is on the other."""

    def disarm(self, bench: Bench, side: str) -> None:
        """They wait no longer."""
