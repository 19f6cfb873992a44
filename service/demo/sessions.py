"""Turns an address into a user's session, whichever database is behind it: statements with `%s` in, rows and
counts out.

The demo's users and its loader use the drivers as any application does. It holds nothing of duolog's own adapters: what
it shows must not rest on what it tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Self
from urllib.parse import urlsplit

import psycopg
import pymysql

POSTGRESQL: Final = "postgresql"
MARIADB: Final = "mariadb"


class Refused(Exception):
    """A database did not take a statement (a foreign key, a deadlock); `code` is its own."""

    def __init__(self, code: str) -> None:
        super().__init__(f"refused ({code})")
        self.code = code


class Session(ABC):
    """One user's session; a context manager that closes it."""

    mark: str
    """What names are quoted with."""
    as_text: str
    """The expression that prints `{}` as text."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def quoted(self, *names: str) -> str:
        """A name, qualified by those before it."""
        return ".".join(self.mark + name.replace(self.mark, self.mark * 2) + self.mark for name in names)

    def printed(self, column: str) -> str:
        """A column's value as text."""
        return self.as_text.format(self.quoted(column))

    @abstractmethod
    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Carries out one statement; the number of rows that it wrote. Raises Refused."""

    @abstractmethod
    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """What a query answers."""

    @abstractmethod
    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Fills an empty table. `table`: quoted."""

    @abstractmethod
    def script(self, statements: str) -> None:
        """Carries out a file of statements."""

    @abstractmethod
    def commit(self) -> None:
        """Ends a transaction."""

    @abstractmethod
    def close(self) -> None:
        """Ends the session."""


def connect(address: str, *, autocommit: bool = True) -> Session:
    """A session; with `autocommit` each statement is a transaction. Raises the driver's error if there is no server."""
    if urlsplit(address).scheme == MARIADB:
        return MariaSession(address, autocommit)
    return PostgresSession(address, autocommit)


class PostgresSession(Session):
    """By psycopg."""

    mark = '"'
    as_text = "{}::text"

    def __init__(self, address: str, autocommit: bool) -> None:
        self._connection = psycopg.connect(address, autocommit=autocommit)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """See Session."""
        try:
            return self._connection.execute(statement, values).rowcount
        except (psycopg.IntegrityError, psycopg.OperationalError) as error:
            if self._connection.broken:
                raise
            raise Refused(error.sqlstate or "") from error

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """See Session."""
        return iter(self._connection.execute(statement))

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """See Session."""
        statement = "COPY " + table + " (" + ", ".join(map(self.quoted, columns)) + ") FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def script(self, statements: str) -> None:
        """See Session."""
        self._connection.execute(statements)

    def commit(self) -> None:
        """See Session."""
        self._connection.commit()

    def close(self) -> None:
        """See Session."""
        self._connection.close()


class MariaSession(Session):
    """By PyMySQL."""

    mark = "`"
    as_text = "CAST({} AS CHAR)"

    def __init__(self, address: str, autocommit: bool) -> None:
        place = urlsplit(address)
        self._connection = pymysql.connect(
            host=place.hostname, port=place.port or 3306, user=place.username, database=place.path[1:],
            charset="utf8mb4", autocommit=autocommit,
        )  # fmt: skip

    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """See Session."""
        try:
            with self._connection.cursor() as cursor:
                return int(cursor.execute(statement, tuple(values)))
        except (pymysql.IntegrityError, pymysql.OperationalError) as error:
            if not self._connection.open or 2000 <= error.args[0] < 3000:
                raise
            raise Refused(str(error.args[0])) from error

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """See Session."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return iter(cursor.fetchall())

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """See Session."""
        names, marks = ", ".join(map(self.quoted, columns)), ", ".join(["%s"] * len(columns))
        with self._connection.cursor() as cursor:
            statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - all names are quoted
            cursor.executemany(statement, list(rows))
        self._connection.commit()

    def script(self, statements: str) -> None:
        """See Session. No statement of the file has a `;` within it."""
        with self._connection.cursor() as cursor:
            for statement in statements.split(";\n"):
                if statement.strip():
                    cursor.execute(statement)

    def commit(self) -> None:
        """See Session."""
        self._connection.commit()

    def close(self) -> None:
        """See Session."""
        if self._connection.open:
            self._connection.close()
