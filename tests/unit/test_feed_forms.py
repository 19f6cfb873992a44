"""What a consumer is given: every family's values exact, in both forms, and schemas that say so."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from adapters.feed.cloudevents import CloudEventsForm
from adapters.feed.debezium import DebeziumForm
from adapters.feed.message import Change, Message, Where
from adapters.feed.texts import CONNECT, PLAIN, told
from engine.agreed import Event
from engine.rulebook import Binding, Entity, Field, Register
from engine.vocabulary import UNSET, JournalEntry, Text, Version

VERSION = Version(7, "erp", 1_795_341_600_000_500, 42)


def entity_of(*families: str, key: tuple[int, ...] = (0,)) -> Entity:
    """`thing`, with a key and a field of each family."""
    fields = (Field("no", 0, -1 if key else 1), *(Field(f, n, n + 1, f) for n, f in enumerate(families, 1)))
    systems = ("erp", "crm")
    registers = (
        Register(0, (), None, "last_writer", systems),
        *(Register(f.register, (f.number,), None, "last_writer", systems) for f in fields if f.register > 0),
    )
    bindings = {s: Binding(s, "thing", 0, tuple(range(len(fields)))) for s in systems}
    return Entity("thing", fields, key, registers, bindings, frozenset(systems), {}, False)  # fmt: skip


WHERE = Where("demo", "demo", {"thing": "agreed.thing"}, "agreed.journal", False, False)


def changed(before: tuple[Text | bool, ...] | None, after: tuple[Text | bool, ...] | None) -> Change:
    return Change("K1", VERSION, 9, 2, before, after)


def value(message: Message) -> dict:
    assert message.value is not None
    return json.loads(message.value)


@pytest.mark.parametrize(
    ("family", "text", "connect", "plain"),
    [
        ("integer", "-9223372036854775808", -(2**63), -(2**63)),
        ("integer", "18446744073709551615", 2**64 - 1, 2**64 - 1),
        ("numeric", "100000000000000000000.10", "100000000000000000000.10", "100000000000000000000.10"),
        ("boolean", "t", True, True),
        ("boolean", "f", False, False),
        ("float", "0.1", 0.1, 0.1),
        ("float", "NaN", "NaN", "NaN"),
        ("date", "1970-01-02", 1, "1970-01-02"),
        ("date", "0044-03-15 BC", -735160, "0044-03-15 BC"),
        ("date", "infinity", "infinity", "infinity"),
        ("time", "10:00:00.5", 36_000_500_000, "10:00:00.5"),
        ("time", "-00:00:01", -1_000_000, "-00:00:01"),
        ("timestamp", "1970-01-01 00:00:01.000002", 1_000_002, "1970-01-01T00:00:01.000002"),
        ("timestamp", "1969-12-31 23:59:59", -1_000_000, "1969-12-31T23:59:59"),
        ("timestamp", "infinity", 9_223_372_036_825_200_000, "infinity"),
        ("timestamptz", "2026-11-22 10:00:00.5+00", "2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.5Z"),
        ("bytes", "\\x00ff", base64.b64encode(b"\x00\xff").decode(), base64.b64encode(b"\x00\xff").decode()),
        ("json", '{"a": 1}', '{"a": 1}', '{"a": 1}'),
        ("interval", "1 day", "1 day", "1 day"),
    ],
)
def test_a_value_is_told_exactly(family: str, text: str, connect: object, plain: object) -> None:
    assert told(CONNECT, family)(text) == connect
    assert told(PLAIN, family)(text) == plain


def test_null_and_a_field_that_nobody_has_set_are_null() -> None:
    assert told(CONNECT, "integer")(None) is None
    assert told(CONNECT, "integer")(UNSET) is None


def test_an_update_tells_all_fields_before_and_after() -> None:
    form = DebeziumForm({"thing": entity_of("integer", "numeric")}, WHERE)

    (message,) = form.change("thing", changed(("K1", "1", "1.50"), ("K1", "1", "2.50")), 1_795_341_600_700_000)

    envelope = value(message)
    assert json.loads(message.key) == {"no": "K1"}
    assert envelope["before"] == {"no": "K1", "integer": 1, "numeric": "1.50"}
    assert envelope["after"] == {"no": "K1", "integer": 1, "numeric": "2.50"}
    assert envelope["op"] == "u"
    assert envelope["ts_ms"] == 1_795_341_600_700
    source = envelope["source"]
    assert (source["connector"], source["name"], source["table"]) == ("duolog", "demo", "thing")
    assert source["system"] == "erp"
    assert (source["number"], source["index"], source["position"], source["step"]) == (9, 2, 42, 7)
    assert source["ts_us"] == VERSION.committed_at
    assert envelope["transaction"]["id"] == "7"
    assert message.at_ms == VERSION.committed_at // 1000
    assert dict(message.headers)["duolog.number"] == b"9"


def test_what_ends_leaves_a_tombstone() -> None:
    for form in (DebeziumForm({"thing": entity_of()}, WHERE), CloudEventsForm({"thing": entity_of()}, WHERE)):
        end, tombstone = form.change("thing", changed(("K1",), None), 1)

        assert end.key == tombstone.key
        assert tombstone.value is None
    assert value(DebeziumForm({"thing": entity_of()}, WHERE).change("thing", changed(("K1",), None), 1)[0])["op"] == "d"


def test_a_stated_schema_says_of_every_field_what_it_is() -> None:
    entity = entity_of("integer", "numeric", "timestamptz", "date")
    form = DebeziumForm({"thing": entity}, replace(WHERE, inline=True))

    (message,) = form.change("thing", changed(None, ("K1", "1", "2.5", None, None)), 1)

    stated = value(message)
    fields = {f["field"]: f for f in stated["schema"]["fields"]}
    assert set(fields) == set(stated["payload"])
    assert {f["field"] for f in fields["source"]["fields"]} == set(stated["payload"]["source"])
    assert {f["field"] for f in fields["transaction"]["fields"]} == set(stated["payload"]["transaction"])
    row = {f["field"]: (f["type"], f.get("name"), f["optional"]) for f in fields["after"]["fields"]}
    assert row == {
        "no": ("string", None, False), "integer": ("int64", None, True), "numeric": ("string", None, True),
        "timestamptz": ("string", "io.debezium.time.ZonedTimestamp", True),
        "date": ("int32", "io.debezium.time.Date", True),
    }  # fmt: skip
    assert json.loads(message.key)["schema"]["name"] == "agreed.thing.Key"


def test_a_cloud_event_has_what_the_standard_asks_for() -> None:
    form = CloudEventsForm({"thing": entity_of("timestamptz")}, WHERE)

    (message,) = form.change("thing", changed(None, ("K1", "2026-11-22 10:00:00+00")), 1)

    event = value(message)
    assert {"specversion": "1.0", "id": "9-2", "source": "/duolog/demo", "type": "duolog.thing.created",
            "subject": '{"no":"K1"}', "datacontenttype": "application/json"}.items() <= event.items()  # fmt: skip
    assert event["time"] == "2026-11-22T10:00:00.000500Z"
    assert event["data"] == {"before": None, "after": {"no": "K1", "timestamptz": "2026-11-22T10:00:00Z"}}
    assert event["dataschema"].startswith("urn:duolog:demo:thing:")
    assert dict(message.headers)["content-type"].startswith(b"application/cloudevents+json")
    assert all(name.isalnum() and name == name.lower() for name in event), "names as the standard has them"


def test_what_was_there_has_an_id_of_its_own() -> None:
    form = CloudEventsForm({"thing": entity_of()}, WHERE)
    ids = {
        value(form.change("thing", replace(changed(None, (key,)), key=key, beginning=True), 1)[0])["id"]
        for key in ("K1", "K2")
    }

    assert len(ids) == 2


def test_a_record_under_a_key_of_ours_is_told_by_its_id() -> None:
    form = DebeziumForm({"thing": entity_of("text", key=())}, WHERE)

    (message,) = form.change("thing", replace(changed(None, (None, "x")), key="erp:17"), 1)

    assert json.loads(message.key) == {"id": "erp:17"}


@pytest.mark.parametrize("values", [False, True])
def test_events_tell_values_only_if_asked(values: bool) -> None:
    entry = JournalEntry("thing", "K1", ("name",), "update_differs", "…", VERSION, ("Ada",), VERSION, ("Bob",), 7)
    where = replace(WHERE, values=values, inline=True)
    for form in (DebeziumForm({"thing": entity_of()}, where), CloudEventsForm({"thing": entity_of()}, where)):
        message = form.event(Event(9, 3, entry), 1)

        assert message.topic == "agreed.journal"
        assert (b"Ada" in message.value, b"Bob" in message.value) == (values, values)
    stated = value(DebeziumForm({"thing": entity_of()}, where).event(Event(9, 3, entry), 1))
    fields = {f["field"]: f for f in stated["schema"]["fields"]}
    assert {f["field"] for f in fields["after"]["fields"]} == set(stated["payload"]["after"])
