"""The laws on random histories of records whose systems have keys of their own: some hundred seeds, and all found ones.

On failure the seed stands in the message, and how to replay it. `python -m tests.simulation --crossed` runs as many as
you like.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import EngineFault
from tests.simulation.crossed.world import CrossedWorld
from tests.simulation.faults import POINTS

BLOCKS, BLOCK = 5, 160
"""Seeds run here: five tests of 160."""
FIRST = 200_000

FOUND = [
    int(line.split()[0]) for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def run(seed: int) -> CrossedWorld:
    """One history. Raises AssertionError with the seed and how to replay it."""
    world = CrossedWorld(seed)
    try:
        world.run()
    except (AssertionError, EngineFault) as fault:
        raise AssertionError(f"seed={seed}: {fault}\n  make replay SEED={seed} ARGS=--crossed") from fault
    return world


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_once_broke_a_law_does_so_no_more(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_law_holds_on_random_histories_of_crossed_records(block: int) -> None:
    for seed in range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK):
        run(seed)


def test_the_engine_is_killed_at_every_named_point_among_them() -> None:
    died: set[str] = set()
    for seed in range(FIRST, FIRST + BLOCKS * BLOCK):
        died |= set(run(seed).killer.died)
        if died == set(POINTS):
            return
    raise AssertionError(f"never killed {sorted(set(POINTS) - died)}")


def digest(seeds: range) -> str:
    """Everything that a reader of the traces and the rows would see."""
    seen = hashlib.sha256()
    for seed in seeds:
        world = CrossedWorld(seed, tracing=True)
        world.run()
        seen.update("\n".join(world.trace).encode())
        seen.update(repr([d.stored for d in world.databases.values()]).encode())
    return seen.hexdigest()


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_history_in_every_process(hash_seed: str) -> None:
    first, last = FIRST, FIRST + 40
    program = f"from tests.simulation.crossed.test_crossed import digest; print(digest(range({first}, {last})))"

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])},
    )

    assert told.stdout.strip() == digest(range(first, last))
