"""Turns an epoch into the certainty that no former holder of our name writes this database, now or later.

The replication origin belongs to one session at a time: who takes over ends the session that has it, and writes down
his epoch as its new owner. A former holder that comes back finds a later one than his own. The epoch is a row of the
ledger, under a name that is no engine's: so nothing more has to be set up, or granted.
"""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg

from engine.errors import SystemUnavailable
from engine.fence import Fence, overtaken

PREFIX: Final = "fence:"
"""Before the engine's name; no rule file can give an engine a name with a colon."""

ENDS_WITHIN_S: Final = 10.0
"""A session that was told to end rolls back first."""

NEWEST: Final = "SELECT coalesce(max(number_to), 0) FROM duolog.ledger WHERE engine = %s"
RAISE: Final = (
    "WITH older AS (DELETE FROM duolog.ledger WHERE engine = %(name)s AND number_to < %(epoch)s) "
    "INSERT INTO duolog.ledger (engine, number_to) VALUES (%(name)s, %(epoch)s)"
)


def take_origin(conn: psycopg.Connection[Any], origin: str, fence: Fence | None) -> None:
    """The session is from now on the one that has the origin. With a `fence`, a former one is ended.

    Raises psycopg.errors.ObjectInUse, UndefinedObject; Fenced."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while True:
        try:
            conn.execute("SELECT pg_catalog.pg_replication_origin_session_setup(%s)", [origin])
            return
        except psycopg.errors.ObjectInUse as error:
            pid = holder(error)
            if fence is None or not pid or time.monotonic() > deadline:
                raise
            fence.check()
            conn.execute("SELECT pg_catalog.pg_terminate_backend(%s)", [int(pid)])
            time.sleep(0.02)  # it ends by itself now; the server has no way to wait for that


def holder(error: psycopg.errors.ObjectInUse) -> str:
    """Whose origin it is: the number of a process, as the server says it, or nothing."""
    pid = (error.diag.message_primary or "").rpartition("PID ")[2]
    return pid if pid.isdigit() else ""


def raise_epoch(conn: psycopg.Connection[Any], engine: str, system: str, fence: Fence) -> None:
    """To be called by the session that has the origin. Raises Fenced if a later holder was here before."""
    fence.check()
    name = PREFIX + engine
    found = conn.execute(NEWEST.encode(), [name]).fetchone()
    epoch = int(found[0]) if found is not None else 0
    if epoch > fence.epoch:
        raise overtaken(system, fence.epoch, epoch)
    if epoch < fence.epoch:
        try:
            conn.execute(RAISE.encode(), {"name": name, "epoch": fence.epoch})
        except psycopg.errors.UniqueViolation:
            raise SystemUnavailable("another session raises the epoch of this partition", system=system) from None
