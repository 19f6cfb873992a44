"""A world whose users wait at COMMIT: the same clock, runner, faults and laws; who is answered is looked at by another.

Turns a seed into a history, as `tests.simulation.world` does; what is different stands here. It changes no history
there.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from tests.simulation.faults import DELIVERY_POINTS
from tests.simulation.synchronous.auditor import Auditor
from tests.simulation.synchronous.features import SynchronousFeatures, draw
from tests.simulation.synchronous.users import SynchronousUsers
from tests.simulation.world import QUIET_ROUNDS_MAX, World

PATIENCE_ROUNDS = 60
"""If nobody is answered for so long, though nothing happens any more, who waits does so for ever: four seconds."""


class SynchronousWorld(World):
    """See the module."""

    features: SynchronousFeatures
    users: SynchronousUsers

    def _draw(self, dice: random.Random) -> SynchronousFeatures:
        return draw(dice)

    def _people(self, dice: random.Random) -> None:
        super()._people(dice)
        self.book = replace(self.book, synchronous=self.features.synchronous)
        self.deaths = 0
        self.cut: set[str] = set()
        """Systems whose readers are away."""
        self.armed = set(self.features.synchronous)
        self.users = SynchronousUsers(
            dice, self.features, self.databases, self.fate, self.tell if self.tracing else None
        )
        self.users.waits = self._waits
        self.users.crashed = lambda: self.deaths
        self.users.told = lambda: len(self.store.journal)
        self.auditor = Auditor(
            self.book, self.databases, self.store, self.fate, self.users, lambda: self.engine.decider,
            lambda: {system: self.sources[system].delivered_to for system in self.features.synchronous},
        )
        for system in self.features.synchronous:
            self.databases[system].answered = partial(self._answered, system)

    def _waits(self, system: str) -> bool:
        wants = self.users.dice.random() >= self.features.local
        return wants and system in self.armed

    def _answered(self, system: str, position: int) -> None:
        self.tell(f"{system} {position} is answered")
        self.auditor.answered(system, position)

    # ------------------------------------------------------------ what can happen

    def start_engine(self) -> None:
        """A new process: nobody is told anything before it knows."""
        self.deaths += 1
        super().start_engine()

    def work(self) -> None:
        """As everywhere; now and then somebody lets all go, or arms again."""
        if self.features.releases and self.dice.random() < 0.02:
            self.flip(self.dice.choice(sorted(self.features.synchronous)))
        elif self.features.cuts and self.dice.random() < 0.03:
            self.cut_or_mend(self.dice.choice(self.systems))
        else:
            super().work()

    def flip(self, system: str) -> None:
        """The switch of a system is turned: whoever waits is let go."""
        if system in self.armed:
            self.let_go(system)
            self.armed.discard(system)
        else:
            self.tell(f"{system} is armed")
            self.armed.add(system)

    def let_go(self, system: str) -> None:
        """Whoever waits in a system waits no longer."""
        gone = self.databases[system].answer(self.databases[system].end, delivered=False)
        self.tell(f"{system} lets go: {gone}")

    def cut_or_mend(self, system: str) -> None:
        """A reader goes away for a while, or comes back."""
        if system in self.cut:
            self.cut.discard(system)
            self.reopen(system)
        elif system in self.reading:
            self.tell(f"the reader of {system} is away")
            self.cut.add(system)
            self.reading.discard(system)
            self.sources[system].close()

    def reopen(self, system: str) -> None:
        """Not while it is away."""
        if system not in self.cut:
            super().reopen(system)

    def strike(self, system: str) -> None:
        """The engine dies, also where it tells what is delivered."""
        if self.dice.random() < 0.25:
            self.killer.point = self.dice.choice(DELIVERY_POINTS)
        else:
            super().strike(system)

    # ------------------------------------------------------------ the end

    def leave_alone(self) -> None:
        """Nothing happens to the engine any more."""
        super().leave_alone()
        for system in sorted(self.cut):
            self.cut_or_mend(system)

    def at_rest(self) -> bool:
        """True if nothing is due to anybody, and nobody waits."""
        return super().at_rest() and not any(database.waiting for database in self.databases.values())

    def become_quiet(self) -> None:
        """Everything is everywhere, and everybody is answered, or waits for what was refused: he is let go then."""
        self.leave_alone()
        if self.wait_on():
            return
        unexplained = [f"{commit.system} {commit.position}" for commit in self.auditor.unexplained()]
        assert not unexplained, f"S2: these wait for ever: {', '.join(unexplained)}"
        if self.dice.random() < 0.5:
            self.mend()
            if self.wait_on():
                self.auditor.count("answered when mended")
                return
        for system in sorted(self.features.synchronous):
            if self.databases[system].waiting:
                self.auditor.count("let go by a person")
                self.let_go(system)
        assert self.settle_down(QUIET_ROUNDS_MAX), "it does not become quiet"

    def wait_on(self) -> bool:
        """Lets the engine work as long as somebody is answered now and then. False: somebody is not."""
        before = -1
        while before < (now := self.auditor.seen.get("answered", 0) + self.engine.decider.counts.get("released", 0)):
            before = now
            if self.settle_down(PATIENCE_ROUNDS):
                return True
        return False

    def mend(self) -> None:
        """A person does what he can about what was refused."""
        self.tell("=== a person mends what was refused")
        for database in self.databases.values():
            database.constraint = lambda entity, row: ""
            database.foreign_keys = False
        self.engine.decider.commit()
        self.allow()
        for held in sorted(self.store.holds):
            self.resolve(held, self.dice.choice(self.systems))
        if self.store.quarantine:
            self.store.ask("retry", {})


