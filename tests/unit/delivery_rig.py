"""A desk whose users wait, moved by hand: one reader, one writer, one commit of the store at a time.

Turns short calls into what the runner does with a real desk, a store and databases in memory. It has no clock and no
threads; nothing is random.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from adapters.memory import MemorySource, MemoryStore, MemorySystem, MemoryTarget
from engine.decide import Decider
from engine.ports import Request
from engine.rulebook import Limits, Synchronous
from engine.vocabulary import Position, Transaction
from tests.simulation.books import FIELDS, book


class Rig:
    """See the module. `waiting`: the systems whose users wait."""

    def __init__(
        self, systems: tuple[str, ...] = ("erp", "crm"), *, waiting: tuple[str, ...] | None = None,
        refused: Literal["release", "wait"] = "release", orders: bool = False, codecs: bool = False,
        limits: Limits | None = None, rows_max: int = 1_000,
    ) -> None:
        rules = Synchronous(None, refused)
        made = book(systems, orders=orders, codecs=codecs, limits=limits)
        self.book = replace(made, synchronous=dict.fromkeys(systems if waiting is None else waiting, rules))
        self.systems = systems
        self.rows_max = rows_max
        self.databases = {
            s: MemorySystem(s, self.book, foreign_keys=orders, large=frozenset({"note"})) for s in systems
        }
        self.targets = {s: MemoryTarget(d) for s, d in self.databases.items()}
        self.store = MemoryStore()
        self.now = 1_000
        self.start()

    def start(self) -> None:
        """A new process on the same store."""
        self.store.crash()
        self.sources = {s: MemorySource(d, self.rows_max) for s, d in self.databases.items()}
        self.decider = Decider(self.book, self.store)
        self.decider.attend(self.book.synchronous)
        self.decider.start()
        for system, target in self.targets.items():
            self.decider.recover(system, target.committed(self.decider.marks[system].applied))
            self.sources[system].open(self.decider.marks[system].read)
        self.decider.take_up()

    # users

    def user(self, system: str, key: str, entity: str = "item", *, waits: bool = True, **values: str) -> Position:
        """A user's INSERT or UPDATE; he waits at COMMIT, as everybody does there."""
        database = self.databases[system]
        if key in database.rows[entity]:
            changes = database.update(entity, key, dict(values))
        else:
            empty = {name: f"{name}0" for name in FIELDS if entity == "item" and name not in ("points", "grade")}
            changes = database.insert(entity, {**empty, **values, "code": key})
        self.now += 1_000
        return database.commit(changes, self.now, waits=waits and system in self.book.synchronous)

    def both(self, *keys: str) -> None:
        """Records that all have, and that nobody waits for."""
        for key in keys:
            self.user(self.systems[0], key, waits=False)
        self.work()

    # the runner

    def read(self, system: str) -> None:
        """The reader hands over all that it has, and it is decided."""
        while (event := self.sources[system].read(0)) is not None:
            if isinstance(event, Transaction):
                self.decider.prefetch([event])
                assert not self.decider.blocked(event)
                self.decider.decide(event)
            else:
                self.decider.pass_position(system, event.position)

    def write(self, system: str) -> None:
        """The writer carries out what is due, once that is durable."""
        batch = self.decider.next_batch(system)
        if batch is not None:
            self.decider.commit()
            self.decider.confirm(self.targets[system].apply(batch))

    def again(self, system: str) -> None:
        """What was locked is tried once more."""
        self.decider.retry_deferred(system)
        self.write(system)

    def ask(self, kind: str, **arguments: str) -> None:
        """A person's request."""
        self.decider.request(Request(1, kind, arguments), self.now)

    def tell(self) -> None:
        """Whoever need not wait any more is answered."""
        for system in self.book.synchronous:
            self.sources[system].delivered(self.decider.delivered(system))

    def work(self, rounds: int = 6, *, answering: bool = True) -> None:
        """All of it, a few times."""
        for _ in range(rounds):
            for system in self.systems:
                self.read(system)
            for system in self.systems:
                self.decider.retry_deferred(system)
                self.write(system)
            self.decider.commit()
            if answering:
                self.tell()

    # what can be seen

    def waits(self, system: str) -> list[Position]:
        """Whose users have not been answered."""
        return list(self.databases[system].waiting)

    def has(self, system: str, key: str, name: str) -> str | None:
        """A value as a system has it."""
        database = self.databases[system]
        return database.rows["item"][key][database.columns("item").index(name)]

    def kinds(self) -> list[str]:
        """What the journal has of those who were answered for what is not everywhere."""
        return [f"{e.key}: {e.because}" for e in self.store.journal if e.kind == "released"]
