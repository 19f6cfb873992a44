"""Defects that were found with real servers, each told again as small as it can be, without any server."""

from __future__ import annotations

from adapters.memory import MemoryStore
from engine.decide import Decider
from engine.vocabulary import INSERT, Outcome, Transaction
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
