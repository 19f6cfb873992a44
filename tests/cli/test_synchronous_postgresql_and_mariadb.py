"""Synchronous commit on both sides with the `duolog` command: the ERP on PostgreSQL, the CRM on MariaDB, each on a
server of its own. What a user has committed here is there when he is answered; nobody waits after a stop or a death."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.cli.desk import ERP_TABLES
from tests.cli.synchronous import ASYNCHRONOUS, SYNCHRONOUS, Commit, Place
from tests.cli.test_verbs_mariadb import CRM_TABLES, MIXED
from tests.crowd import within

CRM_ASYNCHRONOUS = 'crm: {adapter: mariadb, url: "${CRM_URL}"}'
CRM_SYNCHRONOUS = 'crm: {adapter: mariadb, url: "${CRM_URL}", commit: synchronous, when_away: open after 1min}'


class Mixed(Place):
    """Both sides are synchronous."""

    def both_armed(self) -> None:
        """Waits until commits wait on both sides."""

        def found() -> bool:
            told = self.status()["synchronous"]
            return len(told) == 2 and all(one["armed"] and one["degraded"] is None for one in told.values())

        self.eventually(found)

    def in_crm(self, no: str) -> bool:
        """True if the CRM has the customer now, for a new session."""
        return bool(self.sql("crm", "SELECT 1 FROM account WHERE account_no = %s", no))

    def crm_patience_ms(self) -> int:
        """For how long a commit of the CRM waits while nobody answers."""
        return int(self.sql("crm", "SELECT @@GLOBAL.rpl_semi_sync_master_timeout")[0][0])

    def crm_commit(self, no: str) -> float:
        """A user of the CRM adds an account; how many seconds he waited."""
        begun = time.monotonic()
        self.sql("crm", "INSERT INTO account (account_no, account_name) VALUES (%s, 'Eve')", no)
        return time.monotonic() - begun


@pytest.fixture
def mixed(own_server: EmbeddedServer, own_maria: EmbeddedMariaDB, tmp_path: Path) -> Iterator[Mixed]:
    """Both sides, set up; while nobody answers, commits wait for longer than anything takes here."""
    own_server.start()
    own_maria.settings["rpl_semi_sync_master_wait_point"] = "AFTER_SYNC"
    own_maria.start()
    text = MIXED.replace(ASYNCHRONOUS, SYNCHRONOUS % "open after 1min").replace(CRM_ASYNCHRONOUS, CRM_SYNCHRONOUS)
    urls = {"erp": own_server.create_database("erp"), "crm": own_maria.create_database("crm")}
    desk = Mixed(text, urls, tmp_path)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    desk.call("setup")
    yield desk
    desk.stop()
    desk.end_watchdogs()
    desk.local("ALTER SYSTEM RESET synchronous_standby_names")
    desk.local("SELECT pg_reload_conf()")


def test_both_sides_wait_for_each_other_and_a_stop_lets_both_go(mixed: Mixed) -> None:
    with mixed.running():
        mixed.both_armed()
        for number in range(10):
            Commit(mixed, f"E{number}").answered(10)
            assert mixed.in_crm(f"E{number}")
            mixed.crm_commit(f"M{number}")
            assert mixed.local("SELECT 1 FROM customer WHERE no = %s", f"M{number}")

    assert not mixed.armed()
    assert mixed.crm_commit("M99") < 30, "the server still waits"


def test_users_of_both_sides_at_once_are_all_answered(mixed: Mixed) -> None:
    with mixed.running():
        mixed.both_armed()
        took: list[float] = []

        def crm() -> None:
            for number in range(20):
                took.append(mixed.crm_commit(f"M{number}"))

        other = threading.Thread(target=crm, daemon=True)
        other.start()
        for number in range(20):
            Commit(mixed, f"E{number}").answered(10)
            assert mixed.in_crm(f"E{number}")
        other.join(within(60))
        assert len(took) == 20


@pytest.mark.alone
def test_after_the_death_of_the_engine_both_sides_are_open_in_time_and_armed_by_the_next(mixed: Mixed) -> None:
    mixed.rewrite("open after 1min", "open after 2s")
    mixed.start()
    mixed.both_armed()
    mixed.kill9()
    commit = Commit(mixed, "E1")
    assert mixed.crm_commit("M1") < 3.0
    commit.answered(10)
    assert commit.took_s < 3.0
    with mixed.running():
        mixed.both_armed()
        assert mixed.in_crm("E1") and mixed.local("SELECT 1 FROM customer WHERE no = 'M1'")
        ranges = mixed.sql("crm", "SELECT why, `by` FROM duolog.degraded WHERE until_position IS NOT NULL")
        assert len(ranges) == 2, ranges


def test_a_server_that_is_armed_takes_on_how_long_its_users_wait_by_new_rules(mixed: Mixed) -> None:
    mixed.rewrite("when_away: open after 1min", "when_away: closed")
    with mixed.running():
        mixed.both_armed()
        assert mixed.crm_patience_ms() > 2_000
        mixed.rewrite("when_away: closed", "when_away: open after 3s")
        mixed.reload()
        mixed.eventually(lambda: mixed.crm_patience_ms() == 3_000)
