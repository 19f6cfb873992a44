"""Says how a connector shows a column where its events come without schemas: by the catalog and the options told.

Where two ways of showing cannot be told apart by the value itself, and nobody has said which it is, that is refused,
with what to say. Values are checked when they are read: a wrong word in the rules stops the reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from adapters.debezium.decoding.asked import BINLOG, plain_type
from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.reading import element
from adapters.debezium.decoding.shown import EITHER, HSTORE, WHOLE_NUMBER, Shown
from adapters.debezium.decoding.unfit import Unfit
from engine.catalog import Column

_LOGICAL: Final = "org.apache.kafka.connect.data."
_TIME: Final = "io.debezium.time."
_DATA: Final = "io.debezium.data."
_MILLI_DIGITS: Final = 3

_MOMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "connect": ("int64", _LOGICAL + "Timestamp"), "isostring": ("string", _TIME + "IsoTimestamp"),
    "microseconds": ("int64", _TIME + "MicroTimestamp"), "nanoseconds": ("int64", _TIME + "NanoTimestamp"),
}  # fmt: skip
_TIMES: Final[Mapping[str, tuple[str, str]]] = {
    "connect": ("int32", _LOGICAL + "Time"), "isostring": ("string", _TIME + "IsoTime"),
    "microseconds": ("int64", _TIME + "MicroTime"), "nanoseconds": ("int64", _TIME + "NanoTime"),
    "adaptive_time_microseconds": ("int64", _TIME + "MicroTime"),
}  # fmt: skip


def assumed(column: Column, modes: Modes, connector: str) -> Shown:
    """How the column is shown. Raises Unfit where nobody has said, and it matters."""
    return replace(_assumed(column, modes, connector), optional=column.nullable, default=column.default)


def _assumed(column: Column, modes: Modes, connector: str) -> Shown:
    match column.family:
        case "boolean":
            return Shown("boolean")
        case "integer":
            return _integer(column, connector)
        case "numeric":
            return _numeric(column, modes)
        case "float":
            return Shown("double")
        case "bytes":
            return Shown("bytes") if _said(modes.binary, "binary.handling.mode") == "bytes" else Shown("string")
        case "date":
            return Shown("string", _TIME + "IsoDate") if modes.time == "isostring" else Shown("int32", _TIME + "Date")
        case "time" | "timestamp":
            return _timed(column, modes, connector)
        case "timestamptz":
            return Shown("string", _TIME + "ZonedTimestamp")
        case "interval":
            numeric = modes.interval == "numeric"
            return Shown("int64", _TIME + "MicroDuration") if numeric else Shown("string", _TIME + "Interval")
        case "array":
            return Shown("array", items=assumed(element(column), modes, connector))
        case "other":
            return _other(column, connector)
        case _:
            return Shown("string")


def _said(mode: str, name: str) -> str:
    if not mode:
        raise Unfit(
            "comes without a schema, in a form that does not tell how to read it",
            f"say in the rules which `{name}` the connector has, or set `value.converter.schemas.enable=true` there",
        )
    return mode


def _integer(column: Column, connector: str) -> Shown:
    kind = plain_type(column)
    if kind == "bit":
        return Shown("boolean")
    if connector in BINLOG and kind.startswith("year"):
        return Shown("int32", _TIME + "Year")
    # A large number without a scale may be a decimal to the connector: whole numbers of Oracle, unsigned ones of MySQL.
    large = (column.precision or 64) >= 64
    return Shown("int64", WHOLE_NUMBER) if large and connector != "postgresql" else Shown("int64")


def _numeric(column: Column, modes: Modes) -> Shown:
    if modes.decimal == "string":
        return Shown("string")
    if modes.decimal == "double":
        return Shown("double")
    if column.scale is None:
        mode = _said(modes.decimal, "decimal.handling.mode")
        return Shown("struct", _DATA + "VariableScaleDecimal") if mode == "precise" else Shown("string")
    if not modes.decimal and column.scale > 0:
        return Shown("string", EITHER)
    _said(modes.decimal, "decimal.handling.mode")
    return Shown("bytes", _LOGICAL + "Decimal", {"scale": str(column.scale)})


def _timed(column: Column, modes: Modes, connector: str) -> Shown:
    mode = _said(modes.time, "time.precision.mode")
    fixed = (_TIMES if column.family == "time" else _MOMENTS).get(mode)
    if fixed is not None:
        return Shown(*fixed)
    if connector not in (*BINLOG, "postgresql"):
        # There `adaptive` may mean nanoseconds, and the catalog does not tell more than six digits.
        raise Unfit(
            f"comes without a schema, and `time.precision.mode={mode}` may mean milli-, micro- or nanoseconds",
            "set `value.converter.schemas.enable=true` in the connector, or `time.precision.mode=microseconds`",
        )
    fine = (6 if column.scale is None else column.scale) > _MILLI_DIGITS
    if column.family == "time":
        return Shown("int64", _TIME + "MicroTime") if fine else Shown("int32", _TIME + "Time")
    return Shown("int64", _TIME + ("MicroTimestamp" if fine else "Timestamp"))


def _other(column: Column, connector: str) -> Shown:
    kind = plain_type(column)
    if kind in ("bit", "bit varying"):
        one = kind == "bit" and column.type.lower() in ("bit", "bit(1)")
        return Shown("boolean") if one else Shown("bytes", _DATA + "Bits")
    if kind == "hstore":
        return Shown("map", HSTORE)
    if kind == "point" or kind in _GEOMETRIES:
        return Shown("struct", _DATA + "geometry." + ("Point" if kind == "point" else "Geometry"))
    return Shown("string")


_GEOMETRIES: Final = frozenset({
    "geometry", "geography", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
})  # fmt: skip
