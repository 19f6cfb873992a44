"""Chooses how dates, times, moments and intervals are read, by the name that the connector gives them.

What its `time.precision.mode` cuts off, or lets overflow, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from adapters.debezium.decoding import composites, moments
from adapters.debezium.decoding.asked import BINLOG, Asked, Reading, plain_type
from adapters.debezium.decoding.unfit import Unfit, option

_MILLI: Final = 3
"""Digits of a second, in milliseconds."""


def _date(asked: Asked) -> Reading:
    asked.must("date")
    return Reading(int, moments.of_days_wide if asked.wide else moments.of_days)


def _iso_date(asked: Asked) -> Reading:
    asked.must("date")
    spell = moments.of_days_wide if asked.wide else moments.of_days
    return Reading(str, lambda text: spell(moments.days_of_iso(text)))


def _clock(asked: Asked) -> Callable[[int], str]:
    asked.must("time")
    return moments.of_clock if asked.connector in BINLOG else moments.of_day_clock


def _fine_enough(asked: Asked, digits: int) -> None:
    if asked.digits > digits:
        better = "adaptive_time_microseconds" if asked.connector in (*BINLOG, "postgresql") else "microseconds"
        raise Unfit(
            f"has {asked.digits} digits of a second, of which {digits} are told", option("time.precision.mode", better)
        )


def _milli_time(asked: Asked) -> Reading:
    if asked.connector in BINLOG and asked.shown.name.startswith("org.apache."):
        raise Unfit("is told as NULL outside of a day", option("time.precision.mode", "adaptive_time_microseconds"))
    _fine_enough(asked, _MILLI)
    return Reading(int, moments.times(1000, _clock(asked)))


def _micro_time(asked: Asked) -> Reading:
    return Reading(int, _clock(asked))


def _nano_time(asked: Asked) -> Reading:
    return Reading(int, moments.over(1000, _clock(asked)))


def _iso_time(asked: Asked) -> Reading:
    spell = _clock(asked)
    if asked.connector in (*BINLOG, "postgresql"):
        raise Unfit("is told as if it were within a day", option("time.precision.mode", "adaptive_time_microseconds"))
    return Reading(str, lambda text: spell(moments.clock_of_iso(text)))


def _moment(asked: Asked) -> Callable[[int], str]:
    asked.must("timestamp", "date" if asked.connector == "oracle" else "timestamp")
    return moments.of_micros_wide if asked.wide else moments.of_micros


def _milli_moment(asked: Asked) -> Reading:
    spell = _moment(asked)
    _fine_enough(asked, _MILLI)
    return Reading(int, moments.times(1000, spell))


def _oracle_or_milli(asked: Asked) -> Reading:
    """Oracle's DATE has no fraction of a second, whatever its family is said to have."""
    if asked.connector == "oracle" and plain_type(asked.column) == "date":
        return Reading(int, moments.times(1000, _moment(asked)))
    return _milli_moment(asked)


def _micro_moment(asked: Asked) -> Reading:
    return Reading(int, _moment(asked))


def _nano_moment(asked: Asked) -> Reading:
    _moment(asked)
    raise Unfit("is told in nanoseconds, which no year behind 2262 fits", option("time.precision.mode", "microseconds"))


def _iso_moment(asked: Asked) -> Reading:
    spell = _moment(asked)
    return Reading(str, lambda text: spell(moments.micros_of_iso(text)))


def _zoned(asked: Asked) -> Reading:
    asked.must("timestamptz")
    if asked.connector in BINLOG:
        return Reading(str, _zoned_of_binlog)
    return Reading(str, moments.zoned_wide if asked.wide else moments.zoned)


def _zoned_of_binlog(text: str) -> str:
    """A TIMESTAMP begins a second after 1970 does: what is told as just that was a zero date."""
    told = moments.zoned(text)
    return "0000-00-00 00:00:00+00" if told == "1970-01-01 00:00:00+00" else told


def _duration(asked: Asked) -> Reading:
    raise Unfit("is told as a number of microseconds, a month as 30.4 days", option("interval.handling.mode", "string"))


def _interval(asked: Asked) -> Reading:
    asked.must("interval")
    return Reading(str, composites.interval)


def _year(asked: Asked) -> Reading:
    asked.must("integer")
    return Reading(int, lambda year: "0000" if year == 1900 else f"{year:04}")


BY_NAME: Final[Mapping[str, Callable[[Asked], Reading]]] = {
    "org.apache.kafka.connect.data.Date": _date,
    "org.apache.kafka.connect.data.Time": _milli_time,
    "org.apache.kafka.connect.data.Timestamp": _oracle_or_milli,
    "io.debezium.time.Date": _date,
    "io.debezium.time.IsoDate": _iso_date,
    "io.debezium.time.Time": _milli_time,
    "io.debezium.time.MicroTime": _micro_time,
    "io.debezium.time.NanoTime": _nano_time,
    "io.debezium.time.IsoTime": _iso_time,
    "io.debezium.time.Timestamp": _oracle_or_milli,
    "io.debezium.time.MicroTimestamp": _micro_moment,
    "io.debezium.time.NanoTimestamp": _nano_moment,
    "io.debezium.time.IsoTimestamp": _iso_moment,
    "io.debezium.time.ZonedTimestamp": _zoned,
    "io.debezium.time.MicroDuration": _duration,
    "io.debezium.time.NanoDuration": _duration,
    "io.debezium.time.Interval": _interval,
    "io.debezium.time.Year": _year,
}
"""By `Shown.name`."""
