"""Turns dates and moments, as SQL or a driver tells them, into the house's exact texts, and those into a driver's own.

Digits of a second beyond the sixth are cut off, zeros behind them left out, moments told in UTC. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

_TIME: Final = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_ZONE: Final = re.compile(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$")
_FRACTION: Final = re.compile(r"\.(\d+)")


def date_text(value: Any) -> str:
    """What a driver tells of a date."""
    return read_date(value if isinstance(value, str) else value.isoformat()[:10])


def time_text(value: Any) -> str:
    """What a driver tells of a time of day."""
    if isinstance(value, timedelta):
        value = (datetime.min + value).time()
    return trimmed(value if isinstance(value, str) else value.isoformat())


def moment_text(value: Any) -> str:
    """What a driver tells of a moment without a zone."""
    return read_moment(value if isinstance(value, str) else value.isoformat(" "))


def zoned_text(value: Any) -> str:
    """What a driver tells of a moment; where it says no zone, that is UTC."""
    if isinstance(value, datetime):
        value = (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat(" ")
    return read_zoned(value)


def read_date(text: str) -> str:
    """A date that SQL spelled."""
    return text.strip()


def read_moment(text: str) -> str:
    """A moment that SQL spelled."""
    return trimmed(text.replace("T", " ", 1).strip() if text[:1].isdigit() else text.strip())


def read_zoned(text: str) -> str:
    """A moment that SQL spelled, with its zone or in UTC."""
    said = read_moment(text)
    zone = _ZONE.search(said, 11)
    if zone is None:
        return said + "+00" if said[:1].isdigit() and not said.endswith("BC") else said
    plain = said[: zone.start()].strip()
    if zone[0].strip("Z+-0:"):
        moment = datetime.fromisoformat(plain + zone[0]).astimezone(UTC).replace(tzinfo=None)
        plain = trimmed(moment.isoformat(" "))
    return plain + "+00"


def trimmed(text: str) -> str:
    """Six digits of a second at most, and no zeros behind them."""
    if "." not in text:
        return text

    def digits(found: re.Match[str]) -> str:
        kept = found[1][:6].rstrip("0")
        return "." + kept if kept else ""

    return _FRACTION.sub(digits, text, count=1)


READ_TEXT: Final[Mapping[str, Callable[[str], str]]] = {
    "date": read_date, "time": trimmed, "timestamp": read_moment, "timestamptz": read_zoned,
}  # fmt: skip


def to_moment(text: str) -> datetime:
    """In UTC, without saying so: every session's own zone is UTC, and some drivers would drop it."""
    return datetime.fromisoformat(_padded(text.removesuffix("+00")))


def to_time(text: str) -> time:
    """A time of day. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError
    return time.fromisoformat(_padded(text))


def unzoned(text: str) -> str:
    """In UTC, without saying so."""
    return text.removesuffix("+00")


def _padded(text: str) -> str:
    whole, point, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if point else text