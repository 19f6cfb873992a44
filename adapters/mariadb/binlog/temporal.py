"""Turns columns of dates and times into lines of Python that read their values: see `reading`.

How they are spelled is said in `texts`; here are only the bytes, and caches of what comes again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from adapters.mariadb import texts
from adapters.mariadb.binlog import tables
from adapters.mariadb.binlog.reading import Cache, Hint, Reading, Unreadable, by_bytes
from adapters.mariadb.binlog.tables import Column
from engine.errors import WireError


def _year(column: Column, hint: Hint) -> Reading:
    years = [texts.year(number + 1900 if number else 0) for number in range(256)]
    return Reading(1, read=("{v} = years[data[at]]", "at += 1"), uses={"years": years})


def _date_of(number: int) -> str:
    return texts.date(number >> 9, number >> 5 & 15, number & 31)


_DATES: Final = Cache(lambda data: _date_of(int.from_bytes(data, "little")))
"""By the three bytes of a DATE."""

_DAYS: Final = Cache(lambda days: texts.date((days >> 5) // 13, (days >> 5) % 13, days & 31))
"""By year and month and day of a DATETIME."""

_CLOCKS: Final = Cache(lambda packed: texts.clock(False, packed >> 12, packed >> 6 & 63, packed & 63))
"""By hour and minute and second."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_EPOCH_DAYS: Final = Cache(lambda days: date.fromordinal(_EPOCH + days).isoformat())
"""By the day, counted from 1970-01-01."""

_SECONDS: Final = Cache(lambda second: texts.clock(False, second // 3600, second // 60 % 60, second % 60))


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

    return by_bytes(3 + size, f"time_{size}", spell)


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

            return by_bytes(4, "timestamp_former", of_seconds)
        case tables.DATETIME_OLD:

            def of_digits(data: bytes) -> str:
                day, clock = divmod(int.from_bytes(data, "little"), 1_000_000)
                return texts.moment(
                    day // 10_000, day // 100 % 100, day % 100, clock // 10_000, clock // 100 % 100, clock % 100
                )

            return by_bytes(8, "datetime_former", of_digits)
        case _:

            def of_time(data: bytes) -> str:
                number = int.from_bytes(data, "little", signed=True)
                clock = abs(number)
                return texts.clock(number < 0, clock // 10_000, clock // 100 % 100, clock % 100)

            return by_bytes(3, "time_former", of_time)


TEMPORAL: Final[Mapping[int, Callable[[Column, Hint], Reading]]] = {
    tables.YEAR: _year, tables.DATE: _date, tables.NEWDATE: _date, tables.DATETIME: _datetime,
    tables.TIMESTAMP: _timestamp, tables.TIME: _time, tables.TIMESTAMP_OLD: _former, tables.DATETIME_OLD: _former,
    tables.TIME_OLD: _former,
}  # fmt: skip
"""How columns are read, by the numbers of their types."""
