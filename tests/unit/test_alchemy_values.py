"""A value that a driver tells and a text that is sent are one text, for every family and whatever spells it."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite

from adapters.alchemy.abilities import MSSQL, ORACLE, SQLITE, Abilities, abilities
from adapters.alchemy.columns import AlchemyColumn, column
from adapters.relational.refused import Unstorable

FLOOR = Abilities()
DIALECTS = {"oracle": oracle, "mssql": mssql, "mysql": mysql, "postgresql": postgresql, "sqlite": sqlite}


def made(kind: sa.types.TypeEngine[Any], name: str = "postgresql", can: Abilities | None = None) -> AlchemyColumn:
    """A column of this type."""
    told = {"name": "c", "type": kind, "nullable": True}
    return column(told, "c", DIALECTS[name].dialect(), FLOOR if can is None else can)


TOLD: list[tuple[sa.types.TypeEngine[Any], Any, str]] = [
    (sa.Integer(), -5, "-5"),
    (sa.Numeric(14, 2), Decimal("1.5"), "1.50"),
    (sa.Numeric(14, 2), Decimal("1E+3"), "1000.00"),
    (sa.Numeric(), Decimal("1.500"), "1.500"),
    (sa.Numeric(), Decimal("NaN"), "NaN"),
    (sa.Double(), 0.1, "0.1"),
    (sa.Double(), 1e300, "1e+300"),
    (sa.Double(), math.inf, "Infinity"),
    (sa.REAL(), 0.10000000149011612, "0.1"),
    (sa.Boolean(), True, "t"),
    (sa.Boolean(), 0, "f"),
    (sa.LargeBinary(), b"\x00\xff", "\\x00ff"),
    (sa.LargeBinary(), memoryview(b"\x01"), "\\x01"),
    (sa.Date(), date(44, 3, 15), "0044-03-15"),
    (sa.Time(), time(12, 0, 0, 500_000), "12:00:00.5"),
    (sa.Time(), timedelta(hours=1, microseconds=7), "01:00:00.000007"),
    (sa.DateTime(), datetime(2026, 1, 31, 12, 0, 0, 120_000), "2026-01-31 12:00:00.12"),
    (sa.DateTime(timezone=True), datetime(2026, 1, 31, 12, 0, tzinfo=UTC), "2026-01-31 12:00:00+00"),
    (
        sa.DateTime(timezone=True), datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))),
        "2025-12-31 23:30:00+00",
    ),
    (sa.Uuid(), UUID("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    (sa.String(), " x ", " x "),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "text"), TOLD)
def test_what_a_driver_tells_is_spelled_as_the_house_does(
    kind: sa.types.TypeEngine[Any], value: Any, text: str
) -> None:
    assert made(kind).text(value) == text


BY_SQL: list[tuple[str, sa.types.TypeEngine[Any], Any, str]] = [
    ("oracle", sa.TIMESTAMP(timezone=True), "2026-01-31 12:00:00.500000", "2026-01-31 12:00:00.5+00"),
    ("oracle", oracle.DATE(), "2026-01-31 00:00:00.000000", "2026-01-31 00:00:00"),
    ("mssql", mssql.DATETIMEOFFSET(), "2026-01-31 12:00:00.1234567 +00:00", "2026-01-31 12:00:00.123456+00"),
    ("mssql", mssql.DATETIME2(), "2026-01-31 12:00:00.1000000", "2026-01-31 12:00:00.1"),
    ("mssql", sa.Time(), "12:00:00.0000000", "12:00:00"),
    ("mssql", mssql.UNIQUEIDENTIFIER(), UUID(int=10), "00000000-0000-0000-0000-00000000000a"),
    ("mssql", mssql.UNIQUEIDENTIFIER(), "00000000-0000-0000-0000-00000000000A", "00000000-0000-0000-0000-00000000000a"),
    ("postgresql", sa.DateTime(timezone=True), "infinity", "infinity"),
    ("postgresql", sa.DateTime(timezone=True), "0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
    ("postgresql", sa.Date(), "12026-01-01", "12026-01-01"),
    ("mysql", sa.TIMESTAMP(), "2026-01-31 12:00:00.500000", "2026-01-31 12:00:00.5+00"),
    ("mysql", sa.DateTime(), "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
    ("sqlite", sa.TIMESTAMP(), "2026-01-31T14:00:00+02:00", "2026-01-31 12:00:00+00"),
    ("sqlite", sa.DateTime(), "2026-01-31 14:00:00.000000", "2026-01-31 14:00:00"),
]


@pytest.mark.parametrize(("name", "kind", "value", "text"), BY_SQL)
def test_what_a_database_spells_is_brought_into_the_house_form(
    name: str, kind: sa.types.TypeEngine[Any], value: Any, text: str
) -> None:
    assert made(kind, name, abilities(name)).text(value) == text


moments = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59, 999_999))


@given(moments)
def test_a_moment_goes_out_and_comes_back_as_the_same_text(moment: datetime) -> None:
    for can in (MSSQL, ORACLE, SQLITE, FLOOR):
        zoned = made(sa.DateTime(timezone=True), can=can)
        text = zoned.text(moment.isoformat(" ") if can.shown or can.untyped else moment)
        assert text is not None and text.endswith("+00")
        sent = zoned.value(text)
        assert zoned.text(sent if isinstance(sent, str) or not can.shown else sent.isoformat(" ")) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**11), max_value=10**11))
def test_a_number_goes_out_and_comes_back_as_the_same_text(number: Decimal) -> None:
    known = made(sa.Numeric(14, 2))
    text = known.text(number)

    assert known.text(known.value(text)) == text


def test_where_columns_have_no_types_that_hold_a_number_is_rounded_as_its_column_says() -> None:
    known = made(sa.Numeric(14, 2), "sqlite", SQLITE)

    assert [known.value(text) for text in ("1.255", "-1.255", "7")] == ["1.26", "-1.26", "7.00"]
    assert [known.text(value) for value in (1.5, 7, "7.004")] == ["1.50", "7.00", "7.004"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (sa.Integer(), "1.5"), (sa.Integer(), " 1"), (sa.Integer(), "one"), (sa.Boolean(), "true"),
        (sa.Numeric(), "a"), (sa.Date(), "infinity"), (sa.DateTime(), "0044-03-15 12:00:00 BC"), (sa.Time(), "24:00"),
        (sa.LargeBinary(), "\\xzz"), (sa.Double(), "x"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_its_type_is_refused_without_being_quoted(
    kind: sa.types.TypeEngine[Any], text: str
) -> None:
    with pytest.raises(Unstorable) as refused:
        made(kind).value(text)

    assert str(refused.value) == "a value is none of its column's type"


@pytest.mark.parametrize("name", ["mysql", "oracle", "mssql", "sqlite", "postgresql"])
def test_no_moment_is_made_of_a_local_time_which_a_user_s_zone_has_twice_a_year(name: str) -> None:
    assert not re.search("UNIX_TIMESTAMP|CONVERT_TZ|SYSDATE\\(6\\)\\) \\*|localtime|GETDATE", abilities(name).now)


FAMILIES: list[tuple[str, sa.types.TypeEngine[Any], str]] = [
    ("oracle", oracle.NUMBER(10, 0), "integer"), ("oracle", oracle.NUMBER(38, 0), "numeric"),
    ("oracle", oracle.NUMBER(12, 2), "numeric"), ("oracle", oracle.NUMBER(), "numeric"),
    ("oracle", oracle.DATE(), "timestamp"), ("oracle", oracle.TIMESTAMP(timezone=True), "timestamptz"),
    ("oracle", oracle.TIMESTAMP(local_timezone=True), "timestamptz"), ("oracle", oracle.BINARY_DOUBLE(), "float"),
    ("oracle", oracle.CLOB(), "text"), ("oracle", oracle.RAW(16), "bytes"),
    ("mssql", mssql.BIT(), "boolean"), ("mssql", mssql.DATETIMEOFFSET(), "timestamptz"),
    ("mssql", mssql.DATETIME2(), "timestamp"), ("mssql", mssql.UNIQUEIDENTIFIER(), "uuid"),
    ("mssql", mssql.MONEY(), "numeric"), ("mssql", mssql.NVARCHAR(40), "text"), ("mssql", mssql.VARBINARY(4), "bytes"),
    ("mysql", mysql.DATETIME(fsp=6), "timestamp"), ("mysql", mysql.TIMESTAMP(), "timestamptz"),
    ("postgresql", postgresql.JSONB(), "json"), ("postgresql", postgresql.ARRAY(sa.Integer()), "array"),
    ("postgresql", postgresql.INTERVAL(), "interval"), ("sqlite", sqlite.DATE(), "date"),
    ("oracle", sa.types.NullType(), "other"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "family"), FAMILIES)
def test_a_type_is_of_the_family_that_its_values_are(name: str, kind: sa.types.TypeEngine[Any], family: str) -> None:
    assert made(kind, name, abilities(name)).shape.family == family
