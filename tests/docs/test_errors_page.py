"""`docs/errors.md` tells every error and finding as the code has them, with the exit code that a command ends with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import service.embedded  # noqa: F401 - one of its errors is in the table
from engine.errors import DuologError, WireError
from service.commands.terms import told

HOME = Path(__file__).resolve().parents[2]
PAGE = (HOME / "docs" / "errors.md").read_text(encoding="utf-8")
PLACES = {
    "PostgreSQL": "postgresql", "MariaDB or MySQL": "mariadb", "SQLAlchemy": "alchemy", "SQL Server": "sqlserver",
    "SQLite or ODBC": "changetable",
}  # fmt: skip
"""The adapter of each table of findings."""
LOOPED: dict[str, tuple[str, ...]] = {
    "postgresql": ("P231", "P232"), "mariadb": ("P151", "P152", "P153", "P231", "P232"), "alchemy": (), "sqlserver": (),
    "changetable": (),
}  # fmt: skip
"""Told by a loop, below their codes, or by their class; all are errors."""


def rows(letter: str) -> dict[str, list[str]]:
    """The rows of the table of one kind of codes, by code."""
    found = re.findall(rf"^\| ({letter}\d{{3}}) \| (.*) \|$", PAGE, re.MULTILINE)
    return {code: rest.split(" | ") for code, rest in found}


def errors(kind: type[DuologError] = DuologError) -> Iterator[type[DuologError]]:
    """Every class of error that duolog itself has, the nearest to the root first."""
    if not kind.__module__.startswith("tests."):
        yield kind
    for below in kind.__subclasses__():
        yield from errors(below)


KINDS = {kind.code: kind for kind in reversed(list(errors()))}


def test_every_error_has_its_row_and_every_row_its_error() -> None:
    assert rows("D").keys() == KINDS.keys()


@pytest.mark.parametrize("code", KINDS)
def test_the_situation_is_told_in_the_words_of_the_code(code: str) -> None:
    assert rows("D")[code][0] == " ".join((KINDS[code].__doc__ or "").split())


@pytest.mark.parametrize("code", KINDS)
def test_the_exit_code_is_that_of_the_commands(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = KINDS[code]("a byte", 0) if KINDS[code] is WireError else KINDS[code]("found", system="erp", mend="do this")

    with pytest.raises(typer.Exit) as ended, told():
        raise error

    assert str(ended.value.exit_code) == rows("D")[code][1]
    assert capsys.readouterr().err.startswith(f"{code} ")


def judges(adapter: str) -> str:
    """The modules in which an adapter's findings are told."""
    files = [HOME / "adapters" / adapter / name for name in ("preflight.py", "table_findings.py", "questions.py")]
    return "\n".join(each.read_text(encoding="utf-8") for each in files if each.exists())


def findings(place: str) -> dict[str, list[str]]:
    """The rows of the table of one database's findings, by code."""
    section = PAGE.split(f"## What `duolog check` finds in a {place} database")[1].split("\n## ")[0]
    return {code: rest.split(" | ") for code, rest in re.findall(r"^\| (P\d{3}) \| (.*) \|$", section, re.MULTILINE)}


@pytest.mark.parametrize("place", PLACES)
def test_every_finding_has_its_row_and_every_row_its_finding(place: str) -> None:
    assert sorted(findings(place)) == sorted(set(re.findall(r'"(P\d{3})"', judges(PLACES[place]))))


@pytest.mark.parametrize(("place", "code"), [(place, code) for place in PLACES for code in sorted(findings(place))])
def test_the_kind_of_a_finding_is_that_of_the_code(place: str, code: str) -> None:
    source = judges(PLACES[place])
    before = source[: source.index(f'"{code}"')]
    called = re.findall(r"\b(?:judge\.|_)(error|warning)\(", before)

    if beside := re.search(rf'"{code}", "(error|warning)"', source):
        called = [beside[1]]
    if code in LOOPED[PLACES[place]]:
        called = ["error"]
    assert called[-1] == findings(place)[code][0]


def test_the_table_of_exit_codes_tells_each_that_a_command_may_end_with() -> None:
    operating = (HOME / "docs" / "operating.md").read_text(encoding="utf-8")
    told_codes = set(re.findall(r"^\| ([0-9]) \|", operating, re.MULTILINE))

    assert told_codes == {"0", "1", "2", "3", "4"}
    assert {row[1] for row in rows("D").values()} <= told_codes
