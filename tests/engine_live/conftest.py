"""Lends each test its pair of databases, and sends users and engines home that a failed test left at work: the next one
needs the machine, and its databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.engine_live.world import MADE
from tests.ground import MARIADB, POSTGRESQL
from tests.servers import Server, without_mariadb

Own: TypeAlias = dict[str, EmbeddedServer | EmbeddedMariaDB]
"""Servers by system, that may be stopped and killed."""

ROLES = ("erp", "crm", "third")
FIXTURES = {POSTGRESQL: "db", MARIADB: "maria"}
SERVERS = {POSTGRESQL: "server", MARIADB: "maria_server"}

PAIRS = [(POSTGRESQL, POSTGRESQL), (POSTGRESQL, MARIADB), (MARIADB, MARIADB)]
"""Which database the ERP has, and which the CRM."""


def names(kinds: tuple[str, ...]) -> str:
    """A pair as a test's name has it."""
    return "-".join(kinds)


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
    named = {role: f"{role}_{words[kind]}" for role, kind in zip(ROLES, request.param, strict=False)}
    return {role: request.getfixturevalue(fixture) for role, fixture in named.items()}


@pytest.fixture(params=PAIRS, ids=names, scope="module")
def own_servers(request: pytest.FixtureRequest) -> Iterator[Own]:
    """A pair of servers of a file's own, at work: others must not see them crash."""
    if MARIADB in request.param:
        without_mariadb()
    made: Own = {
        system: EmbeddedServer() if kind == POSTGRESQL else EmbeddedMariaDB()
        for system, kind in zip(ROLES, request.param, strict=False)
    }
    for server in made.values():
        server.start()
    yield made
    for server in made.values():
        server.close()


@pytest.fixture(autouse=True)
def nobody_left_behind() -> Iterator[None]:
    """What a test made ends with it; what a whole file shares was made before, and ends with that."""
    before = len(MADE)
    yield
    for made in MADE[before:]:
        made.go_home()
    del MADE[before:]
