"""Systems whose users wait for each other's locks: who is let go early, so that no two wait for ever.

Turns what each synchronous system's first user waits for into knots, and a knot into one who is answered before what he
wrote is everywhere, as the journal says (`released`). Where two wrote the same row this is not needed: what lost is due
nowhere, so its user is answered anyway. It lets nobody go of whom it cannot tell what is not delivered.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from engine.desk.delivery import Delivery
from engine.desk.expected import Expected
from engine.desk.records import Debt, Name

KNOT_S: Final = 1.0
"""Systems that seem to wait for each other's locks, though no lock is known for certain, are given so long."""

NAMES_MAX = 200
"""Of a user who has changed more records it is not looked up what these refer to."""


class Knots(Delivery):
    """The room where knots are untied."""

    def untangle(self, now: float) -> None:
        """Looks whether synchronous systems wait for each other's locks, and lets one of them go early.

        `now`: the runner's clock, seconds. Who loses a row is answered anyway; this is for systems that each hold a
        row which the other one's write needs."""
        knot = self._knot()
        if knot is None:
            self.knot = None
            return
        if self.knot is None or set(self.knot[0]) != set(knot):
            self.knot = (knot, now)
        debts = [self._locked_out(system) for system in knot]
        known = all(debt is not None and self._holder(debt) is not None for debt in debts)
        if not known and now - self.knot[1] < KNOT_S:
            return
        self._part(knot)

    def _knot(self) -> tuple[str, ...] | None:
        """Systems each of which waits for a lock in the next one, and the last for one in the first."""
        for start in self.queues:
            way = [start]
            while (following := self._waits_in(way[-1])) is not None:
                if following in way:
                    return tuple(way[way.index(following) :])
                way.append(following)
        return None

    def _waits_in(self, system: str) -> str | None:
        """The synchronous system in which somebody's lock holds back what the first of this one's users waits for; the
        system itself, if his own row is to be read again, which he holds a lock of."""
        queue = self.queues[system]
        if not queue.expected or queue.expected[0].let_go:
            return None
        debt = self._locked_out(system)
        return debt[0] if debt is not None else None

    def _locked_out(self, system: str) -> Debt | None:
        """What a lock keeps from being written that one of those who wait may hold, of what the first of a system's
        users waits for; best, what one of them is known to hold."""
        queue = self.queues[system]
        first = queue.expected[0]
        debts = list(self._left(system, queue, first) if first.owed is None else first.owed)
        if queue.lacking is not None and queue.lacking[0] == system:
            return queue.lacking  # its own row is to be read again, and he holds its lock himself
        held = [debt for debt in debts if debt[0] in self.queues and debt in self.locked and self._may_hold(debt)]
        return min(held, default=None, key=lambda debt: (self._holder(debt) is None, debt))

    def _may_hold(self, debt: Debt) -> int | None:
        """The first of a system's users whose lock may keep something from being written there, counted from 1. What
        came together goes together: a lock on one row keeps others out; so does one on a row that these refer to, or
        that refers to these."""
        locked = {name for system, name in self.locked if system == debt[0]} | {debt[1]}
        around = locked.union(*[self._parents(name) for name in locked])
        for at, one in enumerate(self.queues[debt[0]].expected, 1):
            if one.owed is None or one.unsure or len(one.names) > NAMES_MAX or not around.isdisjoint(one.names):
                return at
            if any(not locked.isdisjoint(self._parents(name)) for name in one.names):
                return at
        return None

    def _parents(self, name: Name) -> list[Name]:
        """The records that this one refers to."""
        rules = self.rules[name[0]]
        record = self.record(*name) if rules.references else None
        if record is None:
            return []
        return [(entity, key) for n, entity in rules.references if isinstance(key := record.values[n], str)]

    def _holder(self, debt: Debt) -> int | None:
        """How many users have to be answered until the lock is free; None if none of them is known to hold it."""
        holders = [at for at, one in enumerate(self.queues[debt[0]].expected, 1) if debt[1] in one.names]
        return holders[-1] if holders else None

    def _part(self, knot: tuple[str, ...]) -> None:
        """Lets the users of one system go up to the one who holds the lock: where that concerns the fewest."""
        choices = []
        for system in knot:
            debt = self._locked_out(system)
            if debt is not None and all(self._is_known(debt[0], one) for one in self.queues[debt[0]].expected):
                count = self._holder(debt) or self._may_hold(debt) or 1  # if that was not he: once more, after a pause
                choices.append((count, -self.book.systems.index(debt[0]), debt[0], system))
        if not choices:
            return
        self.knot = None
        count, _, holding, waiting = min(choices)
        why = f"{waiting} and {holding} waited for each other's locks"
        if waiting == holding:
            why = f"its row has to be read again in {holding}, and is locked until its user is answered"
        because = f"{why}: acknowledged before it was everywhere"
        queue = self.queues[holding]
        for one in islice(queue.expected, count):
            debts = list(self._left(holding, queue, one) if one.owed is None else one.owed)
            self._tell(one, sorted({name for _, name in debts}), because)
            one.let_go = True
            self._count("released")
        self.news.append(("let go early", f"{count} commits of {holding}: {because}"))

    def _is_known(self, system: str, one: Expected) -> bool:
        """True if it can be told, record by record, what is not delivered of this."""
        if one.owed is not None:
            return True
        stopped = bool(self.stops) and self.queues[system].rules.refused == "wait"
        return not stopped and all(self._has_come(other, one.number) for other in self.marks if other != system)
