"""What is due to whom, and what keeps it waiting: a log not read so far, a row to be read again, quarantine.

Turns decisions into entries of the to-do lists, and the end of a wait into a new one. It writes no system.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.desk.quarantine import WAITS_FOR, Quarantined
from engine.desk.records import Name
from engine.desk.telling import Telling
from engine.errors import ValueRefused
from engine.merge import EntityRules, begin, empty_record
from engine.record import REREAD, UNREAD, Record, Side
from engine.rulebook import EXISTENCE
from engine.vocabulary import Position


class Due(Telling):
    """The room of the to-do lists."""

    def _note_due(self, name: Name, record: Record, systems: Iterable[str]) -> None:
        self.due[name] = None
        systems = list(systems)
        self._owe([(system, name) for system in systems])
        for system in systems:
            if self.stops:
                self._put_off(name, record, system, record.side(system))
            if not self.spilled[system]:
                self.open[system][name] = record
            if self.rules[name[0]].layouts[system].codecs:
                self._check_values(self.rules[name[0]], name[1], record, system)
            if self.quarantined:
                self._released(name, record, system)

    def _due_again(self, name: Name, record: Record, system: str, side: Side) -> None:
        """A write that did not take place is due as a step of its own."""
        self.dirty[name] = record
        if side.out:
            self.stuck.pop((system, name), None)
            return
        self.number += 1
        side.due = self.number
        self._note_again(name, system)
        self._note_due(name, record, [system])

    def _note_again(self, name: Name, system: str) -> None:
        """What waited is due as the step that has just been begun: whoever waits for it waits for that."""
        since = self.stuck.pop((system, name), 0)
        if self.book.synchronous:
            self.again[system, name] = (self.number, min(since, self.again.get((system, name), (0, since))[1]))

    def _ask_again(self, name: Name, system: str) -> None:
        self.rereads[system][name] = None
        self.stuck.setdefault((system, name), self.forgotten)

    def _read_later(self, rules: EntityRules, key: str, system: str) -> None:
        """The log did not carry all that is needed: the row is read, and what it says is taken for the change."""
        record = self.cache[rules.name].get(key)
        if record is None:
            record = self.cache[rules.name][key] = empty_record(rules)
            record.side(system).held = {EXISTENCE: (None, (False,))}
        begin(rules, record, self.marks)
        side = record.side(system)
        side.wait, side.due = REREAD, 0
        self.dirty[(rules.name, key)] = record
        self.due[(rules.name, key)] = None
        self._owe([(system, (rules.name, key))])
        self._ask_again((rules.name, key), system)

    def _check_values(self, rules: EntityRules, key: str, record: Record, system: str) -> None:
        """A value that a target has no counterpart for is noticed when it is decided, not when it is written; where the
        row is to be read again first, after that."""
        side = record.side(system)
        if not record.alive or side.bad.startswith(UNREAD) or side.wait == REREAD:
            return
        try:
            rules.layouts[system].stored_strict(record.values)
        except ValueRefused as error:
            if record.side(system).sent is None:
                self._quarantine(rules, key, record, system, f"cannot be stored: {error.found}")
            else:
                self.unstorable[system][(rules.name, key)] = None

    def _quarantine(self, rules: EntityRules, key: str, record: Record, system: str, reason: str) -> None:
        """The record waits, for this system, until it changes or somebody asks to retry it; all else flows."""
        side = record.side(system)
        side.bad, side.due, side.wait = reason, 0, 0
        self._owe([(system, (rules.name, key))])
        self.stuck.pop((system, (rules.name, key)), None)
        self.dirty[(rules.name, key)] = record
        self.quarantined[(rules.name, key, system)] = reason
        self.delta.quarantine[(rules.name, key, system)] = reason
        self._count("quarantined")

    def _refuse_read(self, rules: EntityRules, key: str, system: str, error: ValueRefused) -> None:
        record = self.cache[rules.name].get(key)
        if record is None:
            record = self.cache[rules.name][key] = empty_record(rules)
            record.side(system).held = {EXISTENCE: (None, (False,))}
        begin(rules, record, self.marks)
        self._quarantine(rules, key, record, system, f"{UNREAD}: {error.found}")

    def _released(self, name: Name, record: Record, system: str) -> None:
        """A record that changed is out of quarantine; so are those that waited for it."""
        place = (*name, system)
        side = record.sides.get(system)
        if place not in self.quarantined or (side is not None and side.bad):
            return
        del self.quarantined[place]
        self.delta.quarantine[place] = None
        if side is not None and side.due and self.book.synchronous:
            self.again[system, name] = (side.due, 0)
        self._release_waiting(system)

    def _release_waiting(self, system: str) -> None:
        """Something has come out of quarantine: what waits there for its parent is tried; it may have been this one."""
        for entity, key, _ in self.quarantined.waiting(WAITS_FOR, system):
            self._try_again((entity, key), system)

    def _retry(self, name: Name, system: str) -> None:
        self._retry_all([(*name, system)])

    def _retry_all(self, places: Iterable[Quarantined]) -> None:
        """Whatever it was: it is tried again, and what waits for its parent with it."""
        systems = {system for entity, key, system in places if self._try_again((entity, key), system)}
        for system in sorted(systems):
            self._release_waiting(system)

    def _try_again(self, name: Name, system: str) -> bool:
        """Takes a record out of quarantine, to be read or written again. False: it is not in it."""
        record = self.record(*name)
        side = record.sides.get(system) if record is not None else None
        if record is None or side is None or not side.bad:
            return False
        unreadable = side.bad.startswith(UNREAD)
        side.bad = ""
        self.quarantined.pop((*name, system), None)
        self.delta.quarantine[(*name, system)] = None
        if unreadable:
            self.again[system, name] = (0, 0)  # since when, is not known
            self._read_later(self.rules[name[0]], name[1], system)
        elif not side.wait:
            self._due_again(name, record, system, side)
        else:
            self.dirty[name] = record  # when that wait ends (its row is to be read again, say), it is due again
        return True

    def _bad_parent(self, rules: EntityRules, record: Record, system: str) -> str | None:
        for number, entity in rules.references:
            value = record.values[number]
            if isinstance(value, str) and (entity, value, system) in self.quarantined:
                return f"{entity} `{value}`"
        return None

    def _missing_parent(self, rules: EntityRules, record: Record, system: str) -> str | None:
        """A record that this one refers to, and that the system has not and is not to get now."""
        if not record.alive:
            return None
        for number, entity in rules.crossed_references:
            value = record.values[number]
            if not isinstance(value, str) or number not in rules.layouts[system].bound:
                continue
            parent = self.record(entity, value)
            if parent is None:
                return f"{entity} `{value}`"
            side = parent.sides.get(system)
            coming = parent.alive and side is not None and side.due and EXISTENCE not in parent.holds
            if system in parent.keys or coming:
                continue
            return f"{entity} `{value}`"
        return None

    def pass_position(self, system: str, position: Position) -> None:
        """Everything in the log of `system` up to `position` has been decided."""
        mark = self.marks[system]
        if position <= mark.read:
            return
        mark.read = position
        self.delta.positions[system] = position
        if self.waiting[system]:
            self._end_waits(system)
        self._forget_recent(system)

    def _end_waits(self, system: str) -> None:
        """Guards that did not match are tried again now that the log has told what had happened, or the row is read."""
        mark = self.marks[system]
        for name, until in list(self.waiting[system].items()):
            if until > mark.read:
                continue
            del self.waiting[system][name]
            record = self.record(*name)
            side = record.sides.get(system) if record is not None else None
            if record is None or side is None or not side.wait:
                self.stuck.pop((system, name), None)
                continue
            if side.heard:
                side.wait = 0
                self._due_again(name, record, system, side)
            else:
                side.wait = REREAD
                self.dirty[name] = record
                self.rereads[system][name] = None

    def _forget_recent(self, system: str) -> None:
        """Separators that the reader has passed need not be remembered, but for the last of them: it tells that all
        batches before it have been passed too."""
        mark = self.marks[system]
        drop = 0
        while drop < len(mark.recent) - 1 and mark.recent[drop + 1][1] <= mark.read:
            drop += 1
        if drop:
            del mark.recent[:drop]
            self.delta.applied_forget[system] = mark.recent[0][0]
