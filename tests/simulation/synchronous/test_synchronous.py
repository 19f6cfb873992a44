"""The laws S1 to S3, and all others, on random histories whose users wait at COMMIT: some hundred seeds, and all found.

On failure the seed stands in the message, and how to replay it. `python -m tests.simulation --synchronous` runs as many
as you like.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import EngineFault
from tests.simulation.faults import DELIVERY_POINTS, POINTS
from tests.simulation.synchronous.world import SynchronousWorld

BLOCKS, BLOCK = 5, 100
"""Seeds run here: five tests of 100."""
FIRST = 300_000

FOUND = sorted({
    int(line.split()[0]) for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
})


def run(seed: int) -> SynchronousWorld:
    """One history. Raises AssertionError with the seed and how to replay it."""
    world = SynchronousWorld(seed)
    try:
        world.run()
    except (AssertionError, EngineFault) as fault:
        raise AssertionError(f"seed={seed}: {fault}\n  make replay SEED={seed} ARGS=--synchronous") from fault
    return world


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_once_broke_a_law_does_so_no_more(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_law_holds_on_random_histories_of_waiting_users(block: int) -> None:
    for seed in range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK):
        run(seed)


def test_the_auditor_meets_every_reason_to_answer_and_the_engine_dies_at_every_point() -> None:
    reasons = {
        "there", "succeeded", "overruled", "deleted by one who saw it", "in quarantine", "held", "stopped",
        "let go early", "deletion overruled", "answered when mended", "let go by a person",
    }
    seen: set[str] = set()
    died: set[str] = set()
    for seed in range(FIRST, FIRST + 6 * BLOCK):
        world = run(seed)
        seen |= world.auditor.seen.keys()
        died |= world.killer.died.keys()
        if seen >= reasons and died == {*POINTS, *DELIVERY_POINTS}:
            return
    alive = {*POINTS, *DELIVERY_POINTS} - died
    raise AssertionError(f"never met {sorted(reasons - seen)}, never killed {sorted(alive)}")


def digest(seeds: range) -> str:
    """Everything that a reader of the traces and the rows would see."""
    seen = hashlib.sha256()
    for seed in seeds:
        world = SynchronousWorld(seed, tracing=True)
        world.run()
        seen.update("\n".join(world.trace).encode())
        seen.update(repr([d.stored for d in world.databases.values()]).encode())
    return seen.hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_history_in_every_process(hash_seed: str) -> None:
    first, last = FIRST, FIRST + 30
    program = f"from tests.simulation.synchronous.test_synchronous import digest; print(digest(range({first}, {last})))"

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])},
    )

    assert told.stdout.strip() == digest(range(first, last))
