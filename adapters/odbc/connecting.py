"""Turns an address into connections by ODBC on which values arrive as they were sent, and asks once which database is
behind it.

Opens what it is asked for and keeps nothing but the answer to that question. It carries out no statement.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from sqlalchemy import URL
from sqlalchemy.dialects import registry

from adapters.odbc.address import SCHEME, Address, address, connection_string
from adapters.odbc.drivers import Driver, dialect_of, driver_of
from adapters.odbc.postgresql import PGDialect_pyodbc
from adapters.odbc.refusals import no_driver, refused_to_connect
from engine.errors import AccessDenied

DRIVER: Final = "pyodbc"
"""As SQLAlchemy calls it."""
login_timeout_s: Final = 10

registry.register("postgresql.pyodbc", PGDialect_pyodbc.__module__, PGDialect_pyodbc.__name__)


def resolved(url: URL, system: str = "") -> URL:
    """The address, its first word being that of SQLAlchemy's dialect for what answers there: `postgresql+pyodbc`. What
    begins with a dialect already is left as it is.

    Raises SystemUnavailable, AccessDenied."""
    if url.drivername != SCHEME:
        return url
    return url.set(drivername=f"{_asked(url, system)}+pyodbc")


def connector(url: URL, system: str = "", *, streaming: bool) -> Callable[[], Any]:
    """What opens a connection of pyodbc's; it raises pyodbc.Error. `streaming`: rows are fetched as they are read, so
    that nothing else can be asked in between.

    Raises AccessDenied."""
    pyodbc = module(system)
    where = address(url, system)
    driver = _driver(pyodbc, where, system)
    said = connection_string(where, driver, streaming=streaming, system=system)
    return lambda: _connected(pyodbc, said, driver)


def driver_behind(url: URL, system: str = "") -> Driver:
    """What is known of the driver that an address leads to. Raises AccessDenied."""
    return _driver(module(system), address(url, system), system)


def drivers() -> list[str]:
    """Those that are registered on this machine. Raises AccessDenied."""
    return list(module().drivers())


def module(system: str = "") -> Any:
    """pyodbc. Raises AccessDenied if it is not there, or finds no driver manager."""
    try:
        found = importlib.import_module("pyodbc")
    except ModuleNotFoundError:
        raise AccessDenied(
            "there is no Python module `pyodbc`, which ODBC needs", system=system,
            mend="install it into duolog's environment: pip install 'duolog[odbc]'",
        ) from None  # fmt: skip
    except ImportError:
        raise AccessDenied(
            "pyodbc finds no ODBC driver manager on this machine", system=system,
            mend="install one; on Debian: apt-get install unixodbc",
        ) from None  # fmt: skip
    found.native_uuid = True
    found.pooling = False  # a session that was given back would still have our locks and settings
    return found


def _connected(pyodbc: Any, said: str, driver: Driver) -> Any:
    made = pyodbc.connect(said, autocommit=False, timeout=login_timeout_s)
    if driver.utf8:
        made.setencoding(encoding="utf-8")
        made.setdecoding(pyodbc.SQL_CHAR, encoding="utf-8")
        made.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-8")
    return made


def _driver(pyodbc: Any, where: Address, system: str) -> Driver:
    """By the names that are known before anything is opened. Raises AccessDenied."""
    described = {name.lower(): driver for name, driver in pyodbc.dataSources().items()} if where.source else {}
    if where.source and where.source.lower() not in described:
        raise no_driver(where, system, pyodbc.drivers())
    return driver_of(where.driver, described.get(where.source.lower(), ""))


@cache
def _asked(url: URL, system: str) -> str:
    """The dialect's name, by the database's own."""
    pyodbc = module(system)
    try:
        conn = connector(url, system, streaming=False)()
    except pyodbc.Error as error:
        raise refused_to_connect(error, address(url, system), system, pyodbc.drivers()) from None
    try:
        database = str(conn.getinfo(pyodbc.SQL_DBMS_NAME))
    finally:
        conn.close()
    found = dialect_of(database)
    if not found:
        raise AccessDenied(
            f"the driver leads to a database that calls itself `{database}`, whose SQL nobody here speaks by ODBC",
            system=system, mend="name its own driver in the address, if SQLAlchemy has one: dialect+driver://...",
        )  # fmt: skip
    return found

