"""Moments and times, as text, rounded to fewer digits of a second exactly as PostgreSQL rounds them.

Takes and gives PostgreSQL's own ISO text: any year, `BC`, `infinity`, with or without an offset. PostgreSQL rounds half
away from its epoch, the start of 2000, so that moments before it round the other way; and it drops zeros at the end of
a fraction. Python's `datetime` cannot do this: it has not all of these years.
"""

from __future__ import annotations

import re

from engine.days import civil, days_of
from engine.errors import ValueRefused

_MOMENT = re.compile(
    r"(?:(?P<year>[0-9]{4,7})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2}) )?"
    r"(?P<minus>-)?(?P<hour>[0-9]{2,3}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?"
    r"(?P<offset>[+-][0-9]{2}(?::[0-9]{2}){0,2})?(?P<era> BC)?"
)
_MICROSECONDS_A_SECOND = 1_000_000
_MICROSECONDS_A_DAY = 86_400 * _MICROSECONDS_A_SECOND


def rounded(text: str, digits: int) -> str:
    """The text of a timestamp, timestamptz (in UTC) or time, to at most `digits` digits of a second. A time may be
    below zero or above a day, as some databases have it."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        if text in ("infinity", "-infinity"):
            return text
        raise ValueRefused("a time is not written as PostgreSQL writes it")
    if len(match["fraction"] or "") <= digits:
        return text
    of_day = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    microseconds = of_day * _MICROSECONDS_A_SECOND + int(match["fraction"].ljust(6, "0"))
    tail = match["offset"] or ""
    if match["year"] is None:
        size = _half_away(microseconds, digits)
        return ("-" if match["minus"] and size else "") + _time(size) + tail
    if match["minus"] or "00" in (match["month"], match["day"]):
        raise ValueRefused("a date has no month or no day")
    year = int(match["year"]) if match["era"] is None else 1 - int(match["year"])
    days = days_of(year, int(match["month"]), int(match["day"]))
    total = _half_away(days * _MICROSECONDS_A_DAY + microseconds, digits)
    days, microseconds = divmod(total, _MICROSECONDS_A_DAY)
    year, month, day = civil(days)
    era = " BC" if year < 1 else ""
    return f"{1 - year if era else year:04}-{month:02}-{day:02} {_time(microseconds)}{tail}{era}"


def _half_away(microseconds: int, digits: int) -> int:
    step: int = 10 ** (6 - digits)
    size = (abs(microseconds) + step // 2) // step * step
    return size if microseconds >= 0 else -size


def _time(microseconds: int) -> str:
    """`hh:mm:ss.fff`, without zeros at the end; a time of day may become 24:00:00, as in PostgreSQL."""
    seconds, fraction = divmod(microseconds, _MICROSECONDS_A_SECOND)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text
