"""Values that real connectors told, in each of their modes, are read as the database prints them, or they are refused.

By recordings (`tests/kafka/record.py`): each value stands there as Debezium told it and as the database's own adapter
reads it. Nothing may be read otherwise, unless `check` warned of just that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import pytest

from adapters.debezium.decoding.events import Event, RowEvent
from adapters.debezium.decoding.judging import doubts, shown_in
from engine.errors import DuologError, LogUnreadable, SchemaChanged
from engine.rulebook import Table
from tests.kafka import recordings
from tests.kafka.recordings import Message, Recording
from tests.wire.debezium import catalog, decoder, told_modes

STREAMED_FROM: Final = 1000
"""What a row's id is higher by where the log tells of it."""

LOST: Final[Mapping[str, frozenset[str]]] = {
    "numeric": frozenset({"NaN"}),
    "array": frozenset({"[2:3]={a,b}", "{NaN}"}),
    "date": frozenset({"0000-00-00", "2026-00-10", "2026-02-00", "0001-01-01"}),
    "timestamp": frozenset({"0000-00-00 00:00:00", "2026-00-00 01:02:03", "0001-01-01 00:00:00"}),
}
"""By family: values that are told as others, of which `check` warns."""


def every() -> Iterator[tuple[str, str]]:
    """(database, recording)"""
    for database in ("postgresql", "mariadb"):
        for name in recordings.names(database):
            if not name.startswith(("events", "killed")):
                yield database, name


class Told:
    """One recording, and what is made of it."""

    def __init__(self, database: str, name: str, *, whole: bool = False) -> None:
        self.database = database
        self.whole = [0] if whole else []
        self.recording: Recording = recordings.load(database, name)
        ((self.topic, columns),) = self.recording.facts["columns"].items()
        self.columns = [column for column, _ in columns]
        self.kinds = dict(columns)
        self.known = catalog(database, columns)
        self.modes = told_modes(self.recording, database)
        self.messages = self.recording.of(self.topic)
        schema, _, table = self.topic.partition(".")
        found = doubts(
            Table(schema, table, tuple(self.columns), (0,)), self.known, self.modes, database,
            told=shown_in([message.value for message in self.messages]), whole=whole,
        )  # fmt: skip
        self.refused = {doubt.column: doubt for doubt in found if doubt.severity == "error"}
        self.rare = {
            column: [doubt.found for doubt in found if doubt.column == column and doubt.severity == "warning"]
            for column in self.columns
        }
        self.printed = {row[0]: row for row in self.recording.facts["printed"][self.topic]}

    def reader(self, columns: Sequence[str]) -> Callable[[Message], Event]:
        """What reads these columns, and the id before them."""
        schema, _, name = self.topic.partition(".")
        table = Table(schema, name, ("id", *columns), (0,))
        decode = decoder(self.database, [table], {(schema, name): self.known}, self.modes, whole=self.whole).decode
        return lambda said: decode(said.topic, said.partition, said.offset, said.value, said.headers)

    def assert_as_printed(self, event: Event, columns: Sequence[str]) -> int:
        """The columns of a row that was inserted are as the database prints them; tells how many there are."""
        if not isinstance(event, RowEvent) or event.operation != "c":
            return 0
        assert event.new is not None and isinstance(event.new[0], str)
        row = dict(zip(self.columns, self.printed[str(int(event.new[0]) - STREAMED_FROM)], strict=True))
        for column, value in zip(columns, event.new[1:], strict=True):
            known, expected = self.known[column], row[column]
            rare = bool(self.rare[column]) and expected in LOST.get(known.family, ())
            assert value == expected or rare, f"{column} {known.type}: {expected!r} is read as {value!r}"
        return len(columns)


@pytest.mark.parametrize(("database", "name"), [*every()])
def test_a_value_is_read_as_the_database_prints_it_or_refused(database: str, name: str) -> None:
    told = Told(database, name)
    exact = [column for column in told.columns[1:] if column not in told.refused]
    read = told.reader(exact)
    count = 0

    for message in told.messages:
        try:
            count += told.assert_as_printed(read(message), exact)
        except LogUnreadable as error:
            assert f"offset {message.offset}" in str(error)
            count += _one_by_one(told, message, exact)

    assert count > len(exact) * 10


def _one_by_one(told: Told, message: Message, columns: Sequence[str]) -> int:
    """The same of a row with a value that is refused: all others are read."""
    read, refused = 0, []
    for column in columns:
        try:
            read += told.assert_as_printed(told.reader([column])(message), [column])
        except LogUnreadable as error:
            assert f"`{column}`" in str(error)
            refused.append(column)
    assert len(refused) <= 2, refused
    return read


@pytest.mark.parametrize("name", ["default_schemas", "decimal_string", "binary_base64", "time_isostring_schemas"])
def test_where_rows_are_told_whole_more_is_exact(name: str) -> None:
    told, partly = Told("postgresql", name, whole=True), Told("postgresql", name)
    more = [column for column in partly.refused if column not in told.refused]

    assert len(more) >= 6
    for message in told.messages:
        try:
            told.assert_as_printed(told.reader(more)(message), more)
        except LogUnreadable:
            _one_by_one(told, message, more)


@pytest.mark.parametrize(("database", "name"), [*every()])
def test_a_column_that_check_refuses_is_not_read(database: str, name: str) -> None:
    told = Told(database, name)
    inserted = next(each for each in told.messages if each.value and b'"op":"c"' in each.value)

    for column in told.refused:
        with pytest.raises((LogUnreadable, SchemaChanged)):
            told.reader([column])(inserted)


@pytest.mark.parametrize("name", ["default", "decimal_string", "interval_string", "binary_hex", "time_isostring"])
@pytest.mark.parametrize("database", ["postgresql", "mariadb"])
def test_schemas_add_nothing_to_what_the_rules_say(database: str, name: str) -> None:
    if name not in recordings.names(database):
        pytest.skip("the connector has no such mode")
    bare, framed = Told(database, name), Told(database, f"{name}_schemas")

    untold = {column for column, doubt in framed.refused.items() if doubt.found == "is not told"}
    assert bare.refused.keys() - untold == framed.refused.keys() - untold


def test_what_is_refused_says_the_option_that_mends_it() -> None:
    recording = recordings.load("postgresql", "decimal_double_schemas")
    known = catalog("postgresql", [["id", "int"], ["c5", "numeric(12,2)"]])
    table = Table("public", "kinds", ("id", "c5"), (0,))
    messages = recording.of("public.kinds")
    reading = decoder("postgresql", [table], {("public", "kinds"): known}, told_modes(recording, "postgresql"))

    with pytest.raises(DuologError) as caught:
        reading.decode(messages[0].topic, 0, 7, messages[0].value)

    assert "`c5` is told as a floating-point number" in str(caught.value)
    assert "decimal.handling.mode=string" in caught.value.mend
