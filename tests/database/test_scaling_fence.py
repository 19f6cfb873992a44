"""A target that was taken over: its session ends, what it had begun is undone, and it never gets in again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from adapters.mariadb.target import MariaTarget
from adapters.postgresql.names import origin_name
from adapters.postgresql.setup import setup
from adapters.postgresql.target import PostgresTarget
from engine.errors import Fenced, SystemUnavailable
from engine.fence import Fence, overtaken
from engine.ports import Target
from tests.database.books import Bound, book, row, write
from tests.database.maria_target import batch, rules, target
from tests.ground import Session

PLACE = Bound("place", ("id", "name"), ("id",))
DDL = "CREATE TABLE place (id int PRIMARY KEY, name varchar(20))"



class Lease:
    """What the store says of who holds a partition."""

    def __init__(self) -> None:
        self.epoch = 0

    def taken(self) -> Fence:
        """Somebody takes it over."""
        self.epoch += 1
        return self.shown(self.epoch)

    def shown(self, epoch: int) -> Fence:
        """What a holder shows."""

        def check() -> None:
            if self.epoch != epoch:
                raise overtaken("", epoch, self.epoch)

        return Fence(epoch, check)


@pytest.fixture(params=["db", "maria"])
def address(request: pytest.FixtureRequest) -> str:
    """A database with a table."""
    found: str = request.getfixturevalue(f"erp_{request.param}")
    with Session(found) as session:
        session.execute(DDL)
    return found


@pytest.fixture
def holder(address: str) -> Iterator[Callable[[Fence], Target]]:
    """How a holder of the same name makes its target."""
    with ExitStack() as stack:

        def made(fence: Fence) -> Target:
            found: Target
            if address.startswith("mariadb"):
                found = target(address, rules(address, PLACE), fence=fence)
            else:
                one = book(PLACE)
                with psycopg.connect(address, autocommit=True) as conn:
                    setup(conn, one, "erp")
                origin = origin_name(one.name, "erp")
                found = PostgresTarget("erp", address, engine=one.name, origin=origin, book=one, fence=fence)
            stack.callback(found.close)
            return found

        yield made


def test_who_takes_over_ends_the_former_session_for_good(address: str, holder: Callable[[Fence], Target]) -> None:
    lease = Lease()
    first = holder(lease.taken())
    first.open()
    assert first.apply(batch(1, write("insert", "place", (1,), [row(1, "1", ("a",))]))).exceptions == []
    second = holder(lease.taken())
    second.open()

    with pytest.raises(SystemUnavailable):  # its session is gone
        first.apply(batch(2, write("insert", "place", (1,), [row(2, "2", ("late",))])))
    with pytest.raises(Fenced) as late:
        first.open()
    assert [outcome.number_to for outcome in second.committed(0)] == [1]
    assert second.apply(batch(2, write("insert", "place", (1,), [row(2, "3", ("b",))]))).exceptions == []
    with Session(address) as session:
        assert session.rows("SELECT id, name FROM place ORDER BY id") == [(1, "a"), (3, "b")]
    assert late.value.code == "D504"


def test_the_epoch_in_the_target_keeps_out_who_does_not_know_better(
    address: str, holder: Callable[[Fence], Target]
) -> None:
    """The store of the former holder may be out of its reach, or an old copy: its own check finds nothing."""
    unaware = Fence(3, lambda: None)
    newer = holder(Fence(4, lambda: None))
    newer.open()
    newer.close()

    with pytest.raises(Fenced) as late:
        holder(unaware).open()
    assert "in epoch 4, we are in 3" in str(late.value)
    again = holder(Fence(4, lambda: None))  # a connection of the same holder that broke
    again.open()


def test_a_fence_is_no_batch_of_an_engine(address: str, holder: Callable[[Fence], Target]) -> None:
    first = holder(Fence(7, lambda: None))
    first.open()
    assert first.committed(0) == []


def test_a_target_that_has_no_fence_ends_nobody(address: str, holder: Callable[[Fence], Target]) -> None:
    first = holder(Fence(1, lambda: None))
    first.open()
    polite: Target
    if address.startswith("mariadb"):
        polite = MariaTarget("erp", address, engine="unit", book=rules(address, PLACE))
    else:
        polite = PostgresTarget("erp", address, engine="unit", origin=origin_name("unit", "erp"), book=book(PLACE))
    with pytest.raises(SystemUnavailable):
        polite.open()
    assert first.apply(batch(1)).number_to == 1
