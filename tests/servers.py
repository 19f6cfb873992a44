"""Lends tests real servers: of PostgreSQL and of MariaDB one a role for every process of a run, started when first
asked for, and a database each; of SQLite a file in a folder. `OdbcServer`: duolog reaches it by ODBC, and nobody else.

A database is made for one test and removed after it, with its slots, and with the replication origins and the ledger's
rows that the test left on its server. PostgreSQL comes as a wheel; MariaDB is the one that is installed, or is
installed first where root may do that on Debian, or runs in Docker. Where a server cannot be had, such tests are
skipped, and say why; with `CI=true` they fail.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer, NoServerProgram, find_programs
from service.embedded.mariadb import find_programs as find_mariadb
from tests import ground
from tests.containers import MARIADB, MYSQL, ContainerServer
from tests.ground import DRIVERS, by_odbc


class SqliteFolder:
    """A folder of SQLite's files, in the words of a server: nothing has to be started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self) -> None:
        """It is there."""

    def create_database(self, name: str) -> str:
        """Makes an empty file, whose log is one that readers do not stop the writers for; returns its address."""
        with closing(sqlite3.connect(self.folder / f"{name}.sqlite")) as session:
            session.execute("PRAGMA journal_mode = WAL")
        return f"sqlite:///{self.folder}/{name}.sqlite"

    def drop_database(self, name: str) -> None:
        """Removes a file, and what stands beside it."""
        for each in self.folder.glob(f"{name}.sqlite*"):
            each.unlink()


class OdbcServer:
    """A server whose databases are told by the addresses that lead duolog there by ODBC; all else is the server's."""

    def __init__(self, server: EmbeddedServer | EmbeddedMariaDB | ContainerServer) -> None:
        self.server = server

    def create_database(self, name: str) -> str:
        """Makes an empty database; returns its address."""
        return by_odbc(self.server.create_database(name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)


Server: TypeAlias = EmbeddedServer | EmbeddedMariaDB | ContainerServer | SqliteFolder | OdbcServer
MariaServer: TypeAlias = EmbeddedMariaDB | ContainerServer

CI = Path(__file__).resolve().parents[1] / ".ci"
INSTALL = CI / "install-mariadb"
INSTALL_ODBC = CI / "install-odbc"
_numbers = itertools.count(1)

QUIET = {"autovacuum_naptime": "1h"}
"""Settings of the servers that tests share: nobody but the tests begins transactions, which some of them count."""
QUIET_MARIA: dict[str, str] = {}
"""The same for MariaDB."""


@pytest.fixture(scope="session")
def erp_server() -> Iterator[EmbeddedServer]:
    """The server that the ERP's databases live on."""
    yield from _served()


@pytest.fixture(scope="session")
def crm_server() -> Iterator[EmbeddedServer]:
    """The server that the CRM's databases live on."""
    yield from _served()


@pytest.fixture(scope="session")
def third_server() -> Iterator[EmbeddedServer]:
    """A third server, for hubs, for the store, or to be the wrong one."""
    yield from _served()


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server for one test alone, that may be stopped, killed or set up differently. Not started yet."""
    need_programs()
    server = EmbeddedServer()
    yield server
    server.close()


@pytest.fixture
def erp_db(erp_server: EmbeddedServer) -> Iterator[str]:
    """The address of a fresh database on the ERP's server."""
    yield from _database(erp_server, "erp")


@pytest.fixture
def crm_db(crm_server: EmbeddedServer) -> Iterator[str]:
    """The address of a fresh database on the CRM's server."""
    yield from _database(crm_server, "crm")


@pytest.fixture
def third_db(third_server: EmbeddedServer) -> Iterator[str]:
    """The address of a fresh database on the third server."""
    yield from _database(third_server, "third")


@pytest.fixture(scope="session")
def erp_maria_server() -> Iterator[MariaServer]:
    """The MariaDB that the ERP's databases live on."""
    yield from _maria_served()


@pytest.fixture(scope="session")
def crm_maria_server() -> Iterator[MariaServer]:
    """The MariaDB that the CRM's databases live on."""
    yield from _maria_served()


@pytest.fixture(scope="session")
def third_maria_server() -> Iterator[MariaServer]:
    """A third MariaDB."""
    yield from _maria_served()


@pytest.fixture
def own_maria() -> Iterator[EmbeddedMariaDB]:
    """A MariaDB for one test alone, that may be stopped, killed or set up differently. Not started yet."""
    without_mariadb()
    server = EmbeddedMariaDB()
    yield server
    server.close()


@pytest.fixture
def erp_maria(erp_maria_server: MariaServer) -> Iterator[str]:
    """The address of a fresh database on the ERP's MariaDB."""
    yield from _maria_database(erp_maria_server, "erp")


@pytest.fixture
def crm_maria(crm_maria_server: MariaServer) -> Iterator[str]:
    """The address of a fresh database on the CRM's MariaDB."""
    yield from _maria_database(crm_maria_server, "crm")


@pytest.fixture
def third_maria(third_maria_server: MariaServer) -> Iterator[str]:
    """The address of a fresh database on the third MariaDB."""
    yield from _maria_database(third_maria_server, "third")


@pytest.fixture(scope="session")
def erp_folder(tmp_path_factory: pytest.TempPathFactory) -> SqliteFolder:
    """The folder that the ERP's files of SQLite are in."""
    return SqliteFolder(tmp_path_factory.mktemp("erp"))


@pytest.fixture(scope="session")
def crm_folder(tmp_path_factory: pytest.TempPathFactory) -> SqliteFolder:
    """The folder that the CRM's are in."""
    return SqliteFolder(tmp_path_factory.mktemp("crm"))


@pytest.fixture
def erp_sqlite(erp_folder: SqliteFolder) -> Iterator[str]:
    """The address of a fresh file of the ERP's."""
    yield from _file(erp_folder, "erp")


@pytest.fixture
def crm_sqlite(crm_folder: SqliteFolder) -> Iterator[str]:
    """The address of a fresh file of the CRM's."""
    yield from _file(crm_folder, "crm")


@pytest.fixture
def erp_odbc(erp_server: EmbeddedServer) -> Iterator[str]:
    """The address of a fresh database on the ERP's PostgreSQL, which duolog reaches by ODBC."""
    need_odbc(ground.POSTGRESQL)
    yield from map(by_odbc, _database(erp_server, "erp"))


@pytest.fixture
def crm_odbc(crm_maria_server: MariaServer) -> Iterator[str]:
    """The address of a fresh database on the CRM's MariaDB, which duolog reaches by ODBC."""
    need_odbc(ground.MARIADB)
    yield from map(by_odbc, _maria_database(crm_maria_server, "crm"))


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[ContainerServer]:
    """A MySQL 8 in Docker. Where Docker does not answer there is none, and that is no failure in CI either."""
    try:
        server = ContainerServer(MYSQL)
    except NoServerProgram as missing:
        pytest.skip(f"no MySQL: {missing.found}")
    with server:
        yield server


@pytest.fixture
def mysql_db(mysql_server: ContainerServer) -> Iterator[str]:
    """The address of a fresh database on MySQL."""
    yield from _maria_database(mysql_server, "mysql")


def unavailable(why: str) -> NoReturn:
    """Skips a test for want of a server, or fails it where every server has to be there."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"with CI=true every server has to be there: {why}", pytrace=False)
    pytest.skip(why)


def _served() -> Iterator[EmbeddedServer]:
    need_programs()
    with EmbeddedServer(settings=QUIET) as server:
        yield server


def need_programs() -> None:
    """Skips a test that needs to start a PostgreSQL of its own where none can be had."""
    try:
        find_programs()
    except NoServerProgram as missing:
        unavailable(str(missing))


def without_mariadb() -> None:
    """Skips a test that needs to start a MariaDB of its own where none can be had."""
    missing = _why_no_mariadb()
    if missing:
        unavailable(missing)


@cache
def _why_no_mariadb() -> str:
    """Why there is no MariaDB on this machine; empty if there is one, also if it had to be installed first."""
    said = ""
    for _ in range(2):
        try:
            find_mariadb()
        except NoServerProgram as missing:
            tried = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False)
            said = f"{missing.found}; {tried.stderr.strip()[-300:]}"
        else:
            return ""
    return said


def need_odbc(kind: str) -> None:
    """Skips a test that comes to a database of this kind by ODBC, where its driver cannot be had."""
    missing = _why_no_driver(DRIVERS[kind])
    if missing:
        unavailable(missing)


@cache
def _why_no_driver(driver: str) -> str:
    """Why ODBC has no such driver on this machine; empty if it has one, also if it had to be installed first."""
    import pyodbc  # not where no test needs it

    said = ""
    for _ in range(2):
        if driver in pyodbc.drivers():
            return ""
        tried = subprocess.run([str(INSTALL_ODBC)], capture_output=True, text=True, check=False)
        said = f"ODBC has no driver `{driver}`; {tried.stderr.strip()[-300:]}"
    return said


def _maria_served() -> Iterator[MariaServer]:
    missing = _why_no_mariadb()
    server: MariaServer
    if not missing:
        server = EmbeddedMariaDB(settings=QUIET_MARIA)
        server.start()
    else:
        try:
            server = ContainerServer(MARIADB, *(f"--{name}={value}" for name, value in QUIET_MARIA.items()))
        except NoServerProgram as neither:
            unavailable(f"{missing}; {neither.found}")
    with server:
        yield server


def _database(server: EmbeddedServer, role: str) -> Iterator[str]:
    server.start()  # a test may have stopped it
    name = f"{role}_{next(_numbers)}"
    before = _origins(server)
    yield server.create_database(name)
    server.start()
    server.drop_database(name)
    with server.connect() as connection:
        for origin in _origins(server) - before:
            connection.execute("SELECT pg_replication_origin_drop(%s)", [origin])


def _file(folder: SqliteFolder, role: str) -> Iterator[str]:
    name = f"{role}_{next(_numbers)}"
    yield folder.create_database(name)
    folder.drop_database(name)


def _origins(server: EmbeddedServer) -> set[str]:
    """The server's replication origins: they belong to no database, so a test must not leave them behind."""
    with server.connect() as connection:
        return {row[0] for row in connection.execute("SELECT roname FROM pg_replication_origin")}


def _maria_database(server: MariaServer, role: str) -> Iterator[str]:
    server.start()  # a test may have stopped it
    name = f"{role}_{next(_numbers)}"
    before, shared = _engines(server), set(maria_tables(server))
    yield server.create_database(name)
    server.start()
    server.drop_database(name)
    left = _engines(server) - before
    with server.connect() as connection, connection.cursor() as cursor:
        for engine in left:
            cursor.execute("DELETE FROM duolog.ledger WHERE engine = %s", [engine])
        # A ledger that was made by way of ODBC has not all that the adapter of MariaDB's own notes there.
        for table in set(maria_tables(server)) - shared:
            cursor.execute(f"DROP TABLE duolog.`{table}`")


def maria_tables(server: MariaServer) -> list[str]:
    """What is in the database that our adapters share on a MariaDB: it belongs to no database of a test's own."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'duolog'")
        return [row[0] for row in cursor.fetchall()]


def _engines(server: MariaServer) -> set[str]:
    """Whose rows are in the server's ledger."""
    if "ledger" not in maria_tables(server):
        return set()
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT engine FROM duolog.ledger")
        return {row[0] for row in cursor.fetchall()}
