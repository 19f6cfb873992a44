"""The command: fills, compares under writers, accepts, runs, audits; one line a step.

Turns a number of rows into figures. It judges one thing only: whether both sides are equal at the end, with all that
was written meanwhile.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.bench import Bench, two_servers
from benchmarks.database import Database
from benchmarks.duolog import quiet
from benchmarks.items import Items
from benchmarks.postgresql import Connection, checksum
from benchmarks.probe import Sampler
from benchmarks.sizes import FULL, Sizes
from service.demo.engine import COMMAND, Engine

FILL: Final = """
INSERT INTO public.item
SELECT n, 'IT-' || lpad(n::text, 9, '0'), 'Item number ' || n || ' in Edelstahl 不锈钢', 'Königstraße ' || n %% 300,
       'Nürnberg', '90402', 'DE', 'item' || n || '@example.com', '+49 911 ' || 100000 + n %% 900000,
       (n %% 1000000) / 100.0, n %% 10000, n %% 10 > 0, date '2026-01-05' + (n %% 300)::int
FROM generate_series(1, %s::bigint) AS n WHERE n %% 1000 <> %s
"""
"""Of a thousand rows, each side lacks one."""

DIFFER: Final = "UPDATE public.item SET phone = '+49 30 ' || id, price = price + 1 WHERE id % 100 = 7"
"""One row in a hundred differs, in two fields."""

WRITE: Final = "UPDATE public.item SET quantity = %s WHERE id = %s"


class Full(Items):
    """The table of the benchmark, full on both sides and not alike."""

    def create(self, side: str, database: Database, connection: Connection, sizes: Sizes) -> None:
        """Fills one side."""
        statements = self.rules.with_name("item.sql").read_text(encoding="utf-8")
        connection.execute(statements)
        connection.execute(FILL, [sizes.preload_rows, {"erp": 1, "crm": 2}[side]])
        if side == "crm":
            connection.execute(DIFFER)


@dataclass(slots=True)
class Step:
    """One step, as it was measured."""

    name: str
    seconds: float
    rss_mb: float
    cpu_s: float


class Writers:
    """A user on each side, who changes the quantity of rows of his own (even ids the ERP, odd ids the CRM)."""

    def __init__(self, bench: Bench, rows: int, rate: float) -> None:
        self.last: dict[int, int] = {}
        """By id: what was written last, and committed."""
        self.count = 0
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(bench.connect(side), place, rows, rate), daemon=True)
            for place, side in enumerate(bench.servers)
        ]
        for thread in self._threads:
            thread.start()

    def _write(self, connection: Connection, place: int, rows: int, rate: float) -> None:
        chance = Random(place)
        with connection:
            while not self._over.wait(1 / rate):
                # Rows that both sides have, and have alike: the last writer's value must be everywhere.
                key = chance.randrange(5, rows // 1000) * 1000 + 2 * chance.randrange(5, 400) + place
                value = chance.randrange(20_000, 10_000_000)
                if connection.execute(WRITE, [value, key]).rowcount:
                    self.last[key] = value
                    self.count += 1

    def stop(self) -> None:
        """The last commit has been answered when this returns."""
        self._over.set()
        for thread in self._threads:
            thread.join()


def main() -> int:
    """Reads the options, measures, tells; 1 if the sides differ at the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.match", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each side")
    parser.add_argument("--rate", type=float, default=50, help="transactions a second of each side's user")
    parser.add_argument("--profile", help="where cProfile's figures of the comparison go")
    options = parser.parse_args()
    sizes = replace(FULL, preload_rows=options.rows, patience_s=3_600)
    folder = Path(tempfile.mkdtemp(prefix="duolog-match-"))
    try:
        with two_servers(sizes, Full()) as bench:
            return _measured(bench, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(bench: Bench, folder: Path, options: argparse.Namespace) -> int:
    addresses = {"ERP_URL": bench.url("erp"), "CRM_URL": bench.url("crm")}
    engine = Engine(bench.workload.rules, addresses, folder)
    engine.call("setup")
    writers = Writers(bench, options.rows, options.rate)
    environment = {**os.environ, **addresses}
    rules = str(engine.rules)
    first = _told(_step("match", environment, folder, "match", rules, "--limit", "3", profile=options.profile), options)
    _told(_step("match, shown again", environment, folder, "match", rules, "--limit", "3"), options)
    _told(_step("match --accept", environment, folder, "match", rules, "--accept"), options)
    begun = time.perf_counter()
    engine.start()
    assert engine.pid is not None
    with Sampler(lambda: [engine.pid] if engine.pid else []) as sampler:
        time.sleep(5)  # users write while the engine catches up, too
        writers.stop()
        assert engine.until(quiet, bench.sizes.patience_s) is not None, engine.log_tail()
    _told(Step("run until quiet", time.perf_counter() - begun, *_of(sampler)), options)
    store = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    assert engine.stop() == 0, engine.log_tail()
    sums = {side: checksum(_connected(bench, side), "item") for side in bench.servers}
    lost = {key for side in bench.servers for key in _lost(_connected(bench, side), writers.last)}
    overruled = {(e["key"], *e["lost"]) for e in engine.json("journal", "--limit", "100000")}
    lost -= {key for key in lost if (str(key), str(writers.last[key])) in overruled}
    print(f"{options.rows / first.seconds:,.0f} records/s compared; {writers.count:,} transactions of users meanwhile; "
          f"store {store:,.0f} MB; sides {'equal' if len(set(sums.values())) == 1 else f'DIFFER: {sums}'}; "
          f"{len(lost)} of {len(writers.last):,} last writes neither there nor told as overruled")  # fmt: skip
    return 0 if len(set(sums.values())) == 1 and not lost else 1


def _connected(bench: Bench, side: str) -> Connection:
    return bench.connect(side)


def _lost(connection: Connection, last: dict[int, int]) -> list[int]:
    found: dict[Any, Any] = dict(
        connection.execute("SELECT id, quantity FROM public.item WHERE id = ANY(%s)", [list(last)]).fetchall()
    )
    return [key for key, value in last.items() if found.get(key) != value]


def _step(name: str, environment: dict[str, str], folder: Path, *arguments: str, profile: str | None = None) -> Step:
    command = [*COMMAND[:1], *(["-m", "cProfile", "-o", profile] if profile else []), *COMMAND[1:], *arguments]
    begun = time.perf_counter()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        with Sampler(lambda: [process.pid]) as sampler:
            code = process.wait()
    seconds = time.perf_counter() - begun
    assert code in (0, 1), (folder / "said").read_text()
    return Step(name, seconds, *_of(sampler))


def _of(sampler: Sampler) -> tuple[float, float]:
    figures = sampler.figures()
    return figures["rss_mb"], figures["cpu_s"]


def _told(step: Step, options: argparse.Namespace) -> Step:
    print(f"{step.name:20} {step.seconds:8.1f} s   {step.rss_mb:7.0f} MB peak   {step.cpu_s:7.1f} s CPU", flush=True)
    return step


if __name__ == "__main__":
    sys.exit(main())
