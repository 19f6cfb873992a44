"""Turns a time that something may take into the time that a test waits for it, by who runs beside it.

Most tests run side by side, more of them than there are processors: then a clock measures the neighbours. So what is
promised in seconds is held against a clock by a test that is marked `alone`; beside others, the same wait is only for
what never comes.
"""

from __future__ import annotations

import os
from typing import Final

SLOWER: Final = 6
"""So many times as long as alone anything may take in the crowd."""

CROWDED: Final = "PYTEST_XDIST_WORKER" in os.environ
"""True if other tests run beside this one."""


def within(seconds: float) -> float:
    """How long a test waits for what takes no longer than `seconds` where nothing runs beside it."""
    return seconds * SLOWER if CROWDED else seconds
