"""Synchronous commit with the `duolog` command, as a DBA meets it: who waits, until when, who lets go, and what stands
written of it. The ERP is on a server of its own, for the setting that makes users wait is the whole server's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from adapters.store import SqlStore
from service.commands import waiting
from service.demo.engine import COMMAND
from service.embedded import EmbeddedServer
from tests.cli.desk import CRM_TABLES, ERP_TABLES, SHOP
from tests.cli.synchronous import ASYNCHRONOUS, SYNCHRONOUS, Commit, Place
from tests.crowd import within


@pytest.fixture
def place(own_server: EmbeddedServer, crm_db: str, tmp_path: Path) -> Iterator[Place]:
    """A place that is set up; while nobody answers, commits wait for longer than anything takes here."""
    own_server.start()
    text = SHOP.replace(ASYNCHRONOUS, SYNCHRONOUS % "open after 1min")
    desk = Place(text, {"erp": own_server.create_database("erp"), "crm": crm_db}, tmp_path)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    desk.call("setup")
    yield desk
    desk.stop()
    desk.end_watchdogs()
    desk.local("ALTER SYSTEM RESET synchronous_standby_names")
    desk.local("SELECT pg_reload_conf()")


@pytest.fixture
def hasty(place: Place) -> Place:
    """The same, but commits wait for no more than a second: nothing else may run beside such a test."""
    place.rewrite("open after 1min", "open after 1s")
    return place


@pytest.fixture
def closed(place: Place) -> Place:
    """The same, but commits wait for as long as nobody answers."""
    place.rewrite("open after 1min", "closed")
    return place


def test_what_a_user_has_committed_is_in_the_other_system(place: Place) -> None:
    with place.running():
        status = place.until_armed()
        for number in range(20):
            commit = Commit(place, f"C{number}")
            commit.answered(10)
            assert place.in_crm(f"C{number}"), (number, commit.took_s, place.ranges(), place.log_tail())

    assert status["synchronous"]["erp"]["when_away"] == "open after 1min"
    assert not place.armed()
    first, second = place.ranges()
    assert first[1] is not None and first[2:] == ("never armed yet", "setup", False)
    assert second[1] is None and second[2:] == ("the engine was stopped", "engine", False)


@pytest.mark.alone
def test_a_stop_lets_everybody_go_who_waits_and_ends_in_order(place: Place) -> None:
    place.rewrite("open after 1min", "closed")
    place.start()
    place.until_armed()
    with psycopg.connect(place.urls["crm"]) as locking:
        Commit(place, "C0").answered(10)
        locking.execute("SELECT FROM sales.account FOR UPDATE")
        place_blocked = Update(place, "C0")
        place.soon(lambda: place.waiting() == 1, 10, "a user who waits")
        begun = time.monotonic()
        code = place.stop()
        took_s = time.monotonic() - begun
        place_blocked.answered(5)

    assert code == 0, place.log_tail()
    assert took_s < 20
    assert not place.armed()
    assert place.ranges()[-1][1:] == (None, "the engine was stopped", "engine", False)
    place.soon(lambda: place.watchdogs() == [], 10, "the watchdog's end")


class Update(Commit):
    """A user of the ERP who changes a customer."""

    def run(self) -> None:
        """Commits."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))
            begun = time.monotonic()
            connection.execute("UPDATE customer SET city = 'Graz' WHERE no = %s", [self.no])
            self.took_s = time.monotonic() - begun


@pytest.mark.alone
def test_the_watchdog_of_a_dead_engine_lets_go_in_time_and_the_next_engine_arms_again(hasty: Place) -> None:
    hasty.start()
    hasty.until_armed()
    hasty.kill9()
    begun = time.monotonic()
    commit = Commit(hasty, "C1")
    commit.answered(10)

    assert 0.5 < commit.took_s < 2.0, f"waited for {commit.took_s} s, {time.monotonic() - begun} s after the death"
    assert hasty.ranges()[-1][1:] == (None, "a commit has waited for longer than 1 s", "watchdog", False)
    assert hasty.ask("status").returncode == 0
    hasty.soon(lambda: hasty.watchdogs() == [], 20, "the watchdog's end")

    with hasty.running():
        hasty.until_armed()
        assert hasty.in_crm("C1")
        Commit(hasty, "C2").answered(10)
        assert hasty.in_crm("C2")
        assert hasty.ranges()[-1][1] is not None


def test_closed_means_that_commits_wait_until_a_person_lets_them_go(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    commits = [Commit(closed, f"C{number}") for number in range(3)]
    closed.soon(lambda: closed.waiting() == 3, 10, "three users who wait")

    said = closed.ask("status", "--json")
    assert said.returncode == 3
    erp = json.loads(said.stdout)["synchronous"]["erp"]
    assert (erp["armed"], erp["reading"], erp["waiting"]) == (True, False, 3)
    assert closed.waiting() == 3

    released = closed.ask("release", "--json")
    assert released.returncode == 0, released.stderr
    for commit in commits:
        commit.answered(10)
    (one,) = json.loads(released.stdout)
    assert (one["system"], one["was_armed"], one["freed"]) == ("erp", True, 3)
    assert (one["why"], one["by"], one["stays"]) == ("by hand", "release", False)
    assert closed.ranges()[-1][1:] == (None, "by hand", "release", False)
    assert closed.ask("status").returncode == 0


def test_an_engine_that_comes_back_answers_those_who_waited(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    commit = Commit(closed, "C1")
    closed.soon(lambda: closed.waiting() == 1, 10, "a user who waits")
    with closed.running():
        commit.answered(20)
        assert closed.in_crm("C1")
        assert len(closed.ranges()) == 1, "nobody was let go meanwhile"


@pytest.mark.parametrize("away", ["open after 1min", "closed"])
def test_a_slot_that_is_dropped_while_the_engine_is_away_frees_everybody(place: Place, away: str) -> None:
    if away == "closed":
        place.rewrite("open after 1min", "closed")
    place.start()
    place.until_armed()
    place.kill9()
    commit = Commit(place, "C1")
    free = "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'duolog_shop_erp'"
    place.soon(lambda: place.local(free) == [(True,)], 20, "the server knows that the engine is gone")
    place.local("SELECT pg_drop_replication_slot('duolog_shop_erp')")
    commit.answered(10)

    assert "never catch up" in place.ranges()[-1][2] and place.ranges()[-1][3] == "watchdog"
    assert not place.armed()
    said = place.ask("run")
    assert said.returncode == 3
    Commit(place, "C2").answered(10)


def test_what_a_person_switches_off_stays_off_until_he_says_otherwise(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "ARMED_WITHIN_S", within(waiting.ARMED_WITHIN_S))  # `arm` tells whether it is armed
    with place.running():
        place.until_armed()
        said = place.ask("release", "--stay", "--system", "erp")
        assert said.returncode == 0
        assert "until `duolog arm" in said.stdout
        status = place.eventually(lambda: None if place.status()["synchronous"]["erp"]["armed"] else place.status())
        assert status["synchronous"]["erp"]["degraded"]["stays"]
        place.settle()
        assert not place.armed()
        assert "stays so until `duolog arm" in place.ask("status").stdout

        allowed = place.here("arm", "--json")
        assert json.loads(allowed.stdout) == [{"system": "erp", "stayed": True, "armed": True, "engine": True}]
        place.until_armed()
        Commit(place, "C1").answered(10)
        assert place.in_crm("C1")


def test_a_release_without_stay_lasts_until_all_is_caught_up(place: Place) -> None:
    with place.running():
        place.until_armed()
        place.ask("release")
        place.soon(lambda: len(place.ranges()) == 2 and place.ranges()[-1][1] is not None, 20, "armed again")
        assert place.ranges()[-1][2:] == ("by hand", "release", False)


def test_new_rules_arm_and_disarm(place: Place) -> None:
    with place.running():
        place.until_armed()
        place.rewrite(", commit: synchronous, when_away: open after 1min", "")
        place.reload()
        place.eventually(lambda: not place.armed())
        assert place.ranges()[-1][2:] == ("the rules say asynchronous now", "engine", False)
        place.soon(lambda: place.watchdogs() == [], 10, "the watchdog's end")
        place.rewrite(ASYNCHRONOUS, SYNCHRONOUS % "closed")
        place.reload()
        status = place.until_armed()
        assert status["synchronous"]["erp"]["when_away"] == "closed"


@pytest.mark.alone
def test_the_watchdog_goes_by_new_rules_like_its_engine(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.rewrite("when_away: closed", "when_away: open after 1s")
    closed.reload()
    closed.eventually(lambda: closed.status()["synchronous"]["erp"]["when_away"] == "open after 1s")
    closed.until_armed()
    closed.soon(lambda: closed.log.read_text().count("watches erp") == 2, 20, "the watchdog has read them, too")

    closed.kill9()
    commit = Commit(closed, "C1")

    commit.answered(5)
    assert commit.took_s < 2.0
    assert closed.ranges()[-1][3] == "watchdog"


def test_rules_that_became_asynchronous_while_the_engine_was_dead_let_everybody_go(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    commit = Commit(closed, "C1")
    closed.soon(lambda: closed.waiting() == 1, 10, "a user who waits")
    closed.rewrite(", commit: synchronous, when_away: closed", "")
    with closed.running():
        commit.answered(20)
        assert not closed.armed()


def test_who_cannot_be_let_go_by_rules_that_became_asynchronous_is_let_go_later(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    closed.rewrite(", commit: synchronous, when_away: closed", "")
    closed.local("ALTER TABLE duolog.degraded RENAME TO mislaid")
    closed.start()
    closed.soon(lambda: " synchronous: " in closed.log_tail(), 30, "the attempt to let go")
    assert closed.armed()
    closed.local("ALTER TABLE duolog.mislaid RENAME TO degraded")
    closed.soon(lambda: not closed.armed(), 20, "nobody waits")
    assert closed.ranges()[-1][1:4] == (None, "the rules say asynchronous now", "engine")


def test_a_system_that_was_armed_and_is_in_the_rules_no_more_is_told_of(closed: Place) -> None:
    with closed.running():
        closed.until_armed()
    store = SqlStore.open(f"sqlite:///{next(closed.folder.glob('*.store.db'))}", name=closed.rules.stem, create=False)
    store.remember("synchronous", "erp mes")  # as an engine leaves it that is killed before `mes` is taken out
    store.close()

    with closed.running():
        told = closed.eventually(lambda: [line for line in closed.log_tail().splitlines() if " mes " in line])
    assert "ALTER SYSTEM RESET synchronous_standby_names" in told[0]


@pytest.mark.alone
def test_a_target_that_is_busy_for_too_long_does_not_hold_its_source_up(hasty: Place) -> None:
    with hasty.running():
        hasty.until_armed()
        Commit(hasty, "C1").answered(5)
        with psycopg.connect(hasty.urls["crm"]) as locking:
            locking.execute("SELECT FROM sales.account FOR UPDATE")
            update = Update(hasty, "C1")
            update.answered(5)
            assert 0.9 < update.took_s < 2.0
            assert hasty.ranges()[-1][1:] == (None, "a commit has waited for longer than 1 s", "watchdog", False)
        hasty.soon(lambda: hasty.ranges()[-1][1] is not None, 20, "armed again")


@pytest.mark.alone
def test_an_engine_that_hangs_is_let_go_of_and_arms_again_when_it_has_caught_up(hasty: Place) -> None:
    with hasty.running():
        hasty.until_armed()
        assert hasty.pid is not None
        os.kill(hasty.pid, signal.SIGSTOP)
        try:
            commits = [Commit(hasty, f"C{number}") for number in range(5)]
            for commit in commits:
                commit.answered(5)
                assert 0.5 < commit.took_s < 2.0
        finally:
            os.kill(hasty.pid, signal.SIGCONT)
        hasty.soon(lambda: hasty.ranges()[-1][1] is not None, 20, "armed again")
        assert hasty.ranges()[-1][3] == "watchdog"
        assert all(hasty.in_crm(f"C{number}") for number in range(5))


def test_comparing_again_waits_for_nobody_who_waits(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    commit = Commit(closed, "C1")
    closed.soon(lambda: closed.waiting() == 1, 10, "a user who waits")
    said = closed.ask("match", "--again")
    assert said.returncode in (0, 1), said.stderr
    commit.answered(10)
    assert closed.ranges()[-1][2:] == ("everything is compared again", "engine", False)


def test_rules_that_are_wrong_keep_nobody_waiting(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    commit = Commit(closed, "C1")
    closed.soon(lambda: closed.waiting() == 1, 10, "a user who waits")
    closed.rewrite("identity: [no]", "identity: [nowhere]")
    assert closed.ask("check").returncode == 2
    assert closed.ask("release").returncode == 0
    commit.answered(10)


def test_a_release_frees_everybody_even_where_it_cannot_be_recorded(closed: Place) -> None:
    closed.start()
    closed.until_armed()
    closed.kill9()
    commit = Commit(closed, "C1")
    closed.soon(lambda: closed.waiting() == 1, 10, "a user who waits")
    closed.local("DROP TABLE duolog.degraded")
    said = closed.ask("release")
    commit.answered(10)
    assert said.returncode == 3
    assert "there is no table `duolog.degraded`" in said.stderr
    assert not closed.armed()


@pytest.mark.alone
def test_a_watchdog_beside_the_database_needs_neither_store_nor_engine(hasty: Place) -> None:
    hasty.start()
    hasty.until_armed()
    dogs = hasty.watchdogs()
    own = subprocess.Popen(
        [*COMMAND, "watchdog", str(hasty.rules)], env=hasty._environment, cwd=hasty.folder,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert own.stderr is not None and "watches erp" in own.stderr.readline()
        for pid in dogs:
            os.kill(pid, signal.SIGKILL)
        hasty.kill9()
        for path in hasty.folder.glob("*.db*"):
            path.rename(path.with_suffix(".away"))
        commit = Commit(hasty, "C1")
        commit.answered(5)
        assert commit.took_s < 2.0
        assert "let go: erp: 1 commits that waited" in own.stderr.readline()
    finally:
        own.terminate()
    assert own.wait(10) == 0


def test_a_supervisor_that_ends_the_watchdog_of_a_dead_engine_leaves_nobody_waiting(place: Place) -> None:
    place.start()
    place.until_armed()
    (dog,) = place.watchdogs()
    place.kill9()
    place.soon(lambda: "the engine is gone" in place.log_tail(), 20, "the watchdog knows of the death")
    os.kill(dog, signal.SIGTERM)
    place.soon(lambda: not place.armed(), 10, "let go")
    assert place.ranges()[-1][1:] == (None, "the engine is gone, and its watchdog was ended", "watchdog", False)


def test_a_database_that_was_away_is_still_armed_and_answered(closed: Place, own_server: EmbeddedServer) -> None:
    with closed.running():
        closed.until_armed()
        own_server.kill9()
        own_server.start()
        assert closed.armed()
        commit = Commit(closed, "C1")
        commit.answered(30)
        assert closed.in_crm("C1")
        assert len(closed.ranges()) == 1


def test_a_stop_while_the_database_is_away_leaves_its_watchdog_to_let_go(
    closed: Place, own_server: EmbeddedServer
) -> None:
    closed.start()
    closed.until_armed()
    own_server.kill9()
    assert closed.stop() == 0, closed.log_tail()
    assert "still armed" in closed.log_tail()
    own_server.start()
    closed.soon(lambda: not closed.armed(), 20, "let go")
    assert closed.ranges()[-1][1:] == (None, "the engine was stopped", "watchdog", False)
    closed.soon(lambda: closed.watchdogs() == [], 20, "the watchdog's end")


def test_a_watchdog_that_dies_is_replaced(place: Place) -> None:
    with place.running():
        place.until_armed()
        (dog,) = place.watchdogs()
        os.kill(dog, signal.SIGKILL)
        place.eventually(lambda: place.watchdogs() not in ([], [dog]))
        assert place.armed()
