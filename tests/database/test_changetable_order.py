"""Stamps lose nobody who commits late, keep the order of what met in a row, and divide at a separator exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from random import Random

import pytest

from adapters.changetable import source as reading
from adapters.changetable.stamping import stamp_of
from engine.errors import StoreBehind
from engine.vocabulary import Position, Progress, Transaction
from tests.contract.changetable_ground import ByTriggers, SqliteFile, Watched, changetable_ground
from tests.contract.ground import Made, User, batch, changes, next_one, until
from tests.database.books import row, write
from tests.database.test_changetable_faults import kit_of
from tests.ground import MARIADB, POSTGRESQL

ITEM = Made("item", {"id": "integer", "name": "text"})
AnyGround = SqliteFile | ByTriggers


def lent(request: pytest.FixtureRequest) -> Iterator[AnyGround]:
    with closing(changetable_ground(request.param)(request)) as made:  # type: ignore[type-var]
        yield made


ground = pytest.fixture(params=["sqlite", POSTGRESQL, MARIADB])(lent)
served = pytest.fixture(params=[POSTGRESQL, MARIADB])(lent)


def plain(user: User) -> User:
    """The user himself, after whose commits nobody looks."""
    return user.user if isinstance(user, Watched) else user


def names(items: list[Transaction]) -> list[object]:
    return [new[1] for item in items for _, _, new, _ in changes(item) if new is not None]


def test_who_commits_late_is_told_late_and_never_lost(served: ByTriggers) -> None:
    rules, user, slow = served.make(ITEM), plain(served.user()), plain(served.user())
    start = served.end()
    with served.reading(rules, start) as source:
        with slow.transaction():
            slow.insert("item", ("1", "early number, late commit"))
            user.insert("item", ("2", "second"))
            first = next_one(source)
            user.insert("item", ("3", "third"))
            second = next_one(source)
        third = next_one(source)

    told = [first, second, third]
    assert names(told) == ["second", "third", "early number, late commit"]
    for at, item in enumerate(told):
        with served.reading(rules, item.position) as again:
            assert names(until(again, served.end())) == names(told[at + 1 :])


def test_two_transactions_that_met_in_a_row_are_told_in_that_order_whatever_their_numbers(served: ByTriggers) -> None:
    rules, first, second = served.make(ITEM), plain(served.user()), plain(served.user())
    first.insert("item", ("7", "made"))
    start = served.end()
    with second.transaction():
        second.insert("item", ("1", "has the lowest number"))
        with first.transaction():
            first.update("item", ["7"], name="first")
            first.insert("item", ("2", "has the middle"))
        second.update("item", ["7"], name="second")

    assert [name for name in names(served.told(rules, start)) if name in ("first", "second")] == ["first", "second"]


def test_numbers_that_were_rolled_back_are_no_gaps(served: ByTriggers) -> None:
    rules, user = served.make(ITEM), plain(served.user())
    start = served.end()
    for number in range(5):
        with user.transaction(undone=number % 2 == 0):
            user.insert("item", (str(number), f"number {number}"))

    assert names(served.told(rules, start)) == ["number 1", "number 3"]


def test_what_is_acknowledged_is_removed_and_an_older_store_is_told_so(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    start = ground.end()
    user.insert("item", ("1", "one"))
    with ground.reading(rules, start) as source:
        item = next_one(source)
        end = ground.end()
        until(source, end)
        source.acknowledge(end)
        user.insert("item", ("2", "two"))
        assert names([next_one(source)]) == ["two"]
        await_forgotten(ground, stamp_of(end))
    with pytest.raises(StoreBehind), ground.reading(rules, item.position):
        pass
    with ground.reading(rules, end) as source:
        assert names([next_one(source)]) == ["two"]


def test_who_reads_beside_the_engine_and_was_overtaken_is_told_so(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    kit, start = kit_of(ground), ground.end()
    beside = kit.borrowed(rules, kit.identity(), spool_dir=ground.spool)
    beside.open(start)
    with closing(beside), ground.reading(rules, start) as source:
        user.insert("item", ("1", "one"))
        assert names([next_one(source), next_one(beside)]) == ["one", "one"]
        user.insert("item", ("2", "two"))
        next_one(source)
        end = ground.end()
        source.acknowledge(end)
        await_forgotten(ground, stamp_of(end))
        with pytest.raises(StoreBehind, match="further"):
            next_one(beside)


def await_forgotten(ground: AnyGround, stamp: int) -> None:
    """Waits until the mark says so."""
    import time

    import sqlalchemy as sa

    from adapters.alchemy.session import connect
    from adapters.changetable.setup import read_mark
    from adapters.changetable.tables import ours

    session = connect("erp", ground.url)
    deadline = time.monotonic() + 30
    with closing(session):
        made = ours(session)
        asked = sa.select(sa.func.count()).where(made.change.c.stamp.between(1, stamp))
        while True:
            with session.transaction() as conn:
                if read_mark(conn, made, "erp").forgotten >= stamp and conn.execute(asked).scalar() == 0:
                    return
            assert time.monotonic() < deadline, "nothing was forgotten"
            time.sleep(0.05)


def test_a_group_that_is_too_much_for_memory_comes_through_a_connection_of_its_own(
    ground: AnyGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.changetable.recorded.rows_in_memory", 40)
    rules, user = ground.make(ITEM), plain(ground.user())
    start = ground.end()
    for number in range(30):
        with user.transaction():
            user.insert("item", *((str(3 * number + at), f"{number} {at}") for at in range(3)))

    assert names(ground.told(rules, start)) == [f"{number} {at}" for number in range(30) for at in range(3)]


# ---------------------------------------------------------------- any interleaving


@dataclass
class Writer:
    """A user in the middle of something. `done`: what he has written since he began."""

    user: User
    done: list[tuple[str, str]] = field(default_factory=list)
    open: ExitStack | None = None


class World:
    """Users, a target and a reader, driven by dice, and what must come of it. Nobody waits: a row in which a user is,
    is left alone by the others."""

    def __init__(self, ground: AnyGround, seed: int, users: int, rows: int) -> None:
        self.ground = ground
        self.dice = Random(seed)
        self.rules = ground.make(ITEM)
        self.writers = [Writer(plain(ground.user())) for _ in range(users)]
        self.keys = [str(key) for key in range(rows)]
        self.now = dict.fromkeys(self.keys, "made")
        self.writers[0].user.insert("item", *((key, "made") for key in self.keys))
        self.start = ground.end()
        self.committed: dict[str, list[str]] = defaultdict(list)
        """By key: every value, in the order of commits."""
        self.told: dict[str, list[tuple[str, Position]]] = defaultdict(list)
        self.separators: list[tuple[str, int, Position]] = []
        """(key, how many of its values were committed before ours, what the target told)."""
        self.number = 0
        self.place = self.start

    def run(self, steps: int) -> None:
        with self.ground.writing(self.rules) as target:
            source = self.ground.source(self.rules)
            source.open(self.place)
            for _ in range(steps):
                match self.dice.randrange(10):
                    case 0 | 1 | 2 | 3:
                        self.write(self.dice.choice(self.writers))
                    case 4 | 5:
                        self.end(self.dice.choice(self.writers))
                    case 6:
                        self.ours(target)
                    case 7 | 8:
                        self.read(source)
                    case _:
                        source.close()
                        source.open(self.place)
            for writer in self.writers:
                self.end(writer)
            end = self.ground.end()
            while self.place < end:
                self.read(source)
            source.close()

    def busy(self) -> set[str]:
        return {key for writer in self.writers for key, _ in writer.done}

    def write(self, writer: Writer) -> None:
        others = {key for each in self.writers if each is not writer for key, _ in each.done}
        free = [key for key in self.keys if key not in others]
        alone = "row locks" in self.ground.lacks and any(each.open for each in self.writers if each is not writer)
        if not free or alone:
            return
        if writer.open is None:
            writer.open = ExitStack()
            writer.open.enter_context(writer.user.transaction())
        self.number += 1
        key, value = self.dice.choice(free), f"w{self.number}"
        writer.user.update("item", [key], name=value)
        writer.done.append((key, value))

    def end(self, writer: Writer) -> None:
        if writer.open is None:
            return
        writer.open.close()
        for key, value in writer.done:
            self.committed[key].append(value)
            self.now[key] = value
        writer.open, writer.done = None, []

    def ours(self, target) -> None:  # type: ignore[no-untyped-def]
        if "row locks" in self.ground.lacks and any(each.open for each in self.writers):
            return
        free = [key for key in self.keys if key not in self.busy()]
        if not free:
            return
        self.number += 1
        key, value = self.dice.choice(free), f"w{self.number}"
        made = write("update", "item", (1,), [row(self.number, key, (value,), (self.now[key],))])
        outcome = target.apply(batch(self.number, made))
        assert outcome.exceptions == []
        self.separators.append((key, len(self.committed[key]), outcome.separator))
        self.committed[key].append(value)
        self.now[key] = value

    def read(self, source) -> None:  # type: ignore[no-untyped-def]
        item = source.read(0.0)
        if isinstance(item, Transaction):
            for _, _, new, _ in changes(item):
                self.told[new[0]].append((new[1], item.position))
        if isinstance(item, Transaction | Progress):
            assert item.position > self.place
            self.place = item.position


@pytest.mark.parametrize("seed", range(4))
def test_any_interleaving_is_told_once_in_order_and_divided_exactly(ground: AnyGround, seed: int) -> None:
    world = World(ground, seed, users=3, rows=6)
    world.run(150)

    assert {key: [value for value, _ in told] for key, told in world.told.items()} == dict(world.committed)
    assert world.separators
    for key, before, separator in world.separators:
        positions = [position for _, position in world.told[key]]
        assert all(position <= separator for position in positions[:before])
        assert all(position > separator for position in positions[before:])


def test_a_reader_that_is_killed_after_stamping_reads_on_as_if_nothing_had_been(
    ground: AnyGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, user = ground.make(ITEM), plain(ground.user())
    start = ground.end()
    user.insert("item", ("1", "one"))

    class Killed(BaseException):
        """As if the process were gone."""

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as broken, ground.reading(rules, start) as source:
        broken.setattr(reading.ChangeTableSource, "_told_up_to", killed)
        with pytest.raises(Killed):
            source.read(1.0)
    user.insert("item", ("2", "two"))

    assert names(ground.told(rules, start)) == ["one", "two"]
