"""Turns a value's canonical text into what stands for it in a message, by family; never loses a digit of it.

Two ways: as Debezium does (`CONNECT`, with the semantic types of its default modes, numbers with a point as text) and
as people read it (`PLAIN`, for CloudEvents: times in the form of ISO 8601). A text that has no counterpart there (an
infinite date, a float that is no number) is handed on as it stands rather than bent.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from engine.days import days_of
from engine.vocabulary import Text

Form: TypeAlias = Callable[[str], Any]

_MOMENT: Final = re.compile(
    r"(?:(?P<year>[0-9]{4,7})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2}))?[ T]?"
    r"(?:(?P<minus>-)?(?P<hour>[0-9]{2,3}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?"
    r"(?P<offset>[+-]00(?::00){0,2})?(?P<era> BC)?"
)
_EPOCH: Final = days_of(1970, 1, 1)
_DAY_US: Final = 86_400_000_000
_INFINITE: Final = {"infinity": 9_223_372_036_825_200_000, "-infinity": -9_223_372_036_832_400_000}
"""What Debezium makes of PostgreSQL's infinite timestamps, in microseconds."""


def _days(match: re.Match[str]) -> int:
    year = int(match["year"]) if match["era"] is None else 1 - int(match["year"])
    return days_of(year, int(match["month"]), int(match["day"])) - _EPOCH


def _of_day(match: re.Match[str]) -> int:
    seconds = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    size = seconds * 1_000_000 + int((match["fraction"] or "0").ljust(6, "0"))
    return -size if match["minus"] else size


def _date(text: str) -> int | str:
    match = _MOMENT.fullmatch(text)
    return _days(match) if match and match["year"] and not match["hour"] else text


def _time(text: str) -> int | str:
    match = _MOMENT.fullmatch(text)
    return _of_day(match) if match and match["hour"] and not match["year"] else text


def _timestamp(text: str) -> int | str:
    match = _MOMENT.fullmatch(text)
    if match is None or not match["year"] or not match["hour"]:
        return _INFINITE.get(text, text)
    return _days(match) * _DAY_US + _of_day(match)


def _zoned(text: str) -> str:
    """`2026-11-22 10:00:00.5+00` → `2026-11-22T10:00:00.5Z`"""
    match = _MOMENT.fullmatch(text)
    if match is None or not match["year"] or not match["offset"] or match["era"]:
        return text
    return text[: match.start("offset")].replace(" ", "T") + "Z"


def _local(text: str) -> str:
    match = _MOMENT.fullmatch(text)
    return text if match is None or not match["year"] or match["era"] else text.replace(" ", "T")


def _integer(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdecimal() else text


def _float(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _boolean(text: str) -> bool | str:
    return {"t": True, "f": False}.get(text, text)


def _bytes(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text[2:])).decode() if text.startswith("\\x") else text


PLAIN: Final[Mapping[str, Form]] = {
    "integer": _integer, "float": _float, "boolean": _boolean, "bytes": _bytes, "timestamp": _local,
    "timestamptz": _zoned,
}  # fmt: skip
"""By family, where it is not simply the text."""

CONNECT: Final[Mapping[str, Form]] = {
    **PLAIN, "date": _date, "time": _time, "timestamp": _timestamp,
}  # fmt: skip

CONNECT_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "integer": ("int64", ""), "float": ("double", ""), "boolean": ("boolean", ""), "bytes": ("bytes", ""),
    "date": ("int32", "io.debezium.time.Date"), "time": ("int64", "io.debezium.time.MicroTime"),
    "timestamp": ("int64", "io.debezium.time.MicroTimestamp"),
    "timestamptz": ("string", "io.debezium.time.ZonedTimestamp"), "uuid": ("string", "io.debezium.data.Uuid"),
    "json": ("string", "io.debezium.data.Json"),
}  # fmt: skip
"""By family: (type, semantic name) of Kafka Connect; else it is a string."""

JSON_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "integer": {"type": "integer"}, "float": {"type": "number"}, "boolean": {"type": "boolean"},
    "bytes": {"type": "string", "contentEncoding": "base64"}, "date": {"type": "string", "format": "date"},
    "timestamptz": {"type": "string", "format": "date-time"}, "uuid": {"type": "string", "format": "uuid"},
    "numeric": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$|^NaN$|^-?Infinity$"},
}  # fmt: skip
"""By family: the JSON Schema of a value; else it is a string."""


def told(forms: Mapping[str, Form], family: str) -> Callable[[Text | bool], Any]:
    """What stands for the values of a family. NULL is null, and so is a value that nobody has given so far."""
    form = forms.get(family)

    def of(value: Text | bool) -> Any:
        if not isinstance(value, str):
            return None
        return value if form is None else form(value)

    return of
