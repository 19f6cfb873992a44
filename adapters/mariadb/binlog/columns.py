"""Turns a column of the log into lines of Python that read its value out of a row, or step over it.

`rows` puts the lines of a table's columns together and compiles them: so a row costs no call and no object a field.
The lines read `data` from `at` on, leave `at` behind the value, and put its text into the name they are given. How a
value is spelled is said in `texts`; here are only the bytes. Dates and times are in `temporal`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from adapters.mariadb import texts
from adapters.mariadb.binlog import charsets, tables
from adapters.mariadb.binlog.events import uncompressed
from adapters.mariadb.binlog.reading import Hint, Reading, Unreadable, by_bytes
from adapters.mariadb.binlog.tables import Column
from adapters.mariadb.binlog.temporal import TEMPORAL
from engine.errors import WireError


def reading(column: Column, hint: Hint) -> Reading:
    """How a column is read. Raises Unreadable, where only the stepping over is known."""
    kind = column.type
    if kind in _INTEGERS:
        return _integer(column)
    if kind in _FIXED:
        return _FIXED[kind](column, hint)
    if kind in _COUNTED:
        return _counted(column, hint)
    raise Unreadable(f"is of a type that the log numbers {kind}, which is not known", "leave the column out")


def stepping(column: Column, hint: Hint) -> Reading:
    """How a column is stepped over. Raises Unreadable for a type whose length is not known."""
    try:
        return reading(column, hint)
    except Unreadable:
        if column.type in _COUNTED:
            return _length(column)
        raise


# ---------------------------------------------------------------- numbers

_INTEGERS: Final = {
    tables.TINY: ("<b", "<B"), tables.SHORT: ("<h", "<H"), tables.LONG: ("<i", "<I"), tables.LONGLONG: ("<q", "<Q"),
    tables.INT24: ("", ""),
}  # fmt: skip


def _integer(column: Column) -> Reading:
    form = _INTEGERS[column.type][column.unsigned]
    if not form:
        line = f"{{v}} = f\"{{{{from_bytes(data[at:at + 3], 'little', signed={not column.unsigned})}}}}\""
        return Reading(3, read=(line, "at += 3"), uses={"from_bytes": int.from_bytes})
    packed = struct.Struct(form)
    name = f"number_{form[1]}"
    return Reading(
        packed.size,
        read=(f"{{v}} = f'{{{{{name}(data, at)[0]}}}}'", f"at += {packed.size}"),
        uses={name: packed.unpack_from},
    )


def _floating(column: Column, hint: Hint) -> Reading:
    single = column.type == tables.FLOAT
    packed = struct.Struct("<f" if single else "<d")
    name = "single" if single else "double"
    spelled = texts.single if single else texts.double
    return Reading(
        packed.size,
        read=(f"{{v}} = {name}(read_{name}(data, at)[0])", f"at += {packed.size}"),
        uses={name: spelled, f"read_{name}": packed.unpack_from},
    )


_DIGIT_BYTES: Final = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def _decimal(column: Column, hint: Hint) -> Reading:
    precision, scale = column.meta >> 8, column.meta & 0xFF
    if not 0 < precision <= 65 or not 0 <= scale <= min(precision, 38):
        raise WireError(f"a decimal's precision expected, found ({precision},{scale})", 0)
    size = sum(_DIGIT_BYTES[digits] for digits in _groups(precision, scale))
    name = f"decimal_{precision}_{scale}"
    return Reading(
        size,
        read=(f"{{v}} = {name}(data[at:at + {size}])", f"at += {size}"),
        uses={name: decimal_reader(precision, scale)},
    )


def decimal_reader(precision: int, scale: int) -> Callable[[bytes], str]:
    """Spells the bytes of a DECIMAL(precision,scale), of which there must be enough; all its digits after the point."""
    groups = _groups(precision, scale)
    size = sum(_DIGIT_BYTES[digits] for digits in groups)
    parts = []
    shift = 8 * size
    for digits in groups:
        shift -= 8 * _DIGIT_BYTES[digits]
        parts.append((shift, (1 << 8 * _DIGIT_BYTES[digits]) - 1, 10**digits))
    sign, ones = 1 << 8 * size - 1, (1 << 8 * size) - 1
    width = scale + 1

    def read(data: bytes) -> str:
        number = int.from_bytes(data, "big") ^ sign
        minus = ""
        if number & sign:
            number, minus = number ^ ones, "-"
        whole = 0
        for shift, mask, power in parts:
            whole = whole * power + (number >> shift & mask)
        if not scale:
            return f"{minus}{whole}"
        text = f"{whole:0{width}}"
        return f"{minus}{text[:-scale]}.{text[-scale:]}"

    return read


def _groups(precision: int, scale: int) -> list[int]:
    """How many digits each group of bytes of a decimal has."""
    whole, rest = divmod(precision - scale, 9)
    full, last = divmod(scale, 9)
    return [rest, *[9] * whole, *[9] * full, last]


def _bit(column: Column, hint: Hint) -> Reading:
    size = (column.meta + 7) // 8
    line = f"{{v}} = bits(from_bytes(data[at:at + {size}], 'big'), {column.meta})"
    return Reading(size, read=(line, f"at += {size}"), uses={"bits": texts.bits, "from_bytes": int.from_bytes})


# ---------------------------------------------------------------- labels


def _labelled(column: Column, hint: Hint) -> Reading:
    size = column.meta
    labels = column.labels
    if charsets.codec(charsets.character_set(column.collation)) is None:
        raise Unreadable(*_charset(column))
    if not 1 <= size <= 8:
        raise WireError(f"1 to 8 bytes of an enum or set expected, found {size}", 0)

    def of_enum(data: bytes) -> str:
        number = int.from_bytes(data, "little")
        if number > len(labels):
            raise WireError(f"one of {len(labels)} labels expected, found number {number}", 0)
        return texts.label(number, labels)

    def of_set(data: bytes) -> str:
        return texts.label_set(int.from_bytes(data, "little"), labels)

    return by_bytes(size, "labels{c}", of_enum if column.type == tables.ENUM else of_set)


# ---------------------------------------------------------------- texts and bytes


def _length(column: Column) -> Reading:
    """Steps over what begins with its length, whose bytes are then `data[at - n:at]`."""
    kind, meta = column.type, column.meta
    if kind in (tables.VARCHAR, tables.VAR_STRING, tables.VARCHAR_COMPRESSED, tables.STRING):
        size = 1 if meta < 256 else 2
    else:
        size = meta
    match size:
        case 1:
            return Reading(skip=("at += 1 + data[at]",), read=("n = data[at]", "at += 1 + n"))
        case 2:
            lines = ("n = data[at] | data[at + 1] << 8", "at += 2 + n")
            return Reading(skip=lines, read=lines)
        case 3 | 4:
            skip = (f"n = from_bytes(data[at:at + {size}], 'little')", f"at += {size} + n")
            return Reading(skip=skip, read=skip, uses={"from_bytes": int.from_bytes})
        case _:
            raise WireError(f"1 to 4 bytes of a length expected, found {size}", 0)


def _counted(column: Column, hint: Hint) -> Reading:
    step = _length(column)
    value, uses = _value(column, hint)
    return Reading(skip=step.skip, read=(*step.read, f"{{v}} = {value}"), uses={**step.uses, **uses})


def _value(column: Column, hint: Hint) -> tuple[str, dict[str, Any]]:
    """The expression that makes a text of the bytes, and the names that it uses."""
    if column.type == tables.JSON:
        raise Unreadable(
            "is JSON, which MySQL logs in a form that is not read",
            "ALTER TABLE {table} ADD COLUMN name LONGTEXT AS (CAST(`{column}` AS CHAR)) STORED, and bind that",
        )
    found, uses = "data[at - n:at]", {}
    if column.type in (tables.VARCHAR_COMPRESSED, tables.BLOB_COMPRESSED):
        found, uses = f"inflated({found})", {"inflated": _inflated}
    if hint.data_type in _SPELLED and column.collation in (0, charsets.BINARY):
        spelled, size = _SPELLED[hint.data_type]
        return f"{hint.data_type}({found}.ljust({size}, b'\\0'))", {hint.data_type: spelled}
    if column.collation == charsets.BINARY or column.type in (tables.GEOMETRY, tables.VECTOR):
        length = column.meta if column.type == tables.STRING else 0
        padded = f"{found}.ljust({length}, b'\\0')" if length else found
        return f"'\\\\x' + {padded}.hex()", uses
    codec = charsets.codec(charsets.character_set(column.collation))
    if codec is None:
        raise Unreadable(*_charset(column))
    if codec == charsets.UTF8:
        return f"{found}.decode()", uses
    return f"text{{c}}({found})", {"text{c}": charsets.decoder(codec), **uses}


def _inflated(data: bytes) -> bytes:
    """The bytes of a COMPRESSED column."""
    if not data or data[0] == 0:
        return data[1:]
    return uncompressed(data, 0)


def _charset(column: Column) -> tuple[str, str]:
    name = charsets.character_set(column.collation) or f"number {column.collation}"
    return (
        f"has the character set {name}, which is not decoded exactly as the server does",
        "ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4",
    )


_SPELLED: Final = {"uuid": (texts.uuid, 16), "inet6": (texts.inet6, 16), "inet4": (texts.inet4, 4)}

_FIXED: Final[Mapping[int, Callable[[Column, Hint], Reading]]] = {
    tables.FLOAT: _floating, tables.DOUBLE: _floating, tables.DECIMAL: _decimal, tables.BIT: _bit,
    tables.ENUM: _labelled, tables.SET: _labelled, **TEMPORAL,
}  # fmt: skip

_COUNTED: Final = frozenset({
    tables.VARCHAR, tables.VAR_STRING, tables.STRING, tables.TINY_BLOB, tables.MEDIUM_BLOB, tables.LONG_BLOB,
    tables.BLOB, tables.GEOMETRY, tables.JSON, tables.VECTOR, tables.VARCHAR_COMPRESSED, tables.BLOB_COMPRESSED,
})  # fmt: skip
