"""Expressions without a database: what they give, where they refuse, and that no text and no value makes them fall.

That they give what PostgreSQL gives is shown in tests/database/test_expressions_postgresql.py.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ValueRefused
from engine.rulebook import Formula
from engine.vocabulary import UNSET
from rules.expressions import Known, formula
from rules.findings import Findings
from rules.located import read
from rules.problem import Problem

FAMILIES = {
    "a": "integer", "n": "numeric", "t": "text", "d": "date", "ts": "timestamp", "tz": "timestamptz", "b": "boolean",
    "u": "uuid", "x": "", "Odd Name": "text", "f": "float", "j": "json", "e": "enum",
}  # fmt: skip
ROW = (
    "7", "1.5", "Ünïcode ß", "2024-02-29", "2024-02-29 10:11:12.5", "2024-02-29 10:11:12.5+00", "t",
    "6f2c1e0a-7d2b-4c1e-9a53-0c5f6e1d2b3a", "5", "odd", "1e+20", '{"a": 1}', "won",
)  # fmt: skip
SCOPE = {name: Known(at, family) for at, (name, family) in enumerate(FAMILIES.items())}


def compiled(text: str, wants: str = "") -> tuple[Formula | None, list[Problem]]:
    """An expression over one field of each family."""
    document, _ = read("rules.yaml", b"expression: x")
    assert document is not None
    findings = Findings(document)
    return formula(text, ("expression",), SCOPE, findings, wants=wants), findings.problems


def value(text: str, row: tuple[Any, ...] = ROW, wants: str = "") -> Any:
    """What it gives for a row."""
    made, problems = compiled(text, wants)
    assert made is not None, problems
    return made.value(row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 1", "8"), ("a / 2", "3"), ("-a / 2", "-3"), ("a % 4", "3"), ("n / 3", "0.5"), ("n * 2.00", "3"),
        ("(n * 2.00)::text", "3.000"), ("1 / 3.0", "0.33333333333333333333"), ("n::numeric(5,1)", "1.5"),
        ("round(n)", "2"), ("round(-2.5)", "-3"), ("-0.0", "0"), ("upper(t)", "ÜNÏCODE ß"), ("length(t)", "9"),
        ("t like 'Ü%ß'", "t"), ("t ilike 'ünï_ode%'", "t"), ("substring(t from 2 for 2)", "nï"),
        ("\"Odd Name\" || '!'", "odd!"), ("d + 1", "2024-03-01"), ("d - date '2024-01-01'", "59"),
        ("ts + interval '1 month'", "2024-03-29 10:11:12.5"), ("tz::date", "2024-02-29"), ("not b", "f"),
        ("b and null", None), ("null or b", "t"), ("a in (1, null)", None), ("a in (7, null)", "t"),
        ("t || null", None), ("concat(t, null, b)", "Ünïcode ßt"), ("coalesce(null, a)", "7"),
        ("case a when 7 then 'seven' end", "seven"), ("case when a > 9 then 1 end", None), ("x > 4", "t"),
        ("x || 'a'", "5a"), ("x", "5"), ("f > 1e19", "t"), ("f", "100000000000000000000"), ("j = '{\"a\": 1}'", "t"),
        ("e in ('won', 'lost')", "t"), ("u = '6F2C1E0A7d2b4c1e9a530c5f6e1d2b3a'", "t"), ("nullif(a, 7)", None),
        ("extract(dow from d)", "4"), ("date_trunc('week', ts)", "2024-02-26 00:00:00"), ("'it''s'", "it's"),
        ("greatest(a, n, null)", "7"), ("a is distinct from null", "t"), ("a between 1 and 6 or a = 7", "t"),
        ("tz > '2024-02-29 12:11:12+02'", "t"), ("1 = 1 -- a comment", "t"), ("a::text < '8'", "t"),
    ],
)  # fmt: skip
def test_an_expression_gives_its_value_in_canonical_form(text: str, expected: str | None) -> None:
    assert value(text) == expected


def test_what_nobody_has_written_counts_as_null() -> None:
    assert value("coalesce(a, 0) = 0 and t is null and x is null", (UNSET,) * len(ROW)) == "t"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("f", "1e+20"), ("n / 3", "0.5"), ("a", "7"), ("1 / 3.0", "0.3333333333333333"), ("0.00001", "1e-05")],
)
def test_a_floating_point_field_gets_the_digits_that_its_column_prints(text: str, expected: str) -> None:
    assert value(text, wants="float") == expected


def test_an_expression_tells_what_it_looks_at_and_of_what_family_it_is() -> None:
    made, _ = compiled("case when a > 1 then n else 0 end")

    assert made is not None
    assert (made.family, made.fields, made.text) == ("numeric", {0, 1}, "case when a > 1 then n else 0 end")


@pytest.mark.parametrize(
    ("text", "wants", "family"),
    [
        ("a = 7", "boolean", "boolean"), ("'2024-01-01'", "date", "date"), ("a", "numeric", "numeric"),
        ("t", "enum", "enum"), ("null", "integer", "integer"), ("n::int", "integer", "integer"), ("x", "date", "date"),
        ("1.5", "", "numeric"), ("'a'", "", "text"),
    ],
)  # fmt: skip
def test_the_result_has_the_family_that_is_wanted(text: str, wants: str, family: str) -> None:
    made, problems = compiled(text, wants)

    assert made is not None, problems
    assert made.family == family


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("ifnull(a, 1)", "R421", "ifnull"), ("a == 1", "R330", "="), ("a[1]", "R421", "["), ("t ~ 'x'", "R421", "~"),
        ("a <=> 1", "R330", ">"), ("$1", "R421", "$"), (":x", "R421", ":"), ("a; drop table x", "R421", ";"),
        ("a /* x */", "R330", "*"), ("E'a'", "R330", "a"), ("exists (select 1)", "R421", "select"),
        ("a = b = b", "R330", "="), ("A + 1", "R422", "A"), ("odd name", "R330", "name"),
        ("a in (select 1)", "R421", "select"), ("", "R330", ""),
        ("1_000", "R330", "1_"), ("0x1F", "R330", "0x"), ("random() > 0.5", "R424", "random"), ("now()", "R424", "now"),
        ("__import__('os')", "R421", "__import__"), ("a.__class__", "R422", "a.__class__"), ("round(a)", "R423", ""),
        ("a = 'x'", "R426", "x"), ("b + 1", "R423", ""), ("t > 5", "R423", ""), ("between(1, 2, 3)", "R330", "between"),
        ("'abc", "R330", "'abc"), ("a is", "R330", ""), ("a::json", "R421", "json"), ("sum(a)", "R421", "sum"),
        ("ts - ts", "R423", ""), ("interval '1 day'", "R423", ""), ("t like 'a\\'", "R426", "a\\"), ("1/0", "R426", ""),
        ("99999999999999999999::int", "R426", ""), ("lower(t, t)", "R423", "2"), ("select", "R421", "select"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_where_it_stands(text: str, code: str, found: str) -> None:
    made, (problem,) = compiled(text)

    assert made is None
    assert problem.code == code, problem
    assert found in problem.found, problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [("x > 4", "t"), ("x * (1 + x)", "35.75"), ("x - 1", "4.5"), ("coalesce(x, 0)", "5.5"), ("x in (5, 6)", "f"),
     ("x between 5 and 6", "t"), ("case when x >= 5 then x else 0 end", "5.5"), ("x is distinct from 5", "t")],
)  # fmt: skip
def test_without_catalogs_a_field_beside_a_whole_number_may_have_digits_after_the_point(
    text: str, expected: str
) -> None:
    row = tuple("5.5" if name == "x" else each for name, each in zip(FAMILIES, ROW, strict=True))

    assert value(text, row) == expected


def test_without_catalogs_a_guess_of_a_type_makes_no_problem() -> None:
    made, problems = compiled("x + 1 > '2024-01-01'")

    assert problems == [] and made is not None
    with pytest.raises(ValueRefused, match="without the databases' catalogs"):
        made.value(ROW)


VOCABULARY = """
    a n t d ts b u x ( ) ( ) , + - * / % || = <> < > and or not in between like escape is null true false case when
    then else end cast as :: int numeric text date 'a' '1' 1 2.5 interval length upper coalesce extract year from
    substring for trim both position nullif greatest round . " ' select ; -- distinct varchar ( 3 )
"""
WORDS = st.sampled_from(VOCABULARY.split())


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join) | st.text(max_size=60))
def test_no_text_makes_the_compiler_fall(text: str) -> None:
    made, problems = compiled(text)

    assert (made is None) == bool(problems)
    if made is not None:
        try:
            result = made.value(ROW)
        except ValueRefused:
            return
        assert result is None or isinstance(result, str)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4_000, "not " * 900 + "b", "- " * 1_000 + "a", "a" + " + a" * 900, "case " * 500, "a" * 4_001,
        "length(" * 500 + "t", "(" * 30 + "a" + ")" * 30 + "::text" * 100, "a in (" + "1, " * 1_000 + "2)",
        "t" + " || t" * 600, "'" + "x" * 3_990 + "'", "coalesce(" + "a, " * 101 + "a)", "1e9999", "1e-5000 + a",
    ],
)  # fmt: skip
def test_a_text_of_any_size_is_done_with_at_once(text: str) -> None:
    started = time.perf_counter()

    made, problems = compiled(text)

    assert (made is None) == bool(problems)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("rpad(t, 2000000000)", {}), ("replace(t, 'x', t)", {"t": "x" * 100_000}), ("t || t", {"t": "x" * 600_000}),
        ("n * n * n", {"n": "9" * 400}), ("n / a", {"a": "0"}), ("a + a", {"a": str(2**62)}), ("x::int", {"x": "no"}),
        ("n::int", {"n": "NaN"}), ("d + 2147483647", {}), ("n + 1", {"n": "1" * 1_200}), ("x > 3", {"x": "no"}),
    ],
)  # fmt: skip
def test_what_has_no_value_or_too_large_a_one_is_refused_for_the_row(text: str, row: dict[str, str]) -> None:
    with pytest.raises(ValueRefused):
        value(text, tuple(row.get(name, old) for name, old in zip(FAMILIES, ROW, strict=True)))


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("t like '%a%a%a%a%a%a%a%a%a%a%a%a%b'", "a" * 200_000), ("t like '" + "a_" * 400 + "%b'", "a" * 100_000),
        ("t ilike '" + "%_a" * 300 + "'", "a" * 100_000), ("t like '%" + "a" * 900 + "b%'", "a" * 200_000),
        ("t like '%" + "a_" * 400 + "b%'", "a" * 20_000),
    ],
)  # fmt: skip
def test_a_pattern_never_takes_long(text: str, subject: str) -> None:
    started = time.perf_counter()

    assert value(text, tuple(subject if name == "t" else old for name, old in zip(FAMILIES, ROW, strict=True))) in "tf"
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("text", ["x::int", "x::date", "x::boolean", "x > 3", "x::uuid", "x + 1", "x::numeric(3)"])
def test_a_refusal_never_tells_the_value(text: str) -> None:
    row = tuple("hunter2" if name == "x" else old for name, old in zip(FAMILIES, ROW, strict=True))

    with pytest.raises(ValueRefused) as caught:
        value(text, row)

    assert "hunter2" not in str(caught.value)
