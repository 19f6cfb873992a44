"""The servers themselves crash while everybody writes: immediate stops and kill -9, one at a time and both at once.

A crashed server's slot goes back to its last checkpoint, and sends again what duolog has long had: that must not
matter. The engine is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.embedded import EmbeddedMariaDB, EmbeddedServer
from tests.engine_live.conftest import PAIRS, Own, not_of_mariadb_twice, with_change_tables
from tests.engine_live.world import World, eventually, pause


@pytest.fixture(scope="module")
def shared(own_servers: Own, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One pair of databases for all tests of this file, with a base."""
    addresses = {system: server.create_database("crash") for system, server in own_servers.items()}
    world = World(tmp_path_factory.mktemp("crash"), "crash", addresses, trailed=True)
    world.live.run()
    world.live.running()
    world.live.stop()
    return world


@pytest.fixture
def world(shared: World, own_servers: Own) -> Iterator[World]:
    """The shared one; a test that failed leaves nothing behind for the next."""
    yield shared
    for server in own_servers.values():
        server.start()
    shared.go_home()


@not_of_mariadb_twice("own_servers", "module")
@pytest.mark.parametrize("which", [("erp",), ("crm",)], ids=" and ".join)
def test_crashes_of(which: tuple[str, ...], world: World, own_servers: Own) -> None:
    _crashes(which, world, own_servers)


@with_change_tables("own_servers", "module", of=slice(1, 2))
def test_crashes_of_both(world: World, own_servers: Own) -> None:
    _crashes(("erp", "crm"), world, own_servers)


def _crashes(which: tuple[str, ...], world: World, own_servers: Own) -> None:
    world.live.run()
    world.live.running()
    users = world.users(rate=150, threads=2, hot=10, seed=hash(which))
    for each in users:
        each.start()
    servers = own_servers
    # MariaDB keeps no position of its readers: there none can go back.
    slots = all(isinstance(server, EmbeddedServer) for server in servers.values())
    tried = which if slots else ()
    went_back = 0
    since = {system: _confirmed(servers[system]) for system in tried}

    def has_confirmed() -> bool:
        """Since the server was started last: else there is nothing that its slot could lose."""
        return all(_confirmed(servers[system]) > since[system] for system in tried)

    for crash in ("immediate", "kill9", "immediate"):
        pause(1.0)
        eventually(has_confirmed, 40, world.live.log_tail)
        before = {system: _confirmed(servers[system]) for system in tried}
        for system in which:
            servers[system].kill9() if crash == "kill9" else servers[system].stop("immediate")
        pause(0.3)
        for system in which:
            servers[system].start()
        since = {system: _confirmed(servers[system]) for system in tried}
        went_back += sum(since[system] < before[system] for system in tried)
    pause(0.5)
    for each in users:
        each.stop()

    world.equal(60)
    world.stays_still(1)
    assert world.judged() == []
    if tried:
        assert went_back, "no slot ever went back: nothing was tried"
    assert world.live.stop() == 0


def _confirmed(server: EmbeddedServer | EmbeddedMariaDB) -> int:
    """How far the server believes duolog to be."""
    with server.connect() as connection:
        row = connection.execute("SELECT max(confirmed_flush_lsn - '0/0'::pg_lsn) FROM pg_replication_slots").fetchone()
        assert row is not None
        return int(row[0])


@with_change_tables("own_servers", "module", more=PAIRS[:2], of=slice(1, 3))
def test_the_engine_waits_for_a_server_that_is_away_and_goes_on_when_it_is_back(
    world: World, own_servers: Own
) -> None:
    world.live.run()
    world.live.running()
    own_servers["crm"].stop("fast")
    users = world.users(rate=50, threads=1)
    users[0].start()  # the ERP's people go on
    eventually(lambda: "writer unavailable: D100 crm" in world.live.said(), 10, world.live.log_tail)
    pause(1.0)
    own_servers["crm"].start()
    users[0].stop()

    world.equal(40)
    assert world.judged() == []
    assert world.live.stop() == 0
