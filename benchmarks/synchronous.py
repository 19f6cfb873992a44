"""Measures what a COMMIT of one row takes its user: local, asynchronous and synchronous, on the same two servers.

Turns what pgbench logs of each transaction into percentiles and rates. Clients update a row each, of 100,000 by
chance, in the ERP; one client, then 8, then 32. The kinds, in this order on the same servers:

* `alone`: `synchronous_commit = local`, before there is any contender, in a table like the other one.
* `asynchronous`: the contender carries, and nobody waits for it.
* then it is armed as synchronous standby, and in turn, several times: `local` (the session opts out), `on`,
`remote_apply`.

Each kind ends with a look whether the CRM has all that was answered: at once, where the clients had to wait for it. It
judges nothing else.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.contender import Standby
from service.embedded import find_programs

SCRIPT: Final = (
    "\\set key random(1, {rows})\n"
    "UPDATE public.{table} SET quantity = quantity + 1, price = price + 1 WHERE id = :key;\n"
)
COPY: Final = "CREATE TABLE public.alone (LIKE public.item INCLUDING ALL); INSERT INTO public.alone TABLE public.item"
CLIENTS: Final = (1, 8, 32)
WAITING: Final = ("on", "remote_apply")
"""Values of synchronous_commit at which a standby is waited for."""
KINDS: Final = ("alone", "asynchronous", "local", *WAITING)

Commits = dict[str, dict[str, float]]
"""By the number of clients: percentiles in milliseconds, and transactions a second."""


def measure(bench: Bench, contender: Standby) -> dict[str, Any]:
    """All kinds with all numbers of clients, on the servers of `bench`, to which nothing is attached yet."""
    seconds, turns = bench.sizes.commit_s, bench.sizes.commit_turns
    found: dict[str, list[dict[str, list[float]]]] = {kind: [] for kind in KINDS}
    with bench.connect("erp") as erp:
        erp.execute(COPY)
        bench.servers["erp"].settle(erp)
    press(bench, "local", 8, seconds / 2, "alone")  # the first touch of each page is told nowhere
    found["alone"] += [{str(clients): press(bench, "local", clients, seconds, "alone") for clients in CLIENTS}]
    contender.connect(bench, ("erp", "crm"))
    press(bench, "on", 8, seconds / 2)
    alike(bench)
    found["asynchronous"] += [every(bench, "on", seconds)]
    alike(bench)
    late = 0
    contender.arm(bench, "erp")
    try:
        press(bench, "remote_apply", 8, seconds / 2)
        for _ in range(turns):
            for kind in ("local", *WAITING):
                lacking: list[int] = []
                found[kind] += [every(bench, kind, seconds / turns, lacking)]
                late += sum(lacking) if kind in WAITING else 0
                alike(bench)
    finally:
        contender.disarm(bench, "erp")
    kinds = {kind: figures(runs, seconds) for kind, runs in found.items()}
    return {"remote_apply_p50_ms": kinds["remote_apply"]["1"]["p50_ms"], "kinds": kinds, "late": late}


def every(bench: Bench, level: str, seconds: float, late: list[int] | None = None) -> dict[str, list[float]]:
    """Milliseconds of each transaction, by the number of clients. `late`: told how many increments the CRM lacked when
    the last client had its answer."""
    runs: dict[str, list[float]] = {}
    for clients in CLIENTS:
        runs[str(clients)] = press(bench, level, clients, seconds)
        if late is not None:
            late.append(missing(bench))
    return runs


def press(bench: Bench, level: str, clients: int, seconds: float, table: str = "item") -> list[float]:
    """Runs pgbench; the milliseconds that each transaction took."""
    with tempfile.TemporaryDirectory(prefix="duolog-bench-commits-") as folder:
        script = Path(folder) / "script.sql"
        script.write_text(SCRIPT.format(rows=bench.sizes.preload_rows, table=table), encoding="utf-8")
        command = [
            str(find_programs() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=1",
            f"--time={max(1, round(seconds))}", "--log", f"--log-prefix={folder}/log", f"--file={script}",
            bench.url("erp"),
        ]  # fmt: skip
        environment = {**os.environ, "PGOPTIONS": f"-c synchronous_commit={level}"}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"pgbench ended with {ended.returncode}: {ended.stderr[-500:]}"
        lines = [line for file in Path(folder).glob("log.*") for line in file.read_text().splitlines()]
    return [int(line.split()[2]) / 1000 for line in lines]


def figures(runs: list[dict[str, list[float]]], seconds: float) -> Commits:
    """Percentiles of all turns together, and transactions a second."""
    found: Commits = {}
    for clients in map(str, CLIENTS):
        times = sorted(one for run in runs for one in run[clients])
        spent = sum(max(1, round(seconds / len(runs))) for _ in runs)
        found[clients] = {f"p{percent}_ms": at(times, percent) for percent in (50, 95, 99, 100)}
        found[clients]["per_s"] = round(len(times) / spent, 1)
    return found


def at(ordered: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 3)


def missing(bench: Bench) -> int:
    """By how much less has been counted in the CRM than in the ERP."""
    with bench.connect("crm") as crm, bench.connect("erp") as erp:
        there, here = (one.execute("SELECT sum(quantity) FROM public.item").fetchone()[0] for one in (crm, erp))
    return int(here - there)


def alike(bench: Bench) -> None:
    """Waits until the CRM has everything. Raises TooSlow."""
    bench.wait("the CRM to have what was committed", lambda: missing(bench) == 0, 0.1)
