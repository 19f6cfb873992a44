"""Armed and let go again and again, while users commit: who was answered too early, is in a recorded range."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from adapters.postgresql.source import PostgresSource
from adapters.postgresql.switch import PostgresSwitch
from engine.errors import SystemUnavailable
from engine.vocabulary import Position, Transaction
from tests.crowd import within
from tests.database.armed import Armed, erp, waiting_server

__all__ = ["erp", "waiting_server"]

lag_s = 0.03
"""So long the other systems take: who does not wait is answered well before."""
seen_min = 50
"""So many commits of either kind the test has to see more than."""


@dataclass
class Engine:
    """Reads, and tells each position as delivered a while later. Never stops but at the end."""

    source: PostgresSource
    told: Position = 0
    positions: dict[int, Position] = field(default_factory=dict)
    """By row, where its commit ended."""
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        late: deque[tuple[float, Position]] = deque()
        while not self.over.is_set():
            item = self.source.read(0.005)
            if item is not None:
                late.append((time.monotonic() + lag_s, item.position))
                self.source.acknowledge(item.position)
            if isinstance(item, Transaction):
                for _, _, new, _ in item.changes:
                    assert new is not None
                    self.positions[int(str(new[0]))] = item.position
            while late and late[0][0] <= time.monotonic():
                self.told = late.popleft()[1]  # before the server hears of it
                self.source.delivered(self.told)


@dataclass
class User:
    """Commits one row after the other, and remembers what was delivered when he was answered."""

    url: str
    first: int
    engine: Engine
    told: dict[int, Position] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        key = self.first
        with psycopg.connect(self.url, autocommit=True) as conn:
            while not self.over.is_set():
                conn.execute("INSERT INTO item (id) VALUES (%s)", [key])
                self.told[key] = self.engine.told
                key += 1


def cycle(
    chance: random.Random, switch: PostgresSwitch, elsewhere: PostgresSwitch, source: PostgresSource,
    enough: Callable[[], bool],
) -> None:  # fmt: skip
    """Arms and lets go a number of times, and then until it is `enough`; now and then both at once, as a watchdog
    may."""
    deadline = time.monotonic() + within(20)
    for number in itertools.count():
        if number >= 12 and (enough() or time.monotonic() > deadline):
            return
        hasty = chance.random() < 0.4
        letting_go = threading.Thread(target=_let_go, args=(elsewhere, chance.random() * 0.08))
        if hasty:
            letting_go.start()
        try:
            switch.arm(source.withholding)
        except SystemUnavailable as error:
            assert hasty, error
        time.sleep(chance.random() * 0.1)  # some commits in between
        if hasty:
            letting_go.join()
        else:
            elsewhere.release("tried", "release")
        time.sleep(chance.random() * 0.05)


def _let_go(switch: PostgresSwitch, seconds: float) -> None:
    time.sleep(seconds)  # somewhere in the midst of an arming
    switch.release("tried", "watchdog")


def kinds(engine: Engine, users: list[User]) -> tuple[set[int], set[int]]:
    """Of the rows that are known by now: those whose users were answered too early, and the others."""
    positions = dict(engine.positions)
    told = {key: at for user in users for key, at in dict(user.told).items() if key in positions}
    early = {key for key, at in told.items() if at < positions[key]}
    return early, told.keys() - early


def test_every_commit_outside_the_recorded_ranges_has_waited(erp: Armed) -> None:
    source, switch, elsewhere = erp.source(), erp.switch(), erp.switch()
    source.open(erp.confirmed())
    engine = Engine(source)
    users = [User(erp.url, 100_000 * number, engine) for number in range(1, 5)]
    workers = [threading.Thread(target=each.run) for each in (engine, *users)]
    for worker in workers:
        worker.start()
    try:
        cycle(
            random.Random(6), switch, elsewhere, source,
            lambda: min(len(kind) for kind in kinds(engine, users)) > seen_min,
        )  # fmt: skip
        switch.arm(source.withholding)  # the last range ends, too
        time.sleep(0.2)  # some commits that wait
    finally:
        for each in users:
            each.over.set()
        for worker in workers[1:]:
            worker.join()
        last = erp.end()
        erp.until(lambda: engine.told >= last)
        engine.over.set()
        workers[0].join()

    ranges = switch.history()
    early, waited = kinds(engine, users)
    assert len(early | waited) == sum(len(user.told) for user in users), "whoever was answered is in the log"
    outside = [key for key in early if not any(
        found.since < engine.positions[key] and (found.until is None or engine.positions[key] <= found.until)
        for found in ranges
    )]  # fmt: skip
    assert outside == []
    assert len(early) > seen_min and len(waited) > seen_min, "the test saw both kinds"
    assert sum(found.until is None for found in ranges) == 0
