"""A desk whose ERP is synchronous, and users of it who may have to wait at COMMIT: what such tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

from tests.cli.desk import Desk
from tests.crowd import within

ASYNCHRONOUS = 'erp: {adapter: postgresql, url: "${ERP_URL}"}'
SYNCHRONOUS = 'erp: {adapter: postgresql, url: "${ERP_URL}", commit: synchronous, when_away: %s}'

RANGES = """
SELECT since_position::text, until_position::text, why, by, stays FROM duolog.degraded ORDER BY since_at, since_position
"""


class Commit(threading.Thread):
    """A user of the ERP who adds a customer, and may have to wait for it."""

    def __init__(self, desk: Desk, no: str) -> None:
        super().__init__(name=f"commit of {no}", daemon=True)
        self.address, self.no = desk.urls["erp"], no
        self.took_s = 0.0
        self.notices: list[str] = []
        self.trouble = ""
        self.position = ""
        self.start()

    def run(self) -> None:
        """Commits; keeps how long that took, and everything that the server said."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))
            begun = time.monotonic()
            try:
                connection.execute("INSERT INTO customer (no, name) VALUES (%s, 'Ada')", [self.no])
            except psycopg.Error as error:
                self.trouble = str(error)
            self.took_s = time.monotonic() - begun
            self.position = str(connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()[0])  # type: ignore[index]

    def answered(self, within_s: float) -> None:
        """Waits for an OK without a warning."""
        self.join(within(within_s))
        assert not self.is_alive(), f"the user has waited for {within(within_s):g} s"
        assert (self.trouble, self.notices) == ("", [])


class Place(Desk):
    """A desk whose ERP is synchronous."""

    def waiting(self) -> int:
        """How many sessions of the ERP's server wait at COMMIT."""
        return int(self.local("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0][0])

    def armed(self) -> bool:
        """True if the setting names somebody."""
        return self.local("SHOW synchronous_standby_names") != [("",)]

    def local(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a DBA does, who never waits."""
        url = self.urls["erp"]
        with psycopg.connect(url, autocommit=True, options="-c synchronous_commit=local") as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def ranges(self) -> list[tuple[Any, ...]]:
        """All recorded ranges, the oldest first: since, until, why, by, stays."""
        return self.local(RANGES)

    def in_crm(self, no: str) -> bool:
        """True if the CRM has the customer now, for a new session."""
        return bool(self.sql("crm", "SELECT 1 FROM sales.account WHERE account_no = %s", no))

    def until_armed(self) -> dict[str, Any]:
        """Waits until commits wait; the status then."""

        def found() -> dict[str, Any] | None:
            status = self.status()
            one = status["synchronous"].get("erp", {})
            return status if one.get("armed") and one["degraded"] is None and status["engine"]["running"] else None

        return self.eventually(found)

    def kill9(self) -> None:
        """Kills the engine, and only it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(within(10))
        self._process = None

    def reload(self) -> None:
        """Has the engine read its rules anew."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGHUP)

    def soon(self, ready: Callable[[], Any], within_s: float, what: str) -> None:
        """Polls, without asking whether an engine lives."""
        deadline = time.monotonic() + within(within_s)
        while not ready():
            assert time.monotonic() < deadline, f"{what}: not within {within(within_s):g} s\n{self.log_tail()}"
            time.sleep(0.02)

    def watchdogs(self) -> list[int]:
        """The processes that watch this desk's rules."""
        found = subprocess.run(["pgrep", "-f", f"watchdog {self.rules}"], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def end_watchdogs(self) -> None:
        """The end of a test: those that still watch for an engine that it has killed."""
        for pid in self.watchdogs():
            os.kill(pid, signal.SIGKILL)
