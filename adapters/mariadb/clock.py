"""Turns a few questions to a server into how far the clock of its log is ahead of ours, and how sure that is.

The server's answer was true at some moment between question and answer: halfway is the best guess, half the round trip
the most by which it can be wrong. So the quickest of several answers counts. Nothing is corrected here.

MariaDB's binlog tells whole seconds only, the fraction cut off: what it says is on average half a second behind, and
never more than half a second away from that. So the clock of the log is half a second behind the server's own, and
half a second less sure. (MySQL's binlog has microseconds.)
"""

from __future__ import annotations

import time
from typing import Final

from adapters.mariadb.session import Connection, ask

clock_samples: Final = 3
"""Questions asked; the quickest answer counts."""

LOG_GRAIN_US: Final = 1_000_000
"""How fine MariaDB's binlog tells the time."""

NOW: Final = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"


def clock_offset(conn: Connection) -> tuple[int, int]:
    """(the log's clock minus ours, the most by which that may be wrong), microseconds. Raises pymysql.MySQLError."""
    best = (0, 1 << 62)
    for _ in range(clock_samples):
        asked_at, begun = time.time_ns(), time.monotonic_ns()
        ((now,),) = ask(conn, NOW)
        half_ns = (time.monotonic_ns() - begun) // 2
        error = half_ns // 1000 + 1
        if error < best[1]:
            best = (int(now) - (asked_at + half_ns) // 1000, error)
    if conn.server.flavour == "mysql":
        return best
    return best[0] - LOG_GRAIN_US // 2, best[1] + LOG_GRAIN_US // 2
