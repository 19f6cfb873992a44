"""Bookmarks say where reading may begin; those of a log that is gone are not taken for those of one that is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.store import SqlStore
from adapters.store.bookmarks import Bookmarks


@pytest.fixture
def bookmarks(tmp_path: Path) -> Iterator[Bookmarks]:
    store = SqlStore.open(f"sqlite:///{tmp_path}/store.db", name="unit")
    yield store.bookmarks("erp")
    store.close()


def test_the_newest_that_is_not_behind_the_position_counts(bookmarks: Bookmarks) -> None:
    for position in (10, 20, 30):
        bookmarks.keep(position, str(position))

    assert [bookmarks.newest(resume) for resume in (9, 10, 25, 99)] == [None, "10", "20", "30"]


def test_what_is_kept_of_a_log_that_reached_farther_goes_when_another_is_begun(bookmarks: Bookmarks) -> None:
    """The database came back from a backup and was merged again: its old topics were read as if they were new."""
    for position in (10, 500, 600):
        bookmarks.keep(position, f"old {position}")

    bookmarks.begin(50, "new 50")

    assert [bookmarks.newest(resume) for resume in (49, 50, 700)] == ["old 10", "new 50", "new 50"]


def test_many_are_thinned_out_and_the_newest_stay(bookmarks: Bookmarks) -> None:
    for position in range(1, 200):
        bookmarks.keep(position, str(position))

    assert [bookmarks.newest(resume) for resume in range(180, 200)] == [str(position) for position in range(180, 200)]
    assert bookmarks.newest(1) == "1"
