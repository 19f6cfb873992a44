"""Every codec keeps its laws, and rounds, pads and prints exactly as PostgreSQL does.

GetPut: what was read and is written back is stored as it was. PutGet: what was written is what is read back. A column
that cannot hold everything is lossy: then the first writing rounds, and from there on nothing changes any more.
The golden values were printed by PostgreSQL 18.
"""

from __future__ import annotations

import math
import struct
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValueRefused
from engine.rulebook import Codec
from rules.values import codecs, documents, room
from rules.values.moments import rounded
from rules.values.words import mapped, parted
from tests.rules.catalogs import column

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=8)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))


def codec(family: str, described: str) -> Codec:
    found = codecs.codec(family, column(f"x {described}"))
    assert found is not None
    return found


@given(st.from_regex(r"-?[0-9]{1,70}(\.[0-9]{1,20})?", fullmatch=True), st.integers(-3, 20))
def test_short_and_long_numbers_are_rounded_alike(text: str, scale: int) -> None:
    """The quick way for usual numbers does what exact arithmetic does: half away from zero, no minus before zero."""
    exact = Decimal(text).quantize(Decimal((0, (1,), -scale)), context=codecs.PLENTY)
    assert codecs.to_scale(text, scale) == f"{abs(exact) if exact.is_zero() else exact:f}"


def test_what_is_remembered_is_what_would_be_worked_out_again() -> None:
    asked = []

    def way(text: str) -> str:
        asked.append(text)
        if text == "?":
            raise ValueRefused("no")
        return text.upper()

    known = codecs.remembered(way)
    long = "a" * (codecs.SHORT + 1)
    assert [known("a"), known("a"), known(long), known(long)] == ["A", "A", long.upper(), long.upper()]
    assert asked == ["a", long, long]
    for _ in range(2):
        with pytest.raises(ValueRefused):
            known("?")


def printed_number(number: Decimal) -> str:
    return codecs.canonical_number(f"{number:f}")


def printed_moment(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds").rstrip("0").rstrip(".")


def single(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


def assert_put_get(pair: Codec, canonical: str) -> None:
    """What is read back after writing is what was written, once it has been through the column."""
    stored = pair.encode(canonical)
    assert pair.encode(pair.decode(stored)) == stored, "GetPut"
    assert pair.decode(pair.encode(pair.decode(stored))) == pair.decode(stored), "PutGet"


@given(NUMBERS, st.sampled_from(["numeric(20,6)", "numeric(20,2)", "numeric(20,0)", "numeric(20,-2)", "int"]))
def test_numbers_keep_the_laws_in_every_column(number: Decimal, described: str) -> None:
    pair = codec("numeric", described)

    assert_put_get(pair, printed_number(number))

    if described == "numeric(20,6)":
        assert pair.decode(pair.encode(printed_number(number))) == printed_number(number)


@given(NUMBERS)
def test_an_unconstrained_numeric_keeps_its_value_and_drops_zeros_that_mean_nothing(number: Decimal) -> None:
    pair = codec("numeric", "numeric")

    canonical = pair.decode(f"{number:f}")

    assert Decimal(canonical) == number
    assert pair.encode(canonical) == pair.decode(canonical) == canonical


@given(TEXTS, st.integers(8, 12))
def test_blank_padded_texts_keep_the_laws(text: str, length: int) -> None:
    pair = codec("text", f"char({length})")

    assert_put_get(pair, text)

    assert pair.decode(str(pair.encode(text))) == text.rstrip(" ")
    assert len(str(pair.encode(text))) == length


@given(MOMENTS, st.integers(0, 5))
def test_moments_keep_the_laws_in_coarser_columns(moment: datetime, digits: int) -> None:
    pair = codec("timestamp", f"timestamp({digits})")

    assert_put_get(pair, printed_moment(moment))

    there = datetime.fromisoformat(pair.encode(printed_moment(moment)))
    assert abs((there - moment).total_seconds()) <= 0.5 * 10**-digits + 1e-9


@given(st.uuids())
def test_uuids_keep_the_laws_in_a_text(value: object) -> None:
    pair = codec("uuid", "char(40)")

    assert_put_get(pair, str(value))

    assert pair.decode(str(value).upper()) == pair.decode("{" + str(value).replace("-", "") + "}") == str(value)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_real_keeps_the_laws(value: float) -> None:
    pair = codec("float", "real")
    stored = pair.encode(repr(value))

    assert pair.encode(pair.decode(stored)) == stored
    assert single(float(stored)) == value


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_a_double_in_a_real_keeps_the_laws_once_it_is_there(value: float) -> None:
    pair = codec("float", "real")

    assert_put_get(pair, repr(value))

    assert math.isclose(float(pair.encode(repr(value))), value, rel_tol=1e-6)


@given(st.dictionaries(TEXTS, st.sampled_from("abc"), min_size=1))
def test_a_map_keeps_the_laws_for_all_that_it_has(values: dict[str, str]) -> None:
    pair = mapped("stage", values)

    first = {meaning: stored for stored, meaning in reversed(values.items())}
    for stored, meaning in values.items():
        assert pair.decode(stored) == meaning
        assert pair.encode(meaning) == first[meaning]
    assert pair.many == (len(first) < len(values))


def test_a_map_refuses_what_it_does_not_have_without_telling_the_value() -> None:
    pair = mapped("stage", {"P": "prospect", "A": "active"})

    for way, value, known in ((pair.decode, "hunter2", "P, A"), (pair.encode, "hunter2", "prospect, active")):
        with pytest.raises(ValueRefused) as refused:
            way(value)
        assert "hunter2" not in str(refused.value)
        assert known in str(refused.value)


@pytest.mark.parametrize(
    ("family", "described", "value"),
    [
        ("numeric", "int", "NaN"), ("numeric", "numeric(9,2)", "hunter2"), ("numeric", "numeric", "1e5"),
        ("uuid", "text", "hunter2"), ("timestamp", "timestamp(0)", "hunter2"), ("float", "real", "1e39"),
        ("float", "real", "1e-60"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused_without_telling_it(family: str, described: str, value: str) -> None:
    pair = codec(family, described)

    with pytest.raises(ValueRefused) as refused:
        pair.encode(pair.decode(value))

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("described", "value", "printed"),
    [
        ("numeric(12,2)", "2.675", "2.68"), ("numeric(12,2)", "-2.675", "-2.68"), ("numeric(12,2)", "0.5", "0.50"),
        ("numeric(12,2)", "-0.004", "0.00"), ("numeric(12,2)", "NaN", "NaN"), ("numeric(12,0)", "2.5", "3"),
        ("numeric(12,-2)", "150", "200"), ("numeric(12,-2)", "-149", "-100"), ("int", "-2.5", "-3"),
        ("int", "0.4", "0"),
    ],
)  # fmt: skip
def test_a_number_is_rounded_and_printed_as_postgresql_does(described: str, value: str, printed: str) -> None:
    assert codec("numeric", described).encode(value) == printed


def test_a_number_of_any_size_stays_exact() -> None:
    digits = "9" * 5000 + "." + "9" * 4999 + "8"

    assert codec("numeric", "numeric(12000,5000)").encode(digits) == digits
    assert codec("numeric", "numeric").decode(digits) == digits


@pytest.mark.parametrize(
    ("value", "digits", "printed"),
    [
        ("2026-11-21 12:34:56.789012+00", 3, "2026-11-21 12:34:56.789+00"),
        ("2026-11-21 12:34:56.9996+00", 3, "2026-11-21 12:34:57+00"),
        ("2026-12-31 23:59:59.5", 0, "2027-01-01 00:00:00"),
        ("2024-02-28 23:59:59.5", 0, "2024-02-29 00:00:00"),
        ("1999-12-31 23:59:59.5", 0, "1999-12-31 23:59:59"),  # before 2000, half goes the other way
        ("2000-01-01 00:00:00.5", 0, "2000-01-01 00:00:01"),
        ("0001-12-31 23:59:59.9 BC", 0, "0001-01-01 00:00:00"),
        ("294000-12-31 23:59:59.9", 0, "294001-01-01 00:00:00"),
        ("23:59:59.6", 0, "24:00:00"),
        ("infinity", 0, "infinity"),
        ("2026-11-21 12:34:56", 0, "2026-11-21 12:34:56"),
    ],
)
def test_a_moment_is_rounded_as_postgresql_does(value: str, digits: int, printed: str) -> None:
    assert rounded(value, digits) == printed


@pytest.mark.parametrize(
    ("real", "double"),
    [
        ("0.1", "0.1"), ("1e+06", "1000000"), ("123456", "123456"), ("1.234567e+06", "1234567"), ("1e-05", "1e-05"),
        ("0.0001", "0.0001"), ("-0", "-0"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("1e-45", "1e-45"),
        ("3.4028235e+38", "3.4028235e+38"), ("-2.4499506e+20", "-2.4499505999999998e+20"),
    ],
)  # fmt: skip
def test_a_real_is_printed_as_postgresql_does(real: str, double: str) -> None:
    pair = codec("float", "real")

    assert pair.decode(real) == double
    assert pair.encode(double) == real


@pytest.mark.parametrize(
    ("double", "real"),
    [("405778.3630349408", "405778.38"), ("283359.62967422535", "283359.62"), ("0.123456789", "0.12345679")],
)
def test_a_double_is_narrowed_as_postgresql_does(double: str, real: str) -> None:
    assert codec("float", "real").encode(double) == real


@pytest.mark.parametrize(
    ("family", "described"),
    [
        ("text", "text"), ("text", "varchar(40)"), ("text", "citext"), ("text", "enum stage(a, b)"), ("integer", "int"),
        ("integer", "bigint"), ("date", "date"), ("timestamptz", "timestamptz"), ("timestamp", "timestamp(6)"),
        ("uuid", "uuid"), ("float", "float8"), ("boolean", "boolean"), ("bytes", "bytea"), ("json", "jsonb"),
    ],
)  # fmt: skip
def test_what_is_stored_as_it_is_told_needs_no_codec(family: str, described: str) -> None:
    assert codecs.codec(family, column(f"x {described}")) is None


def test_a_small_document_does_not_become_one_of_gigabytes() -> None:
    """Found by reading: 18 kB of `1e131071` became 262 MB, ten times as much would have ended the engine."""
    assert len(documents.canonical("[1e131071, 1.5e3, 12]")) == 131_072 + len("[, 1500, 12]")
    with pytest.raises(ValueRefused, match="the numbers of a JSON text, written out, have over 1,000,000 digits more"):
        documents.canonical("[" + ", ".join(["1e131071"] * 20) + "]")
    plain = "[" + ", ".join(["9" * 100_000] * 20) + "]"
    assert documents.canonical(plain) == plain


@pytest.mark.parametrize("list_", ['{" "}', '{a,"b "}', '{a,""}'])
def test_a_list_whose_end_would_be_lost_in_a_padded_text_is_refused(list_: str) -> None:
    """Found by Hypothesis: in a char(6), a list of one blank became the empty list."""
    with pytest.raises(ValueRefused, match="a list ends with a blank"):
        parted(" " if list_ == '{a,""}' else ",", trim=False, numbers=False, kept=0).encode(list_)


def test_a_text_that_is_cut_and_trimmed_does_not_end_with_a_blank() -> None:
    """Found by Hypothesis: what was cut at a blank was written once more, without it."""
    step = room.for_text(column("x varchar(6)"), "cut", trim=True)

    assert step is not None
    assert step.encode("abcde fgh") == "abcde"
