"""Every verb: its help has an example, `--json` is one JSON document, and the exit codes are those of the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from service.cli import app
from service.demo.engine import COMMAND
from tests.cli.desk import SHOP, Desk

VERBS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_fits_a_terminal_and_has_an_example(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"})

    assert shown.exit_code == 0
    assert f"duolog {verb} " in shown.stdout.replace("Usage: duolog", "")
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80


def test_the_command_is_installed_and_lists_its_verbs() -> None:
    program = Path(sys.executable).with_name("duolog")
    command = [str(program)] if program.exists() else list(COMMAND)
    plain = {**os.environ, "NO_COLOR": "1"}
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, env=plain)

    for verb in VERBS:
        assert f" {verb} " in shown.stdout


def test_a_wrong_verb_an_unknown_option_and_a_missing_file_end_with_2(tmp_path: Path) -> None:
    runner = CliRunner()
    missing = str(tmp_path / "nowhere.yaml")

    assert runner.invoke(app, ["chek", missing]).exit_code == 2
    assert runner.invoke(app, ["check", missing, "--nonsense"]).exit_code == 2
    for verb in ("check", "setup", "run", "status", "journal", "held", "quarantine", "retry", "verify", "teardown"):
        said = runner.invoke(app, [verb, missing])
        assert said.exit_code == 2, verb
        assert "error[R101]" in said.stderr, verb


def test_json_is_one_document_on_standard_output_and_nothing_else(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()
        answers = {
            "check": ["--json"], "setup": ["--json"], "status": ["--json"], "explain": ["customer", "C1", "--json"],
            "journal": ["--json"], "held": ["--json"], "resolve": ["customer", "C1", "--take", "erp", "--json"],
            "quarantine": ["--json"], "retry": ["--json"], "verify": ["--json"],
        }  # fmt: skip
        kinds = {verb: type(json.loads(ready.call(verb, *rest).stdout)) for verb, rest in answers.items()}
    gone = json.loads(ready.call("teardown", "--yes", "--json").stdout)

    # Each in a file of its own.
    elsewhere = {"merge-records", "allow", "init", "match", "plan", "test", "release", "arm", "watchdog", "workers"}
    assert {*kinds, "teardown", "run", "demo", *elsewhere} == set(VERBS)
    assert kinds == {
        "check": dict, "setup": list, "status": dict, "explain": dict, "journal": list, "held": list, "resolve": dict,
        "quarantine": list, "retry": dict, "verify": dict,
    }  # fmt: skip
    assert set(gone) == {"erp", "crm"}


def test_an_unreachable_system_ends_with_1_and_says_so_in_one_line(tmp_path: Path) -> None:
    nowhere = "postgresql://duolog@127.0.0.1:1/nowhere"
    desk = Desk(SHOP, {"erp": nowhere, "crm": nowhere}, tmp_path)

    for verb in ("check", "setup", "verify"):
        said = desk.ask(verb)
        assert said.returncode == 1, verb
        assert said.stderr.startswith("D100 "), verb
        assert "mend: " in said.stderr
