"""A world whose systems have keys of their own: the same clock, runner and faults, other rules, users and oracle.

Turns a seed into a history, as `tests.simulation.world` does; what is different stands here. It changes no history
there.
"""

from __future__ import annotations

import random
from dataclasses import replace

from adapters.memory import MemorySystem
from engine.rulebook import EXISTENCE
from engine.vocabulary import Change, Text
from tests.simulation.crossed import features
from tests.simulation.crossed.books import COUNTRY, book
from tests.simulation.crossed.features import CrossedFeatures
from tests.simulation.crossed.oracle import CrossedOracle
from tests.simulation.crossed.store import RememberingStore
from tests.simulation.crossed.users import CrossedUsers
from tests.simulation.crossed.writing import COUNTRIES, STRANGE, CrossedFate
from tests.simulation.users import POISON
from tests.simulation.world import REPAIRS_MAX, TIGHT, World

FIRST_KEYS = {"erp": 1, "crm": 30_001, "mes": 60_001}
"""No key of one system is one of another."""


class CrossedWorld(World):
    """See the module."""

    features: CrossedFeatures
    users: CrossedUsers

    def _draw(self, dice: random.Random) -> CrossedFeatures:
        return features.draw(dice)

    def _people(self, dice: random.Random) -> None:
        self.book = book(self.features)
        if self.features.limits:
            limited = {name: replace(entity, limits=TIGHT) for name, entity in self.book.entities.items()}
            self.book = replace(self.book, entities=limited)
        self.databases = {s: self._database(s) for s in self.systems}
        self.store = RememberingStore(self.killer)
        fate = CrossedFate()
        self.fate = fate
        self.users = CrossedUsers(dice, self.features, self.databases, fate, self.tell if self.tracing else None)
        self.oracle = CrossedOracle(self.book, self.features, self.databases, self.store, fate)  # type: ignore[assignment]

    def _database(self, system: str) -> MemorySystem:
        database = MemorySystem(system, self.book, first_key=FIRST_KEYS[system])
        database.foreign_keys = self.features.foreign_keys
        if self.features.large:
            database.large = frozenset({"note", "memo", "city"})
        if system != "erp":
            return database
        if self.features.rewriting:
            database.trigger = _shouting
        poisoned = self.features.poison
        database.constraint = lambda table, row: (
            "no shouting" if poisoned and table == "party" and POISON in (row[1] or "") else ""
        )
        changes = [change for iso in COUNTRIES for change in database.insert(COUNTRY, {"iso": iso})]
        database.commit(changes, 1)
        return database

    def toggle_lock(self, system: str) -> None:
        """A user locks a row, or lets it go."""
        database = self.databases[system]
        rows = sorted((database.names[n], key) for n, table in enumerate(database.stored) for key in table)
        if database.locked:
            database.locked.clear()
        elif rows:
            database.locked.add(self.dice.choice(rows))

    def check(self) -> None:
        """The laws, as it stands; and once more when a person has put right what he can."""
        self.engine.decider.commit()
        self.oracle.check(fully=False)
        if self.features.kind == "turns":
            assert not self.store.quarantine, f"nothing should be refused: {self.store.quarantine}"
            self.check_no_conflict()
        self.check_silence()
        self.put_right()
        self.oracle.check(fully=True)
        self.check_silence()

    def put_right(self) -> None:
        """What people do at the end: constraints are lifted, codes added, holds resolved, the refused retried."""
        self.tell("=== a person puts things right")
        for database in self.databases.values():
            database.constraint = lambda table, row: ""
            database.foreign_keys = False
        self.users.may = lambda system, entity, key: True
        self._add_code()
        for _ in range(REPAIRS_MAX):
            before = (dict(self.store.holds), dict(self.store.quarantine))
            stopped = self.allow()
            for held in sorted(self.store.holds):
                self._settle(held)
            if self.store.quarantine:
                self.store.ask("retry", {})
            self.become_quiet()
            self.engine.decider.commit()
            if not stopped and (self.store.holds, self.store.quarantine) == before:
                return

    def _settle(self, held: tuple[str, str, int]) -> None:
        """A person says what a record is that looks like another one, or which value counts."""
        entity, key, register = held
        why = self.store.holds[held]
        others = why.removeprefix("identity: looks like ").split(", ")
        one = "mes" in self.book.entities[entity].bindings  # where two of the same number cannot be
        if register == EXISTENCE and others != [why] and (one or self.dice.random() < 0.5):
            self.tell(f"a person joins {key} into {others[0]}")
            self.store.ask("join", {"entity": entity, "key": key, "into": others[0]})
        else:
            self.resolve(held, self.dice.choice([*self.book.entities[entity].bindings]))

    def _add_code(self) -> None:
        database = self.databases["erp"]
        if self.features.strange and all(row[1] != STRANGE for row in database.stored[COUNTRY].values()):
            changes: list[Change] = database.insert(COUNTRY, {"iso": STRANGE})
            self.users.commit("erp", changes)


def _shouting(table: str, row: list[Text]) -> list[Text]:
    """A trigger that stores names in capitals."""
    return [row[0], row[1].upper(), *row[2:]] if table == "party" and row[1] is not None else row
