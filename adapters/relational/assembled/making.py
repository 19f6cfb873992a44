"""Turns groups of records of one form into the statements of that form, and what the target answers into what it
stored.

Values are sent by column, for all records of a group at once. Where the target tells a key only when it inserts (it
counts by itself, or a trigger makes the key), a row that refers to such a key has to wait for it; and where it does not
tell them in order, such rows are inserted one by one. It knows neither guards nor batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never, cast

from adapters.relational.assembled.forms import Constant, Drawn, Form, Given, Insert, There, Told, Update
from adapters.relational.assembled.places import Place
from adapters.relational.assembled.shapes import Shape
from adapters.relational.assembled.values import Made, Record, Value, missing, parents_first
from adapters.relational.layout import KEY_SEPARATOR
from adapters.relational.live import LiveColumn
from adapters.relational.refused import Unstorable
from adapters.relational.speech import Columns, Speech
from engine.vocabulary import KeyOf, Text

Column = list[Value]
"""The value of one class, for each record of a group."""

Inserted: TypeAlias = "Callable[[], tuple[int, list[Sequence[Text]] | None]]"
"""The answer of `Speech.insert`."""

_Sent: TypeAlias = "tuple[int, int, list[list[Text]], Inserted]"
"""(index of the first record in its group, how many, what was sent by column, the answer)"""


@dataclass(slots=True)
class Group:
    """Records of one form, with the value of each class."""

    shape: Shape
    form: Form
    records: list[Record]
    drawn: Callable[[], Sequence[Sequence[Text]]] | None = None
    """Tells the fresh values, once they are asked for."""
    columns: list[Column] = field(default_factory=list)


class Making:
    """Carries out forms. `readers` are the answers still to be read, in order."""

    def __init__(self, speech: Speech, made: Made) -> None:
        self._speech = speech
        self._made = made
        self._late: dict[tuple[str, int, str], tuple[Place, LiveColumn, int, list[tuple[Record, KeyOf]]]] = {}
        self._order: dict[tuple[str, str], int] = {}
        """Where in the statement that is being made the rows of these records stand, if that matters."""
        self.readers: list[Callable[[], None]] = []

    def begin(self) -> None:
        """A new list of writes."""
        self._late, self.readers, self._order = {}, [], {}

    def draw(self, group: Group) -> None:
        """Asks for the fresh values that a group needs; puts its records in the order in which they can be made."""
        if self._speech.checks_each_row or self._speech.insert_in_order:
            group.records = parents_first(group.shape.entity, group.records)
        if group.form.draws:
            group.drawn = self._speech.draw(group.form.draws, len(group.records))

    def settle(self, group: Group) -> None:
        """Puts the values of all classes together."""
        drawn = list(zip(*group.drawn(), strict=True)) if group.drawn is not None else []
        for source in group.form.sources:
            match source:
                case There(part, position):
                    column: Column = [record.rows[part][position] for record in group.records]
                case Constant(text):
                    column = [text] * len(group.records)
                case Given(number):
                    column = [record.new[number] for record in group.records]
                case Drawn(number):
                    column = list(drawn[number])
                case Told():
                    column = [None] * len(group.records)
                case _:
                    assert_never(source)
            group.columns.append(column)

    def root_keys(self, group: Group) -> list[str | None]:
        """The keys that the records of a group will have; None: not known yet."""
        if any(insert.told for insert in group.form.inserts if insert.part == 0):
            return [None] * len(group.records)
        keys = zip(*(group.columns[number] for number in group.form.keys[0]), strict=True)
        return [KEY_SEPARATOR.join(key) if all(isinstance(text, str) for text in key) else None for key in keys]

    def carry_out(self, group: Group) -> None:
        """Sends the statements of a group. Raises `Speech.errors`, Unstorable."""
        for insert in group.form.inserts:
            if insert.told:
                self._insert_told(group, insert)
            else:
                self._insert(group, insert)
        for update in group.form.updates:
            self._update(group, update)
        for part in group.form.removals:
            self._delete(group, part)

    def fill(self) -> None:
        """Sets the references that had to wait for records which were inserted later. Raises Unstorable."""
        for place, column, number, waiting in self._late.values():
            records = [record for record, _ in waiting]
            texts: list[Text] = []
            for record, parent in waiting:
                key = self._made.key(parent)
                if key is None:
                    raise missing(parent)
                record.new[number] = key
                record.late.discard(number)
                texts.append(key)
            self._send_update(place, records, [column], [texts], [number])
        self._late = {}

    # ------------------------------------------------------------ rows that are made

    def _insert(self, group: Group, insert: Insert) -> None:
        place = group.shape.places[insert.part]
        if not self._speech.checks_each_row:
            self._announce(group, insert)  # so that records of this statement may refer to one another
        elif insert.part == 0:
            self._order = {(group.shape.entity, record.id): at for at, record in enumerate(group.records)}
        columns = [self._filled(group, insert.part, column, number, group.records) for column, number in insert.columns]
        self._order = {}
        self._announce(group, insert)  # also those whose key is another's
        keys = zip(*(group.columns[number] for number in group.form.keys[insert.part]), strict=True)
        by_key: dict[tuple[Text, ...], Record] = {}
        for record, key in zip(group.records, keys, strict=True):
            record.keys[insert.part] = cast("tuple[Text, ...]", key)
            by_key[record.keys[insert.part]] = record
        answer = self._send_insert(place, insert, columns, len(group.records))
        self.readers.append(lambda: self._read_insert(group.shape, place, by_key, answer))

    def _announce(self, group: Group, insert: Insert) -> None:
        if insert.part == 0:
            for record, key in zip(group.records, self.root_keys(group), strict=True):
                if key is not None:
                    self._made.add(group.shape.entity, record.id, key)

    def _read_insert(
        self, shape: Shape, place: Place, by_key: dict[tuple[Text, ...], Record], answer: Inserted
    ) -> None:
        count, written = answer()
        if count != len(by_key):
            raise Unstorable(f"a trigger of `{'.'.join(place.table)}` left out a new row")
        for values in written or ():
            record = by_key.get(tuple(values[: len(place.key)]))
            if record is None:  # a trigger makes the keys: from now on they are asked for one by one
                shape.told.add(place.at)
                raise Unstorable(f"`{'.'.join(place.table)}` stores another key than the one it was given")
            _compare(place, record, values[len(place.key) :])

    def _insert_told(self, group: Group, insert: Insert) -> None:
        """Inserts rows whose keys only the target tells: together where it tells them in order, else one by one. One
        that refers to another of them is inserted only when that one's key is told."""
        chunk_max = len(group.records) if self._speech.insert_in_order else 1
        waiting: list[_Sent] = []
        untold: set[str] = set()
        start = 0
        for at, record in enumerate(group.records):
            refers = self._refers(group, insert, at, untold)
            if at > start and (refers or at - start >= chunk_max):
                waiting.append(self._send_some(group, insert, start, at))
                start = at
            if refers:
                self._read_told(group, insert, waiting)
                waiting, untold = [], set()
            if insert.part == 0:
                untold.add(record.id)
        waiting.append(self._send_some(group, insert, start, len(group.records)))
        self._read_told(group, insert, waiting)

    def _refers(self, group: Group, insert: Insert, at: int, ids: set[str]) -> bool:
        """True if a row that is to be inserted refers to one of these records of its own entity."""
        values = [group.columns[number][at] for _, number in insert.columns]
        return any(
            isinstance(value, KeyOf) and value.entity == group.shape.entity and value.id in ids for value in values
        )

    def _send_some(self, group: Group, insert: Insert, start: int, end: int) -> _Sent:
        """Sends the records of a group from one index to another."""
        records = group.records[start:end]
        columns = [
            self._filled(group, insert.part, column, number, records, start) for column, number in insert.columns
        ]
        answer = self._send_insert(group.shape.places[insert.part], insert, columns, len(records))
        return start, len(records), columns, answer

    def _read_told(self, group: Group, insert: Insert, waiting: Sequence[_Sent]) -> None:
        """Takes the keys of rows as the target tells them."""
        place = group.shape.places[insert.part]
        names = [column.shape.name for column in place.key_columns()]
        for start, count, columns, answer in waiting:
            made, written = answer()
            if made != count:
                raise Unstorable(f"a trigger of `{'.'.join(place.table)}` left out a new row")
            for at, told in enumerate(written or zip(*self._answered(place, insert, columns), strict=True), start):
                record = group.records[at]
                record.keys[insert.part] = key = tuple(told[: len(names)])
                for column, number in insert.told:
                    group.columns[number][at] = key[names.index(column.shape.name)]
                if insert.part == 0:
                    self._made.add(group.shape.entity, record.id, KEY_SEPARATOR.join(map(str, key)))
                _compare(place, record, told[len(names) :])

    def _answered(self, place: Place, insert: Insert, columns: Sequence[Sequence[Text]]) -> list[Sequence[Text]]:
        """What was sent, in the order of what is answered: all of it is stored as it was sent."""
        sent = {column.shape.name: values for (column, _), values in zip(insert.columns, columns, strict=True)}
        return [sent[column.shape.name] for column in _told_columns(place)]

    def _send_insert(
        self, place: Place, insert: Insert, columns: Sequence[Sequence[Text]], count: int
    ) -> Inserted:
        sent = [column for column, _ in insert.columns]
        made = [*insert.made, *place.written([*sent, *(column for column, _ in insert.made)])]
        return self._speech.insert(place, sent, made, _told_columns(place), columns, count)

    # ------------------------------------------------------------ rows that are there

    def _update(self, group: Group, update: Update) -> None:
        place = group.shape.places[update.part]
        numbers = {place.columns[position].shape.name: number for number, position in place.part.fields}
        fields = [numbers.get(column.shape.name) for column, _ in update.columns]
        columns = []
        for (column, number), field_number in zip(update.columns, fields, strict=True):
            columns.append(self._filled(group, update.part, column, number, group.records))
            for record, text in zip(group.records, columns[-1], strict=True):
                if field_number is not None and field_number not in record.new:
                    record.stored[field_number] = text
        self._send_update(place, group.records, [column for column, _ in update.columns], columns, fields)

    def _send_update(
        self,
        place: Place,
        records: Sequence[Record],
        columns: Sequence[LiveColumn],
        values: Sequence[Sequence[Text]],
        fields: Sequence[int | None],
    ) -> None:
        answer = self._speech.update(place, columns, _keys(place, records), values)

        def read() -> None:
            count, deviating = answer()
            if count != len(records):
                raise Unstorable(f"a trigger of `{'.'.join(place.table)}` left a row as it was")
            for ordinal, stored in deviating or ():
                record = records[ordinal - 1]
                for number, text in zip(fields, stored, strict=True):
                    if number is not None and number not in record.late and record.new.get(number) != text:
                        record.stored[number] = text

        self.readers.append(read)

    def _delete(self, group: Group, part: int) -> None:
        place = group.shape.places[part]
        answer = self._speech.delete(place, _keys(place, group.records))

        def read() -> None:
            if answer() != len(group.records):
                raise Unstorable(f"a trigger of `{'.'.join(place.table)}` kept a row")

        self.readers.append(read)

    # ------------------------------------------------------------ references

    def _filled(
        self, group: Group, part: int, column: LiveColumn, number: int, records: Sequence[Record], at: int = 0
    ) -> list[Text]:
        """The values of a class for these records (from index `at` on), its references filled with keys; NULL where
        that has to wait. Raises Unstorable for a record that is not there."""
        values = group.columns[number][at : at + len(records)]
        if not any(isinstance(value, KeyOf) for value in values):
            return cast("list[Text]", values)
        source = group.form.sources[number]
        assert isinstance(source, Given), "only a field refers to a record"
        filled: list[Text] = []
        for index, (record, value) in enumerate(zip(records, values, strict=True)):
            if not isinstance(value, KeyOf):
                filled.append(value)
                continue
            text = self._reference(group, part, column, source.number, record, value)
            filled.append(text)
            if text is not None:
                record.new[source.number] = group.columns[number][at + index] = text
        return filled

    def _reference(
        self, group: Group, part: int, column: LiveColumn, number: int, record: Record, parent: KeyOf
    ) -> Text:
        key = self._made.key(parent)
        if key is not None:
            return key
        if not self._made.is_expected(parent):
            raise missing(parent)
        place, name = group.shape.places[part], column.shape.name
        tied = any(name in foreign.columns for foreign in place.foreign)
        expected = self._made.expected(parent)
        here = self._order.get((group.shape.entity, record.id), -1)
        before = 0 <= self._order.get((parent.entity, parent.id), here) < here
        if expected is not None and (before or not (tied and column.shape.nullable)):
            return expected
        if not column.shape.nullable or column in place.key_columns():
            raise missing(parent)
        late = self._late.setdefault((".".join(place.table), place.at, name), (place, column, number, []))
        late[3].append((record, parent))
        record.late.add(number)
        return None


def _keys(place: Place, records: Sequence[Record]) -> Columns:
    """The keys of these records' rows, by column."""
    return list(zip(*(record.keys[place.at] for record in records), strict=True))


def _told_columns(place: Place) -> list[LiveColumn]:
    """What the target tells of a row that it inserted: its key, then the fields in it."""
    return [*place.key_columns(), *(place.columns[position] for _, position in place.part.fields)]


def _compare(place: Place, record: Record, stored: Sequence[Text]) -> None:
    """Notes what is stored where that is not what was sent; and every field that was left to a default."""
    for (number, _), text in zip(place.part.fields, stored, strict=True):
        if number in record.late:
            continue
        if number not in record.new or record.new[number] != text:
            record.stored[number] = text
