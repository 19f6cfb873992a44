"""Envelopes of connectors that no test can run here, handwritten by Debezium's documentation, are read as the house
spells each family.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.events import Begin, End, RowEvent, Tombstone, changes
from adapters.debezium.decoding.judging import doubts
from adapters.debezium.decoding.modes import Modes, modes
from adapters.debezium.decoding.shown import Shown
from engine.catalog import Column
from engine.rulebook import Table
from engine.vocabulary import ABSENT
from tests.kafka import recordings

KEPT: Final = {"value.converter.replace.null.with.default": "false"}

SOURCES: Final[dict[str, dict[str, Any]]] = {
    "sqlserver": {
        "db": "shop", "schema": "dbo", "change_lsn": "00000027:00000758:0003", "commit_lsn": "00000027:00000758:0005",
        "event_serial_no": 1,
    },
    "oracle": {"db": "ORCL", "schema": "SHOP", "txId": "6.28.807", "scn": "2122185", "commit_scn": "2122186"},
    "db2": {"db": "shop", "schema": "DB2INST1", "change_lsn": "00000000:00048b5e", "commit_lsn": "00000000:00048b61"},
    "mysql": {"db": "shop", "file": "mysql-bin.000003", "pos": 484, "row": 0, "server_id": 223344, "gtid": None},
}  # fmt: skip

TIME, LOGICAL = "io.debezium.time.", "org.apache.kafka.connect.data."


def field(type_: str, name: str = "", **parameters: str) -> dict[str, Any]:
    """How a schema tells of a column."""
    return {"type": type_, "optional": True} | ({"name": name, "parameters": parameters} if name else {})


def read(
    connector: str, column: Column, value: Any, shown: dict[str, Any] | None, told: Modes | None = None
) -> str | None:
    """What a value of a column is read as; `shown`: its schema, None: there is none."""
    schema = SOURCES[connector].get("schema", "shop")
    table = Table(schema, "customer", ("id", "x"), (0,))
    payload: dict[str, Any] = {
        "before": None, "after": {"id": 1, "x": value}, "op": "c", "ts_ms": 1, "transaction": None,
        "source": {"connector": connector, "table": "customer", "snapshot": "false", "ts_ms": 5} | SOURCES[connector],
    }  # fmt: skip
    if shown is not None:
        fields = [{"field": "id", "type": "int32"}, {"field": "x", **shown}]
        rows = [{"type": "struct", "field": side, "fields": fields} for side in ("before", "after")]
        payload = {"schema": {"type": "struct", "fields": rows}, "payload": payload}
    known = {"id": Column("id", "integer", "integer", nullable=False, precision=32), "x": column}
    reading = Decoder("erp", connector, [table], {(schema, "customer"): known}, told or modes(KEPT))
    event = reading.decode("erp.customer", 0, 0, json.dumps(payload, separators=(",", ":")).encode())
    assert isinstance(event, RowEvent) and event.new is not None and event.new[0] == "1"
    assert event.new[1] is not ABSENT
    return event.new[1]


def number(scale: int | None, precision: int | None = 38) -> Column:
    return Column("x", "NUMBER", "numeric", precision=precision, scale=scale)


def of(family: str, type_: str = "", **more: Any) -> Column:
    return Column("x", type_ or family, family, **more)


CASES: Final[list[tuple[str, Column, Any, dict[str, Any], str]]] = [
    ("sqlserver", of("boolean", "BIT"), True, field("boolean"), "t"),
    ("sqlserver", of("integer", "TINYINT", precision=8), 255, field("int16"), "255"),
    ("sqlserver", number(2), "AJY=", field("bytes", LOGICAL + "Decimal", scale="2"), "1.50"),
    ("sqlserver", number(4), "AeJA", field("bytes", LOGICAL + "Decimal", scale="4"), "12.3456"),
    ("sqlserver", of("float", "REAL", precision=24), 0.1, field("float"), "0.1"),
    ("sqlserver", of("float", "FLOAT", precision=53), 1e16, field("double"), "1e+16"),
    ("sqlserver", of("date", "DATE"), 20484, field("int32", TIME + "Date"), "2026-01-31"),
    ("sqlserver", of("timestamp", "DATETIME2", scale=6), 1769860800123456, field("int64", TIME + "MicroTimestamp"),
     "2026-01-31 12:00:00.123456"),
    ("sqlserver", of("timestamp", "DATETIME2", scale=6), "2026-01-31T12:00:00.1234567Z",
     field("string", TIME + "IsoTimestamp"), "2026-01-31 12:00:00.123456"),
    ("sqlserver", of("timestamp", "DATETIME", scale=3), 1769860800123, field("int64", TIME + "Timestamp"),
     "2026-01-31 12:00:00.123"),
    ("sqlserver", of("timestamptz", "DATETIMEOFFSET", scale=6), "2026-01-31T12:00:00.1234567+02:00",
     field("string", TIME + "ZonedTimestamp"), "2026-01-31 10:00:00.123456+00"),
    ("sqlserver", of("time", "TIME", scale=6), 43200123456700, field("int64", TIME + "NanoTime"), "12:00:00.123456"),
    ("sqlserver", of("uuid", "UNIQUEIDENTIFIER"), "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", field("string"),
     "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("sqlserver", of("bytes", "VARBINARY"), "AP8=", field("bytes"), "\\x00ff"),
    ("oracle", number(None), {"scale": 2, "value": "AJY="}, field("struct", "io.debezium.data.VariableScaleDecimal"),
     "1.5"),
    ("oracle", number(2), {"scale": 1, "value": "Dw=="}, field("struct", "io.debezium.data.VariableScaleDecimal"),
     "1.50"),
    ("oracle", number(0), 42, field("int32"), "42"),
    ("oracle", of("integer", "NUMBER(10,0)", precision=64), 42, field("int64"), "42"),
    ("oracle", of("integer", "INTEGER", precision=64), "Kg==", field("bytes", LOGICAL + "Decimal", scale="0"), "42"),
    ("oracle", of("timestamp", "DATE", scale=0), 1769860800000, field("int64", TIME + "Timestamp"),
     "2026-01-31 12:00:00"),
    ("oracle", of("timestamp", "TIMESTAMP(6)", scale=6), 1769860800123456, field("int64", TIME + "MicroTimestamp"),
     "2026-01-31 12:00:00.123456"),
    ("oracle", of("timestamptz", "TIMESTAMP WITH TIME ZONE"), "2026-01-31T12:00:00.5-05:00",
     field("string", TIME + "ZonedTimestamp"), "2026-01-31 17:00:00.5+00"),
    ("oracle", of("text", "CLOB"), "", field("string"), ""),
    ("db2", number(2), "1.50", field("string"), "1.50"),
    ("db2", of("timestamp", "TIMESTAMP", scale=6), 1769860800123456, field("int64", TIME + "MicroTimestamp"),
     "2026-01-31 12:00:00.123456"),
    ("db2", of("time", "TIME", scale=0), 43200000, field("int32", TIME + "Time"), "12:00:00"),
    ("mysql", of("integer", "bigint unsigned", precision=64, unsigned=True), -1, field("int64"),
     "18446744073709551615"),
    ("mysql", of("enum", "enum('a,b','c')", labels=("a,b", "c")), "a\\,b",
     field("string", "io.debezium.data.Enum", allowed="a\\,b,c"), "a,b"),
    ("mysql", of("timestamptz", "timestamp", scale=0), "1970-01-01T00:00:00Z", field("string", TIME + "ZonedTimestamp"),
     "0000-00-00 00:00:00+00"),
    ("mysql", of("time", "time(6)", scale=6), -1, field("int64", TIME + "MicroTime"), "-00:00:00.000001"),
    ("mysql", of("other", "bit(9)", precision=9), "AQE=", field("bytes", "io.debezium.data.Bits", length="9"),
     "100000001"),
]  # fmt: skip


@pytest.mark.parametrize(("connector", "column", "value", "shown", "text"), CASES)
def test_a_value_is_spelled_as_the_house_spells_its_family(
    connector: str, column: Column, value: Any, shown: dict[str, Any], text: str
) -> None:
    assert read(connector, column, value, shown) == text


@pytest.mark.parametrize("connector", SOURCES)
def test_null_is_null(connector: str) -> None:
    assert read(connector, of("text", "varchar"), None, field("string")) is None


BARE: Final[list[tuple[str, Column, Any, str]]] = [
    ("oracle", of("integer", "NUMBER(38,0)", precision=64), "Kg==", "42"),
    ("oracle", of("integer", "NUMBER(10,0)", precision=64), 42, "42"),
    ("sqlserver", number(2), "1.50", "1.50"),
    ("sqlserver", number(2), "AJY=", "1.50"),
    ("mysql", of("integer", "bigint unsigned", precision=64, unsigned=True), "AP//////////", "18446744073709551615"),
    ("mysql", of("integer", "bigint unsigned", precision=64, unsigned=True), -1, "18446744073709551615"),
    ("mysql", of("integer", "year", precision=16), 1900, "0000"),
]


@pytest.mark.parametrize(("connector", "column", "value", "text"), BARE)
def test_without_a_schema_a_value_tells_by_itself_how_it_is_shown(
    connector: str, column: Column, value: Any, text: str
) -> None:
    assert read(connector, column, value, None) == text


ASKED: Final[list[tuple[str, Column, str]]] = [
    ("oracle", number(0), "decimal.handling.mode"),
    ("oracle", number(None), "decimal.handling.mode"),
    ("sqlserver", of("bytes", "VARBINARY"), "binary.handling.mode"),
    ("sqlserver", of("timestamp", "DATETIME2", scale=6), "time.precision.mode"),
    ("mysql", of("time", "time"), "time.precision.mode"),
]


@pytest.mark.parametrize(("connector", "column", "option"), ASKED)
def test_without_a_schema_what_could_be_either_is_asked_for(connector: str, column: Column, option: str) -> None:
    (found,) = [each for each in judged(connector, column, None, Modes()) if each.severity == "error"]

    assert option in found.mend and "schemas.enable=true" in found.mend


REFUSED: Final[list[tuple[str, Column, Shown, str]]] = [
    ("sqlserver", of("timestamp", "DATETIME2", scale=6), Shown("int64", TIME + "NanoTimestamp"), "microseconds"),
    ("sqlserver", of("timestamp", "DATETIME2", scale=6), Shown("int64", LOGICAL + "Timestamp"), "microseconds"),
    ("oracle", number(2), Shown("double"), "decimal.handling.mode=string"),
    ("oracle", of("interval", "INTERVAL DAY TO SECOND"), Shown("int64", TIME + "MicroDuration"), "=string"),
    ("mysql", of("integer", "tinyint(1)", precision=8), Shown("boolean"), "converter"),
    ("mysql", of("json", "json"), Shown("string", "io.debezium.data.Json"), "longtext"),
    ("mysql", of("time", "time", scale=0), Shown("int32", LOGICAL + "Time"), "adaptive_time_microseconds"),
    ("db2", of("bytes", "BLOB"), Shown("string"), "binary.handling.mode"),
    ("db2", of("date", "DATE"), Shown("string"), "read the table's schema anew"),
    ("oracle", of("text", "VARCHAR2"), Shown("string", default=True), "replace.null.with.default=false"),
]


def judged(connector: str, column: Column, shown: Shown | None, told: Modes) -> list[Any]:
    table = Table("shop", "customer", ("x",), (0,))
    return doubts(table, {"x": column}, told, connector, told=None if shown is None else {"x": shown})


@pytest.mark.parametrize(("connector", "column", "shown", "mend"), REFUSED)
def test_what_a_mode_loses_is_refused_with_the_option_to_set(
    connector: str, column: Column, shown: Shown, mend: str
) -> None:
    (found,) = [each for each in judged(connector, column, shown, Modes()) if each.severity == "error"]

    assert mend in found.mend and found.column == "x"


def test_a_former_row_of_sql_server_does_not_tell_large_values() -> None:
    table = Table("dbo", "customer", ("id", "note"), (0,))
    known = {
        "id": Column("id", "int", "integer", nullable=False, precision=32),
        "note": Column("note", "varchar(max)", "text"),
    }
    payload = {
        "before": {"id": 1, "note": None}, "after": None, "op": "d", "ts_ms": 1,
        "source": {"connector": "sqlserver", "table": "customer"} | SOURCES["sqlserver"],
    }  # fmt: skip
    reading = Decoder("erp", "sqlserver", [table], {("dbo", "customer"): known}, modes(KEPT))
    event = reading.decode("t", 0, 0, json.dumps(payload).encode())

    assert isinstance(event, RowEvent) and event.old == ("1", ABSENT)


def test_an_option_that_does_not_matter_or_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no option that matters here"):
        modes({"slot.name": "x"})
    with pytest.raises(ValueError, match="precise, string, double"):
        modes({"decimal.handling.mode": "exact"})


HANDWRITTEN: Final[dict[str, tuple[Table, dict[str, Column], tuple[str, ...]]]] = {
    "mysql": (
        Table("shop", "customer", ("id", "name", "price", "made", "changed", "flags", "kind", "taken", "day"), (0,)),
        {
            "id": of("integer", "int", precision=32), "name": of("text", "varchar(40)"),
            "price": of("numeric", "decimal(12,2)", precision=12, scale=2),
            "made": of("timestamp", "datetime(6)", scale=6), "changed": of("timestamptz", "timestamp(6)", scale=6),
            "flags": of("other", "bit(8)", precision=8), "kind": of("enum", "enum('a','b')", labels=("a", "b")),
            "taken": of("time", "time", scale=0), "day": of("date"),
        },
        ("1", "after", "1.50", "2026-01-31 12:00:00", "2026-01-31 12:00:00.123456+00", "00000101", "a", "12:34:56",
         "2026-01-31"),
    ),
    "sqlserver": (
        Table("dbo", "customer", ("id", "name", "price", "amount", "zoned", "flag", "guid", "taken", "bytes", "doc"),
              (0,)),
        {
            "id": of("integer", "int", precision=32), "name": of("text", "nvarchar(40)", length=40),
            "price": number(2), "amount": number(4), "zoned": of("timestamptz", "datetimeoffset(7)", scale=6),
            "flag": of("boolean", "bit"), "guid": of("uuid"), "taken": of("time", "time(7)", scale=6),
            "bytes": of("bytes", "varbinary(10)", octets=10), "doc": of("other", "xml"),
        },
        ("1", "after", "1.50", "5.8593", "2026-01-31 11:00:00.123456+00", "t",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "12:34:56.123456", "\\x00ff", "<a>1</a>"),
    ),
    "oracle": (
        Table("shop", "customer", ("id", "name", "price", "any_number", "big", "zoned", "ratio", "bytes", "doc"), (0,)),
        {
            "id": of("integer", "NUMBER(9)", precision=32), "name": of("text", "VARCHAR2(40)"), "price": number(2),
            "any_number": number(None), "big": of("integer", "NUMBER(38)", precision=64),
            "zoned": of("timestamptz"), "ratio": of("float", "BINARY_DOUBLE"), "bytes": of("bytes", "RAW(10)"),
            "doc": of("text", "CLOB"),
        },
        ("1", "after", "1.50", "-1.005", "241842710183", "2026-01-31 11:00:00.123456+00", "0.1", "\\x00ff", ABSENT),
    ),
    "db2": (
        Table("db2inst1", "customer", ("id", "name", "price", "day", "ratio", "floating", "bytes"), (0,)),
        {
            "id": of("integer", precision=32), "name": of("text"), "price": number(2), "day": of("date"),
            "ratio": of("float", "DOUBLE"), "floating": number(None), "bytes": of("bytes"),
        },
        ("1", "after", "1.50", "2026-01-31", "0.1", "1.5", "\\x00ff"),
    ),
}  # fmt: skip
"""By connector: the table as its rules write it, its catalog, and its updated row."""

OPTIONS: Final[dict[str, dict[str, str]]] = {
    "mysql": {"time.precision.mode": "adaptive_time_microseconds", "binary.handling.mode": "bytes"},
    "sqlserver": {"time.precision.mode": "nanoseconds", "binary.handling.mode": "bytes"},
    "oracle": {"binary.handling.mode": "bytes", "decimal.handling.mode": "precise"},
    "db2": {"binary.handling.mode": "bytes", "decimal.handling.mode": ""},
}


@pytest.mark.parametrize("connector", HANDWRITTEN)
def test_a_story_without_schemas_is_read_by_the_catalog(connector: str) -> None:
    table, known, updated = HANDWRITTEN[connector]
    name = (table.schema, table.name)
    said = {option: value for option, value in OPTIONS[connector].items() if value}
    if connector == "db2":
        known = known | {"floating": of("text")}  # a DECFLOAT is told as a text, whatever numbers are told as
    reading = Decoder("erp", connector, [table], {name: known}, modes(KEPT | said))
    messages = recordings.load(connector, "events").messages
    ordered = sorted(messages, key=lambda each: (each.topic, each.partition, each.offset))
    read = [reading.decode(each.topic, 0, each.offset, each.value, each.headers) for each in ordered]
    rows = [each for each in read if isinstance(each, RowEvent)]
    kinds = {type(each) for each in read}

    assert [each.operation for each in rows] == ["r", "c", "c", "u", "d", "c", "d"]
    assert next(each.new for each in rows if each.operation == "u") == updated
    assert [(kind, new and new[0], old and old[0]) for _, kind, new, old in changes(rows)] == [
        ("I", "1", None), ("I", "2", None), ("I", "3", None), ("U", "1", None), ("U", "30", "3"), ("D", None, "2"),
    ]  # fmt: skip
    assert {Begin, End, RowEvent, Tombstone} <= kinds
    assert rows[-1].source.committed_at == 1769860800123456
