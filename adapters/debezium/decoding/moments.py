"""Turns dates, times and moments, as Debezium counts or writes them, into the house's texts.

What no date of the database can be raises ValueError: nothing is rounded, wrapped or cut, but for the seventh digit of
a second and those behind it, which the house does not tell of any database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

DAY_US: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_FIRST_DAY: Final = date.min.toordinal() - _EPOCH_ORDINAL
_LAST_DAY: Final = date.max.toordinal() - _EPOCH_ORDINAL

PG_FIRST_DAY: Final = -2_440_588
"""4714-11-24 BC, PostgreSQL's first."""
PG_LAST_DAY: Final = 2_145_042_905
"""5874897-12-31, its last."""
PG_LAST_MOMENT: Final = 9_224_318_015_999_999_999
"""294276-12-31 23:59:59.999999."""
ENDLESS_DAYS: Final = {
    2_146_033_979: "infinity", -2_147_472_692: "infinity", -2_147_472_691: "-infinity",
}  # fmt: skip
"""What the log readers of connectors 3.7 and 3.5 were heard to make of them: no dates that PostgreSQL has."""
ENDLESS_MOMENTS: Final = {
    9_223_372_036_854_775_807: "infinity", 9_223_372_036_825_200_000: "infinity",
    9_223_372_036_825_200_000_000: "infinity", -9_223_372_036_854_775_808: "-infinity",
    -9_223_372_036_832_400_000: "-infinity", -9_223_372_036_832_400_000_000: "-infinity",
}  # fmt: skip
"""The same, in microseconds. (The first two would be moments in the year 294247.)"""
ENDLESS: Final = frozenset({"infinity", "-infinity"})

_ISO: Final = re.compile(
    r"([+-]?\d{4,9})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d(?::\d\d)?)?"
)
_ISO_TIME: Final = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?Z?")
_ISO_PLAIN: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")


def of_days(days: int) -> str:
    """A date, in days since 1970; of years 1 to 9999."""
    return date.fromordinal(days + _EPOCH_ORDINAL).isoformat()


def of_days_wide(days: int) -> str:
    """A date of PostgreSQL's."""
    if _FIRST_DAY <= days <= _LAST_DAY:
        return date.fromordinal(days + _EPOCH_ORDINAL).isoformat()
    if days in ENDLESS_DAYS:
        return ENDLESS_DAYS[days]
    if not PG_FIRST_DAY <= days <= PG_LAST_DAY:
        raise ValueError("no date of PostgreSQL's")
    return _dated(days, "")


def of_micros(micros: int) -> str:
    """A moment without a zone, in microseconds since 1970; of years 1 to 9999."""
    try:
        text = (_EPOCH + timedelta(microseconds=micros)).isoformat(" ")
    except OverflowError:
        raise ValueError("beyond the years 1 to 9999") from None
    return text.rstrip("0") if len(text) > 19 else text


def of_micros_wide(micros: int) -> str:
    """The same of PostgreSQL's."""
    days, rest = divmod(micros, DAY_US)
    if _FIRST_DAY <= days <= _LAST_DAY:
        return of_micros(micros)
    if micros in ENDLESS_MOMENTS:
        return ENDLESS_MOMENTS[micros]
    if days < PG_FIRST_DAY or micros > PG_LAST_MOMENT:
        raise ValueError("no moment of PostgreSQL's")
    return _dated(days, " " + of_clock(rest))


def of_clock(micros: int) -> str:
    """A time of day, in microseconds; also one of MariaDB's, below zero or of more than a day."""
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    seconds, fraction = divmod(micros, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{sign}{hour:02}:{minute:02}:{second:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def of_day_clock(micros: int) -> str:
    """A time of day, and nothing beyond 24:00:00."""
    if not 0 <= micros <= DAY_US:
        raise ValueError("no time of day")
    return of_clock(micros)


def days_of_iso(text: str) -> int:
    """`2026-01-31Z` → days since 1970."""
    days, micros, _ = _parts(text)
    if micros:
        raise ValueError("a date has no time")
    return days


def micros_of_iso(text: str) -> int:
    """`2026-01-31T12:00:00.5Z`, at whatever offset, → microseconds since 1970."""
    days, micros, offset = _parts(text)
    return days * DAY_US + micros - offset


def clock_of_iso(text: str) -> int:
    """`12:00:00.5Z` → microseconds."""
    found = _ISO_TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time as ISO writes it")
    hour, minute, second, fraction = found.groups()
    return _micros(hour, minute, second, fraction)


def zoned(text: str) -> str:
    """`2026-01-31T12:00:00.500000Z`, at whatever offset, → a moment of years 1 to 9999, in UTC."""
    if _ISO_PLAIN.fullmatch(text):
        plain = text[:10] + " " + text[11:-1]
        return (plain.rstrip("0").rstrip(".") if len(plain) > 19 else plain) + "+00"
    return of_micros(micros_of_iso(text)) + "+00"


def zoned_wide(text: str) -> str:
    """The same of PostgreSQL's."""
    if text in ENDLESS or _ISO_PLAIN.fullmatch(text):
        return text if text in ENDLESS else zoned(text)
    return offset_set(of_micros_wide(micros_of_iso(text)))


def offset_set(text: str) -> str:
    """A moment of PostgreSQL's, of which it is known that it is in UTC."""
    if text in ENDLESS:
        return text
    return text.removesuffix(" BC") + "+00 BC" if text.endswith(" BC") else text + "+00"


def times(factor: int, spell: Callable[[int], str]) -> Callable[[int], str]:
    """A coarser count, as microseconds."""
    return lambda count: spell(count * factor)


def over(divisor: int, spell: Callable[[int], str]) -> Callable[[int], str]:
    """A finer count, as microseconds: cut, as the house cuts the digits behind the sixth."""
    return lambda count: spell(count // divisor)


def _parts(text: str) -> tuple[int, int, int]:
    """(days since 1970, microseconds of the day, microseconds that the place is ahead of UTC)"""
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("no moment as ISO writes it")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = 0
    if zone and zone != "Z":
        seconds = sum(int(part) * unit for part, unit in zip(zone[1:].split(":"), (3600, 60, 1), strict=False))
        offset = (-seconds if zone[0] == "-" else seconds) * 1_000_000
    return _days(int(year), int(month), int(day)), _micros(hour or "0", minute or "0", second, fraction), offset


def _micros(hour: str, minute: str, second: str | None, fraction: str | None) -> int:
    parts = int(hour), int(minute), int(second or 0)
    if parts[0] > 24 or parts[1] > 59 or parts[2] > 59:
        raise ValueError("no time of day")
    return (parts[0] * 3600 + parts[1] * 60 + parts[2]) * 1_000_000 + int((fraction or "0")[:6].ljust(6, "0"))


def _dated(days: int, rest: str) -> str:
    """A date outside of the years that Python has."""
    year, month, day = _calendar(days)
    if year > 0:
        return f"{year:04}-{month:02}-{day:02}{rest}"
    return f"{1 - year:04}-{month:02}-{day:02}{rest} BC"


_ERA_YEARS: Final = 400
_ERA_DAYS: Final = 146_097
"""The Gregorian calendar repeats itself after so many."""


def _calendar(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a day since 1970, by the Gregorian calendar, year 0 being 1 BC."""
    eras, within = divmod(days + _EPOCH_ORDINAL - 1, _ERA_DAYS)
    found = date.fromordinal(within + 1)
    return found.year + eras * _ERA_YEARS, found.month, found.day


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970. Raises ValueError for a date that is none."""
    eras, within = divmod(year - 1, _ERA_YEARS)
    return date(within + 1, month, day).toordinal() + eras * _ERA_DAYS - _EPOCH_ORDINAL
