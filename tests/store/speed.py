"""Measures the store: `python -m tests.store.speed URL [records] [batch] [rounds] [busy threads]`.

Fills a fresh store, then loads and commits batches of random keys and of neighbouring keys, each record 350 bytes, then
single records; then the same with entries of the multimap, without bytes and with 200 each. Wall and CPU time are the
calling thread's, in microseconds a record. A busy thread shows what the GIL costs. Not a test: it asserts only that
what was loaded is complete.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import threading
import time
from dataclasses import dataclass, field

from adapters.store import SqlStore
from engine.ports import Delta, Pending

STATE_BYTES = 350


@dataclass
class Taken:
    """Time spent in one kind of call."""

    wall: float = 0.0
    cpu: float = 0.0
    each: list[float] = field(default_factory=list)
    _from: tuple[float, float] = (0.0, 0.0)

    def __enter__(self) -> None:
        self._from = time.perf_counter(), time.thread_time()

    def __exit__(self, *_: object) -> None:
        wall = time.perf_counter() - self._from[0]
        self.wall += wall
        self.cpu += time.thread_time() - self._from[1]
        self.each.append(wall)

    def a_record(self, records: int) -> str:
        """Microseconds a record."""
        return f"{self.wall / records * 1e6:6.2f} wall {self.cpu / records * 1e6:6.2f} cpu"


def step(number: int, keys: list[str]) -> Delta:
    """What the engine commits for a batch of changed records."""
    return Delta(
        records={("customer", key): os.urandom(STATE_BYTES) for key in keys},
        pending=[Pending(number, [("customer", key) for key in keys])],
        pending_done_to=number - 5,
        positions={"erp": number},
        number=number,
    )


def batches(store: SqlStore, keys: list[str], size: int, rounds: int, spread: bool, first: int) -> None:
    """Loads and commits `rounds` batches and prints what each record took."""
    chance = random.Random(7)
    load, commit = Taken(), Taken()
    for number in range(first, first + rounds):
        start = chance.randrange(len(keys) - size + 1)
        chosen = chance.sample(keys, size) if spread else keys[start : start + size]
        with load:
            found = store.load("customer", chosen)
        assert len(found) == size
        delta = step(number, chosen)
        with commit:
            store.commit(delta)
    worst = max(commit.each) * 1000
    what = "random keys" if spread else "neighbours"
    records = size * rounds
    print(f"{what}: load {load.a_record(records)}; commit {commit.a_record(records)}; worst {worst:.0f} ms", flush=True)


def singles(store: SqlStore, keys: list[str], first: int) -> None:
    """Loads and commits one record at a time and prints the distribution."""
    load, commit = Taken(), Taken()
    for number in range(first, first + 1000):
        key = random.Random(number).choice(keys)
        with load:
            store.load("customer", [key])
        delta = step(number, [key])
        with commit:
            store.commit(delta)
    ordered = sorted(commit.each)
    middle, late = ordered[500] * 1000, ordered[990] * 1000
    print(f"one record: load {load.wall:.3f} ms mean; commit {middle:.2f} ms median, {late:.2f} ms p99", flush=True)


def entries(store: SqlStore, values: list[str], size: int, rounds: int, state_bytes: int) -> None:
    """Fills a space, then finds, replaces, takes out and puts back batches, and prints what each entry took."""
    chance = random.Random(7)
    space = f"with {state_bytes} bytes"
    fill, find, replace, drop = Taken(), Taken(), Taken(), Taken()
    for start in range(0, len(values), size):
        chosen = values[start : start + size]
        with fill:
            store.commit(Delta(entries={(space, value, "1"): os.urandom(state_bytes) for value in chosen}))
    for _ in range(rounds):
        chosen = chance.sample(values, size)
        with find:
            found = store.find(space, chosen)
        assert len(found) == size
        with replace:
            store.commit(Delta(entries={(space, value, "1"): os.urandom(state_bytes) for value in chosen}))
        with drop:
            store.commit(Delta(entries={(space, value, "1"): None for value in chosen}))
        store.commit(Delta(entries={(space, value, "1"): os.urandom(state_bytes) for value in chosen}))
    print(f"entries {space}: fill {fill.a_record(len(values))}", flush=True)
    for name, taken in (("find", find), ("replace", replace), ("take out", drop)):
        print(f"entries {space}: {name} {taken.a_record(size * rounds)}", flush=True)


def main(url: str, records: int = 200_000, size: int = 5000, rounds: int = 40, busy: int = 0) -> None:
    """Runs it all."""
    store = SqlStore.open(url, name="speed")
    keys = sorted(str(1_000_000 + number) for number in range(records))
    fill = Taken()
    for start in range(0, records, 5000):
        delta = Delta(records={("customer", key): os.urandom(STATE_BYTES) for key in keys[start : start + 5000]})
        with fill:
            store.commit(delta)
    print(f"fill: {fill.a_record(records)}", flush=True)
    for _ in range(busy):
        threading.Thread(target=_spin, daemon=True).start()
    batches(store, keys, size, rounds, spread=True, first=1)
    batches(store, keys, size, rounds, spread=False, first=10_000)
    if not busy:
        singles(store, keys, first=20_000)
    for state_bytes in (0, 200):
        entries(store, keys, size, rounds, state_bytes)
    print(f"resident {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB at most", flush=True)
    store.close()


def _spin() -> None:
    while True:
        sum(range(1000))


if __name__ == "__main__":
    main(sys.argv[1], *(int(text) for text in sys.argv[2:]))
