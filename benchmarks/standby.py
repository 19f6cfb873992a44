"""Names the one reader of a server's log as its synchronous standby, by plain SQL.

Turns a side into the setting `synchronous_standby_names` of its server. Never starts or stops a reader.
"""

from __future__ import annotations

from functools import partial

from psycopg import sql

from benchmarks.bench import Bench
from benchmarks.postgresql import Connection


def standby(connection: Connection) -> str:
    """The name of the one reader that streams from a server. Raises AssertionError if there is not exactly one."""
    rows = connection.execute("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'").fetchall()
    assert len(rows) == 1, f"one reader expected, {len(rows)} found"
    return str(rows[0][0])


def name_standby(bench: Bench, side: str) -> None:
    """Names the reader of this side as its synchronous standby, and waits until the server counts it."""
    with bench.connect(side) as connection:
        listed = '"{}"'.format(standby(connection).replace('"', '""'))
        put(connection, sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}").format(sql.Literal(listed)))
        until_counted(bench, side)


def until_counted(bench: Bench, side: str) -> None:
    """Waits until the server of this side makes commits wait for its reader. Raises TooSlow."""
    with bench.connect(side) as connection:
        bench.wait("the standby to be counted", partial(counted, connection))


def name_nobody(bench: Bench, side: str) -> None:
    """Nobody is waited for any more."""
    with bench.connect(side) as connection:
        put(connection, sql.SQL("ALTER SYSTEM RESET synchronous_standby_names"))


def put(connection: Connection, statement: sql.SQL | sql.Composed) -> None:
    """Changes a setting of the server, and has it read again. Never waits for a standby itself."""
    connection.execute("SET synchronous_commit = local")
    connection.execute(statement)
    connection.execute("SELECT pg_reload_conf()")


def counted(connection: Connection) -> bool:
    """True if the server has a synchronous standby."""
    return connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone() is not None
