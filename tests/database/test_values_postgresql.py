"""What a codec says that a column will print is what PostgreSQL prints, of every conversion that `check` lets through.

Each value is stored as duolog stores it (an untyped parameter into a column) under the settings of duolog's sessions,
and read as the server prints it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import cache

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from adapters.postgresql.session import SETTINGS
from engine.errors import ValueRefused
from rules.values import documents, proof
from rules.values.zones import zoned
from service.embedded import EmbeddedServer
from tests.rules.catalogs import column
from tests.rules.conversions import TYPES, Conversion, conversions

STAGE = "enum stage(a, Bc, 中)"
UNTOLD = {STAGE, "int[]", "inet", "uuid"}
"""Types that refuse texts which only they know to be none of theirs: a label, an element."""


@cache
def every() -> list[Conversion]:
    return conversions()


class Columns:
    """A database with a table of one column of each type."""

    def __init__(self, connection: psycopg.Connection[tuple[str]]) -> None:
        self._connection = connection
        connection.execute("CREATE EXTENSION IF NOT EXISTS citext")
        connection.execute("CREATE TYPE stage AS ENUM ('a', 'Bc', '中')")
        self._tables = {described: sql.Identifier(f"t{number}") for number, described in enumerate(TYPES)}
        for described, table in self._tables.items():
            type_ = "stage" if described == STAGE else described
            connection.execute(sql.SQL("CREATE TABLE {} (x {})").format(table, sql.SQL(type_)))

    def printed(self, described: str, text: str) -> str:
        """How a column prints a text after storing it. Raises psycopg.Error if it does not take it."""
        statement = sql.SQL("INSERT INTO {} VALUES (%s) RETURNING x").format(self._tables[described])
        cursor = self._connection.execute(statement, [text])
        assert cursor.pgresult is not None
        value = cursor.pgresult.get_value(0, 0)
        assert value is not None
        return value.decode()

    def asked(self, expression: str, text: str) -> str:
        """What the server makes of a text."""
        cursor = self._connection.execute(sql.SQL("SELECT ({})::text").format(sql.SQL(expression)), [text])
        found = cursor.fetchone()
        assert found is not None
        return found[0]


@pytest.fixture(scope="module")
def columns(erp_server: EmbeddedServer) -> Iterator[Columns]:
    address = erp_server.create_database("values")
    with psycopg.connect(address, autocommit=True) as connection:
        for name, value in SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        yield Columns(connection)
    erp_server.drop_database("values")


def assert_printed_as_foretold(columns: Columns, conversion: Conversion, source: str, stored: str) -> None:
    """A value of one system, written into both."""
    codec = conversion.codecs.get(source)
    try:
        value = codec.decode(stored) if codec is not None else stored
    except ValueRefused:
        return
    for system, described in zip(("erp", "crm"), conversion.types[:2], strict=True):
        codec = conversion.codecs.get(system)
        if value is None or codec is None:
            continue
        try:
            foretold = codec.encode(value)
        except ValueRefused:
            continue
        if foretold is None:
            continue
        try:
            printed = columns.printed(described, foretold)
        except psycopg.DataError as refused:
            assert described in UNTOLD, f"{conversion}: {foretold!r} into {described}: {refused}"
            continue
        assert printed == foretold, f"{conversion}: {value!r} into {described}"


def test_edges_are_printed_as_foretold(columns: Columns) -> None:
    done: set[tuple[object, ...]] = set()
    for conversion, source in itertools.product(every(), ("erp", "crm")):
        described = conversion.types[source == "crm"]
        for stored in proof.samples(column(f"x {described}")):
            codecs = tuple(sorted((s, c.name) for s, c in conversion.codecs.items()))
            case = (codecs, conversion.types, source, stored)
            if case not in done:
                done.add(case)
                assert_printed_as_foretold(columns, conversion, source, stored)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_are_printed_as_foretold(columns: Columns, data: st.DataObject) -> None:
    conversion = data.draw(st.sampled_from(every()))
    source = data.draw(st.sampled_from(["erp", "crm"]))

    assert_printed_as_foretold(columns, conversion, source, data.draw(TYPES[conversion.types[source == "crm"]]))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(described=st.sampled_from(list(TYPES)), data=st.data())
def test_what_the_tests_take_for_printed_is_printed(columns: Columns, described: str, data: st.DataObject) -> None:
    text = data.draw(TYPES[described])

    assert columns.printed(described, text) == text


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé中", max_size=3), inner, max_size=3),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=JSON)
def test_json_is_written_as_jsonb_prints_it(columns: Columns, document: object) -> None:
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False, indent=1)):
        assert documents.canonical(text) == columns.asked("%s::jsonb", text)


@pytest.mark.parametrize(
    "text", ["1e5", "-0.0", "1.50", "-0", "1E-3", "0e10", "-0e-3", "1.0e2", '{"a":1,"a":2,"B":0,"aa":1}']
)
def test_numbers_and_keys_of_json_are_as_jsonb_has_them(columns: Columns, text: str) -> None:
    assert documents.canonical(text) == columns.asked("%s::jsonb", text)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[1,]", '"\\u0000"', '"\\ud800"', "1e200000", "{1: 2}", "'a'", "[" * 100_000]
)
def test_what_jsonb_refuses_is_refused(columns: Columns, text: str) -> None:
    with pytest.raises(ValueRefused):
        documents.canonical(text)
    with pytest.raises(psycopg.Error):
        columns.asked("%s::jsonb", text)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    zone=st.sampled_from(["America/New_York", "Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe"]),
    data=st.data(),
)
def test_local_times_are_the_moments_that_postgresql_takes_them_for(
    columns: Columns, zone: str, data: st.DataObject
) -> None:
    local = data.draw(TYPES["timestamp"].filter(lambda text: "infinity" not in text))
    moment = data.draw(TYPES["timestamptz"].filter(lambda text: "infinity" not in text))
    pair = zoned(zone)

    assert pair.decode(local) == columns.asked(f"%s::timestamp AT TIME ZONE '{zone}'", local)
    assert pair.encode(moment) == columns.asked(f"%s::timestamptz AT TIME ZONE '{zone}'", moment)
