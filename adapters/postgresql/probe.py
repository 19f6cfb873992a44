"""Turns a tiny commit of our own into proof that commits wait: it is sent, and seen to hang.

It has a connection of its own, which is used without ever waiting for the server. Nothing is left of it but a message
of no content in the log.
"""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
from psycopg import pq

from adapters.postgresql import session, setting
from adapters.postgresql.standbys import Standbys
from engine.vocabulary import Position

COMMIT: Final = (
    b"BEGIN; SET LOCAL synchronous_commit = remote_write; "
    b"SELECT pg_catalog.pg_logical_emit_message(true, 'duolog arm', ''); COMMIT"
)

SEEN: Final = (
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'), "
    "pg_current_wal_flush_lsn()::text"
)
"""The position comes last: what did not wait was on disk before it."""


class Probe:
    """One commit that should hang. Raises SystemUnavailable, AccessDenied or what `session.translate` makes."""

    def __init__(self, system: str, url: str) -> None:
        self._system = system
        self._conn = session.connect(system, url, application_name="duolog probe")
        self._raw: pq.abc.PGconn = self._conn.pgconn

    def send(self) -> None:
        """Sends the commit; does not wait for it."""
        try:
            self._raw.nonblocking = 1
            self._raw.send_query(COMMIT)
            self._raw.flush()
        except psycopg.Error as error:
            raise session.translate(error, self._system) from None

    def returned(self) -> bool:
        """True once the commit has been answered."""
        try:
            self._raw.flush()
            self._raw.consume_input()
            while not self._raw.is_busy():
                result = self._raw.get_result()
                if result is None:
                    return True
                if result.status == pq.ExecStatus.FATAL_ERROR:
                    raise psycopg.errors.error_from_result(result)
        except psycopg.Error as error:
            raise session.translate(error, self._system) from None
        return False

    def return_within(self, seconds: float, pause: Any) -> bool:
        """`returned`, waited for; `pause(seconds)` between two looks."""
        deadline = time.monotonic() + seconds
        while not self.returned():
            if time.monotonic() > deadline:
                return False
            pause(0.002)
        return True

    def hangs(self, conn: psycopg.Connection[Any], names: Standbys) -> Position:
        """A position after which every commit waits for all of `names`; 0 if that is not seen yet.

        `conn`: another connection, to look with. The commit hangs, so whoever commits later hangs, too; and each
        process that answers a standby ranks it as `names` does, so none goes by the setting of before."""
        if not setting.known(conn, names):
            return 0
        row = conn.execute(SEEN, [self._conn.info.backend_pid]).fetchone()
        assert row is not None
        waits, end = row
        return session.lsn_number(end) if waits else 0

    def close(self) -> None:
        """Hangs up. If it still hangs, it is answered with the others, to nobody."""
        self._conn.close()
