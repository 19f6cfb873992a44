"""`duolog match`: what day one would do is shown first, becomes the base when it is accepted, and not before."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.desk import Desk
from tests.cli.test_least_privilege import as_role


@pytest.fixture
def full(ready: Desk) -> Desk:
    """Both sides are full, and not alike."""
    ready.sql("erp", """
        INSERT INTO customer (no, name, city, stage, credit_limit, terms) VALUES
            ('C1', 'Ada', 'Wien', 'A', 10, 'N30'), ('C2', 'Bob', 'Graz', 'P', 20, 'N30'),
            ('C3', 'Cid', 'Linz', 'A', 30, 'N14'), ('C4', 'Dan', 'Linz', 'A', 40, 'N14')
    """)
    ready.sql("crm", """
        INSERT INTO sales.account (account_no, account_name, billing_city, stage, credit_limit, terms) VALUES
            ('C1', 'Ada', 'Wien', 'active', 10, 'N30'), ('C2', 'Bobby', 'Graz', 'prospect', 99, 'N60'),
            ('C5', 'Eve', 'Steyr', 'active', 50, 'N14')
    """)
    return ready


def matched(desk: Desk, *options: str, code: int = 1) -> dict[str, Any]:
    """What `match --json` prints."""
    said = desk.here("match", "--json", *options)
    assert said.exit_code == code, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def test_it_tells_what_is_equal_what_differs_and_what_becomes_of_it(full: Desk) -> None:
    found = matched(full)

    assert found["entities"]["customer"] == {
        "records": 5, "equal": 1, "kinds": {"differing": 1, "one-sided": 3},
        "fields": {"name": 1, "limit": 1, "terms": 1},
        "meanings": {"created in crm": 2, "created in erp": 1},
    }
    assert (found["accepted"], found["shown"], found["total"]) == (False, 4, 4)
    assert set(found["log_kept"]) == {"erp", "crm"}
    differing, *one_sided = found["records"]
    assert (differing["kind"], differing["key"]) == ("differing", "C2")
    assert [(c["fields"], c["winner"], c["because"]) for c in differing["fields"]] == [
        (["name"], "erp", "first merge: last_writer: when either committed is not known: erp comes first in erp, crm"),
        (["limit"], "erp", "owner: only erp may write it"),
        (["terms"], None, "hold: erp and crm differed at the first merge"),
    ]
    assert [(r["key"], r["systems"], r["meaning"]) for r in one_sided] == [
        ("C3", ["erp"], "created in crm"), ("C4", ["erp"], "created in crm"), ("C5", ["crm"], "created in erp"),
    ]  # fmt: skip


def test_it_writes_nothing_to_any_system_and_no_value_is_shown_unasked(full: Desk) -> None:
    before = {s: full.sql(s, "SELECT pg_current_xact_id()::text::bigint") for s in ("erp", "crm")}
    said = full.ask("match")
    after = {s: full.sql(s, "SELECT pg_current_xact_id()::text::bigint") for s in ("erp", "crm")}

    assert said.returncode == 1
    assert "Bob" not in said.stdout
    assert "Bob" in full.ask("match", "--values").stdout
    assert {s: after[s][0][0] - before[s][0][0] for s in after} == {"erp": 1, "crm": 1}, "only the question itself"


def test_it_is_shown_again_without_reading_the_systems_until_asked_to(full: Desk) -> None:
    first = matched(full)
    full.sql("crm", "UPDATE sales.account SET account_name = 'Bob', terms = 'N30', credit_limit = 20")

    again = matched(full)
    anew = matched(full, "--again")

    assert {**again, "log_kept": {}} == {**first, "log_kept": {}}
    assert all(again["log_kept"][s] >= first["log_kept"][s] for s in ("erp", "crm"))
    assert anew["compared_at"] > first["compared_at"]
    assert anew["entities"]["customer"]["kinds"] == {"one-sided": 3, "differing": 1}
    assert anew["entities"]["customer"]["fields"] == {"name": 1, "limit": 1}
    kept = [(e["key"], *e["fields"]) for e in json.loads(full.here("journal", "--json").stdout)]
    assert sorted(kept) == [("C1", "limit"), ("C1", "name"), ("C5", "limit")], "of the last comparison only"


def test_accepted_it_is_the_base_and_run_follows_the_logs_from_where_it_was_compared(full: Desk) -> None:
    matched(full)
    full.sql("erp", "UPDATE customer SET city = 'Baden' WHERE no = 'C1'")
    full.sql("crm", "INSERT INTO sales.account (account_no, account_name) VALUES ('C9', 'Zoe')")

    refused = full.ask("run")
    assert refused.returncode == 4
    assert refused.stderr == (
        "D503 the systems have been compared, and what was found has not been accepted\n"
        f"  mend: look at it with `duolog match {full.rules}`, then `duolog match {full.rules} --accept`\n"
    )
    said = full.ask("match", "--accept")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.endswith("accepted: `duolog run` goes on from where the systems were compared\n")
    with full.running():
        full.eventually(lambda: full.sql("erp", "SELECT 1 FROM customer WHERE no = 'C9'"))
        full.settle()
        assert full.sql("crm", "SELECT billing_city FROM sales.account WHERE account_no = 'C1'") == [("Baden",)]
        assert full.sql("crm", "SELECT account_name FROM sales.account WHERE account_no = 'C2'") == [("Bob",)]
        assert [r[0] for r in full.sql("erp", "SELECT no FROM customer ORDER BY no")] == [
            "C1", "C2", "C3", "C4", "C5", "C9",
        ]  # fmt: skip
    assert "comparing all systems" not in full.output()


def test_on_a_fresh_store_accept_compares_first_and_says_what_it_accepts(full: Desk) -> None:
    said = full.ask("match", "--accept", "--json")

    found = json.loads(said.stdout)
    assert said.returncode == 0
    assert (found["accepted"], found["total"], found["shown"]) == (True, 4, 0)
    with full.running():
        assert full.sql("erp", "SELECT count(*) FROM customer") == [(5,)]


def test_rules_that_changed_since_are_never_accepted_for_those_that_were_shown(full: Desk) -> None:
    matched(full)
    full.rewrite("order: [erp, crm]", "order: [crm, erp]")

    refused = full.ask("match", "--accept")
    assert refused.returncode == 4
    assert refused.stderr == (
        "D503 the rules of `customer` have changed since the systems were compared: what was shown is not what these "
        f"rules would agree on\n  mend: `duolog match {full.rules}` compares them anew\n"
    )
    shown = full.ask("match", "--json")
    assert shown.stderr == "the rules of `customer` have changed since the systems were compared: comparing anew\n"
    assert [c["winner"] for r in json.loads(shown.stdout)["records"][:1] for c in r["fields"]] == ["crm", "erp", None]
    assert full.ask("match", "--accept").returncode == 0


def test_after_it_was_accepted_there_is_nothing_to_match(full: Desk) -> None:
    full.ask("match", "--accept")

    for options in ([], ["--accept"]):
        said = full.ask("match", *options)
        assert said.returncode == 4
        assert said.stderr.startswith("D503 the systems are agreed already, and kept in step from there\n  mend: ")
    assert matched(full, "--again")["entities"]["customer"]["records"] == 5
    assert "has not been accepted" in full.ask("run").stderr


def test_it_is_refused_while_an_engine_runs(full: Desk) -> None:
    full.ask("match", "--accept")
    with full.running():
        said = full.ask("match", "--again")
        assert said.returncode == 4
        assert "D500" in said.stderr


def test_systems_that_are_not_set_up_are_not_compared(desk: Desk) -> None:
    said = desk.ask("match")

    assert said.returncode == 3
    assert f"mend: duolog setup {desk.rules}" in said.stderr


def test_filters_and_limits_say_how_many_there_are(full: Desk, tmp_path: Path) -> None:
    table = full.ask("match", "--limit", "2", "--kind", "one-sided")
    assert "C3" in table.stdout
    assert "C5" not in table.stdout
    assert "first 2 of 3: --limit shows more" in table.stdout
    found = matched(full, "--limit", "1", "--entity", "customer")
    assert (found["shown"], found["total"], len(found["records"])) == (1, 4, 1)
    assert matched(full, "--entity", "line")["records"] == []
    assert full.ask("match", "--entity", "nobody").returncode == 2

    assert full.ask("match", "--csv", str(tmp_path / "all.csv"), "--values").returncode == 1
    rows = list(csv.DictReader((tmp_path / "all.csv").open(encoding="utf-8")))
    assert [(r["key"], r["fields"], r["winner"], r["erp"], r["crm"]) for r in rows] == [
        ("C2", "name", "erp", "Bob", "Bobby"), ("C2", "limit", "erp", "20.00", "99.00"),
        ("C2", "terms", "", "N30", "N60"), ("C3", "", "", "", ""), ("C4", "", "", "", ""), ("C5", "", "", "", ""),
    ]  # fmt: skip
    assert full.ask("match", "--csv", "-", "--kind", "differing", "--limit", "1").stdout.splitlines()[0] == (
        "entity,kind,key,keys,in,missing,fields,winner,why"
    )


def test_explain_and_status_tell_that_nobody_has_accepted_it(full: Desk) -> None:
    matched(full)

    assert "not accepted yet" in full.ask("explain", "customer", "C2").stderr
    assert "compared, not accepted" in full.ask("status").stdout
    full.ask("match", "--accept")
    assert full.ask("explain", "customer", "C2").stderr == ""


def test_a_value_without_a_counterpart_is_told_as_refused(full: Desk) -> None:
    full.sql("erp", "ALTER TABLE customer DROP CONSTRAINT customer_stage_check")
    full.sql("erp", "UPDATE customer SET stage = 'X' WHERE no = 'C1'")

    refused = [r for r in matched(full)["records"] if r["kind"] == "refused"]

    assert [(r["key"], list(r["refused"])) for r in refused] == [("C1", ["erp"])]
    assert "`X`" not in json.dumps(refused)


def test_it_needs_no_right_that_run_does_not_need(desk: Desk) -> None:
    with as_role(desk):
        desk.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        desk.sql("crm", "INSERT INTO sales.account (account_no, account_name) VALUES ('C1', 'Ada'), ('C2', 'Bob')")

        assert matched(desk)["entities"]["customer"]["kinds"] == {"one-sided": 1}
        assert desk.ask("match", "--accept").returncode == 0


def test_several_things_in_one_cell_stand_below_each_other(full: Desk) -> None:
    told = full.here("match", "--limit", "0").stdout

    assert "\\n" not in told
    [first] = [line for line in told.splitlines() if "customer" in line]
    assert first.split("│")[-2].strip() in ("limit 1", "name 1", "terms 1")
