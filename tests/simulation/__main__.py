"""Runs simulated histories from the command line: many, to find a seed that breaks a law; or one, told in words.

    python -m tests.simulation --histories 100000 --start 0 --jobs 2
    python -m tests.simulation --replay 4711 --key k3
    python -m tests.simulation --crossed --histories 10000
    python -m tests.simulation --synchronous --histories 10000

`--crossed`: the world whose systems have keys of their own; `--synchronous`: the one whose users wait at COMMIT.
Prints the seed of every history that breaks a law, and ends with 1 if there was one. It decides nothing itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from engine.record import decode
from tests.simulation.crossed.world import CrossedWorld
from tests.simulation.synchronous.world import SynchronousWorld
from tests.simulation.world import World

WORLDS: dict[str, type[World]] = {"": World, "--crossed": CrossedWorld, "--synchronous": SynchronousWorld}
"""By option."""

CHUNK = 500
"""Histories between two lines of progress."""


def broken(seed: int, which: str) -> str:
    """What one history breaks, or ""."""
    try:
        WORLDS[which](seed).run()
    except Exception as fault:  # noqa: BLE001 - whatever it is, the seed is what is wanted
        return f"{type(fault).__name__}: {fault}"
    return ""


def run_chunk(which: str, seeds: range) -> list[tuple[int, str]]:
    """The seeds that break a law, and what they break."""
    return [(seed, what) for seed in seeds if (what := broken(seed, which))]


def run_many(start: int, histories: int, jobs: int, which: str) -> int:
    """Many histories; prints progress, each broken law, and how to replay it."""
    print(f"seeds {start} to {start + histories - 1}, {jobs} process(es)", flush=True)
    begun = time.monotonic()
    chunks = [range(at, min(at + CHUNK, start + histories)) for at in range(start, start + histories, CHUNK)]
    found: list[tuple[int, str]] = []
    done = 0
    with ProcessPoolExecutor(jobs) as pool:
        for chunk, faults in zip(chunks, pool.map(partial(run_chunk, which), chunks), strict=True):
            done += len(chunk)
            found += faults
            for seed, what in faults:
                print(f"\nseed={seed}: {what[:300]}\n  {_how(seed, which)}", flush=True)
            if sys.stdout.isatty():
                print(f"\r{done} of {histories}", end="", flush=True)
    seconds = time.monotonic() - begun
    print(f"{done} histories in {seconds:.0f} s ({1000 * seconds / done:.2f} ms each), {len(found)} broke a law")
    return 1 if found else 0


def _how(seed: int, which: str) -> str:
    """How to see a history again."""
    return f"make replay SEED={seed}" + (f" ARGS={which}" if which else "")


def replay(seed: int, key: str, which: str) -> int:
    """One history, told step by step; with `key` only what concerns that record."""
    print(f"seed={seed}")
    world = WORLDS[which](seed, tracing=True)
    print(world.features)
    fault = ""
    try:
        world.run()
    except Exception as error:  # noqa: BLE001 - told below, after the trace
        fault = f"{type(error).__name__}: {error}"
    for line in world.trace:
        if not key or key in line or line.startswith(("---", "===")):
            print(line)
    _tell_end(world, key)
    print(fault or "every law holds")
    return 1 if fault else 0


def _tell_end(world: World, key: str) -> None:
    """The journal, the engine's state and the rows at the end."""
    print("=== the journal")
    for entry in world.store.journal:
        if not key or entry.key == key:
            lost, won = (dict(zip(entry.fields, values, strict=False)) for values in (entry.lost, entry.won))
            print(f"[{entry.number}] {entry.entity} {entry.key} {entry.kind}: {entry.because}; {lost} lost to {won}")
    print("=== the engine's state")
    for entity, table in sorted(world.store.records.items()):
        for name, state in sorted(table.items()):
            if not key or name == key:
                print(f"{entity} {name}: {decode(state)}")
    print("=== the rows")
    for system, database in world.databases.items():
        for table, rows in enumerate(database.stored):
            for name, row in sorted(rows.items()):
                if not key or name == key:
                    print(f"{system} {database.names[table]} {dict(zip(database.columns(table), row, strict=True))}")


def main() -> int:
    """Reads the options. `--seed` is the first seed of many, or without `--histories` the one to replay."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.split("\n")[0])
    parser.add_argument("--histories", type=int, help="how many histories to run")
    parser.add_argument("--seed", "--start", type=int, default=0, help="the first seed of many, or the one to replay")
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell this one history")
    parser.add_argument("--key", default="", help="in a replay: only what concerns this record (k0 to k4, o0 to o3)")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    world = parser.add_mutually_exclusive_group()
    world.add_argument(
        "--crossed", dest="which", action="store_const", const="--crossed", default="",
        help="the world whose systems have keys of their own",
    )
    world.add_argument(
        "--synchronous", dest="which", action="store_const", const="--synchronous",
        help="the world whose users wait at COMMIT",
    )
    options = parser.parse_args()
    if options.histories:
        return run_many(options.seed, options.histories, options.jobs, options.which)
    return replay(options.seed if options.replay is None else options.replay, options.key, options.which)


if __name__ == "__main__":
    sys.exit(main())
