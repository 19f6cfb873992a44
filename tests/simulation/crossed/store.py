"""A store that remembers which records a key has ever meant: the oracle asks whose writes the journal tells of.

Turns what the engine commits to the cross-reference into a history of it. The engine never sees that.
"""

from __future__ import annotations

from engine.ports import Delta
from tests.simulation.faults import Killer, MortalStore


class RememberingStore(MortalStore):
    """See the module."""

    def __init__(self, killer: Killer) -> None:
        super().__init__(killer)
        self.ever: dict[tuple[str, str, str], set[str]] = {}
        """(entity, system, own key) → record ids"""

    def _apply(self, delta: Delta) -> None:
        super()._apply(delta)
        for (space, value, item), state in delta.entries.items():
            if space.startswith("x/") and state is not None:
                _, entity, system = space.split("/")
                self.ever.setdefault((entity, system, value), set()).add(item)

    def meant(self, entity: str, system: str, key: str) -> set[str]:
        """All records that this key ever meant."""
        return self.ever.get((entity, system, key), set())

    def means(self, entity: str, system: str, key: str) -> str | None:
        """The record that this key means now, be it as a row that is left over."""
        return next(iter(self.spaces.get(f"x/{entity}/{system}", {}).get(key, {})), None)
