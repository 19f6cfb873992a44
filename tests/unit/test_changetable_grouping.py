"""Recorded rows become whole transactions in the order of their stamps; positions are read back as they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.changetable.grouping import Grouping, Told
from adapters.changetable.stamping import END, end_of, number, text, within
from engine.vocabulary import Transaction
from tests.contract.ground import changes


def told(stamp: int, tx: str | None, name: str, own: str = "", at: int = 1) -> Told:
    return Told(stamp, tx, own, at, len(name), (0, "I", (name,), None))


def grouped(
    rows: Sequence[Told], after: int = 0, *, skip_own: bool = False, folder: Path | None = None
) -> list[object]:
    grouping = Grouping("erp", frozenset({"unit"}), skip_own, folder)
    found: list[object] = []
    for item in grouping.transactions(rows, lambda stamp, index: within(stamp, index) > after):
        if isinstance(item, Transaction):
            names = [new[0] for _, _, new, _ in changes(item) if new is not None]
            found.append((text(item.position), item.own, names))
        else:
            found.append(text(item.position))
    return found


ROWS = [
    told(3, "a", "1"), told(3, "a", "2"), told(3, "b", "3"), told(4, None, "4"), told(4, None, "5"),
    told(5, "c", "ours", "unit"), told(7, "d", "6"),
]  # fmt: skip
ALL = [
    ("3.1", False, ["1", "2"]), ("3.2", False, ["3"]), ("4.1", False, ["4", "5"]), ("5.1", True, ["ours"]),
    ("7.1", False, ["6"]),
]  # fmt: skip


def test_rows_of_one_transaction_are_told_together_at_the_position_of_its_end() -> None:
    assert grouped(ROWS) == ALL


def test_reading_goes_on_behind_any_position() -> None:
    for at, (position, _, _) in enumerate(ALL):
        assert grouped(ROWS, number(position)) == ALL[at + 1 :]
    assert grouped(ROWS, end_of(4)) == ALL[3:]


def test_an_own_transaction_that_is_left_out_is_told_as_progress() -> None:
    assert grouped(ROWS, skip_own=True) == [*ALL[:3], "5.1", ALL[4]]


def test_another_engines_mark_is_no_mark_of_ours() -> None:
    assert grouped([told(1, "a", "1", "another")]) == [("1.1", False, ["1"])]


def test_a_transaction_of_which_nothing_is_still_so_is_told_as_progress() -> None:
    assert grouped([Told(1, "a", "", 1, 0, None)]) == ["1.1"]


def test_it_was_committed_when_its_last_row_was_recorded() -> None:
    (item,) = Grouping("erp", (), False, None).transactions(
        [told(1, "a", "1", at=5), told(1, "a", "2", at=9), told(1, "a", "3", at=7)], lambda *_: True
    )

    assert isinstance(item, Transaction) and item.committed_at == 9


def test_a_large_transaction_is_spooled_and_one_given_up_leaves_nothing(tmp_path: Path) -> None:
    rows = [told(1, "a", str(n)) for n in range(25_000)] + [told(1, "b", "next")]
    grouping = Grouping("erp", (), False, tmp_path)
    items = grouping.transactions(rows, lambda *_: True)
    first = next(items)

    assert isinstance(first, Transaction) and first.spool is not None and first.rows == 25_000
    assert [new[0] for _, _, new, _ in changes(first) if new] == [str(n) for n in range(25_000)]
    items.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_more_transactions_than_a_group_has_numbers_for_end_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.changetable.grouping.END", 3)

    rows = [told(1, "a", "1"), told(1, "b", "2"), told(1, "c", "3"), told(2, "d", "4")]
    assert grouped(rows) == [("1.1", False, ["1"]), ("1.2", False, ["2", "3"]), ("2.1", False, ["4"])]


@pytest.mark.parametrize(
    ("position", "said"), [(end_of(17), "17"), (within(17, 3), "17.3"), (within(17, END - 1), None)]
)
def test_positions_are_read_back_as_they_are_printed(position: int, said: str | None) -> None:
    assert said is None or text(position) == said
    assert number(text(position)) == position


def test_a_group_ends_behind_its_transactions_and_before_the_next() -> None:
    assert within(3, 1) < within(3, END - 1) < end_of(3) < within(4, 1)


def test_a_large_transaction_of_ours_is_not_kept_in_memory(tmp_path: Path) -> None:
    rows = [told(1, None, str(at), "unit") for at in range(7)]
    grouping = Grouping("erp", frozenset({"unit"}), False, tmp_path, own_rows_max=3)

    (item,) = grouping.transactions(rows, lambda stamp, index: True)

    assert isinstance(item, Transaction)
    assert (item.own, item.rows, item.changes) == (True, 7, [])
    assert [new[0] for _, _, new, _ in changes(item) if new is not None] == [str(at) for at in range(7)]
