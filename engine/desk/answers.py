"""What the targets answer: outcomes of batches, rows read again, and what a ledger knew after a crash.

Turns answers into settled records, waits and further to-do entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from engine.desk.batches import PAGE_RECORDS
from engine.desk.changes import Changes
from engine.desk.quarantine import CONFLICT, WAITS_FOR
from engine.desk.records import Name
from engine.errors import EngineFault, ValueRefused
from engine.merge import DEFAULT, EntityRules, take_defaults
from engine.merge.ownership import forbidden
from engine.ports import Applied
from engine.record import (
    DEFERRED,
    REREAD,
    STOPPED,
    UNREAD,
    UNSET_VERSION,
    Held,
    Record,
    Side,
    held_after,
    held_alive,
    rejoin,
    settle,
)
from engine.rulebook import EXISTENCE
from engine.vocabulary import ABSENT, DELETE, MISSING_PARENT, UPDATE, Outcome, Reread, RowResult, Text


class Answers(Changes):
    """The room where answers are taken in."""

    def recover(self, system: str, outcomes: Iterable[Outcome]) -> None:
        """What the ledger of `system` tells of batches that were committed and never confirmed."""
        for outcome in outcomes:
            if outcome.number_to > self.marks[system].applied:
                # A batch may bear a number that the store never heard of: none is given twice.
                self.number = max(self.number, outcome.number_to)
                self.marks[system].dispatched = outcome.number_to
                self.confirm(outcome)

    def take_up(self) -> None:
        """After all targets have been recovered: what is due is due again, and what waited waits again."""
        for row in list(self.store.pending(0)):
            names = [name for name in row.records if name[0] in self.rules]
            self._load(names)
            for name in names:
                record = self.cache[name[0]].get(name[1])
                if record is not None:
                    self._take_up_record(name, record)
            self._trim()
        self.taken_up = True
        for name, values, outcome in self.late_defaults:
            self._take_defaults(name, values, outcome)
        self.late_defaults = []
        for system in self.marks:
            self._end_waits(system)

    def _take_up_record(self, name: Name, record: Record) -> None:
        for system, side in record.sides.items():
            mark = self.marks[system]
            settle(record, side, mark, self.rules[name[0]].layouts[system])
            if side.sent is not None:
                rejoin(side)  # the batch that was under way when we stopped was never committed
                self.dirty[name] = record
            if side.due > mark.applied and self.rules[name[0]].layouts[system].codecs:
                self._check_values(self.rules[name[0]], name[1], record, system)
            if side.wait and side.wait != STOPPED:
                self.stuck.setdefault((system, name), self.forgotten)
            if side.wait == REREAD:
                self._ask_again(name, system)
            elif side.wait == DEFERRED:
                self.deferred[system][name] = 0  # nobody knows any more what came with it
            elif side.wait > 0:
                self.waiting[system][name] = side.wait
            elif side.due > mark.applied:
                self.spilled[system] = True

    def confirm(self, outcome: Outcome) -> None:
        """A batch has been committed by its target."""
        system = outcome.system
        mark = self.marks[system]
        defaults = self._take_exceptions(outcome)
        self._count("written", outcome.rows)
        mark.applied = outcome.number_to
        # A batch of which nothing was left to write has no separator: the reader is no further for it.
        separator = max(outcome.separator, mark.recent[-1][1] if mark.recent else 0)
        mark.recent.append((outcome.number_to, separator))
        self.delta.applied.append(Applied(system, outcome.number_to, separator))
        for name, values in defaults:
            if self.taken_up:
                self._take_defaults(name, values, outcome)
            else:
                self.late_defaults.append((name, values, outcome))
        self._look_again(system)
        self._forget_recent(system)
        self._end_waits(system)
        if self.quarantined and any(e.kind == "created" for e in outcome.exceptions):
            self._release_waiting(system)

    def _take_exceptions(self, outcome: Outcome) -> list[tuple[Name, dict[int, Text]]]:
        """Page by page, as a batch larger than memory is answered with a key for every row that it made. Returns what
        was stored in fields that nobody had set."""
        defaults: list[tuple[Name, dict[int, Text]]] = []
        # What was refused last: whether a parent is only late is known then.
        exceptions = sorted(outcome.exceptions, key=lambda e: e.kind == "failed")
        for at in range(0, len(exceptions), PAGE_RECORDS):
            if at:
                self._write_answered()
            page = exceptions[at : at + PAGE_RECORDS]
            self._load([(e.entity, e.key) for e in page])
            for entity in self.rules:
                made = [e.made for e in page if e.kind == "created" and e.entity == entity]
                self.crossing.keys.fetch(entity, outcome.system, made)
            for exception in page:
                self._except(outcome, exception, defaults)
        return defaults

    def _write_answered(self) -> None:
        """What is known by now goes into the store's open transaction, and is committed with the rest."""
        self.wait_until_stored()
        self._write()
        self._trim()

    def _look_again(self, system: str) -> None:
        """Values that cannot be stored, of records that changed while a write of them was under way."""
        names, self.unstorable[system] = self.unstorable[system], {}
        for name in names:
            record = self.record(*name)
            side = record.sides.get(system) if record is not None else None
            if record is not None and side is not None:
                settle(record, side, self.marks[system], self.rules[name[0]].layouts[system])
                self._check_values(self.rules[name[0]], name[1], record, system)

    def _except(self, outcome: Outcome, exception: RowResult, defaults: list[tuple[Name, dict[int, Text]]]) -> None:
        """One row of a batch that was not simply written as asked."""
        system = outcome.system
        name = (exception.entity, exception.key)
        record = self.record(*name)
        if record is None:
            raise EngineFault(f"{system} answers for a record of `{exception.entity}` that is not in the store")
        side = record.side(system)
        settle(record, side, self.marks[system], self.rules[name[0]].layouts[system])
        self.dirty[name] = record
        if exception.kind == "created":
            self._made(name, system, exception.made)
        if exception.kind in ("stored", "created"):
            stored = self._understood(name[0], system, exception.stored)
            unset = _note_stored(self.rules[name[0]], record, side, system, stored)
            if unset:
                defaults.append((name, unset))
            return
        changed_since = side.sent is not None
        step = side.sent_due if changed_since else side.due
        rejoin(side)
        side.due = 0
        self.stuck.setdefault((system, name), self.marks[system].applied)
        self._count(exception.kind)
        if exception.kind == "unmatched":
            side.wait, side.heard = outcome.separator, False
            self.waiting[system][name] = outcome.separator
        elif not changed_since and self._stopped_parent(self.rules[name[0]], record, system):
            self._due_again(name, record, system, side)
        elif exception.kind == "deferred" or self._late_parent(self.rules[name[0]], record, system):
            side.wait = DEFERRED
            self.deferred[system][name] = step
        elif changed_since:
            self._due_again(name, record, system, side)  # what was refused is no longer what would be written
        else:
            rules = self.rules[name[0]]
            parent = self._bad_parent(rules, record, system)
            reason = f"{WAITS_FOR} {parent}, which is in quarantine" if parent else exception.reason
            if not parent and exception.reason.startswith(MISSING_PARENT):
                missing = self._missing_parent(rules, record, system) or "a record"
                reason = f"{WAITS_FOR} {missing}, which is not in {system}"
            self._quarantine(rules, name[1], record, system, reason)

    def _made(self, name: Name, system: str, key: str) -> None:
        """The target has made the record under a key of its own: from here on that key means it."""
        self._take_key(name[0], system, key, name[1])

    def _understood(self, entity: str, system: str, stored: dict[int, Text]) -> dict[int, Text]:
        """What a target really stored, its keys and codes translated. What means nothing to us the log will tell."""
        translation = self.crossing.translations.get((entity, system))
        if translation is None:
            return stored
        understood: dict[int, Text] = {}
        for number, text in stored.items():
            with suppress(ValueRefused):
                understood[number] = text if text is None else translation.value(number, text)
        return understood

    def _late_parent(self, rules: EntityRules, record: Record, system: str) -> bool:
        """True if a record that this one refers to is still to be created there: its row was locked, say."""
        for number, entity in rules.references:
            value = record.values[number]
            parent = self.record(entity, value) if isinstance(value, str) else None
            side = parent.sides.get(system) if parent is not None else None
            if parent is not None and side is not None and parent.alive and side.wait and not held_alive(parent, side):
                return True
        return False

    def _take_defaults(self, name: Name, values: dict[int, Text], outcome: Outcome) -> None:
        """A field that nobody had set got the target's own default; if the target owns it, that is its value now."""
        system = outcome.system
        rules = self.rules[name[0]]
        layout = rules.layouts[system]
        record = self.record(*name)
        if record is None:
            return
        registers = {n: rules.registers[rules.register_of[n]] for n in values}
        owned = {n: v for n, v in values.items() if forbidden(registers[n], system, record.values) is None}
        if not owned:
            return
        image = tuple([owned.get(n, ABSENT) for n in range(layout.width)])
        step = self._step(system, 0, outcome.separator, DEFAULT)
        before = record.values
        take_defaults(rules, name[1], record, image, step)
        self.dirty[name] = record
        self._note_due(name, record, sorted(step.touched))
        self._decided_apart(rules, name[1], record, before, step)
        self._close(step)

    def retry_deferred(self, system: str) -> None:
        """The pause for rows that users had locked is over."""
        names, self.deferred[system] = self.deferred[system], {}
        for step in sorted(set(names.values())):
            self.number += 1
            for name in [name for name, came in names.items() if came == step]:
                record = self.record(*name)
                side = record.sides.get(system) if record is not None else None
                if record is not None and side is not None and side.wait == DEFERRED:
                    side.wait = 0
                    self._note_again(name, system)
                    side.due = self.number  # what came together goes together, and nothing else with it
                    self.dirty[name] = record
                    self._note_due(name, record, [system])
                elif side is None or not side.wait:
                    self.stuck.pop((system, name), None)  # by now there is nothing to be written there

    def not_there(self, system: str, entity: str, id: str) -> None:
        """Nothing can be read of this record: the system has no row of it. Its key may be another record's."""
        rules, record = self.rules[entity], self.record(entity, id)
        key = self._wanted_key(rules, record, system) if record is not None and system not in record.keys else None
        other = self.crossing.keys.id_of(entity, system, key) if key is not None else None
        if record is None or other in (None, id):
            self.reread(Reread(system, entity, id, None, self.marks[system].read))
        else:
            self._quarantine(rules, id, record, system, f"{CONFLICT}: its key there is that of {entity} `{other}`")

    def reread(self, answer: Reread) -> None:
        """A row as it is in a system now: what its log did not tell is taken for a user's write."""
        rules = self.rules[answer.entity]
        name = (answer.entity, answer.key)
        self._load([name])
        if answer.own and (answer.own != self.own_key(answer.system, *name) or self._too_soon(answer)):
            self.rereads[answer.system][name] = None  # its key has changed since it was asked for, or may be ours
            return
        record = self.cache[name[0]].get(name[1])
        if record is not None and answer.system in record.sides:
            side = record.sides[answer.system]
            if self.marks[answer.system].under_way(side):
                self.rereads[answer.system][name] = None  # only the outcome tells what the row means
                return
            if side.bad.startswith(UNREAD):  # refused once more since it was asked for: this is the whole row
                side.bad = ""
                self.quarantined.pop((*name, answer.system), None)
                self.delta.quarantine[(*name, answer.system)] = None
        self._count("reread")
        step = self._step(answer.system, 0, answer.position)
        step.reason = "unlogged"
        if rules.entity.crossed:
            name = (answer.entity, self._read_again(rules, answer, step))
        else:
            op = DELETE if answer.row is None else UPDATE
            self._read(rules, answer.key, op, answer.row, answer.position, step)
        self._close(step)
        record = self.record(*name)
        if record is None:
            return
        side = record.side(answer.system)
        side.wait = 0
        self.dirty[name] = record
        if side.bad:
            return
        side.fresh.append((answer.position, []))
        self._due_again(name, record, answer.system, side)


def _note_stored(
    rules: EntityRules, record: Record, side: Side, system: str, stored: dict[int, Text]
) -> dict[int, Text]:
    """The target stored something else than it was sent: that is what it holds, of the version that was sent.

    Returns the fields among them that nobody had set before."""
    layout = rules.layouts[system]
    after: dict[int, Held] = side.sent if side.sent is not None else held_after(record, side)
    unset: dict[int, Text] = {}
    for number, value in stored.items():
        register = rules.register_of[number]
        if register <= EXISTENCE:
            continue
        version, values = after.get(register) or (record.version(register), layout.stored(register, record.values))
        changed = list(values)
        changed[layout.fields_of[register].index(number)] = value
        after[register] = (version, tuple(changed))
        if version == UNSET_VERSION:
            unset[number] = value
    if side.sent is None:
        side.sent, side.sent_due = after, side.due
    return unset
