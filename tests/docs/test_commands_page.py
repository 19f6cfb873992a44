"""`docs/commands.md` and the commands' own help say the same: each verb, each option, each example, each default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


VERBS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
"""The verbs of the command line, in their order."""


def options(verb: str) -> list[Any]:
    """The options of a verb, but for `--help`."""
    found = [p for p in VERBS[verb].params if p.param_type_name == "option"]
    return [p for p in found if "--help" not in p.opts]


def test_every_verb_has_its_section_in_the_order_of_the_help() -> None:
    assert list(SECTIONS) == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_options_are_those_of_the_command(verb: str) -> None:
    told = re.findall(r"^\| `(--[a-z-]+)", SECTIONS[verb], re.MULTILINE)
    known = [name for option in options(verb) for name in option.opts if name.startswith("--")]

    assert sorted(told) == sorted(known)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_has_an_example_that_stands_on_the_page_and_fits_the_command(verb: str) -> None:
    command = VERBS[verb]
    examples = re.findall(r"(duolog [\w-]+.*)", command.help or "")
    assert examples, "no example"
    for example in examples:
        assert f"    {example}\n" in SECTIONS[verb]
        words = example.split()
        assert words[1] == verb
        context = command.make_context(verb, words[2:], resilient_parsing=False)
        assert context.params


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_and_the_rule_file_are_explained_by_the_help(verb: str) -> None:
    for parameter in VERBS[verb].params:
        if parameter.param_type_name == "option" or parameter.name == "rules":
            assert parameter.help, parameter.name


@pytest.mark.parametrize("verb", VERBS)
def test_the_exit_codes_of_the_help_stand_on_the_page(verb: str) -> None:
    told = re.search(r"Exit codes: (.*?)\.(?:\s|$)", VERBS[verb].help or "", re.DOTALL)
    if told is None:
        return
    codes = re.findall(r"\b([0-4]) ", told.group(1))
    page = re.search(r"Exit codes: (.*?)\n\n", SECTIONS[verb] + "\n\n", re.DOTALL)
    assert page is not None
    assert set(codes) <= set(re.findall(r"\b([0-4]) ", page.group(1)))


@pytest.mark.parametrize("verb", [v for v in VERBS if v not in ("run", "watchdog", "demo")])
def test_every_command_that_prints_can_print_json(verb: str) -> None:
    assert "--json" in [name for option in options(verb) for name in option.opts]
    assert "JSON: `" in SECTIONS[verb]
