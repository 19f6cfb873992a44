"""Lengths of time and rates as a rule file says them: `250 ms`, `2 s`, `5 min`, `1 h`; `100 in 10 min`.

Turns a text into whole numbers, or into nothing if it is no such text. Reads no clock.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

UNITS: Final = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
"""How many microseconds each is."""

ALLOWED: Final = ("250 ms", "2 s", "5 min", "1 h")
RATES_ALLOWED: Final = ("100 in 10 min", "5000 in 1 h")
LONGEST_US: Final = 366 * 24 * UNITS["h"]

_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(us|ms|s|min|h)")
_RATE = re.compile(r"([0-9]{1,9}) in (.+)")


def microseconds(text: str) -> int | None:
    """The length; None for what is none, or longer than a year, or no whole number of microseconds."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        return None
    length = Decimal(match[1]) * UNITS[match[2]]
    return int(length) if length == int(length) and length <= LONGEST_US else None


def rate(text: str) -> tuple[int, int] | None:
    """(how many, in how many seconds); None for what is no rate, or one in less than a whole second."""
    match = _RATE.fullmatch(text.strip())
    length = microseconds(match[2]) if match is not None else None
    if match is None or length is None or length < UNITS["s"] or length % UNITS["s"]:
        return None
    return int(match[1]), length // UNITS["s"]
