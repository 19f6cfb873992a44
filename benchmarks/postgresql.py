"""One fresh PostgreSQL server, as the measures ask for it.

Settings are PostgreSQL's own but for those named in `SETTINGS`: durable (fsync, full_page_writes and
synchronous_commit on), because that is how the databases of a business run.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import Any, Final

import psycopg
from psycopg import pq, sql
from psycopg.pq.abc import PGconn

from benchmarks.database import Statement
from service.embedded import DEFAULTS, EmbeddedServer, find_programs

SETTINGS: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_wal_size": "4GB"}
DATABASE: Final = "bench"
PLACES: Final = ("listen_addresses", "unix_socket_directories", "timezone", "log_timezone")
"""Settings that say where and not how fast."""

Connection = psycopg.Connection[Any]


class PostgreSQL:
    """Implements `benchmarks.database.Database`."""

    adapter = "postgresql"

    def __init__(self) -> None:
        self._server = EmbeddedServer(fsync=True, settings=SETTINGS)

    @property
    def pid(self) -> int:
        """The postmaster."""
        return self._server.pid

    def start(self) -> None:
        """See `Database.start`."""
        self._server.start()
        self._server.create_database(DATABASE)

    def stop(self) -> None:
        """See `Database.stop`."""
        self._server.close()

    def url(self) -> str:
        """See `Database.url`."""
        return self._server.url(DATABASE)

    def connect(self) -> Connection:
        """See `Database.connect`."""
        return self._server.connect(DATABASE)

    def load(self, connection: Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """See `Database.load`."""
        load(connection, table, columns, rows)

    def settle(self, connection: Connection) -> None:
        """See `Database.settle`."""
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")

    def write(self, connection: Connection, transactions: Iterable[list[Statement]], *, synced: bool) -> int:
        """See `Database.write`."""
        if not synced:
            connection.execute("SET synchronous_commit = off")
        rows = write(connection, transactions)
        if not synced:
            connection.execute("RESET synchronous_commit")
            connection.execute("CHECKPOINT")
        return rows

    def is_read(self, connection: Connection) -> bool:
        """See `Database.is_read`."""
        return streaming(connection)

    def written(self, connection: Connection) -> int | None:
        """See `Database.written`."""
        found = connection.execute(
            "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE schemaname = 'public'"
        ).fetchone()
        assert found is not None
        return int(found[0])

    def looker(self, statement: str) -> Prepared:
        """See `Database.looker`."""
        return Prepared(self.url(), statement)

    def version(self) -> str:
        """See `Database.version`."""
        shown = subprocess.run([find_programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
        return shown.stdout.strip()

    def settings(self) -> dict[str, str]:
        """See `Database.settings`."""
        return {name: value for name, value in {**DEFAULTS, **SETTINGS}.items() if name not in PLACES}


class Prepared:
    """A bare libpq session with the one statement prepared."""

    def __init__(self, url: str, statement: str) -> None:
        self._session: PGconn = pq.PGconn.connect(url.encode())
        parts = statement.split("%s")
        numbered = "".join(f"{part}${at}" for at, part in enumerate(parts[:-1], 1)) + parts[-1]
        self._session.prepare(b"s", numbered.encode())

    def execute(self, *values: int) -> bool:
        """See `Looker.execute`."""
        result = self._session.exec_prepared(b"s", [str(value).encode() for value in values])
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise RuntimeError(result.error_message.decode(errors="replace"))
        return result.ntuples > 0 or bool(result.command_tuples)

    def close(self) -> None:
        """See `Looker.close`."""
        self._session.finish()


def load(connection: Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Copies rows into a table; if the keys are of a sequence, that goes on behind them."""
    named = sql.SQL(", ").join(sql.Identifier(name) for name in columns.split(", "))
    copying = sql.SQL("COPY public.{} ({}) FROM STDIN").format(sql.Identifier(table), named)
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for row in rows:
            copy.write_row(row)
    behind = sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM public.{}")
    connection.execute(behind.format(sql.Literal(f"public.{table}"), sql.Identifier(table)))


def checksum(connection: Connection, table: str) -> tuple[int, str]:
    """Number of rows, and one hash of all of them in any order: equal on both sides when all has arrived."""
    query = sql.SQL(
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM public.{} AS t"
    )
    found = connection.execute(query.format(sql.Identifier(table))).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])


def streaming(connection: Connection) -> bool:
    """True if a reader is attached to every logical slot of this server, and there is one."""
    found = connection.execute(
        "SELECT count(*) > 0 AND bool_and(active) FROM pg_replication_slots WHERE slot_type = 'logical'"
    ).fetchone()
    return found is not None and bool(found[0])


def write(connection: Connection, transactions: Iterable[list[Statement]]) -> int:
    """Commits them one after the other; the number of rows written."""
    written = 0
    with connection.pipeline():
        for count, statements in enumerate(transactions):
            connection.execute("BEGIN")
            for statement, values in statements:
                connection.execute(statement, values, prepare=True)
            connection.execute("COMMIT")
            written += len(statements)
            if count % 200 == 0:
                connection.pgconn.send_flush_request()
    return written
