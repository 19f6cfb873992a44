"""An error that nobody foresaw is told by its kind and place, and never by what a driver said of it."""

from __future__ import annotations

import pytest

from adapters.memory import MemorySource, MemoryStore, MemorySystem, MemoryTarget
from engine.decide import Decider
from engine.errors import EngineFault
from engine.runner import Runner
from service.wiring import SystemClock
from tests.simulation.books import book

SECRET = "Key (phone)=(+49 30 1234) already exists"


class Broken(MemorySource):
    """A source whose driver fails in a way that nobody thought of."""

    def read(self, timeout_s: float) -> None:
        """Raises what holds a row's content."""
        raise LookupError(SECRET)


def test_an_unforeseen_error_of_a_thread_stops_the_engine_without_telling_a_rows_content() -> None:
    rules = book()
    databases = {system: MemorySystem(system, rules) for system in rules.systems}
    decider = Decider(rules, MemoryStore())
    decider.start()
    sources = {system: Broken(database) for system, database in databases.items()}
    targets = {system: MemoryTarget(database) for system, database in databases.items()}

    with pytest.raises(EngineFault) as caught:
        Runner(rules, decider, sources, targets, SystemClock()).run()

    assert "died of LookupError at read:" in str(caught.value)
    assert SECRET not in str(caught.value)
