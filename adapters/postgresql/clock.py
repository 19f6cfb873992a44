"""Turns a few questions to a PostgreSQL server into how far its clock is ahead of ours, and how sure that is.

The server's answer was true at some moment between question and answer: halfway is the best guess, half the round trip
the most by which it can be wrong. So the quickest of several answers counts. Nothing is corrected here.
"""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg

clock_samples: Final = 3
"""Questions asked; the quickest answer counts."""

NOW: Final = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8"


def clock_offset(conn: psycopg.Connection[Any]) -> tuple[int, int]:
    """(the server's clock minus ours, the most by which that may be wrong), microseconds. Raises psycopg.Error."""
    best = (0, 1 << 62)
    for _ in range(clock_samples):
        asked_at, begun = time.time_ns(), time.monotonic_ns()
        row = conn.execute(NOW.encode()).fetchone()
        half_ns = (time.monotonic_ns() - begun) // 2
        assert row is not None, "the clock is one row"
        error = half_ns // 1000 + 1
        if error < best[1]:
            best = (row[0] - (asked_at + half_ns) // 1000, error)
    return best
