"""Which record a row is: recognised by its identity, known again, or new; and what looks like another one.

Turns a row that was never seen into a record's id, and keeps up by what records are found again. It guesses nothing:
where two records could be meant, a person is asked. It decides no value.
"""

from __future__ import annotations

from engine.crossing import shown
from engine.crossing.identity import Identity, identity_of
from engine.desk.merging import Merging
from engine.merge import (
    LOOKS_LIKE,
    EntityRules,
    Step,
    begin,
    held_alive_next,
    hold_identity,
    release_identity,
    tell_likeness,
)
from engine.record import Record, Side, is_fresh
from engine.rulebook import EXISTENCE
from engine.vocabulary import Image, Position, Values


class Pairing(Merging):
    """The room where rows are recognised."""

    def _pair(self, rules: EntityRules, key: str, raw: Image, position: Position, step: Step) -> str:
        """The record of a row that was never seen; its key means that record from here on."""
        identity = self.crossing.identity(rules, step.system, raw)
        found = self._recognised(rules, identity)
        alive = [id for id in found if self._living(rules, id)]
        id = None
        if len(alive) == 1:
            record = self.record(rules.name, alive[0])
            assert record is not None
            if step.system not in record.keys:
                id = alive[0]
            elif self._is_past(rules, record, step.system, position) and not self._referenced(
                rules, alive[0], step.system
            ):
                self._withdraw(rules, alive[0], record, step)
                id = alive[0]
        elif not alive:
            id = self._remembered(rules, found, step.system)
        if id is None:
            id = self._new_id(rules, step.system, key)
        else:
            self._forget_fresh(rules, id, step.system)
        self._take_key(rules.name, step.system, key, id)
        return id

    def _forget_fresh(self, rules: EntityRules, id: str, system: str) -> None:
        """What we know of the record's former row there tells nothing of this one."""
        record = self.record(rules.name, id)
        if record is not None:
            begin(rules, record, self.marks)
            if system in record.sides:
                record.sides[system].fresh = []

    def _take_key(self, entity: str, system: str, key: str, id: str) -> None:
        """The key means this record from now on. A record that had it before has no row there any more."""
        former = self.crossing.keys.id_of(entity, system, key)
        record = self.record(entity, former) if former not in (None, id) else None
        if former is not None and record is not None and record.keys.get(system) == key:
            record.keys = {s: k for s, k in record.keys.items() if s != system}
            self.dirty[entity, former] = record
        self.crossing.keys.put(entity, system, key, id)
        owner = self.record(entity, id)
        if owner is not None and owner.keys.get(system) != key:
            owner.keys = {**owner.keys, system: key}
            self.dirty[entity, id] = owner

    def _recognised(self, rules: EntityRules, identity: Identity) -> list[str]:
        """The records that the first way which knows any recognises: the living ones, if there are."""
        dead: list[str] = []
        for way, value in enumerate(identity):
            if value is None:
                continue
            found = self.crossing.keys.recognised(rules.name, way, value)
            self._load([(rules.name, id) for id in found])
            alive = [id for id in found if self._living(rules, id)]
            if alive:
                return alive
            dead = dead or found
        return dead

    def _living(self, rules: EntityRules, id: str) -> bool:
        record = self.record(rules.name, id)
        return record is not None and record.alive

    def _is_past(self, rules: EntityRules, record: Record, system: str, position: Position) -> bool:
        """True if we made or removed the system's row of this record later than `position`: nobody had seen that."""
        begin(rules, record, self.marks)
        side = record.sides.get(system)
        return side is not None and is_fresh(side, EXISTENCE, position)

    def _referenced(self, rules: EntityRules, id: str, system: str | None = None) -> bool:
        """True if a record that is alive refers to this one; with `system`: one of which that has a row."""
        for child in self.rules.values():
            for number, parent in child.references:
                if parent != rules.name:
                    continue
                for other in self.crossing.keys.referring(child.name, number, id):
                    record = self.record(child.name, other)
                    if record is not None and (record.alive if system is None else system in record.keys):
                        return True
        return False

    def _withdraw(self, rules: EntityRules, id: str, record: Record, step: Step) -> None:
        """A user made the record in the same moment as we did: ours goes, as nobody can have written it."""
        system = step.system
        key, side = record.keys[system], record.sides[system]
        other = self._new_id(rules, system, key)
        ghost = Record(False, record.values, list(record.table), record.index, {}, {}, {system: key})
        ghost.sides[system] = Side(
            held={**side.held, EXISTENCE: (record.version(EXISTENCE), (True,))}, due=step.due, fresh=list(side.fresh)
        )
        self.cache[rules.name][other] = ghost
        self.dirty[rules.name, other] = ghost
        self._note_due((rules.name, other), ghost, [system])
        self.crossing.index(rules, other, None, ghost.values)  # should a user write it yet, it is to be recognised
        self.crossing.keys.put(rules.name, system, key, other)
        record.keys = {s: k for s, k in record.keys.items() if s != system}
        record.sides[system] = Side(held={EXISTENCE: (None, (False,))}, fresh=[])
        self.dirty[rules.name, id] = record
        step.count("withdrawn")

    def _remembered(self, rules: EntityRules, found: list[str], system: str) -> str | None:
        """The one tombstone, or row that was nobody's, that this may be again."""
        free = []
        for id in found:
            record = self.record(rules.name, id)
            if record is not None and system not in record.keys:
                free.append(id)
        return free[0] if len(free) == 1 else None

    def _new_id(self, rules: EntityRules, system: str, key: str) -> str:
        """A record's id: of where and under which key it was first seen."""
        id = shown(system, key)
        while self.record(rules.name, id) is not None:
            id += "'"
        return id

    # ------------------------------------------------------------ by what it is found again

    def _decided_apart(self, rules: EntityRules, id: str, record: Record, before: Values, step: Step) -> None:
        """A record was changed by no row that was read: it is found again by what it says now."""
        if not rules.entity.crossed:
            return
        if self.crossing.index(rules, id, before, record.values) or not record.alive:
            self._tell_likeness(rules, id, record, before, step)

    def _tell_likeness(self, rules: EntityRules, id: str, record: Record, before: Values | None, step: Step) -> None:
        """A record looks like others now, or no longer like those that it did before: all of them are looked at."""
        concerned = {id: None}
        for values in (before, record.values):
            if values is not None:
                concerned |= dict.fromkeys(self._recognised(rules, identity_of(rules.entity, values)))
        if len(concerned) > 1 or EXISTENCE in record.holds:
            for each in concerned:
                self._judge_likeness(rules, each, step)

    def _judge_likeness(self, rules: EntityRules, id: str, step: Step) -> None:
        """A record that looks like another one is made nowhere before a person has said what it is."""
        record = self.record(rules.name, id)
        if record is None or not record.alive:
            return
        others = [o for o in self._recognised(rules, identity_of(rules.entity, record.values)) if o != id]
        begin(rules, record, self.marks)
        step.touched.clear()
        held = record.holds.get(EXISTENCE, "")
        missing = [s for s, side in record.sides.items() if not held_alive_next(record, side)]
        if others and missing and not held:
            hold_identity(rules, id, record, sorted(others), step)
        elif others and not held:
            tell_likeness(rules, id, record, sorted(others), step)
            return
        elif not others and held.startswith(LOOKS_LIKE):
            release_identity(rules, id, record, step)
        else:
            return
        self.dirty[rules.name, id] = record
        self._note_due((rules.name, id), record, sorted(step.touched))
