"""Chooses, for one column, what JSON or Avro must hold and how that becomes the database's own text.

By the catalog's column and by how the connector shows it (`Shown`), whether a schema says that or `assumed` does. What
cannot be exact is refused here, by `Unfit`, with the option that mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from adapters.debezium.decoding import composites, quantities
from adapters.debezium.decoding.asked import BINLOG, PAST, SECOND_DIGITS, Asked, Reading, plain_type
from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.shown import EITHER, HSTORE, WHOLE_NUMBER, Shown
from adapters.debezium.decoding.temporal import BY_NAME
from adapters.debezium.decoding.unfit import Unfit, option
from engine.catalog import Column

WIDE: Final = frozenset({"", "utf8mb3", "utf8", "ucs2"})
"""Character sets that have U+FFFD, which the connector puts where it does not know a character."""
KEEPS_ZEROS: Final = frozenset({"postgresql"})
"""Connectors of databases in which a number without a scale keeps the zeros at its end."""
WHOLE: Final = "ALTER TABLE ... REPLICA IDENTITY FULL"
_TOAST_BITS: Final = 8_000
"""A string of more bits may be stored beside its row."""

_PLAIN_OTHERS: Final = frozenset({
    "inet", "cidr", "macaddr", "macaddr8", "int4range", "int8range", "numrange", "daterange", "tsrange", "ltree",
    "tsvector", "xml", "citext",
})  # fmt: skip
"""PostgreSQL's types without a family whose text the connector passes on as it is."""
_TOLD_IN_ARRAYS: Final = frozenset({
    "text", "character varying", "character", "citext", "json", "jsonb", "integer", "bigint", "uuid", "xml"
})  # fmt: skip
"""Types of elements of which the connector tells that a large array is unchanged. Of all others it says NULL."""


def reading(column: Column, shown: Shown, modes: Modes, connector: str, *, whole: bool = False) -> Reading:
    """How the column is read. `whole`: unchanged values come with every change (REPLICA IDENTITY FULL).

    Raises Unfit."""
    if connector == "postgresql":
        _refuse_untold(column, shown, modes, whole=whole)
    chosen = _NAMED.get(shown.name, _TYPED.get(shown.type))
    if chosen is None:
        raise Unfit(f"is told as `{shown.name or shown.type}`, which this duolog does not read", PAST)
    found = chosen(Asked(column, shown, modes, connector))
    return found._replace(doubts=(*found.doubts, *_doubts(column, shown, modes, connector)))


def _refuse_untold(column: Column, shown: Shown, modes: Modes, *, whole: bool) -> None:
    """What PostgreSQL's connector tells as NULL, or otherwise than the database has it."""
    kind = plain_type(column)
    if kind == "name":
        raise Unfit("is of the type `name`, which the connector tells as NULL", "make it a `varchar(63)`")
    if kind == "time with time zone":
        raise Unfit("is a time with a zone, whose zone the connector does not tell", PAST)
    if kind == "time without time zone" and column.family == "array":
        raise Unfit("is an array of times, of which the connector tells no more than milliseconds", PAST)
    if kind == "money":
        raise Unfit("is of the type `money`, which the connector reads by a locale of its own", "make it `numeric`")
    if kind == "bit varying":
        raise Unfit("is a string of bits of any length, which the connector does not tell", "make it `bit(n)`")
    if column.scale is not None and column.scale < 0:
        raise Unfit("is a number rounded before the point, which the connector misreads", "make it `numeric`")
    if whole:
        return
    lost = "is told as NULL where it is large, stored beside its row, and unchanged"
    if column.family == "array" and not _told_in_arrays(kind, shown, modes):
        raise Unfit(lost, WHOLE)
    if kind == "bytea" and shown.type == "string" and modes.binary in ("base64", "base64-url-safe"):
        raise Unfit(lost, option("binary.handling.mode", "bytes") + f"; or {WHOLE}")
    if kind == "bit" and (column.precision or _bits(column)) > _TOAST_BITS:
        raise Unfit(lost, WHOLE)


def _told_in_arrays(kind: str, shown: Shown, modes: Modes) -> bool:
    items = shown.items or Shown("")
    if kind == "date":
        return items.type == "int32" and items.name == "io.debezium.time.Date"
    return kind in _TOLD_IN_ARRAYS or (kind == "bytea" and items.type == "bytes")


def _bits(column: Column) -> int:
    told = column.type.partition("(")[2].partition(")")[0]
    return int(told) if told.isdigit() else 1


def _doubts(column: Column, shown: Shown, modes: Modes, connector: str) -> tuple[tuple[str, str], ...]:
    """What is exact but for rare values."""
    found: list[tuple[str, str]] = []
    if connector == "postgresql" and column.family == "numeric" and shown.name.endswith("Decimal"):
        found.append(("tells NaN as NULL", option("decimal.handling.mode", "string")))
    if connector == "postgresql" and column.family == "array" and plain_type(column) == "numeric":
        found.append(("tells arrays with NaN in them as NULL", "have none"))
    if connector == "postgresql" and column.family == "array":
        found.append(("does not tell where its arrays begin, and those of several dimensions stop the reading", PAST))
    if connector in BINLOG and column.family in ("date", "timestamp"):
        found.append(("tells dates with a year, month or day of 0 as NULL, or as 1970-01-01", "have none"))
        if modes.adjusted != "false":
            found.append(("tells years below 100 as if of our time", option("enable.time.adjuster", "false")))
    return tuple(found)


# ---------------------------------------------------------------- by the name of what is meant


def _decimal(asked: Asked) -> Reading:
    asked.must("numeric", "integer")
    told = asked.shown.parameters.get("scale", "")
    scale = int(told) if told.lstrip("-").isdigit() else asked.column.scale or 0
    if abs(scale) > 1_000:
        raise Unfit("is told with a scale that no number has", option("decimal.handling.mode", "string"))
    return Reading(bytes, quantities.decimal_reader(scale))


def _variable_decimal(asked: Asked) -> Reading:
    asked.must("numeric", "integer", "float")
    if asked.connector in KEEPS_ZEROS:
        raise Unfit("loses the zeros at the end of its numbers", option("decimal.handling.mode", "string"))
    if asked.column.scale is None:
        return Reading(quantities.Scaled, quantities.of_scaled_plain)
    spell = quantities.digits_reader(asked.column.scale)
    return Reading(quantities.Scaled, lambda number: spell(quantities.of_scaled(number)))


def _bit_string(asked: Asked) -> Reading:
    asked.must("other", "integer")
    count = asked.shown.parameters.get("length", "")
    return Reading(bytes, quantities.bits_reader(int(count) if count.isdigit() else _bits(asked.column)))


def _json(asked: Asked) -> Reading:
    if plain_type(asked.column) == "hstore":
        return Reading(str, composites.hstore_of_json)
    asked.must("json")
    if asked.connector == "mysql":
        raise Unfit(
            "is JSON that MySQL keeps in a form of its own, and the connector prints otherwise than MySQL does",
            "make it a `longtext`, or " + PAST,
        )
    return Reading(str, None)


def _enum(asked: Asked) -> Reading:
    asked.must("enum", "text")
    if asked.connector in BINLOG:
        several = asked.column.family == "text"
        return Reading(str, composites.labels_reader(asked.column.labels, several=several))
    return Reading(str, None)


def _uuid(asked: Asked) -> Reading:
    asked.must("uuid")
    return Reading(str, str.lower)


def _text(asked: Asked) -> Reading:
    return Reading(str, None)


def _point(asked: Asked) -> Reading:
    if asked.connector == "postgresql" and plain_type(asked.column) == "point":
        return Reading(quantities.Point, quantities.point)
    return _geometry(asked)


def _geometry(asked: Asked) -> Reading:
    asked.must("other")
    binlog = asked.connector in BINLOG
    kind = plain_type(asked.column)
    if not binlog and kind not in ("geometry", "geography"):
        raise Unfit(f"is of the type `{kind}`, which the connector does not tell as the database prints it", PAST)
    return Reading(quantities.Geometry, quantities.geometry_of_binlog if binlog else quantities.geometry_of_postgis)


# ---------------------------------------------------------------- by the type alone


def _boolean(asked: Asked) -> Reading:
    kind = plain_type(asked.column)
    if kind.startswith("tinyint"):
        raise Unfit("is told as true or false, though it holds other numbers, too", "take the converter out")
    if asked.column.family == "boolean":
        return Reading(bool, lambda value: "t" if value else "f")
    if kind != "bit":
        asked.must("boolean")
    return Reading(bool, lambda value: "1" if value else "0")


def _integer(asked: Asked) -> Reading:
    if asked.column.family == "boolean":
        return Reading(int, lambda value: "t" if value else "f")
    if asked.column.family == "numeric":
        spell = quantities.digits_reader(asked.column.scale)
        return Reading(int, lambda value: spell(str(value)))
    asked.must("integer")
    return Reading(int, quantities.unsigned if _wrapped(asked.column) else str)


def _floating(asked: Asked) -> Reading:
    if asked.column.family == "numeric":
        raise Unfit("is told as a floating-point number, which loses digits", option("decimal.handling.mode", "string"))
    asked.must("float")
    kind = asked.column.type.lower()
    four = kind.startswith("real") or (asked.connector in BINLOG and kind.startswith("float"))
    four = four or (asked.connector not in BINLOG and asked.column.precision == 24)
    return Reading(float | str, quantities.single if four else quantities.double)


def _string(asked: Asked) -> Reading:
    column = asked.column
    match column.family:
        case "numeric" | "integer":
            return Reading(str, quantities.digits_reader(column.scale if column.family == "numeric" else 0))
        case "bytes":
            return _binary_text(asked)
        case "other":
            return _other_text(asked)
        case "json":
            return _json(asked)
        case "text" | "enum" | "array":
            if asked.connector in BINLOG and column.labels:
                return _enum(asked)
            narrow = asked.connector in BINLOG and column.charset not in WIDE
            return Reading(str, composites.without_unknown if narrow else None)
        case "uuid":
            return Reading(str, str.lower)
        case _:
            asked.must("text")
            return Reading(str, None)


def _other_text(asked: Asked) -> Reading:
    kind = plain_type(asked.column)
    if asked.connector != "postgresql":
        return Reading(str, None)
    if kind == "tstzrange":
        return Reading(str, composites.range_of_moments)
    if kind not in _PLAIN_OTHERS:
        raise Unfit(f"is of the type `{kind}`, which the connector does not tell as the database prints it", PAST)
    return Reading(str, None)


def _binary_text(asked: Asked) -> Reading:
    length = _fixed(asked)
    match asked.modes.binary:
        case "hex":
            return Reading(str, quantities.octets_of_hex(length))
        case "base64" | "base64-url-safe":
            return Reading(str, quantities.octets_of_base64(length))
        case "bytes":
            raise Unfit("is told as a text, though `binary.handling.mode` is said to be `bytes`", "correct the rules")
        case _:
            raise Unfit(
                "is told as a text, which may be base64 or hex",
                "say in the rules which `binary.handling.mode` the connector has",
            )


def _binary(asked: Asked) -> Reading:
    if asked.column.family == "other":
        raise Unfit(f"is of the type `{asked.column.type}`, which the connector tells as it likes", PAST)
    asked.must("bytes")
    return Reading(bytes, quantities.octets_reader(_fixed(asked)))


def _fixed(asked: Asked) -> int:
    return (asked.column.octets or 0) if asked.column.padded == "zeros" else 0


def _array(asked: Asked) -> Reading:
    asked.must("array")
    if asked.shown.items is None:
        raise Unfit("is an array of nothing that is told", PAST)
    one = reading(element(asked.column), asked.shown.items, asked.modes, asked.connector, whole=True)
    items: Any = list[one.type | None]  # type: ignore[name-defined]
    return Reading(items, composites.array_reader(one.spell))


def _map(asked: Asked) -> Reading:
    if plain_type(asked.column) != "hstore":
        asked.must("no family")
    return Reading(dict[str, str | None], composites.hstore)


def _either(asked: Asked) -> Reading:
    asked.must("numeric")
    return Reading(str, quantities.digits_or_bytes_reader(asked.column.scale or 0))


def _whole_number(asked: Asked) -> Reading:
    asked.must("integer")
    return Reading(int | str, quantities.unsigned_or_bytes if _wrapped(asked.column) else quantities.integer_or_bytes)


def _wrapped(column: Column) -> bool:
    return column.unsigned and column.precision == 64


def _hstore(asked: Asked) -> Reading:
    """A map, or a text of one: its values tell by themselves."""
    return Reading(
        dict[str, str | None] | str,
        lambda value: composites.hstore_of_json(value) if isinstance(value, str) else composites.hstore(value),
    )


def element(column: Column) -> Column:
    """The elements of an array, as if they were a column."""
    kind = column.type.removesuffix("[]")
    plain = plain_type(Column(column.name, kind, ""))
    family = ELEMENT_FAMILIES.get(plain, "enum" if column.labels else "other")
    told = kind.partition("(")[2].partition(")")[0].split(",")
    numbers = [int(each) for each in told if each.strip().isdigit()]
    scale = None
    if family == "numeric" and numbers:
        scale = numbers[1] if len(numbers) > 1 else 0
    elif family in ("time", "timestamp", "timestamptz", "interval"):
        scale = numbers[0] if numbers else SECOND_DIGITS
    return Column(column.name, kind, family, scale=scale, labels=column.labels)


ELEMENT_FAMILIES: Final[Mapping[str, str]] = {
    "text": "text", "character varying": "text", "character": "text", "citext": "text", '"char"': "text",
    "smallint": "integer", "integer": "integer", "bigint": "integer", "oid": "integer", "numeric": "numeric",
    "boolean": "boolean", "date": "date", "time without time zone": "time", "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz", "interval": "interval", "uuid": "uuid", "bytea": "bytes",
    "json": "json", "jsonb": "json", "real": "float", "double precision": "float",
}  # fmt: skip

_Choose: TypeAlias = Callable[[Asked], Reading]

_NAMED: Final[Mapping[str, _Choose]] = {
    **BY_NAME,
    EITHER: _either,
    WHOLE_NUMBER: _whole_number,
    HSTORE: _hstore,
    "org.apache.kafka.connect.data.Decimal": _decimal,
    "io.debezium.data.VariableScaleDecimal": _variable_decimal,
    "io.debezium.data.Bits": _bit_string,
    "io.debezium.data.Json": _json,
    "io.debezium.data.Xml": _text,
    "io.debezium.data.Uuid": _uuid,
    "io.debezium.data.Enum": _enum,
    "io.debezium.data.EnumSet": _enum,
    "io.debezium.data.Ltree": _string,
    "io.debezium.data.Tsvector": _string,
    "io.debezium.data.geometry.Point": _point,
    "io.debezium.data.geometry.Geometry": _geometry,
    "io.debezium.data.geometry.Geography": _geometry,
}
"""By `Shown.name`."""

_TYPED: Final[Mapping[str, _Choose]] = {
    "boolean": _boolean, "int8": _integer, "int16": _integer, "int32": _integer, "int64": _integer,
    "float": _floating, "double": _floating, "string": _string, "bytes": _binary, "array": _array, "map": _map,
}  # fmt: skip
"""By `Shown.type`, where it has no name, or one that says no more."""
