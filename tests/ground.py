"""One way to a database of any kind, for tests that run between any two of them.

Turns an address into a session as an application has it: its driver, its isolation, its spelling of names and values.
Statements are each database's own, but for the few words of `series` and `filled`; parameters are `%s` or `%(name)s`.
Nothing here knows duolog.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql
from psycopg import sql
from pymysql.constants import CLIENT

Row: TypeAlias = tuple[Any, ...]

POSTGRESQL: Final = "postgresql"
MARIADB: Final = "mariadb"
MYSQL: Final = "mysql"

Error: Final = (psycopg.Error, pymysql.Error)
"""What a driver raises."""
ROLLED_BACK: Final = (1205, 1213)
"""Of MariaDB: a lock that was not given, a deadlock."""


GONE: Final = (0, 1053, 1152, 1158, 1184, 1927)
"""The same: the server shuts down, killed the session, or could not read from it. 0: the driver itself gave up."""


class Name(str):
    """A name of a table or a column, to be quoted."""


def kind(address: str) -> str:
    """Which database is behind an address, in the word of the rules' `adapter`."""
    return urlsplit(address).scheme


def passing(error: BaseException) -> bool:
    """True if the database rolled something back that will do at the next try."""
    if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return True
    return isinstance(error, pymysql.OperationalError) and error.args[0] in ROLLED_BACK


def broken(error: BaseException) -> bool:
    """True if the connection is gone, or was refused, and what it was asked for may have happened or not."""
    if isinstance(error, pymysql.Error):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        return isinstance(error, pymysql.InterfaceError) or 2000 <= code < 3000 or code in GONE
    return isinstance(error, psycopg.OperationalError) and not passing(error)


class Plain(str):
    """A part of a statement that is SQL itself."""


class Session:
    """A user's session. `autocommit`: each statement is a transaction. `name`: what it tells the server it is.

    A context manager: commits (or rolls back after an error) and closes."""

    def __init__(self, address: str, *, autocommit: bool = True, name: str = "user") -> None:
        self.kind = kind(address)
        self._connection: Any
        if self.kind == POSTGRESQL:
            self._connection = psycopg.connect(address, autocommit=autocommit, application_name=name)
        else:
            place = urlsplit(address)
            self._connection = pymysql.connect(
                host=place.hostname, port=place.port or 3306, user=unquote(place.username or "root"),
                password=unquote(place.password or ""), database=place.path[1:], autocommit=autocommit,
                charset="utf8mb4", client_flag=CLIENT.MULTI_STATEMENTS, program_name=name,
                init_command="SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')",
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        try:
            if raised is None:
                self.commit()
        finally:
            self.close()

    def execute(self, statement: str, given: Sequence[Any] | Mapping[str, Any] | None = None) -> Any:
        """Carries out one statement, or several; the driver's cursor, which has the rows of the last one."""
        if self.kind == POSTGRESQL:
            return self._connection.execute(statement, given)
        cursor = self._connection.cursor()
        cursor.execute(statement, given)
        while cursor.nextset():
            pass  # an error of a later statement comes with its answer
        return cursor

    def rows(self, statement: str, given: Sequence[Any] | Mapping[str, Any] | None = None) -> list[Row]:
        """What a query answers; [] if it answers no rows."""
        cursor = self.execute(statement, given)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def value(self, statement: str, given: Sequence[Any] | None = None) -> Any:
        """The one value that a query answers."""
        ((value,),) = self.rows(statement, given)
        return value

    def commit(self) -> None:
        """Ends the transaction."""
        self._connection.commit()

    def rollback(self) -> None:
        """Ends the transaction as if nothing had been."""
        self._connection.rollback()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done within is one transaction, though each statement would else be one."""
        if self.kind == POSTGRESQL:
            with self._connection.transaction():
                yield
            return
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def close(self) -> None:
        """Ends it; what was not committed is rolled back."""
        if self.kind == POSTGRESQL or self._connection.open:
            self._connection.close()


def quoted(of: str, name: str) -> str:
    """A name, such as `sales.gadget`, as a database of this kind quotes it."""
    mark = '"' if of == POSTGRESQL else "`"
    return ".".join(mark + part.replace(mark, mark * 2) + mark for part in name.split("."))


def literal(of: str, value: Any) -> str:
    """A value as a database of this kind spells it: NULL, numbers, texts; a `Name` quoted, what is `Plain` as it is."""
    match value:
        case Plain():
            return value
        case Name():
            return quoted(of, value)
        case sql.Composable():
            return value.as_string(None)
        case _ if of == POSTGRESQL:
            return sql.Literal(value).as_string(None)
        case None | bool() | int():
            return "NULL" if value is None else str(int(value))
        case _:
            return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def filled(of: str, statement: str, given: Mapping[str, Any]) -> str:
    """The statement with `{name}` replaced by what is given under that name."""
    return statement.format(**{name: literal(of, value) for name, value in given.items()}) if given else statement


def series(of: str, first: int, last: int) -> Plain:
    """A table expression of one column `i`: whole numbers from `first` to `last`."""
    if of == POSTGRESQL:
        return Plain(f"generate_series({first}, {last}) AS i")
    return Plain(f"(SELECT seq AS i FROM seq_{first}_to_{last}) AS numbers")  # noqa: S608 - numbers


def account(address: str, name: str = "duolog") -> str:
    """The address for an account that the server can tell from its users, by name; made if it is not there.

    PostgreSQL tells sessions apart by what they say they are: there it is the same address."""
    if kind(address) == POSTGRESQL:
        return address
    with Session(address) as session:
        session.execute(f"CREATE USER IF NOT EXISTS '{name}'@'%'; GRANT ALL ON *.* TO '{name}'@'%'")
    place = urlsplit(address)
    return place._replace(netloc=f"{name}@{place.hostname}:{place.port}").geturl()
