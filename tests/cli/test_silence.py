"""No password and no row's content in any log, status, error or listing, whatever goes wrong.

Every column but the keys holds a canary, and so does the address's password; then everything that can go wrong with a
row goes wrong. Only what is asked for the values may tell them: `explain`, `held`, `journal --json` and `--values`,
`verify --values`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.cli.desk import CRM_TABLES, ERP_TABLES, SHOP, Desk

ROW = "xCANARYx"
PASSWORD = "pwCANARYpw"
COMMANDS = [
    line.split()
    for line in """
    check
    check --json
    check --role somebody
    setup
    setup --dry-run
    setup --json
    status
    status --json
    journal
    journal --entity customer --key C1
    quarantine
    quarantine --json
    retry
    retry --json
    resolve customer C1 terms --take crm
    resolve customer C404 --take crm --json
    explain customer C404
    explain nobody C1
    verify --wait 0
    verify --wait 0 --json
    """.strip().splitlines()
]


@pytest.fixture
def shop(erp_db: str, crm_db: str, tmp_path: Path) -> Desk:
    """The shop, with a password in each address (which the servers of the tests do not ask for)."""
    desk = Desk(SHOP, {"erp": erp_db, "crm": crm_db}, tmp_path)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    for system, url in desk.urls.items():
        place = conninfo_to_dict(url)
        desk.addresses[f"{system.upper()}_URL"] = (
            f"postgresql://postgres:{PASSWORD}@{place['host']}:{place['port']}/{place['dbname']}"
        )
    desk._environment.update(desk.addresses)
    return desk


FAULTS = {
    "erp": [
        "ALTER TABLE customer DROP CONSTRAINT customer_stage_check",
        "ALTER TABLE customer ALTER stage TYPE text",
        f"ALTER TABLE customer ADD CONSTRAINT no_refusal CHECK (name <> '{ROW} refused by the erp')",
    ],
    "crm": [
        "CREATE UNIQUE INDEX one_each ON sales.account (billing_city)",
        "CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "   IF NEW.account_name ~ 'told' THEN RAISE EXCEPTION 'refused: %', NEW USING DETAIL = NEW::text; END IF;"
        "   RETURN NEW; END $$",
        "CREATE TRIGGER tells BEFORE INSERT OR UPDATE ON sales.account FOR EACH ROW EXECUTE FUNCTION tells()",
    ],
}


def test_neither_a_password_nor_a_row_is_in_any_output(shop: Desk) -> None:
    for system, statements in FAULTS.items():
        for statement in statements:
            shop.sql(system, statement)
    shop.ask("setup")

    with shop.running():
        row = "INSERT INTO customer VALUES (%s, %s, %s, %s, 10, %s, %s)"
        shop.sql("erp", row, "C1", f"{ROW} fine", ROW, "A", "N30", ROW)
        shop.sql("erp", row, "C2", f"{ROW} same city", ROW, "A", None, ROW)  # unique there
        shop.sql("erp", row, "C3", f"{ROW} told", None, "A", None, ROW)  # a trigger tells all
        shop.sql("erp", row, "C4", f"{ROW} stage", None, ROW, None, ROW)  # no word for that stage
        shop.sql("erp", row, "C5", f"{ROW} long city", ROW * 10, "A", None, ROW)  # too long there
        shop.sql("erp", "INSERT INTO doc_line VALUES ('D1', 1, 'C2', 7001234.56)")
        refused = f"{ROW} refused by the erp"
        shop.sql("crm", "INSERT INTO sales.account (account_no, account_name) VALUES ('C6', %s)", refused)
        shop.eventually(lambda: shop.status()["quarantine"] >= 6)
        everything(shop)
        assert shop.ask("run").returncode == 4
    shop.sql("erp", "UPDATE customer SET terms = 'CANARY1', name = %s WHERE no = 'C1'", f"{ROW} erp")
    moved = "UPDATE sales.account SET terms = 'CANARY2', account_name = %s WHERE account_no = 'C1'"
    shop.sql("crm", moved, f"{ROW} crm")
    with shop.running():
        everything(shop)
    shop.start()
    shop.settle()
    shop.sql("crm", "TRUNCATE sales.line")
    assert shop._process is not None and shop._process.wait(60) == 3
    everything(shop)
    shop.ask("teardown", "--yes")
    assert shop.ask("run").returncode == 3

    said = shop.output()
    assert "C2" in said and "23505" in said  # the keys and the reasons are told
    assert songs(said, ROW) == []
    assert songs(said, PASSWORD) == []
    assert songs(said, "CANARY") == []
    assert songs(said, "7001234.56") == []
    assert "Traceback" not in said


def everything(shop: Desk) -> None:
    """Gives every command that prints anything, and was not asked for values."""
    for command in COMMANDS:
        shop.here(*command)


BROKEN = {
    "nobody there": "postgresql://postgres:{password}@127.0.0.1:1/erp",
    "no such database": "postgresql://postgres:{password}@{host}:{port}/nowhere",
    "no such role": "postgresql://nobody_here:{password}@{host}:{port}/{dbname}",
    "no such host": "postgresql://postgres:{password}@nowhere.invalid/erp",
    "an unknown option": "postgresql://postgres:{password}@{host}:{port}/{dbname}?colour=red",
    "no number as port": "postgresql://postgres:{password}@{host}:port/{dbname}",
    "no address": "postgresql//{password}",
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_address_that_does_not_work_is_told_without_its_password(shop: Desk, how: str) -> None:
    place = conninfo_to_dict(shop.urls["erp"])
    shop._environment["ERP_URL"] = BROKEN[how].format(password=PASSWORD, **place)

    for verb in ("check", "run") if how == "nobody there" else ("check",):
        said = shop.ask(verb)
        assert said.returncode in (1, 2, 3)
        assert "mend: " in said.stderr or "allowed: " in said.stderr
    assert songs(shop.output(), PASSWORD) == []
    assert "Traceback" not in shop.output()


def songs(said: str, canary: str) -> list[str]:
    """The lines in which a canary sings."""
    return [line for line in said.splitlines() if canary in line]
