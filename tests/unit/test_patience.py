"""How a batch asks for its locks after others have stepped aside: what became of them in, the next turn out."""

from __future__ import annotations

import pytest

from adapters.relational import patience
from adapters.relational.patience import LONGER, LONGER_ROWS_MAX, Patience, Turn
from engine.vocabulary import Batch, RowResult, Write

USUAL = Turn(0.05)
IN_ORDER = Turn(0.05, in_order=True)
LONG = Turn(0.05 * LONGER, in_order=True)
BACKWARDS = Turn(0.05 * LONGER, in_order=True, backwards=True)


def batch(*keys: str, rows: int = 0) -> Batch:
    given = [(1, key, (key,), ("new",), ("held",)) for key in keys]
    return Batch("erp", 1, [Write("update", "thing", (1,), given)], rows or len(keys), 0)


def aside(*keys: str) -> list[RowResult]:
    return [RowResult("thing", key, "deferred") for key in keys]


def test_what_steps_aside_waits_in_order_and_longer_now_and_then_in_either_direction() -> None:
    patient = Patience(0.05)
    turns = []
    for _ in range(8):
        turns.append(patient.turn(batch("a", "b")))
        patient.learn(batch("a", "b"), aside("a"))

    assert turns == [USUAL, IN_ORDER, LONG, IN_ORDER, BACKWARDS, IN_ORDER, LONG, IN_ORDER]
    assert patient.turn(batch("b")) == USUAL, "what was written is not in anybody's way"


def test_who_got_his_turn_begins_anew() -> None:
    patient = Patience(0.05)
    for _ in range(3):
        patient.learn(batch("a"), aside("a"))
    patient.learn(batch("a"), [])
    assert patient.turn(batch("a")) == USUAL
    patient.learn(batch("a"), [RowResult("thing", "a", "unmatched")])
    assert patient.turn(batch("a")) == USUAL


def test_users_do_not_wait_longer_for_large_batches() -> None:
    patient = Patience(0.05)
    for _ in range(2):
        patient.learn(batch("a"), aside("a"))
    assert patient.turn(batch("a", rows=LONGER_ROWS_MAX)) == LONG
    assert patient.turn(batch("a", rows=LONGER_ROWS_MAX + 1)) == IN_ORDER


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REMEMBERED_MAX", 3)
    patient = Patience(0.05)
    for key in "abcd":
        patient.learn(batch(key), aside(key))
    assert [patient.turn(batch(key)) == USUAL for key in "abcd"] == [True, False, False, False]
