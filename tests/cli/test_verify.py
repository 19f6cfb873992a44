"""`duolog verify`: finds what differs and says what is known about it; says nothing where all is as it should be."""

from __future__ import annotations

import json

from tests.cli.desk import Desk


def differences(desk: Desk, *options: str) -> list[dict[str, object]]:
    """What `verify --json` lists."""
    found: list[dict[str, object]] = json.loads(desk.here("verify", "--wait", "1", "--json", *options).stdout)[
        "differences"
    ]
    return found


def test_a_difference_that_came_past_the_log_is_found(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name, city) VALUES ('C1', 'Ada', 'Wien'), ('C2', 'Bob', 'Graz')")
        ready.settle()
        ready.sql("erp", "UPDATE customer SET name = 'Eve' WHERE no = 'C1'")  # a record that was written before
        ready.settle()
        assert ready.ask("verify").stdout == "2 records compared: no difference\n"

        ready.quietly("crm", "UPDATE sales.account SET billing_city = 'Linz' WHERE account_no = 'C1'")

        said = ready.ask("verify", "--wait", "1")
        assert said.returncode == 1
        assert "2 records compared, 1 differ" in said.stdout
        assert "Linz" not in said.stdout
        assert differences(ready) == [
            {"entity": "customer", "key": "C1", "fields": ["city"], "missing": [], "status": "differs"}
        ]
        shown = differences(ready, "--values")
        assert shown[0]["values"] == {"erp": ["Wien"], "crm": ["Linz"]}


def test_what_was_written_while_duolog_is_stopped_differs_and_is_gone_after_the_next_run(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada'), ('C2', 'Bob')")
        ready.settle()
    ready.sql("crm", "DELETE FROM sales.account WHERE account_no = 'C2'")
    ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C3', 'Eve')")

    assert sorted((d["key"], d["missing"], d["status"]) for d in differences(ready)) == [
        ("C2", ["crm"], "differs"), ("C3", ["crm"], "in flight"),
    ]  # fmt: skip
    with ready.running():
        pass
    assert differences(ready) == []


def test_a_value_that_a_trigger_rewrote_after_our_write_is_no_difference(ready: Desk) -> None:
    ready.sql(
        "crm",
        "CREATE FUNCTION upper_name() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.account_name := upper(NEW.account_name); RETURN NEW; END'",
    )
    ready.sql(
        "crm",
        "CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON sales.account FOR EACH ROW EXECUTE FUNCTION upper_name()",
    )
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()

        assert ready.sql("crm", "SELECT account_name FROM sales.account") == [("ADA",)]
        assert ready.sql("erp", "SELECT name FROM customer") == [("Ada",)]
        assert differences(ready) == []
        assert "crm holds `ADA`: in step, stored in its own way" in ready.call("explain", "customer", "C1").stdout


def test_what_waits_for_a_person_is_told_as_such(ready: Desk) -> None:
    ready.sql("crm", "ALTER TABLE sales.account ADD CONSTRAINT sober CHECK (account_name !~ 'forbidden')")
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name, terms) VALUES ('C1', 'Ada', 'N30')")
        ready.settle()
    ready.sql("erp", "UPDATE customer SET terms = 'N14'")
    ready.sql("crm", "UPDATE sales.account SET terms = 'N60'")
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C2', 'forbidden')")
        ready.eventually(lambda: json.loads(ready.here("quarantine", "--json").stdout))

        assert sorted((d["key"], d["status"]) for d in differences(ready)) == [("C1", "held"), ("C2", "quarantine")]


def test_verify_before_the_first_run_says_that_there_is_no_store(ready: Desk) -> None:
    said = ready.ask("verify")

    assert said.returncode == 4
    assert "there is no store yet" in said.stderr
