"""Lends tests a SQL Server in Docker, and a database of it each, where Docker and one of its ODBC drivers are.

Turns Microsoft's image into an address that `adapters.sqlserver.kit` takes. Where there is none, tests are skipped and
say why.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

IMAGE: Final = "mcr.microsoft.com/mssql/server:2022-latest"
PASSWORD: Final = "Du0log-tests"
PORT: Final = 1433
DRIVERS: Final = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")
"""The first that is registered is taken."""
start_timeout_s: Final = 180.0
probe_interval_s: Final = 1.0
_numbers = itertools.count(1)


class SqlServer:
    """One server. `host`, `port`: where it answers."""

    def __init__(self, host: str, port: int, driver: str) -> None:
        self.host = host
        self.port = port
        self.driver = driver

    def url(self, database: str) -> str:
        """The address of one of its databases, as its administrator."""
        return f"mssql://sa:{PASSWORD}@{self.host}:{self.port}/{database}?driver={self.driver.replace(' ', '+')}"

    def connect(self, database: str = "master") -> Any:
        """A connection as an application has it, committing each statement by itself."""
        import pyodbc

        place = f"{self.host};PORT={self.port}" if self.driver == "FreeTDS" else f"{self.host},{self.port}"
        said = (
            f"DRIVER={{{self.driver}}};SERVER={place};DATABASE={database};UID=sa;PWD={PASSWORD};"
            "TrustServerCertificate=yes"
        )
        return pyodbc.connect(said, autocommit=True, timeout=5)


@pytest.fixture(scope="session")
def sqlserver_server() -> Iterator[SqlServer]:
    """A SQL Server in Docker, its agent running."""
    driver = _driver()
    core = pytest.importorskip("testcontainers.core.container", reason="testcontainers is not installed")
    from docker.errors import DockerException

    try:
        container = (
            core.DockerContainer(IMAGE).with_env("ACCEPT_EULA", "Y").with_env("MSSQL_SA_PASSWORD", PASSWORD)
            .with_env("MSSQL_AGENT_ENABLED", "true").with_exposed_ports(PORT)
        )  # fmt: skip
        container.start()
    except DockerException as error:
        pytest.skip(f"no SQL Server: Docker does not answer: {type(error).__name__}")
    try:
        made = SqlServer(container.get_container_host_ip(), int(container.get_exposed_port(PORT)), driver)
        _until_it_answers(made)
        yield made
    finally:
        container.stop()


@pytest.fixture
def sqlserver_db(sqlserver_server: SqlServer) -> Iterator[str]:
    """The name of a fresh database."""
    name = f"erp_{next(_numbers)}"
    with sqlserver_server.connect() as conn:
        conn.execute(f"CREATE DATABASE {name}")
    yield name
    with sqlserver_server.connect() as conn:
        conn.execute(f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE; DROP DATABASE {name}")


def _driver() -> str:
    pyodbc = pytest.importorskip("pyodbc", reason="pyodbc is not installed")
    found = next((name for name in DRIVERS if name in pyodbc.drivers()), None)
    if found is None:
        pytest.skip("no SQL Server: none of its ODBC drivers is installed")
    return found


def _until_it_answers(server: SqlServer) -> None:
    import pyodbc

    deadline = time.monotonic() + start_timeout_s
    while True:
        try:
            server.connect().close()
            return
        except pyodbc.Error:
            if time.monotonic() > deadline:
                raise
        time.sleep(probe_interval_s)  # the pause between two looks
