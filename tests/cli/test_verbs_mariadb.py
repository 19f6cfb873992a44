"""The commands with a CRM on MariaDB: set up, checked, run, compared, and taken down again, with the least rights.

The user is made with nothing but what `duolog check --role` printed; then each right is taken away, one at a time.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.demo.engine import COMMAND
from tests.cli.desk import ERP_TABLES, SHOP, Desk
from tests.crowd import within

USER = "shop_keeper"

MIXED = SHOP.replace("crm: {adapter: postgresql", "crm: {adapter: mariadb").replace("sales.", "")

CRM_TABLES = """
CREATE TABLE account (
    account_no varchar(20) PRIMARY KEY, account_name varchar(80) NOT NULL, billing_city varchar(40),
    stage varchar(20) CHECK (stage IN ('prospect', 'active')), credit_limit decimal(12,2), terms varchar(8),
    score integer
);
CREATE TABLE line (
    doc varchar(12), number integer, account_no varchar(20), amount decimal(12,2),
    PRIMARY KEY (doc, number), FOREIGN KEY (account_no) REFERENCES account (account_no)
);
"""


@pytest.fixture
def desk(erp_db: str, crm_maria: str, tmp_path: Path) -> Iterator[Desk]:
    """The shop between a PostgreSQL and a MariaDB, with its tables, not set up."""
    desk = Desk(MIXED, {"erp": erp_db, "crm": crm_maria}, tmp_path)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    yield desk
    desk.stop()


@pytest.fixture
def grants(desk: Desk) -> Iterator[list[str]]:
    """What was printed for the user of the CRM, who has exactly that; the desk's commands come to it as that user."""
    desk.call("setup")
    told = json.loads(desk.ask("check", "--role", f"crm={USER}@127.0.0.1", "--json").stdout)["grants"]
    assert list(told) == ["crm"]
    printed: list[str] = told["crm"]
    desk.sql("crm", f"CREATE USER {USER}@'127.0.0.1'")
    for statement in printed:
        desk.sql("crm", statement)
    erp = desk.addresses["ERP_URL"]
    desk.arrive_as(USER)
    desk.addresses["ERP_URL"] = erp
    desk._environment.update(desk.addresses)
    yield printed
    desk.stop()
    desk.sql("crm", f"DROP USER {USER}@'127.0.0.1'")


def test_setup_tells_first_what_it_makes_and_teardown_takes_it_away(desk: Desk) -> None:
    desk.sql("crm", "DROP DATABASE IF EXISTS duolog")
    dry = desk.ask("setup", "--dry-run").stdout
    assert "CREATE DATABASE IF NOT EXISTS duolog" in dry and "CREATE TABLE IF NOT EXISTS duolog.ledger" in dry
    assert desk.sql("crm", "SHOW DATABASES LIKE 'duolog'") == []

    desk.call("setup")
    desk.sql("crm", "DROP DATABASE duolog")
    refused = desk.ask("run")
    assert refused.returncode == 3
    assert "crm: not set up: database `duolog`, table `duolog.ledger`" in refused.stderr

    desk.call("setup")
    assert desk.ask("setup", "--dry-run").returncode == 0
    assert desk.sql("crm", "SHOW TABLES FROM duolog") == [("ledger",)]

    desk.call("teardown", "--yes")
    assert desk.sql("crm", "SHOW DATABASES LIKE 'duolog'") == []


def test_check_judges_both_databases_in_their_own_words(desk: Desk) -> None:
    desk.call("setup")
    desk.sql("crm", "ALTER TABLE line DROP FOREIGN KEY line_ibfk_1; ALTER TABLE line ENGINE = MyISAM")
    said = desk.ask("check")

    assert said.returncode == 1
    assert "P202" in said.stdout and "ENGINE = InnoDB" in said.stdout


def test_a_table_that_is_not_there_is_told_with_the_nearest(desk: Desk) -> None:
    desk.rewrite("crm: {table: account}", "crm: {table: acount}")
    said = desk.ask("check")

    assert said.returncode == 2
    assert ".acount`" in said.stderr and ".account`?" in said.stderr


def test_the_whole_engine_runs_with_exactly_the_rights_that_check_prints(desk: Desk, grants: list[str]) -> None:
    desk.sql("erp", "INSERT INTO customer (no, name, stage) VALUES ('C1', 'Ada', 'P'), ('C2', 'Bob', 'A')")
    desk.sql("crm", "INSERT INTO account (account_no, account_name) VALUES ('C2', 'Rob'), ('C3', 'Eve')")
    checked = desk.ask("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    with desk.running():
        desk.sql("erp", "UPDATE customer SET city = 'Graz', credit_limit = 70 WHERE no = 'C1'")
        desk.sql("crm", "UPDATE account SET account_name = 'Eva' WHERE account_no = 'C3'")
        desk.sql("erp", "INSERT INTO doc_line VALUES ('D1', 1, 'C1', 5)")
        desk.sql("crm", "INSERT INTO line VALUES ('D2', 1, 'C2', 7)")
        desk.settle()
        desk.sql("crm", "DELETE FROM line WHERE doc = 'D2'")
        desk.sql("erp", "DELETE FROM doc_line WHERE doc = 'D1'")
        desk.sql("erp", "DELETE FROM customer WHERE no = 'C1'")
        desk.sql("crm", "DELETE FROM account WHERE account_no = 'C2'")  # comes back
        desk.settle()
        desk.quietly("crm", "UPDATE account SET billing_city = 'Linz' WHERE account_no = 'C3'")
        desk.sql("erp", "UPDATE customer SET city = 'Steyr' WHERE no = 'C3'")  # finds what no log told, and looks
        desk.settle()

    assert desk.sql("erp", "SELECT no, name FROM customer ORDER BY no") == [("C2", "Bob"), ("C3", "Eva")]
    assert desk.sql("crm", "SELECT account_no, account_name FROM account ORDER BY 1") == [("C2", "Bob"), ("C3", "Eva")]
    assert desk.sql("crm", "SELECT count(*) FROM line") == [(0,)]
    assert desk.ask("verify").returncode == 0
    assert desk.ask("setup", "--dry-run").returncode == 0
    status = desk.status()
    assert re.fullmatch(r"\d{6}:\d+", status["systems"]["crm"]["position"])


def test_check_names_each_right_that_is_taken_away_and_its_mend_gives_it_back(desk: Desk, grants: list[str]) -> None:
    missed = []
    for taken in [revocation for statement in grants for revocation in revocations(statement)]:
        desk.sql("crm", taken)
        answer = desk.here("check", "--json")
        errors = [f for f in json.loads(answer.stdout)["findings"] if f["severity"] == "error"]
        if answer.exit_code != 1 or [f["system"] for f in errors] != ["crm"]:
            missed.append(f"{taken}: {answer.stdout} {answer.stderr}")
        for finding in errors:
            desk.sql("crm", finding["mend"])
    answer = desk.here("check")
    assert missed == [] and answer.exit_code == 0, answer.stdout


def test_a_shadow_beside_the_engine_finds_what_other_rules_would_have_done(desk: Desk) -> None:
    desk.call("setup")
    desk.sql("erp", "INSERT INTO customer (no, name, stage) VALUES ('C1', 'Ada', 'P')")
    new = desk.rules.with_name("new.yaml")
    text = desk.rules.read_text(encoding="utf-8")
    new.write_text(text.replace("crm: account_name}", "crm: account_name, owner: erp}"), encoding="utf-8")
    with desk.running():
        follow = [*COMMAND, "run", str(new), "--shadow", str(desk.rules), "--json", "--values"]
        said = desk.folder / "shadow.said"
        with said.open("wb") as out:
            shadow = subprocess.Popen(
                follow, env=desk._environment, cwd=desk.folder, stdout=out, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        number = 0

        def told() -> bool:
            nonlocal number
            assert shadow.poll() is None
            number += 1
            desk.sql("crm", f"UPDATE account SET account_name = 'Name {number}' WHERE account_no = 'C1'")
            desk.settle()
            return said.stat().st_size > 0

        try:
            desk.eventually(told)  # whenever it came to listen
        finally:
            shadow.send_signal(signal.SIGINT)
            _, trouble = shadow.communicate()
        assert shadow.returncode == 0, trouble
        *found, summary = map(json.loads, said.read_text(encoding="utf-8").splitlines())

        ended = subprocess.run(
            [*follow, "--for", "1s"], env=desk._environment, cwd=desk.folder,
            capture_output=True, text=True, timeout=within(60), check=False,
        )  # fmt: skip
        assert ended.returncode == 0 and "summary" in json.loads(ended.stdout.splitlines()[-1]), ended.stderr

    assert found and {(each["entity"], *each["fields"]) for each in found} == {("customer", "name")}, said
    assert summary["summary"]["transactions"] > 0
    assert desk.sql("erp", "SELECT name FROM customer") == [(f"Name {number}",)], "nobody was kept from his work"


def test_day_one_in_two_steps(desk: Desk) -> None:
    desk.call("setup")
    desk.sql("erp", "INSERT INTO customer (no, name, stage) VALUES ('C1', 'Ada', 'P'), ('C2', 'Bob', 'A')")
    desk.sql("crm", "INSERT INTO account (account_no, account_name, stage) VALUES ('C2', 'Rob', 'active')")

    planned = desk.ask("plan")
    assert planned.returncode == 0, planned.stderr
    matched = desk.ask("match")
    assert matched.returncode == 1, "there is something to be looked at"
    accepted = desk.ask("match", "--accept")
    assert accepted.returncode == 0, accepted.stderr

    with desk.running():
        pass
    assert desk.sql("crm", "SELECT account_no, account_name, stage FROM account ORDER BY 1") == [
        ("C1", "Ada", "prospect"), ("C2", "Bob", "active"),
    ]  # fmt: skip


def revocations(statement: str) -> list[str]:
    """The statements that take back what one printed statement gives, right by right, column by column."""
    found = re.fullmatch(r"GRANT (\w+) \((.*)\) ON (.*) TO (.*);", statement)
    if found is not None:
        verb, columns, table, user = found.groups()
        return [f"REVOKE {verb} ({column}) ON {table} FROM {user}" for column in columns.split(", ")]
    found = re.fullmatch(r"GRANT (.*) ON (.*) TO (.*);", statement)
    assert found is not None, statement
    rights, thing, user = found.groups()
    return [f"REVOKE {right} ON {thing} FROM {user}" for right in rights.split(", ")]
