"""Reads the same log as a running engine, from the place where that engine is, without touching its slot.

Turns the engine's slot into a temporary copy of it, that is gone with the connection, whatever happens. Otherwise it is
a `PostgresSource`; only that it cannot be opened twice: what the copy kept for us is gone when the connection is.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import psycopg
from psycopg import pq

from adapters.postgresql.resume import check_slot
from adapters.postgresql.source import PostgresSource
from engine.errors import SystemStopped
from engine.vocabulary import Position

COPY: Final = "SELECT pg_catalog.pg_copy_logical_replication_slot('{}', '{}', true)"


class BorrowedSource(PostgresSource):
    """See the module. `reserve`, then `open`, once each."""

    _messages = True
    _reserved: pq.abc.PGconn | None = None

    def reserve(self) -> None:
        """From here on the server keeps the log for us. To be called before the engine's store is looked at: what that
        has not read by then, we shall. Raises SystemUnavailable, SystemStopped."""
        stream = super()._connect()
        copy = "duolog_shadow_" + secrets.token_hex(8)
        result = stream.exec_(COPY.format(self._slot, copy).encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            said = " ".join(result.get_error_message().split())
            stream.finish()
            raise SystemStopped(
                f"the slot `{self._slot}` could not be copied: {said}",
                system=self.system,
                mend="`duolog setup` of the rules in force makes it; the role needs REPLICATION",
            )
        self._slot = copy
        self._reserved = stream

    def let_go(self) -> None:
        """Hangs up; the copy of the slot is gone with it."""
        self.close()
        if self._reserved is not None:
            self._reserved.finish()
            self._reserved = None

    def _connect(self) -> pq.abc.PGconn:
        stream, self._reserved = self._reserved, None
        if stream is None:
            raise SystemStopped(
                "the connection was lost, and with it the place in the log", system=self.system, mend="start it again"
            )
        return stream

    def _check_slot(self, connection: psycopg.Connection[Any], resume: Position) -> None:
        check_slot(connection, self.system, self._slot, resume, mine=True)
