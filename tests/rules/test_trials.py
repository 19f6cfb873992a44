"""Tests inside rule files: `trials.yaml` has those that pass; here they are run, and made to fail.

What a failing test says is in `diagnostics/R39*`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rules import RuleFile, compile_book, load, printed
from rules.trials import Trial, disagreements, run_tests
from tests.rules.catalogs import catalog

FILE = Path(__file__).with_name("trials.yaml")
NAMES = re.findall(r"^ +- {name: ([^,]+), ", FILE.read_text(), re.MULTILINE)


def rules_of(text: str, folder: Path) -> RuleFile:
    path = folder / "rules.yaml"
    path.write_text(text)
    found = load(path, None)
    assert found.rules is not None, printed(found.problems)
    return found.rules


def untyped(rules: RuleFile) -> list[Trial]:
    """All tests, carried out without catalogs."""
    book, problems = compile_book(rules, None)
    assert not problems, printed(problems)
    return run_tests(rules.entities, rules.document, book, types_known=False)


def customer_with(case: str) -> str:
    """The file, with the customer and this one test of it only."""
    return FILE.read_text().partition("    tests:\n")[0] + f"    tests:\n      - {case}\n"


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    found = load(FILE, None)
    assert found.rules is not None, printed(found.problems)
    return {trial.name: trial for trial in untyped(found.rules)}


@pytest.mark.parametrize("name", NAMES)
def test_a_test_that_says_what_the_engine_does_passes(name: str, trials: dict[str, Trial]) -> None:
    assert trials[name].passed, printed(trials[name].problems)


def test_none_is_left_out(trials: dict[str, Trial]) -> None:
    assert list(trials) == NAMES and len(NAMES) == FILE.read_text().count("      - ")


@pytest.mark.parametrize(
    ("name", "before", "after", "code"),
    [
        ("the later of two wins", "then: {name: B}", "then: {name: A}", "R393"),
        ("both add", "then: {points: 17}", "then: {points: 17.5}", "R393"),
        ("deleted", "then: null", "then: {name: A}", "R393"),
        ("a new record", "city: null", "city: Wien", "R393"),
        ("who may not create", "erp: null", "erp: {name: A}", "R394"),
        ("a system's entry is what is stored there", "{crm: {stage: active}", "{crm: {stage: A}", "R394"),
        ("a successor is no conflict", "because: successor", "because: last_writer", "R395"),
        ("a person decides", "held: terms, ", "", "R396"),
        ("a person decides", "held: terms", "held: [terms, name]", "R396"),
        ("without a counterpart", "quarantine: erp, ", "", "R397"),
        ("without a counterpart", "quarantine: erp", "quarantine: [erp, crm]", "R397"),
        ("too close to tell", "apart: 500 ms", "apart: 2500 ms", "R393"),
        ("as soon as it is active", "{erp: {stage: active}}, ", "", "R395"),
        ("one spelling beside another", "0664 12-34}, then", "0664 12-35}, then", "R393"),
        ("and the other way", "first: Ada, last: Lovelace", "first: Ada, last: King", "R394"),
        ("a derived field", "total: 7.5}", "total: 7.51}", "R393"),
        ("what breaks a check is put right", "crm: {credit: -1}", "crm: {credit: 0}", "R393"),
        ("or waits for a person", "{most: 2000}, held", "{most: 999}, held", "R396"),
        ("without a counterpart", "agreed: {stage: active}", "agreed: {stage: lost}", "R398"),
    ],
)
def test_a_test_that_says_otherwise_fails(name: str, before: str, after: str, code: str, tmp_path: Path) -> None:
    (line,) = [line for line in FILE.read_text().splitlines() if f"{{name: {name}," in line]
    assert before in line

    rules = rules_of(FILE.read_text().replace(line, line.replace(before, after)), tmp_path)
    failed = [trial for trial in untyped(rules) if not trial.passed]

    assert [trial.name for trial in failed] == [name]
    assert code in {problem.code for problem in failed[0].problems}


COLUMNS = (
    "no text, name text, credit_limit numeric, stage text, {points}, {best}, grade text, nick text, terms text, "
    "street text, city text"
)


def typed(case: str, points: str, best: str, folder: Path) -> tuple[Trial, Trial]:
    """One test of the customer, with the types of a catalog, and without."""
    text = re.sub(r", mes: [a-z]+|, mes: {[^}]+}", "", customer_with(case))
    rules = rules_of(text, folder)
    columns = COLUMNS.format(points=f"points {points}", best=f"best {best}")
    crm = columns.replace("no text, name text", "account_no text, label text")
    catalogs = {
        "erp": catalog("erp", {"public.customer": columns}),
        "crm": catalog("crm", {"public.account": crm}),
    }
    book, problems = compile_book(rules, catalogs)
    assert not [p for p in problems if p.severity == "error"], printed(problems)
    (online,) = run_tests(rules.entities, rules.document, book, types_known=True)
    (offline,) = untyped(rules)
    return online, offline


@pytest.mark.parametrize("points", ["integer", "numeric(12,2)", "numeric"])
def test_with_the_types_of_the_databases_numbers_come_out_the_same(points: str, tmp_path: Path) -> None:
    case = "{agreed: {points: 10.00}, erp: {points: 12}, crm: {points: 15.0}, then: {points: 17}}"

    online, offline = typed(case, points, "text", tmp_path)

    assert online.passed and offline.passed, printed(online.problems + offline.problems)


def test_where_the_types_matter_the_two_do_not_disagree_in_silence(tmp_path: Path) -> None:
    """`9` and `10` are texts there: the larger text is `9`. Without types they were taken for numbers."""
    case = "{{agreed: {{best: 1}}, erp: {{best: 9}}, crm: {{best: 10}}, then: {{best: {0}}}}}"

    online, offline = typed(case.format(10), "integer", "text", tmp_path)
    assert [p.code for p in online.problems] == ["R393"] and offline.passed
    online, offline = typed(case.format(9), "integer", "text", tmp_path)
    assert online.passed and not offline.passed
    assert [(p.code, p.severity) for p in disagreements([online], [offline])] == [("R399", "warning")]


def test_true_and_false_are_what_a_database_prints_for_them(tmp_path: Path) -> None:
    case = "{agreed: {best: false}, erp: {best: t}, then: {best: true}, stored: {crm: {best: true}}}"

    online, offline = typed(case.replace("agreed", "name: yes, agreed"), "integer", "text", tmp_path)

    assert offline.passed
    assert [p.code for p in online.problems] == ["R393", "R394"], "they are texts there"


def test_a_map_may_mean_true_and_false(tmp_path: Path) -> None:
    case = "{agreed: {best: true}, erp: {best: N}, then: {best: false}, stored: {crm: {best: false}, erp: {best: N}}}"
    mapped = customer_with(case).replace("erp: best,", "erp: {column: best, map: {Y: true, N: false}},")

    (trial,) = untyped(rules_of(mapped, tmp_path))

    assert trial.passed, printed(trial.problems)


def test_every_entity_and_every_step_is_told_to_programs(tmp_path: Path) -> None:
    case = "{name: moved, agreed: {city: X}, erp: {city: A}, crm: {city: B}, then: {city: B}}"
    (trial,) = untyped(rules_of(customer_with(case), tmp_path))

    told = trial.json()

    assert (told["entity"], told["name"], told["passed"], told["problems"]) == ("customer", "moved", True, [])
    assert (Path(told["file"]).name, told["line"], told["column"]) == ("rules.yaml", 29, 9)
    assert told["then"]["city"] == "B" and told["stored"]["erp"]["city"] == "B" and "city" not in told["stored"]["mes"]
    assert told["reasons"] == ["last_writer: crm committed 60000.000 ms later than erp (update_differs)"]
    assert told["held"] == told["quarantine"] == {}
