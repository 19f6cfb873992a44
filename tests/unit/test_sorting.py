"""Rows in any order come out in the order of their keys by code point, however many there are and however large."""

from __future__ import annotations

from random import Random

import pytest

from adapters.relational import sorting
from adapters.relational.sorting import in_key_order
from engine.vocabulary import ABSENT, Row

KEYS = ["a", "B", "ä", "z", "10", "9", "中", "\U0001f600", "￿", "\ue000", "", "a ", "\x1f", "a\x1fb"]


def test_few_rows_are_sorted_by_code_point_and_keep_null_and_absent_apart() -> None:
    rows: list[tuple[str, Row]] = [(key, (key, None, ABSENT)) for key in KEYS]

    assert list(in_key_order(rows)) == [(key, (key, None, ABSENT)) for key in sorted(KEYS)]
    assert list(in_key_order([])) == []


@pytest.mark.parametrize(("run", "page", "fan"), [(100, 3, 2), (1_000, 100, 3), (50, 1, 100)])
def test_rows_beyond_memory_are_merged_in_as_many_rounds_as_it_takes(
    monkeypatch: pytest.MonkeyPatch, run: int, page: int, fan: int
) -> None:
    monkeypatch.setattr(sorting, "run_characters_max", run)
    monkeypatch.setattr(sorting, "page_rows_max", page)
    monkeypatch.setattr(sorting, "runs_max", fan)
    dice = Random(1)
    keys = [f"{dice.randrange(10**9):09}" for _ in range(2_000)]
    rows: list[tuple[str, Row]] = [(key, (key, "x" * dice.randrange(20), None)) for key in keys]

    assert list(in_key_order(iter(rows))) == sorted(rows, key=lambda each: each[0])
