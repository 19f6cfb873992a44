"""What is no message of Debezium's is told in words of its own, with its place in Kafka and without its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.events import Heartbeat, OtherRow, RowEvent, Tombstone, changes
from adapters.debezium.decoding.modes import modes
from engine.catalog import Column
from engine.errors import DuologError, LogUnreadable, SchemaChanged
from engine.rulebook import Table
from tests.kafka import recordings
from tests.wire.debezium import catalog, decoder, told_modes

TOPIC: Final = "erp.public.customer"
SECRET: Final = "Erika Mustermann"
TABLE: Final = Table("public", "customer", ("id", "name", "price"), (0,))
COLUMNS: Final = {
    "id": Column("id", "integer", "integer", nullable=False, precision=32),
    "name": Column("name", "text", "text"),
    "price": Column("price", "numeric(12,2)", "numeric", precision=12, scale=2),
}


def made(*, expected: dict[str, tuple[str, str]] | None = None, **options: str) -> Decoder:
    told = {"decimal.handling.mode": "string", "value.converter.replace.null.with.default": "false"}
    told |= {name.replace("_", "."): value for name, value in options.items()}
    known = {("public", "customer"): COLUMNS}
    return Decoder("erp", "postgresql", [TABLE], known, modes(told), expected=expected)


def envelope(**parts: Any) -> dict[str, Any]:
    """An insert, with some parts otherwise."""
    source = {"connector": "postgresql", "db": "app", "schema": "public", "table": "customer", "snapshot": "false",
              "lsn": 5, "ts_us": 7}  # fmt: skip
    after = {"id": 1, "name": SECRET, "price": "1.50"}
    return {"before": None, "after": after, "source": source, "op": "c", "transaction": None, "ts_ms": 1} | parts


def source(**parts: Any) -> dict[str, Any]:
    told: dict[str, Any] = envelope()["source"]
    return told | parts


def encoded(said: Any) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode()


def schema(*columns: dict[str, Any]) -> dict[str, Any]:
    """A schema of rows, as JsonConverter writes it."""
    rows = [{"type": "struct", "fields": [*columns], "field": side, "optional": True} for side in ("before", "after")]
    return {"type": "struct", "fields": rows, "name": "erp.public.customer.Envelope"}


PLAIN: Final = (
    {"type": "int32", "field": "id", "optional": False}, {"type": "string", "field": "name", "optional": True},
    {"type": "string", "field": "price", "optional": True},
)  # fmt: skip

BROKEN: Final[dict[str, tuple[bytes, str]]] = {
    "nothing at all": (b"", "the message is empty"),
    "cut off": (encoded(envelope())[:-20], "no whole JSON document"),
    "no JSON": (b"Erika Mustermann", "no whole JSON document"),
    "not in UTF-8": (encoded(envelope()).replace(b"Erika", b"Erik\xff"), "no JSON in UTF-8"),
    "no object": (b"[1,2]", "no envelope of Debezium's"),
    "a number": (b"5", "no envelope of Debezium's"),
    "endless levels": (b'{"after":' * 5000, "more levels"),
    "without its envelope": (encoded({"id": 1, "name": SECRET}), "without their envelope"),
    "without its envelope, but with a time": (encoded({"id": 1, "ts_ms": 5}), "without their envelope"),
    "without a source": (encoded(envelope(source=None)), "without their envelope"),
    "without a table": (encoded(envelope(source=source(table=None))), "does not say of which table"),
    "an unknown operation": (encoded(envelope(op="x")), "`op`"),
    "an insert of nothing": (encoded(envelope(after=None)), "has no row"),
    "a deletion of nothing": (encoded(envelope(op="d", after=None)), "does not say of which row"),
    "a text for a number": (encoded(envelope(after={"id": SECRET, "name": "", "price": "1"})), "column `id`"),
    "no number in digits": (encoded(envelope(after={"id": 1, "name": "", "price": SECRET})), "column `price`"),
    "NULL for a key": (encoded(envelope(after={"id": None, "name": "", "price": "1"})), "column `id`"),
    "of another connector": (encoded(envelope(source=source(connector="oracle"))), "`oracle`"),
    "an end without a count": (encoded({"status": "END", "id": "5:6", "ts_ms": 1}), "how many events"),
    "a schema without fields": (encoded({"schema": {"type": "struct"}, "payload": envelope()}), "no fields"),
    "a schema behind its payload": (
        encoded({"payload": envelope(), "schema": schema(*PLAIN)}), "do not stand one after the other"
    ),
    "Avro without a registry": (b"\0\0\0\0\1abc", "no registry"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_each_is_told_in_its_own_words(what: str) -> None:
    value, words = BROKEN[what]

    with pytest.raises(LogUnreadable) as caught:
        made().decode(TOPIC, 3, 42, value)

    said = str(caught.value)
    assert words in said and f"topic {TOPIC}, partition 3, offset 42" in said
    assert "Erika" not in said and caught.value.mend


@pytest.mark.parametrize("what", BROKEN)
def test_what_follows_is_read_all_the_same(what: str) -> None:
    reading = made()
    for value in (encoded(envelope()), BROKEN[what][0], encoded(envelope())):
        try:
            told = reading.decode(TOPIC, 0, 0, value)
        except LogUnreadable:
            continue

    assert isinstance(told, RowEvent) and told.new == ("1", SECRET, "1.50")


def test_a_message_in_the_wrong_topic_is_refused() -> None:
    reading = made(expected={"erp.public.order": ("public", "order")})

    with pytest.raises(LogUnreadable, match=r"rows of `public.customer` stand in the topic of `public.order`"):
        reading.decode("erp.public.order", 0, 0, encoded(envelope()))


@pytest.mark.parametrize("framed", [False, True])
def test_a_column_that_is_no_longer_told_stops_the_table(framed: bool) -> None:
    reading = made()
    told = envelope(after={"id": 1, "price": "1.50", "title": SECRET})
    first, then = envelope(), told
    if framed:
        first = {"schema": schema(*PLAIN), "payload": envelope()}
        then = {"schema": schema(PLAIN[0], PLAIN[2], {"type": "string", "field": "title"}), "payload": told}
    reading.decode(TOPIC, 0, 1, encoded(first))

    with pytest.raises(SchemaChanged, match=r"without the bound column `name` \(topic"):
        reading.decode(TOPIC, 0, 2, encoded(then))


@pytest.mark.parametrize("framed", [False, True])
def test_a_column_that_came_is_no_matter(framed: bool) -> None:
    reading = made()
    row = {"new": 7, "id": 1, "price": "1.50", "name": "x"}
    told: Any = envelope(after=row)
    if framed:
        told = {"schema": schema({"type": "int32", "field": "new"}, *PLAIN), "payload": told}
    reading.decode(TOPIC, 0, 1, encoded({"schema": schema(*PLAIN), "payload": envelope()} if framed else envelope()))

    event = reading.decode(TOPIC, 0, 2, encoded(told))

    assert isinstance(event, RowEvent) and event.new == ("1", "x", "1.50")


def test_tombstones_come_in_three_ways() -> None:
    for value in (None, b'{"schema":null,"payload":null}', b"null"):
        assert made().decode(TOPIC, 0, 0, value) == Tombstone()


def test_a_heartbeat_is_none_of_a_row() -> None:
    assert made().decode("__debezium-heartbeat.erp", 0, 0, b'{"ts_ms":5}') == Heartbeat(5000)


def test_several_tables_may_share_a_topic() -> None:
    reading = made()
    other = encoded(envelope(source=source(table="other"), after={"id": "text", "more": {}}))
    read = [reading.decode("all", 0, at, each) for at, each in enumerate([encoded(envelope()), other] * 3)]

    assert [type(each) for each in read] == [RowEvent, OtherRow] * 3


def test_half_of_a_changed_key_is_refused() -> None:
    reading = made()
    former = encoded(envelope(op="d", before={"id": 1, "name": None, "price": None}, after=None))
    told = reading.decode(TOPIC, 0, 0, former, [("__debezium.newkey", b"{}")])
    assert isinstance(told, RowEvent)

    with pytest.raises(LogUnreadable, match="told by half"):
        changes([told])


def test_a_default_that_may_stand_for_a_null_is_refused_until_the_rules_say_that_it_does_not() -> None:
    known = {("public", "customer"): COLUMNS | {"name": Column("name", "text", "text", default=True)}}
    told = {"decimal.handling.mode": "string"}
    with pytest.raises(LogUnreadable, match="has a default, which is told for a NULL") as caught:
        Decoder("erp", "postgresql", [TABLE], known, modes(told)).decode(TOPIC, 0, 0, encoded(envelope()))
    assert "replace.null.with.default=false" in caught.value.mend

    told["value.converter.replace.null.with.default"] = "false"
    event = Decoder("erp", "postgresql", [TABLE], known, modes(told)).decode(TOPIC, 0, 0, encoded(envelope()))
    assert isinstance(event, RowEvent)


def test_a_text_that_looks_like_the_placeholder_is_one_in_an_insert() -> None:
    placeholder = "__debezium_unavailable_value"
    event = made().decode(TOPIC, 0, 0, encoded(envelope(after={"id": 1, "name": placeholder, "price": "1.00"})))

    assert isinstance(event, RowEvent) and event.new == ("1", placeholder, "1.00")


# ---------------------------------------------------------------- whatever comes


@lru_cache
def told(database: str, name: str) -> tuple[tuple[str, bytes], ...]:
    """(topic, value) of messages that were recorded."""
    messages = recordings.load(database, name).messages
    return tuple((each.topic, each.value) for each in messages if each.value is not None)[:80]


@lru_cache
def reads(database: str, name: str) -> Callable[..., object]:
    """What reads them: every column of the table with all types."""
    recording = recordings.load(database, name)
    ((topic, columns),) = recording.facts["columns"].items()
    named = tuple(topic.split("."))
    table = Table(named[0], named[1], ("id", *(column for column, _ in columns[1:40])), (0,))
    known = {(named[0], named[1]): catalog(database, columns)}
    return decoder(database, [table], known, told_modes(recording, database)).decode


RECORDED: Final = [("postgresql", "decimal_string"), ("postgresql", "default_schemas"), ("mariadb", "default_schemas")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RECORDED), st.data())
def test_damaged_messages_raise_nothing_but_our_errors(recorded: tuple[str, str], data: st.DataObject) -> None:
    topic, value = data.draw(st.sampled_from(told(*recorded)))
    damaged = bytearray(value)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1)) if damaged else 0
        match data.draw(st.sampled_from(("cut", "flip", "double", "drop"))):
            case "cut":
                del damaged[at:]
            case "flip":
                damaged[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "double":
                damaged[at:at] = damaged[at : at + 30]
            case _:
                del damaged[at : at + 5]
    try:
        reads(*recorded)(topic, 0, 0, bytes(damaged))
    except DuologError as error:
        assert f"topic {topic}" in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(RECORDED), st.data())
def test_other_values_in_an_envelope_raise_nothing_but_our_errors(
    recorded: tuple[str, str], data: st.DataObject
) -> None:
    topic, value = data.draw(st.sampled_from([each for each in told(*recorded) if b'"op":"c"' in each[1]]))
    said = json.loads(value)
    payload = said.get("payload", said)
    place = data.draw(
        st.sampled_from([(payload, name) for name in payload] + [(payload["after"], n) for n in payload["after"]])
    )
    place[0][place[1]] = data.draw(JSON)
    try:
        reads(*recorded)(topic, 0, 0, encoded(said))
    except DuologError as error:
        assert f"topic {topic}" in str(error)
