"""The command: makes messages of one table in each form, has them decoded, prints a line each."""

from __future__ import annotations

import argparse
import io
import json
import struct
import time
from typing import Any, Final

import fastavro

from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.modes import modes
from engine.catalog import Column
from engine.rulebook import Table

COLUMNS: Final = (
    (Column("id", "integer", "integer", nullable=False, precision=32), "int32", "", "int"),
    (Column("name", "character varying(40)", "text", length=40), "string", "", "string"),
    (Column("city", "text", "text"), "string", "", "string"),
    (Column("price", "numeric(12,2)", "numeric", precision=12, scale=2), "bytes",
     "org.apache.kafka.connect.data.Decimal", "bytes"),
    (Column("quantity", "integer", "integer", precision=32), "int32", "", "int"),
    (Column("changed", "timestamp with time zone", "timestamptz", scale=6), "string", "io.debezium.time.ZonedTimestamp",
     "string"),
    (Column("made", "timestamp without time zone", "timestamp", scale=6), "int64", "io.debezium.time.MicroTimestamp",
     "long"),
    (Column("born", "date", "date"), "int32", "io.debezium.time.Date", "int"),
    (Column("active", "boolean", "boolean"), "boolean", "", "boolean"),
    (Column("note", "text", "text"), "string", "", "string"),
)  # fmt: skip
"""(the catalog's column, Connect's type, what is meant by it, Avro's type)"""

TABLE: Final = Table("public", "customer", tuple(column.name for column, *_ in COLUMNS), (0,))
OPTIONS: Final = {
    "decimal.handling.mode": "precise", "time.precision.mode": "adaptive", "binary.handling.mode": "bytes",
    "value.converter.replace.null.with.default": "false",
}  # fmt: skip
HEADERS: Final = [(f"__debezium.context.{name}", b"1") for name in ("connectorLogicalName", "taskId", "runId")]
SOURCE: Final[dict[str, Any]] = {
    "version": "3.7.0.Final", "connector": "postgresql", "name": "erp", "ts_ms": 1795351017662, "snapshot": "false",
    "db": "app", "sequence": '["26642864","26642864"]', "ts_us": 1795351017662834, "ts_ns": 1795351017662834000,
    "schema": "public", "table": "customer", "txId": 1420, "lsn": 26642864,
}  # fmt: skip


def envelope(number: int, price: object) -> dict[str, Any]:
    """An insert."""
    row = {
        "id": number, "name": f"Name {number}", "city": "Hamburg", "price": price, "quantity": number % 7,
        "changed": "2026-01-31T12:00:00.123456Z", "made": 1769860800123456 + number, "born": 20484, "active": True,
        "note": f"a note of some length {number}",
    }  # fmt: skip
    order = {"id": f"1420:{26642864 + number}", "total_order": number + 1, "data_collection_order": number + 1}
    return {"before": None, "after": row, "source": SOURCE, "transaction": order, "op": "c", "ts_ms": 1795351022114}


def schema() -> dict[str, Any]:
    """As JsonConverter writes it."""
    named = {"version": 1, "parameters": {"scale": "2"}}
    fields = [
        {"type": type_, "optional": True, "field": column.name} | ({"name": name} | named if name else {})
        for column, type_, name, _ in COLUMNS
    ]
    rows = [{"type": "struct", "fields": fields, "optional": True, "field": side} for side in ("before", "after")]
    source = {"type": "struct", "field": "source", "fields": [{"type": "string", "field": name} for name in SOURCE]}
    return {"type": "struct", "fields": [*rows, source], "name": "erp.public.customer.Envelope"}


def avro() -> dict[str, Any]:
    """As AvroConverter writes it."""
    more = {"connect.parameters": {"scale": "2"}}
    fields = [
        {"name": column.name, "type": ["null", {"type": type_, "connect.name": name, **more} if name else type_]}
        for column, _, name, type_ in COLUMNS
    ]
    value = {"type": "record", "name": "Value", "fields": fields}
    told = {str: "string", int: "long"}
    source = {
        "type": "record", "name": "Source",
        "fields": [{"name": name, "type": told[type(each)]} for name, each in SOURCE.items()],
    }  # fmt: skip
    order = {"type": "record", "name": "block", "fields": [
        {"name": "id", "type": "string"}, {"name": "total_order", "type": "long"},
        {"name": "data_collection_order", "type": "long"},
    ]}  # fmt: skip
    return {"type": "record", "name": "Envelope", "fields": [
        {"name": "before", "type": ["null", value]}, {"name": "after", "type": ["null", "Value"]},
        {"name": "source", "type": source}, {"name": "transaction", "type": ["null", order]},
        {"name": "op", "type": "string"}, {"name": "ts_ms", "type": "long"},
    ]}  # fmt: skip


def messages(form: str, count: int) -> list[bytes]:
    """So many, in one form."""
    if form == "avro":
        parsed = fastavro.parse_schema(avro())
        made = []
        for number in range(count):
            out = io.BytesIO(struct.pack(">xI", 1))
            out.seek(5)
            fastavro.schemaless_writer(out, parsed, envelope(number, b"\x00\x96"))
            made.append(out.getvalue())
        return made
    told: list[dict[str, Any]] = [envelope(number, "AJY=") for number in range(count)]
    if form == "json with schemas":
        told = [{"schema": schema(), "payload": each} for each in told]
    return [json.dumps(each, separators=(",", ":")).encode() for each in told]


def main() -> int:
    """Prints messages a second, of CPU time; the best round counts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.envelopes", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for form in ("json", "json with schemas", "avro"):
        values = messages(form, options.messages)
        known = {("public", "customer"): {column.name: column for column, *_ in COLUMNS}}
        decode = Decoder(
            "erp", "postgresql", [TABLE], known, modes(OPTIONS), schemas=lambda _: json.dumps(avro())
        ).decode
        best = float("inf")
        for _ in range(options.rounds):
            begun = time.process_time()
            for offset, value in enumerate(values):
                decode("erp.public.customer", 0, offset, value, HEADERS)
            best = min(best, time.process_time() - begun)
        print(
            f"{form}: {len(values[-1])} bytes, {len(values) / best:,.0f} messages/s, {best / len(values) * 1e6:.1f} µs"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
