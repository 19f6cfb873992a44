"""Whatever `check` lets through between MariaDB and PostgreSQL, or two MariaDBs, goes there and back.

The laws are those of `test_values`; the values are those that MariaDB really stores (`tests/database/maria_values.py`).
"""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalog import Column
from engine.errors import ValueRefused
from rules.values import codecs, proof, room
from rules.values.loss import losses
from rules.values.moments import rounded
from rules.values.zones import zoned
from tests.database.maria_values import KINDS
from tests.rules.catalogs import column
from tests.rules.conversions import TYPES, Conversion, checked
from tests.rules.maria import maria_column
from tests.rules.test_values import hold

MARIA = "maria "
WORDS = [
    "", "on_overflow: cut", "on_overflow: nearest", "on_overflow: null", "trim: true", 'list: ","', "scale: 100",
    "round: 1, lossy: true", "time_zone: America/New_York", "one_way: true", "map: {1: true, 0: false}",
]  # fmt: skip
OF_POSTGRESQL = (
    "text", "varchar(6)", "char(6)", "enum stage(a, Bc, 中)", "smallint", "int", "bigint", "numeric", "numeric(9,2)",
    "boolean", "date", "time", "timestamp", "timestamptz", "uuid", "bytea", "float8", "real", "json", "jsonb", "text[]",
    "int[]",
)
SHORT = 300
"""Characters; the long values of the table are for servers."""


def described(name: str, text: str) -> Column:
    """A column of either database."""
    if text.startswith(MARIA):
        return maria_column(name, text.removeprefix(MARIA)).shape
    return column(f"{name} {text}")


def values(text: str) -> list[str]:
    """What such a column prints."""
    if text.startswith(MARIA):
        return [value for value in KINDS[text.removeprefix(MARIA)].texts if len(value) < SHORT]
    return list(proof.samples(column(f"x {text}")))


@cache
def every() -> list[Conversion]:
    found: list[Conversion] = []
    for kind in KINDS:
        theirs = MARIA + kind
        tried: list[tuple[str, str, str]] = []
        for ours in (*OF_POSTGRESQL, *(MARIA + other for other in list(KINDS)[::3]), theirs):
            words = WORDS if ours in ("text", "numeric", "timestamptz", "boolean", "text[]", theirs) else WORDS[:1]
            tried += [(ours, theirs, word) for word in words] + [(theirs, ours, "")]
        told = {f"f{number}": each for number, each in enumerate(tried)}
        found += checked(told, columns=described)
    return found


def test_every_conversion_keeps_the_laws() -> None:
    broken: list[str] = []
    tried = 0
    for conversion in every():
        for source in ("erp", "crm"):
            for stored in values(conversion.types[source == "crm"]):
                try:
                    tried += hold(conversion, source, stored)
                except AssertionError as found:
                    broken.append(str(found).partition("\n")[0])

    assert not broken, f"{len(broken)}\n" + "\n".join(broken[:40])
    assert tried > 10_000


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_conversion_keeps_the_laws_for_what_postgresql_brings(data: st.DataObject) -> None:
    conversion = data.draw(st.sampled_from([each for each in every() if not each.types[0].startswith(MARIA)]))

    hold(conversion, "erp", data.draw(TYPES[conversion.types[0]]))


@pytest.mark.parametrize(
    ("ours", "theirs", "value", "stored"),
    [
        ("text", "char(4)", "a ", "a"), ("text", "varchar(40)", "a ", "a "),
        ("bytea", "binary(4)", "\\x61", "\\x61000000"),
        ("bytea", "varbinary(40)", "\\x61", "\\x61"), ("text", "set('a','B','it''s','ü')", "ü,a,a", "a,ü"),
        ("int", "year", "0", "0000"), ("int", "year", "2155", "2155"), ("numeric", "bigint unsigned", "1.5", "2"),
        ("timestamp", "datetime", "2026-01-31 12:00:00.5", "2026-01-31 12:00:01"), ("float8", "float", "0.1", "0.1"),
        ("float8", "float", "1.23456789", "1.2345679"), ("float8", "double", "-0", "0"), ("uuid", "uuid", "x", "x"),
        ("boolean", "tinyint(1)", "t", "1"), ("boolean", "bit(1)", "f", "0"), ("jsonb", "json", "[1]", "[1]"),
        ("timestamptz", "timestamp(3) null", "2026-01-31 12:00:00.1234+00", "2026-01-31 12:00:00.123+00"),
        ("time", "time(1)", "12:00:00.25", "12:00:00.3"),
    ],
)  # fmt: skip
def test_what_a_column_of_mariadb_makes_of_a_value_is_known(ours: str, theirs: str, value: str, stored: str) -> None:
    (conversion,) = checked({"f": (ours, MARIA + theirs, "")}, columns=described)
    codec = conversion.codecs.get("crm")

    assert (codec.encode(value) if codec is not None else value) == stored


@pytest.mark.parametrize(
    ("ours", "theirs", "value"),
    [
        ("text", "enum('2','1') character set latin1", "3"),
        ("text", "enum('a','B','it''s','c\\\\d','ü','e,f',' g')", "A"),
        ("text", "set('a','B','it''s','ü')", "b"), ("int", "year", "1800"), ("int", "year", "70"),
        ("timestamptz", "datetime(6)", "infinity"),
    ],
)  # fmt: skip
def test_what_mariadb_would_take_for_something_else_is_refused(ours: str, theirs: str, value: str) -> None:
    words = "time_zone: UTC, on_overflow: quarantine" if theirs.startswith("datetime") else ""
    column_ = maria_column("x", theirs).shape
    refusing = room.for_time(column_, "quarantine") if words else codecs.own(column_.family, column_)

    assert refusing is not None
    with pytest.raises(ValueRefused) as refused:
        refusing.encode(value)
    assert f"`{value}`" not in refused.value.found


@pytest.mark.parametrize(
    ("ours", "theirs", "codes"),
    [
        ("int", "int unsigned", {"R454"}), ("bigint", "int unsigned", {"R454"}),
        ("maria int unsigned", "int", {"R454"}),
        ("maria int unsigned", "bigint", set()), ("maria bigint unsigned", "bigint", {"R454"}),
        ("maria bigint unsigned", "numeric", set()), ("maria tinyint", "smallint", set()),
        ("smallint", "tinyint", {"R454"}),
        ("maria mediumint", "int", set()), ("int", "mediumint", {"R454"}), ("int", "year", {"R454"}),
        ("text", "text", {"R451"}), ("text", "longtext", set()), ("varchar(6)", "tinytext", set()),
        ("text", "varchar(40) character set latin1", {"R451", "R455"}), ("varchar(6)", "varchar(40)", set()),
        ("varchar(6)", "varchar(40) character set utf8mb3", {"R455"}), ("varchar(6)", "char(6)", {"R456"}),
        ("bytea", "blob", {"R451"}), ("bytea", "binary(4)", {"R451", "R456"}), ("bytea", "longblob", set()),
        ("timestamptz", "timestamp(6) null", {"R454"}), ("timestamp", "datetime(6)", set()),
        ("timestamp", "datetime", {"R453"}),
        ("float8", "float", {"R458"}), ("maria float", "real", set()), ("float8", "double", set()),
        ("text", "set('a','B','it''s','ü')", {"R455"}), ("text", "json", {"R455"}),
        ("numeric(9,2)", "decimal(12,2)", set()),
        ("numeric", "decimal(65,30)", {"R452", "R454"}), ("boolean", "tinyint(1)", set()),
        ("maria tinyint(1)", "boolean", {"R455"}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_before_it_happens(ours: str, theirs: str, codes: set[str]) -> None:
    source = described("x", ours)
    target = described("x", theirs if ours.startswith(MARIA) else MARIA + theirs)

    assert {loss.code for loss in losses(source, target)} == codes


@pytest.mark.parametrize("value", ["2026-00-10 12:00:00", "2026-01-00 12:00:00.25", "0000-00-00 00:00:00"])
def test_a_date_without_a_day_is_no_moment(value: str) -> None:
    with pytest.raises(ValueRefused):
        zoned("Europe/Berlin").decode(value)
    if "." in value:
        with pytest.raises(ValueRefused):
            rounded(value, 1)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [("-00:00:00.5", 0, "-00:00:01"), ("-00:00:00.4", 0, "00:00:00"), ("838:59:58.96", 1, "838:59:59"),
     ("-838:59:59.04", 1, "-838:59:59"), ("-00:00:00.25", 6, "-00:00:00.25")],
)  # fmt: skip
def test_a_time_below_zero_or_above_a_day_is_rounded_like_others(value: str, digits: int, expected: str) -> None:
    assert rounded(value, digits) == expected


@pytest.mark.parametrize(
    ("theirs", "value", "nearest"),
    [
        ("date", "infinity", "9999-12-31"), ("date", "0044-03-15 BC", "0001-01-01"),
        ("date", "12026-01-01", "9999-12-31"),
        ("date", "0000-00-00", "0000-00-00"), ("date", "2026-01-31", "2026-01-31"),
        ("timestamp null", "1969-12-31 23:59:59+00", "1970-01-01 00:00:01+00"),
        ("timestamp(3) null", "2038-01-19 03:14:08+00", "2038-01-19 03:14:07.999+00"),
        ("timestamp null", "-infinity", "1970-01-01 00:00:01+00"),
        ("blob", "\\x" + "00" * 65_536, "\\x" + "00" * 65_535),
        ("int unsigned", "-1", "0"), ("bigint unsigned", "18446744073709551616", "18446744073709551615"),
        ("tinytext", "中" * 90, "中" * 85),
    ],
)  # fmt: skip
def test_what_does_not_fit_becomes_what_is_nearest_if_the_rules_say_so(theirs: str, value: str, nearest: str) -> None:
    known = maria_column("x", theirs).shape
    say: room.Overflow = "cut" if known.family in ("text", "bytes") else "nearest"
    steps = [room.for_number(known, say), room.for_time(known, say), room.for_text(known, say)]
    (step,) = [each for each in steps if each is not None]

    assert step.encode(value) == nearest
    assert step.encode(nearest) == nearest


def test_keys_are_written_alike_without_a_codec_where_only_spellings_could_differ() -> None:
    for ours, theirs in itertools.product(("uuid", "text"), ("char(4)", "varchar(40)")):
        (conversion,) = checked({"no": (ours, MARIA + theirs, "")}, columns=described)

        assert conversion.codecs == {}


def test_a_list_is_refused_whose_last_blank_has_no_room() -> None:
    """Found by Hypothesis: the database lets go of blanks that are too many, though they are a list's last element."""
    (conversion,) = checked({"f": ("text[]", MARIA + "varchar(40)", 'list: ","')}, columns=described)

    assert conversion.codecs["crm"].encode('{"' + "x" * 38 + ' "}') == "x" * 38 + " "
    with pytest.raises(ValueRefused, match="a list ends with a blank"):
        conversion.codecs["crm"].encode('{"' + "x" * 40 + ' "}')
