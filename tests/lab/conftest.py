"""Lends the lab servers of its own, with a database and a publication each: nobody else may hang in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer, NoServerProgram, find_programs
from tests.lab.clients import Observer, observed
from tests.lab.standby import Standby
from tests.servers import unavailable, without_mariadb

SETTINGS = {"max_prepared_transactions": "5", "deadlock_timeout": "100ms", "autovacuum": "off"}
EMPTIED = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE datname IS NOT NULL AND pid <> pg_backend_pid()",
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
    "DROP PUBLICATION IF EXISTS everything",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public",
)
"""What an earlier test left: a database of its own for each would cost more than the test."""
FILLED = (
    "CREATE TABLE item (id integer PRIMARY KEY, value text NOT NULL)",
    "INSERT INTO item SELECT i, 'start' FROM generate_series(1, 20) i",
    "CREATE PUBLICATION everything FOR ALL TABLES",
    "SELECT pg_create_logical_replication_slot('lab', 'pgoutput')",
)


@dataclass
class Side:
    """One server with its database and whoever looks on."""

    server: EmbeddedServer
    url: str
    dba: Observer

    def standby(self, name: str = "lab", slot: str = "lab") -> Standby:
        """A reader of the slot, that streams. `name`: its application_name."""
        return Standby(self.url, name).start(slot, "everything")


@pytest.fixture(scope="session")
def lab_servers() -> Iterator[tuple[EmbeddedServer, EmbeddedServer]]:
    """Two PostgreSQL servers of the lab's own, at work."""
    try:
        find_programs()
    except NoServerProgram as missing:
        unavailable(str(missing))
    with EmbeddedServer(settings=SETTINGS) as erp, EmbeddedServer(settings=SETTINGS) as crm:
        erp.create_database("erp")
        crm.create_database("crm")
        yield erp, crm


@pytest.fixture
def erp(lab_servers: tuple[EmbeddedServer, EmbeddedServer]) -> Iterator[Side]:
    """The ERP's side, not armed."""
    yield from _side(lab_servers[0], "erp")


@pytest.fixture
def crm(lab_servers: tuple[EmbeddedServer, EmbeddedServer]) -> Iterator[Side]:
    """The CRM's side, not armed."""
    yield from _side(lab_servers[1], "crm")


@pytest.fixture(scope="session")
def maria_server() -> Iterator[EmbeddedMariaDB]:
    """A MariaDB of the lab's own, at work."""
    without_mariadb()
    with EmbeddedMariaDB() as server:
        yield server


def _side(server: EmbeddedServer, name: str) -> Iterator[Side]:
    with observed(server, name) as dba:
        for statement in (*EMPTIED, *FILLED):
            dba.ask(statement)
        yield Side(server, server.url(name), dba)


@pytest.fixture
def armed(erp: Side) -> Iterator[Side]:
    """The ERP's side, where every commit waits for a standby that confirms nothing."""
    with erp.standby():
        erp.dba.arm("lab")
        yield erp
