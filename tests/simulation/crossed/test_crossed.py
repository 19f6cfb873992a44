"""The laws on random histories of records whose systems have keys of their own: some hundred seeds, and all found ones.

On failure the seed stands in the message, and how to replay it. `python -m tests.simulation --crossed` runs as many as
you like.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.crossed.world import CrossedWorld
from tests.simulation.faults import POINTS
from tests.simulation.histories import digest, digest_elsewhere, found_in, judged

BLOCKS, BLOCK = 5, 160
"""Seeds run here: five tests of 160."""
FIRST = 200_000

FOUND = found_in(Path(__file__).parent)


def run(seed: int) -> CrossedWorld:
    """One history. Raises AssertionError with the seed and how to replay it."""
    return judged(CrossedWorld(seed), "ARGS=--crossed")


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


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_history_in_every_process(hash_seed: str) -> None:
    seeds = range(FIRST, FIRST + 40)

    here = digest(CrossedWorld(seed, tracing=True) for seed in seeds)
    assert digest_elsewhere(CrossedWorld, seeds, hash_seed) == here
