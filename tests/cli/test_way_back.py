"""The ways back that `docs/operating.md` promises: from a lost slot, a restored store, a change of fields."""

from __future__ import annotations

import shutil

from tests.cli.desk import Desk


def test_after_a_lost_slot_setup_and_merge_again_lead_back(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()
    ready.sql("erp", "SELECT pg_drop_replication_slot('duolog_shop_erp')")
    ready.sql("erp", "UPDATE customer SET name = 'written meanwhile'")

    stopped = ready.ask("run")
    assert stopped.returncode == 3
    assert "slot" in stopped.stderr and "mend: " in stopped.stderr

    ready.call("setup")
    merge_again(ready)
    assert ready.sql("crm", "SELECT account_name FROM sales.account") == [("written meanwhile",)]
    with ready.running():
        pass


def test_a_restored_store_is_noticed_and_merge_again_leads_back(ready: Desk) -> None:
    store = ready.folder / "shop.store.db"
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()
    shutil.copy(store, ready.folder / "backup.db")
    with ready.running():
        ready.sql("erp", "UPDATE customer SET name = 'Eve'")
        ready.settle()
    for path in ready.folder.glob("shop.store.db*"):
        path.unlink()
    shutil.copy(ready.folder / "backup.db", store)

    stopped = ready.ask("run")
    assert stopped.returncode == 3
    assert "D205 " in stopped.stderr

    ready.call("setup")
    merge_again(ready)
    assert ready.ask("verify").returncode == 0


def test_a_change_of_fields_is_refused_until_all_is_compared_again(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()
    ready.sql("erp", "ALTER TABLE customer ADD email text DEFAULT 'a@b'")
    ready.sql("crm", "ALTER TABLE sales.account ADD email text DEFAULT 'a@b'")
    ready.rewrite("      city:   {", "      email:  email\n      city:   {")

    refused = ready.ask("run")
    assert refused.returncode == 4
    assert "D501 " in refused.stderr and "`customer`" in refused.stderr and "--merge-again" in refused.stderr

    merge_again(ready)
    assert "email" in ready.call("explain", "customer", "C1").stdout


def merge_again(desk: Desk) -> None:
    """`duolog run RULES --merge-again`, until quiet, then SIGTERM."""
    desk.start_with("--merge-again")
    desk.settle()
    assert desk.stop() == 0, desk.log_tail()
