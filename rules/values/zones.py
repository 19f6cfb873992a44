"""Times without a zone ↔ moments in UTC, as PostgreSQL's own `AT TIME ZONE` tells them.

Takes and gives PostgreSQL's ISO text: any year, `BC`, `infinity`. A local time that comes twice, when clocks go back,
is the later of the two moments; one that is left out, when they go forward, is what the clock would have shown without
that. So one hour a year is told as another; everything else goes there and back. Never asks for the zone of a machine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.days import civil, days_of
from engine.errors import ValueRefused
from engine.rulebook import Codec
from rules.values.codecs import remembered

_USUAL = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2} [0-9:.]{8,15}", re.ASCII)
_ANY = re.compile(r"([0-9]{4,7})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,6})?( BC)?", re.ASCII)
_DATELESS = re.compile(r"[0-9]{4}-(00-|[0-9]{2}-00)", re.ASCII)
"""What some databases have, and no clock ever showed."""
_INFINITE = frozenset({"infinity", "-infinity"})
_UTC = "+00"
_CYCLE = 400
"""After so many years the calendar, and with it a zone's rule, is the same again."""
_FIRST, _LAST = 2, 9998
"""Years whose neighbours Python can tell, too."""
_DAY_S = 86_400
_WITHOUT_RULE = 2037
"""From this year on a zone has its last rule, for ever."""


def zoned(zone: str) -> Codec:
    """The pair for a column without a zone, whose field has moments."""
    there = ZoneInfo(zone)

    def decode(text: str) -> str:
        if _DATELESS.match(text):
            raise ValueRefused("a date has no month or no day")
        if _USUAL.fullmatch(text) and text[:4] < str(_LAST):
            local = datetime.fromisoformat(text)
            return _printed(local - _offset(local, there)) + _UTC
        return text if text in _INFINITE else _shifted(text, there, -1, _UTC)

    def encode(text: str) -> str:
        if not text.endswith(_UTC) and not text.endswith(_UTC + " BC") and text not in _INFINITE:
            raise ValueRefused("a moment is not written in UTC")
        bare = text.replace(_UTC, "")
        if _USUAL.fullmatch(bare) and bare[:4] < str(_LAST):
            return _printed(datetime.fromisoformat(bare).replace(tzinfo=UTC).astimezone(there).replace(tzinfo=None))
        return text if text in _INFINITE else _shifted(bare, there, 1, "")

    return Codec(f"times of {zone}", remembered(decode), remembered(encode), many=True)


def goes_back(zone: str) -> bool:
    """Whether its clocks go back every year, so that one hour comes twice."""
    there = ZoneInfo(zone)
    return len({datetime(_WITHOUT_RULE, month, 1, tzinfo=there).utcoffset() for month in range(1, 13)}) > 1


def _offset(local: datetime, zone: ZoneInfo) -> timedelta:
    """Of two possible offsets the smaller: after the clocks went back, and as before they went forward."""
    first, second = local.replace(tzinfo=zone).utcoffset(), local.replace(tzinfo=zone, fold=1).utcoffset()
    assert first is not None and second is not None
    return min(first, second)


def _printed(moment: datetime) -> str:
    text = moment.isoformat(" ")
    return text.rstrip("0") if moment.microsecond else text


def _shifted(text: str, zone: ZoneInfo, direction: int, tail: str) -> str:
    """The same by our own calendar, for years that Python does not have: their rule is that of a year it has."""
    match = _ANY.fullmatch(text)
    if match is None:
        raise ValueRefused("a time is not written as PostgreSQL writes it")
    year = int(match[1]) if match[8] is None else 1 - int(match[1])
    month, day, hour, minute, second = map(int, match.groups()[1:6])
    alike = _FIRST if year < _FIRST else _alike(year)
    # The calendar of a year before the first is not asked for: all of them have the zone's first offset.
    found = datetime(alike, month, min(day, 28) if year < _FIRST else day, hour, minute, second)
    offset = _offset(found, zone) if direction < 0 else _utcoffset(found, zone)
    total = days_of(year, month, day) * _DAY_S + hour * 3600 + minute * 60 + second
    total += direction * (offset // timedelta(seconds=1))
    days, of_day = divmod(total, _DAY_S)
    year, month, day = civil(days)
    era = " BC" if year < 1 else ""
    clock = f"{of_day // 3600:02}:{of_day // 60 % 60:02}:{of_day % 60:02}{match[7] or ''}"
    return f"{1 - year if era else year:04}-{month:02}-{day:02} {clock}{tail}{era}"


def _alike(year: int) -> int:
    return year if year <= _LAST else year % _CYCLE + 2 * _CYCLE + 2000 - 2000 % _CYCLE


def _utcoffset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset
