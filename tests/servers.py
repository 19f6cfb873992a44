"""Lends tests real PostgreSQL servers: one a role for the whole run, started when first asked for, and a
database each.

A database is made for one test and removed after it, with its slots, and with the replication origins that
the test made on its server. Where no PostgreSQL program can be had, such tests are skipped, and say why.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from service.embedded import EmbeddedServer, NoServerProgram, find_programs

_numbers = itertools.count(1)

QUIET = {"autovacuum_naptime": "1h"}
"""Settings of the servers that tests share: nobody but the tests begins transactions, which some of them count."""


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
    _need_programs()
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


def _served() -> Iterator[EmbeddedServer]:
    _need_programs()
    with EmbeddedServer(settings=QUIET) as server:
        yield server


def _need_programs() -> None:
    try:
        find_programs()
    except NoServerProgram as missing:
        pytest.skip(str(missing))


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


def _origins(server: EmbeddedServer) -> set[str]:
    """The server's replication origins: they belong to no database, so a test must not leave them behind."""
    with server.connect() as connection:
        return {row[0] for row in connection.execute("SELECT roname FROM pg_replication_origin")}
