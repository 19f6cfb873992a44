"""The manual of the rule language quotes what runs: every line of it stands in an example, and every word is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from engine.rulebook import DeletePolicy
from rules.syntax import (
    POLICIES,
    CheckSyntax,
    ColumnSyntax,
    ConflictSyntax,
    EntitySyntax,
    FeedSyntax,
    FieldSyntax,
    FileSyntax,
    GroupSyntax,
    IdentitySyntax,
    JoinSyntax,
    LimitsSyntax,
    LookupSyntax,
    PartSyntax,
    SystemSyntax,
    TableSyntax,
)

HOME = Path(__file__).resolve().parents[2]
PAGES = ("rules.md", "rules-records.md", "rules-deciding.md", "values.md")
MANUAL = "\n".join((HOME / "docs" / page).read_text(encoding="utf-8") for page in PAGES)
ROW = re.compile(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", re.MULTILINE)


def test_every_line_of_the_manual_stands_in_an_example_that_runs() -> None:
    known = {
        line.strip() for path in (HOME / "examples").glob("*.yaml") for line in path.read_text("utf-8").splitlines()
    }
    shown = [line for block in re.findall(r"^```yaml\n(.*?)^```$", MANUAL, re.M | re.S) for line in block.splitlines()]

    assert len(shown) > 40
    assert [line for line in shown if line.strip() not in known] == []


def test_every_example_has_its_row() -> None:
    listed = re.findall(r"^\| `(\d\d_\w+)` \|", (HOME / "docs" / "rules.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert listed == sorted(path.stem for path in (HOME / "examples").glob("*.yaml"))


def test_every_word_of_a_feed_is_on_its_page() -> None:
    page = (HOME / "docs" / "feed.md").read_text(encoding="utf-8")
    rows = {word for row in re.findall(r"^\| (`[^|]+`) \|", page, re.MULTILINE) for word in re.findall(r"\w+", row)}

    assert {f.alias or name for name, f in FeedSyntax.model_fields.items()} <= rows


def test_every_policy_has_its_row() -> None:
    told = {word for row in ROW.findall(MANUAL) for word in re.findall(r"\w+", row)}

    assert told == {*POLICIES, *get_args(DeletePolicy)}


def test_every_key_of_the_language_is_in_the_manual() -> None:
    models = (
        FileSyntax, SystemSyntax, TableSyntax, PartSyntax, EntitySyntax, IdentitySyntax, FieldSyntax, ColumnSyntax,
        LookupSyntax, GroupSyntax, ConflictSyntax, CheckSyntax, JoinSyntax, LimitsSyntax,
    )  # fmt: skip
    keys = {f.alias or name for model in models for name, f in model.model_fields.items()} - {"everywhere", "columns"}

    assert {key for key in keys if not re.search(rf"\b{key}\b", MANUAL)} == set()
