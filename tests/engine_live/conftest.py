"""Sends users and engines home that a failed test left at work: the next one needs the machine, and its databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine_live.world import MADE


@pytest.fixture(autouse=True)
def nobody_left_behind() -> Iterator[None]:
    """What a test made ends with it; what a whole file shares was made before, and ends with that."""
    before = len(MADE)
    yield
    for made in MADE[before:]:
        made.go_home()
    del MADE[before:]
