"""Turns statements into clients who may hang: each in a thread of its own, with what was answered and after how long;
and a server's switch, by plain SQL, as a DBA has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg import sql

from service.embedded import EmbeddedServer
from tests.crowd import within
from tests.lab.standby import until

WAITS = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %s"


class Client:
    """A user's session that carries out statements in a thread, each one a transaction unless it says otherwise."""

    def __init__(self, address: str, *settings: str, name: str = "user") -> None:
        self.connection = psycopg.connect(address, autocommit=True, application_name=name)
        self.connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))
        self.notices: list[str] = []
        for setting in settings:
            self.connection.execute(f"SET {setting}".encode())
        self.pid = self.connection.info.backend_pid
        self.error: psycopg.Error | None = None
        self.took_s = 0.0
        self._thread = threading.Thread(target=lambda: None)

    def sends(self, *statements: str) -> Self:
        """Begins to carry them out."""

        def work() -> None:
            begun = time.monotonic()
            try:
                for statement in statements:
                    self.connection.execute(statement.encode())
            except psycopg.Error as error:
                self.error = error
            self.took_s = time.monotonic() - begun

        self._thread = threading.Thread(target=work, name=f"client {self.pid}", daemon=True)
        self._thread.start()
        return self

    @property
    def answered(self) -> bool:
        """True once the last statement was answered, by OK or by an error."""
        return not self._thread.is_alive()

    def is_answered(self, within_s: float = 10.0) -> None:
        """Waits for the answer."""
        until(lambda: self.answered, within_s, "the client's answer")

    def is_told_ok(self, within_s: float = 10.0) -> None:
        """Waits for an OK without a warning."""
        self.is_answered(within_s)
        assert self.error is None, self.error
        assert self.notices == []

    def close(self) -> None:
        """Hangs up."""
        self.connection.close()


class Observer:
    """A DBA's session, which waits for nobody."""

    def __init__(self, server: EmbeddedServer, database: str = "postgres") -> None:
        self.server = server
        self.connection = psycopg.connect(
            server.url(database), autocommit=True, options="-c synchronous_commit=local", application_name="observer"
        )

    def ask(self, statement: str, *values: object) -> Any:
        """The first column of the first row; None if there is none."""
        cursor = self.connection.execute(statement.encode(), values or None)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def waits(self, client: Client) -> bool:
        """True if it hangs at COMMIT."""
        return bool(self.ask(WAITS, client.pid))

    def hangs(self, *clients: Client) -> None:
        """Waits until all of them hang at COMMIT."""
        for client in clients:
            until(lambda client=client: self.waits(client), 10.0, "a client that waits")

    def blocked_by(self, pid: int) -> list[int]:
        """Whose locks a session waits for."""
        return list(self.ask("SELECT pg_blocking_pids(%s)", pid))

    def standby(self, name: str) -> dict[str, Any]:
        """What the server knows of a standby; positions as numbers, 0 for none."""
        cursor = self.connection.execute(
            "SELECT state, sync_state, coalesce(write_lsn - '0/0', 0)::bigint, coalesce(flush_lsn - '0/0', 0)::bigint, "
            "coalesce(replay_lsn - '0/0', 0)::bigint FROM pg_stat_replication WHERE application_name = %s",
            [name],
        )
        row = cursor.fetchone()
        return dict(zip(("state", "sync", "write", "flush", "apply"), row or ("absent", "", 0, 0, 0), strict=True))

    def arm(self, names: str) -> None:
        """Names the standbys that commits wait for, and returns when commits do wait: the first that hang show it.

        The standby must not confirm anything meanwhile."""
        self._set(names)
        url = self.connection.info.dsn
        probe = Client(url, "synchronous_commit = remote_apply", name="probe")
        deadline = time.monotonic() + within(10)
        while not self.waits(probe):
            assert time.monotonic() < deadline, "commits do not wait"
            if probe.answered:
                probe.sends("SELECT pg_logical_emit_message(true, 'lab', '')")
        self.ask("SELECT pg_cancel_backend(%s)", probe.pid)
        probe.is_answered()
        probe.close()

    def disarm(self) -> None:
        """Empties the setting: who waits is answered, and nobody waits from now on."""
        self._set("")

    def _set(self, names: str) -> None:
        statement = sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(names))
        self.connection.execute(statement)
        self.connection.execute("SELECT pg_reload_conf()")

    def close(self) -> None:
        """Hangs up."""
        self.connection.close()


@contextmanager
def observed(server: EmbeddedServer, database: str = "postgres") -> Iterator[Observer]:
    """A DBA's session, at whose end nobody waits."""
    observer = Observer(server, database)
    try:
        yield observer
    finally:
        observer.close()
        server.start()  # a test may have stopped it
        observer = Observer(server, database)
        observer.disarm()
        until(lambda: not observer.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))
        observer.close()
