"""The README does what it says: its tables, its rule file and its commands are taken out of it and run, in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from service.cli import app
from tests.cli.desk import Desk

HOME = Path(__file__).resolve().parents[2]
README = (HOME / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of a kind, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every `duolog` command line of the README, without the program's name."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("duolog ")]


def test_the_first_rule_file_works_with_every_command_as_written(erp_db: str, crm_db: str, tmp_path: Path) -> None:
    erp_tables, crm_tables = blocks("sql")
    (rules,) = blocks("yaml")
    desk = Desk(rules, {"erp": erp_db, "crm": crm_db}, tmp_path, "customers.yaml")
    desk.sql("erp", erp_tables)
    desk.sql("crm", crm_tables)
    desk.sql("erp", "INSERT INTO customer VALUES ('C100', 'Ada', '1', 10), ('C101', 'Bob', '2', 20)")
    desk.sql("crm", "INSERT INTO sales.account VALUES ('C100', 'Ada L.', '1', 99)")
    before, after = split(commands(), "run")
    assert [words[0] for words in before] == ["check", "setup"]
    assert [words[0] for words in after] == ["status", "explain", "journal", "verify"]

    for verb, path, *rest in before:
        assert path == desk.rules.name
        desk.call(verb, *rest)
    with desk.running():
        desk.sql("crm", "UPDATE sales.account SET phone = '3' WHERE account_no = 'C101'")
        desk.settle()
        for verb, path, *rest in after:
            assert path == desk.rules.name
            desk.call(verb, *rest)

    assert desk.sql("erp", "SELECT phone FROM customer WHERE customer_no = 'C101'") == [("3",)]
    assert desk.sql("crm", "SELECT credit_limit::text FROM sales.account ORDER BY 1") == [("10.00",), ("20.00",)]
    desk.call("teardown", "--yes")


def test_the_way_from_two_databases_to_a_running_sync_can_be_gone(erp_db: str, crm_db: str, tmp_path: Path) -> None:
    desk = Desk("", {"erp": erp_db, "crm": crm_db}, tmp_path, "erp_crm.yaml")
    for system, tables in zip(("erp", "crm"), blocks("sql"), strict=True):
        desk.sql(system, tables)
    desk.sql("erp", "INSERT INTO customer VALUES ('C100', 'Ada', '1', 10)")
    (told,) = blocks("console")
    steps = [shlex.split(line.removeprefix("$ "))[1:] for line in told.splitlines()]
    init, *before, verify = [words for words in steps if words != ["run", "erp_crm.yaml"]]
    assert (init[0], verify[0], steps[-2][0]) == ("init", "verify", "run")

    made = CliRunner().invoke(app, [*init[:-1], str(desk.rules), "--force"], env=desk.addresses)
    assert made.exit_code == 0, made.output
    for verb, path, *rest in before:
        assert path == desk.rules.name
        assert desk.here(verb, *rest).exit_code == int((verb, rest) == ("match", []))  # something differs
    with desk.running():
        desk.settle()
        desk.call(verify[0])

    assert desk.sql("crm", "SELECT account_name FROM sales.account") == [("Ada",)]


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    for page in [HOME / "README.md", HOME / "CONTRIBUTING.md", *(HOME / "docs").rglob("*.md")]:
        for target in re.findall(r"(?:`|^)(?:PGBIN=… )?make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


def split(lines: list[list[str]], verb: str) -> tuple[list[list[str]], list[list[str]]]:
    """The commands before the one that stays in the foreground, and those after it."""
    at = [words[0] for words in lines].index(verb)
    return lines[:at], lines[at + 1 :]
