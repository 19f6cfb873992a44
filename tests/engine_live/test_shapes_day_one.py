"""Systems that are full on day one, without a key in common: their rows are paired by identity, and everything that
refers to them follows; references in circles, and records that an application makes one; between real servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from tests.engine_live.shapes import ShapeOf, shapes

RULES = """
  customer:
    identity: [[{field: vat, same: compact}], [{field: name, same: blanks}]]
    conflict: system_of_record
    order: [crm, erp]
    bind:
      erp:
        table: party
        parts: {phone: {table: reach, on: "party = root.id", where: "kind = 1", first_by: -id, clear: delete}}
        where: customer
      crm: {table: account}
    fields:
      name:  {erp: name, crm: name}
      vat:   {erp: vat, crm: vat}
      phone: {erp: phone.value, crm: phone}
      chief: {erp: main_person, crm: chief, reference: person}
  person:
    identity: [customer, name]
    conflict: last_writer
    bind: {erp: {table: person, key: id}, crm: {table: contact, key: id}}
    fields:
      customer: {erp: party, crm: account, reference: customer}
      name:     name
"""
ERP: LiteralString = """
CREATE TABLE party (
    id serial PRIMARY KEY, name text NOT NULL, vat text, customer boolean NOT NULL DEFAULT false, main_person integer
);
CREATE TABLE reach (
    id serial PRIMARY KEY, party integer NOT NULL REFERENCES party, kind integer NOT NULL, value text NOT NULL
);
CREATE TABLE person (id serial PRIMARY KEY, party integer NOT NULL REFERENCES party, name text NOT NULL);
ALTER TABLE party ADD FOREIGN KEY (main_person) REFERENCES person;
"""
ERP_FULL: LiteralString = """
INSERT INTO party (name, vat, customer) SELECT 'Firm  ' || i, 'DE ' || i, i % 10 > 0 FROM generate_series(1, 300) AS i;
INSERT INTO reach (party, kind, value) SELECT id, kind, 'old ' || id FROM party, generate_series(1, 2) AS kind;
INSERT INTO reach (party, kind, value) SELECT id, 1, 'erp ' || id FROM party;
INSERT INTO person (party, name) SELECT id, 'chief' FROM party WHERE customer;
UPDATE party SET main_person = person.id FROM person WHERE person.party = party.id;
"""
CRM: LiteralString = """
CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, vat text, phone text, chief uuid
);
CREATE TABLE contact (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account uuid NOT NULL REFERENCES account, name text NOT NULL
);
ALTER TABLE account ADD FOREIGN KEY (chief) REFERENCES contact;
"""
CRM_FULL: LiteralString = """
INSERT INTO account (name, vat, phone) SELECT 'FIRM ' || i, CASE WHEN i % 2 = 0 THEN 'de' || i END, 'crm ' || i
FROM generate_series(201, 400) AS i;
INSERT INTO contact (account, name) SELECT id, person FROM account, unnest('{chief,help}'::text[]) AS person;
"""
BOTH: dict[str, LiteralString] = {
    "erp": "SELECT p.name, vat, (SELECT value FROM reach WHERE party = p.id AND kind = 1 ORDER BY id DESC LIMIT 1),"
           " m.name, (SELECT string_agg(name, ',' ORDER BY name) FROM person WHERE party = p.id)"
           " FROM party AS p LEFT JOIN person AS m ON m.id = main_person WHERE customer"
           " ORDER BY p.name COLLATE ucs_basic",
    "crm": "SELECT a.name, vat, phone, m.name,"
           " (SELECT string_agg(name, ',' ORDER BY name) FROM contact WHERE account = a.id)"
           " FROM account AS a LEFT JOIN contact AS m ON m.id = chief ORDER BY a.name COLLATE ucs_basic",
}  # fmt: skip


@pytest.fixture
def shape(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[ShapeOf]:
    """Makes a shape between two fresh databases."""
    with shapes(tmp_path, {"erp": erp_db, "crm": crm_db}) as make:
        yield make


@pytest.mark.parametrize("dies_at", ["", "snapshots_taken", "first_merge", "base_agreed", "after_target_commit"])
def test_full_systems_are_paired_and_complete_each_other(dies_at: str, shape: ShapeOf) -> None:
    pair = shape(RULES, ERP + ERP_FULL, CRM + CRM_FULL, dies_at=dies_at)

    pair.becomes("crm", "SELECT count(*) FROM account", [(380,)])  # 270 and 200, 90 of them in both
    found = pair.sql("erp", BOTH["erp"])
    pair.becomes("crm", BOTH["crm"], found)
    by_name = {row[0]: row[1:] for row in found}
    assert by_name["Firm  1"] == ("DE 1", "erp 1", "chief", "chief")
    assert by_name["FIRM 202"] == ("de202", "crm 202", None, "chief,help")

    pair.sql("erp", "UPDATE party SET name = 'one' WHERE id = 1")
    pair.sql("crm",
        "UPDATE account SET chief = c.id FROM contact AS c WHERE c.account = account.id AND c.name = 'help'",
    )  # fmt: skip
    pair.becomes("crm", "SELECT name FROM account WHERE vat = 'DE 1'", [("one",)])
    pair.becomes("erp", BOTH["erp"], pair.sql("crm", BOTH["crm"]))
    pair.agrees()


def test_references_in_a_circle_arrive_whole_and_a_record_that_is_joined_by_its_application_is_listed(
    shape: ShapeOf,
) -> None:
    pair = shape(RULES, ERP, CRM)
    new: LiteralString = (
        "WITH p AS (INSERT INTO party (name, customer) VALUES ({name}, true) RETURNING id)"
        " INSERT INTO person (party, name) SELECT id, {name} FROM p"
    )
    for name in ("Acme", "Bolt"):
        pair.sql("erp", new, "UPDATE party SET main_person = person.id FROM person WHERE person.party = party.id"
                             " AND party.name = {name}", name=name)  # fmt: skip
    query: LiteralString = (
        "SELECT a.name, c.name FROM account AS a JOIN contact AS c ON c.id = chief AND a.id = account ORDER BY 1"
    )
    pair.becomes("crm", query, [("Acme", "Acme"), ("Bolt", "Bolt")])

    pair.sql("erp",
        "UPDATE person SET party = (SELECT id FROM party WHERE name = 'Acme')",
        "DELETE FROM party WHERE name = 'Bolt'",
    )  # fmt: skip

    pair.becomes("crm", "SELECT a.name, c.name FROM contact AS c JOIN account AS a ON a.id = account ORDER BY 2",
                 [("Acme", "Acme"), ("Acme", "Bolt")])  # fmt: skip
    pair.becomes("crm", "SELECT name FROM account", [("Acme",)])
    assert "joined" in {entry["kind"] for entry in pair.live.journal()}
    pair.agrees()


ARCHIVED = """
  customer:
    identity: [vat]
    conflict: system_of_record
    bind:
      erp: {table: party, deactivate: {active: "false"}}
      crm: {table: account, key: id}
    fields: {vat: vat, name: name}
  visit:
    identity: [customer, day]
    conflict: system_of_record
    bind: {erp: {table: visit, key: id}, crm: {table: visit, key: id}}
    fields: {customer: {erp: party, crm: account, reference: customer}, day: day}
"""


def test_what_the_erp_has_archived_is_known_on_day_one_and_made_no_second_time(shape: ShapeOf) -> None:
    """Found by a newcomer: 40 customers of 300 were made anew beside their archived rows, and their visits waited."""
    pair = shape(ARCHIVED, """
CREATE TABLE party (id serial PRIMARY KEY, vat text, name text NOT NULL, active boolean NOT NULL DEFAULT true);
CREATE TABLE visit (id serial PRIMARY KEY, party integer NOT NULL REFERENCES party, day date NOT NULL);
INSERT INTO party (vat, name, active) SELECT 'V' || i, 'Firm ' || i, i > 20 FROM generate_series(1, 60) AS i;
INSERT INTO visit (party, day) SELECT id, '2026-01-01' FROM party WHERE id > 10;
""", """
CREATE TABLE account (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), vat text, name text NOT NULL);
CREATE TABLE visit (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account uuid NOT NULL REFERENCES account, day date NOT NULL
);
INSERT INTO account (vat, name) SELECT 'V' || i, 'Firm ' || i FROM generate_series(11, 70) AS i;
""")  # fmt: skip

    pair.becomes("crm", "SELECT count(*) FROM visit", [(50,)])
    pair.becomes("erp", "SELECT count(*), count(*) FILTER (WHERE active), count(DISTINCT vat) FROM party",
                 [(70, 60, 70)])  # fmt: skip
    pair.becomes("crm", "SELECT count(*), count(DISTINCT vat) FROM account", [(60, 60)])
    pair.sql("erp", "UPDATE party SET active = true WHERE vat = 'V1'")
    pair.becomes("crm", "SELECT name FROM account WHERE vat = 'V1'", [("Firm 1",)])
    pair.agrees()
