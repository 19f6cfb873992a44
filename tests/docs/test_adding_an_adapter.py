"""The smallest adapter of the page on adapters is one: it keeps what the suite asks of a source."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
PAGE = (HOME / "docs" / "adding-an-adapter.md").read_text(encoding="utf-8")


def test_the_smallest_adapter_passes_the_suite_in_one_call(tmp_path: Path) -> None:
    adapter, its_test = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "journal.py").write_text(adapter, encoding="utf-8")
    (tmp_path / "test_journal.py").write_text(its_test, encoding="utf-8")

    words = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    told = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{HOME}{os.pathsep}{tmp_path}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert told.returncode == 0, told.stdout + told.stderr
    assert re.search(r"^\d+ passed, 4 skipped", told.stdout, re.MULTILINE), told.stdout
    assert "JournalGround: no writing: a journal is the application's: we only read it" in told.stdout


def test_the_line_that_calls_the_suite_is_the_one_that_stands_in_the_tests() -> None:
    (line,) = re.findall(r"^    (Test\w+ = .*)$", PAGE, re.MULTILINE)

    assert line in (HOME / "tests" / "contract" / "test_mariadb.py").read_text(encoding="utf-8").splitlines()
