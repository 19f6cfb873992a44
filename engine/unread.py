"""What a system has now, against what it is believed to have: the difference, as the changes of one transaction.

Turns a picture of a system and what is known of its records into the changes that nobody has read in its log yet (or
that no log told): deciding them is `engine.decide`'s, as of any transaction. It writes nothing, and knows no time: when
such a change was committed nobody can tell. Rows that differ are in memory, and the keys of what was seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from engine.assembly import KEY_SEPARATOR, key_of
from engine.crossing import OWN_KEYS
from engine.crossing.rows import row_space
from engine.decide import Decider
from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.ports import Snapshot
from engine.record import Mark, Record, decode, held_alive, held_row, settle
from engine.rulebook import Table
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Change, Image, Reread, Row, Transaction

CHUNK_ROWS = 2_000
"""Rows looked at between two questions to the store, and in one part of a large transaction."""
WHOLE_ROWS_MAX = 5_000
"""A transaction of more changes is decided part by part."""


@dataclass(slots=True)
class Unread:
    """One system. `desk` knows the records; nothing may be under way to the system."""

    desk: Decider
    system: str
    picture: Snapshot

    def transaction(self) -> Transaction:
        """All that differs, at the picture's position."""
        changes = [change for each in self._tables() for change in each]
        spool = _parts(changes) if len(changes) > WHOLE_ROWS_MAX else None
        listed = [] if spool is not None else changes
        return Transaction(self.system, self.picture.position, 0, False, listed, len(changes), spool)

    def reread(self) -> bool:
        """Answers the desk's questions for rows. True if there were any."""
        wanted, self.desk.rereads[self.system] = self.desk.rereads[self.system], {}
        by_entity: dict[str, dict[str, str]] = {}
        for entity, id in wanted:
            own = self.desk.own_key(self.system, entity, id)
            if own is None:
                self.desk.not_there(self.system, entity, id)
            else:
                by_entity.setdefault(entity, {})[own] = id
        for entity, ids in by_entity.items():
            for answer in self._answers(self.desk.rules[entity], ids):
                self.desk.reread(answer)
        return bool(wanted)

    def _answers(self, rules: EntityRules, ids: Mapping[str, str]) -> Iterator[Reread]:
        if not rules.entity.crossed:
            rows = {key: row for key, row in self.picture.rows(rules.name) if key in ids}
            for own, id in ids.items():
                yield Reread(self.system, rules.name, id, rows.get(own), self.picture.position, None, own)
            return
        staging = self.desk.crossing.staging[self.system]
        table = staging.assemblies[rules.name].parts[0].table
        found: dict[str, Row] = {}
        if table not in staging.rows or len(staging.assemblies[rules.name].parts) == 1:
            for row in self.picture.table(table):
                key = key_of(staging.tables[table], row)
                if key in ids:
                    found[key] = row
        for own, id in ids.items():
            parts = (found[own],) if own in found else None
            if len(staging.assemblies[rules.name].parts) > 1:
                parts = staging.assembled(rules.name, own)  # type: ignore[assignment]
            yield Reread(self.system, rules.name, id, None, self.picture.position, parts, own)

    # ------------------------------------------------------------ one table a record

    def _tables(self) -> Iterator[Iterator[Change]]:
        for binding in self.desk.book.bound[self.system]:
            if binding.assembly is None:
                yield self._plain(self.desk.rules[binding.entity])
        staging = self.desk.crossing.staging.get(self.system)
        for number in sorted(staging.concerned) if staging is not None else ():
            yield self._crossed(number)

    def _plain(self, rules: EntityRules) -> Iterator[Change]:
        """The system's rows and the known records side by side, both ascending by key."""
        layout = rules.layouts[self.system]
        table = layout.binding.table
        known = ((key, decode(state)) for key, state in self.desk.store.scan(rules.name))
        record = next(known, None)
        for key, image in self.picture.rows(rules.name):
            while record is not None and record[0] < key:
                yield from self._gone(rules, record[1])
                record = next(known, None)
            mine = record[1] if record is not None and record[0] == key else None
            op = self._differs(rules, mine, image)
            if op:
                yield (table, op, tuple([image[f] for f in layout.binding.columns]), None)
            if mine is not None:
                record = next(known, None)
        while record is not None:
            yield from self._gone(rules, record[1])
            record = next(known, None)

    def _gone(self, rules: EntityRules, record: Record) -> Iterator[Change]:
        layout = rules.layouts[self.system]
        if self._is_there(rules, record):
            row = held_row(record, record.sides.get(self.system), layout)
            old = tuple([ABSENT if isinstance(row[f], bool) else row[f] for f in layout.binding.columns])
            yield (layout.binding.table, DELETE, None, old)  # type: ignore[misc]

    def _is_there(self, rules: EntityRules, record: Record) -> bool:
        """True if we believe that the system has a row of the record, and that is kept in step."""
        side = record.sides.get(self.system)
        if side is not None:
            settle(record, side, self._mark, rules.layouts[self.system])
        return held_alive(record, side) and not (side is not None and side.out)

    def _differs(self, rules: EntityRules, record: Record | None, image: Image) -> str:
        """How a row differs from what is believed: as INSERT, UPDATE, or not at all."""
        if record is None:
            return INSERT
        side = record.sides.get(self.system)
        if not self._is_there(rules, record):
            return "" if side is not None and side.out else INSERT
        if side is not None and (side.wait or side.bad):
            return UPDATE
        return UPDATE if image != by_bound(held_row(record, side, rules.layouts[self.system]), image) else ""

    @property
    def _mark(self) -> Mark:
        return self.desk.marks[self.system]

    # ------------------------------------------------------------ keys of their own

    def _crossed(self, number: int) -> Iterator[Change]:
        """A table of records that have a key of their own in each system: what differs, then what is gone."""
        staging = self.desk.crossing.staging[self.system]
        table = staging.tables[number]
        kept = number in staging.rows
        seen: set[str] = set()
        rows = self.picture.table(number)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            keys = [key_of(table, row) for row in chunk]
            seen.update(keys)
            if kept:
                staging.rows.fetch(number, keys)
            for entity in staging.direct.get(number, ()):
                self.desk.crossing.keys.fetch(entity, self.system, keys)
            for key, row in zip(keys, chunk, strict=True):
                had = staging.rows.row(number, key) if kept else None
                differs = kept and had != row
                differs = differs or any(self._differs_alone(e, key, row) for e in staging.direct.get(number, ()))
                if differs:
                    yield (number, INSERT if kept and had is None else UPDATE, row, None)
        yield from self._gone_keys(number, seen)

    def _differs_alone(self, entity: str, key: str, row: Row) -> bool:
        """True if a record's only row is not as we believe."""
        rules, crossing = self.desk.rules[entity], self.desk.crossing
        id = crossing.keys.id_of(entity, self.system, key)
        record = self.desk.record(entity, id) if id is not None else None
        raw, _ = crossing.raw_image(rules, self.system, (row,))
        if crossing.keys.is_alias(entity, self.system, key) or record is None:
            return raw is not None and record is None
        if raw is None:
            return self._is_there(rules, record)
        try:
            image = crossing.translations[entity, self.system].image(raw)
        except ValueRefused:
            return True
        return bool(self._differs(rules, record, image))

    def _gone_keys(self, number: int, seen: set[str]) -> Iterator[Change]:
        staging = self.desk.crossing.staging[self.system]
        gone: set[str] = set()
        if number in staging.rows:
            space = row_space(self.system, staging.tables[number])
            gone.update(key for key, _, _ in self.desk.store.entries(space) if key not in seen)
        for entity in staging.direct.get(number, ()):
            for key, id, _ in self.desk.store.entries(f"{OWN_KEYS}{entity}/{self.system}"):
                record = self.desk.record(entity, id) if key not in seen else None
                if record is not None and record.keys.get(self.system) == key:
                    gone.add(key)
        for key in sorted(gone):
            yield (number, DELETE, None, _only_key(staging.tables[number], key))


def by_bound(row: Image, image: Image) -> Image:
    """A believed row, without the fields of which the picture tells nothing."""
    return tuple([ABSENT if seen is ABSENT else value for value, seen in zip(row, image, strict=True)])


def _only_key(table: Table, key: str) -> Row:
    row: list[object] = [ABSENT] * len(table.columns)
    for place, text in zip(table.key, key.split(KEY_SEPARATOR), strict=True):
        row[place] = text
    return tuple(row)  # type: ignore[arg-type]


def _parts(changes: list[Change]) -> Iterator[list[Change]]:
    for at in range(0, len(changes), CHUNK_ROWS):
        yield changes[at : at + CHUNK_ROWS]
