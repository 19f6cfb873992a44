"""One fresh MariaDB server, as the measures ask for it.

Settings are MariaDB's own but for those named in `SETTINGS` and what a replicated server needs: durable (each commit
synced, in the storage engine's log and in the binlog, which are MariaDB's costly settings and those of a business).
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from benchmarks.database import Statement, pack_transactions
from service.embedded import EmbeddedMariaDB
from service.embedded.mariadb import DEFAULTS, SYNCED, find_programs

SETTINGS: Final = {
    "innodb_buffer_pool_size": "256M",
    "innodb_log_file_size": "1G",
    "max_allowed_packet": "64M",
    "server_id": "1",
}
DATABASE: Final = "public"
"""So that statements name tables as in PostgreSQL."""
PLACES: Final = ("bind_address", "skip_name_resolve", "log_bin", "server_id", "default_time_zone")
"""Settings that say where and not how fast."""
load_rows: Final = 1000
"""Rows of one statement that fills a table."""

_numbers: Final = itertools.count(11)
"""Of servers, each of which replicates into another: one number, and one domain of GTIDs, each."""


class MariaDB:
    """Implements `benchmarks.database.Database`."""

    adapter = "mariadb"

    def __init__(self) -> None:
        number = next(_numbers)
        own = {
            "server_id": str(number),
            "gtid_domain_id": str(number),
            "auto_increment_increment": "2",
            "auto_increment_offset": str(number % 2 + 1),
        }
        self._server = EmbeddedMariaDB(fsync=True, settings={**SETTINGS, **own})

    @property
    def pid(self) -> int:
        """The server."""
        return self._server.pid

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

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

    def connect(self) -> Session:
        """See `Database.connect`."""
        return Session(self.port)

    def load(self, connection: Session, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """See `Database.load`."""
        places = ", ".join(["%s"] * len(columns.split(", ")))
        insert = f"INSERT INTO {DATABASE}.{table} ({columns}) VALUES ({places})"  # noqa: S608 - names of our own
        rows = iter(rows)
        connection.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL sync_binlog = 0")
        while part := list(islice(rows, load_rows)):
            connection.many(insert, part)
        connection.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1")

    def settle(self, connection: Session) -> None:
        """See `Database.settle`."""
        connection.execute("ANALYZE TABLE public.item")
        connection.execute("FLUSH BINARY LOGS")

    def write(self, connection: Session, transactions: Iterable[list[Statement]], *, synced: bool) -> int:
        """See `Database.write`."""
        if not synced:
            connection.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL sync_binlog = 0")
        transactions = iter(transactions)
        rows = 0
        while part := list(islice(transactions, pack_transactions)):
            connection.transactions(part)
            rows += sum(map(len, part))
        if not synced:
            connection.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1")
        return rows

    def is_read(self, connection: Session) -> bool:
        """True if somebody is sent the binlog."""
        found = connection.execute(
            "SELECT count(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%'"
        ).fetchone()
        return found is not None and found[0] > 0

    def written(self, connection: Session) -> int | None:
        """It counts no table's rows by itself."""
        return None

    def looker(self, statement: str) -> Asking:
        """See `Database.looker`."""
        return Asking(self.connect(), statement)

    def version(self) -> str:
        """See `Database.version`."""
        shown = subprocess.run([find_programs().server, "--version"], capture_output=True, text=True, check=True)
        return "MariaDB " + shown.stdout.partition("Ver ")[2].split()[0]

    def settings(self) -> dict[str, str]:
        """See `Database.settings`."""
        return {name: value for name, value in {**DEFAULTS, **SYNCED, **SETTINGS}.items() if name not in PLACES}


class Session:
    """A session that is asked as psycopg's are; a context manager that closes it."""

    def __init__(self, port: int) -> None:
        self._connection: pymysql.Connection[Cursor] = pymysql.connect(
            host="127.0.0.1", port=port, user="root", database=DATABASE, charset="utf8mb4", autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS | CLIENT.FOUND_ROWS,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def execute(self, statement: str, values: Iterable[Any] = ()) -> Cursor:
        """Runs one statement."""
        cursor = self._connection.cursor()
        cursor.execute(statement, tuple(values))
        return cursor

    def many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Inserts rows by one statement."""
        with self._connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    def transactions(self, some: list[list[Statement]]) -> None:
        """Runs transactions one after the other, sent together."""
        with self._connection.cursor() as cursor:
            told = []
            for statements in some:
                told += ["BEGIN", *(cursor.mogrify(statement, values) for statement, values in statements), "COMMIT"]
            cursor.execute(";".join(told))
            while cursor.nextset():
                pass

    def close(self) -> None:
        """Hangs up, if that was not done before."""
        if self._connection.open:
            self._connection.close()


class Asking:
    """A session with one statement."""

    def __init__(self, session: Session, statement: str) -> None:
        self._session = session
        self._statement = statement

    def execute(self, *values: int) -> bool:
        """See `Looker.execute`."""
        return self._session.execute(self._statement, values).rowcount > 0

    def close(self) -> None:
        """See `Looker.close`."""
        self._session.close()
