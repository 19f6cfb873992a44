"""The laws S1 to S3, and all others, on random histories whose users wait at COMMIT: some hundred seeds, and all found.

On failure the seed stands in the message, and how to replay it. `python -m tests.simulation --synchronous` runs as many
as you like.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.faults import DELIVERY_POINTS, POINTS
from tests.simulation.histories import digest, digest_elsewhere, found_in, judged
from tests.simulation.synchronous.world import SynchronousWorld

BLOCKS, BLOCK = 5, 100
"""Seeds run here: five tests of 100."""
FIRST = 300_000

FOUND = found_in(Path(__file__).parent)


def run(seed: int) -> SynchronousWorld:
    """One history. Raises AssertionError with the seed and how to replay it."""
    return judged(SynchronousWorld(seed), "ARGS=--synchronous")


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


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_is_the_same_history_in_every_process(hash_seed: str) -> None:
    seeds = range(FIRST, FIRST + 30)

    here = digest(SynchronousWorld(seed, tracing=True) for seed in seeds)
    assert digest_elsewhere(SynchronousWorld, seeds, hash_seed) == here
