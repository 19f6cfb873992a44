"""Records whose systems have keys of their own: whose rows a transaction changed, and which records these are.

Turns a transaction's changes of such tables into images of records and hands them to the merge. A row that was never
seen is paired with a record by its identity, or makes a new one; what cannot be told is left to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from engine.assembly import KEY_SEPARATOR, PartRows
from engine.crossing.staging import Place, Staged
from engine.crossing.translate import unknown_reference
from engine.desk.pairing import Pairing
from engine.desk.quarantine import CONFLICT
from engine.errors import TableTruncated, ValueRefused
from engine.merge import EntityRules, Step, begin, journal_entry
from engine.record import REREAD, UNSET_VERSION, Record, held_alive, held_row
from engine.rulebook import EXISTENCE
from engine.vocabulary import (
    DELETE,
    INSERT,
    MISSING_CODE,
    TRUNCATE,
    UPDATE,
    Change,
    Image,
    Position,
    Reread,
    Transaction,
    Values,
)


class Crossed(Pairing):
    """The room where rows become records."""

    def _decide_crossed(self, transaction: Transaction, changes: list[Change], step: Step) -> None:
        """Decides the changes of such tables: first what is gone, then parents before children."""
        staged = self._stage(transaction, changes)
        self._judge(staged.rows, transaction.position, step)

    def _stage(self, transaction: Transaction, changes: list[Change]) -> Staged:
        """What the changes did to records; the kept rows and codes are brought up to date."""
        system = transaction.system
        staging = self.crossing.staging[system]
        concerned = [change for change in changes if change[0] in staging.concerned]
        for table, op, _, _ in concerned:
            if op == TRUNCATE:
                self._refuse_truncation(system, table)
        staged = staging.stage(concerned)
        for table in staged.codes:
            self.crossing.codes_changed(system, table, concerned)
            self._retry_codes(system)
        for entity, former, key in staged.renamed:
            self._rename(self.rules[entity], transaction, former, key)
        return staged

    def _judge(self, rows: Mapping[Place, PartRows | None], position: Position, step: Step) -> None:
        """Decides records by their rows as they are now."""
        gone: list[tuple[EntityRules, str, PartRows | None, bool]] = []
        there: list[tuple[int, EntityRules, str, Image]] = []
        for (entity, key), parts in rows.items():
            rules = self.rules[entity]
            was = partial(self._was, rules, key, step.system)
            image, left = self.crossing.raw_image(rules, step.system, parts, was)
            if image is None:
                gone.append((rules, key, parts, left))
            else:
                there.append((rules.rank, rules, key, image))
        # Whether others still refer to what is gone is known only when they have been read.
        first = [item for item in gone if item[0].entity.delete[step.system] != "restrict"]
        last = [item for item in gone if item[0].entity.delete[step.system] == "restrict"]
        ended = {self._ended(rules, key, parts is None, left, position, step) for rules, key, parts, left in first}
        moved = self._came(sorted(there, key=lambda item: item[0]), position, step)
        ended |= {self._ended(rules, key, parts is None, left, position, step) for rules, key, parts, left in last}
        self._tell_joined(moved, ended, step)

    def _was(self, rules: EntityRules, key: str, system: str) -> bool:
        """True if, as far as we know, a system has a row of a record under this key, and has not put it away."""
        id = self.crossing.keys.id_of(rules.name, system, key)
        record = self.record(rules.name, id) if id is not None else None
        side = record.sides.get(system) if record is not None else None
        return record is not None and held_alive(record, side) and not (side is not None and side.out)

    def _refuse_truncation(self, system: str, table: int) -> None:
        named = self.book.tables[system][table]
        raise TableTruncated(
            f"table `{named.schema}.{named.name}` was emptied by TRUNCATE",
            system=system,
            mend="fill it again from a backup or by hand, then `duolog run RULES --merge-again`: the systems are "
            "compared anew. A record whose root row is missing is created there; a part that is missing counts as "
            "NULL, as if a user had emptied it",
        )

    def _rename(self, rules: EntityRules, transaction: Transaction, former: str, key: str) -> None:
        """A row's key was changed: it is the same record."""
        entity, system, position = rules.name, transaction.system, transaction.position
        id = self.crossing.keys.id_of(entity, system, former)
        record = self.record(entity, id) if id is not None else None
        if id is None or (record is not None and self._is_past(rules, record, system, position)):
            return  # the former key means a row that we made later: the renamed one is recognised by what it says
        if transaction.own and record is not None and self._held_key(rules, record, system) == former:
            return  # likewise, made by this very transaction: its outcome has told already whose key that is now
        alias = self.crossing.keys.is_alias(entity, system, former)
        self.crossing.keys.remove(entity, system, former)
        self.crossing.keys.put(entity, system, key, id, alias=alias)
        if record is not None and record.keys.get(system) == former:
            record.keys = {**record.keys, system: key}
            self.dirty[entity, id] = record
        self._retry_conflicts(entity, system)

    # ------------------------------------------------------------ rows that are there

    def _came(
        self, there: Iterable[tuple[int, EntityRules, str, Image]], position: Position, step: Step
    ) -> set[tuple[str, str, str]]:
        """Rows that are records. A row may refer to one that comes later: such are tried again when that is known.

        Returns the references that were changed: (entity referred to, former record, present one)."""
        moved: set[tuple[str, str, str]] = set()
        known: list[tuple[EntityRules, str, str, Image, bool]] = []
        for _, rules, key, raw in there:
            if self.crossing.keys.is_alias(rules.name, step.system, key):
                step.count("noise")
                continue
            id = self.crossing.keys.id_of(rules.name, step.system, key)
            if id is None:
                known.append((rules, key, self._pair(rules, key, raw, position, step), raw, True))
            else:
                known.append((rules, key, id, raw, False))
        for rules, key, id, raw, first in known:
            before = self._image(rules, key, id, raw, INSERT if first else UPDATE, position, step)
            after = self.cache[rules.name].get(id)
            for number, parent in rules.references:
                if before is not None and after is not None and before[number] and after.values[number]:
                    moved.add((parent, str(before[number]), str(after.values[number])))
        for rules, key, _, _, first in known:
            if first:
                self._retry_unknown(rules.name, key, step.system)
        return moved

    def _tell_joined(self, moved: set[tuple[str, str, str]], ended: set[tuple[str, str] | None], step: Step) -> None:
        """One transaction ended a record and re-pointed what referred to it: the application joined it into another."""
        for entity, former, now in sorted(moved):
            if (entity, former) in ended and former != now:
                because = f"{step.system} joined it into {now}: what referred to it refers to that now"
                step.journal.append(
                    journal_entry(
                        self.rules[entity], former, EXISTENCE, "joined", because, step.version, (), None, (), step
                    )
                )

    def _image(
        self, rules: EntityRules, key: str, id: str, raw: Image, op: str, position: Position, step: Step
    ) -> Values | None:
        """One row's image, translated and merged. Returns the record's values as they were before."""
        system = step.system
        record = self.record(rules.name, id)
        before = record.values if record is not None else None
        if record is not None and self._is_past(rules, record, system, position):
            step.count("noise")
            return before
        lived = record is not None and record.alive
        side = record.sides.get(system) if record is not None else None
        parked = self._parked(record, system)
        if side is not None and side.out:
            op = INSERT  # it left, or was nobody's: now it is there again
        try:
            image = self.crossing.translations[rules.name, system].image(raw)
        except ValueRefused as error:
            self._refuse_read(rules, id, system, error)
        else:
            self._read(rules, id, op, image, position, step)
        record = self.cache[rules.name].get(id)
        if record is None:
            return before
        if record.keys.get(system) != key:
            record.keys = {**record.keys, system: key}
            self.dirty[rules.name, id] = record
        self._read_parked(rules, id, record, parked)
        self._recognise_alone(rules, id, record, raw, system, parked)
        renamed = self.crossing.index(rules, id, before, record.values)
        if renamed or (record.alive and not lived) or EXISTENCE in record.holds:
            self._tell_likeness(rules, id, record, before, step)
        return before

    def _recognise_alone(
        self, rules: EntityRules, id: str, record: Record, raw: Image, system: str, parked: list[str]
    ) -> None:
        """A row that is nobody's is found by what it says itself, until the record is everybody's."""
        side = record.sides.get(system)
        if not record.alive and side is not None and side.out:
            self.crossing.recognise_alone(rules, id, self.crossing.identity(rules, system, raw))
        elif record.alive and parked:
            self.crossing.recognise_alone(rules, id, (None,) * len(rules.entity.identities))

    def _parked(self, record: Record | None, system: str) -> list[str]:
        """Systems that have a row of the record which is not kept in step."""
        if record is None:
            return []
        return [s for s, side in record.sides.items() if s != system and side.out and s in record.keys]

    def _read_parked(self, rules: EntityRules, id: str, record: Record, parked: list[str]) -> None:
        """The record is everybody's now: rows of it that were left alone are read, not made a second time."""
        for system in parked:
            side = record.sides.get(system)
            if side is not None and not side.out and not held_alive(record, side):
                side.wait, side.due = REREAD, 0
                self.open[system].pop((rules.name, id), None)
                self._ask_again((rules.name, id), system)

    def own_key(self, system: str, entity: str, id: str) -> str | None:
        """Under which key a system has a record, or is to have it; None if that is not known, or another's."""
        rules = self.rules[entity]
        if not rules.entity.crossed:
            return id
        record = self.record(entity, id)
        if record is None or system in record.keys:
            return record.keys[system] if record is not None else None
        key = self._wanted_key(rules, record, system)
        return key if key is not None and self.crossing.keys.id_of(entity, system, key) in (None, id) else None

    def _wanted_key(self, rules: EntityRules, record: Record, system: str) -> str | None:
        """The key that a record will have in a system, where the record's own fields are that key."""
        return self._key_in(rules, rules.layouts[system].stored_row(record.values), system)

    def _held_key(self, rules: EntityRules, record: Record, system: str) -> str | None:
        """The key that a record has in a system, as far as we know, where the record's own fields are that key."""
        begin(rules, record, self.marks)
        side = record.sides.get(system)
        there = held_alive(record, side)
        return self._key_in(rules, held_row(record, side, rules.layouts[system]), system) if there else None

    def _key_in(self, rules: EntityRules, row: Values, system: str) -> str | None:
        """The key that a row, as a system stores it, says itself."""
        fields = self.crossing.staging[system].assemblies[rules.name].key_fields
        values = [row[number] if number >= 0 else None for number in fields]
        if not values or not all(isinstance(value, str) for value in values):
            return None
        return KEY_SEPARATOR.join(map(str, values))

    def _read_again(self, rules: EntityRules, answer: Reread, step: Step) -> str:
        """What a record's rows are now in a system; returns its id: another one, if it is recognised only now."""
        system, id = answer.system, answer.key
        image, left = self.crossing.raw_image(rules, system, answer.parts)
        record = self.record(rules.name, id)
        key = self.own_key(system, rules.name, id)
        if record is None or key is None or (system not in record.keys and image is None):
            self._read(rules, id, DELETE, None, answer.position, step)
            if record is not None and answer.parts is not None:
                self._quarantine(rules, id, record, system, f"{CONFLICT}: a row with its key is there, and no record")
            return id
        if image is None:
            self._ended(rules, key, answer.parts is None, left, answer.position, step)
            return id
        if record.version(EXISTENCE) == UNSET_VERSION and not record.alive:
            id = self._repaired(rules, id, record, key, image, system)
        self._take_key(rules.name, system, key, id)
        self._image(rules, key, id, image, UPDATE, answer.position, step)
        self._retry_unknown(rules.name, key, system)
        return id

    def _too_soon(self, answer: Reread) -> bool:
        """True if the row may be one of a record that a batch under way makes there: it has yet to be recognised."""
        mark = self.marks[answer.system]
        if not self.rules[answer.entity].entity.crossed or mark.applied == mark.dispatched:
            return False
        record = self.record(answer.entity, answer.key)
        return record is None or record.version(EXISTENCE) == UNSET_VERSION

    def _repaired(self, rules: EntityRules, id: str, record: Record, key: str, raw: Image, system: str) -> str:
        """A row that could not be understood when it was first seen, and so not be recognised: now it may be."""
        found = [other for other in self._recognised(rules, self.crossing.identity(rules, system, raw)) if other != id]
        if len(found) != 1 or (other := self.record(rules.name, found[0])) is None or system in other.keys:
            return id
        record.keys, record.sides = {}, {}
        self.dirty[rules.name, id] = record
        return found[0]

    # ------------------------------------------------------------ rows that are gone

    def _ended(
        self, rules: EntityRules, key: str, absent: bool, left: bool, position: Position, step: Step
    ) -> tuple[str, str] | None:
        """There is no such record in the system any more: its row is gone (`absent`), or says so, or has `left`.

        Returns which record that was."""
        system, keys = step.system, self.crossing.keys
        id = keys.id_of(rules.name, system, key)
        record = self.record(rules.name, id) if id is not None else None
        if id is None or record is None or record.keys.get(system) != key:
            if absent:
                keys.remove(rules.name, system, key)
            step.count("noise")
            return None
        if self._is_past(rules, record, system, position):
            step.count("noise")
            return None
        step.leaving = left
        step.referenced = rules.entity.delete[system] == "restrict" and self._referenced(rules, id)
        self._read(rules, id, DELETE, None, position, step)
        step.leaving = step.referenced = False
        self._tell_likeness(rules, id, record, None, step)
        if absent:
            record.keys = {s: k for s, k in record.keys.items() if s != system}
            keys.remove(rules.name, system, key)
            self.dirty[rules.name, id] = record
            self._retry_conflicts(rules.name, system)
        return rules.name, id

    # ------------------------------------------------------------ what waited for it

    def _retry_unknown(self, entity: str, key: str, system: str) -> None:
        """A key means a record now: rows that refer to it are read again."""
        self._retry_all(self.quarantined.waiting(unknown_reference(entity, key), system))

    def _retry_codes(self, system: str) -> None:
        """A code table has changed: what lacked a code is tried again."""
        self._retry_all(self.quarantined.waiting(MISSING_CODE, system))

    def _retry_conflicts(self, entity: str, system: str) -> None:
        """A key has become free: what wanted it is tried again."""
        self._retry_all(place for place in self.quarantined.waiting(CONFLICT, system) if place[0] == entity)
