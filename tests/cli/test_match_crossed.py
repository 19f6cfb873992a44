"""`duolog match` where each system has a key of its own: who is whom is shown first, and can still be mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.desk import Desk
from tests.cli.test_crossed_live import CRM_TABLES, ERP_TABLES, RULES
from tests.cli.test_match import matched


@pytest.fixture
def pair(erp_db: str, crm_db: str, tmp_path: Path) -> Iterator[Desk]:
    """Two databases that agree but for a customer of each, and two that may be one."""
    desk = Desk(RULES, {"erp": erp_db, "crm": crm_db}, tmp_path, "crossed.yaml")
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    for table in ("hr_employee", "party", "party_code", "party_group", "country"):
        desk.sql("erp", f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    desk.sql("crm", """
        INSERT INTO accounts VALUES ('W', 12, 'DE2', 'Bolt again', 'DE', 4), ('W', 13, 'FR 3', 'Ada Limited', 'XX', 4)
    """)
    desk.sql("erp", "UPDATE party SET name = 'Ada Limited' WHERE id = 1")
    desk.call("setup")
    yield desk
    desk.stop()


def of_kind(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The customers of one kind."""
    return [r for r in found["records"] if r["kind"] == kind and r["entity"] == "customer"]


def test_pairs_likenesses_and_codes_without_a_counterpart_are_told_with_the_systems_keys(pair: Desk) -> None:
    found = matched(pair, "--values")

    assert found["entities"]["employee"]["equal"] == 2
    [differing] = of_kind(found, "differing")
    assert differing["keys"] == {"erp": "1", "crm": "W/10"}
    assert differing["fields"][0]["values"] == {"erp": ["Ada Limited"], "crm": ["Ada Ltd"]}
    [likely] = of_kind(found, "ambiguous")
    assert (likely["systems"], likely["missing"], likely["looks_like"]) == (["crm"], ["erp"], ["erp:2"])
    assert [r["keys"] for r in of_kind(found, "one-sided")] == [{"crm": "W/13"}]


def test_an_identity_that_paired_the_wrong_rows_is_forgotten_with_the_report(pair: Desk) -> None:
    pair.rewrite("identity: [{field: vat_no, same: compact}]", "identity: [name]")
    wrong = matched(pair)
    pair.rewrite("identity: [name]", "identity: [{field: vat_no, same: compact}]")

    right = matched(pair)

    found = [[(r["key"], r["keys"]) for r in of_kind(each, "differing")] for each in (wrong, right)]
    assert found == [
        [("erp:1", {"erp": "1", "crm": "W/13"})],
        [("erp:1", {"erp": "1", "crm": "W/10"})],
    ]  # fmt: skip


def test_what_was_read_of_parts_and_code_tables_is_still_known_when_it_has_been_accepted(pair: Desk) -> None:
    pair.sql("crm", "DELETE FROM accounts WHERE no IN (12, 13)")
    pair.call("match", "--accept")

    with pair.running():
        pair.sql("erp", "UPDATE party SET name = 'Ada & Co', country_id = 2 WHERE id = 1")
        told = pair.settle()

    assert told["quarantine"] == 0
    assert pair.sql("crm", "SELECT vat_number, account_name, country FROM accounts WHERE no = 10") == [
        ("AT 1", "Ada & Co", "DE")
    ]
