"""What is done with every contender: drain a backlog, of plain rows, of records and of values stored otherwise, carry
a steady trickle, carry one huge transaction.

Each measure starts from two fresh servers and returns plain figures. The method, the same for everybody:

* drain: the contender is stopped, the backlog is written with a sentinel behind it, the contender is started; the
drain is over when the sentinel is visible in the target (the order of commits is kept). `seconds` counts from the
moment when the first slot has a reader, `seconds_with_start` from the moment when starting began. `rows` are those of
the source's log, `target_rows` those that were written in the target, as its own statistics count them. Who runs both
ways also reads back what it wrote: `seconds_until_read` ends when a row that was written behind that in the target is
visible in the source, and memory and CPU are those until then.
* latency: see `benchmarks.latency`.
* synchronous: see `benchmarks.synchronous`.
* debezium: drain and latency, where Debezium reads the ERP; see `benchmarks.debezium`. `debezium_backlog` has it put
the backlog into Kafka first, and then starts duolog: its `seconds` count from the moment when the CRM's slot has a
reader. `debezium_end_to_end` has duolog wait for Kafka, and then starts Debezium.
* big: one transaction inserts a million rows; time from its commit until they are visible.

Memory is the peak of the contender's own processes, and `equal` says whether both sides showed the same rows at the
end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Final, cast

from benchmarks import items, postgresql, synchronous, workload
from benchmarks.bench import POSTGRESQL, Bench, other, two_servers
from benchmarks.contender import Contender, Standby
from benchmarks.debezium import BROKER, CONNECT, OverKafka, over_kafka
from benchmarks.duolog import Duolog
from benchmarks.latency import trickle
from benchmarks.pairs import PAIRS, Pair, Paired
from benchmarks.probe import Sampler, whole_cpu_s
from benchmarks.records import Records
from benchmarks.sizes import Sizes
from benchmarks.values import Values
from benchmarks.values.variants import VARIANTS, Variant
from benchmarks.workload import Workload

Figures = dict[str, Any]


def drain_one_way(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of the ERP's backlog."""
    return drain(contender, sizes, items.Items(), ("erp",))


def drain_both_ways(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of a backlog on each side, of different rows; both sides together."""
    return drain(contender, sizes, items.Items(), ("erp", "crm"))


def records_out(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of the CRM's plain tables, into the many tables of the ERP."""
    return drain(contender, sizes, records("crm", contender), ("crm",))


def records_in(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of the many tables of the ERP, into the CRM's plain ones."""
    return drain(contender, sizes, records("erp", contender), ("erp",))


def values(variant: Variant, contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of the ERP's backlog, into a table of the CRM that stores some of it otherwise."""
    sizes = replace(sizes, preload_rows=sizes.value_rows, backlog_changes=sizes.value_rows)
    return drain(contender, sizes, Values(variant, copied=contender.one_to_one), ("erp",))


def pair(one: Pair, contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second, or commit-to-visible, between databases of which at least one is MariaDB."""
    kinds = one.copied if contender.one_to_one else one.kinds
    if not one.sides:
        return latency(contender, sizes, Paired(kinds), kinds)
    return drain(contender, sizes, Paired(kinds), one.sides, kinds)


def records(source: str, contender: Contender) -> Records:
    """The workload of records; for one that only copies tables, with the source's on both sides."""
    return Records(source if contender.one_to_one else None)


def drain(
    contender: Contender,
    sizes: Sizes,
    rows_of: Workload,
    sides: tuple[str, ...],
    kinds: tuple[str, str] = POSTGRESQL,
) -> Figures:
    """Writes the backlog of these sides behind the contender's back, and lets it catch up."""
    with two_servers(sizes, rows_of, kinds) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        contender.connect(bench, sides)
        contender.pause()
        rows = sum(write_backlog(bench, side, len(sides) > 1) for side in sides)
        return catch_up(bench, contender, sides, rows, readers=sides)


def catch_up(
    bench: Bench, contender: Contender, sides: tuple[str, ...], rows: int, *, readers: tuple[str, ...]
) -> Figures:
    """Starts the contender, which lacks so many rows of these sides. `readers`: the clock runs as soon as somebody
    reads the log of one of these sides."""
    with ExitStack() as stack:
        sources = {side: stack.enter_context(bench.connect(side)) for side in readers}
        targets = {side: stack.enter_context(bench.connect(other(side))) for side in sides}
        before, behind = written(bench, sides), 0
        with Sampler(contender.processes) as sampler:
            began = time.perf_counter()
            contender.resume()
            streams = bench.wait("the first reader", partial(any_read, bench, sources), 0.002)
            sampler.mark()
            served = server_cpu_s(bench)
            ended = read = bench.wait("the backlog", partial(all_arrived, bench, targets, 0, contender), 0.01)
            if contender.both_ways:
                behind, read = read_back(bench, targets, contender)
            served = server_cpu_s(bench) - served
        contender.pause()
        for target in targets.values():
            target.close()
        after = written(bench, sides)
        target_rows = rows if before is None or after is None else after - before - behind
        return {
            "rows": rows,
            "target_rows": target_rows,
            "seconds": round(ended - streams, 3),
            "rows_per_s": round(rows / (ended - streams)),
            "target_rows_per_s": round(target_rows / (ended - streams)),
            "seconds_until_read": round(read - streams, 3),
            "rows_per_s_until_read": round(rows / (read - streams)),
            "seconds_with_start": round(ended - began, 3),
            "rows_per_s_with_start": round(rows / (ended - began)),
            **engine_figures(sampler, rows),
            "server_cpu_us_per_row": round(served / rows * 1e6, 1),
            "threads_us_per_row": {name: round(s / rows * 1e6, 1) for name, s in contender.threads().items()},
            "equal": equal(bench),
        }


def latency(
    contender: Contender, sizes: Sizes, rows_of: Workload | None = None, kinds: tuple[str, str] = POSTGRESQL
) -> Figures:
    """Commit-to-visible, both ways at once, at a steady rate on each side."""
    with two_servers(sizes, rows_of or items.Items(), kinds) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        contender.connect(bench, ("erp", "crm"))
        with Sampler(contender.processes) as sampler:
            figures = trickle(bench)
        return {**figures, **engine_figures(sampler, int(figures["transactions"])), "equal": settled(bench)}


def debezium_backlog(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of Kafka, where Debezium has put all of them before; and how fast it did."""
    if not isinstance(contender, Duolog):
        return drain(contender, sizes, items.Items(), ("erp",))
    carried = OverKafka(contender)
    with two_servers(sizes, items.Items()) as bench, ExitStack() as stack:
        stack.callback(carried.close)
        carried.connect(bench, ("erp",))
        carried.pause()
        rows = write_backlog(bench, "erp", False)
        seconds = carried.fill()
        figures = catch_up(bench, contender, ("erp",), rows, readers=("crm",))
        return {**figures, "into_kafka_s": round(seconds, 3), "into_kafka_rows_per_s": round(rows / seconds)}


def debezium_end_to_end(contender: Contender, sizes: Sizes) -> Figures:
    """Rows a second out of the ERP's backlog, through Debezium and Kafka."""
    figures = drain(over_kafka(contender), sizes, items.Items(), ("erp",))
    beside = {name: spent for name, spent in figures["threads_us_per_row"].items() if name in (CONNECT, BROKER)}
    return figures | ({"kafka_cpu_us_per_row": round(sum(beside.values()), 1)} if beside else {})


def debezium_latency(contender: Contender, sizes: Sizes) -> Figures:
    """Commit-to-visible from the ERP, that Debezium reads, to the CRM, while both are written to."""
    figures = latency(over_kafka(contender), sizes)
    return {**figures, **figures["from_erp"]}


def big_transaction(contender: Contender, sizes: Sizes) -> Figures:
    """Memory and time for one transaction that inserts very many rows."""
    with two_servers(sizes, items.Items()) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        contender.connect(bench, ("erp",))
        source, target = stack.enter_context(bench.connect("erp")), stack.enter_context(bench.connect("crm"))
        with Sampler(contender.processes) as sampler:
            source.execute(items.BIG, [sizes.big_rows])
            committed = time.perf_counter()
            complete = partial(items.present, target, items.BIG_FIRST + sizes.big_rows)
            ended = bench.wait("the large transaction", complete, 0.05)
        return {
            "rows": sizes.big_rows,
            "seconds": round(ended - committed, 3),
            "rows_per_s": round(sizes.big_rows / (ended - committed)),
            **engine_figures(sampler, sizes.big_rows),
            "equal": settled(bench),
        }


def commits(contender: Contender, sizes: Sizes) -> Figures:
    """What a COMMIT takes its user, who waits for the other side or does not."""
    with two_servers(sizes, items.Items()) as bench, ExitStack() as stack:
        stack.callback(contender.close)
        figures = synchronous.measure(bench, cast("Standby", contender))
        return {**figures, "equal": settled(bench) and figures["late"] == 0}


MEASURES: Final[dict[str, Callable[[Contender, Sizes], Figures]]] = {
    "drain_one_way": drain_one_way,
    "drain_both_ways": drain_both_ways,
    "latency": latency,
    "big_transaction": big_transaction,
    "synchronous": commits,
    "records_out": records_out,
    "records_in": records_in,
    **{measure: partial(values, variant) for measure, variant in VARIANTS.items()},
    **{measure: partial(pair, one) for measure, one in PAIRS.items()},
    "debezium_backlog": debezium_backlog,
    "debezium_end_to_end": debezium_end_to_end,
    "debezium_latency": debezium_latency,
}

HEADLINES: Final = {
    "drain_one_way": "rows_per_s",
    "drain_both_ways": "rows_per_s",
    "latency": "p50_from_sending_ms",
    "big_transaction": "rows_per_s",
    "synchronous": "remote_apply_p50_ms",
    "records_out": "rows_per_s",
    "records_in": "rows_per_s",
    **dict.fromkeys(VARIANTS, "rows_per_s"),
    **{measure: "rows_per_s" if one.sides else "p50_from_sending_ms" for measure, one in PAIRS.items()},
    "debezium_backlog": "rows_per_s",
    "debezium_end_to_end": "rows_per_s",
    "debezium_latency": "p50_from_sending_ms",
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
    """The number of rows written, the sentinel too. That no commit waits for the disk changes no byte of the log."""
    transactions = bench.workload.backlog(side, both, bench.sizes)
    with bench.connect(side) as connection:
        whole = chain(transactions, [bench.workload.last(side, 0)])
        return bench.servers[side].write(connection, whole, synced=False)


def written(bench: Bench, sides: tuple[str, ...]) -> int | None:
    """How many rows were ever written in the targets of these sides by sessions that have ended; None where a server
    does not count them."""
    counts = []
    for side in map(other, sides):
        with bench.connect(side) as connection:
            counts.append(bench.servers[side].written(connection))
    return None if None in counts else sum(filter(None, counts))


def server_cpu_s(bench: Bench) -> float:
    """CPU time of both servers, whatever for."""
    return sum(whole_cpu_s(server.pid) for server in bench.servers.values())


def any_read(bench: Bench, sources: dict[str, Any]) -> bool:
    """True if somebody reads the log of one of them."""
    return any(bench.servers[side].is_read(connection) for side, connection in sources.items())


def all_arrived(bench: Bench, targets: dict[str, Any], lap: int, contender: Contender) -> bool:
    """True if what was written last by each of these sides is visible on the other side. Raises CommandFailed if
    nothing more will arrive."""
    contender.must_live()
    return all(bench.workload.arrived(side, target, lap) for side, target in targets.items())


def read_back(bench: Bench, targets: dict[str, Any], contender: Contender) -> tuple[int, float]:
    """Writes something behind the backlogs in their targets, and waits for it to come back to their sources: what the
    contender itself wrote there has been read before it. The number of rows written, and the clock's reading."""
    rows = 0
    ways: dict[str, Any] = {}
    with ExitStack() as stack:
        for side, target in targets.items():
            rows += bench.servers[other(side)].write(target, [bench.workload.last(other(side), 1)], synced=True)
            ways[other(side)] = stack.enter_context(bench.connect(side))
        back = partial(all_arrived, bench, ways, 1, contender)
        return rows, bench.wait("what was written, to be read back", back, 0.01)


def engine_figures(sampler: Sampler, rows: int) -> Figures:
    """Memory and CPU of the contender's processes."""
    figures = sampler.figures()
    return {**figures, "cpu_us_per_row": round(figures["cpu_s"] / rows * 1e6, 1)}


def equal(bench: Bench) -> bool:
    """True if both sides show the same rows."""
    kinds = {server.adapter for server in bench.servers.values()}
    checksum = postgresql.checksum if kinds == {"postgresql"} else workload.checksum
    with bench.connect("erp") as erp, bench.connect("crm") as crm:
        return all(checksum(erp, table) == checksum(crm, table) for table in bench.workload.compared())


def settled(bench: Bench) -> bool:
    """True if both sides become the same within the measure's patience."""
    bench.wait("both sides to be equal", partial(equal, bench), 0.5)
    return True
