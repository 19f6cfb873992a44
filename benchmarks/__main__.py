"""The command: runs the measures with the contenders, one after the other, and writes the report.

A measure that fails is reported as failed, the others go on, and the exit code is 1. One that needs a program that is
not there is left out, and that is said.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import pymysql
from kafka.errors import KafkaError

from benchmarks import report, workers
from benchmarks.bench import TooSlow
from benchmarks.builtin import BuiltIn
from benchmarks.circular import Circular
from benchmarks.contender import Contender
from benchmarks.copied import Copied
from benchmarks.debezium import missing
from benchmarks.duolog import Duolog
from benchmarks.measures import MEASURES, median
from benchmarks.pairs import PAIRS
from benchmarks.sizes import FULL, QUICK, Sizes
from service.demo.engine import CommandFailed
from service.embedded import NoServerProgram
from tests.kafka.connect import ConnectorFailed

CONTENDERS: Final = ("built-in", "duolog")
OVER_KAFKA: Final = (ConnectorFailed, KafkaError, NoServerProgram, OSError)
"""What may go wrong where Kafka takes part."""


def main() -> int:
    """Reads the options, measures, writes; 1 if anything failed or the tables differed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small smoke version; its figures mean nothing")
    parser.add_argument("--only", action="append", choices=list(MEASURES), help="this measure (may be repeated)")
    parser.add_argument("--system", action="append", choices=list(CONTENDERS), help="this contender (may be repeated)")
    parser.add_argument("--results", type=Path, help="where the report goes; with --quick nowhere else")
    parser.add_argument("--rounds", type=int, help="how often each measure is made; the median is told")
    options = parser.parse_args()
    sizes = QUICK if options.quick else FULL
    sizes = replace(sizes, rounds=options.rounds or sizes.rounds)
    folder = options.results or (None if options.quick else report.RESULTS)
    about = report.machine()
    results: report.Results = {}
    for measure in options.only or MEASURES:
        if lacking := missing(measure):
            print(f"{measure} is left out: {lacking}", file=sys.stderr, flush=True)
            continue
        results[measure] = compare(measure, options.system or list(CONTENDERS), sizes)
        if folder is not None:
            report.write(folder, results, sizes, about)
    print(report.markdown(results, sizes, about))
    each = [figures for contenders in results.values() for figures in contenders.values()]
    return 0 if all(figures.get("equal") for figures in each) else 1


def compare(measure: str, names: list[str], sizes: Sizes) -> dict[str, dict[str, Any]]:
    """The median round of each contender. They take turns, so that a busy moment of the machine hits all."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(sizes.rounds):
        for name in names:
            print(f"{measure}, {name}, round {number + 1} of {sizes.rounds} ...", file=sys.stderr, flush=True)
            rounds[name].append(attempt(measure, contender(measure, name), sizes))
    return {name: median(measure, found) for name, found in rounds.items()}


def contender(measure: str, name: str) -> Contender:
    """The one of this name: built in is what the databases of the measure have."""
    if name == "duolog":
        return Duolog()
    copied = PAIRS[measure].copied[0] if measure in PAIRS else ""
    return {"mariadb": Circular, "sqlite": Copied}.get(copied, BuiltIn)()


def attempt(measure: str, contender: Contender, sizes: Sizes) -> dict[str, Any]:
    """The figures of one measure, or why there are none."""
    try:
        figures = MEASURES[measure](contender, sizes)
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        return {**figures, "made_at": made_at, "load": round(os.getloadavg()[0], 1)}
    except (TooSlow, CommandFailed, psycopg.Error, pymysql.Error, AssertionError, *OVER_KAFKA) as error:
        print(f"  failed: {error}", file=sys.stderr)
        return {"failed": str(error).splitlines()[0], "equal": False}


if __name__ == "__main__":
    sys.exit(workers.main(sys.argv[2:]) if sys.argv[1:2] == ["workers"] else main())
