"""Days and dates: the proleptic Gregorian calendar, counted from the start of 2000 as PostgreSQL counts it.

Turns a date into a number of days and back, for any year; Python's own calendar ends at the year 9999 and begins with
the year 1. Reads no clock.
"""

from __future__ import annotations

_DAYS_A_CYCLE = 146_097
"""Days in 400 years."""


def days_of(year: int, month: int, day: int) -> int:
    """Days since 2000-01-01; the year before 1 is 0."""
    year -= month <= 2
    cycle, of_cycle = divmod(year - 2000, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return cycle * _DAYS_A_CYCLE + of_cycle * 365 + of_cycle // 4 - of_cycle // 100 + of_year + 60


def civil(days: int) -> tuple[int, int, int]:
    """The inverse of `days_of`: year, month, day."""
    cycle, of_cycle = divmod(days - 60, _DAYS_A_CYCLE)
    years = (of_cycle - of_cycle // 1460 + of_cycle // 36_524 - of_cycle // 146_096) // 365
    of_year = of_cycle - (365 * years + years // 4 - years // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return 2000 + cycle * 400 + years + (month <= 2), month, day
