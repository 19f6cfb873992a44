"""Dates and times as PostgreSQL counts them, and their ISO texts: days or microseconds since 2000; never a clock.

All of PostgreSQL's years, `BC`, and `infinity` at both ends. In texts only the ISO form is read: what `1/2/03` means
depends on settings. A time zone is always UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date as calendar_date
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from engine.days import civil, days_of
from engine.errors import ValueRefused

DAY: Final = 86_400_000_000
FIRST_DAY, LAST_DAY = days_of(-4713, 11, 24), days_of(5_874_897, 12, 31)
FIRST_MOMENT, END_OF_MOMENTS = FIRST_DAY * DAY, days_of(294_277, 1, 1) * DAY
EARLIEST_DAY, LATEST_DAY = -(2**31), 2**31 - 1
"""`-infinity` and `infinity`, as PostgreSQL keeps them."""
EARLIEST, LATEST = -(2**63), 2**63 - 1

_EPOCH: Final = datetime(2000, 1, 1)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_FIRST_OF_PYTHON: Final = 1 - _EPOCH_DAY
_END_OF_PYTHON: Final = calendar_date.max.toordinal() - _EPOCH_DAY
"""Between these days, Python's own calendar is the quicker one."""
_DATE = r"(?P<year>[0-9]{4,7})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{0,6}))?)?"
_OFFSET = r"(?:\s?(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?(?::(?P<seconds>[0-9]{2}))?|\s?[Zz])?"
_ERA = r"(?P<era> BC)?"
_AS_DATE = re.compile(rf"{_DATE}(?:[ T]{_TIME}{_OFFSET})?{_ERA}")
_AS_TIME = re.compile(_TIME)
_BLANKS: Final = " \t\n\r\f\v"

_UNITS: Final = {
    "microsecond": 1, "millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000,
}  # fmt: skip
_SPAN = re.compile(r"([+-]?[0-9]{1,6})\s*([a-z]+)")


class Span(NamedTuple):
    """An interval."""

    months: int
    days: int
    microseconds: int


def date(text: str) -> int:
    """Days."""
    if len(text) == 10 and text[4] == text[7] == "-":
        try:
            return calendar_date.fromisoformat(text).toordinal() - _EPOCH_DAY
        except ValueError:  # the long way says what is wrong with it
            pass
    text = text.strip(_BLANKS)
    if text.lower() in ("infinity", "-infinity"):
        return EARLIEST_DAY if text.startswith("-") else LATEST_DAY
    match = _AS_DATE.fullmatch(text)
    if match is None:
        raise ValueRefused("a text is no date in the form YYYY-MM-DD")
    return checked_date(_day(match))


def timestamp(text: str) -> int:
    """Microseconds."""
    return _moment(text, zoned=False)


def timestamptz(text: str) -> int:
    """Microseconds, of UTC."""
    return _moment(text, zoned=True)


def _moment(text: str, *, zoned: bool) -> int:
    plain = text.removesuffix("+00") if zoned else text
    usual = 19 <= len(plain) <= 26 and plain[4] == "-" and plain[10] == " " and plain[13] == ":"
    if usual and plain[19:20] in ("", "."):
        try:
            since = datetime.fromisoformat(plain) - _EPOCH
        except (ValueError, TypeError):  # the long way says what is wrong with it, or reads it all the same
            pass
        else:
            return since.days * DAY + since.seconds * 1_000_000 + since.microseconds
    text = text.strip(_BLANKS)
    if text.lower() in ("infinity", "-infinity"):
        return EARLIEST if text.startswith("-") else LATEST
    match = _AS_DATE.fullmatch(text)
    if match is None:
        raise ValueRefused("a text is no time in the form YYYY-MM-DD HH:MM:SS")
    total = _day(match) * DAY + (_of_day(match) if match["hour"] is not None else 0)
    if zoned and match["sign"] is not None:
        hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
        if hours > 15 or minutes > 59:
            raise ValueRefused("a text is no time: there is no such time zone")
        offset = (hours * 3600 + minutes * 60 + int(match["seconds"] or 0)) * 1_000_000
        total += offset if match["sign"] == "-" else -offset
    return checked(total)


def time(text: str) -> int:
    """Microseconds since midnight."""
    text = text.strip(_BLANKS)
    match = _AS_TIME.fullmatch(text) or _AS_DATE.fullmatch(text)
    if match is None or match["hour"] is None:
        raise ValueRefused("a text is no time of day in the form HH:MM:SS")
    return _of_day(match)


def interval(text: str) -> Span:
    """`1 month 2 days 3 hours`"""
    rest = text.strip(_BLANKS).lower()
    months = days = microseconds = 0
    while rest:
        match = _SPAN.match(rest)
        unit = match[2].removesuffix("s") if match is not None else ""
        if match is None or unit not in (*_UNITS, "day", "week", "month", "year"):
            raise ValueRefused("an interval is written in years, months, weeks, days, hours, minutes and seconds")
        many = int(match[1])
        months += many * {"month": 1, "year": 12}.get(unit, 0)
        days += many * {"day": 1, "week": 7}.get(unit, 0)
        microseconds += many * _UNITS.get(unit, 0)
        rest = rest[match.end() :].lstrip(_BLANKS)
    return Span(months, days, microseconds)


def date_text(days: int) -> str:
    """ISO."""
    if _FIRST_OF_PYTHON <= days <= _END_OF_PYTHON:
        return calendar_date.fromordinal(days + _EPOCH_DAY).isoformat()
    if days in (EARLIEST_DAY, LATEST_DAY):
        return "infinity" if days > 0 else "-infinity"
    year, month, day = civil(days)
    return f"{_year(year)}-{month:02}-{day:02}" + (" BC" if year < 1 else "")


def time_text(microseconds: int) -> str:
    """ISO."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def timestamp_text(microseconds: int, zone: str = "") -> str:
    """ISO."""
    if _FIRST_OF_PYTHON * DAY <= microseconds <= _END_OF_PYTHON * DAY:
        text = (_EPOCH + timedelta(microseconds=microseconds)).isoformat(" ")
        return (text.rstrip("0") if len(text) > 19 else text) + zone
    if microseconds in (EARLIEST, LATEST):
        return "infinity" if microseconds > 0 else "-infinity"
    days, of_day = divmod(microseconds, DAY)
    year, month, day = civil(days)
    return f"{_year(year)}-{month:02}-{day:02} {time_text(of_day)}{zone}" + (" BC" if year < 1 else "")


def timestamptz_text(microseconds: int) -> str:
    """ISO, in UTC."""
    return timestamp_text(microseconds, "+00")


def checked(microseconds: int) -> int:
    """The moment itself, if PostgreSQL has it."""
    if not FIRST_MOMENT <= microseconds < END_OF_MOMENTS:
        raise ValueRefused("a time is out of range")
    return microseconds


def checked_date(days: int) -> int:
    """The date itself, if PostgreSQL has it."""
    if not FIRST_DAY <= days <= LAST_DAY:
        raise ValueRefused("a date is out of range")
    return days


def to_timestamp(days: int) -> int:
    """A date's midnight."""
    if days in (EARLIEST_DAY, LATEST_DAY):
        return LATEST if days > 0 else EARLIEST
    return checked(days * DAY)


def to_comparable(days: int) -> int:
    """A date's midnight, also of a day that no timestamp has: then only to be compared."""
    return to_timestamp(days) if days * DAY < END_OF_MOMENTS or days == LATEST_DAY else LATEST - 1


def to_date(microseconds: int) -> int:
    """The day of a moment."""
    if microseconds in (EARLIEST, LATEST):
        return LATEST_DAY if microseconds > 0 else EARLIEST_DAY
    return microseconds // DAY


def to_time(microseconds: int) -> int | None:
    """The time of day of a moment; an infinite one has none."""
    return None if microseconds in (EARLIEST, LATEST) else microseconds % DAY


def later_date(days: int, more: int) -> int:
    """So many days after a date."""
    return days if days in (EARLIEST_DAY, LATEST_DAY) else checked_date(days + more)


def between_dates(later: int, earlier: int) -> int:
    """How many days."""
    if {later, earlier} & {EARLIEST_DAY, LATEST_DAY}:
        raise ValueRefused("infinite dates have no distance")
    return later - earlier


def later(microseconds: int, span: Span) -> int:
    """A moment and an interval: months first (no later than their last day), then days, then the rest."""
    if microseconds in (EARLIEST, LATEST):
        return microseconds
    if span.months:
        days, of_day = divmod(microseconds, DAY)
        year, month, day = civil(days)
        months = year * 12 + month - 1 + span.months
        year, month = months // 12, months % 12 + 1
        microseconds = checked(days_of(year, month, min(day, _length(year, month))) * DAY + of_day)
    if span.days:
        microseconds = checked(microseconds + span.days * DAY)
    return checked(microseconds + span.microseconds)


def _length(year: int, month: int) -> int:
    """Days of a month."""
    return days_of(year + month // 12, month % 12 + 1, 1) - days_of(year, month, 1)


def _year(year: int) -> str:
    return f"{1 - year if year < 1 else year:04}"


def _day(match: re.Match[str]) -> int:
    era = match["era"] is not None
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    if year == 0 or not 1 <= month <= 12:
        raise ValueRefused("a text is no date: there is no such year or month")
    year = 1 - year if era else year
    if not 1 <= day <= _length(year, month):
        raise ValueRefused("a text is no date: the month has no such day")
    return days_of(year, month, day)


def _of_day(match: re.Match[str]) -> int:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    fraction = int((match["fraction"] or "").ljust(6, "0"))
    found = (hour * 3600 + minute * 60 + second) * 1_000_000 + fraction
    if minute > 59 or second > 59 or found > DAY:
        raise ValueRefused("a text is no time: there is no such hour, minute or second")
    return found


def opposite(span: Span) -> Span:
    """The same interval back."""
    return Span(-span.months, -span.days, -span.microseconds)


TRUNCATED: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")


def truncated(microseconds: int, unit: str) -> int:
    """The start of the second, the month, ... that a moment is in."""
    if microseconds in (EARLIEST, LATEST):
        return microseconds
    if unit in _UNITS:
        return microseconds // _UNITS[unit] * _UNITS[unit]
    days = microseconds // DAY
    year, month, _ = civil(days)
    match unit:
        case "day":
            pass
        case "week":
            days -= (days + 5) % 7
        case "month":
            days = days_of(year, month, 1)
        case "quarter":
            days = days_of(year, (month - 1) // 3 * 3 + 1, 1)
        case _:
            days = days_of(year, 1, 1)
    return checked(days * DAY)


def _counted(year: int) -> int:
    """A year as SQL counts it: none is 0."""
    return year if year > 0 else year - 1


def _iso_week(days: int) -> tuple[int, int]:
    """The year and the week, as ISO 8601 counts them: that of its Thursday."""
    thursday = days - (days + 5) % 7 + 3
    year = civil(thursday)[0]
    return year, (thursday - days_of(year, 1, 1)) // 7 + 1


_OF_A_DAY: Final[Mapping[str, Callable[[int], int]]] = {
    "year": lambda days: _counted(civil(days)[0]),
    "isoyear": lambda days: _counted(_iso_week(days)[0]),
    "quarter": lambda days: (civil(days)[1] - 1) // 3 + 1,
    "month": lambda days: civil(days)[1],
    "week": lambda days: _iso_week(days)[1],
    "day": lambda days: civil(days)[2],
    "doy": lambda days: days - days_of(civil(days)[0], 1, 1) + 1,
    "dow": lambda days: (days + 6) % 7,
    "isodow": lambda days: (days + 5) % 7 + 1,
}
_OF_A_TIME: Final[Mapping[str, Callable[[int], Decimal]]] = {
    "hour": lambda of_day: Decimal(of_day // _UNITS["hour"]),
    "minute": lambda of_day: Decimal(of_day // _UNITS["minute"] % 60),
    "second": lambda of_day: Decimal(of_day % _UNITS["minute"]).scaleb(-6),
}
_GROWING: Final = frozenset({"year", "isoyear", "epoch"})
"""Fields that an infinite moment has, too."""


def _fields(kind: str) -> dict[str, Callable[[int], Decimal | None]]:
    """What can be extracted from one kind of moment."""
    found: dict[str, Callable[[int], Decimal | None]] = {}
    step, ends = (1, (EARLIEST_DAY, LATEST_DAY)) if kind == "date" else (DAY, (EARLIEST, LATEST))

    def unless_infinite(name: str, function: Callable[[int], Decimal]) -> Callable[[int], Decimal | None]:
        def extracted(at: int) -> Decimal | None:
            if at in ends:
                return Decimal("Infinity" if at > 0 else "-Infinity") if name in _GROWING else None
            return function(at)

        return extracted

    def of_the_day(function: Callable[[int], int]) -> Callable[[int], Decimal]:
        return lambda at: Decimal(function(at // step))

    def of_the_time(function: Callable[[int], Decimal]) -> Callable[[int], Decimal]:
        return lambda at: function(at % DAY)

    for name, of_day in _OF_A_DAY.items():
        found[name] = unless_infinite(name, of_the_day(of_day))
    if kind == "date":
        found["epoch"] = unless_infinite("epoch", lambda days: Decimal((days + _UNIX) * 86_400))
    else:
        for name, of_time in _OF_A_TIME.items():
            found[name] = unless_infinite(name, of_the_time(of_time))
        found["epoch"] = unless_infinite("epoch", lambda at: Decimal(at + _UNIX * DAY).scaleb(-6))
    return found


_UNIX: Final = 10_957
"""Days from 1970 to 2000."""

FIELDS: Final[Mapping[str, Mapping[str, Callable[[int], Decimal | None]]]] = {
    "date": _fields("date"),
    "timestamp": _fields("timestamp"),
    "timestamptz": _fields("timestamptz"),
    "time": {**_OF_A_TIME, "epoch": lambda of_day: Decimal(of_day).scaleb(-6)},
}
"""By type: what can be extracted."""
