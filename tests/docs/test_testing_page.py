"""Every test that `docs/testing-rules.md` shows is run, and passes; every word of a test is on the page."""

from __future__ import annotations

import re
from pathlib import Path

from rules import compile_book, load, printed
from rules.codes import CODES
from rules.syntax import TEST_OPTIONS
from rules.trials import failures, run_tests

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing-rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
HEAD = """\
duolog: 1
systems:
  erp: {adapter: postgresql, url: "${ERP_URL}"}
  crm: {adapter: postgresql, url: "${CRM_URL}"}
entities:
  customer:
    identity: [no]
    conflict: last_writer
    delete: {crm: restore}
    bind: {erp: {table: customer}, crm: {table: account}}
    fields:
      no: {erp: no, crm: account_no}
      name: {erp: name, crm: label}
      points: {erp: points, crm: points, conflict: delta}
      terms: {erp: terms, crm: terms, conflict: hold}
      nick: {erp: nick, crm: nick, conflict: {policy: last_writer, within: 2 s}}
"""


def test_every_test_on_the_page_passes(tmp_path: Path) -> None:
    fields, tests = "", ""
    for block in BLOCKS:
        said, _, cases = block.partition("    tests:\n") if "    tests:\n" in block else ("", "", block)
        fields, tests = fields + said, tests + cases
    path = tmp_path / "page.yaml"
    path.write_text(HEAD + fields + "    tests:\n" + tests)
    loaded = load(path, None)
    assert loaded.rules is not None, printed(loaded.problems)
    book, problems = compile_book(loaded.rules, None)
    assert not problems, printed(problems)

    trials = run_tests(loaded.rules.entities, loaded.rules.document, book, types_known=False)

    assert len(trials) == len(re.findall(r"^      - ", tests, re.MULTILINE)) >= 12
    assert not failures(trials), printed(failures(trials))


def test_every_word_of_a_test_has_its_row() -> None:
    assert [word for word in TEST_OPTIONS if not re.search(rf"^\| `{word}` \|", PAGE, re.MULTILINE)] == []


def test_the_codes_that_are_named_exist() -> None:
    assert set(re.findall(r"R\d{3}", PAGE)) <= set(CODES)
