"""Synchronous commit of a CRM on MariaDB with the `duolog` command: who waits, until when, who lets go, and what stands
written of it. The CRM has a server of its own, for it is the whole server that makes users wait."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.cli.desk import ERP_TABLES, Desk
from tests.cli.test_verbs_mariadb import CRM_TABLES, MIXED
from tests.crowd import within

ASYNCHRONOUS = 'crm: {adapter: mariadb, url: "${CRM_URL}"}'
SYNCHRONOUS = 'crm: {adapter: mariadb, url: "${CRM_URL}", commit: synchronous, when_away: %s}'
ERP_ASYNCHRONOUS = 'erp: {adapter: postgresql, url: "${ERP_URL}"}'
ERP_SYNCHRONOUS = 'erp: {adapter: postgresql, url: "${ERP_URL}", commit: synchronous, when_away: open after 10s}'
AT_COMMIT = """
SELECT 1 FROM information_schema.processlist WHERE info = %s AND (state LIKE 'Waiting for semi-sync ACK%%'
OR state IN ('Commit', 'Waiting for prior transaction to commit', 'waiting for handler commit'))
"""
"""Those behind the first who waits do so in states of their own."""
RANGES = "SELECT since_position, until_position, why, `by`, stays FROM duolog.degraded ORDER BY number"


class Commit(threading.Thread):
    """A user of the CRM whose statement is under way."""

    def __init__(self, desk: Desk, statement: str) -> None:
        super().__init__(daemon=True)
        self.desk, self.statement = desk, statement
        self.took_s = 0.0
        self.trouble = ""
        self.start()

    def run(self) -> None:
        begun = time.monotonic()
        try:
            self.desk.sql("crm", self.statement)
        except pymysql.MySQLError as error:
            self.trouble = str(error)
        self.took_s = time.monotonic() - begun

    def waits(self) -> bool:
        """Has come to COMMIT, and has not been answered after a while."""
        deadline = time.monotonic() + within(20)
        while self.is_alive() and not self.desk.sql("crm", AT_COMMIT, self.statement):
            assert time.monotonic() < deadline, "the user has not come to COMMIT"
            time.sleep(0.02)
        self.join(0.3)
        return self.is_alive()

    def answered(self, within_s: float) -> None:
        """Waits for an OK."""
        self.join(within(within_s))
        assert not self.is_alive(), f"the user has waited for {within(within_s):g} s\n{self.desk.log_tail()}"
        assert self.trouble == ""


class Place(Desk):
    """A desk whose CRM is synchronous."""

    def ranges(self) -> list[tuple[Any, ...]]:
        """All recorded ranges, the oldest first: since, until, why, by, stays."""
        return self.sql("crm", RANGES)

    def enabled(self) -> bool:
        """True if the server makes users wait."""
        return self.sql("crm", "SELECT @@GLOBAL.rpl_semi_sync_master_enabled") == [(1,)]

    def until_armed(self, *systems: str) -> dict[str, Any]:
        """Waits until commits wait; the status then."""

        def found() -> dict[str, Any] | None:
            status = self.status()
            each = [status["synchronous"].get(system, {}) for system in systems or ("crm",)]
            armed = all(one.get("armed") and one["degraded"] is None for one in each)
            return status if armed and status["engine"]["running"] else None

        return self.eventually(found)

    def kill9(self) -> None:
        """Kills the engine, and only it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(within(10))
        self._process = None

    def add(self, no: str) -> Commit:
        """A user of the CRM adds an account."""
        return Commit(self, f"INSERT INTO account (account_no, account_name) VALUES ('{no}', 'Ada')")

    def in_erp(self, no: str) -> bool:
        """True if the ERP has the customer now, for a new session."""
        return bool(self.sql("erp", "SELECT 1 FROM customer WHERE no = %s", no))


@pytest.fixture
def place(own_maria: EmbeddedMariaDB, erp_db: str, tmp_path: Path) -> Iterator[Place]:
    """A place that is set up; while nobody answers, commits wait for longer than anything takes here."""
    yield from _set_up(own_maria, erp_db, tmp_path, MIXED)


def _set_up(maria: EmbeddedMariaDB, erp: str, folder: Path, text: str) -> Iterator[Place]:
    maria.settings |= {"rpl_semi_sync_master_wait_point": "AFTER_SYNC"}
    maria.start()
    rules = text.replace(ASYNCHRONOUS, SYNCHRONOUS % "open after 1min")
    assert rules != text
    desk = Place(rules, {"erp": erp, "crm": maria.create_database("crm")}, folder)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    desk.call("setup")
    yield desk
    desk.stop()
    desk.sql("crm", "SET GLOBAL rpl_semi_sync_master_enabled = OFF")


def test_what_a_user_has_committed_is_in_the_other_system(place: Place) -> None:
    with place.running():
        status = place.until_armed()
        for number in range(30):
            commit = place.add(f"C{number}")
            commit.answered(10)
            assert place.in_erp(f"C{number}"), (number, commit.took_s, place.ranges(), place.log_tail())

    assert status["synchronous"]["crm"]["when_away"] == "open after 1min"
    assert not place.enabled()
    first, second = place.ranges()
    assert first[1] is not None and first[2:] == ("never armed yet", "setup", 0)
    assert second[1] is None and second[2:] == ("the engine was stopped", "engine", 0)


def test_what_the_engine_writes_waits_there_too_and_is_written_on(place: Place) -> None:
    """The CRM's users and ours take turns in its log: each commit of ours is acknowledged by our own reader."""
    with place.running():
        place.until_armed()
        for number in range(20):
            place.sql("erp", "INSERT INTO customer (no, name) VALUES (%s, 'Bob')", f"E{number}")
            place.add(f"C{number}").answered(10)
            assert place.in_erp(f"C{number}")
        place.settle()
        assert place.sql("crm", "SELECT count(*) FROM account") == [(40,)]
        assert [row[1] is None for row in place.ranges()] == [False]


@pytest.mark.alone
def test_the_servers_timeout_lets_go_of_who_waits_for_a_dead_engine_and_the_next_arms_again(place: Place) -> None:
    place.rewrite("open after 1min", "open after 1s")
    place.start()
    place.until_armed()
    place.add("C0").answered(5)
    place.kill9()
    commit = place.add("C1")
    commit.answered(2)
    assert 0.9 < commit.took_s < 2
    late = place.add("C2")
    late.answered(1)
    assert late.took_s < 0.5
    assert not place.in_erp("C1")

    with place.running():
        place.until_armed()
        assert place.in_erp("C1") and place.in_erp("C2")
        ranges = place.ranges()
        assert len(ranges) == 2
        assert ranges[1][1] is not None and ranges[1][3] == "server"
        assert "timeout" in ranges[1][2] and ranges[1][0] >= ranges[0][1]


def test_closed_waits_for_the_next_engine_and_lets_nobody_go(place: Place) -> None:
    """Several wait, so the server tells nobody where its log ends: the next engine has to do without."""
    place.rewrite("open after 1min", "closed")
    place.start()
    place.until_armed()
    place.kill9()
    commits = [place.add(f"C{number}") for number in range(4)]
    assert all(commit.waits() for commit in commits)
    time.sleep(1)
    assert all(commit.is_alive() for commit in commits)

    place.start()
    for number, commit in enumerate(commits):
        commit.answered(20)
        assert place.in_erp(f"C{number}")
    assert [row[1] is None for row in place.ranges()] == [False]
    assert place.stop() == 0
    assert place.ranges()[-1][1:] == (None, "the engine was stopped", "engine", 0)


def test_an_engine_that_died_amid_writes_of_its_own_is_followed_by_the_next(place: Place) -> None:
    """Then what it wrote waits at COMMIT, too, behind users who wait for a reader."""
    place.rewrite("open after 1min", "closed")
    place.start()
    place.until_armed()
    stop = threading.Event()

    def write(system: str, statement: str, letter: str) -> None:
        for number in range(100_000):
            if stop.is_set():
                return
            place.sql(system, statement.format(f"{letter}{number}"))

    crm = "INSERT INTO account (account_no, account_name) VALUES ('{}', 'a')"
    erp = "INSERT INTO customer (no, name) VALUES ('{}', 'a')"
    users = [threading.Thread(target=write, args=("crm", crm, letter), daemon=True) for letter in "ABC"]
    users.append(threading.Thread(target=write, args=("erp", erp, "E"), daemon=True))
    for user in users:
        user.start()
    for _ in range(2):
        time.sleep(1.5)
        place.kill9()
        place.start()
        place.until_armed()
    stop.set()
    for user in users:
        user.join(within(20))
        assert not user.is_alive(), place.log_tail()
    place.settle()
    numbers = place.sql("erp", "SELECT no FROM customer")
    assert sorted(numbers) == sorted(place.sql("crm", "SELECT account_no FROM account"))
    assert place.stop() == 0


def test_a_person_lets_go_while_the_engine_is_dead(place: Place) -> None:
    place.rewrite("open after 1min", "closed")
    place.start()
    place.until_armed()
    place.kill9()
    commits = [place.add(f"C{number}") for number in range(3)]
    assert all(commit.waits() for commit in commits)

    said = place.ask("release", "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    for commit in commits:
        commit.answered(10)
    assert place.ranges()[-1][1] is None and place.ranges()[-1][3] == "release"


@pytest.mark.alone
def test_both_sides_wait_and_collide_and_everybody_is_answered(
    own_maria: EmbeddedMariaDB, own_server: EmbeddedServer, tmp_path: Path
) -> None:
    own_server.start()
    text = MIXED.replace(ERP_ASYNCHRONOUS, ERP_SYNCHRONOUS)
    assert text != MIXED
    world = _set_up(own_maria, own_server.create_database("erp"), tmp_path, text)
    place = next(world)
    place.rewrite("open after 1min", "open after 10s")
    slowest = 0.0
    try:
        with place.running():
            place.until_armed("crm", "erp")
            for number in range(3):
                place.add(f"C{number}").answered(5)
            for turn in range(25):
                row = f"C{turn % 3}"
                here = Commit(place, f"UPDATE account SET account_name = 'crm {turn}' WHERE account_no = '{row}'")
                begun = time.monotonic()
                with psycopg.connect(place.urls["erp"], autocommit=True) as erp:
                    erp.execute("UPDATE customer SET name = %s WHERE no = %s", [f"erp {turn}", row])
                slowest = max(slowest, time.monotonic() - begun)
                here.answered(8)
                slowest = max(slowest, here.took_s)
            place.settle()
            erp_rows = place.sql("erp", "SELECT no, name FROM customer ORDER BY no")
            assert erp_rows == place.sql("crm", "SELECT account_no, account_name FROM account ORDER BY account_no")
            assert [row[1] is None for row in place.ranges()] == [False], place.log_tail()
        assert slowest < 4
    finally:
        with psycopg.connect(place.urls["erp"], autocommit=True, options="-c synchronous_commit=local") as erp:
            erp.execute("ALTER SYSTEM RESET synchronous_standby_names")
            erp.execute("SELECT pg_reload_conf()")
        with contextlib.suppress(StopIteration):
            next(world)
