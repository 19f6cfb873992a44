"""Avro in Confluent's framing is read like JSON with schemas; the registry is asked once for each schema."""

from __future__ import annotations

import http.server
import io
import json
import struct
import threading
from collections.abc import Iterator
from typing import Any, Final

import fastavro
import pytest

from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.events import End, Heartbeat, RowEvent, Tombstone
from adapters.debezium.decoding.modes import Modes, modes
from adapters.debezium.registry import Registry
from engine.catalog import Column
from engine.errors import AccessDenied, LogUnreadable, SchemaChanged, SystemUnavailable
from engine.rulebook import Table
from engine.vocabulary import ABSENT

TABLE: Final = Table("public", "customer", ("id", "name", "price", "born", "changed", "made", "spot", "Größe"), (0,))
COLUMNS: Final = {
    "id": Column("id", "integer", "integer", nullable=False, precision=32), "name": Column("name", "text", "text"),
    "price": Column("price", "numeric(12,2)", "numeric", precision=12, scale=2), "born": Column("born", "date", "date"),
    "changed": Column("changed", "timestamp with time zone", "timestamptz", scale=6),
    "made": Column("made", "timestamp(3) without time zone", "timestamp", scale=3),
    "spot": Column("spot", "point", "other"), "Größe": Column("Größe", "double precision", "float"),
}  # fmt: skip


def optional(type_: Any) -> list[Any]:
    return ["null", type_]


def named(type_: str, name: str, **more: Any) -> dict[str, Any]:
    """A type as Connect's AvroData writes it."""
    return {"type": type_, "connect.version": 1, "connect.name": name} | more


VALUE: Final = {
    "type": "record", "name": "Value", "namespace": "erp.public.customer",
    "fields": [
        {"name": "id", "type": "int"}, {"name": "name", "type": optional("string"), "default": None},
        {"name": "price", "type": optional(named(
            "bytes", "org.apache.kafka.connect.data.Decimal", scale=2, precision=12, logicalType="decimal",
            **{"connect.parameters": {"scale": "2", "connect.decimal.precision": "12"}},
        )), "default": None},
        {"name": "born", "type": optional(named("int", "org.apache.kafka.connect.data.Date", logicalType="date"))},
        {"name": "changed", "type": optional(named("string", "io.debezium.time.ZonedTimestamp"))},
        {"name": "made", "type": optional(named("long", "io.debezium.time.Timestamp"))},
        {"name": "spot", "type": optional({
            "type": "record", "name": "Point", "namespace": "io.debezium.data.geometry",
            "fields": [{"name": "x", "type": "double"}, {"name": "y", "type": "double"},
                       {"name": "wkb", "type": optional("bytes")}, {"name": "srid", "type": optional("int")}],
        })},
        {"name": "Gr__e", "type": optional("double")},
    ],
    "connect.name": "erp.public.customer.Value",
}  # fmt: skip

ENVELOPE: Final = {
    "type": "record", "name": "Envelope", "namespace": "erp.public.customer",
    "fields": [
        {"name": "before", "type": optional(VALUE), "default": None},
        {"name": "after", "type": optional("erp.public.customer.Value"), "default": None},
        {"name": "source", "type": {
            "type": "record", "name": "Source", "namespace": "io.debezium.connector.postgresql",
            "fields": [{"name": "connector", "type": "string"}, {"name": "db", "type": "string"},
                       {"name": "snapshot", "type": optional("string")}, {"name": "schema", "type": "string"},
                       {"name": "table", "type": "string"}, {"name": "txId", "type": optional("long")},
                       {"name": "lsn", "type": optional("long")}, {"name": "ts_us", "type": optional("long")}],
        }},
        {"name": "transaction", "type": optional({
            "type": "record", "name": "block", "namespace": "event",
            "fields": [{"name": "id", "type": "string"}, {"name": "total_order", "type": "long"},
                       {"name": "data_collection_order", "type": "long"}],
        })},
        {"name": "op", "type": "string"}, {"name": "ts_ms", "type": optional("long")},
    ],
}  # fmt: skip

END: Final = {
    "type": "record", "name": "TransactionMetadataValue",
    "fields": [
        {"name": "status", "type": "string"}, {"name": "id", "type": "string"},
        {"name": "event_count", "type": optional("long")},
        {"name": "data_collections", "type": optional({"type": "array", "items": {
            "type": "record", "name": "collection",
            "fields": [{"name": "data_collection", "type": "string"}, {"name": "event_count", "type": "long"}],
        }})},
        {"name": "ts_ms", "type": "long"},
    ],
}  # fmt: skip

HEARTBEAT: Final = {"type": "record", "name": "Heartbeat", "fields": [{"name": "ts_ms", "type": "long"}]}

SCHEMAS: Final[dict[int, Any]] = {7: ENVELOPE, 8: END, 9: HEARTBEAT}

ROW: Final = {
    "id": 1, "name": "中😀", "price": b"\x00\x96", "born": 20484, "changed": "2026-01-31T12:00:00.5Z",
    "made": 1769860800123, "spot": {"x": 1.0, "y": 0.5, "wkb": b"", "srid": None}, "Gr__e": float("nan"),
}  # fmt: skip


def framed(number: int, told: dict[str, Any], schema: Any = None) -> bytes:
    """A message, as AvroConverter writes it."""
    out = io.BytesIO()
    plain = json.loads(json.dumps(schema or SCHEMAS[number]).replace('"logicalType"', '"ignored"'))
    fastavro.schemaless_writer(out, plain, told)
    return struct.pack(">xI", number) + out.getvalue()


def envelope(**parts: Any) -> dict[str, Any]:
    source = {"connector": "postgresql", "db": "app", "snapshot": "false", "schema": "public", "table": "customer",
              "txId": 5, "lsn": 6, "ts_us": 7}  # fmt: skip
    order = {"id": "5:6", "total_order": 1, "data_collection_order": 1}
    return {"before": None, "after": ROW, "source": source, "transaction": order, "op": "c", "ts_ms": 8} | parts


def made(schemas: dict[int, Any] | None = None) -> Decoder:
    known = schemas or SCHEMAS
    told = modes({"value.converter.replace.null.with.default": "false"})
    return Decoder(
        "erp", "postgresql", [TABLE], {("public", "customer"): COLUMNS}, told, schemas=lambda n: json.dumps(known[n])
    )


def test_a_row_is_read_as_from_json() -> None:
    event = made().decode("erp.public.customer", 0, 0, framed(7, envelope()))

    assert isinstance(event, RowEvent)
    assert event.new == (
        "1", "中😀", "1.50", "2026-01-31", "2026-01-31 12:00:00.5+00", "2026-01-31 12:00:00.123", "(1,0.5)", "NaN",
    )  # fmt: skip
    assert (event.source.lsn, event.source.transaction, event.order and event.order.name) == (6, 5, "5")


def test_what_did_not_change_is_absent_and_a_deletion_tells_the_key() -> None:
    reading = made()
    unchanged = ROW | {"name": "__debezium_unavailable_value", "price": None}
    updated = reading.decode("t", 0, 0, framed(7, envelope(op="u", after=unchanged)))
    deleted = reading.decode("t", 0, 1, framed(7, envelope(op="d", before=ROW, after=None)))

    assert isinstance(updated, RowEvent) and updated.new is not None and updated.new[:3] == ("1", ABSENT, None)
    assert isinstance(deleted, RowEvent) and deleted.old == ("1", *[ABSENT] * 7)


def test_other_events_are_read_too() -> None:
    reading = made()
    ended = {"status": "END", "id": "5:9", "event_count": 1, "ts_ms": 3,
             "data_collections": [{"data_collection": "public.customer", "event_count": 1}]}  # fmt: skip

    assert reading.decode("t", 0, 0, framed(8, ended)) == End("5:9", 3000, 1, {"public.customer": 1})
    assert reading.decode("t", 0, 1, framed(9, {"ts_ms": 4})) == Heartbeat(4000)
    assert reading.decode("t", 0, 2, None) == Tombstone()


def test_a_schema_without_a_bound_column_stops_the_table() -> None:
    fields = [each for each in VALUE["fields"] if each["name"] != "born"]  # type: ignore[index]
    altered = json.loads(json.dumps(ENVELOPE))
    altered["fields"][0]["type"][1]["fields"] = fields
    row = {name: value for name, value in ROW.items() if name != "born"}
    reading = made({**SCHEMAS, 10: altered})
    reading.decode("t", 0, 0, framed(7, envelope()))

    with pytest.raises(SchemaChanged, match="without the bound column `born`"):
        reading.decode("t", 0, 1, framed(10, envelope(after=row), altered))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (framed(7, envelope())[:-9], "no value of its Avro schema (number 7)"),
        (b"\0\0\0", "ends within the number of its schema"),
        (struct.pack(">xI", 11) + b"\0", "with the number 11 is none of Avro's"),
        (struct.pack(">xI", 12) + b"\0", "with the number 12 is none of Avro's"),
        (struct.pack(">xI", 13) + b"\2", "with the number 13 is none of Avro's"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(value: bytes, words: str) -> None:
    broken = {**SCHEMAS, 11: {"type": "unheard of"}, 12: [1, 2], 13: "long"}

    with pytest.raises(LogUnreadable) as caught:
        made(broken).decode("t", 1, 2, value)

    assert words in str(caught.value) and "topic t, partition 1, offset 2" in str(caught.value)


# ---------------------------------------------------------------- the registry


class Answering(http.server.BaseHTTPRequestHandler):
    """A registry with two schemas, for one user."""

    asked: Final[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        code, said = 404, b"{}"
        if self.headers.get("Authorization") != "Basic bWU6cMOkw58vdw==":
            code = 401
        elif self.path == "/api/schemas/ids/7":
            code, said = 200, json.dumps({"schema": json.dumps(ENVELOPE)}).encode()
        elif self.path == "/api/schemas/ids/8":
            code, said = 200, json.dumps({"schema": "syntax", "schemaType": "PROTOBUF"}).encode()
        elif self.path == "/api/schemas/ids/9":
            code = 500
        elif self.path == "/api/schemas/ids/10":
            code, said = 200, b"no JSON"
        self.send_response(code)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def where() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Answering.asked.clear()
    yield f"127.0.0.1:{server.server_address[1]}/api"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_registry_is_asked_once_for_each_schema(where: str) -> None:
    registry = Registry(f"http://me:p%C3%A4%C3%9F%2Fw@{where}/", system="erp")
    reading = Decoder(
        "erp", "postgresql", [TABLE], {("public", "customer"): COLUMNS}, Modes(nulls="false"), schemas=registry.schema
    )
    for offset in range(3):
        assert isinstance(reading.decode("t", 0, offset, framed(7, envelope())), RowEvent)

    assert Answering.asked == ["/api/schemas/ids/7"]
    assert registry.where == f"http://{where}"


@pytest.mark.parametrize(
    ("user", "number", "error", "words"),
    [
        ("me:wrong", 7, AccessDenied, "does not let us in (401)"),
        ("me:p%C3%A4%C3%9F%2Fw", 99, LogUnreadable, "no schema with the number 99"),
        ("me:p%C3%A4%C3%9F%2Fw", 8, LogUnreadable, "no whole Avro schema with the number 8"),
        ("me:p%C3%A4%C3%9F%2Fw", 9, SystemUnavailable, "answers with 500"),
        ("me:p%C3%A4%C3%9F%2Fw", 10, SystemUnavailable, "does not answer as it should"),
    ],
)
def test_what_the_registry_says_is_told_by_kind(
    where: str, user: str, number: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        Registry(f"http://{user}@{where}").schema(number)

    assert words in str(caught.value) and "wrong" not in str(caught.value) and "p%C3" not in str(caught.value)


def test_a_registry_that_is_not_there_is_tried_again() -> None:
    with pytest.raises(SystemUnavailable, match="does not answer"):
        Registry("http://127.0.0.1:1").schema(1)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "nothing", "https://x/?password=1", "http://x:99999/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AccessDenied, match="address of the registry"):
        Registry(url)


def test_a_certificate_file_that_is_not_there_is_told() -> None:
    with pytest.raises(AccessDenied, match="cannot be used"):
        Registry("https://registry.example.com/?ca=/not/there.pem")
