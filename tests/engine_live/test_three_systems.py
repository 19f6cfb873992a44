"""Three real servers in one rule file, each writing to the others, with no hub between them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine_live import auditor
from tests.engine_live.conftest import names
from tests.engine_live.proxy import Proxy
from tests.engine_live.users import write_for
from tests.engine_live.world import World, eventually
from tests.ground import MARIADB, POSTGRESQL, SQLITE, by_odbc, kind

SECONDS = min(8.0, float(os.environ.get("DUOLOG_HOT_SECONDS", "20")))


THREE = [(POSTGRESQL, POSTGRESQL, POSTGRESQL), (POSTGRESQL, MARIADB, MARIADB)]
OF_EACH_KIND = (SQLITE, by_odbc(POSTGRESQL), MARIADB)
three = pytest.mark.parametrize("both", THREE, ids=names, indirect=True)


@pytest.fixture
def addresses(both: dict[str, str]) -> dict[str, str]:
    """Three fresh databases, by system."""
    return {"erp": both["erp"], "crm": both["crm"], "web": both["third"]}


@pytest.mark.parametrize("both", [*THREE, OF_EACH_KIND], ids=names, indirect=True)
def test_hot_rows_of_three_systems_end_equal_explained_and_still(tmp_path: Path, addresses: dict[str, str]) -> None:
    world = World(tmp_path, "three", addresses)
    world.live.run()
    world.live.running()

    rate = 50 if SQLITE in map(kind, addresses.values()) else 150
    took = write_for(SECONDS, world.users(rate=rate, threads=2, hot=10))
    caught_up = world.equal()
    world.stays_still(2)

    assert world.judged() == []
    counts = world.live.document()["counters"]
    reached = len(world.told.committed) / took
    print(f"\nthree systems: {reached:.0f} tx/s in all, equal {caught_up:.2f} s later; {counts}")
    assert counts["conflicts"] > 0
    assert world.live.stop() == 0


@three
def test_one_of_three_is_away_and_the_others_go_on(tmp_path: Path, addresses: dict[str, str]) -> None:
    lines = {s: Proxy(int(a.rpartition(":")[2].partition("/")[0])) for s, a in addresses.items()}
    world = World(tmp_path, "away", addresses, things=200, lines=lines)
    world.live.run()
    world.live.running()
    lines["web"].cut(refuse=True)
    users = world.users(rate=80, threads=1)
    write_for(2.0, users)
    two = {s: a for s, a in world.addresses.items() if s != "web"}
    eventually(lambda: not auditor.differences(two), 5, world.live.log_tail)
    lines["web"].mend()

    world.equal()
    assert world.judged() == []
    assert world.live.stop() == 0
    for line in lines.values():
        line.close()
