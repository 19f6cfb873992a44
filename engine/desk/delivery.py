"""Which users' transactions the other systems have, so that those who wait for it at COMMIT may go on.

Turns what was decided, and what became of the writes, into a position for each synchronous system: what its users
committed up to there is delivered. A log can be answered only up to a place, so one write that waits holds back all
that was committed after it. It decides nothing, and lets nobody go whose decision is not durable.

A transaction is delivered when no other system still has something of it due, under way, locked or waiting. What lost
is due nowhere: its user is answered at once, which frees his locks for what won.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.desk.answers import Answers
from engine.desk.expected import Expected, Queue
from engine.desk.records import ANYWHERE, Debt, Name
from engine.errors import ValueRefused
from engine.merge import EntityRules, Step
from engine.plan import row_of
from engine.ports import Delta
from engine.record import DEFERRED, REREAD, STOPPED, UNREAD, Record, Side, held_alive, settle
from engine.rulebook import EXISTENCE, Synchronous
from engine.vocabulary import JournalEntry, Outcome, Position, Transaction


class Delivery(Answers):
    """The room where it is known who waits."""

    queues: Mapping[str, Queue] = {}
    """By synchronous system; empty: nobody waits for this engine."""
    takes = 0
    """How often something was taken to be committed by the store."""
    kept = 0
    """The last of these that is durable."""

    def attend(self, synchronous: Mapping[str, Synchronous]) -> None:
        """From here on, users of these systems wait for what is decided. To be called before `take_up`."""
        self.queues = {system: Queue(rules) for system, rules in synchronous.items()}
        self.locked: dict[Debt, None] = {}
        """What somebody else's lock kept from being written, until it is."""
        self.knot: tuple[tuple[str, ...], float] | None = None
        """Systems that seem to wait for each other, and since when."""

    def take_up(self) -> None:
        """What was due before the start counts as one transaction in front of all others."""
        super().take_up()
        for system, queue in self.queues.items():
            read = self.marks[system].read
            queue.expected.append(Expected(self.number, read, read, None))

    # ------------------------------------------------------------ what is owed

    def decide(self, transaction: Transaction) -> None:
        """As below; of a user's transaction is noted what it made due, and where."""
        queue = self.queues.get(transaction.system)
        if queue is None:
            return super().decide(transaction)
        if not transaction.own:
            self.owed = {}
        begun = self.number + 1
        super().decide(transaction)
        owed, self.owed = self.owed, None
        if owed is None:
            return
        names, unsure = self._touched(transaction)
        names.update(name for _, name in owed)
        due: dict[Debt, None] | None = None
        if transaction.spool is None:
            if not owed and not queue.expected and not self.delta.journal:
                self._pass(transaction.system, transaction.position)
                return
            due = {debt: None for debt in owed if debt[0] != transaction.system or self._is_unread(*debt)}
        at = transaction.position
        queue.expected.append(Expected(self.number, at, at, due, frozenset(names), unsure, begun))

    def _touched(self, transaction: Transaction) -> tuple[set[Name], bool]:
        """The records whose rows its user has changed, and so locked; and whether there may be more of them."""
        names: set[Name] = set()
        tables = self.tables[transaction.system]
        unsure = transaction.spool is not None
        for table, _, *rows in transaction.changes:
            plain = tables[table]
            if plain is None:
                unsure = True  # a row that may belong to any record, or to none
                continue
            rules, _, key_of = plain
            names.update((rules.name, key_of(row)) for row in rows if row is not None)
        return names, unsure

    def _owe(self, debts: Sequence[Debt]) -> None:
        """As below; what is left to a person now, is so for all who have written it and are not answered."""
        super()._owe(debts)
        for debt in debts:
            for queue in self.queues.values() if debt[0] == ANYWHERE else ():
                for one in queue.expected:
                    if one.owed is not None and debt[1] in one.names:
                        one.owed[debt] = None

    def _close(self, step: Step) -> None:
        """As below; what is no longer left to a person is due by now: whoever waited for him waits for that."""
        ended = [place[:2] for place, why in step.holds.items() if why is None] if self.queues else []
        super()._close(step)
        for name in ended:
            record = self.record(*name)
            for system, side in record.sides.items() if record is not None else ():
                if side.due > self.marks[system].applied:
                    self.again[system, name] = (side.due, 0)

    def _write_chunk(self, step: Step) -> None:
        super()._write_chunk(step)
        if self.owed is not None:
            self.owed = {}  # too much to be told one by one: all that is due by its end is waited for

    def _is_unread(self, system: str, name: Name) -> bool:
        """True if the system's own row could not be read or understood so far, so that what is due is not known."""
        record = self.record(*name)
        side = record.sides.get(system) if record is not None else None
        return side is not None and (side.wait == REREAD or bool(side.bad))

    def pass_position(self, system: str, position: Position) -> None:
        """As below; what follows the last transaction is passed with it."""
        super().pass_position(system, position)
        if system in self.queues and self.owed is None:
            self._pass(system, position)

    def pass_own(self, system: str, position: Position) -> None:
        """A transaction of ours has been read, and is decided when its answer is there: nobody waits for it but us."""
        if system in self.queues:
            self._pass(system, position)

    def _pass(self, system: str, position: Position) -> None:
        queue = self.queues[system]
        if queue.expected:
            queue.expected[-1].through = max(queue.expected[-1].through, position)
        else:
            queue.passed = max(queue.passed, position)

    def confirm(self, outcome: Outcome) -> None:
        """As below; what met a lock is remembered until it is written."""
        super().confirm(outcome)
        system = outcome.system
        if self.queues:
            late = [(e.entity, e.key) for e in outcome.exceptions if (e.entity, e.key) in self.deferred[system]]
            self.locked.update(dict.fromkeys((system, name) for name in late))
        if self.again:
            done = [debt for debt, (due, _) in self.again.items() if debt[0] == system and due <= outcome.number_to]
            for debt in done:
                if debt not in self.stuck:  # else it did not take place once more: since when, is not forgotten
                    del self.again[debt]

    def still_locked(self, system: str, names: Iterable[Name]) -> None:
        """Rows that were to be read again, and that somebody has locked."""
        self.rereads[system].update(dict.fromkeys(names))
        if self.queues:
            self.locked.update(dict.fromkeys((system, name) for name in names))

    def is_locked_out(self, system: str) -> bool:
        """True if something that somebody waits for met a lock there, and has not been written since."""
        return bool(self.queues) and any(debt[0] == system for debt in self.locked)

    def _late_parent(self, rules: EntityRules, record: Record, system: str) -> bool:
        """As below; a row that was made by a user who is not answered is there, but nobody sees it."""
        if super()._late_parent(rules, record, system):
            return True
        parents = [(entity, value) for n, entity in rules.references if isinstance(value := record.values[n], str)]
        queue = self.queues.get(system)
        if queue is None or not parents or self._is_refused(queue.lacking):
            return False
        for one in queue.expected:
            unseen = [parent for parent in parents if one.owed is None or one.unsure or parent in one.names]
            if unseen:
                self.locked.update(dict.fromkeys((system, parent) for parent in unseen))
                return True
        return False

    def _is_refused(self, debt: Debt | None) -> bool:
        """True if this waits for a person."""
        if debt is None or debt[0] == ANYWHERE:
            return debt is not None
        record = self.record(*debt[1])
        side = record.sides.get(debt[0]) if record is not None else None
        return record is not None and side is not None and bool(self._why_halted(debt[1], record, side, debt[0]))

    # ------------------------------------------------------------ what is delivered

    def delivered(self, system: str) -> Position:
        """Up to where the users of a synchronous system may go on. Never goes back."""
        queue = self.queues[system]
        durable = self.durable_positions.get(system, 0)
        while queue.expected:
            first = queue.expected[0]
            if first.position > durable or not (first.let_go or self._is_paid(system, queue, first)):
                break
            if first.not_before > self.kept:
                break
            queue.passed = max(queue.passed, first.through)
            queue.expected.popleft()
            queue.lacking = None
        if not any(other.expected for other in self.queues.values()):
            self.locked.clear()
        return queue.passed

    def _is_paid(self, system: str, queue: Queue, first: Expected) -> bool:
        """True if nothing is waited for any more; what was found to be delivered is not looked at again."""
        if first.owed is None:
            queue.lacking = min(self._left(system, queue, first), default=None, key=self._locked_first)
            if queue.lacking or not all(self._has_come(o, first.number) for o in self.marks if o != system):
                return False
            for debt in self._refused(system, first) if first.begun and queue.rules.refused == "release" else ():
                self._tell_refused(first, debt)
            first.owed = {}
            self._await_journal(first)
        while first.owed:
            debt = next(iter(first.owed))
            if self._lacks(system, queue, debt, first):
                queue.lacking = debt
                return False
            self._tell_refused(first, debt)
            del first.owed[debt]
            self.locked.pop(debt, None)
            self._pass_on(system, queue, first, debt)
        return True

    def _pass_on(self, user: str, queue: Queue, first: Expected, debt: Debt) -> None:
        """What only a person, or a second look at one's own row, could tell is known: now it is due elsewhere."""
        system, name = debt
        record = self.record(*name)
        own = record.sides.get(user) if record is not None else None
        known = queue.rules.refused == "wait" if system == ANYWHERE else own is None or not own.bad
        for other, side in record.sides.items() if record is not None and known else ():
            if other != user and first.owed is not None and system in (ANYWHERE, user):
                first.owed[other, name] = None
                if side.due > self.marks[other].applied:
                    self.again[other, name] = (side.due, 0)

    def _tell_refused(self, first: Expected, debt: Debt) -> None:
        """What is answered without being there, because it was refused, is told once and for all."""
        system, name = debt
        record = self.record(*name)
        side = record.sides.get(system) if record is not None else None
        why = self._why_halted(name, record, side, system) if record is not None and side is not None else ""
        if record is None or side is None or not why:
            return
        self._tell(first, [name], f"{why}: acknowledged all the same")
        self.news.append(("acknowledged, not delivered", f"{name[0]} `{name[1]}`: {system}: {side.bad or why}"))

    def _why_halted(self, name: Name, record: Record, side: Side, system: str) -> str:
        """Why a record is not written to a system before somebody does something about it, in words; "": it is."""
        if side.bad:
            return f"{system} refused it"
        if side.wait == STOPPED:
            return f"a limit stopped `{name[0]}`"
        if EXISTENCE not in record.holds or side.out:
            return ""
        settle(record, side, self.marks[system], self.rules[name[0]].layouts[system])
        return "" if held_alive(record, side) == record.alive else "left to a person"

    def _tell(self, one: Expected, names: Iterable[Name], because: str) -> None:
        """Journals what somebody is answered for though it is not everywhere; he is, when that is durable."""
        self.delta.journal += [
            JournalEntry(entity, key, (), "released", because, None, (), None, (), one.number) for entity, key in names
        ]
        self.delta.number = self.number  # so that there is something to commit, even if no record is named
        one.not_before = self.takes + 1

    def _await_journal(self, one: Expected) -> None:
        """What somebody lost against, if it was not written, must not be forgotten once he is answered."""
        one.not_before = max(one.not_before, self.takes + bool(self.delta.journal))

    def _lacks(self, user: str, queue: Queue, debt: Debt, one: Expected) -> bool:
        """True if a system has not what was decided of a record by this step, nor anything later. `user`: whose users
        wait for it."""
        system, name = debt
        record = self.record(*name)
        if record is None:
            return False
        if system == ANYWHERE:
            return bool(record.holds) and queue.rules.refused == "wait"
        side = record.sides.get(system)
        if side is not None and self._why_halted(name, record, side, system):
            one.halted = True
            return queue.rules.refused == "wait"
        if system == user:
            return side is not None and side.wait == REREAD
        mark = self.marks[system]
        if side is not None and side.wait and debt in self.stuck and not side.out:
            lacks = not (side.wait == DEFERRED and self._is_moot(name, record, side, system))
        elif debt not in self.stuck and mark.applied >= max(one.number, self.again.get(debt, (0, 0))[0]):
            lacks = False  # of what waited until a change of its own made it due anew, that tells nothing
            if not one.halted:
                return False  # it has been written
        else:
            lacks = side is not None and not side.out and (mark.under_way(side) or side.due > mark.applied)
        if not lacks:
            self._await_journal(one)
        return lacks

    def _is_moot(self, name: Name, record: Record, side: Side, system: str) -> bool:
        """True if what met a lock is not to be written any more: the user who holds the lock has won meanwhile."""
        if side.sent is not None:
            return False
        freed = Side(side.held, self.number)
        try:
            return row_of(self.rules[name[0]], name[1], record, freed, system) is None
        except ValueRefused:
            return False

    def _left(self, user: str, queue: Queue, one: Expected) -> Iterator[Debt]:
        """What is not delivered of what was not noted one by one: what was due by its step and could not be written."""
        for debt, since in self.stuck.items():
            first = min(since, self.again.get(debt, (0, since))[1])
            if first < one.number and (debt[0] != user or self._is_unread(*debt)):
                yield debt
        for debt, (due, since) in self.again.items():
            if debt[0] != user and since < one.number and due > self.marks[debt[0]].applied:
                yield debt
        if queue.rules.refused == "wait":
            yield from self._refused(user, one)

    def _refused(self, user: str, one: Expected) -> Iterator[Debt]:
        """What was refused, or left to a person, of what a user of this system wrote."""
        for entity, key, system in self.quarantined:
            if self._concerns(user, system, (entity, key), one):
                yield system, (entity, key)
        for entity, key, _ in self.held:
            if any(self._concerns(user, system, (entity, key), one) for system in self.marks):
                yield ANYWHERE, (entity, key)
        for entity in self.stops:
            yield ANYWHERE, (entity, "")

    def _concerns(self, user: str, system: str, name: Name, one: Expected) -> bool:
        """True if a system has not what a user of another one, or of this one, wrote of a record."""
        record = self.record(*name)
        side = record.sides.get(system) if record is not None else None
        if record is None or side is None:
            return False
        if user == system and side.bad.startswith(UNREAD):
            return True
        versions = [record.version(register) for register in side.held]
        versions += [version for version, _ in side.held.values() if user == system and version is not None]
        return any(version.system == user and one.begun <= version.number <= one.number for version in versions)

    def _locked_first(self, debt: Debt) -> tuple[bool, Debt]:
        return debt not in self.locked, debt

    def _has_come(self, system: str, number: int) -> bool:
        """True if a system has answered for all that was due to it by a step."""
        mark = self.marks[system]
        idle = not self.open[system] and not self.spilled[system] and mark.applied == mark.dispatched
        return idle or mark.applied >= number

    def told(self, system: str) -> str:
        """What the first user of a synchronous system who is not answered waits for, in words; "" if nobody waits."""
        queue = self.queues[system]
        if not queue.expected:
            return ""
        debt = queue.lacking
        if debt is None:
            return "what was due at the start" if queue.expected[0].owed is None else "being written"
        at, (entity, key) = debt
        reason = self.quarantined.get((entity, key, at), "")
        if reason:
            return f"{entity} `{key}` in {at}: quarantine: {reason}"
        if debt in self.locked:
            return f"{entity} `{key}` in {at}: somebody has locked it"
        return f"{entity} `{key}`: left to a person" if at == ANYWHERE else f"{entity} `{key}` in {at}: being written"

    def take(self) -> Delta | None:
        """As below; counted."""
        delta = super().take()
        self.takes += delta is not None
        return delta

    def stored(self) -> None:
        """What was last taken is durable."""
        super().stored()
        self.kept = self.takes
