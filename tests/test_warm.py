"""Holds a command that is forked against one that starts as a person's does: what it says, where, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.demo.engine import COMMAND
from tests import warm

HOME = Path(__file__).resolve().parents[1]
RULES = HOME / "examples" / "14_stock.yaml"

forked = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")


def said(*arguments: str, cold: bool, folder: Path, **beside: str) -> subprocess.CompletedProcess[str]:
    """One command to its end. `beside`: further variables of its environment."""
    environment = {**os.environ, "PYTHONPATH": str(HOME), "NO_COLOR": "1", **beside}
    popen = warm.COLD if cold else subprocess.Popen
    with popen(
        [*COMMAND, *arguments], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.parametrize(
    "arguments", [("test", str(RULES)), ("check", str(RULES)), ("check", "no/such.yaml"), ("run",), ("--help",)],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_forked_command_says_what_a_cold_one_says(arguments: tuple[str, ...], tmp_path: Path) -> None:
    found = said(*arguments, cold=False, folder=tmp_path, SHOP_URL="postgresql://nobody@127.0.0.1:1/none")
    expected = said(*arguments, cold=True, folder=tmp_path, SHOP_URL="postgresql://nobody@127.0.0.1:1/none")

    assert (found.returncode, found.stdout, found.stderr) == (expected.returncode, expected.stdout, expected.stderr)


@forked
def test_what_one_command_was_given_another_does_not_know(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.read_text(encoding="utf-8"), encoding="utf-8")

    given = said("check", "rules.yaml", cold=False, folder=tmp_path, SHOP_URL="postgresql://x@127.0.0.1:1/none")
    missing = said("check", "rules.yaml", cold=False, folder=tmp_path)

    assert "the environment has no variable `SHOP_URL`" not in given.stdout + given.stderr
    assert "the environment has no variable `SHOP_URL`" in missing.stdout + missing.stderr
    assert "cannot be read" in said("check", "rules.yaml", cold=False, folder=tmp_path.parent).stderr


@forked
def test_a_forked_command_is_a_child_that_can_be_killed() -> None:
    with subprocess.Popen(
        [*COMMAND, "init", "--help"], env={**os.environ, "PYTHONPATH": str(HOME)}, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        parent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1]
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL

    assert int(parent) == os.getpid()


@forked
def test_an_environment_that_python_itself_reads_has_a_command_start_cold(tmp_path: Path) -> None:
    found = said("--help", cold=False, folder=tmp_path, PYTHONVERBOSE="1")

    assert "import 'service.commands" in found.stderr
