"""The laws L1 to L7 on random histories of the real runner: a few thousand seeds, and all that ever broke one.

On failure the seed stands in the message, and how to replay it. `python -m tests.simulation` runs as many as you like.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.faults import POINTS
from tests.simulation.features import Kind
from tests.simulation.histories import digest, digest_elsewhere, found_in, judged
from tests.simulation.world import World

BLOCKS, BLOCK = 10, 250
"""Seeds run here: ten tests of 250."""
FIRST = 100_000

FOUND = found_in(Path(__file__).parent)


def run(seed: int) -> World:
    """One history. Raises AssertionError with the seed and how to replay it."""
    return judged(World(seed))


@pytest.mark.parametrize("seed", FOUND)
def test_a_seed_that_once_broke_a_law_does_so_no_more(seed: int) -> None:
    run(seed)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_law_holds_on_random_histories(block: int) -> None:
    for seed in range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK):
        run(seed)


def test_every_kind_of_history_with_two_and_with_three_systems_is_among_them() -> None:
    drawn = {(f.kind, len(f.systems)) for f in (World(seed).features for seed in range(FIRST, FIRST + BLOCK))}

    kinds: tuple[Kind, ...] = ("free", "one_way", "turns", "bursts")
    assert drawn == {(kind, size) for kind in kinds for size in (2, 3)}


def test_the_engine_is_killed_at_every_named_point_among_them() -> None:
    died: set[str] = set()
    for seed in range(FIRST, FIRST + 4 * BLOCK):
        died |= set(run(seed).killer.died)
        if died == set(POINTS):
            return
    raise AssertionError(f"never killed {sorted(set(POINTS) - died)}")


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_history_in_every_process(hash_seed: str) -> None:
    seeds = range(60)

    here = digest(World(seed, tracing=True) for seed in seeds)
    assert digest_elsewhere(World, seeds, hash_seed) == here


def test_a_replay_tells_the_history_and_its_end() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--replay", "3", "--key", "k1"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.startswith("seed=3\n")
    assert told.stdout.endswith("every law holds\n")
