"""`duolog match` between real servers that are in use: what is accepted is what was shown, and nothing since is lost.

The data is that of `test_first_start`: 22,000 things, 18,000 of them on both sides, of which every seventh differs; all
users write from before the comparison until after the engine runs.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.demo.engine import COMMAND
from tests.engine_live import auditor, schema
from tests.engine_live.schema import placed
from tests.engine_live.test_first_start import DIFFER, SHIFT, START, THINGS
from tests.engine_live.users import Users
from tests.engine_live.world import World, pause

ALL = THINGS + SHIFT


@pytest.fixture
def world(tmp_path: Path, erp_db: str, crm_db: str) -> Iterator[World]:
    """Two full databases, partly different, and set up."""
    made = World(tmp_path, "dayone", {"erp": erp_db, "crm": crm_db}, trailed=True, fill=False, owners=True)
    schema.fill(erp_db, "erp", 0, THINGS - 1)
    schema.fill(crm_db, "crm", SHIFT, SHIFT + THINGS - 1)
    with psycopg.connect(crm_db, autocommit=True) as connection:
        connection.execute(placed(DIFFER, "crm"), [schema.code(THINGS)])
    yield made
    made.go_home()


def writing(world: World) -> list[Users]:
    """Everybody writes to what both systems have."""
    users = world.users(rate=100, threads=2, things=THINGS - SHIFT, first=SHIFT, hot=50, adding=False)
    for each in users:
        each.start()
    return users


def matched(world: World, *options: str) -> dict[str, Any]:
    """What `match --json` prints of the whole."""
    found = world.live.json("match", "--limit", "0", *options, expected=(1,))
    assert isinstance(found, dict)
    return found


def dies(world: World, failpoint: str, *options: str) -> None:
    """`duolog match`, killed without a word at this point."""
    found = subprocess.run(
        [*COMMAND, "match", str(world.live.rules), *options],
        env={**world.live._environment, "DUOLOG_FAILPOINT": failpoint}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == -signal.SIGKILL, found.stderr


def test_nothing_is_lost_between_the_comparison_and_the_engine(world: World) -> None:
    users = writing(world)
    found = matched(world)
    pause(1.0)
    marks = [auditor.mark(address, system) for system, address in world.addresses.items()]
    world.live.call("match", "--accept")
    pause(1.0)
    world.live.run()
    world.live.running(60)
    pause(1.0)
    for each in users:
        each.stop()

    world.equal(60)
    world.stays_still(1)
    assert world.judged(START) == []
    count = found["entities"]["thing"]
    assert count["records"] == ALL
    assert count["kinds"]["one-sided"] == 2 * SHIFT
    assert count["meanings"] == {"created in crm": SHIFT, "created in erp": SHIFT}
    assert count["equal"] + count["kinds"]["differing"] == THINGS - SHIFT
    assert count["fields"]["shared"] >= (THINGS - SHIFT) // 7 - 200
    assert marks != [auditor.mark(address, system) for system, address in world.addresses.items()]
    assert "comparing all systems" not in world.live.said()
    assert world.live.stop() == 0


def test_killed_in_the_middle_nothing_is_half_and_the_former_report_still_stands(world: World) -> None:
    dies(world, "first_merge:4")
    refused = world.live.call("run", expected=(4,))
    assert "D503 `duolog match` has begun to compare the systems, and was interrupted\n" in refused.stderr

    first = matched(world)
    dies(world, "first_merge:4", "--again")
    assert {**matched(world), "log_kept": {}} == {**first, "log_kept": {}}
    world.live.call("match", "--accept")
    dies(world, "first_merge:4", "--again")  # of an engine that has a base: it keeps it

    world.live.run()
    world.live.running(60)
    world.equal(60)
    assert "comparing all systems" not in world.live.said()
    assert world.live.stop() == 0


def test_what_can_no_longer_be_read_on_from_is_not_accepted(world: World) -> None:
    matched(world)
    with psycopg.connect(world.addresses["crm"], autocommit=True) as connection:
        connection.execute("SELECT pg_drop_replication_slot('duolog_dayone_crm')")

    refused = world.live.call("match", "--accept", expected=(3,))

    assert "D202 crm: the replication slot `duolog_dayone_crm` does not exist" in refused.stderr
    world.live.call("setup")
    assert "D205" in world.live.call("match", "--accept", expected=(3,)).stderr, "made anew, it has not kept the log"
    matched(world, "--again")
    world.live.call("match", "--accept")
    world.live.run()
    world.live.running(60)
    world.equal(60)
    assert world.live.stop() == 0
