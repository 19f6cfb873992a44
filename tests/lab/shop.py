"""Two PostgreSQL servers with users on both who wait for each other's side at COMMIT, and `duolog run` between them.

Turns a rule file into what the lab torments: the servers, the lines by which duolog reaches them, its processes.
Whether commits wait is asked of the databases by plain SQL, not of duolog.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

from service.demo.engine import COMMAND
from service.embedded import EmbeddedServer
from tests.engine_live.proxy import Proxy
from tests.engine_live.world import Live, eventually

TABLE: Final = """
CREATE TABLE item (id integer PRIMARY KEY, value text NOT NULL, of_erp text NOT NULL, of_crm text NOT NULL);
INSERT INTO item SELECT i, 'start', 'start', 'start' FROM generate_series(1, {rows}) i;
CREATE PUBLICATION witness FOR TABLE item
"""
SLOT: Final = "SELECT pg_create_logical_replication_slot('witness', 'pgoutput')"
"""The witness's own, from which nobody takes anything while the shop is open."""

RULES: Final = """\
duolog: 1
name: lab
systems:
  erp: {{adapter: postgresql, url: "${{ERP_URL}}", commit: synchronous, when_away: {away}}}
  crm: {{adapter: postgresql, url: "${{CRM_URL}}", commit: synchronous, when_away: {away}}}
entities:
  item:
    identity: [id]
    conflict: last_writer
    order: [erp, crm]
    bind:
      erp: {{table: item}}
      crm: {{table: item}}
    fields:
      id:     id
      value:  value
      of_erp: {{erp: of_erp, crm: of_erp, owner: erp}}
      of_crm: {{erp: of_crm, crm: of_crm, owner: crm}}
"""

ARMED: Final = (
    "SELECT current_setting('synchronous_standby_names') <> '' "
    "AND NOT EXISTS (SELECT FROM duolog.degraded WHERE until_position IS NULL)"
)
WAITERS: Final = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

SESSIONS: Final = (
    "SELECT pid, application_name, state, wait_event, pg_blocking_pids(pid), left(query, 80) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Shop:
    """See the module. `away_s`: what `when_away` says, `open after` so many seconds; None: closed."""

    def __init__(
        self, folder: Path, servers: Mapping[str, EmbeddedServer], away_s: float | None, rows: int = 1000
    ) -> None:
        self.servers = dict(servers)
        self.addresses = {system: server.create_database("shop") for system, server in servers.items()}
        self.lines = {system: Proxy(server.port) for system, server in servers.items()}
        for system in servers:
            with self.session(system) as connection:
                connection.execute(TABLE.format(rows=rows).encode())
                connection.execute(SLOT)
        away = "closed" if away_s is None else f"open after {round(away_s * 1000)}ms"
        by_line = {system: self.lines[system].address(address) for system, address in self.addresses.items()}
        self.live = Live(folder, RULES.format(away=away), by_line)
        self.watchdog: subprocess.Popen[bytes] | None = None
        self.live.call("setup")

    def session(self, system: str) -> psycopg.Connection[Any]:
        """A DBA's, who waits for nobody."""
        return psycopg.connect(self.addresses[system], autocommit=True, options="-c synchronous_commit=local")

    def ask(self, system: str, statement: str) -> Any:
        """The first column of the first row."""
        with self.session(system) as connection:
            row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def watch(self) -> None:
        """Starts the watchdog that runs beside the databases, as the unit in `deploy/` does: no line of ours can keep
        it from them."""
        beside = {f"{system.upper()}_URL": address for system, address in self.addresses.items()}
        with (self.live.folder / "watchdog.log").open("ab") as log:
            self.watchdog = subprocess.Popen(
                [*COMMAND, "watchdog", str(self.live.rules)], env={**self.live._environment, **beside},
                cwd=self.live.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        """Starts `duolog run`; returns when commits wait on both sides."""
        self.live.run()
        self.armed()

    def is_armed(self) -> bool:
        """True if commits wait on both sides, by what the databases say."""
        try:
            return all(self.ask(system, ARMED) for system in self.servers)
        except psycopg.OperationalError:
            return False

    def armed(self, within_s: float = 60.0) -> None:
        """Waits until commits wait on both sides. An engine that has ended meanwhile, because a server was away, is
        started again, as a supervisor does."""

        def looked() -> bool:
            if self.live.pid is None:
                self.live.run()
            return self.is_armed()

        eventually(looked, within_s, lambda: f"not armed\n{self.live.log_tail()}")

    def equal(self, within_s: float = 30.0) -> None:
        """Waits until both sides have the same rows."""
        eventually(lambda: not self.differences(), within_s, lambda: f"{self.differences()}\n{self.live.log_tail()}")

    def rows(self, system: str) -> dict[int, tuple[str, ...]]:
        """By key, what stands in a row."""
        with self.session(system) as connection:
            return {row[0]: row[1:] for row in connection.execute("SELECT id, value, of_erp, of_crm FROM item")}

    def differences(self) -> list[str]:
        """What is not the same on both sides."""
        erp, crm = self.rows("erp"), self.rows("crm")
        return [f"{key}: {erp.get(key)}, {crm.get(key)}" for key in sorted(erp | crm) if erp.get(key) != crm.get(key)]

    def standing(self) -> str:
        """Who waits for whom, for a test that fails: what the databases say, what duolog says, the log's end."""
        said = []
        for system in self.servers:
            with self.session(system) as connection:
                said += [f"{system}: {row}" for row in connection.execute(SESSIONS)]
        status = self.live.call("status", expected=(0, 1, 3))
        return "\n".join([*said, status.stdout, self.live.log_tail()])

    def close(self) -> None:
        """The end, however it came: nobody waits, nothing of ours runs."""
        own = watchdogs_of(self.live.pid)
        self.live.go_home()
        if self.watchdog is not None:
            self.watchdog.send_signal(signal.SIGKILL)
            self.watchdog.wait()
        for system, server in self.servers.items():
            server.start()
            with self.session(system) as connection:
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")
        for line in self.lines.values():
            with contextlib.suppress(OSError):
                line.close()
        for pid in own:  # it would look for its servers for an hour
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def watchdogs_of(engine: int | None) -> list[int]:
    """What an engine has started, and what outlives it when it is killed."""
    if engine is None:
        return []
    found = subprocess.run(["pgrep", "-P", str(engine)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@contextmanager
def opened(folder: Path, away_s: float | None, rows: int = 1000) -> Iterator[Shop]:
    """A shop between two servers of its own."""
    with EmbeddedServer() as erp, EmbeddedServer() as crm:
        shop = Shop(folder, {"erp": erp, "crm": crm}, away_s, rows)
        try:
            yield shop
        finally:
            shop.close()
