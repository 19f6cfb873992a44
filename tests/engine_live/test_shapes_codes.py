"""Codes: states and countries that are words in one system and keys of a code table in the other, and numbers that the
application draws from a sequence of its own; between real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from tests.engine_live.shapes import ShapeOf, shapes
from tests.engine_live.world import eventually


@pytest.fixture
def shape(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[ShapeOf]:
    """Makes a shape between two fresh databases."""
    with shapes(tmp_path, {"erp": erp_db, "crm": crm_db}) as make:
        yield make


def test_states_that_are_words_here_and_ids_of_a_code_table_there(shape: ShapeOf) -> None:
    pair = shape(
        """
  order:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: orders, key: id}, crm: {table: orders, key: id}}
    fields:
      no: no
      state:
        erp:
          column: state
          lookup: {table: state, key: id, by: code}
          map: {DR: draft, OK: confirmed, WIP: working, FIN: done, CAN: cancelled}
        crm: state
      tag: {erp: {column: tag, lookup: {table: tag, key: id, by: name, missing: insert}}, crm: tag}
""",
        """
CREATE TABLE state (id integer PRIMARY KEY, code text NOT NULL UNIQUE);
INSERT INTO state VALUES (10, 'DR'), (20, 'OK'), (30, 'WIP'), (40, 'FIN'), (90, 'CAN');
CREATE TABLE tag (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE orders (
    id serial PRIMARY KEY, no text, state integer NOT NULL REFERENCES state, tag integer REFERENCES tag
);
""",
        """
CREATE TABLE orders (
    id serial PRIMARY KEY, no text, tag text,
    state text NOT NULL CHECK (state IN ('draft', 'confirmed', 'working', 'on hold', 'done', 'cancelled'))
);
""",
    )
    pair.sql("crm", "INSERT INTO orders (no, state, tag) VALUES ('O1', 'draft', 'new'), ('O2', 'on hold', 'new')")
    query: LiteralString = (
        "SELECT no, code, name FROM orders JOIN state AS s ON s.id = state LEFT JOIN tag AS t ON t.id = tag ORDER BY 1"
    )
    pair.becomes("erp", query, [("O1", "DR", "new")])
    [reason] = eventually(pair.quarantine, 10, pair.live.log_tail).values()
    assert "state" in reason and "on hold" not in reason  # the reason, but no content

    pair.sql("crm", "UPDATE orders SET state = 'working' WHERE no = 'O2'")
    pair.becomes("erp", query, [("O1", "DR", "new"), ("O2", "WIP", "new")])
    pair.sql("erp", "INSERT INTO state VALUES (50, 'NEW')", "UPDATE orders SET state = 50 WHERE no = 'O1'")
    eventually(pair.quarantine, 10, pair.live.log_tail)
    pair.sql("erp", "UPDATE orders SET state = 40 WHERE no = 'O1'")
    pair.becomes("crm", "SELECT no, state FROM orders ORDER BY 1", [("O1", "done"), ("O2", "working")])
    pair.agrees()


def test_a_code_that_is_missing_is_waited_for(shape: ShapeOf) -> None:
    pair = shape(
        """
  customer:
    identity: [name]
    conflict: last_writer
    bind: {erp: {table: customer, key: id}, crm: {table: customer, key: id}}
    fields:
      name: name
      country: {erp: {column: country, lookup: {table: country, key: id, by: iso}}, crm: country}
""",
        """
CREATE TABLE country (id serial PRIMARY KEY, iso text NOT NULL UNIQUE);
CREATE TABLE customer (id serial PRIMARY KEY, name text, country integer REFERENCES country);
""",
        "CREATE TABLE customer (id serial PRIMARY KEY, name text, country text)",
    )
    pair.sql("crm", "INSERT INTO customer (name, country) VALUES ('Acme', 'DE'), ('nowhere', NULL)")
    eventually(pair.quarantine, 10, pair.live.log_tail)
    query: LiteralString = "SELECT name, iso FROM customer LEFT JOIN country ON country.id = country ORDER BY 1"
    pair.becomes("erp", query, [("nowhere", None)])

    pair.sql("erp", "INSERT INTO country (iso) VALUES ('FR'), ('DE')")
    pair.becomes("erp", query, [("Acme", "DE"), ("nowhere", None)])
    pair.sql("erp", "UPDATE customer SET country = 1 WHERE name = 'nowhere'")
    pair.becomes("crm", "SELECT country FROM customer WHERE name = 'nowhere'", [("FR",)])
    pair.agrees()


def test_a_code_of_the_applications_own_sequence_is_told_on_the_other_side(shape: ShapeOf) -> None:
    pair = shape(
        """
  customer:
    identity: [name]
    conflict: last_writer
    bind:
      erp: {table: customer, key: id, on_create: {code: "nextval('customer_code')"}}
      crm: {table: customer, key: id}
    fields:
      name: name
      city: city
      code: {erp: code, crm: code, owner: erp}
""",
        """
CREATE SEQUENCE customer_code START 700;
CREATE TABLE customer (id serial PRIMARY KEY, name text, city text, code text NOT NULL UNIQUE);
""",
        "CREATE TABLE customer (id serial PRIMARY KEY, name text, city text, code text)",
    )
    codes: LiteralString = "SELECT name, code FROM customer ORDER BY code"
    pair.sql("crm", "INSERT INTO customer (name) VALUES ('Acme')")
    pair.becomes("crm", codes, [("Acme", "700")])
    pair.sql("erp", "INSERT INTO customer (name, code) VALUES ('Bolt', nextval('customer_code'))")
    pair.become(codes, [("Acme", "700"), ("Bolt", "701")])

    pair.sql("crm", "UPDATE customer SET code = 'mine' WHERE name = 'Bolt'")
    pair.sql("erp", "UPDATE customer SET code = '9' WHERE name = 'Acme'")
    pair.become(codes, [("Bolt", "701"), ("Acme", "9")])
    with pair.apart():
        pair.sql("erp", "DELETE FROM customer WHERE name = 'Acme'")
        pair.sql("crm", "UPDATE customer SET city = 'Ulm' WHERE name = 'Acme'")
    pair.become(codes, [("Bolt", "701"), ("Acme", "9")])  # brought back under the code that it had
    pair.agrees()
