"""`duolog test`, and the tests in a rule file as `check` runs them: offline, and with the types of real databases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.cli.desk import CRM_TABLES, ERP_TABLES, SHOP, Desk

CUSTOMER = """\
      terms:  {erp: terms, crm: terms, conflict: hold}
    tests:
      - {name: later wins, agreed: {city: X}, erp: {city: A}, crm: {city: B}, then: {city: B}, because: last_writer}
      - {name: the ERP says the limit, agreed: {limit: 1}, crm: {limit: 5}, then: {limit: 1.0}, because: owner}
"""
LINE = """\
      amount:   {erp: amount, crm: amount}
    tests:
      - {erp: {doc: D1, pos: 1, customer: C1, amount: 7.5}, then: {amount: 7.5}}
"""
RULES = SHOP.replace("      terms:  {erp: terms, crm: terms, conflict: hold}\n", CUSTOMER).replace(
    "      amount:   {erp: amount, crm: amount}\n", LINE
)


def outcome(text: str, folder: Path, *options: str) -> Any:
    """`duolog test` on this file, without any of the variables that it names."""
    path = folder / "shop.yaml"
    path.write_text(text)
    return CliRunner().invoke(app, ["test", str(path), *options], env={"ERP_URL": None, "CRM_URL": None})


def test_passing_tests_are_listed_and_no_address_is_needed(tmp_path: Path) -> None:
    found = outcome(RULES, tmp_path)

    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        "customer: later wins: passed", "customer: the ERP says the limit: passed", "line: test 1: passed",
        "3 tests passed, 0 failed",
    ]  # fmt: skip
    assert outcome(SHOP, tmp_path).stdout == "there are no tests\n"


def test_a_failing_test_is_told_at_its_place_with_what_came_out_and_why(tmp_path: Path) -> None:
    found = outcome(RULES.replace("then: {city: B}", "then: {city: A}"), tmp_path)

    assert found.exit_code == 2
    assert found.stdout.splitlines()[0] == (
        f"{tmp_path}/shop.yaml:25:92: error[R393]: the test `later wins`: `city` is not `A` in the end; found `B`: "
        "last_writer: crm committed 60000.000 ms later than erp (update_differs); mend: mend the rule, or the test"
    )
    assert found.stdout.splitlines()[-1] == "2 tests passed, 1 failed"


def test_one_entity_alone(tmp_path: Path) -> None:
    assert outcome(RULES, tmp_path, "--entity", "line").stdout.splitlines() == [
        "line: test 1: passed", "1 tests passed, 0 failed"
    ]  # fmt: skip
    wrong = outcome(RULES, tmp_path, "--entity", "lin")
    assert (wrong.exit_code, wrong.stderr) == (2, "no entity `lin`; there are: customer, line\n")


def test_programs_are_told_all(tmp_path: Path) -> None:
    document = json.loads(outcome(RULES.replace("then: {city: B}", "then: {city: A}"), tmp_path, "--json").stdout)

    assert (document["passed"], document["failed"]) == (2, 1)
    first = document["tests"][0]
    assert [problem["code"] for problem in first["problems"]] == ["R393"] and not first["passed"]
    assert first["then"]["city"] == first["stored"]["erp"]["city"] == "B"


def test_wrong_rules_are_told_as_everywhere(tmp_path: Path) -> None:
    found = outcome(RULES.replace("crm: {limit: 5}", "crn: {limit: 5}"), tmp_path)

    assert found.exit_code == 2 and "error[R390]" in found.stderr


@pytest.fixture
def shop(erp_db: str, crm_db: str, tmp_path: Path) -> Desk:
    """The shop, whose rules carry tests."""
    desk = Desk(RULES, {"erp": erp_db, "crm": crm_db}, tmp_path)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    return desk


def test_check_runs_them_with_the_types_of_the_databases_and_without(shop: Desk) -> None:
    online, offline = shop.here("check"), shop.here("check", "--offline")

    assert (online.exit_code, offline.exit_code) == (0, 0)
    assert online.stdout.splitlines()[-1].endswith(", 3 tests passed")
    assert offline.stdout.splitlines()[-1] == "nothing wrong, 0 warnings, 3 tests passed"
    assert len(json.loads(shop.here("check", "--json").stdout)["tests"]) == 3


def test_check_fails_on_them_and_programs_are_told_all(shop: Desk) -> None:
    shop.rewrite("then: {city: B}", "then: {city: A}")

    for options in ((), ("--offline",)):
        found = shop.here("check", *options)
        assert found.exit_code == 2 and "error[R393]: the test `later wins`" in found.stderr
        document = json.loads(shop.here("check", "--json", *options).stdout)
        assert [problem["code"] for problem in document["problems"]] == ["R393"]
        assert [test["passed"] for test in document["tests"]] == [False, True, True]


def test_a_test_that_depends_on_the_types_is_warned_of(shop: Desk) -> None:
    """Two digits are kept there: `2.999` becomes `3.00`, which only the catalogs know."""
    shop.sql("crm", "ALTER TABLE sales.line ALTER amount TYPE numeric(12,3)")
    shop.rewrite("erp: amount,", "erp: {column: amount, lossy: true},")
    shop.rewrite("{erp: {doc: D1, pos: 1, customer: C1, amount: 7.5}, then: {amount: 7.5}}",
                 "{crm: {amount: 2.999}, then: {amount: 2.999}, stored: {erp: {amount: 3}}}")  # fmt: skip

    online, offline = shop.here("check"), shop.here("check", "--offline")

    assert online.exit_code == 0 and "warning[R399]: the test `test 1` of `line`" in online.stdout
    assert offline.exit_code == 2 and "`erp` does not store `3`" in offline.stderr
