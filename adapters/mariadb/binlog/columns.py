"""Turns a column of the log into lines of Python that read its value out of a row, or step over it.

`rows` puts the lines of a table's columns together and compiles them: so a row costs no call and no object a field.
The lines read `data` from `at` on, leave `at` behind the value, and put its text into the name they are given. How a
value is spelled is said in `texts`; here are only the bytes, and caches of what comes again and again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from adapters.mariadb import texts
from adapters.mariadb.binlog import charsets, tables
from adapters.mariadb.binlog.events import uncompressed
from adapters.mariadb.binlog.tables import Column
from engine.errors import WireError

cached_max: Final = 10_000
"""Texts of dates and times of day that are kept, each."""


class Unreadable(Exception):
    """A column that is bound cannot be read out of this log: `found`, and what to do about it."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.found = found
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Hint:
    """What the live catalog knows of a column and the log does not say."""

    data_type: str = ""
    """In lower case; the log does not tell `uuid`, `inet6` and `inet4` from bytes."""
    digits: int = 0
    """Of a second: times in MariaDB's former format do not tell."""


@dataclass(slots=True)
class Reading:
    """How to get past one column, and how to get at it."""

    step: int = 0
    """How many bytes the column has in every row; 0: each tells its own, see `skip`."""
    skip: Sequence[str] = ()
    read: Sequence[str] = ()
    """Lines; `{v}` is the name that the text is put into, `{c}` the column's number."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What the lines use, by its name, but for `data`, `at` and `n`."""


class _Cache(dict[Any, str]):
    """Texts by what they are made of; forgotten all at once when they are too many."""

    def __init__(self, made: Callable[[Any], str]) -> None:
        super().__init__()
        self._made = made

    def __missing__(self, key: Any) -> str:
        if len(self) >= cached_max:
            self.clear()
        text = self[key] = self._made(key)
        return text


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


def stepping(column: Column) -> Reading:
    """How a column is stepped over. Raises Unreadable for a type that is not known."""
    try:
        return reading(column, Hint(digits=0))
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


# ---------------------------------------------------------------- dates and times


def _year(column: Column, hint: Hint) -> Reading:
    years = [texts.year(number + 1900 if number else 0) for number in range(256)]
    return Reading(1, read=("{v} = years[data[at]]", "at += 1"), uses={"years": years})


def _date_of(number: int) -> str:
    return texts.date(number >> 9, number >> 5 & 15, number & 31)


_DATES: Final = _Cache(lambda data: _date_of(int.from_bytes(data, "little")))
"""By the three bytes of a DATE."""

_DAYS: Final = _Cache(lambda days: texts.date((days >> 5) // 13, (days >> 5) % 13, days & 31))
"""By year and month and day of a DATETIME."""

_CLOCKS: Final = _Cache(lambda packed: texts.clock(False, packed >> 12, packed >> 6 & 63, packed & 63))
"""By hour and minute and second."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_EPOCH_DAYS: Final = _Cache(lambda days: date.fromordinal(_EPOCH + days).isoformat())
"""By the day, counted from 1970-01-01."""

_SECONDS: Final = _Cache(lambda second: texts.clock(False, second // 3600, second // 60 % 60, second % 60))


def _date(column: Column, hint: Hint) -> Reading:
    return Reading(3, read=("{v} = dates[data[at:at + 3]]", "at += 3"), uses={"dates": _DATES})


def _fraction(digits: int) -> tuple[int, int]:
    """(bytes of the part of a second, microseconds that one of it is)."""
    if digits > 6:
        raise WireError(f"up to 6 digits of a second expected, found {digits}", 0)
    size = (digits + 1) // 2
    return size, 10 ** (6 - 2 * size)


def _datetime(column: Column, hint: Hint) -> Reading:
    size, unit = _fraction(column.meta)
    lines = [
        "n = from_bytes(data[at:at + 5], 'big') - 0x8000000000",
        "{v} = f'{{days[n >> 17]}} {{clocks[n & 0x1ffff]}}'",
        *_with_fraction(5, size, unit),
        f"at += {5 + size}",
    ]
    uses = {"days": _DAYS, "clocks": _CLOCKS, "from_bytes": int.from_bytes}
    return Reading(5 + size, read=lines, uses=uses)


def _timestamp(column: Column, hint: Hint) -> Reading:
    size, unit = _fraction(column.meta)
    lines = [
        "n = from_bytes(data[at:at + 4], 'big')",
        "if n:",
        "    {v} = f'{{epoch_days[n // 86400]}} {{seconds[n % 86400]}}'",
        "else:",
        f"    {{v}} = {texts.moment(0, 0, 0, 0, 0, 0)!r}",
        *_with_fraction(4, size, unit),
        "{v} += '+00'",
        f"at += {4 + size}",
    ]
    uses = {"epoch_days": _EPOCH_DAYS, "seconds": _SECONDS, "from_bytes": int.from_bytes}
    return Reading(4 + size, read=lines, uses=uses)


def _with_fraction(before: int, size: int, unit: int) -> list[str]:
    """Lines that put what there is of a second behind a text."""
    if not size:
        return []
    return [
        f"n = from_bytes(data[at + {before}:at + {before + size}], 'big')",
        "if n:",
        f"    {{v}} += f'.{{{{n * {unit}:06}}}}'.rstrip('0')",
    ]


def _time(column: Column, hint: Hint) -> Reading:
    size, unit = _fraction(column.meta)

    def spell(data: bytes) -> str:
        number = int.from_bytes(data, "big") - (0x800000 << 8 * size)
        whole, part = divmod(abs(number), 1 << 8 * size)
        return texts.clock(number < 0, whole >> 12 & 0x3FF, whole >> 6 & 63, whole & 63, part * unit)

    return _by_bytes(3 + size, f"time_{size}", spell)


def _former(column: Column, hint: Hint) -> Reading:
    """Times in the formats that MySQL had before 5.6, and MariaDB keeps in tables that nobody has rebuilt."""
    if hint.digits:
        raise Unreadable(
            "has its parts of a second in a former format, whose log cannot be read",
            "SET GLOBAL mysql56_temporal_format = ON; ALTER TABLE {table} FORCE",
        )
    match column.type:
        case tables.TIMESTAMP_OLD:

            def of_seconds(data: bytes) -> str:
                seconds = int.from_bytes(data, "little")
                if not seconds:
                    return texts.moment(0, 0, 0, 0, 0, 0) + "+00"
                return f"{_EPOCH_DAYS[seconds // 86400]} {_SECONDS[seconds % 86400]}+00"

            return _by_bytes(4, "timestamp_former", of_seconds)
        case tables.DATETIME_OLD:

            def of_digits(data: bytes) -> str:
                day, clock = divmod(int.from_bytes(data, "little"), 1_000_000)
                return texts.moment(
                    day // 10_000, day // 100 % 100, day % 100, clock // 10_000, clock // 100 % 100, clock % 100
                )

            return _by_bytes(8, "datetime_former", of_digits)
        case _:

            def of_time(data: bytes) -> str:
                number = int.from_bytes(data, "little", signed=True)
                clock = abs(number)
                return texts.clock(number < 0, clock // 10_000, clock // 100 % 100, clock % 100)

            return _by_bytes(3, "time_former", of_time)


def _by_bytes(size: int, name: str, spell: Callable[[bytes], str]) -> Reading:
    """A value of so many bytes, whose text is kept for when they come again."""
    return Reading(size, read=(f"{{v}} = {name}[data[at:at + {size}]]", f"at += {size}"), uses={name: _Cache(spell)})


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

    return _by_bytes(size, "labels{c}", of_enum if column.type == tables.ENUM else of_set)


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
            return Reading(skip=("n = data[at]", "at += 1 + n"))
        case 2:
            return Reading(skip=("n = data[at] | data[at + 1] << 8", "at += 2 + n"))
        case 3 | 4:
            skip = (f"n = from_bytes(data[at:at + {size}], 'little')", f"at += {size} + n")
            return Reading(skip=skip, uses={"from_bytes": int.from_bytes})
        case _:
            raise WireError(f"1 to 4 bytes of a length expected, found {size}", 0)


def _counted(column: Column, hint: Hint) -> Reading:
    step = _length(column)
    value, uses = _value(column, hint)
    return Reading(skip=step.skip, read=(*step.skip, f"{{v}} = {value}"), uses={**step.uses, **uses})


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
    tables.YEAR: _year, tables.DATE: _date, tables.NEWDATE: _date, tables.DATETIME: _datetime,
    tables.TIMESTAMP: _timestamp, tables.TIME: _time, tables.TIMESTAMP_OLD: _former, tables.DATETIME_OLD: _former,
    tables.TIME_OLD: _former, tables.ENUM: _labelled, tables.SET: _labelled,
}  # fmt: skip

_COUNTED: Final = frozenset({
    tables.VARCHAR, tables.VAR_STRING, tables.STRING, tables.TINY_BLOB, tables.MEDIUM_BLOB, tables.LONG_BLOB,
    tables.BLOB, tables.GEOMETRY, tables.JSON, tables.VECTOR, tables.VARCHAR_COMPRESSED, tables.BLOB_COMPRESSED,
})  # fmt: skip
