"""Measures commit-to-visible: from the return of COMMIT on one side until another session sees the row on the
other side.

Each side has a writer, which commits a one-row update at a steady rate, and a reader on the *other* side,
which asks by primary key for the next row it expects, again and again with a pause of `poll_pause_s`, but
only while something is on its way. That is the least disturbing way we found: a NOTIFY trigger would add work
to the very commit that is measured (and must be made to fire for a replication worker), commit timestamps of
a replicated row are the origin's, and a reader that polls all the time takes a core away from the contender.
The pause adds half of itself on average, for every contender alike.

Commits are durable. Writer and reader share one clock (`time.perf_counter`, one machine).
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Condition
from typing import Any, Final, NamedTuple

from benchmarks.bench import Bench, TooSlow, other
from benchmarks.workload import SEED, SIDES

poll_pause_s: Final = 0.0002
WRITE: Final = "UPDATE public.item SET quantity = %s, price = price + 1, phone = concat('+49 ', price) WHERE id = %s"
READ: Final = "SELECT 1 FROM public.item WHERE id = %s AND quantity = %s"


class Expected(NamedTuple):
    """A row that must become visible, and when its writer sent it and had his answer."""

    key: int
    quantity: int
    sent: float
    committed: float


class Delay(NamedTuple):
    """How long a row was on its way, in seconds."""

    after_answer: float
    after_sending: float


@dataclass(slots=True)
class OnTheWay:
    """Rows that one side has committed and the other has not yet shown."""

    news: Condition = field(default_factory=Condition)
    rows: deque[Expected] = field(default_factory=deque)
    over: bool = False


def trickle(bench: Bench) -> dict[str, Any]:
    """Runs both writers and both readers; percentiles in milliseconds, of both directions together and of
    each."""
    ways = {side: OnTheWay() for side in bench.servers}
    with ThreadPoolExecutor(2 * len(ways)) as threads:
        readers = {side: threads.submit(read, bench, side, way) for side, way in ways.items()}
        writers = [threads.submit(write, bench, side, way) for side, way in ways.items()]
        for writer in writers:
            writer.result()
        found = {side: reader.result() for side, reader in readers.items()}
    figures = summary([one for side in found.values() for one in side])
    return figures | {f"from_{side}": summary(delays) for side, delays in found.items()}


def write(bench: Bench, side: str, way: OnTheWay) -> None:
    """Commits one update after the other at the agreed rate, each of another row."""
    sizes, chance = bench.sizes, Random(SEED + SIDES[side])
    # Each side keeps to its own rows: what is measured is the way, not the resolution of conflicts.
    keys = list(range(2 - SIDES[side], sizes.preload_rows + 1, 2))
    chance.shuffle(keys)
    session = bench.servers[side].looker(WRITE)
    begin = time.perf_counter()
    total = int((sizes.latency_s + sizes.latency_warmup_s) * sizes.latency_per_s)
    for number in range(total):
        due = begin + (number + chance.random() * 0.5) / sizes.latency_per_s
        time.sleep(max(0.0, due - time.perf_counter()))
        key, quantity = keys[number % len(keys)], 1_000_000 + number
        sent = time.perf_counter()
        session.execute(quantity, key)
        with way.news:
            way.rows.append(Expected(key, quantity, sent, time.perf_counter()))
            way.news.notify()
    with way.news:
        way.over = True
        way.news.notify()
    session.close()


def read(bench: Bench, side: str, way: OnTheWay) -> list[Delay]:
    """Waits on the other side for each row in turn; the delays, those of the warm-up left out."""
    sizes = bench.sizes
    session = bench.servers[other(side)].looker(READ)
    delays: list[Delay] = []
    while (row := next_row(way)) is not None:
        while not session.execute(row.key, row.quantity):
            if time.perf_counter() > row.committed + sizes.patience_s:
                raise TooSlow(f"row {row.key} of `{side}`: not within {sizes.patience_s} s")
            time.sleep(poll_pause_s)
        now = time.perf_counter()
        delays.append(Delay(now - row.committed, now - row.sent))
    session.close()
    return delays[int(sizes.latency_warmup_s * sizes.latency_per_s) :]


def next_row(way: OnTheWay) -> Expected | None:
    """The next row to wait for, as soon as there is one; None after the last."""
    with way.news:
        way.news.wait_for(lambda: way.rows or way.over)
        return way.rows.popleft() if way.rows else None


def summary(delays: list[Delay]) -> dict[str, Any]:
    """Percentiles in milliseconds, counted from the answer to COMMIT and from its sending."""
    after = sorted(delay.after_answer for delay in delays)
    whole = sorted(delay.after_sending for delay in delays)
    figures: dict[str, Any] = {"transactions": len(delays)}
    figures |= {f"p{percent}_ms": percentile(after, percent) for percent in (50, 95, 99, 100)}
    return figures | {f"p{percent}_from_sending_ms": percentile(whole, percent) for percent in (50, 95, 99)}


def percentile(ordered: list[float], percent: int) -> float:
    """The value that so many percent do not exceed, in milliseconds."""
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 3)
