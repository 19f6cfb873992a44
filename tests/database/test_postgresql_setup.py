"""`duolog setup` makes what is missing and nothing else; `duolog teardown` leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from adapters.postgresql.names import origin_name, publication_name, slot_name
from adapters.postgresql.session import connect
from adapters.postgresql.setup import grants, read_facts, setup, statements, teardown
from adapters.postgresql.target import PostgresTarget
from engine.errors import NotSetUp, SchemaChanged, SlotBusy, SystemUnavailable
from engine.vocabulary import Batch
from tests.database.books import Bound, book, row, write

ONE = book(Bound("item", ("id", "v"), ("id",)))
TWO = book(Bound("item", ("id", "v"), ("id",)), Bound("part", ("id", "v"), ("id",), table="Pa rt"))

LEFT_OVER = """
SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'duolog')
     + (SELECT count(*) FROM pg_publication)
     + (SELECT count(*) FROM pg_replication_origin WHERE roname LIKE 'duolog_unit%')
     + (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())
"""


@pytest.fixture
def dba(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection, and two tables."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute("CREATE TABLE item (id int PRIMARY KEY, v text)")
        conn.execute('CREATE TABLE "Pa rt" (id int PRIMARY KEY, v text)')
        yield conn


def test_setup_makes_everything_once_and_says_what(dba: psycopg.Connection[Any]) -> None:
    heard: list[str] = []

    made = setup(dba, ONE, "erp", told=lambda step: heard.append(step.what))

    assert [step.what for step in made] == heard == [
        "schema `duolog`",
        "table `duolog.ledger`",
        "replication origin `duolog_unit_erp`",
        "publication `duolog_unit_erp`",
        "logical slot `duolog_unit_erp`",
    ]
    assert setup(dba, ONE, "erp") == []
    assert all(step.done for step in statements(ONE, "erp", read_facts(dba, ONE, "erp")))


def test_the_publication_follows_the_rules(dba: psycopg.Connection[Any]) -> None:
    setup(dba, ONE, "erp")

    made = setup(dba, TWO, "erp")
    assert [(step.what, step.sql) for step in made] == [
        (
            "publication `duolog_unit_erp`: add `public.Pa rt`",
            'ALTER PUBLICATION "duolog_unit_erp" SET TABLE "public"."Pa rt", "public"."item"',
        )
    ]

    dba.execute("ALTER PUBLICATION duolog_unit_erp SET TABLE item (id), \"Pa rt\"")
    dba.execute("ALTER PUBLICATION duolog_unit_erp SET (publish = 'insert')")
    assert [step.what for step in setup(dba, ONE, "erp")] == [
        "publication `duolog_unit_erp`: every kind of change",
        "publication `duolog_unit_erp`: whole `public.item`, drop `public.Pa rt`",
    ]
    assert setup(dba, ONE, "erp") == []


def test_teardown_takes_everything_away_and_may_be_repeated(dba: psycopg.Connection[Any]) -> None:
    setup(dba, ONE, "erp")

    assert teardown(dba, ONE, "erp") == [
        "logical slot `duolog_unit_erp`",
        "replication origin `duolog_unit_erp`",
        "publication `duolog_unit_erp`",
        "table `duolog.ledger`",
        "schema `duolog`",
    ]
    assert dba.execute(LEFT_OVER.encode()).fetchone() == (0,)
    assert teardown(dba, ONE, "erp") == []


def test_teardown_leaves_another_engine_its_ledger(dba: psycopg.Connection[Any]) -> None:
    other = book(Bound("item", ("id", "v"), ("id",)), name="unit2")
    setup(dba, ONE, "erp")
    setup(dba, other, "erp")

    assert "table `duolog.ledger`" not in teardown(dba, ONE, "erp")
    assert "table `duolog.ledger`" in teardown(dba, other, "erp")
    assert dba.execute(LEFT_OVER.encode()).fetchone() == (0,)


def test_teardown_hangs_up_on_nobody(dba: psycopg.Connection[Any], erp_db: str) -> None:
    setup(dba, ONE, "erp")
    with psycopg.connect(erp_db, autocommit=True) as writer:
        writer.execute("SELECT pg_replication_origin_session_setup('duolog_unit_erp')")
        with pytest.raises(SystemUnavailable, match="`duolog_unit_erp` is in use by the process"):
            teardown(dba, ONE, "erp")

    setup(dba, ONE, "erp")
    stream = psycopg.pq.PGconn.connect(f"{erp_db}?replication=database".encode())
    stream.exec_(
        b"START_REPLICATION SLOT duolog_unit_erp LOGICAL 0/0 "
        b"(proto_version '1', publication_names 'duolog_unit_erp')"
    )
    with pytest.raises(SlotBusy, match="the slot `duolog_unit_erp` is being read by the process"):
        teardown(dba, ONE, "erp")
    stream.finish()


def test_a_table_without_replica_identity_is_refused_before_it_is_published(dba: psycopg.Connection[Any]) -> None:
    dba.execute('ALTER TABLE "Pa rt" DROP CONSTRAINT "Pa rt_pkey"')

    with pytest.raises(NotSetUp) as refused:
        setup(dba, TWO, "erp")

    assert str(refused.value) == (
        "D208 erp: `public.Pa rt` has no replica identity: publishing it would make the application's own UPDATE and "
        'DELETE fail\n  mend: ALTER TABLE "public"."Pa rt" REPLICA IDENTITY FULL;  -- or give it a primary key'
    )
    assert dba.execute(LEFT_OVER.encode()).fetchone() == (0,)


def test_a_missing_table_and_a_taken_slot_are_told(dba: psycopg.Connection[Any]) -> None:
    with pytest.raises(SchemaChanged, match=r"there is no table `public\.gone`"):
        setup(dba, book(Bound("gone", ("id",), ("id",))), "erp")

    dba.execute("SELECT pg_create_logical_replication_slot('duolog_unit_erp', 'test_decoding')")
    with pytest.raises(NotSetUp, match="belongs to another plugin or database: `test_decoding erp_"):
        setup(dba, ONE, "erp")


def test_the_printed_grants_are_enough_and_leave_owned_columns_alone(
    dba: psycopg.Connection[Any], erp_db: str
) -> None:
    setup(dba, ONE, "erp")
    dba.execute('CREATE ROLE "duo log" LOGIN')
    try:
        for grant in grants(ONE, "erp", "duo log"):
            dba.execute(grant.encode())
        url = erp_db.replace("postgres@", "duo%20log@")
        target = PostgresTarget("erp", url, engine="unit", origin="duolog_unit_erp", book=ONE)
        target.open()
        for number, change in enumerate(
            [
                write("insert", "item", (1,), [row(1, "1", ("a",))]),
                write("update", "item", (1,), [row(2, "1", ("b",), ("a",))]),
                write("delete", "item", (1,), [row(3, "1", (), ("b",))]),
            ],
            1,
        ):
            assert target.apply(Batch("erp", number, [change], 1, number - 1)).exceptions == []
        assert target.reread("item", ["1"])[0].row is None
        target.close()
        with connect("erp", url, application_name="x") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("UPDATE item SET id = 2")
    finally:
        dba.execute('DROP OWNED BY "duo log"; DROP ROLE "duo log"')


def test_names_are_legal_short_and_never_two_alike() -> None:
    assert {make("demo", "erp") for make in (slot_name, publication_name, origin_name)} == {"duolog_demo_erp"}
    odd = [("Demo", "erp"), ("demo-1", "erp"), ("demo_1", "erp"), ("单位", "erp")]
    odd += [("a_b", "c"), ("a", "b_c"), ("x" * 70, "y")]
    names = [slot_name(*pair) for pair in odd]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for name in names)
