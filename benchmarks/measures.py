"""What is done with every contender: drain a backlog, carry a steady trickle, carry one huge transaction.

Each measure starts from two fresh servers and returns plain figures. The method, the same for everybody:

* drain: the contender is stopped, the backlog is written with a sentinel row behind it, the contender is
started; the drain is over when the sentinel is visible in the target (the order of commits is kept).
`seconds` counts from the moment when the first slot has a reader, `seconds_with_start` from the moment when
starting began.
* latency: see `benchmarks.latency`.
* big: one transaction inserts a million rows; time from its commit until they are visible.

Memory is the peak of the contender's own processes, and `equal` says whether both tables were the same at the
end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

from benchmarks import workload
from benchmarks.bench import Bench, Connection, arrived, other, streaming, two_servers
from benchmarks.contender import Contender
from benchmarks.latency import trickle
from benchmarks.probe import Sampler
from benchmarks.sizes import Sizes

Figures = dict[str, Any]


def drain_one_way(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of the ERP's backlog."""
    return drain(contender, sizes, ("erp",))


def drain_both_ways(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of a backlog on each side, of different rows; both sides together."""
    return drain(contender, sizes, ("erp", "crm"))


def drain(contender: Contender, sizes: Sizes, sides: tuple[str, ...]) -> Figures:
    """Writes the backlog of these sides behind the contender's back, and lets it catch up."""
    with two_servers(sizes) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        contender.connect(bench, both=len(sides) > 1)
        contender.pause()
        rows = sum(write_backlog(bench, side, len(sides) > 1) for side in sides)
        sources = {side: stack.enter_context(bench.connect(side)) for side in sides}
        targets = {side: stack.enter_context(bench.connect(other(side))) for side in sides}
        with Sampler(contender.processes) as sampler:
            began = time.perf_counter()
            contender.resume()
            streams = bench.wait("the first reader", partial(any_streaming, sources), 0.002)
            sampler.mark()
            ended = bench.wait("the backlog", partial(sentinels, targets), 0.01)
        return {
            "rows": rows,
            "seconds": round(ended - streams, 3),
            "rows_per_s": round(rows / (ended - streams)),
            "seconds_with_start": round(ended - began, 3),
            "rows_per_s_with_start": round(rows / (ended - began)),
            **engine_figures(sampler, rows),
            "equal": equal(bench),
        }


def latency(contender: Contender, sizes: Sizes) -> Figures:
    """Commit-to-visible, both ways at once, at a steady rate on each side."""
    with two_servers(sizes) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        contender.connect(bench, both=True)
        with Sampler(contender.processes) as sampler:
            figures = trickle(bench)
        return {**figures, **engine_figures(sampler, int(figures["transactions"])), "equal": settled(bench)}


def big_transaction(contender: Contender, sizes: Sizes) -> Figures:
    """Memory and time for one transaction that inserts very many rows."""
    with two_servers(sizes) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        contender.connect(bench, both=False)
        source, target = stack.enter_context(bench.connect("erp")), stack.enter_context(bench.connect("crm"))
        with Sampler(contender.processes) as sampler:
            source.execute(workload.BIG, [sizes.big_rows])
            committed = time.perf_counter()
            ended = bench.wait("the large transaction", partial(arrived, target, 10_000_000 + sizes.big_rows), 0.05)
        return {
            "rows": sizes.big_rows,
            "seconds": round(ended - committed, 3),
            "rows_per_s": round(sizes.big_rows / (ended - committed)),
            **engine_figures(sampler, sizes.big_rows),
            "equal": settled(bench),
        }


MEASURES: Final[dict[str, Callable[[Contender, Sizes], Figures]]] = {
    "drain_one_way": drain_one_way,
    "drain_both_ways": drain_both_ways,
    "latency": latency,
    "big_transaction": big_transaction,
}

HEADLINES: Final = {
    "drain_one_way": "rows_per_s",
    "drain_both_ways": "rows_per_s",
    "latency": "p50_from_sending_ms",
    "big_transaction": "rows_per_s",
}
"""By measure: the figure by which the median of several rounds is chosen."""


def median(measure: str, rounds: list[Figures]) -> Figures:
    """The round in the middle, with the headlines of all; a round that failed, or ended unequal, before all
    others."""
    for figures in rounds:
        if not figures.get("equal"):
            return figures
    headline = HEADLINES[measure]
    ordered = sorted(rounds, key=lambda figures: float(figures[headline]))
    return {**ordered[len(ordered) // 2], "rounds": [figures[headline] for figures in rounds]}


def write_backlog(bench: Bench, side: str, both: bool) -> int:
    """The number of rows written, the sentinel too."""
    sizes = bench.sizes
    transactions = workload.backlog(side, both, sizes.preload_rows, sizes.backlog_changes, sizes.transaction_rows)
    with bench.connect(side) as connection:
        return workload.write(connection, transactions, side)


def any_streaming(sources: dict[str, Connection]) -> bool:
    """True if somebody reads the log of one of them."""
    return any(streaming(connection) for connection in sources.values())


def sentinels(targets: dict[str, Connection]) -> bool:
    """True if the last row of every side's backlog is visible on the other side."""
    return all(arrived(target, workload.SENTINEL + workload.SIDES[side]) for side, target in targets.items())


def engine_figures(sampler: Sampler, rows: int) -> Figures:
    """Memory and CPU of the contender's processes."""
    figures = sampler.figures()
    return {**figures, "cpu_us_per_row": round(figures["cpu_s"] / rows * 1e6, 1)}


def equal(bench: Bench) -> bool:
    """True if both tables hold the same rows."""
    with bench.connect("erp") as erp, bench.connect("crm") as crm:
        return workload.checksum(erp) == workload.checksum(crm)


def settled(bench: Bench) -> bool:
    """True if both tables become the same within the measure's patience."""
    bench.wait("both sides to be equal", partial(equal, bench), 0.5)
    return True
