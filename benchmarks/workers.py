"""Measures what workers make of a backlog, against `duolog run` without Kafka: `python -m benchmarks workers`.

Changes are written on the ERP faster than anybody carries them to the CRM; one engine does that, or 1, 2 and 4 workers
over as many partitions. The clock runs from the first row that is written to the last that arrives. CPU time is told
of duolog's processes, and of the broker's. Everything is durable, and all of it, three PostgreSQL servers and a broker,
is on this one machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, two_servers
from benchmarks.items import Items
from benchmarks.probe import usage
from benchmarks.sizes import FULL, QUICK, Sizes
from service.demo.engine import COMMAND, Engine
from service.embedded import EmbeddedServer
from tests.kafka.broker import KafkaServer

CREWS: Final = (0, 1, 2, 4)
"""How many workers; 0: `duolog run` without Kafka."""
PARTITIONS: Final = 4
CHANGES: Final = 30_000
SAME: Final = "SELECT count(*), sum(hashtext(i::text)::bigint) FROM public.item AS i"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one crew."""

    workers: int
    seconds: float
    cpu_us: float
    """Of duolog's processes, a change."""
    broker_us: float
    memory_mb: float
    """Of its own, a process, at the end."""


class Crew:
    """So many processes of `duolog run` on one rule file."""

    def __init__(self, engine: Engine, count: int) -> None:
        self._engine, self._count = engine, count
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """All of them."""
        more = ["--worker"] if self._count else []
        with self._engine.log.open("ab") as log:
            self._processes = [
                subprocess.Popen(
                    [*COMMAND, "run", str(self._engine.rules), *more], env=self._engine._environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )
                for _ in range(max(1, self._count))
            ]  # fmt: skip

    def stop(self) -> None:
        """In order."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            assert process.wait(60) == 0, self._engine.log_tail()
        self._processes = []

    def use(self) -> tuple[float, float]:
        """CPU seconds of all so far; private memory of one, in MB."""
        found = [used for process in self._processes if (used := usage(process.pid)) is not None]
        return sum(used.cpu_s for used in found), sum(used.private_kb for used in found) / 1000 / max(1, len(found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks workers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small smoke version; its figures mean nothing")
    parser.add_argument("--changes", type=int, help="the size of the backlog")
    parser.add_argument("--workers", type=int, action="append", help="so many (may be repeated); 0: no Kafka")
    options = parser.parse_args(arguments)
    changes = options.changes or (QUICK.backlog_changes if options.quick else CHANGES)
    sizes = replace(QUICK if options.quick else FULL, preload_rows=changes, backlog_changes=changes)
    print(f"{changes:,} changes in transactions of {sizes.transaction_rows}, {PARTITIONS} partitions, "
          f"{os.cpu_count()} cores")  # fmt: skip
    found: list[Figures] = []
    for count in options.workers or CREWS:
        found.append(measured(count, sizes))
        print(line(found[-1], found[0], changes), file=sys.stderr, flush=True)
    print("\n| | changes/s | ratio | CPU of duolog, µs a change | of Kafka | private memory a process |")
    print("|---|---|---|---|---|---|")
    for figures in found:
        print(line(figures, found[0], changes))
    return 0


def line(figures: Figures, first: Figures, changes: int) -> str:
    """A row of the table."""
    name = f"{figures.workers} workers" if figures.workers else "`duolog run`"
    return (
        f"| {name} | {changes / figures.seconds:,.0f} | {first.seconds / figures.seconds:.2f} | {figures.cpu_us:.0f} | "
        f"{figures.broker_us:.0f} | {figures.memory_mb:.0f} MB |"
    )


def measured(count: int, sizes: Sizes) -> Figures:
    """One crew, on servers of its own."""
    with two_servers(sizes, Items()) as bench, ExitStack() as stack:
        engine, broker = stack.enter_context(_engine(bench, count))
        crew = Crew(engine, count)
        engine.call("setup")
        crew.start()
        source, target = (stack.enter_context(bench.connect(side)) for side in ("erp", "crm"))
        _until_at_work(bench, engine, count)
        first, (cpu, _), served = time.perf_counter(), crew.use(), _cpu(broker)
        bench.servers["erp"].write(source, Items().backlog("erp", False, sizes), synced=False)
        print(f"written in {time.perf_counter() - first:.1f} s", file=sys.stderr, flush=True)
        wanted = source.execute(SAME).fetchone()
        last = bench.wait("the backlog", lambda: target.execute(SAME).fetchone() == wanted, 0.2)
        (after, memory), after_served = crew.use(), _cpu(broker)
        crew.stop()
        each = 1e6 / sizes.backlog_changes
        return Figures(count, last - first, (after - cpu) * each, (after_served - served) * each, memory)


def _until_at_work(bench: Bench, engine: Engine, count: int) -> None:
    """Waits until the first merge is done, and everybody has a share."""

    def ready() -> bool:
        told = engine.status()
        shares = [*told.get("partitions", ()), *told.get("readers", {}).values()]
        return told["quiet"] and (not count or len({share["engine"]["pid"] for share in shares}) == count)

    bench.wait("the first merge", ready, 0.5)


def _cpu(broker: KafkaServer | None) -> float:
    used = usage(broker.pid) if broker is not None and broker.pid is not None else None
    return used.cpu_s if used is not None else 0.0


@contextmanager
def _engine(bench: Bench, count: int) -> Iterator[tuple[Engine, KafkaServer | None]]:
    """The rules of the workload in a folder of their own; with workers, what they need beside."""
    folder = Path(tempfile.mkdtemp(prefix="duolog-bench-workers-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        text, broker = Items.rules.read_text(encoding="utf-8"), None
        if count:
            store = stack.enter_context(EmbeddedServer(fsync=True))
            store.start()
            store.create_database("store")
            broker = stack.enter_context(KafkaServer())
            broker.start()
            words = f'workers: {{kafka: "{broker.url()}", partitions: {PARTITIONS}}}\n'
            text = text.replace("systems:\n", f'store: "{store.url("store")}"\n{words}systems:\n', 1)
        (folder / "given").mkdir()
        given = folder / "given" / "rules.yaml"
        given.write_text(text, encoding="utf-8")
        yield Engine(given, {"ERP_URL": bench.url("erp"), "CRM_URL": bench.url("crm")}, folder), broker


