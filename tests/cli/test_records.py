"""`explain`, `journal`, `held`, `resolve`, `quarantine`, `retry`, `status`: one record at a time, on real servers.

Conflicts are made on purpose: a user of each side writes the same record while duolog is stopped, so that neither can
have seen the other's write.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from tests.cli.desk import Desk
from tests.engine_live.world import pause


def asked(desk: Desk, *arguments: str) -> Any:
    """What a command prints for programs; it must succeed. (As processes of their own: `test_verbs`.)"""
    found = desk.here(*arguments, "--json")
    assert found.exit_code == 0, found.stderr
    return json.loads(found.stdout)


def test_a_conflict_is_explained_and_stands_in_the_journal(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer VALUES ('C1', 'Ada', 'Wien', 'A', 10, 'N30')")
        ready.settle()
    ready.sql("erp", "UPDATE customer SET name = 'Ada of the ERP' WHERE no = 'C1'")
    pause(0.5)  # further apart than a busy machine's clocks can be told: else the order of the systems decides
    ready.sql("crm", "UPDATE sales.account SET account_name = 'Ada of the CRM' WHERE account_no = 'C1'")
    with ready.running():
        pass

    entries = asked(ready, "journal", "--entity", "customer", "--key", "C1")
    document = asked(ready, "explain", "customer", "C1")
    text = ready.call("explain", "customer", "C1").stdout

    assert [(e["kind"], e["fields"], e["won"], e["lost"]) for e in entries] == [
        ("update_differs", ["name"], ["Ada of the CRM"], ["Ada of the ERP"])
    ]
    assert entries[0]["winner"]["system"] == "crm" and entries[0]["loser"]["system"] == "erp"
    name = next(f for f in document["fields"] if f["field"] == "name")
    assert name["value"] == "Ada of the CRM"
    assert name["from"] == "crm"
    assert name["why"] == "won a conflict by last_writer"
    assert name["systems"]["erp"] == {"value": "Ada of the CRM", "state": "in step"}
    assert document["systems"] == {"erp": "in step", "crm": "in step"}
    assert "`Ada of the ERP` of erp gave way to `Ada of the CRM`: last_writer: crm committed" in text
    assert "a write is due" not in text


def test_status_after_a_refused_start_counts_what_the_store_has(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer VALUES ('C1', 'Ada', 'Wien', 'A', 10, 'N30')")
        ready.settle()
    ready.sql("erp", "UPDATE customer SET terms = 'N14' WHERE no = 'C1'")
    ready.sql("crm", "UPDATE sales.account SET terms = 'N60' WHERE account_no = 'C1'")
    with ready.running():
        assert ready.status()["holds"] == 1
    ready.rewrite("city:", "town:")

    assert ready.ask("run").returncode == 4
    assert ready.status()["holds"] == 1


def test_a_held_conflict_is_listed_resolved_and_carried_out(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer VALUES ('C1', 'Ada', 'Wien', 'A', 10, 'N30')")
        ready.settle()
    ready.sql("erp", "UPDATE customer SET terms = 'N14' WHERE no = 'C1'")
    ready.sql("crm", "UPDATE sales.account SET terms = 'N60' WHERE account_no = 'C1'")

    with ready.running():
        held = asked(ready, "held")
        assert [(h["entity"], h["key"], h["fields"]) for h in held] == [("customer", "C1", ["terms"])]
        assert held[0]["values"] == {"erp": ["N14"], "crm": ["N60"]}
        assert ready.status()["holds"] == 1
        assert ready.sql("erp", "SELECT terms FROM customer") == [("N14",)]
        assert ready.sql("crm", "SELECT terms FROM sales.account") == [("N60",)]
        explained = ready.call("explain", "customer", "C1").stdout
        assert "erp keeps `N14`" in explained and "crm keeps `N60`" in explained
        assert ready.ask("verify").returncode == 1

        answer = asked(ready, "resolve", "customer", "C1", "terms", "--take", "crm")
        assert answer["answer"] == "1 resolved"
        ready.settle()

        assert ready.sql("erp", "SELECT terms FROM customer") == [("N60",)]
        assert asked(ready, "held") == []
        assert ready.call("held").stdout == "nothing is held\n"
        terms = next(f for f in asked(ready, "explain", "customer", "C1")["fields"] if f["field"] == "terms")
        assert terms["why"].startswith("resolved by ") and terms["why"].endswith(": take crm")
        assert asked(ready, "resolve", "customer", "C1", "terms", "--take", "crm")["answer"] == "nothing is held there"
    assert ready.ask("verify").returncode == 0


def test_a_refused_record_waits_in_quarantine_until_its_cause_is_mended(ready: Desk) -> None:
    ready.sql("crm", "ALTER TABLE sales.account ADD CONSTRAINT sober CHECK (account_name !~ 'forbidden')")
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'forbidden'), ('C2', 'Bob')")
        ready.sql("erp", "INSERT INTO doc_line VALUES ('D1', 1, 'C1', 5)")
        ready.eventually(lambda: ready.status()["quarantine"] == 2)

        listed = {(q["entity"], q["key"], q["system"]): q["reason"] for q in asked(ready, "quarantine")}
        assert listed == {
            ("customer", "C1", "crm"): "23514 check_violation: constraint `sober` of `sales.account` about `name`",
            ("line", "D1/1", "crm"): "waits for customer `C1`, which is in quarantine",
        }
        assert ready.sql("crm", "SELECT account_no FROM sales.account") == [("C2",)]
        assert "crm: in quarantine: 23514" in ready.call("explain", "customer", "C1").stdout
        assert ready.status()["quarantine"] == 2

        ready.sql("crm", "ALTER TABLE sales.account DROP CONSTRAINT sober")
        assert asked(ready, "retry")["answer"] == "2 retried"
        ready.eventually(lambda: ready.status()["quarantine"] == 0)
        ready.settle()

        assert ready.sql("crm", "SELECT count(*) FROM sales.line") == [(1,)]
        assert ready.call("quarantine").stdout == "nothing is in quarantine\n"
    assert ready.ask("verify").returncode == 0


def test_a_retried_record_takes_its_dependants_with_it(ready: Desk) -> None:
    ready.sql("crm", "ALTER TABLE sales.account ADD CONSTRAINT sober CHECK (account_name !~ 'forbidden')")
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'forbidden')")
        ready.sql("erp", "INSERT INTO doc_line VALUES ('D1', 1, 'C1', 5)")
        ready.eventually(lambda: ready.status()["quarantine"] == 2)
        ready.sql("crm", "ALTER TABLE sales.account DROP CONSTRAINT sober")

        asked(ready, "retry", "customer", "C1")
        ready.settle()

        assert ready.sql("crm", "SELECT count(*) FROM sales.line") == [(1,)]


def test_a_request_is_kept_until_an_engine_runs(ready: Desk) -> None:
    with ready.running():
        pass

    said = ready.ask("retry")

    assert said.returncode == 0
    assert said.stdout == "noted: it is carried out when the engine runs\n"


def test_keys_of_several_fields_and_keys_with_a_slash_name_their_record(ready: Desk) -> None:
    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('A/1', 'Ada')")
        ready.sql("erp", "INSERT INTO doc_line VALUES ('D1', 7, 'A/1', 5)")
        ready.settle()

    assert asked(ready, "explain", "customer", "A/1")["key"] == ["A/1"]
    assert asked(ready, "explain", "line", "D1", "7")["key"] == ["D1", "7"]
    assert asked(ready, "explain", "line", "D1/7")["key"] == ["D1", "7"]
    short = ready.ask("explain", "line", "D1")
    assert short.returncode == 2
    assert short.stderr == "the key of `line` is doc / pos: 1 values given\n"


def test_what_does_not_exist_is_said_with_its_own_exit_code(ready: Desk) -> None:
    assert ready.ask("explain", "customer", "C1").returncode == 4  # there is no store yet
    with ready.running():
        pass

    unknown = ready.ask("explain", "customer", "C404")
    assert (unknown.returncode, unknown.stderr) == (1, "no record `C404` of `customer` is known\n")
    entity = ready.ask("explain", "client", "C404")
    assert (entity.returncode, entity.stderr) == (2, "no entity `client`; there are: customer, line\n")
    assert ready.ask("resolve", "customer", "C404", "--take", "mes").returncode == 2
    assert ready.ask("resolve", "customer", "C404", "nmae", "--take", "erp").returncode == 2
    assert ready.ask("journal", "--key", "C1").returncode == 2
    assert ready.ask("journal").stdout == "nothing in the journal\n"


def test_the_journal_shows_the_newest_and_says_how_many_more_there_are(ready: Desk) -> None:
    with ready.running():
        ready.sql("crm", "INSERT INTO sales.account (account_no, account_name) SELECT 'C' || n, 'x' FROM "
                         "generate_series(1, 60) n")
        ready.settle()
        ready.sql("crm", "UPDATE sales.account SET credit_limit = 1")  # the ERP owns it: 60 writes are overruled
        ready.settle()

    some = ready.ask("journal")
    few = ready.ask("journal", "--limit", "3", "--values")
    all_of_it = ready.ask("journal", "--limit", "1000")

    assert some.stdout.count("owner: only erp may write it") == 50
    assert "10 older entries are not shown: --limit 60 shows them" in some.stdout
    assert few.stdout.count("owner: only erp may write it") == 3
    assert "57 older entries" in few.stdout
    assert "older entries" not in all_of_it.stdout


def test_status_tells_the_truth_before_while_and_after_a_run(ready: Desk) -> None:
    before = ready.ask("status")
    assert before.returncode == 0
    assert before.stdout.startswith("engine: not running, never started\n")
    assert asked(ready, "status")["engine"]["running"] is False

    with ready.running():
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        status = ready.settle()
        text = ready.ask("status")
        assert status["engine"]["running"] is True
        assert status["quiet"] is True
        assert status["systems"]["erp"]["state"] == "running"
        assert status["counters"]["written"] >= 1
        assert text.stdout.startswith(f"engine: running (pid {ready.pid}), quiet\n")

    after = asked(ready, "status")
    assert after["engine"]["running"] is False
    assert after["quiet"] is False
    assert ready.ask("status").returncode == 0


def test_status_of_a_killed_engine_says_that_it_does_not_run(ready: Desk) -> None:
    ready.start()
    ready.settle()
    assert ready.pid is not None
    os.kill(ready.pid, signal.SIGKILL)
    ready.stop()

    assert asked(ready, "status")["engine"]["running"] is False


def test_a_stopped_system_is_told_with_exit_code_3_and_its_mend(ready: Desk) -> None:
    ready.start()
    ready.settle()
    ready.sql("crm", "TRUNCATE sales.line")
    code = ready._process.wait(60)  # type: ignore[union-attr]
    ready.stop()

    assert code == 3
    assert "D209 crm: " in ready.log_tail()
    assert "mend: `duolog resolve RULES --truncated crm.line --restore`" in ready.log_tail()
    status = ready.ask("status")
    assert status.returncode == 3
    assert "stopped" in status.stdout
    assert "D209" in status.stdout


def test_a_second_engine_is_refused_and_named_the_first(ready: Desk) -> None:
    with ready.running():
        second = ready.ask("run")

        assert second.returncode == 4
        assert second.stderr.splitlines()[-1].startswith("D500 ") or "D500 " in second.stderr
        assert str(ready.pid) in second.stderr
        ready.must_live()
        ready.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
        ready.settle()
    assert ready.sql("crm", "SELECT count(*) FROM sales.account") == [(1,)]
