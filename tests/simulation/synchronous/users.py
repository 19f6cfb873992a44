"""Users who wait at COMMIT, each with what he wrote, so that an auditor can say whether he was answered too early.

Turns a transaction into a `Commit`: the tokens that it left in rows, and the rows that it took away. It asks the engine
nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.memory import MemorySystem
from engine.assembly import key_of
from engine.vocabulary import Change, Position, Text
from tests.simulation.synchronous.features import SynchronousFeatures
from tests.simulation.users import Fate, Name, Tell, Users, plain

LARGE = 4
"""A transaction of more changes is handed over spooled, where that is drawn."""


@dataclass(slots=True)
class Commit:
    """What one user's transaction left."""

    system: str
    position: Position
    tokens: dict[str, tuple[Name, str]] = field(default_factory=dict)
    """Token → (record, field)."""
    names: set[Name] = field(default_factory=set)
    """The records that it touched."""
    gone: dict[Name, int] = field(default_factory=dict)
    """The records that it deleted, and how often users had made each of them by then."""
    large: bool = False
    """It may be too large to be kept in memory."""
    crashes: int = 0
    """How often the engine had died before."""
    told: int = 0
    """How many entries the journal had."""


class SynchronousUsers(Users):
    """See the module."""

    def __init__(
        self, dice: random.Random, features: SynchronousFeatures, databases: dict[str, MemorySystem], fate: Fate,
        tell: Tell | None,
    ) -> None:
        super().__init__(dice, features, databases, fate, tell)
        self.commits: dict[tuple[str, Position], Commit] = {}
        self.over: dict[str, set[str]] = {}
        """Token → those that its writer may have seen in the same place."""
        self.nulled: dict[tuple[Name, str], set[str]] = {}
        """(record, field) → tokens that a user saw and set to NULL."""
        self.dropped: set[str] = set()
        """Tokens that a user saw and deleted with their row."""
        self.made: dict[Name, int] = {}
        """How often users made a row, in whatever system."""
        self.crashed: Callable[[], int] = lambda: 0
        """How often the engine has died so far."""
        self.told: Callable[[], int] = lambda: 0
        """How many entries the journal has."""

    def commit(self, system: str, changes: list[Change]) -> None:
        """Writes a transaction to the log, and notes what it was."""
        database = self.databases[system]
        commit = self._look(system, changes, {plain(token) for token in self.unstamped})
        super().commit(system, changes)
        commit.position = database.end
        self.commits[system, database.end] = commit
        if self.tell:
            self.tell(f"{system} {database.end}{' waits' if database.end in database.waiting else ''}")

    def sneak(self, system: str) -> None:
        """Changes that the log never tells."""
        super().sneak(system)
        self.databases[system].undo.clear()

    def _look(self, system: str, changes: list[Change], tokens: set[str]) -> Commit:
        database = self.databases[system]
        large = self.features.huge and len(changes) > LARGE
        commit = Commit(system, 0, large=large, crashes=self.crashed(), told=self.told())
        for number, _, *images in changes:
            for image in images:
                if image is not None:
                    commit.names.add((database.names[number], key_of(database.tables[number], image)))
        before: dict[Name, list[Text] | None] = {}
        for table, key, row in database.undo:
            entity = next(n for n, stored in zip(database.names, database.stored, strict=True) if stored is table)
            before.setdefault((entity, key), row)
        for entity, key in sorted(commit.names):
            self._compare(commit, (entity, key), before.get((entity, key)), tokens)
        return commit

    def _compare(self, commit: Commit, name: Name, was: list[Text] | None, tokens: set[str]) -> None:
        database = self.databases[commit.system]
        row = database.rows[name[0]].get(name[1])
        if row is None:
            if was is not None:
                commit.gone[name] = self.made.get(name, 0)
                self.dropped.update(plain(value) for value in was if value is not None)
            return
        if was is None:
            self.made[name] = self.made.get(name, 0) + 1
        for place, column in enumerate(database.columns(name[0])):
            seen = plain(was[place]) if was is not None and was[place] is not None else ""
            nulled = self.nulled.setdefault((name, column), set())
            token = plain(row[place])
            if row[place] is None and seen:
                nulled.add(seen)
            elif row[place] is not None and token in tokens:
                commit.tokens[token] = (name, column)
                self.over[token] = ({seen} if seen else set(nulled)) - {token}

    def line(self, token: str) -> set[str]:
        """A token, and all that were seen before it in the same place."""
        found: set[str] = set()
        todo = [token]
        while todo:
            token = todo.pop()
            found.add(token)
            todo += sorted(self.over.get(token, set()) - found)
        return found
