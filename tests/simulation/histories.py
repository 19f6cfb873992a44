"""What the tests of every simulated world share: one history by its seed, the seeds found so far, and what is repeated.

Turns a kind of world and seeds into histories that have been judged, or into a digest of all that was to be seen.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from engine.errors import EngineFault
from tests.simulation.world import World

Some = TypeVar("Some", bound=World)


def found_in(folder: Path) -> list[int]:
    """The seeds that once broke a law, out of a folder's `seeds.txt`."""
    lines = (folder / "seeds.txt").read_text().splitlines()
    return sorted({int(line.split()[0]) for line in lines if line and not line.startswith("#")})


def judged(world: Some, replayed_with: str = "") -> Some:
    """One history. Raises AssertionError with the seed and how to replay it."""
    try:
        world.run()
    except (AssertionError, EngineFault) as fault:
        how = f"make replay SEED={world.seed} {replayed_with}".rstrip()
        raise AssertionError(f"seed={world.seed}: {fault}\n  {how}") from fault
    return world


def digest(worlds: Iterable[World]) -> str:
    """Everything that a reader of the traces and the rows would see. The worlds are traced."""
    seen = hashlib.sha256()
    for world in worlds:
        world.run()
        seen.update("\n".join(world.trace).encode())
        seen.update(repr([d.stored for d in world.databases.values()]).encode())
    return seen.hexdigest()


def digest_elsewhere(make: Callable[..., World], seeds: range, hash_seed: str) -> str:
    """The same, of another process with another order of sets."""
    program = (
        f"from {make.__module__} import {make.__name__} as make; from tests.simulation.histories import digest; "
        f"print(digest(make(seed, tracing=True) for seed in {seeds!r}))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    return told.stdout.strip()
