"""Runaways between real servers: the entity stops, the other system stays as it is, and a person's answer is done.

ERP and CRM have the same tables. A DELETE without WHERE is stopped without a word in the rules; updates, insertions and
smaller deletions by the rule's own limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine_live.pair import Pair
from tests.engine_live.world import eventually

TABLES = """
CREATE TABLE customer (id text PRIMARY KEY, name text);
CREATE TABLE orders (id text PRIMARY KEY, customer text REFERENCES customer, note text);
CREATE TABLE stock (id text PRIMARY KEY, amount int);
"""
RULES = """
  customer:
    identity: [id]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: customer}, crm: {table: customer}}
    fields: {id: id, name: name}
    limits: {updates: 50 in 10 min, inserts: 2000 in 10 min, deletes: 100 in 1 h}
  order:
    identity: [id]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: orders}, crm: {table: orders}}
    fields: {id: id, customer: {erp: customer, crm: customer, reference: customer}, note: note}
  stock:
    identity: [id]
    conflict: last_writer
    delete: propagate
    bind: {erp: {table: stock}, crm: {table: stock}}
    fields: {id: id, amount: amount}
"""
CUSTOMERS = "SELECT count(*), count(*) FILTER (WHERE name = 'good') FROM customer"
FILL = "INSERT INTO customer SELECT 'C' || i, 'good' FROM generate_series(1, 1000) AS i"
STOCK = "INSERT INTO stock VALUES ({id}, 1)"


@pytest.fixture
def pair(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[Pair]:
    """A thousand customers on both sides, an engine at work."""
    made = Pair(tmp_path, "runaway", {"erp": erp_db, "crm": crm_db}, RULES, {"erp": TABLES, "crm": TABLES})
    made.sql("erp", FILL)
    made.start()
    made.becomes("crm", CUSTOMERS, [(1000, 1000)])
    yield made
    made.close()


def stopped(pair: Pair) -> dict[str, Any]:
    """Waits until something is stopped, and returns what `status` says of it."""
    found = eventually(lambda: pair.live.document().get("stops"), 15, pair.live.log_tail)
    assert len(found) == 1
    return dict(found[0])


def flows(pair: Pair, id: str) -> None:
    """What comes later, of another entity, has arrived; so everything before has been decided."""
    pair.sql("erp", STOCK, id=id)
    pair.becomes("crm", "SELECT amount FROM stock WHERE id = {id}", [(1,)], id=id)


def test_an_emptied_table_stops_the_entity_and_is_put_back(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO orders SELECT 'O' || i, 'C' || i, 'x' FROM generate_series(1, 50) AS i")
    pair.becomes("crm", "SELECT count(*) FROM orders", [(50,)])

    pair.sql("erp", "DELETE FROM orders")

    stop = stopped(pair)
    assert (stop["entity"], stop["system"], stop["what"], stop["count"]) == ("order", "erp", "emptied", 50)
    flows(pair, "S1")
    assert pair.sql("crm", "SELECT count(*) FROM orders") == [(50,)]
    status = pair.live.json("status", expected=(3,))
    assert status["stops"] == [stop]
    said = pair.live.said()
    assert (
        "entity stopped: erp has no record of `order` left: its users deleted 50 within 1 h; nothing of it is written "
        "before `duolog allow RULES order`\n"
    ) in said

    pair.live.kill9()
    pair.start()
    assert "entity still stopped: erp has no record of `order` left" in pair.live.said()
    flows(pair, "S2")
    assert pair.sql("crm", "SELECT count(*) FROM orders") == [(50,)]

    answer = pair.live.json("allow", "order", "--undo", "erp")["answer"]
    assert answer == "`order` goes on; 50 records waited, 50 were put back"
    pair.become("SELECT count(*), count(*) FILTER (WHERE note = 'x') FROM orders", [(50, 50)])
    eventually(lambda: pair.live.document().get("stops") == [], 10, pair.live.log_tail)
    because = {entry["because"] for entry in pair.live.journal() if entry["entity"] == "order"}
    [words] = because
    assert words.endswith(": erp has no record of `order` left: its users deleted 50 within 1 h")
    pair.sql("crm", "UPDATE orders SET note = 'y' WHERE id = 'O7'")
    pair.becomes("erp", "SELECT note FROM orders WHERE id = 'O7'", [("y",)])


def test_an_update_without_where_stops_and_is_put_back_but_for_what_others_wrote(pair: Pair) -> None:
    pair.sql("erp", "UPDATE customer SET name = 'gone mad'")

    stop = stopped(pair)
    assert stop["why"] == "users of erp updated 1000 records of `customer` within 10 min; 50 are allowed"
    flows(pair, "S1")
    assert pair.sql("crm", CUSTOMERS) == [(1000, 1000)]
    pair.sql("crm", "UPDATE customer SET name = 'by hand' WHERE id = 'C5'")
    pair.sql("crm", STOCK, id="S2")
    pair.becomes("erp", "SELECT amount FROM stock WHERE id = 'S2'", [(1,)])

    answer = pair.live.json("allow", "customer", "--undo", "erp")["answer"]
    assert answer == "`customer` goes on; 1000 records waited, 999 were put back"
    pair.become(CUSTOMERS, [(1000, 999)])
    pair.become("SELECT name FROM customer WHERE id = 'C5'", [("by hand",)])


def test_a_drip_below_the_limit_flows_and_an_update_of_all_that_is_meant_is_allowed(pair: Pair) -> None:
    for part in range(50):
        pair.sql("erp", "UPDATE customer SET name = 'drip' WHERE id = {id}", id=f"C{part + 1}")
    pair.becomes("crm", CUSTOMERS, [(1000, 950)])
    assert pair.live.document()["stops"] == []

    pair.sql("erp", "UPDATE customer SET name = 'meant' WHERE id = 'C51'")
    assert stopped(pair)["count"] == 51
    pair.sql("erp", "UPDATE customer SET name = 'meant'")
    flows(pair, "S1")
    assert pair.sql("crm", CUSTOMERS) == [(1000, 950)]
    assert pair.live.json("allow", "customer")["answer"] == "`customer` goes on; 1000 records waited"
    pair.becomes("crm", "SELECT count(*) FROM customer WHERE name = 'meant'", [(1000,)])


def test_a_deletion_of_all_that_a_person_restores_by_hand_leaves_nothing_to_write(pair: Pair) -> None:
    pair.sql("erp", "DELETE FROM customer")
    assert stopped(pair)["what"] == "deletes"
    pair.sql("erp", FILL)
    flows(pair, "S1")
    written = pair.live.document()["counters"]["written"]

    assert pair.live.json("allow", "customer")["answer"] == "`customer` goes on; 1000 records waited"
    flows(pair, "S2")

    assert pair.live.document()["counters"]["written"] <= written + 1, "only the stock"
    pair.become(CUSTOMERS, [(1000, 1000)])


def test_an_import_larger_than_allowed_waits_with_what_refers_to_it(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO customer SELECT 'N' || i, 'good' FROM generate_series(1, 2001) AS i",
             "INSERT INTO orders VALUES ('O1', 'N7', 'x'), ('O2', 'C7', 'x')")  # fmt: skip
    assert stopped(pair)["what"] == "inserts"
    pair.becomes("crm", "SELECT id FROM orders", [("O2",)])
    assert pair.sql("crm", CUSTOMERS) == [(1000, 1000)]
    assert pair.quarantine() == {}

    pair.live.json("allow", "customer")

    pair.becomes("crm", CUSTOMERS, [(3001, 3001)])
    pair.becomes("crm", "SELECT id FROM orders ORDER BY id", [("O1",), ("O2",)])


def test_a_transaction_larger_than_memory_is_stopped_as_a_whole(pair: Pair) -> None:
    pair.sql("erp", "INSERT INTO stock SELECT 'B' || i, 1 FROM generate_series(1, 60000) AS i")
    pair.becomes("crm", "SELECT count(*) FROM stock", [(60000,)], 120)

    pair.sql("erp", "DELETE FROM stock")

    found = eventually(lambda: pair.live.document().get("stops"), 120, pair.live.log_tail)
    assert (found[0]["what"], found[0]["count"]) == ("emptied", 60000)
    pair.sql("erp", "INSERT INTO orders VALUES ('O1', 'C1', 'x')")
    pair.becomes("crm", "SELECT id FROM orders", [("O1",)])
    assert pair.sql("crm", "SELECT count(*) FROM stock") == [(60000,)]
    pair.live.json("allow", "stock", "--undo", "erp")
    pair.become("SELECT count(*) FROM stock", [(60000,)], 120)
