"""Everything at once, for as long as one likes, for each pair of databases: `DUOLOG_SOAK_SECONDS=600 make soak`.

Hot rows on two servers, and every few seconds, by chance: the engine is killed or stopped, a link is cut, stalled or
slow, a server crashes; a file of SQLite is taken by a user for seconds, or moved away and back. Nobody's hands; at the
end the auditor. The seed is printed first (`DUOLOG_SOAK_SEED`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest

from tests.engine_live.conftest import Own, with_change_tables
from tests.engine_live.proxy import Proxy
from tests.engine_live.users import Users
from tests.engine_live.world import World, pause
from tests.ground import Session, file_of

SECONDS = float(os.environ.get("DUOLOG_SOAK_SECONDS", "120"))


@with_change_tables("own_servers", "module", of=slice(1, 3))
@pytest.mark.lab
def test_soak_of_two_systems_with_every_mishap(tmp_path: Path, own_servers: Own) -> None:
    seed = int(os.environ.get("DUOLOG_SOAK_SEED", time.time_ns() % 1_000_000))
    print(f"\nsoak: DUOLOG_SOAK_SEED={seed}")
    lines = {system: Proxy(server.port) for system, server in own_servers.items()}
    addresses = {system: server.create_database("soak") for system, server in own_servers.items()}
    world = World(tmp_path, "soak", addresses, trailed=True, lines=lines)
    try:
        world.live.run()
        world.live.running()
        users = world.users(rate=100, threads=2, hot=20, seed=seed)
        for each in users:
            each.start()
        mishaps = _torment(world, own_servers, lines, Random(seed))
        _ends_equal(world, users, mishaps)
    finally:
        world.go_home()
        for line in lines.values():
            line.close()


@with_change_tables("both", more=(), of=slice(3, 4))
@pytest.mark.lab
def test_soak_of_two_files_with_every_mishap(tmp_path: Path, both: dict[str, str]) -> None:
    seed = int(os.environ.get("DUOLOG_SOAK_SEED", time.time_ns() % 1_000_000))
    print(f"\nsoak: DUOLOG_SOAK_SEED={seed}")
    chance = Random(seed)
    world = World(tmp_path, "soak", both, trailed=True)
    try:
        _start(world)
        users = world.users(rate=40, threads=2, hot=20, seed=seed)
        for each in users:
            each.start()
        counted = dict.fromkeys(("kill", "stop", "hold", "away"), 0)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            kind = chance.choice(list(counted))
            counted[kind] += 1
            pause(chance.random() * 3)
            if kind in ("kill", "stop"):
                world.live.kill9() if kind == "kill" else world.live.stop()
                _start(world)
            else:
                _keep(both[chance.choice(list(both))], kind, chance.random() * 4)
        _ends_equal(world, users, counted)
    finally:
        world.go_home()


def _ends_equal(world: World, users: list[Users], mishaps: dict[str, int]) -> None:
    """Nobody writes any more: soon all is equal, explained and still."""
    for each in users:
        each.stop()
    caught_up = world.equal(120)
    world.stays_still()
    assert world.judged() == []
    assert world.live.stop() == 0
    print(f"soak: {SECONDS:.0f} s, {len(world.told.committed)} transactions, {mishaps}, equal {caught_up:.1f} s later")


def _keep(address: str, kind: str, seconds: float) -> None:
    """Keeps a file from everybody: it is written by one user, or is elsewhere."""
    path = Path(file_of(address))
    if kind == "hold":
        with Session(address, autocommit=False) as session:
            session.execute("SELECT 1")
            pause(seconds)
        return
    away = path.parent / "away"
    away.mkdir()
    parts = [path, *path.parent.glob(f"{path.name}-[sw]*")]
    for part in parts:
        part.rename(away / part.name)
    pause(seconds)
    for part in reversed(parts):
        (away / part.name).rename(part)
    away.rmdir()


def _torment(
    world: World, servers: Own, lines: dict[str, Proxy], chance: Random
) -> dict[str, int]:
    """One mishap after the other; how many there were of each kind."""
    counted = dict.fromkeys(("kill", "stop", "cut", "stall", "slow", "crash"), 0)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        kind = chance.choice(list(counted))
        system = chance.choice(list(servers))
        counted[kind] += 1
        pause(chance.random() * 1.5)
        if kind in ("kill", "stop"):
            world.live.kill9() if kind == "kill" else world.live.stop()
            _start(world)
        elif kind == "crash":
            servers[system].kill9() if chance.random() < 0.5 else servers[system].stop("immediate")
            pause(chance.random() * 2)
            servers[system].start()
        else:
            _spoil(lines[system], kind, chance)
    return counted


def _start(world: World) -> None:
    """As a supervisor does: an engine that ends with 1, because a server is away, is started again."""
    world.live.run()
    world.live.running(30)


def _spoil(line: Proxy, kind: str, chance: Random) -> None:
    if kind == "slow":
        line.slow(0.01, 500)
    elif kind == "stall":
        line.stall()
    else:
        line.cut(refuse=chance.random() < 0.5)
    pause(chance.random() * 4)
    if kind == "stall":
        line.cut()
    line.mend()
