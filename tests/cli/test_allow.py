"""`allow`, and what `status`, `explain` and `verify` say of an entity that broke a limit."""

from __future__ import annotations

import re

from tests.cli.desk import Desk

WHY = "erp has no record of `line` left: its users deleted 20 within 1 h"


def emptied(desk: Desk) -> None:
    """Twenty lines everywhere, and then none in erp."""
    desk.sql("erp", "INSERT INTO customer (no, name) VALUES ('C1', 'Ada')")
    desk.sql("erp", "INSERT INTO doc_line SELECT 'D', i, 'C1', 5 FROM generate_series(1, 20) AS i")
    desk.settle()
    desk.sql("erp", "DELETE FROM doc_line")
    desk.eventually(lambda: desk.status()["stops"])
    desk.settle()


def test_an_entity_that_is_not_stopped_a_wrong_one_and_a_wrong_system(ready: Desk) -> None:
    with ready.running():
        asked = ready.here("allow", "line")
        assert (asked.exit_code, asked.stderr) == (1, "`line` is not stopped\n")
        assert ready.here("allow", "lines").exit_code == 2
        wrong = ready.here("allow", "line", "--undo", "mes")
        assert wrong.exit_code == 2
        assert "--undo is one of erp, crm" in wrong.stderr
        emptied(ready)
        other = ready.here("allow", "customer")
        assert (other.exit_code, other.stderr) == (1, "`customer` is not stopped; stopped: line\n")


def test_what_is_said_of_a_stopped_entity_while_the_engine_runs_and_after(ready: Desk) -> None:
    with ready.running():
        emptied(ready)
        said = ready.here("status")
        assert said.exit_code == 3
        since = re.search(r"STOPPED line since (\d{4}-[-\d]+ [:\d]+\.\d{3}Z): (.*)\n  mend: (.*)\n", said.stdout)
        assert since is not None, said.stdout
        assert since[2] == WHY
        assert since[3] == (
            f"`duolog allow {ready.rules} line` lets it go; with `--undo erp`, what its users did since is taken back, "
            "as the others still have it"
        )
        explained = ready.here("explain", "line", "D", "7")
        assert "crm: a write waits: a limit was broken, `duolog status` says by whom" in explained.stdout
        verified = ready.here("verify", "--json")
        assert verified.exit_code == 1
        assert verified.stdout.count('"status": "stopped"') == 20
    said = ready.here("status", "--json")
    assert said.exit_code == 3
    [stop] = ready.status()["stops"]
    assert {k: stop[k] for k in ("entity", "system", "what", "count", "allowed", "seconds", "why")} == {
        "entity": "line", "system": "erp", "what": "emptied", "count": 20, "allowed": 0, "seconds": 3600, "why": WHY,
    }


def test_an_answer_is_noted_while_the_engine_is_away_and_carried_out_when_it_comes(ready: Desk) -> None:
    with ready.running():
        emptied(ready)
    asked = ready.here("allow", "line")
    assert (asked.exit_code, asked.stdout) == (0, "noted: it is carried out when the engine runs\n")
    assert ready.sql("crm", "SELECT count(*) FROM sales.line") == [(20,)]
    with ready.running():
        ready.eventually(lambda: ready.sql("crm", "SELECT count(*) FROM sales.line") == [(0,)])
        ready.settle()
        assert ready.here("status").exit_code == 0
    assert "entity allowed: `line` by " in ready.log.read_text()


def test_put_back(ready: Desk) -> None:
    with ready.running():
        emptied(ready)
        answer = ready.here("allow", "line", "--undo", "erp")
        assert (answer.exit_code, answer.stdout) == (0, "`line` goes on; 20 records waited, 20 were put back\n")
        ready.settle()
        assert ready.sql("erp", "SELECT count(*), sum(amount) FROM doc_line") == [(20, 100)]
        assert ready.here("verify").exit_code == 0
        told = ready.here("journal", "--entity", "line", "--limit", "1").stdout
        assert re.search(rf"resolved: erp gave way to put back by \S+: {re.escape(WHY)}", told), told
