"""Random expressions of every type over a row of every type, and PostgreSQL's own answer to them.

`Writer` writes them by a given way of choosing (Hypothesis's, or a seeded one); parentheses are left out often, so that
what belongs together is up to the two parsers. `Asked` puts many in one statement, each in a block of its own, so that
an error is an answer, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from rules.expressions import Known

Choose = Callable[[Sequence[Any]], Any]

TEXTS = (
    None, "", " ", "a", "A", "abc", "  pad ", "Ünïcode", "straße", "ÀÉ", "e\u0301", "中文字", "日本", "😀",
    "👨‍👩‍👧", "İı", "ΣΑΣ", "ß", "a%b_c", "a\\b", "x'y", '"', "a,b,c", "-12", "3.50", "7", "t", "no", "2024-02-29",
    "nan", "1e3", "2020-01-01 10:00:00", "6f2c1e0a-7d2b-4c1e-9a53-0c5f6e1d2b3a", "ǅ", "ŉ", "ﬁ", "\t\n",
)  # fmt: skip
NUMBERS = (
    None, "0", "1", "-1", "2", "3", "7", "0.5", "-0.5", "1.5", "2.5", "-2.5", "0.1", "0.01", "99.995", "12345.6789",
    "-12345.6789", "0.000000000001", "123456789012345678901234567890", "9999999999999999.9999", "-0.0049", "10000",
    "100000000", "0.0001", "NaN", "Infinity", "-Infinity", "9223372036854775807.5",
)  # fmt: skip
INTEGERS = (
    None, "0", "1", "-1", "2", "3", "-3", "7", "10", "12", "100", "-7", "2147483647", "-2147483648", "2147483648",
    "9223372036854775807", "-9223372036854775808", "4294967296",
)  # fmt: skip
DATES = (
    None, "2024-02-29", "2023-12-31", "2024-01-01", "2000-01-01", "1999-12-31", "1900-03-01", "0001-01-01",
    "0001-12-31 BC", "0044-03-15 BC", "9999-12-31", "infinity", "-infinity", "5874897-12-31", "4713-01-01 BC",
    "2026-12-28", "2021-01-03", "1970-01-01",
)  # fmt: skip
STAMPS = (
    None, "2024-02-29 10:11:12.5", "2023-12-31 23:59:59.999999", "2024-01-01 00:00:00", "2000-01-01 00:00:00",
    "1999-12-31 23:59:59.5", "1969-12-31 23:59:59", "0001-01-01 00:00:00", "0044-03-15 12:00:00 BC", "infinity",
    "-infinity", "200000-12-31 23:59:59.999999", "2024-03-31 02:30:00", "2024-01-31 08:00:00",
)  # fmt: skip
TIMES = (None, "00:00:00", "10:11:12", "23:59:59.999999", "24:00:00", "12:30:00.5")
TRUTHS = (None, "t", "f")
UUIDS = (None, "6f2c1e0a-7d2b-4c1e-9a53-0c5f6e1d2b3a", "00000000-0000-0000-0000-000000000000")

COLUMNS: dict[str, tuple[str, str, Sequence[str | None]]] = {
    "i": ("integer", "int8", INTEGERS), "j": ("integer", "int8", INTEGERS), "n": ("numeric", "numeric", NUMBERS),
    "m": ("numeric", "numeric", NUMBERS), "t": ("text", "text", TEXTS), "s": ("text", "text", TEXTS),
    "d": ("date", "date", DATES), "e": ("date", "date", DATES), "p": ("timestamp", "timestamp", STAMPS),
    "q": ("timestamptz", "timestamptz", STAMPS), "o": ("time", "time", TIMES), "b": ("boolean", "bool", TRUTHS),
    "c": ("boolean", "bool", TRUTHS), "u": ("uuid", "uuid", UUIDS),
}  # fmt: skip
"""By name: family, PostgreSQL's type, values."""

KINDS = ("integer", "numeric", "text", "date", "timestamp", "timestamptz", "time", "boolean", "boolean", "uuid")
"""What an expression can give; conditions more often."""

Case = tuple[str, tuple[str | None, ...]]
"""An expression, and a row."""

SCOPE = {name: Known(at, family) for at, (name, (family, _, _)) in enumerate(COLUMNS.items())}

_NAMES = {
    "integer": ("i", "j"), "numeric": ("n", "m"), "text": ("t", "s"), "date": ("d", "e"), "timestamp": ("p",),
    "timestamptz": ("q",), "time": ("o",), "boolean": ("b", "c"), "uuid": ("u",),
}  # fmt: skip
_LITERALS = {
    "integer": ("0", "1", "2", "3", "-1", "10", "2147483647", "2147483648", "-7", "9223372036854775807", "null"),
    "numeric": ("0.5", "1.0", "2.50", "-3.14", "1e3", "1.5e-3", "100.00", "9223372036854775808", "0.0", "3.0"),
    "text": ("''", "'a'", "'A'", "'abc'", "' '", "'中'", "'é'", "'''x'", "'\\'", "'12'", "'3.5'", "null", "'ß'"),
    "date": ("date '2024-02-29'", "'2020-01-01'::date", "date 'infinity'", "cast('1999-12-31' as date)"),
    "timestamp": ("timestamp '2024-01-31 10:00:00'", "'2020-05-05 01:02:03.25'::timestamp"),
    "timestamptz": ("'2024-01-31 10:00:00+02'::timestamptz", "timestamptz '1999-12-31 23:00:00-05:30'"),
    "time": ("time '10:30'", "'23:59:59.5'::time"),
    "boolean": ("true", "false", "null::boolean", "'yes'::boolean"),
    "uuid": ("'6F2C1E0A-7d2b-4c1e-9a53-0c5f6e1d2b3a'::uuid", "'{00000000000000000000000000000000}'::uuid"),
}
_ORDERED = ("integer", "numeric", "text", "date", "timestamp", "timestamptz", "time", "uuid", "boolean")
_SPANS = ("'1 day'", "'1 month'", "'-3 months'", "'1 year 2 days 03 hours'", "'90 seconds'", "'2 weeks'", "'36 hours'")
_FIELDS = ("year", "month", "day", "quarter", "week", "dow", "isodow", "doy", "isoyear", "epoch")
_PATTERNS = ("'a%'", "'%b%'", "'_b_'", "'%'", "''", "'Ü%e'", "'%\\%%'", "'A_c'", "'%文_'", "'%'", "'%a%b%c%'", "'ß%'")

_FORMS: dict[str, tuple[str, ...]] = {
    "integer": (
        "{integer} + {integer}", "{integer} - {integer}", "{integer} * {integer}", "{integer} / {integer}",
        "{integer} % {integer}", "- {integer}", "+ {integer}", "abs({integer})", "length({text})",
        "mod({integer}, {integer})", "position({text} in {text})", "strpos({text}, {text})", "{date} - {date}",
        "{numeric}::integer", "{numeric}::bigint", "{boolean}::integer", "{text}::int", "({integer})::smallint",
        "nullif({integer}, {integer})", "char_length({text})", "{integer}::bigint",
    ),
    "numeric": (
        "{numeric} + {numeric}", "{numeric} - {numeric}", "{numeric} * {numeric}", "{numeric} / {numeric}",
        "{numeric} % {numeric}", "{integer} * {numeric}", "{numeric} / {integer}", "- {numeric}", "abs({numeric})",
        "round({numeric})", "round({numeric}, {small})", "trunc({numeric}, {small})", "trunc({numeric})",
        "ceil({numeric})", "floor({numeric})", "sign({numeric})", "mod({numeric}, {numeric})", "{integer}::numeric",
        "{numeric}::numeric(8,2)", "{numeric}::numeric(5)", "{text}::numeric", "extract({field} from {date})",
        "extract({field} from {timestamp})", "extract(second from {timestamp})", "extract(hour from {time})",
        "extract({field} from {timestamptz})", "nullif({numeric}, {numeric})",
    ),
    "text": (
        "{text} || {text}", "{text} || {integer}", "{numeric} || {text}", "{text} || {boolean}", "lower({text})",
        "upper({text})", "trim({text})", "btrim({text}, {text})", "ltrim({text})", "rtrim({text}, {text})",
        "trim(leading {text} from {text})", "left({text}, {small})", "right({text}, {small})",
        "substring({text} from {small} for {small})", "substring({text} from {small})", "substring({text}, {small})",
        "replace({text}, {text}, {text})", "split_part({text}, {text}, {small})", "lpad({text}, {small}, {text})",
        "rpad({text}, {small})", "concat({text}, {integer}, {boolean}, {numeric})", "reverse({text})",
        "concat_ws({text}, {text}, {date}, {text})", "{integer}::text", "{numeric}::text", "{boolean}::text",
        "{date}::text", "{timestamp}::text", "{timestamptz}::text", "{time}::text", "{uuid}::text",
        "{text}::varchar(3)", "nullif({text}, {text})", "cast({numeric} as varchar(4))",
    ),
    "date": (
        "{date} + {small}", "{small} + {date}", "{date} - {small}", "{timestamp}::date", "{timestamptz}::date",
        "{text}::date",
    ),
    "timestamp": (
        "{timestamp} + interval {span}", "{timestamp} - interval {span}", "{date} + interval {span}",
        "date_trunc({unit}, {timestamp})", "{date}::timestamp", "{timestamptz}::timestamp", "{text}::timestamp",
    ),
    "timestamptz": (
        "{timestamptz} + interval {span}", "date_trunc({unit}, {timestamptz})", "{timestamp}::timestamptz",
        "interval {span} + {timestamptz}", "date_trunc({unit}, {date})",
    ),
    "time": ("{timestamp}::time", "{text}::time", "{timestamptz}::time"),
    "boolean": (
        "{boolean} and {boolean}", "{boolean} or {boolean}", "not {boolean}", "{boolean} is true",
        "{boolean} is not false", "{boolean} is unknown", "{boolean} is not unknown", "{any} is null",
        "{any} is not null", "{text} like {pattern}", "{text} not like {pattern}", "{text} ilike {pattern}",
        "{text} like {text}", "{text} like 'a!%%' escape '!'", "{text} not ilike {pattern} escape ''",
        "starts_with({text}, {text})", "{integer} = {numeric}", "{integer} < {numeric}", "{date} < {timestamp}",
        "{timestamp} >= {timestamptz}", "{text}::boolean", "{integer}::integer::boolean", "{text} in ({text}, {text})",
        "{integer} not in (1, 2.5, null)", "{numeric} in ({numeric}, {integer})", "{date} = '2024-02-29'",
        "{integer} in ('1', '3')", "{numeric} > '2.5'",
    ),
    "uuid": ("{text}::uuid",),
}  # fmt: skip


class Writer:
    """Writes expressions."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose

    def row(self) -> tuple[str | None, ...]:
        """Canonical values."""
        values = [self.choose(values) for _, _, values in COLUMNS.values()]
        at = list(COLUMNS).index("q")
        if values[at] is not None and "infinity" not in values[at]:
            head, _, era = values[at].partition(" BC")
            values[at] = head + "+00" + (" BC" if values[at].endswith(" BC") else era)
        return tuple(values)

    def expression(self, kind: str, depth: int) -> str:
        """One of this type."""
        shape = self.choose(("name", "literal", "form", "form", "form", "form", "any")) if depth else self.choose(
            ("name", "name", "name", "literal"))  # fmt: skip
        match shape:
            case "name":
                return str(self.choose(_NAMES[kind]))
            case "literal":
                return str(self.choose(_LITERALS[kind]))
            case "form":
                return self.filled(self.choose(_FORMS[kind]), depth - 1)
            case _:
                return self.of_any(kind, depth - 1)

    def of_any(self, kind: str, depth: int) -> str:
        """Something that there is for every type."""
        if kind == "boolean":
            other = self.choose(_ORDERED)
            forms: tuple[str, ...] = ("{o} = {o}", "{o} <> {o}", "{o} < {o}", "{o} <= {o}", "{o} > {o}", "{o} >= {o}",
                     "{o} is distinct from {o}", "{o} is not distinct from {o}", "{o} between {o} and {o}",
                     "{o} not between {o} and {o}", "{o} != {o}")  # fmt: skip
            return self.filled(self.choose(forms).replace("{o}", "{" + other + "}"), depth)
        forms = (
            "coalesce({o}, {o})", "greatest({o}, {o}, {o})", "least({o}, {o})", "case when {boolean} then {o} end",
            "case when {boolean} then {o} when {boolean} then {o} else {o} end",
            "case {integer} when {integer} then {o} else {o} end", "case {text} when 'a' then {o} else {o} end",
            "coalesce(null, {o})", "({o})",
        )  # fmt: skip
        return self.filled(self.choose(forms).replace("{o}", "{" + kind + "}"), depth)

    def filled(self, form: str, depth: int) -> str:
        """A form, its gaps filled."""
        found = ""
        for piece in form.replace("%%", "%").split("{"):
            gap, brace, rest = piece.partition("}")
            found += self.gap(gap, depth) + rest if brace else gap
        return found

    def gap(self, gap: str, depth: int) -> str:
        """What fills a gap; in parentheses, or not."""
        lists = {"small": ("0", "1", "2", "3", "5", "-1", "-2", "i::integer"), "span": _SPANS, "field": _FIELDS,
                 "unit": ("'year'", "'quarter'", "'month'", "'week'", "'day'", "'hour'", "'minute'", "'second'"),
                 "pattern": _PATTERNS}  # fmt: skip
        if gap in lists:
            return str(self.choose(lists[gap]))
        inner = self.expression(self.choose(_ORDERED) if gap == "any" else gap, depth)
        return inner if self.choose((True, False, False)) else f"({inner})"


TRIED = """
CREATE FUNCTION tried(query text) RETURNS text LANGUAGE plpgsql AS $body$
DECLARE answer text;
BEGIN
    EXECUTE query INTO answer;
    RETURN CASE WHEN answer IS NULL THEN 'null' ELSE 'is ' || answer END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'error ' || SQLSTATE || ' ' || SQLERRM;
END $body$
"""


def asked(conn: psycopg.Connection[Any], cases: Sequence[Case]) -> list[str]:
    """PostgreSQL's answers: `null`, `is …` or `error …`."""
    queries = [question(text, row) for text, row in cases]
    cursor = conn.execute("SELECT tried(q) FROM unnest(%s::text[]) WITH ORDINALITY AS u(q, n) ORDER BY n", [queries])
    return [row[0] for row in cursor.fetchall()]


def question(text: str, row: Sequence[str | None]) -> str:
    """The statement that evaluates an expression over a row."""
    given = ", ".join(
        f"{quoted(value)}::{column[1]} AS {name}" for value, (name, column) in zip(row, COLUMNS.items(), strict=True)
    )
    return f"SELECT ({text})::text FROM (SELECT {given} OFFSET 0) AS r"  # noqa: S608


def quoted(value: str | None) -> str:
    """A text as a constant."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def number_of(text: str) -> Decimal | str:
    """A number, to be compared without regard to how it is written."""
    return Decimal(text) if text.lower() not in ("nan", "infinity", "-infinity") else text
