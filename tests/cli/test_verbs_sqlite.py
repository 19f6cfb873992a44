"""The verbs between two files of SQLite: nothing is started, and all that a person asks for is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import ERP_TABLES, SHOP, Desk

FILES = SHOP.replace("adapter: postgresql", "adapter: sqlite").replace("sales.", "")

CRM_TABLES = """
CREATE TABLE account (
    account_no varchar(20) PRIMARY KEY NOT NULL, account_name varchar(80) NOT NULL, billing_city varchar(40),
    stage varchar(20) CHECK (stage IN ('prospect', 'active')), credit_limit decimal(12,2), terms varchar(8),
    score integer
);
CREATE TABLE line (
    doc varchar(12) NOT NULL, number integer NOT NULL, account_no varchar(20) REFERENCES account,
    amount decimal(12,2), PRIMARY KEY (doc, number)
);
"""
OURS = "SELECT name FROM sqlite_master WHERE name LIKE 'duolog%'"


@pytest.fixture
def desk(erp_sqlite: str, crm_sqlite: str, tmp_path: Path) -> Iterator[Desk]:
    """The shop between two files, with its tables, not set up."""
    desk = Desk(FILES, {"erp": erp_sqlite, "crm": crm_sqlite}, tmp_path)
    desk.sql("erp", ERP_TABLES.replace("PRIMARY KEY,", "PRIMARY KEY NOT NULL,"))
    desk.sql("crm", CRM_TABLES)
    yield desk
    desk.stop()


def test_setup_tells_first_what_it_makes_and_teardown_takes_it_away(desk: Desk) -> None:
    dry = desk.ask("setup", "--dry-run").stdout
    assert "CREATE TABLE duolog_change" in dry and "CREATE TRIGGER" in dry, dry
    assert desk.sql("crm", OURS) == []
    refused = desk.ask("run")
    assert refused.returncode == 3
    assert "not set up" in refused.stderr

    desk.call("setup")
    assert desk.sql("crm", OURS) != []
    assert desk.ask("setup", "--dry-run").returncode == 0, "nothing is missing"

    desk.call("teardown", "--yes")
    assert desk.sql("crm", OURS) == desk.sql("erp", OURS) == []


def test_users_of_two_files_see_what_the_others_write(desk: Desk) -> None:
    desk.sql("erp", "INSERT INTO customer (no, name, stage) VALUES ('C1', 'Ada', 'P'), ('C2', 'Bob', 'A')")
    desk.sql("crm", "INSERT INTO account (account_no, account_name) VALUES ('C2', 'Rob'), ('C3', 'Eve')")
    desk.call("setup")
    checked = desk.ask("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    with desk.running():
        desk.sql("erp", "UPDATE customer SET city = 'Graz', credit_limit = 70 WHERE no = 'C1'")
        desk.sql("crm", "UPDATE account SET account_name = 'Eva' WHERE account_no = 'C3'")
        desk.sql("erp", "INSERT INTO doc_line VALUES ('D1', 1, 'C1', 5)")
        desk.sql("crm", "INSERT INTO line VALUES ('D2', 1, 'C2', 7)")
        desk.settle()
        assert desk.sql("crm", "SELECT billing_city FROM account WHERE account_no = 'C1'") == [("Graz",)]
        desk.sql("crm", "DELETE FROM line WHERE doc = 'D2'")
        desk.sql("erp", "DELETE FROM doc_line WHERE doc = 'D1'")
        desk.sql("erp", "DELETE FROM customer WHERE no = 'C1'")
        desk.sql("crm", "DELETE FROM account WHERE account_no = 'C2'")  # comes back
        desk.settle()

    assert desk.sql("erp", "SELECT no, name FROM customer ORDER BY no") == [("C2", "Bob"), ("C3", "Eva")]
    assert desk.sql("crm", "SELECT account_no, account_name FROM account ORDER BY 1") == [("C2", "Bob"), ("C3", "Eva")]
    assert desk.sql("crm", "SELECT count(*) FROM line") == desk.sql("erp", "SELECT count(*) FROM doc_line") == [(0,)]
    verified = desk.ask("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_what_was_written_while_nobody_ran_is_carried_over_then(desk: Desk) -> None:
    desk.call("setup")
    with desk.running():
        pass
    desk.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
    desk.sql("crm", "INSERT INTO account (account_no, account_name) VALUES ('C2', 'Bob')")
    with desk.running():
        pass

    assert desk.sql("crm", "SELECT account_no FROM account ORDER BY 1") == [("C1",), ("C2",)]
    assert desk.sql("erp", "SELECT no FROM customer ORDER BY 1") == [("C1",), ("C2",)]


def test_a_table_without_its_triggers_is_named_by_check(desk: Desk) -> None:
    desk.call("setup")
    ((name,), *_) = desk.sql("crm", "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'account'")
    desk.sql("crm", f'DROP TRIGGER "{name}"')

    answer = desk.ask("check", "--json")

    assert answer.returncode == 1
    errors = [each for each in json.loads(answer.stdout)["findings"] if each["severity"] == "error"]
    assert [each["system"] for each in errors] == ["crm"]
    assert "account" in errors[0]["found"] and "duolog setup" in errors[0]["mend"], errors


def test_the_file_stands_beside_the_rules_and_one_that_is_not_there_is_not_made(desk: Desk) -> None:
    desk.addresses["CRM_URL"] = "sqlite:///gone.sqlite"
    desk._environment.update(desk.addresses)

    said = desk.ask("check")

    assert said.returncode == 1, said.stdout + said.stderr
    assert f"there is no file `{desk.folder}/gone.sqlite`" in said.stderr, "the rules' own folder is where names begin"
    assert not (desk.folder / "gone.sqlite").exists()
