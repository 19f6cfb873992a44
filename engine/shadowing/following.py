"""The desk under the rules in force, beside the engine that has them: it decides the same, and sends nothing.

Turns the logs into the same records as that engine's. What has been written to a system is learned from that system's
log, where the engine's own transactions come back: until then the system holds what it held, whoever writes there has
not seen it, and so a conflict is one here when it is one there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.decide import Decider
from engine.desk.records import Name
from engine.merge import EntityRules, Step, begin
from engine.ports import Store
from engine.record import UNREAD, Held, Record, Side, held_alive, is_due
from engine.rulebook import EXISTENCE, RuleBook
from engine.vocabulary import ABSENT, DELETE, Change, Image, Position, Transaction, Values, Version

OLDER = Version(0, "", 0, 0, "older")
"""What a system holds of a register that has changed again before the write of the former version was seen there."""

Known = Callable[[Name], Record | None]
"""A record as the engine in force has it now."""


class Follower(Decider):
    """See the module."""

    def __init__(self, book: RuleBook, store: Store, known: Known) -> None:
        super().__init__(book, store)
        self.known = known
        self.own = False
        """The transaction under decision is one of the engine's own."""
        self.touched: dict[Name, Record] = {}
        """The records that the last transaction changed."""
        self.awaited: dict[tuple[str, Name, int], Version] = {}
        """(system, record, register) → the version whose echo is awaited."""
        self.passed: set[tuple[str, Name, int]] = set()
        """Of these, registers that have changed again meanwhile."""
        self.silent: dict[tuple[str, Name, int], int] = {}
        """Of these, what the system has already, so that no write of it will come back → the number of the version."""
        self.heard = 0
        """The highest number of a version that the last own transaction wrote."""
        self.strange: dict[Name, None] = {}
        """Records whose echo says what we have not decided."""
        self.taken_over = 0

    def decide(self, transaction: Transaction) -> None:
        """Decides a whole transaction; then nothing is due, as nothing is to be sent."""
        self.own, self.heard = transaction.own, 0
        dirty, self.dirty = self.dirty, {}
        super().decide(transaction)
        self.touched = self.dirty
        self.dirty = {**dirty, **self.touched}
        self._await(self.due)
        if self.heard:
            self._hold_silently(transaction.system)
        asked = [name for names in self.rereads.values() for name in names]
        for name in dict.fromkeys([*self.strange, *asked]):
            self._take_over(name)
        self.let_lie()

    def let_lie(self) -> None:
        """Nothing of what is due is to be sent, nor to be asked."""
        self.due.clear()
        self.strange.clear()
        self.news.clear()
        for system in self.marks:
            self.open[system] = {}
            self.spilled[system] = False
            self.waiting[system] = {}
            self.deferred[system] = {}
            self.rereads[system] = {}

    def _await(self, names: Iterable[Name]) -> None:
        """Notes of which versions a system has yet to be told."""
        for name in names:
            record = self.record(*name)
            for system, side in record.sides.items() if record is not None else ():
                for register, entry in side.held.items():
                    if record is None or not is_due(record, register, entry):
                        continue
                    place, current = (system, name, register), record.version(register)
                    if self.awaited.setdefault(place, current) != current:
                        self.passed.add(place)
                    self.silent.pop(place, None)
                    row = self.rules[name[0]].layouts[system].stored_row(record.values)
                    if entry[1] == tuple([row[f] for f in self.rules[name[0]].layouts[system].fields_of[register]]):
                        self.silent[place] = current.number

    def _hold_silently(self, system: str) -> None:
        """The engine writes in the order of its decisions: what it decided before what has just come back, and what
        the system had already, counts as written."""
        for place, number in [item for item in self.silent.items() if item[0][0] == system and item[1] <= self.heard]:
            del self.silent[place]
            _, name, register = place
            record = self.record(*name)
            side = record.sides.get(system) if record is not None else None
            if record is None or side is None or register not in side.held:
                continue
            if record.version(register).number == number and held_alive(record, side):
                del side.held[register]
                self.dirty[name] = record
                self._done(place)

    # ------------------------------------------------------------ echoes

    def explains(self, transaction: Transaction) -> bool:
        """True if all that an own transaction did is what we know to be due; else its cause may not have been read."""
        return all(self._explains(transaction.system, change) for change in transaction.changes)

    def _explains(self, system: str, change: Change) -> bool:
        table, op, new, old = change
        plain = self.tables[system][table]
        if plain is None:
            return True
        rules, layout, key_of = plain
        row = new if new is not None else old
        record = self.record(rules.name, key_of(row)) if row is not None else None
        if row is None or record is None:
            return False
        side = record.sides.get(system)
        if (op != DELETE) != held_alive(record, side):
            return record.alive == (op != DELETE)
        held = side.held if side is not None else {}
        current = layout.stored_row(record.values)
        for number, value in zip(layout.binding.columns, row, strict=True):
            register = rules.register_of[number]
            if op == DELETE or register < 0 or register in held or value is ABSENT or value == current[number]:
                continue
            return False
        return True

    def _read(self, rules: EntityRules, key: str, op: str, image: Image | None, position: Position, step: Step) -> None:
        if self.own:
            record = self.record(rules.name, key)
            if record is not None and step.system in record.sides:
                begin(rules, record, self.marks)
            side = record.sides.get(step.system) if record is not None else None
            if record is not None and side is not None:
                self._hear((rules.name, key), rules, record, side, op, image, step.system)
                self.dirty[rules.name, key] = record
        super()._read(rules, key, op, image, position, step)

    def _hear(
        self, name: Name, rules: EntityRules, record: Record, side: Side, op: str, image: Image | None, system: str
    ) -> None:
        """The engine in force has written the record there: the system holds what that row says."""
        if op == DELETE or image is None:
            if not record.alive and held_alive(record, side):
                side.held, side.due, side.bad, side.wait = {}, 0, "", 0
                self._heard_all(name, system)
            return
        if not side.bad.startswith(UNREAD):
            side.bad, side.wait = "", 0
        if record.alive and not held_alive(record, side) and not side.out:
            side.held = {EXISTENCE: (record.version(EXISTENCE), (True,))}
            side.held |= {r: (None, ()) for r in rules.all_registers if rules.layouts[system].fields_of[r]}
        for register, entry in list(side.held.items()):
            self._hear_register(name, rules, record, side, register, entry, image, system)
        if side.held.get(EXISTENCE, (None, (False,)))[1] == (True,):
            side.held.pop(EXISTENCE, None)
        if not any(is_due(record, r, entry) for r, entry in side.held.items()):
            side.due = 0

    def _hear_register(
        self, name: Name, rules: EntityRules, record: Record, side: Side, register: int, entry: Held, image: Image,
        system: str,
    ) -> None:  # fmt: skip
        layout = rules.layouts[system]
        fields = layout.fields_of[register]
        if register == EXISTENCE or not fields:
            return
        had: Values = entry[1] or tuple([None] * len(fields))
        now = tuple([h if image[f] is ABSENT else image[f] for f, h in zip(fields, had, strict=True)])
        if entry[1] and now == entry[1]:
            return
        if register in record.holds:
            self.strange[name] = None  # a person has decided: that is not in any log
            return
        if entry[1] and not is_due(record, register, entry):
            return  # something else than our write: what a trigger did beside it, say
        row = layout.stored_row(record.values)
        predicted = tuple([row[f] for f in fields])
        current = record.version(register)
        place = (system, name, register)
        if now == predicted:
            side.held.pop(register)
        else:
            side.held[register] = (OLDER if place in self.passed else current, now)  # type: ignore[assignment]
        if side.held.get(register, (None, ()))[0] != OLDER:
            self.heard = max(self.heard, current.number)
            self._done(place)

    def _done(self, place: tuple[str, Name, int]) -> None:
        self.awaited.pop(place, None)
        self.silent.pop(place, None)
        self.passed.discard(place)

    def _heard_all(self, name: Name, system: str) -> None:
        for place in [p for p in self.awaited if p[0] == system and p[1] == name]:
            self._done(place)

    # ------------------------------------------------------------ what no log tells

    def learn_key(self, entity: str, system: str, key: str, id: str) -> None:
        """The engine in force has made the record there under this key."""
        if self.crossing.keys.id_of(entity, system, key) is None and self.record(entity, id) is not None:
            self._take_key(entity, system, key, id)

    def _take_over(self, name: Name) -> None:
        """What a person decided, or a row that was read again, is in the store of the engine in force, not in a log."""
        found = self.known(name)
        if found is None:
            return
        self.taken_over += 1
        for side in found.sides.values():
            side.due = self.number if side.due else 0
            side.sent, side.sent_due, side.fresh, side.wait = None, 0, [], 0
        self.cache[name[0]][name[1]] = found
        self.dirty[name] = self.touched[name] = found
        self.held = {place for place in self.held if place[:2] != name} | {(*name, r) for r in found.holds}
        for system in self.marks:
            self.quarantined.pop((*name, system), None)
            if system in found.sides and found.sides[system].bad:
                self.quarantined[(*name, system)] = found.sides[system].bad
