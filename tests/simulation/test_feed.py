"""What a feed is told, on random histories of the real runner with crashes: each change once, in order, and all of it.

What is told is judged by itself: what a change says was before is what was told last; and in the end by the store: who
has heard everything has what every record is, but for what waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.memory import MemoryStore
from engine.agreed import PAGES, STATE, WITHHELD, Feed, Page, Told, page_of, place_of, state_of, told_of
from engine.decide import Decider
from engine.record import STOPPED, Record, decode
from engine.vocabulary import Version
from tests.simulation import world as worlds
from tests.simulation.crossed.world import CrossedWorld
from tests.simulation.histories import judged
from tests.simulation.world import World

BLOCKS, BLOCK = 3, 100
FIRST = 300_000
FLOOR = 10**15

Name = tuple[str, str]


def records(store: MemoryStore, rules: list[str]) -> Iterator[tuple[Name, Record]]:
    """All that the store has."""
    for entity in rules:
        for key, state in store.scan(entity):
            yield (entity, key), decode(state)


def newest_of(record: Record) -> Version:
    """The last of its versions."""
    return max((record.table[place] for place in set(record.index)), key=lambda version: version.number)


class Listener:
    """Who hears of everything that is told; `had`: what there was before."""

    def __init__(self, had: dict[Name, Told]) -> None:
        self.has = had
        self.offset = 0
        self.last = (-1, -1)
        self.heard = 0
        self.numbers: dict[Name, int] = {}
        """The step of which each record was told last."""

    def hear(self, page: Page) -> None:
        """One page, after the one before it."""
        for change in page.changes:
            name = (change.entity, change.key)
            assert change.before == self.has.get(name), f"{name}: told of a change from what was never told"
            if change.after == change.before:
                assert page.versions[change.version].number > self.numbers.get(name, 0), f"{name}: told twice"
            assert (change.number, change.index) > self.last
            assert change.number >= FLOOR, "a number may be that of another era"
            step = change.number - self.offset
            assert page.versions[change.version].number <= step <= page.number
            self.last = (change.number, change.index)
            self.has[name] = change.after
            self.numbers[name] = step
            self.heard += 1


def is_settled(record: Record) -> bool:
    """True if nothing of it waits for a person."""
    return not record.holds and all(side.wait != STOPPED for side in record.sides.values())


class Overheard:
    """Every engine of a world has a feed; what it keeps is compared with the store in the end. `at_once`: every page is
    heard as soon as it is durable, and forgotten then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, at_once: bool) -> None:
        self.listener: Listener | None = None
        self.heard_to = 0
        self.store: object = None
        """The store of the world itself: its calm twin has another one."""
        overheard = self

        class Telling(Decider):
            def start(self) -> None:
                super().start()
                first = overheard.listener is None
                self.attend_feed(Feed(frozenset(self.rules), "an era", FLOOR, events=True))
                if first:
                    had = {n: r.values if r.alive else None for n, r in records(self.store, list(self.rules))}
                    for entity in self.rules:
                        for key, _, state in self.store.entries(WITHHELD + entity):
                            had[entity, key] = told_of(state)
                    overheard.listener = Listener(had)
                    overheard.store = self.store

            def stored(self) -> None:
                super().stored()
                if at_once and self.feed is not None and self.store is overheard.store:
                    overheard.hear(self.store)
                    self.feed.told_to = overheard.heard_to

        monkeypatch.setattr(worlds, "Decider", Telling)

    def hear(self, store: MemoryStore) -> None:
        """All pages that are committed and have not been heard."""
        goes_on = False
        while found := store.find_committed(PAGES, [place_of(self.heard_to + 1)]):
            assert self.listener is not None
            (items,) = found.values()
            self.listener.offset = state_of(store.find_committed(STATE, [STATE])[STATE][""]).offset
            page = page_of(items[""])
            self.listener.hear(page)
            self.heard_to += 1
            goes_on = page.goes_on
        assert not goes_on, "what belongs together is committed together"

    def judge(self, store: MemoryStore, entities: list[str]) -> int:
        """Everything is told. Returns how many changes that were."""
        assert self.listener is not None
        self.hear(store)
        for name, record in records(store, entities):
            if is_settled(record):
                assert self.listener.has.get(name) == (record.values if record.alive else None), name
                # A beginning leaves out what has changed meanwhile, as its change tells all of it: so that has to come.
                since = state_of(store.find_committed(STATE, [STATE])[STATE][""]).since
                newest = newest_of(record).number
                if record.alive and newest > since:  # so would a feed be that had begun just before
                    assert self.listener.numbers.get(name, 0) >= newest, f"{name}: left out, and not told either"
        return self.listener.heard


@pytest.mark.parametrize("kind", [World, CrossedWorld])
@pytest.mark.parametrize("block", range(BLOCKS))
def test_who_hears_all_that_is_told_has_all_that_was_agreed(
    block: int, kind: type[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = 0
    for seed in range(FIRST + block * BLOCK, FIRST + (block + 1) * BLOCK):
        overheard = Overheard(monkeypatch, at_once=seed % 2 == 1)
        world = judged(kind(seed))
        heard += overheard.judge(world.store, list(world.book.entities))
    assert heard > BLOCK
