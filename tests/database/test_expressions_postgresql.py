"""Expressions of rule files against PostgreSQL itself: the same text over the same row gives the same, or an error in
both; and what they are rendered to for row filters gives the same again, in a database of any collation.

More of them: `DUOLOG_EXPRESSIONS=100000 pytest tests/database/test_expressions_postgresql.py`.
"""

from __future__ import annotations

import os
import random
import unicodedata
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgresql.session import session_options
from engine.conditions import Quoted
from engine.errors import ValueRefused
from rules.expressions import formula
from rules.expressions.compiling import compiled
from rules.expressions.parsing import tree_of
from rules.expressions.texts import lower_letter, upper_letter
from rules.findings import Findings
from rules.located import read
from service.embedded import EmbeddedServer
from tests.database.expressions import COLUMNS, KINDS, SCOPE, TRIED, Case, Writer, asked, number_of, quoted

MANY = int(os.environ.get("DUOLOG_EXPRESSIONS", "4000"))
AT_ONCE = 40
"""Expressions in one statement."""

STRICTER = ("in the form", "more than")
"""What our refusals say where we read less than PostgreSQL: dates in other forms, and results without bounds."""


@pytest.fixture(scope="module")
def conn(erp_server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
    """A database that sorts by code point, and whose upper and lower case are Unicode's simple ones."""
    erp_server.start()
    with erp_server.connect() as server:
        server.execute("DROP DATABASE IF EXISTS expressions")
        server.execute("CREATE DATABASE expressions TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER builtin"
                       " BUILTIN_LOCALE 'C.UTF-8'")  # fmt: skip
    url = erp_server.url("expressions")
    with psycopg.connect(url, options=session_options(), autocommit=True) as connection:
        connection.execute(TRIED)
        yield connection
    erp_server.drop_database("expressions")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """An expression, and a row."""
    writer = Writer(lambda choices: draw(st.sampled_from(list(choices))))
    return writer.expression(draw(st.sampled_from(KINDS)), draw(st.integers(1, 3))), writer.row()


@settings(max_examples=MANY // AT_ONCE, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(cases(), min_size=AT_ONCE, max_size=AT_ONCE))
def test_every_expression_gives_what_postgresql_gives(conn: psycopg.Connection[Any], several: list[Case]) -> None:
    ours = [answer(text, row) for text, row in several]
    theirs = asked(conn, several)

    differing = [
        (case, mine, its) for case, mine, its in zip(several, ours, theirs, strict=True) if not agree(mine, its)
    ]
    assert not differing


@settings(max_examples=MANY // AT_ONCE // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(cases(), min_size=AT_ONCE, max_size=AT_ONCE))
def test_what_an_expression_is_rendered_to_gives_the_same(
    conn: psycopg.Connection[Any], several: list[Case]
) -> None:
    allowed = [case for case in several if answer(*case) is not None]
    written = asked(conn, allowed)
    rendered = asked(conn, [(sql_of(text), row) for text, row in allowed])

    assert [
        (text, its, other)
        for (text, _), its, other in zip(allowed, written, rendered, strict=True)
        if its != other and not (its.startswith("error") and other.startswith("error"))
    ] == []


def test_few_of_the_expressions_that_are_tried_are_refused(conn: psycopg.Connection[Any]) -> None:
    writer = Writer(random.Random(4).choice)
    several = [(writer.expression(kind, 2), writer.row()) for kind in KINDS for _ in range(100)]
    theirs = asked(conn, several)

    refused = [text for (text, row), its in zip(several, theirs, strict=True)
               if answer(text, row) is None and not its.startswith("error")]  # fmt: skip
    assert len(refused) < len(several) / 50, refused
    assert sum(its.startswith("is ") for its in theirs) > len(several) / 2


def test_a_difference_would_be_seen() -> None:
    assert not agree(("integer", "1"), "is 2")
    assert not agree(("text", "1"), "is 1.0")
    assert not agree(("text", None), "is ")
    assert not agree(("error", "a division by zero"), "is 1")
    assert not agree(("numeric", "1"), "error 22012")
    assert agree(("numeric", "1"), "is 1.00")


def test_every_letter_has_the_other_case_that_postgresql_gives_it(conn: psycopg.Connection[Any]) -> None:
    letters = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
    row = conn.execute("SELECT array_agg(lower(c) ORDER BY n), array_agg(upper(c) ORDER BY n)"
                       " FROM unnest(%s::text[]) WITH ORDINALITY AS u(c, n)", [letters]).fetchone()  # fmt: skip
    assert row is not None

    # A letter that got its capital after Python's Unicode was made keeps none with us: its capital has no name yet.
    differing = [letter for letter, low, up in zip(letters, *row, strict=True)
                 if (low, up) != (lower_letter(letter), upper_letter(letter))
                 and all(unicodedata.name(each, "") for each in (letter, low, up))]  # fmt: skip
    assert differing == []


def answer(text: str, row: tuple[str | None, ...]) -> tuple[str, str | None] | None:
    """(family, value), or ("error", why); None if the expression is refused."""
    document, _ = read("rules.yaml", b"expression: x")
    assert document is not None
    made = formula(text, ("expression",), SCOPE, Findings(document))
    if made is None:
        return None
    try:
        return made.family, made.value(row)
    except ValueRefused as refused:
        return "error", refused.found


def agree(mine: tuple[str, str | None] | None, its: str) -> bool:
    """Whether both say the same. What we refuse cannot differ."""
    if mine is None:
        return True
    family, value = mine
    if family == "error":
        return its.startswith("error") or any(words in str(value) for words in STRICTER)
    if value is None or not its.startswith("is "):
        return value is None and its == "null"
    match family:
        case "boolean":
            return {"t": "is true", "f": "is false"}[value] == its
        case "integer" | "numeric":
            return number_of(value) == number_of(its[3:])
        case _:
            return value == its[3:]


def sql_of(text: str) -> str:
    """What an expression is rendered to, over the columns' printed texts."""
    pieces = compiled(tree_of(text), SCOPE, set()).sql
    return "".join(
        printed(piece) if isinstance(piece, int) else quoted(piece.text) if isinstance(piece, Quoted) else piece
        for piece in pieces
    )


def printed(position: int) -> str:
    """A column as the adapter prints it."""
    name, (family, _, _) = list(COLUMNS.items())[position]
    return f"CASE {name} WHEN true THEN 't' WHEN false THEN 'f' END" if family == "boolean" else f"{name}::text"
