"""Every page can be followed: its links lead somewhere, the files it names exist, every decision is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(path for path in HOME.glob("*.md")), *sorted((HOME / "docs").rglob("*.md")),
    *sorted((HOME / "deploy").glob("*.md")),
]  # fmt: skip
FOLDERS = ("engine", "rules", "adapters", "service", "tests", "docs", "examples", "deploy", "benchmarks")
PROSE_MAX = 128


def named(path: Path) -> str:
    """How a test is called that looks at this page."""
    return str(path.relative_to(HOME))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if heading:
            assert heading in headings(target), link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_exists(page: Path) -> None:
    for name in re.findall(r"`((?:[\w.-]+/)+[\w.*-]*)`", page.read_text(encoding="utf-8")):
        if name.split("/")[0] in FOLDERS and "…" not in name:
            assert list(HOME.glob(name.rstrip("/"))), name


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_line_of_prose_is_longer_than_an_editor_is_wide(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)

    assert [line for line in prose.splitlines() if len(line) > PROSE_MAX and not line.startswith(("|", "    "))] == []


def test_every_decision_is_listed_and_has_its_three_parts() -> None:
    folder = HOME / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    pages = sorted(folder.glob("0*.md"))

    assert [p.name for p in pages] == re.findall(r"\((\d{4}[\w-]+\.md)\)", index)
    for number, page in enumerate(pages, 1):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {number:04d}. ")
        assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["Context", "Choice", "Consequences"]
        assert len(text.splitlines()) <= 60, "one page"


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [HOME / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            if target.is_dir():
                index = target / "README.md"
                waiting += [index] if index.exists() else target.glob("*.md")
            else:
                waiting.append(target)

    assert {named(page) for page in PAGES} - {named(page) for page in reached if page.is_relative_to(HOME)} == set()


def headings(page: Path) -> set[str]:
    """The headings of a page, as links write them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in found}
