"""`duolog setup` and `duolog teardown`: what is made can be read first, made twice, and taken away without a trace."""

from __future__ import annotations

import json
import subprocess

from service.embedded import find_programs
from tests.cli.desk import Desk

OURS = """
SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL
SELECT 'origin ' || roname FROM pg_replication_origin WHERE roname LIKE 'duolog%' UNION ALL
SELECT 'publication ' || pubname FROM pg_publication UNION ALL
SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = 'duolog' UNION ALL
SELECT 'relation ' || oid::regclass FROM pg_class WHERE relnamespace = to_regnamespace('duolog') UNION ALL
SELECT 'identity of ' || oid::regclass FROM pg_class WHERE relkind = 'r' AND relreplident <> 'd'
    AND relnamespace = 'public'::regnamespace
ORDER BY 1
"""


def ours(desk: Desk, system: str) -> list[str]:
    """Everything in a database that bears our name."""
    return [row[0] for row in desk.sql(system, OURS)]


def test_a_dry_run_prints_sql_that_can_be_executed_as_it_is(desk: Desk) -> None:
    said = desk.ask("setup", "--dry-run")
    assert said.returncode == 0
    assert ours(desk, "erp") == ours(desk, "crm") == []
    erp, crm = said.stdout.removeprefix("-- erp\n").split("-- crm\n")

    for system, script in (("erp", erp), ("crm", crm)):
        psql(desk.urls[system], script)

    assert "relation duolog.ledger" in ours(desk, "erp")
    assert desk.ask("setup").stdout == "erp: all there\ncrm: all there\n"
    with desk.running():
        desk.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        desk.settle()
    assert desk.sql("crm", "SELECT account_name FROM sales.account") == [("Ada",)]


def test_setting_up_twice_makes_everything_once(desk: Desk) -> None:
    first = desk.ask("setup")
    made = ours(desk, "erp")
    second = desk.ask("setup")

    assert first.returncode == second.returncode == 0
    assert "erp: makes logical slot `duolog_shop_erp`" in first.stdout
    assert second.stdout == "erp: all there\ncrm: all there\n"
    assert ours(desk, "erp") == made
    assert "schema duolog" in made and "slot duolog_shop_erp" in made


def test_the_steps_are_told_to_a_program(desk: Desk) -> None:
    planned = json.loads(desk.ask("setup", "--dry-run", "--json").stdout)

    assert {(step["system"], step["done"]) for step in planned} == {("erp", False), ("crm", False)}
    assert all(step["sql"] and step["what"] for step in planned)


def test_teardown_leaves_nothing_behind(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()
    assert ours(ready, "erp") and ours(ready, "crm")

    said = ready.ask("teardown", "--yes")

    assert said.returncode == 0
    assert "erp: took away logical slot `duolog_shop_erp`" in said.stdout
    assert ours(ready, "erp") == ours(ready, "crm") == []
    assert ready.sql("crm", "SELECT account_name FROM sales.account") == [("Ada",)]
    again = ready.ask("teardown", "--yes", "--json")
    assert json.loads(again.stdout) == {"erp": [], "crm": []}


def test_teardown_asks_first_and_does_nothing_without_a_yes(ready: Desk) -> None:
    made = ours(ready, "erp")

    refused = ready.ask("teardown", typed="n\n")

    assert refused.returncode == 1
    assert ours(ready, "erp") == made
    assert ready.ask("teardown", typed="y\n").returncode == 0
    assert ours(ready, "erp") == []


def test_teardown_under_a_running_engine_is_refused_and_names_the_process(ready: Desk) -> None:
    with ready.running():
        said = ready.ask("teardown", "--yes")
        assert said.returncode in (1, 3)
        assert "is being read by the process" in said.stderr
        assert "mend: stop duolog first" in said.stderr
        ready.must_live()


def test_a_run_that_was_never_set_up_says_what_to_do(desk: Desk) -> None:
    said = desk.ask("run")

    assert said.returncode == 3
    assert "erp: not set up: " in said.stderr
    assert "mend: duolog setup " in said.stderr


def psql(url: str, script: str) -> None:
    """Runs a script as a DBA would."""
    program = find_programs() / "psql"
    subprocess.run([str(program), url, "-v", "ON_ERROR_STOP=1", "-q"], input=script, text=True, check=True)
