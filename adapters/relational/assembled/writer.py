"""Turns one list of writes into statements: own keys drawn, records found and compared, forms carried out.

What can be sent without an answer is sent at once, so that a list costs few round trips: first, for all of it, the
codes and the fresh keys; then one statement a part for what is inserted. What concerns several parts that are there is
locked, looked at and compared before anything is written, so that all of a record is written or none of it. Where only
the root is concerned, the guard stands in the statement itself, as for records of one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, assert_never, cast

from adapters.relational.answers import row_results
from adapters.relational.assembled import patterns
from adapters.relational.assembled.codebook import Codebook, Wanted
from adapters.relational.assembled.finding import Finder, is_held, left_as_they_are, record_of
from adapters.relational.assembled.forms import Constant, Form, Pattern, Update, form, removal
from adapters.relational.assembled.making import Group, Making
from adapters.relational.assembled.shapes import Shape
from adapters.relational.assembled.values import Made, Record, Translation, codes_in, missing
from adapters.relational.layout import KEY_SEPARATOR
from adapters.relational.speech import Speech
from engine.vocabulary import KeyOf, RowResult, Text, Write, WriteRow

Teller: TypeAlias = Callable[[], list[RowResult]]
"""What became of the rows of a write, to be asked when all answers are read."""


class Assembled:
    """Writes the entities whose records have keys of this system's own."""

    def __init__(self, speech: Speech, shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self._speech = speech
        self._made = Made()
        self._codes = Codebook(speech)
        self._making = Making(speech, self._made)
        self._forms: dict[tuple[object, ...], Form] = {}
        self._finder = Finder(speech)
        self._groups: dict[int, list[tuple[Pattern, Group]]] = {}

    def begin(self) -> None:
        """A transaction begins."""
        self._made.begin()
        self._codes.begin()

    def mark(self) -> int:
        """A savepoint, to go `back_to`."""
        return self._made.mark()

    def back_to(self, mark: int) -> None:
        """What was written since the savepoint, or the transaction's begin, was rolled back."""
        self._made.back_to(mark)
        self._codes.forget()

    # ------------------------------------------------------------ one list of writes

    def prepare(self, writes: Sequence[Write]) -> None:
        """Learns the codes and draws the keys that all these writes need. Raises `Speech.errors`, Unstorable."""
        self._making.begin()
        self._groups = {}
        wanted: dict[str, Wanted] = {}
        for write in writes:
            if write.entity in self.shapes:
                codes_in(self.shapes[write.entity], write, wanted)
        self._codes.learn(wanted.values())
        for at, write in enumerate(writes):
            if write.entity in self.shapes and write.kind == "insert":
                self._groups[at] = self._own(self.shapes[write.entity], write)
        for _, group in (each for groups in self._groups.values() for each in groups):
            self._making.settle(group)
            for record, key in zip(group.records, self._making.root_keys(group), strict=True):
                self._made.expect(group.shape.entity, record.id, key)

    def send(self, at: int, write: Write) -> Teller:
        """Sends the statements of the write number `at` of the list. Raises `Speech.errors`, Unstorable."""
        shape = self.shapes[write.entity]
        match write.kind:
            case "insert":
                return self._insert(shape, write, self._groups[at])
            case "update":
                parts = shape.parts_of(write.columns)
                return self._change(shape, write, parts) if parts - {0} else self._at_root(shape, write)
            case "delete":
                leaving = self._leaving(shape)
                parts = shape.parts_of(write.columns) | leaving
                in_order = 0 in leaving and self._speech.checks_each_row and shape.refers_to_itself
                if parts - {0} or in_order:
                    return self._remove(shape, write, parts)
                return self._at_root(shape, write)
            case _:
                assert_never(write.kind)

    def finish(self) -> None:
        """Sends what had to wait for all inserts."""
        self._making.fill()
        self._making.readers.append(self._codes.doubted())

    def read(self) -> None:
        """Reads all answers. Raises `Speech.errors`; Unstorable, where an answer shows that something went wrong."""
        for reader in self._making.readers:
            reader()

    def locked(self, write: Write) -> list[int]:
        """Which rows of a write are there and locked by others, by index; the others' locks are now ours."""
        shape = self.shapes[write.entity]
        given = [at for at, row in enumerate(write.rows) if row[2]]
        if not given:
            return []
        parts, leaving = shape.parts_of(write.columns), set[int]()
        if write.kind == "insert":
            parts = {place.at for place in shape.places}
        elif write.kind == "delete":
            leaving = self._leaving(shape)
        rows = [write.rows[at] for at in given]
        return [given[at] for at in self._finder.contested(shape, parts | leaving, rows, leaving)]

    # ------------------------------------------------------------ records that are made

    def _own(self, shape: Shape, write: Write) -> list[tuple[Pattern, Group]]:
        """The records that get keys made, by pattern, their fresh values asked for."""
        translation = Translation(shape, write.columns, self._codes)
        known: dict[tuple[bool, ...], Pattern] = {}
        found: dict[Pattern, list[Record]] = {}
        for _, id, key, new, _ in write.rows:
            if key:
                self._made.expect(shape.entity, id, KEY_SEPARATOR.join(cast("tuple[str, ...]", key)))
                continue
            nulls = tuple([value is None for value in new])
            if nulls not in known:
                filled = [number for number, null in zip(write.columns, nulls, strict=True) if not null]
                known[nulls] = patterns.of_whole(shape, write.columns, filled)
            record = Record(id, dict(zip(write.columns, translation.new(new), strict=True)))
            found.setdefault(known[nulls], []).append(record)
        return [(pattern, self._drawn(shape, pattern, records)) for pattern, records in found.items()]

    def _drawn(self, shape: Shape, pattern: Pattern, records: list[Record]) -> Group:
        told = frozenset(shape.told)
        key = (shape.entity, pattern, told)
        if key not in self._forms:
            self._forms[key] = form(shape, pattern)
        group = Group(shape, self._forms[key], records)
        self._making.draw(group)
        return group

    def _insert(self, shape: Shape, write: Write, groups: list[tuple[Pattern, Group]]) -> Teller:
        returning = [row for row in write.rows if row[2]]
        tellers = [self._bring_back(shape, write, returning)] if returning else []
        for pattern, group in groups:
            self._making.carry_out(group)
            tellers.append(_created(shape, pattern, group.records))
        order = {row[1]: at for at, row in enumerate(write.rows)}
        return lambda: sorted((told for teller in tellers for told in teller()), key=lambda told: order[told.key])

    def _bring_back(self, shape: Shape, write: Write, given: list[WriteRow]) -> Teller:
        """Makes records out of rows that are there and are none."""
        translation = Translation(shape, write.columns, self._codes)
        parts = {place.at for place in shape.places}
        found: dict[Pattern, list[Record]] = {}
        unmatched = {row[1] for row in given}
        for each in self._finder.found(shape, parts, given):
            if each.record:
                continue
            _, id, _, new, _ = each.row
            unmatched.discard(id)
            record = record_of(shape, id, write.columns, translation.new(new), each.rows)
            record.stored = left_as_they_are(shape, write.columns, each.rows)
            filled = [number for number, value in zip(write.columns, new, strict=True) if value is not None]
            found.setdefault(patterns.of_whole(shape, write.columns, filled, each.rows), []).append(record)
        for id in unmatched:
            self._made.give_up(shape.entity, id)
        tellers = [_created(shape, pattern, records) for pattern, records in found.items()]
        self._write_there(shape, found, made=True)
        told = [RowResult(shape.entity, row[1], "unmatched") for row in given if row[1] in unmatched]
        return lambda: [*told, *(result for teller in tellers for result in teller())]

    def _write_there(self, shape: Shape, found: Mapping[Pattern, list[Record]], *, made: bool) -> None:
        """Carries out the forms of records that have rows already."""
        groups = [self._drawn(shape, pattern, records) for pattern, records in found.items()]
        for group in groups:
            self._making.settle(group)
            if made:
                for record in group.records:
                    self._made.add(shape.entity, record.id, _joined(record.keys[0]))
            self._making.carry_out(group)

    # ------------------------------------------------------------ records that are there

    def _at_root(self, shape: Shape, write: Write) -> Teller:
        """Changes or removes records whose root says it all: one guarded statement."""
        translation = Translation(shape, write.columns, self._codes)
        sent = Write(write.kind, write.entity, write.columns, [])
        unmatched = []
        for step, id, key, new, held in write.rows:
            had = translation.held(held)
            if had is None:
                unmatched.append(RowResult(write.entity, id, "unmatched"))
                continue
            wanted = [self._key_of(value) for value in translation.new(new)] if new else ()
            sent.rows.append((step, id, key, tuple(wanted), tuple(had)))
        if not sent.rows:
            return lambda: unmatched
        answer = self._speech.write(sent.kind, shape.root, sent.columns, sent.rows)
        return lambda: unmatched + row_results(sent, shape.root, answer())

    def _change(self, shape: Shape, write: Write, parts: set[int]) -> Teller:
        """Changes records in several parts."""
        translation = Translation(shape, write.columns, self._codes)
        if any(shape.places[at].part.clear != "keep" for at in parts):
            parts = {place.at for place in shape.places}
        found: dict[Pattern, list[Record]] = {}
        matched: set[str] = set()
        for each in self._finder.found(shape, parts | set(patterns.links(shape)), write.rows):
            _, id, _, new, held = each.row
            if not (each.record and is_held(shape, write.columns, held, translation.held(held), each.rows)):
                continue
            matched.add(id)
            wanted = [self._key_of(value) for value in translation.new(new)]
            record = record_of(shape, id, write.columns, wanted, each.rows)
            pattern = patterns.of_change(shape, write.columns, record.new, each.rows)
            found.setdefault(pattern, []).append(record)
        self._write_there(shape, found, made=False)
        unmatched = _unmatched(write, matched)
        written = [record for records in found.values() for record in records]
        return lambda: unmatched + [
            RowResult(shape.entity, record.id, "stored", stored) for record in written if (stored := _deviating(record))
        ]

    def _remove(self, shape: Shape, write: Write, parts: set[int]) -> Teller:
        """Removes records, or what makes them records, in several parts."""
        translation = Translation(shape, write.columns, self._codes)
        found: dict[frozenset[int], list[Record]] = {}
        matched: set[str] = set()
        leaving = self._leaving(shape)
        for each in self._finder.found(shape, parts, write.rows, leaving):
            _, id, _, _, held = each.row
            if each.record and is_held(shape, write.columns, held, translation.held(held), each.rows):
                matched.add(id)
                record = record_of(shape, id, (), (), each.rows)
                found.setdefault(frozenset(leaving & each.rows.keys()), []).append(record)
        for going, records in found.items():
            group = Group(shape, self._removal(shape, going), records)
            self._making.settle(group)
            self._making.carry_out(group)
        unmatched = _unmatched(write, matched)
        return lambda: unmatched

    def _removal(self, shape: Shape, going: frozenset[int]) -> Form:
        key = (shape.entity, going)
        if key not in self._forms:
            self._forms[key] = _marking(shape) if shape.assembly.removal == "columns" else removal(shape, going)
        return self._forms[key]

    def _leaving(self, shape: Shape) -> set[int]:
        """The parts whose rows are removed with a record."""
        match shape.assembly.removal:
            case "row":
                return {0, *(place.at for place in shape.places if place.part.remove)}
            case "membership":
                return {at for at in shape.assembly.members if shape.places[at].part.remove}
            case "columns":
                return set()
            case _:
                assert_never(shape.assembly.removal)

    def _key_of(self, value: Text | KeyOf) -> Text:
        """The value of a reference, once all inserts are sent. Raises Unstorable for a record that is not there."""
        if not isinstance(value, KeyOf):
            return value
        key = self._made.key(value)
        if key is None:
            raise missing(value)
        return key


def _created(shape: Shape, pattern: Pattern, records: Sequence[Record]) -> Teller:
    """What is told of records that were made: their keys, and what they were not asked to have."""
    absent: dict[int, Text] = {
        number: None
        for number, (part, _) in shape.spots.items()
        if number not in pattern.fields and part not in pattern.made | pattern.there
    }
    return lambda: [
        RowResult(shape.entity, record.id, "created", absent | record.stored, made=_joined(record.keys[0]))
        for record in records
    ]


def _deviating(record: Record) -> dict[int, Text]:
    """What a changed record has otherwise: a field that was not written was NULL before its row was made."""
    return {number: text for number, text in record.stored.items() if number in record.new or text is not None}


def _marking(shape: Shape) -> Form:
    """A record is removed by what its root row is given."""
    gone = shape.assembly.gone
    columns = tuple((shape.places[0].columns[position], at) for at, (position, _) in enumerate(gone))
    return Form(tuple(Constant(text) for _, text in gone), (), (), (Update(0, columns),), (), {})


def _unmatched(write: Write, matched: set[str]) -> list[RowResult]:
    return [RowResult(write.entity, row[1], "unmatched") for row in write.rows if row[1] not in matched]


def _joined(key: Sequence[Text]) -> str:
    return KEY_SEPARATOR.join(cast("Sequence[str]", key))
