"""One word for one thing: the table of words, the code's nouns, the rules' words and the pages say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import engine.ports
import engine.record
import engine.rulebook
import engine.vocabulary
from rules.syntax import LATER_KEYS, POLICIES

HOME = Path(__file__).resolve().parents[2]
PAGE = (HOME / "docs" / "vocabulary.md").read_text(encoding="utf-8")
FIRST_TABLE, _, LATER_TABLES = PAGE.partition("\n## ")
WORDS = re.findall(r"^\| ([^|]+?) \|", FIRST_TABLE, re.MULTILINE)[1:]

DESIGN = """
system, adapter, entity, binding, part, member, assembly, lookup, record, crossed, cross-reference, identity, joined,
alias, field, group, version, held, position, change, successor / conflict,
owner (system of record), policy, overruled, hold, stopped, quarantine, ledger, separator, store,
synchronous, armed, waiting, delivered, degraded, release, switch
"""
"""The words of the design, in its order; what it says of a binding and of a record is taken apart into more words."""

IN_CODE = {
    "system": "engine.rulebook.Binding.system",
    "entity": "engine.rulebook.Entity",
    "binding": "engine.rulebook.Binding",
    "part": "engine.rulebook.Part",
    "member": "engine.rulebook.Assembly.members",
    "assembly": "engine.rulebook.Assembly",
    "lookup": "engine.rulebook.Lookup",
    "record": "engine.record.Record",
    "crossed": "engine.rulebook.Entity.crossed",
    "cross-reference": "engine.crossing.keys.CrossReference",
    "joined": "engine.desk.joining.Joining",
    "alias": "engine.crossing.keys.ALIAS",
    "identity": "rules.syntax.EntitySyntax.identity",
    "field": "engine.rulebook.Field",
    "group": "rules.syntax.GroupSyntax",
    "version": "engine.vocabulary.Version",
    "held": "engine.record.Side.held",
    "position": "engine.vocabulary.Position",
    "change": "engine.vocabulary.Change",
    "owner": "engine.rulebook.Register.owner",
    "policy": "engine.rulebook.Register.policy",
    "hold": "engine.record.Record.holds",
    "stopped": "engine.record.STOPPED",
    "quarantine": "engine.ports.Delta.quarantine",
    "ledger": "adapters.postgresql.ledger",
    "separator": "engine.vocabulary.Outcome.separator",
    "store": "engine.ports.Store",
    "synchronous": "engine.rulebook.Synchronous",
    "armed": "adapters.relational.switch.SwitchState.armed",
    "waiting": "adapters.relational.switch.SwitchState.waiting",
    "delivered": "engine.ports.Source.delivered",
    "degraded": "adapters.relational.switch.Degraded",
    "release": "adapters.relational.switch.Switch.release",
    "switch": "adapters.relational.switch.Switch",
    "adapter": "rules.syntax.SystemSyntax.adapter",
}
"""Where a word is a noun of the code."""

COUNTED = ("successors", "conflicts", "overruled", "held", "quarantined")
"""Words that `status` counts."""


def test_the_words_are_those_of_the_design_in_its_order() -> None:
    design = [word.strip() for word in DESIGN.replace("\n", " ").split(",")]

    assert design == WORDS


@pytest.mark.parametrize("word", IN_CODE)
def test_a_word_is_the_name_of_its_thing_in_the_code(word: str) -> None:
    assert any(word in told for told in WORDS)
    found: object = None
    parts = IN_CODE[word].split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = __import__(".".join(parts[:end]), fromlist=["*"])
        except ImportError:
            continue
        break
    for name in parts[end:]:
        found = getattr(found, name, None) or getattr(found, "__annotations__", {}).get(name) or _pydantic(found, name)
        assert found is not None, IN_CODE[word]


def test_every_class_of_the_vocabulary_module_is_explained_where_it_stands() -> None:
    source = (HOME / "engine" / "vocabulary.py").read_text(encoding="utf-8")

    for name in re.findall(r"^class (\w+)", source, re.MULTILINE):
        assert getattr(engine.vocabulary, name).__doc__, name


def test_what_is_counted_bears_the_words() -> None:
    source = (HOME / "service" / "running.py").read_text(encoding="utf-8")

    for word in COUNTED:
        assert f'"{word}"' in source


def test_the_kinds_of_conflict_are_those_of_the_journal() -> None:
    table = LATER_TABLES.split("\n## ")[0]
    kinds = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    source = (HOME / "engine" / "vocabulary.py").read_text(encoding="utf-8")
    told = re.search(r"    kind: str\n    \"\"\"(.*?), or `owner`", source, re.DOTALL)

    assert told is not None
    assert kinds == re.findall(r"`(\w+)`", told.group(1))


def test_the_policies_are_those_of_the_rule_language() -> None:
    table = LATER_TABLES.split("\n## ")[1]
    told = [word for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)]
    row = re.search(r"^\| policy \| (.*) \|$", FIRST_TABLE, re.MULTILINE)

    assert row is not None
    assert set(told) == set(POLICIES) == set(get_args(engine.rulebook.PolicyName))
    assert set(re.findall(r"`(\w+)`", row.group(1))) == set(POLICIES)


def test_a_word_of_the_page_is_no_key_of_a_later_version() -> None:
    assert not {word.lower() for word in WORDS} & LATER_KEYS


STRANGERS = ("master", "slave", "subscriber", "publisher", "merge conflict", "dead letter")
"""Words of other products for things that have a word here."""
COMPARING = {"vocabulary.md", "README.md"}


def test_no_page_and_no_help_uses_another_word_for_a_thing_that_has_one() -> None:
    pages = [p for p in (HOME / "docs").rglob("*.md") if p.name not in COMPARING]
    helps = list((HOME / "service" / "commands").glob("*.py"))
    found = [
        f"{path.relative_to(HOME)}: {word}"
        for path in [*pages, *helps]
        for word in STRANGERS
        if re.search(rf"\b{word}s?\b", path.read_text(encoding="utf-8"))
    ]

    assert [line for line in found if line != "docs/rules.md: master"] == []  # "none is the master of the others"


def _pydantic(model: object, name: str) -> object:
    fields: dict[str, object] = getattr(model, "model_fields", {})
    return fields.get(name)
