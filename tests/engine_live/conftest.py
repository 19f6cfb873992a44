"""Lends each test its pair of databases, and sends users and engines home that a failed test left at work: the next one
needs the machine, and its databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.engine_live.world import MADE
from tests.ground import MARIADB, ODBC, POSTGRESQL, SQLITE, by_odbc
from tests.servers import OdbcServer, Server, need_odbc, without_mariadb

Own: TypeAlias = dict[str, EmbeddedServer | EmbeddedMariaDB | OdbcServer]
"""Servers by system, that may be stopped and killed."""

ROLES = ("erp", "crm", "third")
FIXTURES = {POSTGRESQL: "db", MARIADB: "maria", SQLITE: "sqlite"}
SERVERS = {POSTGRESQL: "server", MARIADB: "maria_server", SQLITE: "folder"}

PAIRS = [(POSTGRESQL, POSTGRESQL), (POSTGRESQL, MARIADB), (MARIADB, MARIADB)]
"""Which database the ERP has, and which the CRM."""
WITH_CHANGE_TABLES = [
    (SQLITE, POSTGRESQL), (by_odbc(POSTGRESQL), by_odbc(MARIADB)), (by_odbc(MARIADB), by_odbc(POSTGRESQL)),
    (SQLITE, SQLITE),
]  # fmt: skip
"""The same, where triggers note what was changed, of one side at least."""


def names(kinds: tuple[str, ...]) -> str:
    """A pair as a test's name has it."""
    return "-".join(kinds).replace(ODBC, "odbc_")


def with_change_tables(
    argument: str, scope: Literal["function", "module"] = "function", *, of: slice = slice(None),
    more: Sequence[tuple[str, str]] = PAIRS,
) -> pytest.MarkDecorator:
    """For tests that are made between databases with change tables, too. `argument`: the fixture. `of`: which of these
    pairs. `more`: the other pairs."""
    pairs = [*more, *WITH_CHANGE_TABLES[of]]
    return pytest.mark.parametrize(argument, pairs, ids=names, indirect=True, scope=scope)


def not_of_mariadb_twice(argument: str, scope: Literal["function", "module"] = "function") -> pytest.MarkDecorator:
    """For tests of what either MariaDB does by itself: beside PostgreSQL it has shown that. `argument`: the fixture."""
    return pytest.mark.parametrize(argument, PAIRS[:2], ids=names, indirect=True, scope=scope)


@pytest.fixture(params=PAIRS, ids=names)
def both(request: pytest.FixtureRequest) -> dict[str, str]:
    """The addresses of two fresh databases, by system; of every pair of kinds in turn."""
    return _lent(request, FIXTURES)


@pytest.fixture(params=PAIRS, ids=names, scope="module")
def both_servers(request: pytest.FixtureRequest) -> dict[str, Server]:
    """The shared servers of a pair, by system, for what a whole file shares."""
    return _lent(request, SERVERS)


@pytest.fixture(params=PAIRS[:2], ids=names, scope="module")
def crm_servers(request: pytest.FixtureRequest) -> dict[str, Server]:
    """The same where only the CRM's kind matters: what it refuses is its own affair."""
    return _lent(request, SERVERS)


def _lent(request: pytest.FixtureRequest, words: dict[str, str]) -> dict:
    return {role: _one(request, role, kind, words) for role, kind in zip(ROLES, request.param, strict=False)}


def _one(request: pytest.FixtureRequest, role: str, kind: str, words: dict[str, str]) -> Any:
    of = kind.removeprefix(ODBC)
    if kind != of:
        need_odbc(of)
    lent = request.getfixturevalue(f"{role}_{words[of]}")
    if kind == of:
        return lent
    return by_odbc(lent) if isinstance(lent, str) else OdbcServer(lent)


@pytest.fixture(params=PAIRS, ids=names, scope="module")
def own_servers(request: pytest.FixtureRequest) -> Iterator[Own]:
    """A pair of servers of a file's own, at work: others must not see them crash."""
    made: Own = {system: _own(kind) for system, kind in zip(ROLES, request.param, strict=False)}
    for server in made.values():
        server.start()
    yield made
    for server in made.values():
        server.close()


def _own(kind: str) -> EmbeddedServer | EmbeddedMariaDB | OdbcServer:
    of = kind.removeprefix(ODBC)
    if of == MARIADB:
        without_mariadb()
    if kind != of:
        need_odbc(of)
        return OdbcServer(_own(of))
    return EmbeddedServer() if of == POSTGRESQL else EmbeddedMariaDB()


@pytest.fixture(autouse=True)
def nobody_left_behind() -> Iterator[None]:
    """What a test made ends with it; what a whole file shares was made before, and ends with that."""
    before = len(MADE)
    yield
    for made in MADE[before:]:
        made.go_home()
    del MADE[before:]
