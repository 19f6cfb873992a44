"""Turns a server on which commits wait for an acknowledgement into one that can be asked without waiting with them.

Nobody is let go here. Where one commit waits and the next stands behind it, the server holds a lock of its own on the
log: neither its files nor their end are shown before both have gone on, to nobody, also not to the very reader that is
to acknowledge them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from adapters.mariadb.session import Connection, ask

patience_s: Final = 2.0
"""A server that shows the end of its log answers at once, or not before commits that wait have gone on."""

_WAITING: Final = """SHOW GLOBAL STATUS WHERE Variable_name IN
('Rpl_semi_sync_master_wait_sessions', 'Rpl_semi_sync_source_wait_sessions')"""


def is_held_up(conn: Connection) -> bool:
    """True if somebody waits at COMMIT. Raises pymysql.MySQLError."""
    return any(value != "0" for _, value in ask(conn, _WAITING))


def log_status(conn: Connection) -> tuple[Any, ...] | None:
    """(file, offset, binlog_do_db, binlog_ignore_db, ...); () if there is no binlog; None if that cannot be asked now,
    because somebody waits at COMMIT. Raises pymysql.MySQLError."""
    if is_held_up(conn):
        return None
    newer = conn.server.flavour == "mysql" and conn.server.version >= (8, 2, 0)
    with at_once(conn):
        rows = ask(conn, "SHOW BINARY LOG STATUS" if newer else "SHOW MASTER STATUS")
    return rows[0] if rows else ()


@contextmanager
def at_once(conn: Connection) -> Iterator[None]:
    """A context in which an answer that does not come soon is an error of the connection (pymysql.MySQLError): somebody
    has begun to wait just now."""
    before, conn._read_timeout = conn._read_timeout, patience_s
    try:
        yield
    finally:
        conn._read_timeout = before
