"""Databases whose changes triggers note for us: what users do there arrives, whatever it is and whoever commits last;
and whoever takes a trigger away is told what that means.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine_live.conftest import with_change_tables
from tests.engine_live.pair import Pair
from tests.engine_live.tidying import swept
from tests.engine_live.world import eventually
from tests.ground import MARIADB, POSTGRESQL, SQLITE, Name
from tests.servers import Server

TABLES = """
CREATE TABLE customer (id varchar(40) NOT NULL PRIMARY KEY, name varchar(80), age int{});
CREATE TABLE orders (
    id varchar(40) NOT NULL PRIMARY KEY, customer varchar(40), note varchar(80),
    CONSTRAINT of_whom FOREIGN KEY (customer) REFERENCES customer (id)
);
"""
DDL = {"erp": TABLES.format(""), "crm": TABLES.format(", CONSTRAINT human CHECK (age < 150)")}
RULES = """
  customer:
    identity: [id]
    conflict: last_writer
    order: [erp, crm]
    delete: propagate
    bind: {erp: {table: customer}, crm: {table: customer}}
    fields: {id: id, name: name, age: age}
  order:
    identity: [id]
    conflict: last_writer
    order: [erp, crm]
    delete: propagate
    bind: {erp: {table: orders}, crm: {table: orders}}
    fields: {id: id, customer: {erp: customer, crm: customer, reference: customer}, note: note}
"""
ALL = "SELECT id, name, age FROM customer WHERE id LIKE '{}%' ORDER BY id"
SECRET = "Geheimnis"
"""Stands in a row that is refused."""
CHANGES = {POSTGRESQL: "duolog.change", MARIADB: "duolog_change", SQLITE: "duolog_change"}
TRIGGERS = {
    POSTGRESQL: "SELECT tgname FROM pg_trigger WHERE tgrelid = 'customer'::regclass AND NOT tgisinternal",
    MARIADB: "SELECT trigger_name FROM information_schema.triggers "
             "WHERE event_object_schema = DATABASE() AND event_object_table = 'customer'",
    SQLITE: "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'customer'",
}  # fmt: skip
"""Those of the table `customer`, by kind of database."""

CONFLICT = "INSERT INTO customer VALUES ('M1', 'x', 2), ('M2', 'new', 2) ON CONFLICT (id) DO UPDATE SET name = 'merged'"
REPLACED = "REPLACE INTO customer (id, name) VALUES ('M1', 'replaced'), ('M3', 'new')"
MERGED = {
    POSTGRESQL: [CONFLICT, REPLACED.replace("REPLACE", "INSERT") + " ON CONFLICT (id) DO UPDATE "
                 "SET name = excluded.name, age = excluded.age"],
    MARIADB: [CONFLICT.replace("ON CONFLICT (id) DO UPDATE SET", "ON DUPLICATE KEY UPDATE"), REPLACED],
    SQLITE: [CONFLICT, REPLACED],
}  # fmt: skip
"""One statement that inserts or changes, as each database has it."""
WIDER = {
    POSTGRESQL: "ALTER TABLE customer ALTER COLUMN name TYPE varchar(200)",
    MARIADB: "ALTER TABLE customer MODIFY name varchar(200)",
}


@pytest.fixture(scope="module")
def shared(both_servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One pair for all tests of this file; each has keys of its own."""
    addresses = {system: server.create_database(f"noted_{system}") for system, server in both_servers.items()}
    made = Pair(tmp_path_factory.mktemp("noted"), "noted", addresses, RULES, DDL)
    yield made
    made.close()
    swept(both_servers, {system: f"noted_{system}" for system in addresses}, "noted")


@pytest.fixture
def pair(shared: Pair) -> Iterator[Pair]:
    """The shared one, at work."""
    if shared.live.pid is None:
        shared.start()
    yield shared


of_every_pair = with_change_tables("both_servers", "module", more=())


@of_every_pair
@pytest.mark.parametrize(("here", "there"), [("erp", "crm"), ("crm", "erp")])
def test_rows_come_change_take_another_key_and_go(pair: Pair, here: str, there: str) -> None:
    key, query = f"K-{here}", ALL.format(f"K-{here}")
    pair.sql(here, "INSERT INTO customer VALUES ({key}, 'Müller 😀', 30)", key=key)
    pair.becomes(there, query, [(key, "Müller 😀", 30)])
    pair.sql(there, "UPDATE customer SET name = NULL WHERE id = {key}", key=key)
    pair.becomes(here, query, [(key, None, 30)])
    pair.sql(here, "UPDATE customer SET id = {key}, age = 31 WHERE id = {old}", key=f"{key}2", old=key)
    pair.becomes(there, query, [(f"{key}2", None, 31)])
    pair.sql(there, "DELETE FROM customer WHERE id = {key}", key=f"{key}2")
    pair.becomes(here, query, [])


@of_every_pair
def test_what_one_transaction_does_to_a_row_arrives_as_it_ended(pair: Pair) -> None:
    pair.sql("erp",
        "INSERT INTO customer VALUES ('W1', 'first', 1), ('W2', 'never seen', 2)",
        "UPDATE customer SET name = 'second' WHERE id = 'W1'",
        "DELETE FROM customer WHERE id = 'W2'",
        "UPDATE customer SET id = 'W3' WHERE id = 'W1'",
        "INSERT INTO customer VALUES ('W1', 'another', 3)",
        "INSERT INTO orders VALUES ('W1', 'W3', 'x')",
        "UPDATE customer SET name = 'third' WHERE id = 'W3'",
    )  # fmt: skip

    pair.becomes("crm", "SELECT note FROM orders WHERE id = 'W1'", [("x",)])
    pair.become(ALL.format("W"), [("W1", "another", 3), ("W3", "third", 1)])


@of_every_pair
def test_what_one_statement_inserts_or_changes_arrives(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('M1', 'first', 1)")
    merged, replaced = MERGED[pair.kinds["erp"]]
    pair.sql("erp", merged)
    pair.becomes("crm", ALL.format("M"), [("M1", "merged", 1), ("M2", "new", 2)])
    pair.sql("erp", replaced)
    pair.becomes("crm", ALL.format("M"), [("M1", "replaced", None), ("M2", "new", 2), ("M3", "new", None)])
    assert pair.quarantine() == {} and pair.journal("customer", "M1") == []


@of_every_pair
def test_what_is_rolled_back_is_nowhere_and_what_follows_is(pair: Pair) -> None:
    undone = pair.session("erp")
    undone.execute("INSERT INTO customer VALUES ('B1', 'undone', 1)")
    undone.rollback()
    undone.close()
    pair.sql("erp", "INSERT INTO customer VALUES ('B2', 'done', 1)")

    pair.becomes("crm", ALL.format("B"), [("B2", "done", 1)])


@with_change_tables("both_servers", "module", more=(), of=slice(1, 3))
def test_who_commits_late_is_not_lost_and_keeps_nobody_waiting(pair: Pair) -> None:
    late = pair.session("erp")
    late.execute("INSERT INTO customer VALUES ('L1', 'late', 1)")
    for number in range(2, 6):
        key = f"L{number}"
        pair.sql("erp", "INSERT INTO customer VALUES ({key}, 'early', 1)", key=key)
        pair.becomes("crm", "SELECT name FROM customer WHERE id = {key}", [("early",)], 3, key=key)
    late.execute("UPDATE customer SET name = 'overwritten late' WHERE id = 'L5'")
    late.commit()
    late.close()

    pair.become(ALL.format("L1"), [("L1", "late", 1)])
    pair.become(ALL.format("L5"), [("L5", "overwritten late", 1)])


@of_every_pair
def test_a_row_that_is_refused_waits_with_what_refers_to_it_and_nothing_else_does(pair: Pair) -> None:
    pair.sql("erp",
        "INSERT INTO customer VALUES ('P1', {secret}, 200)", "INSERT INTO orders VALUES ('P1', 'P1', {secret})",
        "INSERT INTO customer VALUES ('P2', 'good', 20)", "INSERT INTO orders VALUES ('P2', 'P2', 'good')",
        secret=SECRET,
    )  # fmt: skip
    pair.becomes("crm", "SELECT id FROM orders WHERE id LIKE 'P%'", [("P2",)])
    eventually(lambda: len(pair.quarantine()) == 2, 10, pair.live.log_tail)
    found = pair.quarantine()
    assert found["order", "P1", "crm"] == "waits for customer `P1`, which is in quarantine"
    assert "constraint" in found["customer", "P1", "crm"]

    pair.sql("crm", "UPDATE customer SET name = 'flows back' WHERE id = 'P2'")
    pair.becomes("erp", ALL.format("P2"), [("P2", "flows back", 20)])
    pair.sql("erp", "UPDATE customer SET age = 20 WHERE id = 'P1'")

    pair.becomes("crm", "SELECT id FROM orders WHERE id LIKE 'P%' ORDER BY id", [("P1",), ("P2",)])
    pair.comes_to(pair.quarantine, {})
    assert SECRET not in pair.live.said()


@of_every_pair
def test_what_both_have_is_deleted_from_the_change_tables(pair: Pair) -> None:
    for system in ("erp", "crm"):
        pair.sql(system, "INSERT INTO customer VALUES ({key}, 'x', 1)", key=f"D-{system}")
    pair.become("SELECT count(*) FROM customer WHERE id LIKE 'D-%'", [(2,)])

    for system, kind in pair.kinds.items():
        if pair.addresses[system].startswith(POSTGRESQL):
            continue  # its log is read
        pair.becomes(system, f"SELECT count(*) FROM {CHANGES[kind]} WHERE op <> 'B'", [(0,)], 10)  # noqa: S608 - of this file


@of_every_pair
def test_a_column_that_nobody_bound_may_come_and_go(pair: Pair) -> None:
    for statement in ("ALTER TABLE customer ADD COLUMN extra varchar(20)", "ALTER TABLE customer DROP COLUMN extra"):
        pair.sql("erp", statement)
        key = f"C-{statement[21:24]}"
        pair.sql("erp", "INSERT INTO customer (id, name, age) VALUES ({key}, 'x', 1)", key=key)
        pair.becomes("crm", "SELECT age FROM customer WHERE id = {key}", [(1,)], key=key)


@with_change_tables("both_servers", "module", more=(), of=slice(1, 3))
def test_what_could_not_be_recorded_stops_the_engine_and_not_the_user(pair: Pair) -> None:
    for system, kind in pair.kinds.items():
        pair.sql(system, WIDER[kind])
    mark, name = len(pair.live.said()), "long " * 30

    pair.sql("erp", "INSERT INTO customer VALUES ('X1', {name}, 1)", name=name)

    assert pair.live.ended(30) == 3, pair.live.log_tail()
    said = pair.live.said()[mark:]  # of either system: where the ERP could note it, the CRM could not
    assert "customer" in said and "duolog setup" in said and "--merge-again" in said
    pair.live.call("setup")
    pair.start("--merge-again")
    pair.become(ALL.format("X"), [("X1", name, 1)])
    name = "longer " * 25
    pair.sql("crm", "UPDATE customer SET name = {name} WHERE id = 'X1'", name=name)
    pair.becomes("erp", ALL.format("X"), [("X1", name, 1)])


@with_change_tables("both_servers", "module", more=(), of=slice(3))
def test_a_trigger_that_was_dropped_stops_the_engine_and_merging_again_finds_what_was_missed(pair: Pair) -> None:
    kind = pair.kinds["erp"]
    pair.sql("erp", "INSERT INTO customer VALUES ('T1', 'old', 1), ('T2', 'old', 1)")
    pair.become("SELECT count(*) FROM customer WHERE name = 'old'", [(2,)])
    mark = len(pair.live.said())
    for (name,) in pair.sql("erp", TRIGGERS[kind]):
        pair.sql("erp", "DROP TRIGGER {name}" + " ON customer" * (kind == POSTGRESQL), name=Name(name))
    pair.sql("erp", "UPDATE customer SET name = 'missed' WHERE id = 'T1'")

    assert pair.live.ended(90) == 3, pair.live.log_tail()
    said = pair.live.said()[mark:]
    assert " erp: " in said and "trigger" in said and "customer" in said and "duolog setup" in said
    assert "--merge-again" in said
    pair.live.call("run", expected=(3,))
    pair.live.call("setup")
    assert "--merge-again" in pair.live.call("run", expected=(3,)).stderr, "what was missed cannot be known"
    assert pair.sql("crm", "SELECT name FROM customer WHERE id = 'T1'") == [("old",)]

    pair.start("--merge-again")

    pair.become(ALL.format("T"), [("T1", "missed", 1), ("T2", "old", 1)])
    pair.sql("erp", "UPDATE customer SET name = 'goes on' WHERE id = 'T2'")
    pair.becomes("crm", "SELECT name FROM customer WHERE id = 'T2'", [("goes on",)])
    eventually(lambda: not pair.quarantine(), 5, "nothing should wait")
