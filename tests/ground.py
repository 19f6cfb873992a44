"""One way to a database of any kind, for tests that run between any two of them.

Turns an address into a session as an application has it: its driver, its isolation, its spelling of names and values.
Statements are each database's own, but for the few words of `series` and `filled`; parameters are `%s` or `%(name)s`.
Nothing here knows duolog.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, Self, TypeAlias
from urllib.parse import unquote, urlencode, urlsplit

import psycopg
import pymysql
from psycopg import sql
from pymysql.constants import CLIENT

Row: TypeAlias = tuple[Any, ...]

POSTGRESQL: Final = "postgresql"
MARIADB: Final = "mariadb"
MYSQL: Final = "mysql"
SQLITE: Final = "sqlite"
ODBC: Final = "odbc+"
"""How the address of a database begins that duolog reaches by ODBC, and its users by their own drivers."""
DRIVERS: Final = {POSTGRESQL: "PostgreSQL Unicode", MARIADB: "MariaDB Unicode"}
"""Of ODBC, by their names in `odbcinst.ini`."""

Error: Final = (psycopg.Error, pymysql.Error, sqlite3.Error)
"""What a driver raises."""
ROLLED_BACK: Final = (1205, 1213)
"""Of MariaDB: a lock that was not given, a deadlock."""


GONE: Final = (0, 1053, 1152, 1158, 1184, 1927)
"""The same: the server shuts down, killed the session, or could not read from it. 0: the driver itself gave up."""


class Name(str):
    """A name of a table or a column, to be quoted."""


AWAY: Final = ("SQLITE_CANTOPEN", "SQLITE_READONLY_DBMOVED")
"""Of SQLite: the file is not where it was."""


def kind(address: str) -> str:
    """Which database is behind an address."""
    return urlsplit(address.removeprefix(ODBC)).scheme


def adapter(address: str) -> str:
    """The word of the rules' `adapter` for it."""
    return "odbc" if address.startswith(ODBC) else kind(address)


def passing(error: BaseException) -> bool:
    """True if the database rolled something back that will do at the next try."""
    if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return True
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorname.startswith("SQLITE_BUSY")
    return isinstance(error, pymysql.OperationalError) and error.args[0] in ROLLED_BACK


def broken(error: BaseException) -> bool:
    """True if the connection is gone, or was refused, and what it was asked for may have happened or not."""
    if isinstance(error, pymysql.Error):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        return isinstance(error, pymysql.InterfaceError) or 2000 <= code < 3000 or code in GONE
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "") in AWAY
    return isinstance(error, psycopg.OperationalError) and not passing(error)


class Plain(str):
    """A part of a statement that is SQL itself."""


class Session:
    """A user's session. `autocommit`: each statement is a transaction. `name`: what it tells the server it is.

    A context manager: commits (or rolls back after an error) and closes."""

    def __init__(self, address: str, *, autocommit: bool = True, name: str = "user") -> None:
        self.kind = kind(address)
        address = address.removeprefix(ODBC)
        self._connection: Any
        if self.kind == POSTGRESQL:
            self._connection = psycopg.connect(address, autocommit=autocommit, application_name=name)
        elif self.kind == SQLITE:
            self._connection = _File(address, autocommit, name)
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
        if self.kind in (POSTGRESQL, SQLITE):
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
        if self.kind in (POSTGRESQL, SQLITE):
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
        if self.kind in (POSTGRESQL, SQLITE) or self._connection.open:
            self._connection.close()


class _File:
    """A session with a file of SQLite, in the words that PostgreSQL's driver has. `name`: as whom a trigger's table
    `trail` notes what it does, for SQLite asks nobody who he is."""

    def __init__(self, address: str, autocommit: bool, name: str) -> None:
        self._autocommit = autocommit
        place = f"file:{file_of(address)}?mode=rw"  # a file that was moved away is not made again
        self._connection = sqlite3.connect(place, uri=True, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA foreign_keys = ON")
        if self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'trail'").fetchone():
            named = f"UPDATE trail SET who = {literal(SQLITE, name)} WHERE number = NEW.number"  # noqa: S608 - quoted
            self._connection.execute(f"CREATE TEMP TRIGGER named AFTER INSERT ON main.trail BEGIN {named}; END")

    def execute(self, statement: str, given: Sequence[Any] | Mapping[str, Any] | None = None) -> sqlite3.Cursor:
        """One statement, or several."""
        if not self._autocommit and not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        if given is not None:
            statement = re.sub(r"%\((\w+)\)s", r":\1", statement).replace("%s", "?").replace("%%", "%")
        put: Any = given or ()
        if isinstance(put, Mapping):
            put = {name: _stored(value) for name, value in put.items()}
        else:
            put = [_stored(value) for value in put]
        cursor = self._connection.cursor()
        for each in _statements(statement):
            cursor.execute(each, put)
        return cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several statements in one."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def commit(self) -> None:
        """Ends the transaction, if there is one."""
        self._connection.commit()

    def rollback(self) -> None:
        """The same, as if nothing had been."""
        self._connection.rollback()

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def _stored(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _statements(text: str) -> Iterator[str]:
    """One after the other: SQLite's driver takes no more at a time. A trigger's body is no end."""
    said = ""
    for part in text.split(";"):
        said += part
        if sqlite3.complete_statement(said + ";") and said.strip():
            yield said
            said = ""
        else:
            said += ";"
    if said.strip(" \n;"):
        yield said.rstrip(" \n;")


def file_of(address: str) -> str:
    """Where the file is that an address of SQLite names."""
    return address.removeprefix("sqlite:///")


def quoted(of: str, name: str) -> str:
    """A name, such as `sales.gadget`, as a database of this kind quotes it."""
    mark = '"' if of in (POSTGRESQL, SQLITE) else "`"
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
            text = str(value) if of == SQLITE else str(value).replace("\\", "\\\\")
            return "'" + text.replace("'", "''") + "'"


def filled(of: str, statement: str, given: Mapping[str, Any]) -> str:
    """The statement with `{name}` replaced by what is given under that name."""
    return statement.format(**{name: literal(of, value) for name, value in given.items()}) if given else statement


def series(of: str, first: int, last: int) -> Plain:
    """A table expression of one column `i`: whole numbers from `first` to `last`."""
    if of == POSTGRESQL:
        return Plain(f"generate_series({first}, {last}) AS i")
    if of == SQLITE:
        more = f"VALUES ({first}) UNION ALL SELECT i + 1 FROM n WHERE i < {last}"  # noqa: S608 - numbers
        return Plain(f"(WITH RECURSIVE n (i) AS ({more}) SELECT i FROM n) AS numbers")  # noqa: S608 - numbers
    return Plain(f"(SELECT seq AS i FROM seq_{first}_to_{last}) AS numbers")  # noqa: S608 - numbers


def by_odbc(address: str) -> str:
    """The address of a database whose users have their own drivers, while duolog comes by ODBC."""
    return ODBC + address


def account(address: str, name: str = "duolog") -> str:
    """The address that duolog is given: for an account that the server can tell from its users, by name; made if it is
    not there.

    PostgreSQL tells sessions apart by what they say they are, and SQLite not at all: there it is the same."""
    of = kind(address)
    place = urlsplit(address.removeprefix(ODBC))
    if of == MARIADB:
        with Session(address) as session:
            session.execute(f"CREATE USER IF NOT EXISTS '{name}'@'%'; GRANT ALL ON *.* TO '{name}'@'%'")
        place = place._replace(netloc=f"{name}@{place.hostname}:{place.port}")
    if address.startswith(ODBC):
        place = place._replace(scheme="odbc", query=urlencode({"driver": DRIVERS[of]}))
    return address if place.scheme == SQLITE else place.geturl()
