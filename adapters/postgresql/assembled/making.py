"""Turns groups of records of one form into the statements of that form, and what the target answers into what it
stored.

Values are sent by column, for all records of a group at once. Where the target tells a key only when it inserts (a
trigger makes it), such rows are inserted one by one. It knows neither guards nor batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never, cast

import psycopg

from adapters.postgresql.assembled import rows
from adapters.postgresql.assembled.codes import Run
from adapters.postgresql.assembled.forms import Constant, Drawn, Form, Given, Insert, There, Told, Update
from adapters.postgresql.assembled.places import Place
from adapters.postgresql.assembled.shapes import Shape
from adapters.postgresql.assembled.values import Made, Record, Value, missing
from adapters.postgresql.catalog import PgColumn
from adapters.postgresql.phrases import KEY_SEPARATOR, array_literal
from adapters.postgresql.refusals import Unstorable
from engine.vocabulary import KeyOf, Text

Column = list[Value]
"""The value of one class, for each record of a group."""


@dataclass(slots=True)
class Group:
    """Records of one form, with the value of each class."""

    shape: Shape
    form: Form
    records: list[Record]
    drawn: psycopg.RawCursor[Any] | None = None
    """Where the fresh values come from, once they are asked for."""
    columns: list[Column] = field(default_factory=list)


class Making:
    """Carries out forms. `readers` are the answers still to be read, in order."""

    def __init__(self, run: Run, made: Made) -> None:
        self._run = run
        self._made = made
        self._queries: dict[tuple[Any, ...], str] = {}
        self._late: dict[tuple[str, int, str], tuple[Place, PgColumn, int, list[tuple[Record, KeyOf]]]] = {}
        self.readers: list[Callable[[], None]] = []

    def begin(self) -> None:
        """A new list of writes."""
        self._late, self.readers = {}, []

    def draw(self, group: Group) -> None:
        """Asks for the fresh values that a group needs."""
        if group.form.draws:
            group.drawn = self._run(rows.drawn(group.form.draws), [str(len(group.records))])

    def settle(self, group: Group) -> None:
        """Puts the values of all classes together."""
        drawn = list(zip(*group.drawn.fetchall(), strict=True)) if group.drawn is not None else []
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
        """Sends the statements of a group. Raises psycopg.Error, Unstorable."""
        for insert in group.form.inserts:
            if insert.told:
                self._insert_each(group, insert)
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
        self._announce(group, insert)  # so that records of this statement may refer to one another
        columns = [self._filled(group, insert.part, column, number, group.records) for column, number in insert.columns]
        self._announce(group, insert)  # and those, too, whose key is another's
        keys = zip(*(group.columns[number] for number in group.form.keys[insert.part]), strict=True)
        by_key: dict[tuple[Text, ...], Record] = {}
        for record, key in zip(group.records, keys, strict=True):
            record.keys[insert.part] = cast("tuple[Text, ...]", key)
            by_key[record.keys[insert.part]] = record
        cursor = self._send_insert(place, insert, columns, len(group.records))
        self.readers.append(lambda: self._read_insert(group.shape, place, by_key, cursor))

    def _announce(self, group: Group, insert: Insert) -> None:
        if insert.part == 0:
            for record, key in zip(group.records, self.root_keys(group), strict=True):
                if key is not None:
                    self._made.add(group.shape.entity, record.id, key)

    def _read_insert(
        self, shape: Shape, place: Place, by_key: dict[tuple[Text, ...], Record], cursor: psycopg.RawCursor[Any]
    ) -> None:
        count, written = cursor.fetchone() or (0, None)
        if count != len(by_key):
            raise Unstorable(f"a trigger of `{'.'.join(place.table)}` left out a new row")
        for values in written or ():
            record = by_key.get(tuple(values[: len(place.key)]))
            if record is None:  # a trigger makes the keys: from now on they are asked for one by one
                shape.told.add(place.at)
                raise Unstorable(f"`{'.'.join(place.table)}` stores another key than the one it was given")
            _compare(place, record, values[len(place.key) :])

    def _insert_each(self, group: Group, insert: Insert) -> None:
        """Inserts row by row; where one refers to another, only when the other's key is told."""
        waiting: list[tuple[int, list[list[Text]], psycopg.RawCursor[Any]]] = []
        for at, record in enumerate(group.records):
            if any(isinstance(group.columns[number][at], KeyOf) for _, number in insert.columns):
                self._read_each(group, insert, waiting)
                waiting = []
            columns = [
                self._filled(group, insert.part, column, number, [record], at) for column, number in insert.columns
            ]
            place = group.shape.places[insert.part]
            waiting.append((at, columns, self._send_insert(place, insert, columns, 1)))
        self._read_each(group, insert, waiting)

    def _read_each(
        self, group: Group, insert: Insert, waiting: Sequence[tuple[int, list[list[Text]], psycopg.RawCursor[Any]]]
    ) -> None:
        for at, columns, cursor in waiting:
            self._read_one(group, insert, at, columns, cursor)

    def _read_one(
        self, group: Group, insert: Insert, at: int, columns: list[list[Text]], cursor: psycopg.RawCursor[Any]
    ) -> None:
        """Takes the key of a row as the target tells it."""
        place, record = group.shape.places[insert.part], group.records[at]
        count, written = cursor.fetchone() or (0, None)
        if count != 1:
            raise Unstorable(f"a trigger of `{'.'.join(place.table)}` left out a new row")
        told = (written or [[column[0] for column in self._answered(place, insert, columns)]])[0]
        record.keys[insert.part] = key = tuple(told[: len(place.key)])
        for column, number in insert.told:
            group.columns[number][at] = key[[each.shape.name for each in place.key_columns()].index(column.shape.name)]
        if insert.part == 0:
            self._made.add(group.shape.entity, record.id, KEY_SEPARATOR.join(map(str, key)))
        _compare(place, record, told[len(place.key) :])

    def _answered(self, place: Place, insert: Insert, columns: Sequence[Sequence[Text]]) -> list[Sequence[Text]]:
        """What was sent, in the order of what is answered: all of it is stored as it was sent."""
        sent = {column.shape.name: values for (column, _), values in zip(insert.columns, columns, strict=True)}
        return [sent[column.shape.name] for column in _told_columns(place)]

    def _send_insert(
        self, place: Place, insert: Insert, columns: Sequence[Sequence[Text]], count: int
    ) -> psycopg.RawCursor[Any]:
        sent = [column for column, _ in insert.columns]
        form = ("insert", place.entity, place.at, tuple(column.shape.name for column in sent), insert.made)
        made = [*insert.made, *place.written([*sent, *(column for column, _ in insert.made)])]
        query = self._query(form, lambda: rows.insert(place, sent, made, _told_columns(place)))
        return self._run(query, [*map(array_literal, columns), str(count)])

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
        columns: Sequence[PgColumn],
        values: Sequence[Sequence[Text]],
        fields: Sequence[int | None],
    ) -> None:
        form = ("update", place.table, place.key, place.part.written, tuple(column.shape.name for column in columns))
        query = self._query(form, lambda: rows.update(place, columns))
        keys = zip(*(record.keys[place.at] for record in records), strict=True)
        cursor = self._run(query, [*map(array_literal, keys), *map(array_literal, values)])

        def read() -> None:
            count, deviating = cursor.fetchone() or (0, None)
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
        keys = zip(*(record.keys[part] for record in group.records), strict=True)
        query = self._query(("delete", place.table, place.key), lambda: rows.delete(place))
        cursor = self._run(query, list(map(array_literal, keys)))

        def read() -> None:
            if cursor.fetchone() != (len(group.records), None):
                raise Unstorable(f"a trigger of `{'.'.join(place.table)}` kept a row")

        self.readers.append(read)

    def _query(self, form: tuple[Any, ...], build: Callable[[], str]) -> str:
        query = self._queries.get(form)
        if query is None:
            query = self._queries[form] = build()
        return query

    # ------------------------------------------------------------ references

    def _filled(
        self, group: Group, part: int, column: PgColumn, number: int, records: Sequence[Record], at: int = 0
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
            text = self._reference(group.shape.places[part], column, source.number, record, value)
            filled.append(text)
            if text is not None:
                record.new[source.number] = group.columns[number][at + index] = text
        return filled

    def _reference(self, place: Place, column: PgColumn, number: int, record: Record, parent: KeyOf) -> Text:
        key = self._made.key(parent)
        if key is not None:
            return key
        if not self._made.is_expected(parent):
            raise missing(parent)
        name = column.shape.name
        tied = any(name in foreign.columns for foreign in place.foreign)
        expected = self._made.expected(parent)
        if expected is not None and not (tied and column.shape.nullable):
            return expected
        if not column.shape.nullable or column in place.key_columns():
            raise missing(parent)
        late = self._late.setdefault((".".join(place.table), place.at, name), (place, column, number, []))
        late[3].append((record, parent))
        record.late.add(number)
        return None


def _told_columns(place: Place) -> list[PgColumn]:
    """What the target tells of a row that it inserted: its key, then the fields in it."""
    return [*place.key_columns(), *(place.columns[position] for _, position in place.part.fields)]


def _compare(place: Place, record: Record, stored: Sequence[Text]) -> None:
    """Notes what is stored where that is not what was sent; and every field that was left to a default."""
    for (number, _), text in zip(place.part.fields, stored, strict=True):
        if number in record.late:
            continue
        if number not in record.new or record.new[number] != text:
            record.stored[number] = text
