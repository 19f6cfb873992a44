"""duolog works with exactly the rights that `duolog check --role` prints, and `check` names each one that is missing.

The role is made with nothing but what was printed, on databases where PUBLIC may do nothing; the whole engine runs as
it: first merge, writes, creations, deletions, a row read again. Then each right is taken away, one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.desk import Desk

ROLE = "shop_keeper"
CLOSED = "REVOKE ALL ON SCHEMA public FROM PUBLIC"

OWNED = """\
duolog: 1
name: prices
systems:
  erp: {adapter: postgresql, url: "${ERP_URL}"}
  crm: {adapter: postgresql, url: "${CRM_URL}"}
entities:
  product:
    identity: [sku]
    owner: erp
    on_delete_conflict: delete
    bind: {erp: {table: product}, crm: {table: product}}
    fields:
      sku:  sku
      unit: {erp: {column: unit, map: {P: piece, K: kilogram}}, crm: unit}
"""
Grants = dict[str, list[str]]


@contextmanager
def as_role(desk: Desk) -> Iterator[Grants]:
    """The desk set up by the superuser, then with the role's eyes: it has exactly what was printed for it."""
    for system in desk.urls:
        desk.sql(system, CLOSED)
        desk.sql(system, f"CREATE ROLE {ROLE}")
    desk.call("setup")
    grants: Grants = json.loads(desk.ask("check", "--role", ROLE, "--json").stdout)["grants"]
    for system, statements in grants.items():
        for statement in statements:
            desk.sql(system, statement)
    desk.arrive_as(ROLE)
    try:
        yield grants
    finally:
        desk.stop()
        for system in desk.urls:
            desk.sql(system, f"DROP OWNED BY {ROLE}")
            desk.sql(system, f"DROP ROLE {ROLE}")


@pytest.fixture
def grants(desk: Desk) -> Iterator[Grants]:
    """What the role was granted on the shop; the desk's commands come as the role."""
    with as_role(desk) as printed:
        yield printed


def test_the_whole_engine_runs_with_exactly_the_rights_that_check_prints(desk: Desk, grants: Grants) -> None:
    desk.sql("erp", "INSERT INTO customer (no, name, stage) VALUES ('C1', 'Ada', 'P'), ('C2', 'Bob', 'A')")
    desk.sql("crm", "INSERT INTO sales.account (account_no, account_name) VALUES ('C2', 'Rob'), ('C3', 'Eve')")
    assert desk.ask("check").returncode == 0

    with desk.running():
        desk.sql("erp", "UPDATE customer SET city = 'Graz', credit_limit = 70 WHERE no = 'C1'")
        desk.sql("crm", "UPDATE sales.account SET account_name = 'Eva' WHERE account_no = 'C3'")
        desk.sql("erp", "INSERT INTO doc_line VALUES ('D1', 1, 'C1', 5)")
        desk.sql("crm", "INSERT INTO sales.line VALUES ('D2', 1, 'C2', 7)")
        desk.settle()
        desk.sql("crm", "DELETE FROM sales.line WHERE doc = 'D2'")
        desk.sql("erp", "DELETE FROM doc_line WHERE doc = 'D1'")
        desk.sql("erp", "DELETE FROM customer WHERE no = 'C1'")
        desk.sql("crm", "DELETE FROM sales.account WHERE account_no = 'C2'")  # comes back
        desk.settle()
        desk.quietly("crm", "UPDATE sales.account SET billing_city = 'Linz' WHERE account_no = 'C3'")
        desk.sql("erp", "UPDATE customer SET city = 'Steyr' WHERE no = 'C3'")  # finds what no log told, and looks
        desk.settle()

    assert desk.sql("erp", "SELECT no, name FROM customer ORDER BY no") == [("C2", "Bob"), ("C3", "Eva")]
    assert desk.sql("crm", "SELECT account_no, account_name FROM sales.account ORDER BY 1") == [
        ("C2", "Bob"), ("C3", "Eva"),
    ]  # fmt: skip
    assert desk.sql("crm", "SELECT count(*) FROM sales.line") == [(0,)]
    assert desk.ask("verify").returncode == 0
    assert desk.ask("setup", "--dry-run").returncode == 0


def test_a_row_of_a_table_that_we_may_only_read_can_be_read_again(erp_db: str, crm_db: str, tmp_path: Path) -> None:
    """Reading a row again takes its lock, for which PostgreSQL asks for the right to write one of its columns."""
    desk = Desk(OWNED, {"erp": erp_db, "crm": crm_db}, tmp_path)
    for system in desk.urls:
        desk.sql(system, "CREATE TABLE product (sku text PRIMARY KEY, unit text, shelf serial)")
    with as_role(desk) as printed, desk.running():
        assert 'GRANT UPDATE ("sku") ON "public"."product" TO "shop_keeper";' in printed["erp"]
        desk.sql("erp", "INSERT INTO product VALUES ('S1', 'Z')")  # a unit that the rules have no word for
        desk.eventually(lambda: json.loads(desk.here("quarantine", "--json").stdout))
        desk.ask("retry", "product", "S1")
        desk.sql("erp", "UPDATE product SET unit = 'K'")
        desk.eventually(lambda: desk.sql("crm", "SELECT 1 FROM product WHERE unit = 'kilogram'"))


def test_check_names_each_right_that_is_taken_away_and_its_mend_gives_it_back(desk: Desk, grants: Grants) -> None:
    missed = []
    for system, statements in grants.items():
        for taken in [revocation for statement in statements for revocation in revocations(statement)]:
            desk.sql(system, taken)
            answer = desk.here("check", "--json")
            errors = [f for f in json.loads(answer.stdout)["findings"] if f["severity"] == "error"]
            if answer.exit_code != 1 or [f["system"] for f in errors] != [system]:
                missed.append(f"{system}: {taken}: {answer.stdout}")
            for finding in errors:
                desk.sql(system, finding["mend"])
        answer = desk.here("check")
        if answer.exit_code != 0:
            missed.append(f"{system}: after all mends: {answer.stdout}")
    assert missed == []


def test_a_role_that_may_not_log_in_is_told(desk: Desk, grants: Grants) -> None:
    desk.sql("erp", f"ALTER ROLE {ROLE} NOLOGIN")

    said = desk.ask("check")

    assert said.returncode == 3
    assert said.stderr.startswith("D211 erp: ")
    assert "mend: " in said.stderr


def revocations(statement: str) -> list[str]:
    """The statements that take back what one printed statement gives, column by column."""
    if statement.startswith("ALTER ROLE"):
        return [f"ALTER ROLE {ROLE} NOREPLICATION"]
    found = re.fullmatch(r"GRANT (\w+) \((.*)\) ON (.*) TO (.*);", statement)
    if found is not None:
        verb, columns, table, role = found.groups()
        return [f"REVOKE {verb} ({column}) ON {table} FROM {role}" for column in columns.split(", ")]
    found = re.fullmatch(r"GRANT (.*) ON (.*) TO (.*);", statement)
    assert found is not None, statement
    rights, thing, role = found.groups()
    return [f"REVOKE {right} ON {thing} FROM {role}" for right in rights.split(", ")]
