"""What a PostgreSQL client meets while it waits at COMMIT, and what ends its wait: measured, line by line.

Each test's docstring is the line that it recreates."""

from __future__ import annotations

import socket
import time
from typing import Literal

import psycopg
import pytest

from tests.crowd import within
from tests.lab.clients import Client
from tests.lab.conftest import Side
from tests.lab.standby import until

CHANGE = "UPDATE item SET value = 'changed' WHERE id = {}"
WARNING = "canceling wait for synchronous replication due to user request"
CANNOT_END_IT_S = 1.0
"""So long is a client looked at that something should not release: five times the limit that it was given."""


@pytest.fixture
def waiter(armed: Side) -> Client:
    """A client that changed row 1 and hangs at COMMIT."""
    client = Client(armed.url).sends(CHANGE.format(1))
    armed.dba.hangs(client)
    return client


def value(side: Side, number: int = 1) -> str:
    """What a new session sees in a row."""
    with side.server.connect(side.url.rpartition("/")[2]) as connection:
        row = connection.execute("SELECT value FROM item WHERE id = %s", [number]).fetchone()
    assert row is not None
    return str(row[0])


def test_its_row_is_invisible_and_locked(armed: Side, waiter: Client) -> None:
    """While it waits, the row is invisible to others, its locks are held, and the backend waits in `IPC/SyncRep`."""
    asked = "SELECT wait_event_type || '/' || wait_event FROM pg_stat_activity WHERE pid = %s"
    assert armed.dba.ask(asked, waiter.pid) == "IPC/SyncRep"
    assert value(armed) == "start"

    looked_at_s = within(2)  # it is seen while it is blocked
    other = Client(armed.url, f"lock_timeout = '{looked_at_s:g}s'").sends(CHANGE.format(1))
    until(lambda: armed.dba.blocked_by(other.pid) == [waiter.pid])
    other.is_answered()
    assert isinstance(other.error, psycopg.errors.LockNotAvailable)


@pytest.mark.parametrize(
    "limit",
    [
        "statement_timeout", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout",
        "client_connection_check_interval",
    ],
)  # fmt: skip
def test_no_timeout_ends_its_wait(armed: Side, limit: str) -> None:
    """Neither `statement_timeout` nor `lock_timeout` nor any other limit of a session bounds the wait."""
    client = Client(armed.url, f"{limit} = '200ms'").sends(CHANGE.format(1))
    armed.dba.hangs(client)
    time.sleep(CANNOT_END_IT_S)

    assert armed.dba.waits(client)
    assert not client.answered


def test_its_death_does_not_end_its_wait(armed: Side) -> None:
    """A client that dies, even where the server looks for that, leaves its backend waiting with all its locks; what it
    wrote is committed when it is released."""
    client = Client(armed.url, "client_connection_check_interval = '100ms'").sends(CHANGE.format(1))
    armed.dba.hangs(client)
    dead = socket.socket(fileno=client.connection.fileno())
    dead.shutdown(socket.SHUT_RDWR)
    dead.detach()
    client.is_answered()
    time.sleep(CANNOT_END_IT_S)
    assert armed.dba.waits(client)
    assert value(armed) == "start"

    armed.dba.disarm()

    until(lambda: value(armed) == "changed")


def test_cancelled_it_is_committed_with_a_warning(armed: Side, waiter: Client) -> None:
    """`pg_cancel_backend`: COMMIT succeeds with a warning, and the row is visible, though nobody has confirmed it."""
    armed.dba.ask("SELECT pg_cancel_backend(%s)", waiter.pid)
    waiter.is_answered()

    assert waiter.error is None
    assert waiter.notices == [WARNING]
    assert value(armed) == "changed"


def test_terminated_it_is_committed_without_an_answer(armed: Side, waiter: Client) -> None:
    """`pg_terminate_backend`: the client loses its connection, and the row *is* committed."""
    armed.dba.ask("SELECT pg_terminate_backend(%s)", waiter.pid)
    waiter.is_answered()

    assert isinstance(waiter.error, psycopg.OperationalError)
    assert value(armed) == "changed"


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_after_a_stop_of_the_server_it_is_committed(erp: Side, mode: Literal["fast", "immediate"]) -> None:
    """A fast or an immediate stop: the client loses its connection, and after the start the row is there; the standby
    never confirmed it."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        client = Client(erp.url).sends(CHANGE.format(1))
        erp.dba.hangs(client)
        until(lambda: standby.commits)
    erp.server.stop(mode)
    client.is_answered()
    erp.server.start()

    assert isinstance(client.error, psycopg.OperationalError)
    assert value(erp) == "changed"


@pytest.mark.alone
def test_an_emptied_setting_answers_it_with_a_plain_ok(armed: Side, waiter: Client) -> None:
    """Emptying the setting: who waits is told a plain OK, without a warning."""
    begun = time.monotonic()
    armed.dba.disarm()
    waiter.is_told_ok()

    assert time.monotonic() - begun < 2
    assert value(armed) == "changed"


def test_a_standby_that_was_cut_leaves_it_waiting(erp: Side) -> None:
    """A standby that goes away releases nobody; one that comes back and confirms does."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        client = Client(erp.url).sends(CHANGE.format(1))
        erp.dba.hangs(client)
        until(lambda: standby.commits)
        end = standby.commits[-1].end
    until(lambda: erp.dba.standby("lab")["state"] == "absent")
    assert erp.dba.waits(client)

    with erp.standby() as again:
        until(lambda: again.commits)  # what was not confirmed is sent again
        until(lambda: erp.dba.standby("lab")["state"] == "streaming")
        again.confirm(end)
        client.is_told_ok()


def test_a_slow_one_holds_back_whoever_commits_later(armed: Side, waiter: Client) -> None:
    """What is confirmed is a prefix of the log: a commit that is not confirmed holds back all later ones, of other
    rows too."""
    later = Client(armed.url).sends(CHANGE.format(2))
    armed.dba.hangs(later)

    assert armed.dba.waits(waiter)
    assert value(armed, 2) == "start"
