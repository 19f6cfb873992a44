"""Many users write the same rows in two real servers at once; then everybody rests, and the auditor looks.

`DUOLOG_HOT_SECONDS` says for how long they write (20); less with MariaDB, as each pair has its turn.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from tests.engine_live import auditor
from tests.engine_live.conftest import with_change_tables
from tests.engine_live.proxy import Proxy
from tests.engine_live.schema import code, placed
from tests.engine_live.users import write_for
from tests.engine_live.world import World, eventually
from tests.ground import POSTGRESQL, SQLITE, Session, kind

SECONDS = float(os.environ.get("DUOLOG_HOT_SECONDS", "20"))
LINK_SECONDS = SECONDS * 0.8
"""With MariaDB three quarters of it: each mishap comes to each line once."""
CUTS = 8
"""At least so many connections are cut: whoever is slow to come back has few at a time."""
ROUNDS_MOST = 100
RATE = 500.0
MARIA_SHARE = 0.4
"""How much of the time and the rate."""
SQLITE_SHARE = 0.15
"""How much of the rate: whoever writes has the whole file, and who waits for it looks again ever more seldom."""


def share(addresses: dict[str, str]) -> float:
    """How much of everything this pair gets."""
    return 1.0 if all(kind(address) == POSTGRESQL for address in addresses.values()) else MARIA_SHARE


def rate(addresses: dict[str, str]) -> float:
    """Transactions a second of each system."""
    return RATE * (SQLITE_SHARE if SQLITE in map(kind, addresses.values()) else share(addresses))


@with_change_tables("both")
def test_hot_rows_of_two_systems_end_equal_explained_and_still(tmp_path: Path, both: dict[str, str]) -> None:
    world = World(tmp_path, "hot", both)
    world.live.run()
    world.live.running()
    tallies = {s: auditor.Tally(a, s) for s, a in world.addresses.items()}

    users = world.users(rate=rate(both), threads=4, hot=10, own=0.3)
    took = write_for(SECONDS * share(both), users)
    caught_up = world.equal()
    world.stays_still()

    assert world.judged() == []
    counts = world.live.document()["counters"]
    assert world.live.stop() == 0
    by_system = {s: sum(t.startswith(s) for t in world.told.committed) for s in world.systems}
    print(
        f"\nhot rows: {({s: round(n / took) for s, n in by_system.items()})} tx/s for {took:.1f} s, equal "
        f"{caught_up * 1000:.0f} ms later; {counts}"
    )
    assert counts["conflicts"] > 0, "nothing was tried"
    for system, other in (("erp", "crm"), ("crm", "erp")):
        _one_write_a_change(tallies[system], changed=by_system[system], elsewhere=by_system[other])


@with_change_tables("both")
def test_a_lone_change_is_written_once_and_never_comes_back(tmp_path: Path, both: dict[str, str]) -> None:
    world = World(tmp_path, "lone", both, things=100, trailed=True)
    world.live.run()
    world.live.running()

    for system, address in world.addresses.items():
        with Session(address) as session:
            for number in range(100):
                session.execute(placed("UPDATE {thing} SET {shared} = %s WHERE {code} = %s", system, session.kind),
                                [f"{system} {number}", code(number)])  # fmt: skip
        world.equal()
    world.stays_still(2)

    by_duolog = {s: auditor.trail(a, "duolog%") for s, a in world.addresses.items()}
    assert by_duolog == {"erp": 100, "crm": 100}


@with_change_tables("both", of=slice(1, 2))
def test_hot_rows_survive_a_link_that_is_cut_stalled_and_slow(tmp_path: Path, both: dict[str, str]) -> None:
    lines = {s: Proxy(int(a.rpartition(":")[2].partition("/")[0])) for s, a in both.items()}
    world = World(tmp_path, "link", both, trailed=True, lines=lines)
    world.live.run()
    world.live.running()

    users = world.users(rate=rate(both) / 2, threads=3, hot=10)
    for each in users:
        each.start()
    begun = time.monotonic()
    round_number = 0
    for_s = LINK_SECONDS * (1.0 if share(both) == 1.0 else 0.75)
    while time.monotonic() - begun < for_s or (_cuts(lines) < CUTS and round_number < ROUNDS_MOST):
        _torment(lines, round_number)
        round_number += 1
    for each in users:
        each.stop()
    for line in lines.values():
        line.mend()
    caught_up = world.equal(60)
    world.stays_still()

    assert world.judged() == []
    cuts = _cuts(lines)
    assert cuts >= CUTS, "the link was hardly cut"
    counts = world.live.document()["counters"]
    print(f"\nlink: {cuts} connections cut, equal {caught_up:.2f} s after it was mended; {counts}")
    assert world.live.stop() == 0
    for line in lines.values():
        line.close()


def _cuts(lines: dict[str, Proxy]) -> int:
    """How many connections were reset."""
    return sum(line.cuts for line in lines.values())


def _torment(lines: dict[str, Proxy], number: int) -> None:
    """One mishap of about a second: each kind to each line in turn, then both."""
    erp, crm = lines.values()
    chosen = ((erp,), (crm,), (erp, crm))[number // 4 % 3]
    for line in chosen:
        match number % 4:
            case 0:
                line.cut()
            case 1:
                line.stall()
            case 2:
                line.slow(0.02, 1000)
            case _:
                line.slow(0.0, 1)
    pause = threading.Event()
    pause.wait(1.0)  # that long it lasts
    for line in chosen:
        if number % 4 == 1:
            line.cut()  # what hung is cut off at last, as a firewall does
        line.mend()
    pause.wait(0.3)


def _one_write_a_change(tally: auditor.Tally, *, changed: int, elsewhere: int) -> None:
    """What was updated here beyond the users' own updates is at most one row for each transaction elsewhere.

    One in a hundred is granted. (That none is written twice is judged exactly where there is a trail.)"""
    total = changed + elsewhere
    now: dict[str, int] = {}

    def counted() -> bool:
        now.update(tally.so_far())
        return now["event inserted"] >= total

    eventually(counted, 15, "the log never had it all")
    assert total <= now["event inserted"] <= total * 1.01
    assert changed <= now["thing updated"] <= total * 1.01
    assert now["event updated"] == 0
