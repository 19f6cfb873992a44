"""Defects that were found with real servers, each told again as small as it can be, without any server."""

from __future__ import annotations

from adapters.memory import MemoryStore
from engine.decide import Decider
from engine.resolve import Contender, resolve
from engine.runner import Runner
from engine.vocabulary import INSERT, Batch, Outcome, Transaction, Version
from service.wiring import SystemClock
from tests.simulation.books import FIELDS, book

BOOK = book(("erp", "crm"))


def _inserted(key: str, position: int) -> Transaction:
    row = (key, *["1"] * (len(FIELDS) - 1))
    return Transaction("erp", position, 1, False, [(0, INSERT, row, None)], 1)


def test_a_step_after_a_crash_is_not_taken_for_one_that_the_ledger_has_confirmed() -> None:
    """The killed engine's last batch had a higher number than its store: numbers went on from the store's, and what was
    decided next was held for written."""
    store = MemoryStore()
    decider = Decider(BOOK, store)
    decider.start()
    decider.recover("erp", [])
    decider.recover("crm", [Outcome("crm", 50, 1000)])
    decider.take_up()

    transaction = _inserted("A", 10)
    decider.prefetch([transaction])
    decider.decide(transaction)
    decider.commit()

    batch = decider.next_batch("crm")
    assert batch is not None and batch.number_to > 50


def test_a_request_is_not_carried_out_again_while_its_answer_is_being_stored() -> None:
    """The store is asked for requests every half second; a commit that took longer brought the same one again."""
    store = MemoryStore()
    told: list[str] = []
    decider = Decider(BOOK, store)
    runner = Runner(BOOK, decider, {}, {}, SystemClock(), observe=lambda action, detail: told.append(detail))
    store.ask("retry", {})

    runner._requests()
    runner.last_requests -= 10
    runner._requests()  # decided, not taken by the store yet
    decider.take()
    runner.last_requests -= 10
    runner._requests()  # taken, not durable yet

    assert told == ["retry"]


def test_a_batch_that_is_ready_while_the_engine_stops_is_not_waited_for() -> None:
    """The writer had gone home when the batch was put into its hands: SIGTERM took ten seconds."""
    runner = Runner(BOOK, Decider(BOOK, MemoryStore()), {}, {}, SystemClock())
    lane = runner.lanes["crm"]
    lane.writer, lane.busy_since = "running", 1.0
    runner.stop()

    runner._send([Batch("crm", 1, [], 0, 0)])

    assert not lane.outbox and lane.busy_since == 0.0


def test_a_conflict_with_what_stood_there_on_day_one_is_told_without_a_span_of_fifty_years() -> None:
    """The first merge knows no commit times: the journal said `committed 1795289884072.861 ms later`."""
    rule = next(r for r in BOOK.entities["item"].registers if r.policy == "last_writer" and r.fields)
    late = Contender(Version(2, "crm", 1_795_289_884_072_861, 10), ("b",))
    base = Contender(Version(1, "erp", 0, 5, "first merge"), ("a",))

    for incoming, current, winner in ((late, base, "incoming"), (base, late, "current")):
        verdict = resolve(rule, ("text",), incoming, current)
        assert verdict.winner == winner
        assert verdict.because == "last_writer: when erp committed is not known, and counts as long ago"
