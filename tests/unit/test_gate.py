"""Targets begin with a batch while the store commits what it rests on, and never commit before it has."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from adapters.memory import MemorySource, MemoryStore, MemorySystem, MemoryTarget
from engine.decide import Decider
from engine.errors import StoreUnfit, SystemUnavailable
from engine.lanes import Gate
from engine.ports import Delta
from engine.rounds import Rounds
from engine.vocabulary import INSERT, Batch, Transaction
from service.wiring import SystemClock
from tests.simulation.books import book


class Looking(MemoryStore):
    """A store that looks, when it is to commit, at what the writers have in hand; and fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds: Rounds | None = None
        self.seen: list[tuple[str, bool]] = []
        self.fails = False

    def commit(self, delta: Delta) -> None:
        """Notes each batch that was handed out, and whether it might be committed by now."""
        assert self.rounds is not None
        for system, lane in self.rounds.lanes.items():
            self.seen += [(system, order.is_durable(0.0)) for order in lane.outbox if isinstance(order, Batch)]
        if self.fails:
            raise StoreUnfit("the disk is full")
        super().commit(delta)


def decided(store: Looking) -> Rounds:
    """An engine whose source has one insert to tell."""
    rules = book()
    databases = {system: MemorySystem(system, rules) for system in rules.systems}
    decider = Decider(rules, store)
    decider.start()
    rounds = store.rounds = Rounds(
        rules, decider, {s: MemorySource(d) for s, d in databases.items()},
        {s: MemoryTarget(d) for s, d in databases.items()}, SystemClock(),
    )  # fmt: skip
    for system, lane in rounds.lanes.items():
        rounds.arrive([(system, [])])
        lane.writer = "running"
    rounds.turn()
    return rounds


def handed_out(rounds: Rounds) -> list[Batch]:
    """The batches in the writers' hands."""
    return [order for lane in rounds.lanes.values() for order in lane.outbox if isinstance(order, Batch)]


def written(rounds: Rounds) -> Transaction:
    """A user's insert into the first system."""
    first = rounds.book.systems[0]
    table = rounds.book.tables[first][0]
    row = tuple("1" for _ in table.columns)
    return Transaction(first, 10, 0, False, [(0, INSERT, row, None)], 1)


def test_a_batch_is_handed_out_before_the_store_commits_and_may_be_committed_after() -> None:
    store = Looking()
    rounds = decided(store)
    rounds.offer(written(rounds))
    rounds.turn()

    assert store.seen
    assert not any(durable for _, durable in store.seen)
    assert all(order.is_durable(0.0) for order in handed_out(rounds))


def test_what_rests_on_a_store_that_failed_is_never_committed() -> None:
    store = Looking()
    rounds = decided(store)
    rounds.offer(written(rounds))
    store.fails = True
    with pytest.raises(StoreUnfit):
        rounds.turn()

    assert store.seen
    for order in handed_out(rounds):
        with pytest.raises(SystemUnavailable, match="the store failed"):
            rounds.targets[order.system].apply(order)


def test_who_waits_for_a_batch_is_looked_at_again_when_it_is_answered_and_not_before() -> None:
    """Between, a reader may ring for each of ten thousand small transactions."""
    rounds = decided(Looking())
    rounds.offer(written(rounds))
    rounds.turn()
    batch = next(order for order in handed_out(rounds) if order.system == rounds.book.systems[1])
    looked: list[int] = []
    found = rounds.decider.blocked

    def blocked(transaction: Transaction) -> bool:
        looked.append(transaction.position)
        return found(transaction)

    rounds.decider.blocked = blocked  # type: ignore[method-assign]
    for position in (10, 20, 30):
        rounds.offer(replace(written(rounds), system=batch.system, position=position))
        rounds.turn()
    assert looked == [10]

    rounds.arrive([rounds.targets[batch.system].apply(batch)])
    rounds.turn()
    assert looked == [10, 10, 20, 30]
    assert not rounds.lanes[batch.system].inbox


def test_a_gate_lets_those_pass_who_wait_and_tells_those_who_cannot_wait() -> None:
    gate = Gate()
    assert not gate.passed(0.0)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(gate.passed(None)))
    waiting.start()
    gate.open()
    waiting.join(5)
    assert answers == [True]
