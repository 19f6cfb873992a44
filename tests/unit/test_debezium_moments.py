"""Counts of days and microseconds become the dates that they are, also where Python has none; nothing wraps around."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.debezium.decoding import composites, moments, quantities

EPOCH = datetime(1970, 1, 1)


@given(st.dates())
def test_a_day_is_its_date(day: date) -> None:
    days = (day - EPOCH.date()).days

    assert moments.of_days(days) == moments.of_days_wide(days) == day.isoformat()
    assert moments.days_of_iso(f"{day.isoformat()}Z") == days


@given(st.datetimes())
def test_a_moment_is_as_python_prints_it_but_for_zeros(moment: datetime) -> None:
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    text = moment.isoformat(" ")
    expected = text.rstrip("0") if "." in text else text

    assert moments.of_micros(micros) == moments.of_micros_wide(micros) == expected
    assert moments.micros_of_iso(moment.isoformat() + "Z") == micros
    assert moments.zoned(moment.isoformat() + "Z") == expected + "+00"


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-1080, 1080))
def test_a_moment_of_another_zone_is_told_in_utc(moment: datetime, minutes: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    text = there.astimezone(UTC).replace(tzinfo=None).isoformat(" ")

    assert moments.zoned(there.isoformat()) == (text.rstrip("0") if "." in text else text) + "+00"


@given(st.integers(moments.PG_FIRST_DAY, moments.PG_LAST_DAY))
def test_dates_beyond_the_years_of_python_follow_the_calendar(days: int) -> None:
    text = moments.of_days_wide(days)
    year, month, day = (int(part) for part in text.removesuffix(" BC").split("-"))
    era = 1 - year if text.endswith(" BC") else year

    # The Gregorian calendar repeats itself every 400 years.
    assert date((era - 1) % 400 + 1, month, day).toordinal() == (days + 719_162) % 146_097 + 1
    if days * moments.DAY_US <= moments.PG_LAST_MOMENT:
        assert moments.of_micros_wide(days * moments.DAY_US) == text.replace(day_of(text), day_of(text) + " 00:00:00")


def day_of(text: str) -> str:
    """A date without its era."""
    return text.removesuffix(" BC")


@pytest.mark.parametrize(
    ("days", "text"),
    [(-735_160, "0044-03-15 BC"), (3_672_879, "12026-01-01"), (-719_163, "0001-12-31 BC"), (2_932_897, "10000-01-01"),
     (-2_440_588, "4714-11-24 BC"), (2_145_042_905, "5874897-12-31"), (2_146_033_979, "infinity")],
)  # fmt: skip
def test_dates_of_postgresql(days: int, text: str) -> None:
    assert moments.of_days_wide(days) == text


@pytest.mark.parametrize("days", [-2_440_589, 2_145_042_906, 1 << 40, -(1 << 40)])
def test_a_day_that_postgresql_has_not_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="no date"):
        moments.of_days_wide(days)
    with pytest.raises((ValueError, OverflowError)):
        moments.of_days(days)


@given(st.integers())
def test_no_count_of_microseconds_raises_anything_else(micros: int) -> None:
    for spell in (moments.of_micros, moments.of_micros_wide, moments.of_day_clock):
        try:
            spell(micros)
        except (ValueError, OverflowError):
            continue


@given(st.text(max_size=30))
def test_no_text_raises_anything_else(text: str) -> None:
    readers = (
        moments.days_of_iso, moments.micros_of_iso, moments.clock_of_iso, moments.zoned_wide, composites.interval,
        quantities.digits_reader(2), quantities.octets_of_hex(0), quantities.octets_of_base64(0),
        quantities.digits_or_bytes_reader(2),
    )  # fmt: skip
    for read in readers:
        try:
            read(text)
        except (ValueError, ArithmeticError):
            continue


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20))
def test_a_decimal_is_the_same_in_digits_and_in_bytes(number: object) -> None:
    text = f"{number:f}"
    unscaled = int(text.replace(".", ""))
    size = (unscaled.bit_length() + 8) // 8

    told = quantities.decimal_reader(4)(unscaled.to_bytes(size, "big", signed=True))
    assert told == ("0.0000" if unscaled == 0 else text)


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ("P0Y0M0DT0H0M0S", "PT0S"), ("P1Y2M3DT4H5M6.78S", "P1Y2M3DT4H5M6.78S"), ("P0Y0M1DT0H0M-1S", "P1DT-1S"),
        ("P0Y-1M0DT0H0M0S", "P-1M"), ("P0Y0M0DT100H0M0S", "PT100H"), ("P0Y0M0DT0H0M-0.5S", "PT-0.5S"),
        ("P-1Y-2M3DT-4H-5M-6.000001S", "P-1Y-2M3DT-4H-5M-6.000001S"), ("P0Y14M0DT0H90M0S", "P1Y2MT1H30M"),
    ],
)  # fmt: skip
def test_an_interval_is_printed_as_postgresql_does(told: str, printed: str) -> None:
    assert composites.interval(told) == printed
