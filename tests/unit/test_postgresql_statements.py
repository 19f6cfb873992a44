"""The SQL and the parameters that a PostgreSQL target sends, and how it keeps its answers, without a server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgresql.catalog import PgColumn, family, measures
from adapters.postgresql.phrases import array_literal
from adapters.postgresql.rights import grants
from adapters.postgresql.statements import parameters, read_all, read_by_key, statement
from adapters.relational import ledger
from adapters.relational.layout import Layout
from engine.catalog import Column
from engine.vocabulary import RowResult
from tests.database.books import Bound, book, row


def column(name: str, base: str, *, cast_differs: bool = False) -> PgColumn:
    shape = Column(name, base, family(base, "b", "X"))
    return PgColumn(shape, ("pg_catalog", base), ("pg_catalog", base + "out"), cast_differs, False)


PLACE = Layout(
    entity="item", schema="public", name="item", key=(0,), fields=4,
    columns={0: column("id", "int8"), 1: column('na"me', "varchar"), 2: column("done", "bool", cast_differs=True)},
)  # fmt: skip


def parsed(literal: str) -> list[str | None]:
    """A one-dimensional array literal, read by rules as plain as possible."""
    values: list[str | None] = []
    at = 1
    while literal[at] != "}":
        if literal.startswith("NULL", at):
            values.append(None)
            at += 4
        else:
            assert literal[at] == '"'
            at, text = at + 1, ""
            while literal[at] != '"':
                at += literal[at] == "\\"
                text, at = text + literal[at], at + 1
            values.append(text)
            at += 1
        at += literal[at] == ","
    assert at == len(literal) - 1
    return values


@given(st.lists(st.none() | st.text(alphabet=st.sampled_from('ab"\\{},NUL \n中')) | st.text(), max_size=6))
def test_an_array_literal_says_exactly_its_values(values: list[str | None]) -> None:
    assert parsed(array_literal(values)) == values


def test_array_literals_at_the_edges() -> None:
    assert array_literal([]) == "{}"
    assert array_literal([""]) == '{""}'
    assert array_literal(["a", "b"]) == '{"a","b"}'
    assert array_literal([None, "NULL"]) == '{NULL,"NULL"}'
    assert array_literal(['"', "\\"]) == '{"\\"","\\\\"}'


def test_an_update_is_guarded_by_key_and_held_values_and_returns_what_deviates() -> None:
    made = statement("update", PLACE, (1, 2))

    assert made.query == (
        'WITH done AS (UPDATE "public"."item" AS t SET '
        '"na""me" = "u"."n1"::"pg_catalog"."varchar", "done" = "u"."n2"::"pg_catalog"."bool" '
        "FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[], $3::pg_catalog.text[], $4::pg_catalog.text[], "
        '$5::pg_catalog.text[]) WITH ORDINALITY AS u("k1", "n1", "n2", "h1", "h2", "ord") '
        'WHERE "t"."id"="u"."k1"::"pg_catalog"."int8" AND "t"."id"::pg_catalog.text COLLATE "C" = "u"."k1" '
        'AND "t"."na""me"::pg_catalog.text COLLATE "C" IS NOT DISTINCT FROM "u"."h1" '
        'AND pg_catalog.textin("pg_catalog"."boolout"("t"."done")) COLLATE "C" IS NOT DISTINCT FROM "u"."h2" '
        'RETURNING u.ord, CASE WHEN "t"."na""me"::pg_catalog.text COLLATE "C" IS DISTINCT FROM "u"."n1" '
        'OR pg_catalog.textin("pg_catalog"."boolout"("t"."done")) COLLATE "C" IS DISTINCT FROM "u"."n2" '
        'THEN ARRAY["t"."na""me"::pg_catalog.text, pg_catalog.textin("pg_catalog"."boolout"("t"."done"))] END '
        "AS stored) "
        "SELECT count(*), CASE WHEN count(*) < $6::int8 THEN array_agg(ord) END, "
        "json_agg(json_build_array(ord, stored)) FILTER (WHERE stored IS NOT NULL) FROM done"
    )


def test_parameters_are_one_array_a_column_keys_then_new_then_held() -> None:
    rows = [row(1, "7", ("a", "t"), ("b", None)), row(2, "8", ("c", "f"), ("d", "t"))]

    assert parameters("update", statement("update", PLACE, (1, 2)), rows) == [
        '{"7","8"}', '{"a","c"}', '{"t","f"}', '{"b","d"}', '{NULL,"t"}', "2",
    ]  # fmt: skip


def test_key_fields_are_taken_from_the_key_only() -> None:
    made = statement("update", PLACE, (0, 1))
    rows = [row(1, "7", ("7", "a"), ("7", "b"))]

    assert made.sent.picked == (1,)
    assert parameters("update", made, rows) == ['{"7"}', '{"a"}', '{"b"}', "1"]


def test_an_insert_answers_the_fields_it_left_unset() -> None:
    made = statement("insert", PLACE, (1,))

    assert made.sent.answers == (1, 2)
    assert "ON CONFLICT (\"id\") DO NOTHING" in made.query
    assert "CASE WHEN false THEN NULL" in made.query


def test_rows_are_read_in_the_order_of_their_record_keys() -> None:
    two = Layout("item", "public", "item", (1, 0), 3, PLACE.columns)

    assert read_all(two, utf8_order=False).as_string().endswith(
        'ORDER BY ("t"."na""me"::pg_catalog.text || E\'\\x1f\' || "t"."id"::pg_catalog.text) COLLATE "C"'
    )
    assert ", 'UTF8')" in read_all(two, utf8_order=True).as_string()
    assert read_by_key(two, "lock").as_string().endswith(" FOR NO KEY UPDATE OF t SKIP LOCKED")
    assert "FOR" not in read_by_key(two, "look").as_string()


@given(
    st.lists(
        st.builds(
            RowResult,
            st.sampled_from(["item", "a.b"]),
            st.text(st.characters(exclude_categories=[])),
            st.sampled_from(["unmatched", "stored", "deferred", "failed", "created"]),
            st.dictionaries(st.integers(0, 9), st.none() | st.text()),
            st.text(),
            st.text(),
        ),
        max_size=4,
    )
)
def test_the_ledger_keeps_exceptions_whole_in_what_json_can_hold(exceptions: list[RowResult]) -> None:
    kept = ledger.encode(exceptions)

    assert ledger.decode(json.loads(kept)) == exceptions
    if all("\x00" not in r.reason + "".join(v or "" for v in r.stored.values()) for r in exceptions):
        assert "\\u0000" not in kept.replace("\\\\", "")
    kept.encode()


MEASURES = [
    ("varchar", 44, (40, None, None)),
    ("varchar", -1, (None, None, None)),
    ("bpchar", 5, (1, None, None)),
    ("numeric", -1, (None, None, None)),
    ("numeric", (12 << 16 | 2) + 4, (None, 12, 2)),
    ("numeric", (5 << 16 | (-2 & 0x7FF)) + 4, (None, 5, -2)),
    ("timestamptz", 3, (None, None, 3)),
    ("timestamptz", -1, (None, None, 6)),
    ("interval", 0x7FFF << 16 | 0xFFFF, (None, None, 6)),
    ("interval", 0x7FFF << 16 | 2, (None, None, 2)),
    ("int4", -1, (None, 32, None)),
    ("text", -1, (None, None, None)),
]


@pytest.mark.parametrize(("base", "modifier", "expected"), MEASURES)
def test_type_modifiers_are_understood(base: str, modifier: int, expected: tuple[int | None, ...]) -> None:
    assert measures(base, modifier) == expected


def test_grants_are_the_least_and_quote_every_name() -> None:
    rules = book(Bound("item", ("id", "v"), ("id",), schema="Sa les"))

    assert grants(rules, "erp", "duo-log") == [
        'ALTER ROLE "duo-log" LOGIN REPLICATION;',
        'GRANT USAGE ON SCHEMA "Sa les" TO "duo-log";',
        'GRANT USAGE ON SCHEMA "duolog" TO "duo-log";',
        'GRANT SELECT ON "Sa les"."item" TO "duo-log";',
        'GRANT INSERT ("id", "v") ON "Sa les"."item" TO "duo-log";',
        'GRANT UPDATE ("v") ON "Sa les"."item" TO "duo-log";',
        'GRANT DELETE ON "Sa les"."item" TO "duo-log";',
        'GRANT SELECT, INSERT, UPDATE, DELETE ON duolog.ledger TO "duo-log";',
        'GRANT EXECUTE ON FUNCTION pg_catalog.pg_replication_origin_session_setup(text) TO "duo-log";',
    ]
