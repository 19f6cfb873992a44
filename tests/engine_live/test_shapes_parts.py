"""One business object in several tables, as real ERPs have it, against one row of a CRM: made, changed and ended on
either side, between real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from tests.engine_live.shapes import ShapeOf, shapes
from tests.engine_live.world import eventually

PARTY: LiteralString = """
CREATE TABLE party (
    id serial PRIMARY KEY, name text NOT NULL, active boolean NOT NULL DEFAULT true, touched timestamptz
);
CREATE TABLE address (
    id serial PRIMARY KEY, party integer NOT NULL REFERENCES party ON DELETE CASCADE, seq integer, street text,
    city text
);
CREATE TABLE reach (
    id serial PRIMARY KEY, party integer NOT NULL REFERENCES party ON DELETE CASCADE, kind smallint NOT NULL,
    value text NOT NULL CHECK (value <> ''), seq integer
);
CREATE TABLE role (
    party integer NOT NULL REFERENCES party ON DELETE CASCADE, what text NOT NULL, PRIMARY KEY (party, what)
);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.touched := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON party FOR EACH ROW EXECUTE FUNCTION touch();
"""
ACCOUNT: LiteralString = """
CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, street text, city text, phone text, mobile text,
    email text, fax text, modified timestamptz DEFAULT now()
);
"""
CUSTOMER = """
  customer:
    identity: [{field: name, same: blanks}]
    conflict: last_writer
    delete: propagate
    leave: {erp: LEAVE}
    bind:
      erp:
        table: party
        parts:
          address: {table: address, on: "party = root.id", first_by: [seq, -id]}
          phone:  {table: reach, on: "party = root.id and kind = 1", first_by: seq, clear: delete}
          mobile: {table: reach, on: "party = root.id and kind = 2", first_by: seq, clear: delete}
          email:  {table: reach, on: "party = root.id and kind = 3", first_by: seq, clear: delete}
          fax:    {table: reach, on: "party = root.id and kind = 4", first_by: seq, clear: delete}
          role:   {table: role, on: "party = root.id", where: "what = 'customer'"}
        member_when: role
        remove: row
      crm: {table: account}
    fields:
      name:   name
      street: {erp: address.street, crm: street}
      city:   {erp: address.city, crm: city}
      phone:  {erp: phone.value, crm: phone}
      mobile: {erp: mobile.value, crm: mobile}
      email:  {erp: email.value, crm: email}
      fax:    {erp: fax.value, crm: fax}
    groups: {address: [street, city]}
"""
REACH: LiteralString = "SELECT kind, value FROM reach JOIN party ON party.id = party WHERE name = {name} ORDER BY 1, 2"
ROW: LiteralString = "SELECT street, city, phone, mobile, email, fax FROM account WHERE name = {name}"


@pytest.fixture
def shape(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[ShapeOf]:
    """Makes a shape between two fresh databases."""
    with shapes(tmp_path, {"erp": erp_db, "crm": crm_db}) as make:
        yield make


def test_one_row_is_a_party_an_address_and_four_contact_rows_by_kind(shape: ShapeOf) -> None:
    pair = shape(CUSTOMER.replace("LEAVE", "ignore"), PARTY, ACCOUNT)
    pair.sql("crm",
        "INSERT INTO account (name, street, city, phone, email) VALUES ('Acme', 'Ring 1', 'Ulm', '1', 'a@a')",
    )  # fmt: skip
    pair.sql("erp",
        "INSERT INTO party (id, name) VALUES (900, 'Bolt'), (901, 'a supplier')",
        "INSERT INTO role VALUES (900, 'customer'), (900, 'supplier'), (901, 'supplier')",
        "INSERT INTO reach (party, kind, value, seq)"
        " VALUES (900, 1, 'late', NULL), (900, 1, 'first', 1), (900, 4, '9', 1)",
        "INSERT INTO address (party, seq, city) VALUES (900, 1, 'Bonn'), (900, 1, 'Köln')",
    )  # fmt: skip
    pair.becomes("erp", REACH, [(1, "1"), (3, "a@a")], name="Acme")
    pair.becomes("crm", ROW, [(None, "Köln", "first", None, None, "9")], name="Bolt")

    pair.sql("crm", "UPDATE account SET phone = NULL, fax = '7', city = 'Trier' WHERE name = 'Acme'")
    pair.sql("erp", "DELETE FROM reach WHERE value = 'first'", "UPDATE address SET seq = 0 WHERE city = 'Bonn'")
    pair.becomes("erp", REACH, [(3, "a@a"), (4, "7")], name="Acme")
    pair.becomes("crm", ROW, [(None, "Bonn", "late", None, None, "9")], name="Bolt")
    pair.becomes("erp", "SELECT street, city FROM address JOIN party ON party = party.id WHERE name = 'Acme'",
                 [("Ring 1", "Trier")])  # fmt: skip

    pair.sql("crm", "DELETE FROM account WHERE name = 'Acme'")
    pair.becomes("erp", "SELECT name FROM party ORDER BY 1", [("Bolt",), ("a supplier",)])
    pair.sql("erp", "DELETE FROM party WHERE name = 'Bolt'")
    pair.becomes("crm", "SELECT name FROM account", [])
    pair.sql("crm", "INSERT INTO account (name, mobile) VALUES (' ACME ', '2')")  # entered again, in another spelling
    pair.becomes("erp", REACH, [(2, "2")], name=" ACME ")
    pair.sql("erp", "UPDATE party SET name = 'Acme'")
    pair.becomes("crm", ROW, [(None, None, None, "2", None, None)], name="Acme")
    pair.agrees()


@pytest.mark.parametrize(("leave", "left"), [("ignore", [("Acme",), ("Bolt",)]), ("delete", [("Bolt",)])])
def test_being_a_customer_is_only_a_link_row(leave: str, left: list[tuple[str]], shape: ShapeOf) -> None:
    pair = shape(CUSTOMER.replace("LEAVE", leave), PARTY, ACCOUNT)
    pair.sql("erp", "INSERT INTO party (id, name) VALUES (900, 'Acme'), (901, 'Bolt')")
    pair.sql("erp", "INSERT INTO role VALUES (901, 'customer')")
    pair.becomes("crm", "SELECT name FROM account", [("Bolt",)])
    pair.sql("erp", "INSERT INTO role VALUES (900, 'customer')")
    pair.becomes("crm", "SELECT name FROM account ORDER BY 1", [("Acme",), ("Bolt",)])

    pair.sql("erp", "DELETE FROM role WHERE party = 900")
    pair.sql("erp", "UPDATE party SET name = 'Bolt' WHERE id = 901", "UPDATE party SET name = 'Acme AG' WHERE id = 900")
    pair.sql("crm", "UPDATE account SET city = 'Ulm' WHERE name = 'Bolt'")
    pair.becomes("erp", "SELECT city FROM address WHERE party = 901", [("Ulm",)])
    pair.becomes("crm", "SELECT name FROM account ORDER BY 1", list(left))

    pair.sql("erp", "INSERT INTO role VALUES (900, 'customer')")
    pair.becomes("crm", "SELECT name FROM account ORDER BY 1", [("Acme AG",), ("Bolt",)])
    pair.agrees()


CIRCLE = """
  company:
    identity: [name]
    conflict: last_writer
    delete: propagate
    bind:
      erp:
        table: company
        parts:
          seat: {table: seat, on: "id = root.seat and company = root.id", clear: CLEAR, remove: row}
      crm: {table: account}
    fields:
      name:   name
      street: {erp: seat.street, crm: street}
      city:   {erp: seat.city, crm: city}
"""
CIRCLE_ERP: LiteralString = """
CREATE TABLE company (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL UNIQUE, seat uuid);
CREATE TABLE seat (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), company uuid NOT NULL REFERENCES company, street text, city text
);
ALTER TABLE company ADD FOREIGN KEY (seat) REFERENCES seat;
"""


@pytest.mark.parametrize(("clear", "seats"), [("unlink", 2), ("delete", 1), ("keep", 1)])
def test_an_address_points_at_its_company_and_the_company_at_its_address(
    clear: str, seats: int, shape: ShapeOf
) -> None:
    pair = shape(CIRCLE.replace("CLEAR", clear), CIRCLE_ERP, ACCOUNT)
    pair.sql("crm", "INSERT INTO account (name, street, city) VALUES ('Acme', 'Ring 1', 'Ulm')")
    pair.sql("erp",
        "WITH c AS (INSERT INTO company (name) VALUES ('Bolt') RETURNING id)"
        " INSERT INTO seat (company, city) SELECT id, 'Bonn' FROM c",
        "UPDATE company SET seat = seat.id FROM seat WHERE company.id = seat.company",
    )  # fmt: skip
    both: LiteralString = """
        SELECT name, street, city FROM company LEFT JOIN seat ON seat.id = seat AND company = company.id ORDER BY 1
    """
    count: LiteralString = "SELECT count(*) FROM seat JOIN company ON company.id = company WHERE name = 'Acme'"
    pair.becomes("erp", both, [("Acme", "Ring 1", "Ulm"), ("Bolt", None, "Bonn")])
    pair.becomes("crm", "SELECT name, city FROM account ORDER BY 1", [("Acme", "Ulm"), ("Bolt", "Bonn")])

    pair.sql("crm", "UPDATE account SET street = NULL, city = NULL WHERE name = 'Acme'")
    pair.becomes("erp", both, [("Acme", None, None), ("Bolt", None, "Bonn")])
    pair.sql("crm", "UPDATE account SET city = 'Trier' WHERE name = 'Acme'")
    pair.becomes("erp", both, [("Acme", None, "Trier"), ("Bolt", None, "Bonn")])
    assert pair.sql("erp", count) == [(seats,)]

    pair.sql("crm", "DELETE FROM account WHERE name = 'Bolt'")
    pair.becomes("erp", both, [("Acme", None, "Trier")])
    pair.agrees()


FAMILY = """
  firm:
    identity: [name]
    conflict: last_writer
    delete: propagate
    bind:
      erp: {table: node, parts: {firm: {table: firm, on: "node = root.id"}}, member_when: firm, remove: row}
      crm: {table: account}
    fields:
      name: name
      city: {erp: firm.tax_office, crm: city}
  person:
    identity: [email]
    conflict: last_writer
    delete: propagate
    bind:
      erp:
        table: node
        parts:
          human: {table: human, on: "node = root.id"}
          staff: {table: staff, on: "node = human.node"}
          link: {table: link, on: "source = root.id and kind = 'in'", clear: delete}
          mirror:
            table: link
            on: "id = link.mirror and source = link.target and target = link.source"
            where: "kind = 'of'"
            clear: delete
            on_create: {mirror: link.id}
        member_when: [human, staff]
        remove: row
      crm: {table: person}
    fields:
      name:  name
      born:  {erp: human.born, crm: born}
      email: {erp: staff.email, crm: email}
      firm:  {erp: link.target, crm: account, reference: firm}
"""
FAMILY_ERP: LiteralString = """
CREATE TABLE node (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE firm (node integer PRIMARY KEY REFERENCES node ON DELETE CASCADE, tax_office text);
CREATE TABLE human (node integer PRIMARY KEY REFERENCES node ON DELETE CASCADE, born date);
CREATE TABLE staff (node integer PRIMARY KEY REFERENCES human ON DELETE CASCADE, email text UNIQUE);
CREATE TABLE link (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, kind text NOT NULL, source integer NOT NULL REFERENCES node,
    target integer NOT NULL REFERENCES node, mirror bigint UNIQUE REFERENCES link DEFERRABLE
);
"""
FAMILY_CRM: LiteralString = """
CREATE TABLE account (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, city text);
CREATE TABLE person (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, born date, email text,
    account uuid REFERENCES account
);
"""
LINKS: LiteralString = """
SELECT a.name, l.kind, b.name, m.kind FROM link AS l JOIN node AS a ON a.id = l.source JOIN node AS b ON b.id = l.target
JOIN link AS m ON m.id = l.mirror AND m.mirror = l.id AND m.source = l.target AND m.target = l.source ORDER BY 1, 3
"""


def test_three_tables_share_a_generated_key_and_two_link_rows_mirror_each_other(shape: ShapeOf) -> None:
    pair = shape(FAMILY, FAMILY_ERP, FAMILY_CRM)
    pair.sql("crm",
        "INSERT INTO account (name, city) VALUES ('Acme', 'Ulm'), ('Bolt', NULL)",
        "INSERT INTO person (name, email, account) SELECT 'Ann', 'ann@x', id FROM account WHERE name = 'Acme'",
        "INSERT INTO person (name, email) VALUES ('Bo', 'bo@x')",
    )  # fmt: skip
    pair.becomes("erp", LINKS, [("Acme", "of", "Ann", "in"), ("Ann", "in", "Acme", "of")])
    pair.becomes("erp", "SELECT name, email FROM node JOIN staff ON node = id ORDER BY 1",
                 [("Ann", "ann@x"), ("Bo", "bo@x")])  # fmt: skip

    pair.sql("erp",
        "WITH n AS (INSERT INTO node (name) VALUES ('Cy') RETURNING id), h AS (INSERT INTO human SELECT id FROM n)"
        " INSERT INTO link (kind, source, target) SELECT 'in', n.id, f.id FROM n, node AS f WHERE f.name = 'Bolt'",
        "INSERT INTO link (kind, source, target, mirror)"
        " SELECT 'of', target, source, id FROM link WHERE mirror IS NULL",
        "UPDATE link AS l SET mirror = m.id FROM link AS m WHERE m.mirror = l.id AND l.mirror IS NULL",
        "INSERT INTO staff SELECT id, 'cy@x' FROM node WHERE name = 'Cy'",
    )  # fmt: skip
    query: LiteralString = "SELECT p.name, a.name FROM person AS p LEFT JOIN account AS a ON a.id = account ORDER BY 1"
    pair.becomes("crm", query, [("Ann", "Acme"), ("Bo", None), ("Cy", "Bolt")])

    pair.sql("crm",
        "UPDATE person SET account = (SELECT id FROM account WHERE name = 'Bolt') WHERE name IN ('Ann', 'Bo')",
    )  # fmt: skip
    pair.sql("crm", "UPDATE person SET account = NULL, born = '1990-01-02' WHERE name = 'Cy'")
    pair.becomes("erp", LINKS, [
        ("Ann", "in", "Bolt", "of"), ("Bo", "in", "Bolt", "of"),
        ("Bolt", "of", "Ann", "in"), ("Bolt", "of", "Bo", "in"),
    ])  # fmt: skip
    pair.becomes("erp", "SELECT born::text FROM human JOIN node ON id = node WHERE name = 'Cy'", [("1990-01-02",)])
    [(ann,)] = pair.sql("erp", "SELECT id FROM node WHERE name = 'Ann'")
    pair.sql("erp",
        "UPDATE link SET mirror = NULL WHERE {ann} IN (source, target)",
        "DELETE FROM link WHERE {ann} IN (source, target)", ann=ann,
    )  # fmt: skip
    pair.becomes("crm", query, [("Ann", None), ("Bo", "Bolt"), ("Cy", None)])

    pair.sql("crm", "DELETE FROM person WHERE name IN ('Bo', 'Cy')")
    pair.becomes("erp", "SELECT name FROM node ORDER BY 1", [("Acme",), ("Ann",), ("Bolt",)])
    pair.becomes("erp", LINKS, [])
    pair.sql("erp", "DELETE FROM node WHERE name = 'Ann'")
    pair.becomes("crm", query, [])
    pair.agrees()


SWITCHED = """
  customer:
    identity: [name]
    conflict: last_writer
    delete: {erp: deactivate, crm: hold}
    leave: {erp: LEAVE}
    bind:
      erp:
        table: party
        parts: {role: {table: role, on: "party = root.id", where: "what = 'customer'"}}
        member_when: role
        deactivate: {active: "false"}
      crm: {table: account, deactivate: {fax: gone}, reactivate: {fax: here}, on_create: {fax: "'here'"}}
    fields:
      name: name
"""
STATES: LiteralString = "SELECT name, fax FROM account ORDER BY 1"


def test_who_leaves_is_switched_off_elsewhere_and_on_again_when_he_is_back(shape: ShapeOf) -> None:
    pair = shape(SWITCHED.replace("LEAVE", "deactivate"), PARTY, ACCOUNT)
    pair.sql("erp", "INSERT INTO party (id, name) VALUES (900, 'Acme'), (901, 'Bolt')",
                    "INSERT INTO role VALUES (900, 'customer'), (901, 'customer')")  # fmt: skip
    pair.becomes("crm", STATES, [("Acme", "here"), ("Bolt", "here")])

    pair.sql("erp", "DELETE FROM role WHERE party = 900", "UPDATE party SET active = false WHERE id = 901")
    pair.becomes("crm", STATES, [("Acme", "gone"), ("Bolt", "gone")])
    pair.sql("erp", "INSERT INTO role VALUES (900, 'customer')")
    pair.sql("crm", "UPDATE account SET fax = 'here' WHERE name = 'Bolt'")
    pair.becomes("crm", STATES, [("Acme", "here"), ("Bolt", "here")])
    pair.becomes("erp", "SELECT name, active FROM party ORDER BY 1", [("Acme", True), ("Bolt", True)])
    pair.agrees()


@pytest.mark.parametrize(("system", "left"), [("erp", []), ("crm", [("Acme", "here")])])
def test_who_leaves_or_is_deleted_waits_for_a_person_where_the_rules_say_so(
    system: str, left: list[tuple[str, str]], shape: ShapeOf
) -> None:
    pair = shape(SWITCHED.replace("LEAVE", "hold"), PARTY, ACCOUNT)
    pair.sql("erp", "INSERT INTO party (id, name) VALUES (900, 'Acme')", "INSERT INTO role VALUES (900, 'customer')")
    pair.becomes("crm", STATES, [("Acme", "here")])

    pair.sql("erp", "DELETE FROM role")
    eventually(lambda: pair.live.json("held"), 10, pair.live.log_tail)
    assert pair.sql("crm", STATES) == [("Acme", "here")]

    pair.live.json("resolve", "customer", "Acme", "--take", system)
    pair.becomes("erp", "SELECT count(*) FROM role", [(len(left),)])
    pair.becomes("crm", "SELECT name, fax FROM account WHERE fax = 'here'", list(left))
    pair.agrees()
