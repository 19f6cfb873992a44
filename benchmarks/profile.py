"""Where the engine's time goes: one measure under cProfile, told per thread, per module and per row.

`python -m benchmarks.profile` runs `duolog run` with `DUOLOG_PROFILE` set, so that it leaves one `.prof` file
for each of its threads, and reads those. cProfile slows Python code down two to three times and C code not at
all: the shares within Python are right, the sum is not. For the sum, look at `cpu_us_per_row` of an ordinary
run.
"""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from benchmarks.duolog import Duolog
from benchmarks.measures import MEASURES
from benchmarks.sizes import FULL, QUICK

lines_per_thread: Final = 15
lines_with_callees: Final = 40
WAITING: Final = ("sleep", "poll", "select", "acquire", "'wait'", "epoll")
"""Built-in functions in which a thread only waits for another, or for a server."""
ROOT: Final = Path(__file__).resolve().parents[1]

Function = tuple[str, int, str]
Timing = tuple[int, int, float, float, Any]
"""(primitive calls, calls, own seconds, seconds with callees, callers), as pstats keeps them"""


def main() -> int:
    """Measures once under the profiler, and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--measure", default="drain_one_way", choices=list(MEASURES))
    parser.add_argument("--quick", action="store_true", help="few rows")
    parser.add_argument("--keep", type=Path, help="a folder for the .prof files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="duolog-profile-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = MEASURES[options.measure](Duolog(folder), QUICK if options.quick else FULL)
        profiles = sorted(folder.glob("*.prof"))
        if not profiles:
            print("`duolog run` left no profile: does it honour DUOLOG_PROFILE?", file=sys.stderr)
            return 1
        rows = int(figures.get("rows") or figures["transactions"])
        print(f"{options.measure}: {rows:,} rows, {figures}")
        for profile in profiles:
            print(f"\n{profile.stem}")
            print("\n".join(told(timings(profile), rows)))
    return 0


def timings(profile: Path) -> dict[Function, Timing]:
    """One thread's functions."""
    found: dict[Function, Timing] = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    return found


def told(functions: dict[Function, Timing], rows: int) -> list[str]:
    """One thread: its modules and its heaviest functions, own time in microseconds a row; then our own functions with
    all that they call."""
    modules: dict[str, float] = defaultdict(float)
    for function, timing in functions.items():
        modules[module(function)] += timing[2]
    heaviest = sorted(functions.items(), key=lambda item: -item[1][2])[:lines_per_thread]
    lines = [f"  {'µs/row':>8}  module"]
    lines += [f"  {per_row(own, rows):>8}  {name}" for name, own in largest(modules)]
    lines += [f"  {'µs/row':>8}  {'calls/row':>9}  function"]
    lines += [
        f"  {per_row(timing[2], rows):>8}  {timing[1] / rows:>9.3f}  {module(function)}:{function[2]}"
        for function, timing in heaviest
    ]
    ours = [item for item in functions.items() if "/" in module(item[0])]
    heaviest = sorted(ours, key=lambda item: -item[1][3])[:lines_with_callees]
    lines += [f"  {'µs/row':>8}  {'calls/row':>9}  function, with what it calls"]
    lines += [
        f"  {per_row(timing[3], rows):>8}  {timing[1] / rows:>9.3f}  {module(function)}:{function[2]}"
        for function, timing in heaviest
    ]
    return lines


def largest(modules: dict[str, float]) -> list[tuple[str, float]]:
    """The modules that take a share worth telling."""
    total = sum(modules.values()) or 1.0
    return [one for one in sorted(modules.items(), key=lambda item: -item[1]) if one[1] / total > 0.005]


def module(function: Function) -> str:
    """The file, from the project's folder on; built-in functions by what they are."""
    if function[0] == "~":
        return "(waiting)" if any(word in function[2] for word in WAITING) else "built-in"
    path = Path(function[0])
    if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
        return str(path.relative_to(ROOT))
    return path.name


def per_row(seconds: float, rows: int) -> str:
    """Microseconds a row."""
    return f"{seconds / rows * 1e6:.2f}"


if __name__ == "__main__":
    sys.exit(main())
