"""Every faulty rule file gives exactly the message that stands at its top; every code has one.

`DUOLOG_REWRITE=1 pytest tests/rules/test_diagnostics.py` writes the messages anew; read them before committing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rules.codes import CODES, table
from tests.rules.cases import ENVIRON, actual, cases, expected, rewrite

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.stem)
def test_the_whole_message_is_as_the_file_says(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if os.environ.get("DUOLOG_REWRITE"):
        rewrite(case, tmp_path)

    output = actual(case, tmp_path)

    assert output == expected(case)
    assert f"[{case.stem.split('_')[0]}]" in output, "the file is named for another code"
    assert set(re.findall(r"\[(R\d+)\]", output)) <= set(CODES)
    assert "hunter2" not in output, "a secret is shown"


def test_every_code_has_a_faulty_file() -> None:
    assert {case.stem.split("_")[0] for case in cases()} == set(CODES)


def test_every_code_in_the_source_is_in_the_table() -> None:
    used = {
        code for path in (ROOT / "rules").rglob("*.py") for code in re.findall(r'"(R\d{3})"', path.read_text())
    }

    assert used == set(CODES)


def test_the_manual_has_every_code() -> None:
    assert (ROOT / "docs" / "errors-rules.md").read_text() == table()


def test_the_surroundings_hold_a_secret_to_be_kept() -> None:
    assert all("hunter2" in url for url in ENVIRON.values())
