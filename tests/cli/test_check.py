"""`duolog check`: what is wrong is told with a mend, and the mend mends it, on real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from service.embedded import EmbeddedServer
from tests.cli.desk import Desk

ITEM = """\
duolog: 1
name: stock
systems:
  erp: {adapter: postgresql, url: "${ERP_URL}"}
  crm: {adapter: postgresql, url: "${CRM_URL}"}
entities:
  item:
    identity: [code]
    conflict: last_writer
    bind: {erp: {table: item}, crm: {table: item}}
    fields: {code: code, name: name, number: number}
"""
TABLE = "CREATE TABLE item (code text PRIMARY KEY, name text, number integer)"
WITHOUT_KEY = "ALTER TABLE item DROP CONSTRAINT item_pkey, REPLICA IDENTITY FULL"


@pytest.fixture
def stock(erp_db: str, crm_db: str, tmp_path: Path) -> Desk:
    """One table of the same name on both sides, with nothing wrong."""
    desk = Desk(ITEM, {"erp": erp_db, "crm": crm_db}, tmp_path)
    for system in ("erp", "crm"):
        desk.sql(system, TABLE)
    return desk


def findings(desk: Desk, severity: str, system: str = "erp") -> dict[str, dict[str, Any]]:
    """What `check --json` finds of that severity, by code."""
    document = json.loads(desk.ask("check", "--json").stdout)
    return {f["code"]: f for f in document["findings"] if (f["severity"], f["system"]) == (severity, system)}


ERRORS = {
    "P202": ["ALTER TABLE item SET UNLOGGED"],
    "P205": ["ALTER TABLE item ALTER number SET NOT NULL, ALTER number ADD GENERATED ALWAYS AS IDENTITY"],
    "P210": [WITHOUT_KEY],
    "P211": [WITHOUT_KEY, "CREATE UNIQUE INDEX ON item (code)", "ALTER TABLE item ALTER code DROP NOT NULL"],
    "P220": ["ALTER TABLE item REPLICA IDENTITY NOTHING"],
    "P221": [
        "ALTER TABLE item ALTER number SET NOT NULL", "CREATE UNIQUE INDEX by_number ON item (number)",
        "ALTER TABLE item REPLICA IDENTITY USING INDEX by_number",
    ],
    "P222": [
        "DROP TABLE item",
        "CREATE TABLE item (code text NOT NULL, name text, number integer) PARTITION BY LIST (code)",
        "CREATE TABLE item_a PARTITION OF item FOR VALUES IN ('a')",
        "CREATE UNIQUE INDEX ON item (code)",
        "ALTER TABLE item REPLICA IDENTITY FULL",
    ],
}  # fmt: skip


@pytest.mark.parametrize("code", ERRORS)
def test_the_mend_of_an_error_is_sql_that_mends_it(stock: Desk, code: str) -> None:
    for statement in ERRORS[code]:
        stock.sql("erp", statement)

    found = findings(stock, "error")
    assert set(found) == {code}

    stock.sql("erp", found[code]["mend"])
    assert stock.ask("check").returncode == 0


def test_a_finding_is_printed_with_its_mend_below(stock: Desk) -> None:
    stock.sql("erp", "ALTER TABLE item REPLICA IDENTITY NOTHING")

    said = stock.ask("check")

    assert said.returncode == 1
    assert (
        "erp: error[P220]: `public.item` has REPLICA IDENTITY NOTHING: once published, the application's own UPDATE "
        "and DELETE would fail\n"
        '  mend: ALTER TABLE "public"."item" REPLICA IDENTITY DEFAULT;\n'
    ) in said.stdout
    assert "1 to be mended, " in said.stdout


WARNINGS = {
    "P240": [
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER looks BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION nothing()",
    ],
    "P241": ["CREATE RULE quiet AS ON DELETE TO item DO ALSO NOTHING"],
    "P242": ["CREATE TABLE part (code text REFERENCES item ON DELETE CASCADE)"],
}


@pytest.mark.parametrize("code", WARNINGS)
def test_a_warning_is_told_and_does_not_fail_the_check(stock: Desk, code: str) -> None:
    for statement in WARNINGS[code]:
        stock.sql("erp", statement)

    said = stock.ask("check")

    assert said.returncode == 0
    assert f"erp: warning[{code}]: " in said.stdout


def test_a_table_taken_out_of_the_publication_is_told_and_setup_puts_it_back(stock: Desk) -> None:
    stock.call("setup")
    stock.sql("erp", "ALTER PUBLICATION duolog_stock_erp DROP TABLE item")

    found = findings(stock, "error")

    assert set(found) == {"P140"}
    assert found["P140"]["mend"].startswith("duolog setup RULES")
    stock.call("setup")
    assert findings(stock, "error") == {}


def test_a_server_whose_log_does_not_tell_enough_is_told(
    own_server: EmbeddedServer, crm_db: str, tmp_path: Path
) -> None:
    own_server.settings["wal_level"] = "replica"
    own_server.start()
    desk = Desk(ITEM, {"erp": own_server.create_database("erp"), "crm": crm_db}, tmp_path)
    for system in ("erp", "crm"):
        desk.sql(system, TABLE)

    found = findings(desk, "error")

    assert set(found) == {"P104"}
    assert found["P104"]["mend"] == "ALTER SYSTEM SET wal_level = 'logical';  -- then restart the server"


def test_both_systems_are_told_at_once(stock: Desk) -> None:
    stock.sql("erp", "ALTER TABLE item REPLICA IDENTITY NOTHING")
    stock.sql("crm", "ALTER TABLE item SET UNLOGGED")

    said = stock.ask("check").stdout

    assert "erp: error[P220]" in said
    assert "crm: error[P202]" in said
    assert "2 to be mended" in said


def test_a_missing_table_or_column_is_told_at_its_place_in_the_rule_file(stock: Desk) -> None:
    stock.sql("erp", "ALTER TABLE item RENAME name TO title")
    stock.sql("crm", "DROP TABLE item")

    said = stock.ask("check")

    assert said.returncode == 2
    assert "shop.yaml:11:" in said.stderr
    assert "error[R402]" in said.stderr
    assert "error[R401]" in said.stderr


def test_offline_looks_at_the_file_alone_and_opens_nothing(tmp_path: Path) -> None:
    nowhere = {"erp": "postgresql://nobody@127.0.0.1:1/erp", "crm": "postgresql://nobody@127.0.0.1:1/crm"}
    desk = Desk(ITEM, nowhere, tmp_path)

    assert desk.ask("check", "--offline").returncode == 0
    assert desk.ask("check").returncode == 1

    desk.rewrite("identity: [code]", "identity: [cod]")
    said = desk.ask("check", "--offline")
    told = json.loads(desk.ask("check", "--offline", "--json").stdout)

    assert said.returncode == 2
    assert "error[R305]" in said.stderr
    assert "R305" in [problem["code"] for problem in told["problems"]]
