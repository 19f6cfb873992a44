"""Preflight sees on a real server what is wrong there; what it says of each fault is tried in `tests/unit`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from adapters.postgresql.preflight import Capabilities, assess, capabilities, gather
from adapters.postgresql.session import connect
from adapters.postgresql.setup import grants, setup
from engine.rulebook import RuleBook
from service.embedded import EmbeddedServer
from tests.database.books import Bound, book

ITEM = Bound("item", ("id", "v"), ("id",))
BOOK = book(ITEM)
ALWAYS_TOLD = "P107"


@pytest.fixture
def dba(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection, and a table."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute("CREATE TABLE item (id int PRIMARY KEY, v text)")
        yield conn


def codes(conn: psycopg.Connection[Any], rules: RuleBook = BOOK) -> set[str]:
    return {finding.code for finding in assess(gather(conn, rules, "erp"))} - {ALWAYS_TOLD}


def test_a_fit_database_is_found_fit_before_and_after_setup(dba: psycopg.Connection[Any]) -> None:
    assert codes(dba) == set()
    setup(dba, BOOK, "erp")
    assert codes(dba) == set()
    assert capabilities(gather(dba, BOOK, "erp")) == Capabilities(skip_own=True, origin_none=True)


FAULTS = [
    ("DROP TABLE item", "P201"),
    ("DROP TABLE item; CREATE VIEW item AS SELECT 1 AS id, '' AS v", "P202"),
    ("DROP TABLE item; CREATE MATERIALIZED VIEW item AS SELECT 1 AS id, '' AS v", "P202"),
    ("ALTER TABLE item SET UNLOGGED", "P202"),
    ("ALTER TABLE item RENAME v TO V2", "P203"),
    ("ALTER TABLE item DROP v, ADD v text GENERATED ALWAYS AS ('x' || id) STORED", "P204"),
    ("ALTER TABLE item DROP v; ALTER TABLE item ADD v int GENERATED ALWAYS AS IDENTITY", "P205"),
    ("ALTER TABLE item DROP CONSTRAINT item_pkey; ALTER TABLE item REPLICA IDENTITY FULL", "P210"),
    (
        "ALTER TABLE item DROP CONSTRAINT item_pkey, ALTER id DROP NOT NULL, ADD UNIQUE (id), REPLICA IDENTITY FULL",
        "P211",
    ),
    ("ALTER TABLE item ALTER id TYPE real", "P212"),
    ("CREATE EXTENSION citext; ALTER TABLE item ALTER id TYPE citext", "P213"),
    ("CREATE SEQUENCE s; ALTER TABLE item ALTER id SET DEFAULT nextval('s')", "P214"),
    ("ALTER TABLE item REPLICA IDENTITY NOTHING", "P220"),
    ("ALTER TABLE item DROP CONSTRAINT item_pkey, ADD UNIQUE (id)", "P220"),
    ("ALTER TABLE item DROP CONSTRAINT item_pkey, ADD UNIQUE (id), ALTER v SET NOT NULL, ADD PRIMARY KEY (v)", "P221"),
    (
        "DROP TABLE item; CREATE TABLE item (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (9); ALTER TABLE low REPLICA IDENTITY NOTHING",
        "P222",
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER a BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION f()",
        "P240",
    ),
    ("CREATE RULE r AS ON UPDATE TO item DO ALSO NOTIFY x", "P241"),
    ("CREATE TABLE line (item int REFERENCES item ON DELETE CASCADE)", "P242"),
]


@pytest.mark.parametrize(("ddl", "code"), FAULTS, ids=[f"{code} {ddl[:40]}" for ddl, code in FAULTS])
def test_each_fault_of_a_table_is_seen(dba: psycopg.Connection[Any], ddl: str, code: str) -> None:
    dba.execute(ddl.encode())

    assert codes(dba) == {code}


def test_a_partitioned_table_is_fit(dba: psycopg.Connection[Any]) -> None:
    dba.execute("DROP TABLE item; CREATE TABLE item (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)")
    dba.execute("CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (9)")

    assert codes(dba) == set()


def test_triggers_that_do_not_fire_for_us_are_told_but_cost_nothing(dba: psycopg.Connection[Any]) -> None:
    dba.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    dba.execute("CREATE TRIGGER a AFTER UPDATE ON item FOR EACH ROW EXECUTE FUNCTION f()")
    assert capabilities(gather(dba, BOOK, "erp")) == Capabilities(skip_own=False, origin_none=False)

    dba.execute("ALTER TABLE item ENABLE REPLICA TRIGGER a")
    assert codes(dba) == {"P240"}
    assert capabilities(gather(dba, BOOK, "erp")) == Capabilities(skip_own=True, origin_none=True)

    dba.execute("ALTER TABLE item DISABLE TRIGGER a")
    assert codes(dba) == set()


def test_a_role_without_rights_is_told_each_and_the_grants_are_enough(
    dba: psycopg.Connection[Any], erp_db: str
) -> None:
    setup(dba, BOOK, "erp")
    dba.execute("CREATE SCHEMA closed; CREATE TABLE closed.part (id serial PRIMARY KEY, v text)")
    dba.execute("ALTER TABLE item ENABLE ROW LEVEL SECURITY; CREATE ROLE clerk LOGIN")
    rules = book(ITEM, Bound("part", ("id", "v"), ("id",), schema="closed"))
    setup(dba, rules, "erp")
    try:
        with connect("erp", erp_db.replace("postgres@", "clerk@"), application_name="x") as clerk:
            told = codes(clerk, rules)
            for grant in grants(rules, "erp", "clerk"):
                dba.execute(grant.encode())
            left = assess(gather(clerk, rules, "erp"))
            for finding in left:
                if finding.mend.startswith(("GRANT", "ALTER ROLE")):
                    dba.execute(finding.mend.encode())
            none_left = codes(clerk, rules)
    finally:
        dba.execute("DROP OWNED BY clerk; DROP ROLE clerk")

    rights = {"P120", "P121", "P122", "P123", "P230", "P231", "P232", "P233", "P234"}
    assert told == rights | {"P214", "P235"}
    assert {finding.code for finding in left} == {ALWAYS_TOLD, "P214", "P234", "P235"}
    assert none_left == {"P214"}


def test_the_publication_is_compared_with_the_rules(dba: psycopg.Connection[Any]) -> None:
    setup(dba, BOOK, "erp")
    dba.execute("CREATE TABLE part (id int PRIMARY KEY)")

    assert codes(dba, book(ITEM, Bound("part", ("id",), ("id",)))) == {"P140"}


def test_other_replication_into_the_server_forbids_to_filter_there(dba: psycopg.Connection[Any]) -> None:
    dba.execute("SELECT pg_replication_origin_create('other_tool')")
    dba.execute("SELECT pg_replication_origin_create('duolog_unit_crm')")  # our own, in another database of this server

    facts = gather(dba, BOOK, "erp")

    assert facts.server.other_origins == ("other_tool",)
    assert codes(dba) == {"P141"}
    assert capabilities(facts) == Capabilities(skip_own=True, origin_none=False)


def test_a_subscription_into_this_database_counts_and_one_into_another_does_not(
    dba: psycopg.Connection[Any], erp_server: EmbeddedServer
) -> None:
    options = "connect = false, slot_name = NONE"
    dba.execute(f"CREATE SUBSCRIPTION s CONNECTION 'host=nowhere' PUBLICATION p WITH ({options})".encode())
    with erp_server.connect() as elsewhere:
        elsewhere.execute("CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, v text)")
        other = gather(elsewhere, BOOK, "erp")
        elsewhere.execute("DROP TABLE item")
    here = gather(dba, BOOK, "erp")
    dba.execute("DROP SUBSCRIPTION s")

    assert (here.server.subscriptions, other.server.subscriptions) == (("s",), ())


def test_every_host_of_the_address_has_to_be_this_machine(dba: psycopg.Connection[Any], erp_db: str) -> None:
    assert gather(dba, BOOK, "erp", url=erp_db).loopback
    assert gather(dba, BOOK, "erp", url="host=localhost").loopback
    assert gather(dba, BOOK, "erp", url="host=/run/postgresql").loopback
    assert not gather(dba, BOOK, "erp", url="host=localhost,db.example").loopback


def test_the_clock_and_the_limits_are_measured(own_server: EmbeddedServer) -> None:
    own_server.settings |= {"wal_level": "replica", "max_replication_slots": "0", "max_slot_wal_keep_size": "512MB"}
    own_server.settings |= {"synchronous_standby_names": "nobody", "synchronous_commit": "local"}
    own_server.start()
    with own_server.connect() as conn:
        conn.execute("CREATE TABLE item (id int PRIMARY KEY, v text)")
        facts = gather(conn, BOOK, "erp")

    assert facts.server.kept_mb == 512
    assert (facts.server.slots_used, facts.server.slots_max) == (0, 0)
    assert {f.code for f in assess(facts)} == {"P104", "P105", "P108", "P109"}
    assert abs(facts.clock_offset_us) <= 50_000 + facts.clock_error_us
    assert "P131" in {f.code for f in assess(replace(facts, clock_offset_us=3_000_000))}
