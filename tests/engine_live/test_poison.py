"""Rows that a target refuses: they wait with their reason, what depends on them waits with them, all else flows.

CRM is stricter than ERP: names are short and must be there, codes are unique, ages are human, and an order's region has
to exist. A refused row's content appears nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_live.conftest import PAIRS, with_change_tables
from tests.engine_live.pair import Pair
from tests.engine_live.tidying import swept
from tests.engine_live.world import eventually
from tests.ground import POSTGRESQL
from tests.servers import Server

ERP = """
CREATE TABLE customer (id varchar(40) PRIMARY KEY, name text, code text, age int);
CREATE TABLE orders (id varchar(40) PRIMARY KEY, customer varchar(40), region text, note text);
"""
CRM = """
CREATE TABLE region (name varchar(40) PRIMARY KEY);
INSERT INTO region VALUES ('north');
CREATE TABLE customer (
    id varchar(40) PRIMARY KEY, name varchar(20) NOT NULL, code varchar(40), age int,
    CONSTRAINT customer_code_key UNIQUE (code), CONSTRAINT human CHECK (age < 150)
);
CREATE TABLE orders (
    id varchar(40) PRIMARY KEY, customer varchar(40), region varchar(40), note text,
    FOREIGN KEY (customer) REFERENCES customer (id), CONSTRAINT known FOREIGN KEY (region) REFERENCES region (name)
);
"""
HUMANS_AGAIN = {
    True: "ALTER TABLE customer ADD CONSTRAINT human CHECK (age < 150) NOT VALID",
    False: "SET check_constraint_checks = 0; ALTER TABLE customer ADD CONSTRAINT human CHECK (age < 150); "
           "SET check_constraint_checks = 1",
}  # fmt: skip
"""For what comes from now on. By whether it is PostgreSQL."""
REASONS = {
    True: {
        "human": "23514 check_violation: constraint `human` of `public.customer` about `age`",
        "absent": "23502 not_null_violation: `name` is NULL, which `public.customer.name` may not be",
        "long": "22001 string_data_right_truncation: `name` is longer than the 20 characters of `public.customer.name`",
        "taken": "23505 unique_violation: constraint `customer_code_key` of `public.customer` about `code`",
        "known": "23503 foreign_key_violation: constraint `known` of `public.orders` about `region`",
    },
    False: {
        "human": "4025 check constraint: constraint `human`",
        "absent": "1048 null: `name` is NULL, which `poison.customer.name` may not be",
        "long": "1406 data too long: `name` is longer than the 20 characters of `poison.customer.name`",
        "taken": "1062 duplicate key: unique index `customer_code_key` of `poison.customer` about `code`",
        "known": "1452 foreign key: constraint `known` of `poison.orders` about `region`",
    },
}  # fmt: skip
"""Why the CRM refuses a row, by whether it is on PostgreSQL."""
RULES = """
  customer:
    identity: [id]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: customer}, crm: {table: customer}}
    fields: {id: id, name: name, code: code, age: age}
  order:
    identity: [id]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: orders}, crm: {table: orders}}
    fields: {id: id, customer: {erp: customer, crm: customer, reference: customer}, region: region, note: note}
"""
FLOWS_S = 5.0
SECRET = "Geheimnis"
"""Stands in every refused row."""


@pytest.fixture(scope="module")
def shared(crm_servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One pair at work for all tests of this file; each has keys of its own."""
    addresses = {system: server.create_database("poison") for system, server in crm_servers.items()}
    made = Pair(tmp_path_factory.mktemp("poison"), "poison", addresses, RULES, {"erp": ERP, "crm": CRM})
    made.start()
    yield made
    made.close()
    swept(crm_servers, dict.fromkeys(addresses, "poison"), "poison")


@pytest.fixture
def pair(shared: Pair) -> Iterator[Pair]:
    """The shared one, at work, and with nothing in quarantine that a test before left there."""
    yield shared
    if shared.live.pid is None:
        shared.start()


def _fill(pair: Pair, prefix: str, rows: int) -> None:
    statement = "INSERT INTO customer SELECT {p} || i, 'good', {p} || i, 30 FROM {numbers}"
    pair.sql("erp", statement, p=prefix, numbers=pair.series("erp", 1, rows))


def _why(pair: Pair, word: str) -> str:
    return REASONS[_of_postgresql(pair)][word]


def _of_postgresql(pair: Pair) -> bool:
    return pair.kinds["crm"] == POSTGRESQL


def _waiting(pair: Pair, prefix: str) -> dict[tuple[str, str, str], str]:
    """What is in quarantine of a test's keys, with its reason."""
    return {place: reason for place, reason in pair.quarantine().items() if place[1].startswith(prefix)}


def _is_refused(pair: Pair, entity: str, key: str, statement: str, **given: object) -> None:
    """The ERP writes it, and the CRM refuses it."""
    pair.sql("erp", statement, key=key, **given)
    eventually(lambda: (entity, key, "crm") in pair.quarantine(), 10, pair.live.log_tail)


@pytest.mark.alone
def test_each_kind_of_bad_row_is_quarantined_with_its_reason_and_thousands_flow(pair: Pair) -> None:
    pair.sql("crm", "INSERT INTO customer VALUES ('K0', 'first', 'taken', 1)")
    pair.becomes("erp", "SELECT id FROM customer WHERE id = 'K0'", [("K0",)])
    begun = time.monotonic()
    for part in range(5):
        _fill(pair, f"A{part}-", 500)
        _fill(pair, f"B{part}-", 500)
    pair.sql("erp",
        "INSERT INTO customer VALUES ('K1', {secret}, 'k1', 151)",
        "INSERT INTO customer VALUES ('K2', NULL, 'k2', 1)",
        "INSERT INTO customer VALUES ('K3', {secret} || ' is far too long', 'k3', 1)",
        "INSERT INTO customer VALUES ('K4', {secret}, 'taken', 1)",
        "INSERT INTO customer VALUES ('K5', 'good too', 'k5', 1)",
        "INSERT INTO orders VALUES ('O1', 'K5', {secret}, 'x')", secret=SECRET,
    )  # fmt: skip
    _fill(pair, "C-", 1000)

    arrived = "SELECT count(*) FROM customer WHERE substr(id, 1, 1) IN ('A', 'B', 'C') OR id = 'K5'"
    pair.becomes("crm", arrived, [(6001,)], FLOWS_S)
    assert time.monotonic() - begun < FLOWS_S + 2
    pair.becomes("crm", "SELECT id FROM orders WHERE id = 'O1'", [])

    pair.comes_to(pair.quarantine, {
        ("customer", "K1", "crm"): _why(pair, "human"),
        ("customer", "K2", "crm"): _why(pair, "absent"),
        ("customer", "K3", "crm"): _why(pair, "long"),
        ("customer", "K4", "crm"): _why(pair, "taken"),
        ("order", "O1", "crm"): _why(pair, "known"),
    })  # fmt: skip
    assert SECRET not in pair.live.said()


def test_what_waits_is_still_told_when_the_engine_is_stopped(pair: Pair) -> None:
    _is_refused(pair, "customer", "W1", "INSERT INTO customer VALUES ({key}, 'w', 'w1', 151)")
    waiting = len(pair.quarantine())
    pair.stop()

    status = pair.live.status()

    assert status["quarantine"] == waiting > 0
    assert {system["state"] for system in status["systems"].values()} == {"not running"}
    assert status["counters"]["quarantined"] >= waiting


def test_after_the_cause_is_mended_retry_brings_them(pair: Pair) -> None:
    _is_refused(pair, "customer", "M1", "INSERT INTO customer VALUES ({key}, 'm', 'm1', 151)")
    _is_refused(pair, "order", "OM", "INSERT INTO orders VALUES ({key}, NULL, 'mended', 'x')")
    pair.sql("crm", "INSERT INTO region VALUES ('mended')")
    pair.sql("crm", "ALTER TABLE customer DROP CONSTRAINT human")

    assert pair.live.json("retry", "customer", "M1")["answer"] == "1 retried"
    assert pair.live.json("retry", "order", "OM")["answer"] == "1 retried"

    pair.becomes("crm", "SELECT id FROM customer WHERE id = 'M1'", [("M1",)])
    pair.becomes("crm", "SELECT id FROM orders WHERE id = 'OM'", [("OM",)])
    pair.comes_to(lambda: {("customer", "M1", "crm"), ("order", "OM", "crm")} & set(pair.quarantine()), set())
    pair.sql("crm", HUMANS_AGAIN[_of_postgresql(pair)])


def test_a_quarantined_record_that_its_user_changes_is_tried_again_by_itself(pair: Pair) -> None:
    _is_refused(pair, "customer", "C2", "INSERT INTO customer VALUES ({key}, NULL, 'c2', 1)")
    far = "INSERT INTO customer VALUES ({key}, {name}, 'c3', 1)"
    _is_refused(pair, "customer", "C3", far, name=f"{SECRET} is far too long")
    pair.sql("erp", "UPDATE customer SET name = 'short' WHERE id = 'C3'")
    pair.becomes("crm", "SELECT name FROM customer WHERE id = 'C3'", [("short",)])
    pair.sql("erp", "UPDATE customer SET name = 'there' WHERE id = 'C2'")
    pair.becomes("crm", "SELECT name FROM customer WHERE id = 'C2'", [("there",)])
    pair.comes_to(lambda: {("customer", "C2", "crm"), ("customer", "C3", "crm")} & set(pair.quarantine()), set())


def test_an_update_that_is_refused_leaves_the_row_as_it_was_and_the_next_one_brings_all(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('U1', 'u', 'u1', 5)")
    pair.becomes("crm", "SELECT age FROM customer WHERE id = 'U1'", [(5,)])
    pair.sql("erp", "UPDATE customer SET age = 999, name = 'new' WHERE id = 'U1'")
    pair.sql("erp", "INSERT INTO customer VALUES ('U2', 'u', 'u2', 5)")
    pair.becomes("crm", "SELECT id FROM customer WHERE id = 'U2'", [("U2",)])
    pair.becomes("crm", "SELECT name, age FROM customer WHERE id = 'U1'", [("u", 5)])
    pair.comes_to(lambda: pair.quarantine().get(("customer", "U1", "crm")), _why(pair, "human"))

    pair.sql("crm", "UPDATE customer SET code = 'u1b' WHERE id = 'U1'")  # the other way still flows
    pair.becomes("erp", "SELECT code FROM customer WHERE id = 'U1'", [("u1b",)])
    pair.sql("erp", "UPDATE customer SET age = 99 WHERE id = 'U1'")
    pair.become("SELECT name, age, code FROM customer WHERE id = 'U1'", [("new", 99, "u1b")])


def test_orders_of_a_quarantined_customer_wait_with_him_and_come_with_him(pair: Pair) -> None:
    order = "INSERT INTO orders VALUES ({id}, {customer}, 'north', 'x')"
    pair.sql("erp", "INSERT INTO customer VALUES ({customer}, 'p', 'p1', 500)", order, id="P1a", customer="P1")
    pair.sql("erp", "INSERT INTO customer VALUES ('P2', 'p', 'p2', 5)")
    pair.becomes("crm", "SELECT id FROM customer WHERE id = 'P2'", [("P2",)])
    pair.sql("erp", order, id="P1b", customer="P1")
    pair.sql("erp", order, id="P2a", customer="P2")
    pair.becomes("crm", "SELECT id FROM orders WHERE id LIKE 'P%' ORDER BY id", [("P2a",)])
    pair.comes_to(lambda: _waiting(pair, "P"), {
        ("customer", "P1", "crm"): _why(pair, "human"),
        ("order", "P1a", "crm"): "waits for customer `P1`, which is in quarantine",
        ("order", "P1b", "crm"): "waits for customer `P1`, which is in quarantine",
    })  # fmt: skip

    pair.sql("erp", "UPDATE customer SET age = 50 WHERE id = 'P1'")

    pair.becomes("crm", "SELECT id FROM orders WHERE id LIKE 'P%' ORDER BY id", [("P1a",), ("P1b",), ("P2a",)])
    pair.comes_to(lambda: _waiting(pair, "P"), {})


def test_a_retried_customer_takes_his_orders_with_him_and_a_refused_one_keeps_them_waiting(pair: Pair) -> None:
    order = "INSERT INTO orders VALUES ('R1a', 'R1', 'north', 'x')"
    pair.sql("erp", "INSERT INTO customer VALUES ('R1', 'r', 'r1', 500)", order)
    waiting = {
        ("customer", "R1", "crm"): _why(pair, "human"),
        ("order", "R1a", "crm"): "waits for customer `R1`, which is in quarantine",
    }

    pair.comes_to(lambda: _waiting(pair, "R1"), waiting)
    answer = pair.live.json("retry", "customer", "R1")["answer"]
    assert answer == "2 retried"  # he and his order: too early, as nothing was mended
    pair.comes_to(lambda: _waiting(pair, "R1"), waiting)
    pair.sql("crm", "ALTER TABLE customer DROP CONSTRAINT human")

    pair.live.json("retry", "customer", "R1")

    pair.becomes("crm", "SELECT id FROM orders WHERE id = 'R1a'", [("R1a",)])
    pair.comes_to(lambda: _waiting(pair, "R1"), {})
    pair.sql("crm", HUMANS_AGAIN[_of_postgresql(pair)])


def test_unique_codes_exchanged_in_one_transaction_arrive_whole_or_not_at_all(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('S1', 's', 'one', 1), ('S2', 's', 'two', 1)")
    query = "SELECT id, code FROM customer WHERE id IN ('S1', 'S2') ORDER BY id"
    pair.becomes("crm", query, [("S1", "one"), ("S2", "two")])

    pair.sql("erp",
        "UPDATE customer SET code = 'two' WHERE id = 'S1'", "UPDATE customer SET code = 'one' WHERE id = 'S2'",
        "INSERT INTO customer VALUES ('S3', 's', 'three', 1)",
    )  # fmt: skip
    pair.becomes("crm", "SELECT id FROM customer WHERE id = 'S3'", [("S3",)])

    found = pair.sql("crm", query)
    if found == [("S1", "one"), ("S2", "two")]:  # not at all: then it is said of both
        pair.comes_to(lambda: {key for _, key, _ in _waiting(pair, "S")}, {"S1", "S2"})
        pair.sql("erp", "UPDATE customer SET code = 'four' WHERE id = 'S2'")
        pair.live.json("retry", "customer", "S1")
        pair.becomes("crm", query, [("S1", "two"), ("S2", "four")])
    else:
        assert found == [("S1", "two"), ("S2", "one")]
    pair.comes_to(lambda: _waiting(pair, "S"), {})


def test_a_code_handed_on_in_one_transaction_arrives(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('H1', 'h', 'h-one', 1), ('H2', 'h', 'h-two', 1)")
    query = "SELECT id, code FROM customer WHERE id IN ('H1', 'H2') ORDER BY id"
    pair.becomes("crm", query, [("H1", "h-one"), ("H2", "h-two")])

    pair.sql("erp",
        "UPDATE customer SET code = 'h-new' WHERE id = 'H2'", "UPDATE customer SET code = 'h-two' WHERE id = 'H1'",
    )  # fmt: skip

    pair.becomes("crm", query, [("H1", "h-two"), ("H2", "h-new")])


def test_a_row_deleted_and_made_again_in_one_transaction_is_the_new_one(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('D1', 'old', 'd1', 1)")
    pair.becomes("crm", "SELECT name FROM customer WHERE id = 'D1'", [("old",)])
    pair.sql("erp", "DELETE FROM customer WHERE id = 'D1'", "INSERT INTO customer VALUES ('D1', 'new', 'd1', 2)")
    pair.becomes("crm", "SELECT name, age FROM customer WHERE id = 'D1'", [("new", 2)])
    assert pair.sql("erp", "SELECT name, age FROM customer WHERE id = 'D1'") == [("new", 2)]


def test_a_changed_primary_key_leaves_no_orphan(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer VALUES ('X1', 'x', 'x1', 1)")
    pair.becomes("crm", "SELECT id FROM customer WHERE id LIKE 'X%'", [("X1",)])
    pair.sql("erp", "UPDATE customer SET id = 'X2', name = 'renamed' WHERE id = 'X1'")
    pair.become("SELECT id, name, code FROM customer WHERE id LIKE 'X%'", [("X2", "renamed", "x1")])
    pair.sql("crm", "UPDATE customer SET id = 'X1' WHERE id = 'X2'")  # and back, from the other side
    pair.become("SELECT id, name, code FROM customer WHERE id LIKE 'X%'", [("X1", "renamed", "x1")])


@with_change_tables("both", more=PAIRS[:2], of=slice(2, 3))
@pytest.mark.parametrize(("choice", "left"), [("--restore", 20), ("--delete", 0)])
def test_a_truncated_table_stops_the_engine_until_a_person_says_what_it_means(
    choice: str, left: int, tmp_path: Path, both: dict[str, str]
) -> None:
    pair = Pair(tmp_path, "emptied", both, RULES, {"erp": ERP, "crm": ERP})
    table = "public.orders" if _of_postgresql(pair) else both["crm"].rpartition("/")[2] + ".orders"
    twenty = pair.series("erp", 1, 20)
    pair.sql("erp", "INSERT INTO orders SELECT 'O' || i, NULL, NULL, 'note' FROM {numbers}", numbers=twenty)
    pair.start()
    pair.becomes("crm", "SELECT count(*) FROM orders", [(20,)])

    pair.sql("crm", "TRUNCATE orders")

    assert pair.live.ended(10) == 3
    assert pair.live.said().endswith(
        f"D209 crm: table `{table}` was emptied by TRUNCATE\n"
        "  mend: `duolog resolve RULES --truncated crm.order --restore` fills it again from the other systems; "
        "`--delete` deletes the records everywhere\n"
    )
    status = pair.live.json("status", expected=(3,))
    assert status["engine"]["running"] is False
    states = {name: system["state"] for name, system in status["systems"].items()}
    assert states == {"erp": "not running", "crm": "stopped"}
    assert status["systems"]["crm"]["trouble"].startswith(f"D209 crm: table `{table}` was emptied by TRUNCATE")
    pair.live.run()
    assert pair.live.ended(20) == 3, "without an answer it stops again"
    assert pair.sql("erp", "SELECT count(*) FROM orders") == [(20,)]

    pair.sql("crm", "INSERT INTO orders VALUES ('O99', NULL, NULL, 'after')")
    pair.live.call("resolve", "--truncated", "crm.order", choice)
    pair.start()

    pair.become("SELECT count(*) FROM orders WHERE id <> 'O99'", [(left,)])
    pair.become("SELECT note FROM orders WHERE id = 'O99'", [("after",)])
    pair.sql("crm", "TRUNCATE orders")
    assert pair.live.ended(10) == 3, "an answer is for one truncation only"
    assert pair.sql("erp", "SELECT note FROM orders WHERE id = 'O99'") == [("after",)]
    pair.close()
