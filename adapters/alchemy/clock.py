"""Turns a few questions to a database into how far its clock is ahead of ours, and how sure that is.

The answer was true at some moment between question and answer: halfway is the best guess, half the round trip the most
by which it can be wrong. So the quickest of several answers counts. Nothing is corrected here.
"""

from __future__ import annotations

import time
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.session import Session

clock_samples: Final = 3
"""Questions asked; the quickest answer counts."""


def clock_offset(session: Session) -> tuple[int, int]:
    """(the server's clock minus ours, the most by which that may be wrong), microseconds; (0, 0) where nobody knows how
    to ask. Raises sqlalchemy.exc.DBAPIError."""
    if not session.can.now:
        return 0, 0
    asked: sa.Select[Any] = sa.select(sa.literal_column(session.can.now))
    best = (0, 1 << 62)
    with session.transaction() as conn:
        for _ in range(clock_samples):
            asked_at, begun = time.time_ns(), time.monotonic_ns()
            now = conn.execute(asked).scalar_one()
            half_ns = (time.monotonic_ns() - begun) // 2
            error = half_ns // 1000 + 1
            if error < best[1]:
                best = (int(now) - (asked_at + half_ns) // 1000, error)
    return best
