"""Databases whose changes triggers tell, as the measures ask for them: servers that duolog reaches by ODBC, and files.

Turns the servers of the other measures into ones with another address, and a file of SQLite into a `Database`. Nobody
reads a log there: the clock of a drain runs from when the contender is started.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NoReturn, Self
from urllib.parse import urlsplit

from benchmarks.database import Statement
from benchmarks.mariadb import MariaDB
from benchmarks.postgresql import PostgreSQL

PATIENCE_S: Final = 30.0


def by_odbc(address: str, driver: str) -> str:
    """The address of a server, for its ODBC driver."""
    return urlsplit(address)._replace(scheme="odbc", query=f"driver={driver}").geturl()


class PostgreSQLByOdbc(PostgreSQL):
    """PostgreSQL, read by triggers."""

    adapter = "odbc"

    def url(self) -> str:
        """See `Database.url`."""
        return by_odbc(super().url(), "PostgreSQL+Unicode")

    def is_read(self, connection: Any) -> bool:
        """Nobody reads its log."""
        return True


class MariaDBByOdbc(MariaDB):
    """MariaDB, the same."""

    adapter = "odbc"

    def url(self) -> str:
        """See `Database.url`."""
        return by_odbc(super().url(), "MariaDB+Unicode")

    def is_read(self, connection: Any) -> bool:
        """Nobody reads its log."""
        return True


class File:
    """A session of SQLite's, in the words that the workloads have; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute("ATTACH ? AS public", [str(path)])  # so that `public.item` is its table
        self._connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE_S * 1000)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """One statement, its values written `%s`."""
        return self._connection.execute(statement.replace("%s", "?"), [_stored(value) for value in values])

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


class SQLite:
    """Implements `benchmarks.database.Database`, with a file."""

    adapter = "sqlite"
    pid = 0
    """There is no server."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="duolog-bench-sqlite-"))

    @property
    def path(self) -> Path:
        """The file."""
        return self._folder / "bench.sqlite"

    def start(self) -> None:
        """See `Database.start`."""
        with File(self.path) as made:
            made.execute("PRAGMA public.journal_mode = WAL")

    def stop(self) -> None:
        """See `Database.stop`."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self) -> str:
        """See `Database.url`."""
        return f"sqlite:///{self.path}"

    def connect(self) -> File:
        """See `Database.connect`."""
        return File(self.path)

    def load(self, connection: File, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """See `Database.load`."""
        places = ", ".join("%s" for _ in columns.split(", "))
        insert = f"INSERT INTO public.{table} ({columns}) VALUES ({places})"  # noqa: S608 - names of our own
        self.write(connection, [[(insert, row) for row in rows]], synced=False)

    def settle(self, connection: File) -> None:
        """See `Database.settle`."""
        connection.execute("PRAGMA public.wal_checkpoint(TRUNCATE)")

    def write(self, connection: File, transactions: Iterable[list[Statement]], *, synced: bool) -> int:
        """See `Database.write`."""
        connection.execute(f"PRAGMA public.synchronous = {'FULL' if synced else 'OFF'}")
        rows = 0
        for transaction in transactions:
            connection.execute("BEGIN IMMEDIATE")
            for statement, values in transaction:
                connection.execute(statement, values)
            connection.execute("COMMIT")
            rows += len(transaction)
        return rows

    def is_read(self, connection: File) -> bool:
        """It has no log."""
        return True

    def written(self, connection: File) -> int | None:
        """It counts nothing."""
        return None

    def looker(self, statement: str) -> NoReturn:
        """No latency is measured here."""
        raise NotImplementedError

    def version(self) -> str:
        """See `Database.version`."""
        return f"SQLite {sqlite3.sqlite_version}"

    def settings(self) -> dict[str, str]:
        """See `Database.settings`."""
        return {"journal_mode": "wal"}


def _stored(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal | date) else value
