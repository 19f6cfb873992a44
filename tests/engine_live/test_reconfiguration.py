"""The rules change while the engine runs, for better and for worse; and the way back after the slot is gone."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.engine_live.pair import Pair
from tests.engine_live.world import eventually, pause

TABLE = """
CREATE TABLE thing (id text PRIMARY KEY, name text, extra text);
INSERT INTO thing SELECT 'T' || i, 'old', 'old' FROM generate_series(1, 100) AS i;
"""
RULES = """
  thing:
    identity: [id]
    conflict: last_writer
    order: [erp, crm]
    bind: {erp: {table: thing}, crm: {table: thing}}
    fields: {id: id, name: name}
"""

FAILING = """\
    tests: [{name: wrong, agreed: {name: X}, erp: {name: A}, crm: {name: B}, then: {name: A}}]
"""
PASSING = FAILING.replace("wrong", "right").replace("then: {name: A}", "then: {name: B}")


@pytest.fixture
def pair(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[Pair]:
    """Two equal tables, and the engine at work."""
    made = Pair(tmp_path, "anew", {"erp": erp_db, "crm": crm_db}, RULES, {"erp": TABLE, "crm": TABLE})
    made.start()
    yield made
    made.close()


def _edit(pair: Pair, before: str, after: str) -> int:
    """Edits the rule file, sends SIGHUP, and answers how much the engine had said until then."""
    text = pair.live.rules.read_text()
    assert before in text
    pair.live.rules.write_text(text.replace(before, after))
    mark = len(pair.live.said())
    pair.live.signal(signal.SIGHUP)
    return mark


def _taken_on(pair: Pair, before: str, after: str) -> str:
    """New rules are in force: what the engine said meanwhile."""
    mark = _edit(pair, before, after)
    eventually(lambda: "rules read: " in pair.live.said()[mark:], 10, pair.live.log_tail)
    lines = [f"{role} running: {s}\n" for s in pair.addresses for role in ("reader", "writer")]
    eventually(lambda: all(line in pair.live.said()[mark:] for line in lines), 10, pair.live.log_tail)
    return pair.live.said()[mark:]


def _refused(pair: Pair, before: str, after: str) -> str:
    """New rules are refused, and the engine did not so much as pause for them: what it said meanwhile."""
    mark = _edit(pair, before, after)
    eventually(lambda: "rules kept: the old rules stay in force" in pair.live.said()[mark:], 10, pair.live.log_tail)
    said = pair.live.said()[mark:]
    assert "rules refused: " in said and "running" not in said
    return said


def _quarrel(pair: Pair, key: str) -> None:
    """Both sides write one field while the engine is frozen; CRM later."""
    pair.live.signal(signal.SIGSTOP)
    pair.sql("erp", "UPDATE thing SET name = 'of erp' WHERE id = {key}", key=key)
    pause(0.5)  # further apart than a busy machine's clocks can be told: else the order of the systems decides
    pair.sql("crm", "UPDATE thing SET name = 'of crm' WHERE id = {key}", key=key)
    pair.live.signal(signal.SIGCONT)


def test_good_rules_are_in_force_after_sighup_and_no_change_is_lost(pair: Pair) -> None:
    _quarrel(pair, "T1")
    pair.become("SELECT name FROM thing WHERE id = 'T1'", [("of crm",)])

    _taken_on(pair, "conflict: last_writer", "conflict: system_of_record")

    _quarrel(pair, "T2")
    pair.become("SELECT name FROM thing WHERE id = 'T2'", [("of erp",)])
    pair.become("SELECT name FROM thing WHERE id = 'T1'", [("of crm",)])
    pair.stop()


def test_faulty_rules_are_told_and_the_old_ones_stay_in_force(pair: Pair) -> None:
    said = _refused(pair, "conflict: last_writer", "conflict: lost_writer")

    assert "rules.yaml:10:15:" in said and "lost_writer" in said
    _quarrel(pair, "T3")
    pair.become("SELECT name FROM thing WHERE id = 'T3'", [("of crm",)])
    pair.stop()


def test_rules_with_other_fields_are_refused_while_running_and_at_the_next_start(pair: Pair) -> None:
    said = _refused(pair, "name: name}", "name: name, extra: extra}")

    whole = (
        "D501 the fields, groups, conversions or systems of `thing` are not those that the store was made with   "
        "mend: run once with --merge-again: all systems are compared again under the new rules"
    )
    assert f"rules refused: {whole}\n" in said
    pair.sql("erp", "UPDATE thing SET name = 'flows' WHERE id = 'T4'")
    pair.become("SELECT name FROM thing WHERE id = 'T4'", [("flows",)])
    pair.stop()
    assert pair.live.call("run", expected=(4,)).stderr.splitlines()[-2].startswith("D501 the fields, groups, ")

    pair.start("--merge-again")

    pair.sql("erp", "UPDATE thing SET extra = 'new field' WHERE id = 'T4'")
    pair.become("SELECT name, extra FROM thing WHERE id = 'T4'", [("flows", "new field")])
    pair.stop()


def test_a_rule_file_that_is_gone_at_sighup_changes_nothing(pair: Pair) -> None:
    text = pair.live.rules.read_text()
    pair.live.rules.unlink()
    pair.live.signal(signal.SIGHUP)
    eventually(lambda: "rules kept" in pair.live.said(), 10, pair.live.log_tail)
    pair.sql("erp", "UPDATE thing SET name = 'still' WHERE id = 'T5'")
    pair.become("SELECT name FROM thing WHERE id = 'T5'", [("still",)])
    pair.live.rules.write_text(text)
    pair.stop()


def test_another_store_is_refused_while_running(pair: Pair) -> None:
    """Found by reading: the engine went on with the old one, and the next start began with an empty store."""
    said = _refused(pair, "entities:", 'store: "sqlite:///other.db"\nentities:')

    assert "an engine at work cannot go on with another store" in said
    pair.sql("erp", "UPDATE thing SET name = 'still' WHERE id = 'T6'")
    pair.become("SELECT name FROM thing WHERE id = 'T6'", [("still",)])
    pair.live.rules.write_text(pair.live.rules.read_text().replace('store: "sqlite:///other.db"\n', ""))
    pair.stop()


def _status(pair: Pair, code: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(pair.live.call("status", "--json", expected=(code,)).stdout)
    return document


def _told(status: dict[str, Any]) -> str:
    """Why rules were refused last, as far as the status has it."""
    return " ".join((status["rules"]["refused"] or {"told": []})["told"])


@pytest.mark.alone
def test_while_users_write_bad_rules_come_and_go_and_good_ones_take_effect(pair: Pair) -> None:
    """Faulty, of another shape, with a test that fails, for tables that are not set up; then good ones."""
    done, numbers = threading.Event(), iter(range(1, 100_000))
    gaps: list[float] = []

    def write() -> None:
        with psycopg.connect(pair.addresses["erp"], autocommit=True) as session:
            while not done.is_set():
                session.execute("UPDATE thing SET name = %s WHERE id = 'T9'", [f"n{next(numbers)}"])
                done.wait(0.005)

    def look() -> None:
        with psycopg.connect(pair.addresses["crm"], autocommit=True) as session:
            last, at = "", time.monotonic()
            while not done.is_set():
                (name,) = session.execute("SELECT name FROM thing WHERE id = 'T9'").fetchone() or ("",)
                if name != last:
                    gaps.append(time.monotonic() - at)
                    last, at = name, time.monotonic()
                done.wait(0.002)

    good = pair.live.rules.read_text()
    pair.sql("erp", "CREATE TABLE other (id text PRIMARY KEY, name text)")
    users = [threading.Thread(target=write), threading.Thread(target=look)]
    for user in users:
        user.start()
    try:
        for before, after, told in (
            ("conflict: last_writer", "conflict: lost_writer", "R205"),
            ("name: name}", "name: name, extra: extra}", "D501"),
            ("name: name}", f"name: name}}\n{FAILING}", "R393"),
            ("{erp: {table: thing}", "{erp: {table: other}", "not set up"),
            ("systems:", "name: another_name\nsystems:", "R106"),
        ):
            assert told in _refused(pair, before, after)
            pair.live.rules.write_text(good)
        kept = gaps[:]
        eventually(lambda: "R106" in _told(pair.live.document()), 10, pair.live.log_tail)  # told every second
        status = _status(pair, 2)
        assert status["engine"]["running"] and "R106" in _told(status)
        assert status["rules"]["refused"]["at"] > status["rules"]["in_force_since"]
        _taken_on(pair, "conflict: last_writer", f"conflict: system_of_record\n{FAILING}")  # which pass with these
        eventually(lambda: _status(pair, 0)["rules"]["refused"] is None, 10, pair.live.log_tail)
    finally:
        done.set()
        for user in users:
            user.join()

    _quarrel(pair, "T2")
    pair.become("SELECT name FROM thing WHERE id = 'T2'", [("of erp",)])
    pair.become("SELECT name FROM thing WHERE id = 'T9'", pair.sql("erp", "SELECT name FROM thing WHERE id = 'T9'"))
    print(f"longest without a change: {max(kept):.3f} s while refused, {max(gaps):.3f} s in all")
    assert max(gaps) < 5, "an engine is away no longer than the switch takes"
    pair.stop()


def test_a_test_that_fails_keeps_an_engine_from_starting(pair: Pair) -> None:
    pair.stop()
    text = pair.live.rules.read_text()
    pair.live.rules.write_text(text + FAILING)

    said = pair.live.call("run", expected=(2,)).stderr

    assert "error[R393]: the test `wrong`: `name` is not `A` in the end; found `B`" in said
    pair.live.rules.write_text(text + PASSING)
    pair.start()
    pair.stop()


def test_status_is_told_of_rules_that_can_no_longer_be_read(pair: Pair) -> None:
    text = pair.live.rules.read_text()
    pair.live.rules.write_text(text.replace("conflict: last_writer", "conflict: lost_writer"))

    document = _status(pair, 2)
    assert document["engine"]["running"] and document["rules"]["refused"] is None
    assert [problem["code"] for problem in document["rules"]["problems"]] == ["R205"]
    pair.live.rules.write_text(text)
    assert _status(pair, 0)["rules"]["problems"] == []
    pair.stop()


def test_after_the_slot_is_gone_nothing_goes_on_by_itself_and_merge_again_finds_what_was_missed(pair: Pair) -> None:
    pair.stop()
    pair.sql("erp", "UPDATE thing SET name = 'missed erp' WHERE id = 'T1'")
    pair.sql("erp", "SELECT pg_drop_replication_slot('duolog_anew_erp')")
    pair.sql("erp", "INSERT INTO thing VALUES ('N1', 'new', 'new')")

    first = pair.live.call("run", expected=(3,)).stderr.splitlines()
    assert first[-2].startswith("D200 erp: not set up: ") and "duolog_anew_erp" in first[-2]
    assert first[-1] == f"  mend: duolog setup {pair.live.rules}"
    pair.live.call("setup")
    second = pair.live.call("run", expected=(3,)).stderr.splitlines()
    assert second[-2].startswith("D205 erp: the slot `duolog_anew_erp` was confirmed up to ")
    assert "--merge-again" in second[-1]
    assert pair.sql("crm", "SELECT name FROM thing WHERE id = 'T1'") == [("old",)]
    # Not before: the CRM's log can be read on, so an engine that is about to stop may carry over what it tells.
    pair.sql("crm", "UPDATE thing SET name = 'missed crm' WHERE id = 'T2'")

    pair.start("--merge-again")

    pair.become("SELECT id, name FROM thing WHERE id IN ('N1', 'T1', 'T2') ORDER BY id",
                [("N1", "new"), ("T1", "missed erp"), ("T2", "old")])  # fmt: skip
    assert [e["lost"] for e in pair.journal("thing", "T2")] == [["missed crm"]]
    pair.stop()
    pair.start()
    pair.sql("crm", "UPDATE thing SET name = 'goes on' WHERE id = 'T2'")
    pair.become("SELECT name FROM thing WHERE id = 'T2'", [("goes on",)])
    pair.stop()
