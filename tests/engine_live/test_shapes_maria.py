"""One business object in several tables of a MariaDB, with an expression that says which of its rows are one, against
one row of a CRM of either kind: made, changed and ended on either side, between real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_live.shapes import ShapeOf, shapes
from tests.ground import MARIADB, POSTGRESQL

PARTY = """
CREATE TABLE party (
    id int AUTO_INCREMENT PRIMARY KEY, name varchar(80) NOT NULL, status varchar(9) NOT NULL DEFAULT 'active',
    boss int REFERENCES party (id), touched datetime(6)
);
CREATE TABLE address (
    id char(36) PRIMARY KEY DEFAULT uuid(), party int NOT NULL REFERENCES party (id), seq int, street varchar(80),
    city varchar(80)
);
CREATE TABLE reach (
    id int AUTO_INCREMENT PRIMARY KEY, party int NOT NULL REFERENCES party (id), kind smallint NOT NULL,
    value varchar(80) NOT NULL, token char(36) NOT NULL
);
CREATE TRIGGER touch_new BEFORE INSERT ON party FOR EACH ROW SET NEW.touched = utc_timestamp(6);
CREATE TRIGGER touch BEFORE UPDATE ON party FOR EACH ROW SET NEW.touched = utc_timestamp(6);
"""
ACCOUNT = {
    POSTGRESQL: "CREATE TABLE account (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, street text,"
    " city text, phone text, email text, boss uuid)",
    MARIADB: "CREATE TABLE account (id uuid PRIMARY KEY DEFAULT uuid(), name varchar(80) NOT NULL, street varchar(80),"
    " city varchar(80), phone varchar(80), email varchar(80), boss uuid)",
}
CUSTOMER = """
  customer:
    identity: [{field: name, same: blanks}]
    conflict: last_writer
    delete: propagate
    leave: {erp: ignore}
    bind:
      erp:
        table: party
        where: "upper(status) <> 'GONE'"
        parts:
          address: {table: address, on: "party = root.id", first_by: [seq, -id]}
          phone: {table: reach, on: "party = root.id and kind = 1", clear: delete, on_create: {token: uuid()}}
          email: {table: reach, on: "party = root.id and kind = 3", clear: delete, on_create: {token: uuid()}}
        on_create: {status: "'active'"}
        remove: row
      crm: {table: account}
    fields:
      name:   name
      boss:   {erp: boss, crm: boss, reference: customer}
      street: {erp: address.street, crm: street}
      city:   {erp: address.city, crm: city}
      phone:  {erp: phone.value, crm: phone}
      email:  {erp: email.value, crm: email}
    groups: {address: [street, city]}
"""
REACH = "SELECT kind, value FROM reach JOIN party ON party.id = party WHERE name = {name} ORDER BY 1, 2"
ROW = "SELECT street, city, phone, email FROM account WHERE name = {name}"


@pytest.fixture(params=[POSTGRESQL, MARIADB])
def crm(request: pytest.FixtureRequest) -> str:
    """The kind of database that the CRM is."""
    return str(request.param)


@pytest.fixture
def shape(request: pytest.FixtureRequest, tmp_path: Path, erp_maria: str, crm: str) -> Iterator[ShapeOf]:
    """Makes a shape between a MariaDB and a CRM of this kind."""
    address = request.getfixturevalue({POSTGRESQL: "crm_db", MARIADB: "crm_maria"}[crm])
    with shapes(tmp_path, {"erp": erp_maria, "crm": address}) as make:
        yield make


def test_a_customer_lives_in_three_tables_of_a_mariadb_and_in_one_row_elsewhere(shape: ShapeOf, crm: str) -> None:
    pair = shape(CUSTOMER, PARTY, ACCOUNT[crm])
    pair.sql("crm", "INSERT INTO account (name, city, phone) VALUES ('Acme', 'Köln', '1')")
    pair.sql("erp",
             "INSERT INTO party (name) VALUES ('Bolt'), ('Core')",
             "INSERT INTO party (name, status) VALUES ('Old', 'gone')",
             "INSERT INTO address (party, seq, city) SELECT id, 2, 'late' FROM party WHERE name = 'Bolt'",
             "INSERT INTO address (party, seq, city) SELECT id, 1, 'Bonn' FROM party WHERE name = 'Bolt'",
             "INSERT INTO reach (party, kind, value, token) SELECT id, 3, 'b@b', uuid() FROM party WHERE name = 'Bolt'",
             "INSERT INTO reach (party, kind, value, token) SELECT id, 1, '9', uuid() FROM party WHERE name = 'Old'")

    pair.becomes("erp", REACH, [(1, "1")], name="Acme")
    pair.becomes("crm", ROW, [(None, "Bonn", None, "b@b")], name="Bolt")
    pair.sql("crm", "UPDATE account SET phone = NULL, email = 'a@a', city = 'Trier' WHERE name = 'Acme'")
    pair.sql("erp", "UPDATE address SET seq = 0 WHERE city = 'late'",
             "UPDATE party p JOIN party c ON c.name = 'Core' SET p.boss = c.id WHERE p.name = 'Bolt'")
    pair.becomes("erp", REACH, [(3, "a@a")], name="Acme")
    pair.becomes("crm", ROW, [(None, "late", None, "b@b")], name="Bolt")
    pair.becomes("crm", "SELECT b.name FROM account a JOIN account b ON b.id = a.boss", [("Core",)])
    pair.becomes("crm", "SELECT name FROM account ORDER BY 1", [("Acme",), ("Bolt",), ("Core",)])

    pair.sql("erp", "DELETE FROM address WHERE city = 'Bonn'")  # it does not count, so it is nobody's but the user's
    pair.sql("crm", "DELETE FROM account WHERE name IN ('Bolt', 'Core')")
    pair.becomes("erp", "SELECT name FROM party ORDER BY name", [("Acme",), ("Old",)])
    pair.agrees()
