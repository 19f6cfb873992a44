"""Rules in a folder instead of a file: every command takes it, and a running engine reads it anew."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import CRM_TABLES, ERP_TABLES, SHOP, Desk


@pytest.fixture
def desk(erp_db: str, crm_db: str, tmp_path: Path) -> Iterator[Desk]:
    """The shop, whose systems, customers and lines stand in a file each."""
    head, entities, rest = SHOP.partition("entities:\n")
    customer, line, rest = rest.partition("  line:\n")
    made = Desk(SHOP, {"erp": erp_db, "crm": crm_db}, tmp_path)
    made.rules = tmp_path / "shop"
    made.rules.mkdir()
    for name, text in (("systems", head), ("customer", entities + customer), ("line", entities + line + rest)):
        (made.rules / f"{name}.yaml").write_text(text if name == "systems" else f"duolog: 1\n{text}")
    made.sql("erp", ERP_TABLES)
    made.sql("crm", CRM_TABLES)
    yield made
    made.stop()


def test_every_command_takes_a_folder(desk: Desk) -> None:
    assert desk.here("check", "--offline").stdout == "nothing wrong, 0 warnings\n"
    assert desk.here("test").stdout == "there are no tests\n"
    desk.call("setup")
    assert desk.here("check").exit_code == 0
    with desk.running():
        desk.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        desk.eventually(lambda: desk.sql("crm", "SELECT account_name FROM sales.account"))
    assert desk.here("explain", "customer", "C1").exit_code == desk.here("verify").exit_code == 0
    assert (desk.rules / "shop.store.db").exists()


def test_a_problem_in_one_of_its_files_is_told_there_and_a_reload_keeps_the_others(desk: Desk) -> None:
    desk.call("setup")
    line = desk.rules / "line.yaml"
    with desk.running():
        line.write_text(line.read_text().replace("conflict: last_writer", "conflict: lost_writer"))
        assert desk._process is not None
        desk._process.send_signal(signal.SIGHUP)
        desk.eventually(lambda: "rules kept" in desk.log.read_text())
        assert f"rules refused: {line}:5:15: error[R205]" in desk.log.read_text()
        desk.eventually(lambda: desk.status()["rules"]["refused"])  # told every second
        found = desk.here("status", "--json")
        document = json.loads(found.stdout)
        assert found.exit_code == 2 and document["engine"]["running"]
        assert [p["file"] for p in document["rules"]["refused"]["problems"]] == [str(line)]
        shown = desk.here("status").stdout
        assert "; the old ones are in force\n" in shown and f"{line}:5:15: error[R205]" in shown
        line.write_text(line.read_text().replace("lost_writer", "last_writer"))
        desk._process.send_signal(signal.SIGHUP)
        desk.eventually(lambda: "rules read: 2 entities" in desk.log.read_text())
        desk.eventually(lambda: desk.here("status").exit_code == 0)
