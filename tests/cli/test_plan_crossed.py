"""`duolog plan` of records with a key of their own in each system, in rows of several tables: told as then written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.cli.test_crossed_live import CRM_TABLES, ERP_TABLES, RULES
from tests.cli.test_plan import plan, traces, writes


@pytest.fixture
def pair(erp_db: str, crm_db: str, tmp_path: Path) -> Desk:
    """Two databases that agree, and share no key; set up."""
    desk = Desk(RULES, {"erp": erp_db, "crm": crm_db}, tmp_path, "crossed.yaml")
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    desk.call("setup")
    return desk


def test_parts_codes_references_creations_and_what_left_are_planned_as_written(pair: Desk) -> None:
    pair.sql("crm", "INSERT INTO accounts (vat_number, account_name, country, owner_id) VALUES ('FR3', 'Coq', 'DE', 4)")
    assert writes(plan(pair)) == {("erp", "crm:W/1"): "create"}
    with pair.running():
        pass
    assert plan(pair)["rows"] == 0

    pair.sql("erp", "UPDATE party_code SET code = 'AT 9' WHERE code = 'AT 1'")
    pair.sql("erp", "UPDATE party SET country_id = 1, rep_id = 41 WHERE id = 2")
    pair.sql("erp", "INSERT INTO hr_employee VALUES (43, 'c@x', 'Cid')")
    pair.sql("crm", "DELETE FROM accounts WHERE no = 1")
    before = traces(pair)

    said = plan(pair, "--values")

    assert traces(pair) == before
    assert writes(said) == {
        ("crm", "erp:43"): "create",
        ("crm", "erp:1"): {"vat_no": "erp wrote it"},
        ("crm", "erp:2"): {"country": "erp wrote it", "rep": "erp wrote it"},
        ("erp", "crm:W/1"): "delete",
    }
    (rep,) = [f for w in said["writes"] if w["key"] == "erp:2" for f in w["fields"] if f["field"] == "rep"]
    assert (rep["held"], rep["new"]) == ("4", "3")
    with pair.running():
        pass
    assert pair.sql("crm", "SELECT no, vat_number, country, owner_id FROM accounts ORDER BY no") == [
        (10, "AT 9", "AT", 3), (11, "DE 2", "AT", 3),
    ]  # fmt: skip
    assert plan(pair)["rows"] == 0
