"""`duolog plan`: says what would be written now, as it then is written, and writes nothing: no row, slot or byte."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.cli.desk import Desk

READER = "shop_reader"


def plan(desk: Desk, *options: str) -> dict[str, Any]:
    """What `plan --json` says."""
    found = desk.here("plan", "--json", *options)
    assert found.exit_code == 0, found.stderr
    said: dict[str, Any] = json.loads(found.stdout)
    return said


def writes(said: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """By (system, key): what would be done; of an update, the fields with their reasons."""
    return {
        (w["system"], w["key"]): w["what"]
        if w["what"] != "update"
        else {f["field"]: f["because"] for f in w["fields"]}
        for w in said["writes"]
    }


def traces(desk: Desk) -> dict[str, object]:
    """Everything that a write would leave behind: transaction numbers, slots, tables, and the bytes of the store."""
    found: dict[str, object] = {}
    for system in desk.urls:
        found[f"{system} next transaction"] = desk.sql(system, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        found[f"{system} slots"] = desk.sql(
            system, "SELECT slot_name, confirmed_flush_lsn::text FROM pg_replication_slots WHERE database = "
            "current_database() ORDER BY 1"
        )  # fmt: skip
        found[f"{system} relations"] = desk.sql(system, "SELECT count(*) FROM pg_class")
    for path in sorted(desk.folder.glob("*.db*")):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def fill(desk: Desk) -> None:
    """Both sides full and not alike."""
    desk.sql("erp", "INSERT INTO customer (no, name, city, stage, credit_limit, terms) VALUES "
             "('C1', 'Ada', 'Wien', 'P', 50, 'N30'), ('C2', 'Bob', 'Graz', 'A', 70, 'N30'), "
             "('C5', 'Ann', 'Enns', NULL, NULL, NULL)")  # fmt: skip
    desk.sql("crm", "INSERT INTO sales.account (account_no, account_name, billing_city, stage, credit_limit, terms) "
             "VALUES ('C2', 'Rob', 'Graz', 'active', 80, 'N60'), ('C3', 'Eve', 'Linz', 'active', NULL, NULL), "
             "('C5', 'Ann', 'Enns', NULL, NULL, NULL)")  # fmt: skip


def test_before_the_first_run_it_says_what_the_first_merge_would_write(desk: Desk) -> None:
    fill(desk)
    before = traces(desk)

    said = plan(desk)

    assert said["basis"] == "first merge"
    assert writes(said) == {
        ("erp", "C3"): "create",
        ("crm", "C1"): "create",
        ("crm", "C2"): {
            "name": "first merge: last_writer: when either committed is not known: erp comes first in erp, crm",
            "limit": "owner: only erp may write it",
        },
    }
    assert [(h["entity"], h["key"], h["already"]) for h in said["holds"]] == [("customer", "C2", False)]
    assert traces(desk) == before
    assert not list(desk.folder.glob("*.db"))


def test_a_role_that_may_only_read_can_plan(desk: Desk) -> None:
    fill(desk)
    for system, schema in (("erp", "public"), ("crm", "sales")):
        desk.sql(system, f"CREATE ROLE {READER} LOGIN")
        desk.sql(system, f"GRANT USAGE ON SCHEMA {schema} TO {READER}")
        desk.sql(system, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {READER}")
    try:
        desk.arrive_as(READER)
        assert plan(desk)["rows"] == 3
    finally:
        for system in desk.urls:
            desk.sql(system, f"DROP OWNED BY {READER}")
            desk.sql(system, f"DROP ROLE {READER}")


def test_what_was_written_while_nobody_ran_is_planned_as_it_then_is_written(ready: Desk) -> None:
    fill(ready)
    with ready.running():
        pass
    ready.sql("erp", "UPDATE customer SET name = 'Ada L', city = 'Steyr' WHERE no = 'C1'")
    ready.sql("crm", "UPDATE sales.account SET billing_city = 'Wels', credit_limit = 99 WHERE account_no = 'C3'")
    ready.sql("crm", "DELETE FROM sales.account WHERE account_no = 'C1'")
    ready.sql("erp", "DELETE FROM customer WHERE no = 'C5'")
    ready.sql("crm", "INSERT INTO sales.account (account_no, account_name) VALUES ('C4', 'Dan')")
    before = traces(ready)

    said = plan(ready, "--values")

    assert said["basis"] == "base"
    assert traces(ready) == before
    assert writes(said) == {
        ("crm", "C1"): "create",
        ("crm", "C5"): "delete",
        ("crm", "C3"): {"limit": "owner: only erp may write it"},
        ("erp", "C3"): {"city": "crm wrote it"},
        ("erp", "C4"): "create",
    }
    (wels,) = [f for w in said["writes"] if (w["system"], w["key"]) == ("erp", "C3") for f in w["fields"]]
    assert (wels["held"], wels["new"]) == ("Linz", "Wels")
    with ready.running():
        pass
    assert ready.sql("erp", "SELECT no, city FROM customer ORDER BY 1") == [
        ("C1", "Steyr"), ("C2", "Graz"), ("C3", "Wels"), ("C4", None),
    ]  # fmt: skip
    assert ready.sql("crm", "SELECT account_no, billing_city, credit_limit FROM sales.account ORDER BY 1") == [
        ("C1", "Steyr", 50), ("C2", "Graz", 70), ("C3", "Wels", None), ("C4", None, None),
    ]  # fmt: skip
    assert plan(ready)["rows"] == 0


def test_a_changed_owner_and_map_are_planned_against_the_base_while_an_engine_runs(ready: Desk) -> None:
    fill(ready)
    with ready.running():
        in_force = ready.rules.read_text(encoding="utf-8")
        assert plan(ready)["rows"] == 0
        ready.rewrite("map: {P: prospect, A: active}", "map: {P: lead, A: active}")
        ready.rewrite("crm: stage}", "crm: {column: stage, map: {lead: lead, prospect: lead, active: active}}}")
        ready.rewrite("crm: {column: stage, map: {lead: lead, prospect: lead, active: active}}}", "crm: stage}")

        said = plan(ready, "--values")

        assert {(w["system"], w["key"], f["field"], f["new"]) for w in said["writes"] for f in w["fields"]} == {
            ("crm", "C1", "stage", "lead")
        }
        ready.rules.write_text(in_force, encoding="utf-8")
    assert ready.sql("crm", "SELECT stage FROM sales.account WHERE account_no = 'C1'") == [("prospect",)]


def test_rules_of_another_shape_are_planned_as_merging_again(ready: Desk) -> None:
    fill(ready)
    with ready.running():
        ready.sql("erp", "UPDATE customer SET vat_remark = 'ask' WHERE no = 'C1'")
        ready.rewrite("terms:  {erp: terms,", "remark: {erp: vat_remark, crm: score}\n      terms:  {erp: terms,")
        ready.sql("crm", "ALTER TABLE sales.account ALTER score TYPE text")

        said = plan(ready)

        assert said["basis"] == "merge again"
        assert writes(said)["crm", "C1"] == {
            "remark": "first merge: last_writer: when either committed is not known: erp comes first in erp, crm"
        }


def test_the_table_counts_all_and_lists_some_without_values(ready: Desk) -> None:
    fill(ready)
    said = ready.ask("plan", "--limit", "1").stdout

    assert said.startswith("there is no base yet: this is what the first merge would write\n")
    assert "crm: customer: 1 to create, 1 to update (name 1, limit 1), 0 to delete\n" in said
    assert "3 rows would be written, 1 are listed" in said
    assert "Linz" not in said
    assert "Linz" in ready.ask("plan", "--values").stdout
    assert ready.ask("plan", "--entity", "nobody").returncode == 2
