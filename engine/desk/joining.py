"""Two records that are one: joined by a person, with everything that refers to them.

Turns a request into one record with the keys of both, and references re-pointed in every system. What a record loses
stays in the journal. It deletes no row: where both have one, the other is left over, and means the same record.
"""

from __future__ import annotations

from engine.desk.knots import Knots
from engine.merge import EntityRules, Step, accept, begin, journal_entry
from engine.record import FOREIGN, REREAD, Held, Record
from engine.rulebook import EXISTENCE
from engine.vocabulary import UNSET


class Joining(Knots):
    """The room where records are joined."""

    def _request_join(self, arguments: dict[str, str], asked_at: int) -> str | None:
        """Joins a record into another one. None: not now, a write of one of them is under way."""
        rules = self.rules.get(arguments["entity"])
        if rules is None or not rules.entity.crossed:
            return "only records whose systems have keys of their own can be joined"
        loser, survivor = arguments["key"], arguments["into"]
        old, new = self.record(rules.name, loser), self.record(rules.name, survivor)
        if old is None or new is None or loser == survivor or not new.alive:
            return "there are no such two records"
        for record in (old, new):
            begin(rules, record, self.marks)
            if any(self.marks[system].under_way(side) for system, side in record.sides.items()):
                return None
        step = self._step("", asked_at, 0, f"joined by {arguments.get('by', 'a person')}")
        because = f"{step.version.note}: into {survivor}"
        step.journal.append(
            journal_entry(rules, loser, EXISTENCE, "resolved", because, step.version, (), None, (), step)
        )
        foreign = self._hand_over(rules, loser, old, survivor, new)
        self._bury(rules, loser, old, step)
        self._tell_likeness(rules, loser, old, None, step)
        children = self._re_point(rules, loser, survivor, foreign, step)
        self._close(step)
        return f"joined; {children} references re-pointed"

    def _hand_over(self, rules: EntityRules, loser: str, old: Record, survivor: str, new: Record) -> dict[str, str]:
        """The keys of one mean the other from now on. Returns, by system, what a reference to the former is now."""
        stored: dict[str, str] = {}
        for system, key in old.keys.items():
            alias = system in new.keys
            self.crossing.keys.put(rules.name, system, key, survivor, alias=alias)
            stored[system] = survivor + FOREIGN + key if alias else survivor
            if not alias:
                new.keys = {**new.keys, system: key}
                side = new.side(system)
                side.held, side.sent, side.sent_due, side.out = {EXISTENCE: (None, (False,))}, None, 0, False
                side.wait, side.due = REREAD, 0
                self.dirty[rules.name, survivor] = new
                self._ask_again((rules.name, survivor), system)
        return stored

    def _bury(self, rules: EntityRules, id: str, record: Record, step: Step) -> None:
        """The record is no more; nothing is written for it."""
        for register in record.holds:
            step.holds[(rules.name, id, register)] = None
        for system in list(rules.layouts):
            if self.quarantined.pop((rules.name, id, system), None) is not None:
                self.delta.quarantine[(rules.name, id, system)] = None
        self.crossing.index(rules, id, record.values, (UNSET,) * len(record.values))
        record.alive, record.holds, record.keys, record.sides = False, {}, {}, {}
        record.accept([EXISTENCE], step.version)
        self.dirty[rules.name, id] = record

    def _re_point(self, rules: EntityRules, loser: str, survivor: str, foreign: dict[str, str], step: Step) -> int:
        """Everything that refers to the one refers to the other; returns how many references that were."""
        count = 0
        for child in self.rules.values():
            for number, parent in child.references:
                if parent != rules.name:
                    continue
                for id in self.crossing.keys.referring(child.name, number, loser):
                    record = self.record(child.name, id)
                    if record is not None and child.register_of[number] not in record.holds:
                        self._re_point_one(child, id, record, number, loser, survivor, foreign, step)
                        count += 1
        return count

    def _re_point_one(
        self, child: EntityRules, id: str, record: Record, number: int, loser: str, survivor: str,
        foreign: dict[str, str], step: Step,
    ) -> None:  # fmt: skip
        begin(child, record, self.marks)
        step.touched.clear()
        register = child.register_of[number]
        before = record.values
        written = {f: record.values[f] for f in child.registers[register].fields} | {number: survivor}
        accept(child, record, [register], written, step.version, step)
        for system, side in record.sides.items():
            fields = child.layouts[system].fields_of[register]
            if number not in fields:
                continue
            place = fields.index(number)
            for layer in (side.held, side.sent or {}):
                if register in layer and layer[register][1][place] == loser and system in foreign:
                    layer[register] = _with(layer[register], place, foreign[system])
        self.crossing.index(child, id, before, record.values)
        self.dirty[child.name, id] = record
        self._note_due((child.name, id), record, sorted(step.touched))


def _with(held: Held, place: int, value: str) -> Held:
    """What is held, with another stored value in one place."""
    version, stored = held
    return version, (*stored[:place], value, *stored[place + 1 :])
