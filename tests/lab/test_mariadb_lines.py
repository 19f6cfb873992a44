"""What a MariaDB does while its users wait for a semi-synchronous replica: measured with a bare client, line by line.

Each test's docstring is the line that it recreates."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import pymysql
import pytest

from service.embedded import EmbeddedMariaDB
from tests.lab.replica import XID_EVENT, Replica
from tests.lab.standby import until

LONG_MS = 600_000
SHORT_MS = 700


class User:
    """A session that carries out one statement in a thread."""

    def __init__(self, server: EmbeddedMariaDB) -> None:
        self._connection = server.connect("lab")
        self.error: pymysql.Error | None = None
        self.warnings = -1
        self.took_s = 0.0
        self._thread = threading.Thread(target=lambda: None)

    def sends(self, statement: str) -> Self:
        """Begins to carry it out."""

        def work() -> None:
            begun = time.monotonic()
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(statement)
                    self.warnings = cursor.warning_count
            except pymysql.Error as error:
                self.error = error
            self.took_s = time.monotonic() - begun

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        return self

    @property
    def answered(self) -> bool:
        """True once it was answered."""
        return not self._thread.is_alive()

    def is_told_ok(self, within_s: float = 10.0) -> None:
        """Waits for an OK without a warning."""
        until(lambda: self.answered, within_s, "the user's answer")
        assert self.error is None
        assert self.warnings == 0


class Dba:
    """A session that writes nothing."""

    def __init__(self, server: EmbeddedMariaDB) -> None:
        self._connection = server.connect()

    def does(self, *statements: str) -> None:
        """Carries out statements."""
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, statement: str) -> Any:
        """The last column of the first row."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
        return row[-1] if row else None

    def status(self, name: str) -> str:
        """A status variable of semi-synchronous replication."""
        return str(self.ask(f"SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_{name}'"))

    def value(self, number: int = 1) -> str:
        """What others see in a row."""
        return str(self.ask(f"SELECT value FROM lab.item WHERE id = {number}"))

    def waits(self) -> bool:
        """True if somebody waits for an acknowledgement."""
        return self.status("wait_sessions") != "0"

    def locked(self, number: int = 1) -> bool:
        """True if somebody holds the row."""
        try:
            self.does("BEGIN", f"SELECT * FROM lab.item WHERE id = {number} FOR UPDATE NOWAIT")
        except pymysql.OperationalError:
            return True
        finally:
            self.does("ROLLBACK")
        return False

    def arm(self, point: str, timeout_ms: int) -> None:
        """Makes commits wait."""
        self.does(
            f"SET GLOBAL rpl_semi_sync_master_wait_point = {point}",
            f"SET GLOBAL rpl_semi_sync_master_timeout = {timeout_ms}",
            "SET GLOBAL rpl_semi_sync_master_wait_no_slave = ON",
            "SET GLOBAL rpl_semi_sync_master_enabled = ON",
        )


@pytest.fixture
def dba(maria_server: EmbeddedMariaDB) -> Iterator[Dba]:
    """A DBA with a fresh table, at whose end nobody waits."""
    dba = Dba(maria_server)
    dba.does(
        "SET sql_log_bin = 0", "CREATE OR REPLACE DATABASE lab",
        "CREATE TABLE lab.item (id int PRIMARY KEY, value varchar(20) NOT NULL)",
        "INSERT INTO lab.item SELECT seq, 'start' FROM seq_1_to_20", "SET sql_log_bin = 1",
    )  # fmt: skip
    yield dba
    dba.does("SET GLOBAL rpl_semi_sync_master_enabled = OFF", "SET GLOBAL rpl_semi_sync_master_timeout = 10000")
    until(lambda: not dba.waits())


CHANGE = "UPDATE item SET value = 'changed' WHERE id = {}"


def commit_of(replica: Replica) -> Any:
    """The end of the transaction that the server waits for."""
    until(lambda: any(event.kind == XID_EVENT for event in replica.asked))
    return [event for event in replica.asked if event.kind == XID_EVENT][-1]


def test_after_sync_keeps_it_invisible_and_locked(maria_server: EmbeddedMariaDB, dba: Dba) -> None:
    """`AFTER_SYNC`: the row is invisible to others and its locks are held until the acknowledgement; then an OK."""
    dba.arm("AFTER_SYNC", LONG_MS)
    with Replica(maria_server) as replica:
        until(lambda: dba.status("clients") == "1")
        user = User(maria_server).sends(CHANGE.format(1))
        event = commit_of(replica)
        until(dba.waits)

        assert dba.value() == "start"
        assert dba.locked()

        replica.acknowledge(event)
        user.is_told_ok()
        assert dba.value() == "changed"
        assert not dba.locked()


def test_after_commit_shows_it_before(maria_server: EmbeddedMariaDB, dba: Dba) -> None:
    """`AFTER_COMMIT`, MariaDB's default: the row is visible and unlocked while its user still waits."""
    dba.arm("AFTER_COMMIT", LONG_MS)
    with Replica(maria_server) as replica:
        until(lambda: dba.status("clients") == "1")
        user = User(maria_server).sends(CHANGE.format(1))
        event = commit_of(replica)
        until(dba.waits)

        assert dba.value() == "changed"
        assert not dba.locked()
        assert not user.answered

        replica.acknowledge(event)
        user.is_told_ok()


@pytest.mark.alone
def test_after_the_timeout_a_plain_ok_and_nobody_waits(maria_server: EmbeddedMariaDB, dba: Dba) -> None:
    """Without an acknowledgement it waits the whole `rpl_semi_sync_master_timeout`, is told OK *without a warning*, and
    from then on nobody waits until a replica has caught up again. Only the server's status tells it."""
    dba.arm("AFTER_SYNC", SHORT_MS)
    with Replica(maria_server) as replica:
        until(lambda: dba.status("clients") == "1")
        before = int(dba.status("no_tx"))
        first, then = User(maria_server).sends(CHANGE.format(1)), User(maria_server)
        first.is_told_ok()
        assert SHORT_MS / 1000 <= first.took_s < SHORT_MS / 1000 + 1
        assert dba.status("status") == "OFF"

        then.sends(CHANGE.format(2)).is_told_ok()
        assert then.took_s < SHORT_MS / 2000
        assert int(dba.status("no_tx")) >= before + 2
        assert replica.ended is None


@pytest.mark.parametrize("how", ["cut", "never there"])
def test_a_missing_replica_is_waited_for_as_long(maria_server: EmbeddedMariaDB, dba: Dba, how: str) -> None:
    """A cut line or no replica at all ends no wait either: the timeout does. (That a line is cut is only noticed with
    the next event.)"""
    dba.arm("AFTER_SYNC", SHORT_MS)
    if how == "cut":
        with Replica(maria_server):
            until(lambda: dba.status("clients") == "1")
    user = User(maria_server).sends(CHANGE.format(1))
    user.is_told_ok()

    assert user.took_s >= SHORT_MS / 1000


def test_it_waits_again_once_a_replica_has_come_back(maria_server: EmbeddedMariaDB, dba: Dba) -> None:
    """A replica that comes back and acknowledges makes the server wait again, from then on."""
    dba.arm("AFTER_SYNC", SHORT_MS)
    User(maria_server).sends(CHANGE.format(1)).is_told_ok()
    assert dba.status("status") == "OFF"
    dba.does(f"SET GLOBAL rpl_semi_sync_master_timeout = {LONG_MS}")

    with Replica(maria_server) as replica:
        until(lambda: dba.status("clients") == "1")
        user = User(maria_server)
        until(lambda: _next_waits(dba, user))
        replica.acknowledge(commit_of(replica))
        user.is_told_ok()
        assert dba.status("status") == "ON"


def test_switched_off_it_answers_whoever_waits(maria_server: EmbeddedMariaDB, dba: Dba) -> None:
    """`rpl_semi_sync_master_enabled = OFF` answers all who wait, at once, with a plain OK."""
    dba.arm("AFTER_SYNC", LONG_MS)
    with Replica(maria_server) as replica:
        until(lambda: dba.status("clients") == "1")
        user = User(maria_server).sends(CHANGE.format(1))
        commit_of(replica)
        until(dba.waits)

        dba.does("SET GLOBAL rpl_semi_sync_master_enabled = OFF")

        user.is_told_ok()


def test_an_acknowledgement_that_was_not_asked_for_releases_nobody(maria_server: EmbeddedMariaDB, dba: Dba) -> None:
    """An event without the flag may be acknowledged without effect: who waits for a later one goes on waiting, and the
    stream goes on. (Other versions are said to end the connection. Nothing is gained by trying them.)"""
    dba.arm("AFTER_SYNC", LONG_MS)
    with Replica(maria_server) as replica:
        until(lambda: dba.status("clients") == "1")
        user = User(maria_server).sends(CHANGE.format(1))
        event = commit_of(replica)
        until(dba.waits)
        not_asked = [e for e in replica.events if 0 < e.end < event.end and not e.asks][-1]
        heard = int(dba.status("get_ack"))

        replica.acknowledge(not_asked)
        until(lambda: int(dba.status("get_ack")) > heard)
        assert dba.waits()
        assert not user.answered

        replica.acknowledge(event)
        user.is_told_ok()
        assert replica.ended is None


def _next_waits(dba: Dba, user: User) -> bool:
    """Commits until one waits."""
    if user.answered:
        user.sends("UPDATE item SET value = concat('v', rand()) WHERE id = 3")
    return dba.waits()
