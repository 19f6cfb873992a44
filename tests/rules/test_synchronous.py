"""What a rule file says of waiting at COMMIT reaches the rule book, and changes nothing that the store depends on."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from engine.rulebook import Synchronous
from rules import Loaded, compile_book, find_systems, load
from rules.schema import schema
from rules.synchronous import ADAPTERS, Waiting
from rules.syntax import SystemSyntax
from service.day_one import fingerprints, shape_of
from tests.rules.cases import ENVIRON
from tests.rules.test_compile import CUSTOMER, HEAD

WORDS = "commit: synchronous, when_away: open after 5s"


def loaded(folder: Path, erp: str = "", crm: str = "", *, entity: str = CUSTOMER) -> Loaded:
    """The usual rules, with these words more at each system."""
    text = HEAD
    for system, words in (("ERP", erp), ("CRM", crm)):
        text = text.replace(f'"${{{system}_URL}}"}}', f'"${{{system}_URL}}"{", " if words else ""}{words}}}')
    (folder / "rules.yaml").write_text(text + entity)
    return load(folder / "rules.yaml", ENVIRON)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("", None),
        ("commit: asynchronous", None),
        (WORDS, Synchronous(5.0, "release")),
        ("commit: synchronous, when_away: open after 250 ms", Synchronous(0.25, "release")),
        ("commit: synchronous, when_away: open after 1.5s, when_refused: release", Synchronous(1.5, "release")),
        ("commit: synchronous, when_away: closed, when_refused: wait", Synchronous(None, "wait")),
        ('commit: "synchronous", when_away: "closed"', Synchronous(None, "release")),
    ],
)
def test_the_words_of_a_system_are_in_the_book(words: str, meant: Synchronous | None, tmp_path: Path) -> None:
    found = loaded(tmp_path, erp=words)
    assert found.rules is not None, found.problems

    book, _ = compile_book(found.rules, None)

    assert dict(book.synchronous) == ({"erp": meant} if meant is not None else {})
    assert found.warnings == []


def test_every_adapter_has_its_line() -> None:
    assert ADAPTERS.keys() == set(get_args(SystemSyntax.model_fields["adapter"].annotation))


def test_an_adapter_that_cannot_has_its_reason_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ADAPTERS, "postgresql", Waiting(why_not="its log is a copy that is made after the commit"))

    (problem,) = loaded(tmp_path, crm=WORDS).problems

    assert (problem.code, problem.place.line) == ("R384", 4)
    assert problem.what == "`crm` cannot be synchronous: its log is a copy that is made after the commit"
    assert problem.found == "`adapter: postgresql`"


def test_other_words_on_commits_ask_for_no_new_first_merge(tmp_path: Path) -> None:
    found = set()
    for words in ("", WORDS, "commit: synchronous, when_away: closed, when_refused: wait"):
        rules = loaded(tmp_path, erp=words).rules
        assert rules is not None
        book, _ = compile_book(rules, None)
        found.add((shape_of(book, rules), *fingerprints(rules).items()))

    assert len(found) == 1


NOTHING_IN = """\
  customer:
    identity: [no]
    owner: erp
    bind: {erp: {table: customer}, crm: {table: account}}
    fields: {no: no, name: name, city: city%s}
    %s
"""


@pytest.mark.parametrize(
    ("field", "words", "goes_on"),
    [
        ("", "delete: ignore", False),
        ("", "delete: restore", False),
        (", x: {erp: {column: x, one_way: true}, crm: x, conflict: max}", "delete: restore", True),
        (", x: {erp: x, crm: {column: x, one_way: true}, conflict: max}", "delete: restore", False),
        (", x: {erp: x, crm: x, conflict: max}", "delete: restore", True),
        (", x: {erp: x, crm: x, owner: [{crm: name = 'a'}, erp]}", "delete: restore", True),
        ("", "groups: {both: {fields: [name, city], owner: crm}}", True),
        ("", "create: [erp, crm]", True),
        ("", "delete: {crm: propagate}", True),
        ("", "delete: {crm: hold}", True),
    ],
)
def test_a_system_nothing_of_which_goes_on_is_warned_of(
    field: str, words: str, goes_on: bool, tmp_path: Path
) -> None:
    found = loaded(tmp_path, erp=WORDS, crm=WORDS, entity=NOTHING_IN % (field, words))

    assert found.problems == []
    assert [(p.code, p.place.line) for p in found.warnings] == ([] if goes_on else [("R385", 4)])


def test_no_such_warning_while_an_entity_cannot_be_read(tmp_path: Path) -> None:
    broken = CUSTOMER.replace("  customer:", "  client:").replace("identity: [no]", "identity: no")
    found = loaded(tmp_path, crm=WORDS, entity=NOTHING_IN % ("", "delete: restore") + broken)

    assert [p.code for p in found.problems] == ["R204"] and found.warnings == []


def test_an_editor_knows_both_ways() -> None:
    assert '"const": "closed"' in schema() and '"pattern": "^open after [0-9]"' in schema()


def test_who_waits_is_known_of_rules_that_are_wrong_otherwise(tmp_path: Path) -> None:
    wrong = CUSTOMER.replace("identity: [no]", "identity: no")
    assert loaded(tmp_path, erp=WORDS + ", pasword: x", crm=WORDS, entity=wrong).rules is None

    known = find_systems(tmp_path / "rules.yaml", {**ENVIRON, "CRM_URL": ""})

    assert known is not None and known.name == "rules"
    assert dict(known.book.synchronous) == {"erp": Synchronous(5.0, "release")}
    assert known.book.systems == ("erp",), "the other's address is missing"
    url = known.systems["erp"].url
    assert url is not None and url.reveal() == ENVIRON["ERP_URL"] and "hunter2" not in repr(known)


def test_a_wait_whose_length_cannot_be_understood_is_known_to_be_one(tmp_path: Path) -> None:
    assert loaded(tmp_path, erp="commit: synchronous, when_away: open after lunch").rules is None

    known = find_systems(tmp_path / "rules.yaml", ENVIRON)

    assert known is not None and dict(known.synchronous) == {"erp": Synchronous(None, "release")}
    assert list(known.systems) == ["erp", "crm"]


@pytest.mark.parametrize(
    "text", ["", "a: [", "systems: erp", HEAD.replace("adapter: postgresql", "adapter: postgres") + CUSTOMER]
)
def test_nothing_is_known_of_rules_that_do_not_even_say_which_systems_there_are(text: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(text)

    assert find_systems(tmp_path / "rules.yaml", ENVIRON) is None
    assert find_systems(tmp_path / "absent.yaml", ENVIRON) is None
