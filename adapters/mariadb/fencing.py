"""Turns an epoch into the certainty that no former holder of our name writes this server, now or later.

The lock of the only writer belongs to one connection at a time: who takes over ends the one that has it, and writes
down his epoch as its new owner. A former holder that comes back finds a later one than his own. The epoch is a row of
the ledger, under a name that is no engine's: so nothing more has to be set up, or granted.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

import pymysql

from adapters.mariadb import alone, ledger
from adapters.mariadb.session import Connection, ask, execute
from engine.errors import SystemUnavailable
from engine.fence import Fence, overtaken

ENDS_WITHIN_S: Final = 10.0
"""A connection that was told to end rolls back first."""


def take_over(conn: Connection, engine: str, system: str, fence: Fence) -> None:
    """Has the connection be the only one that writes, now and from a later epoch's beginning on no former one any more.

    Raises Fenced if a later holder was here before; SystemUnavailable, pymysql.MySQLError."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while True:
        fence.check()
        with suppress(pymysql.MySQLError):  # it has ended by itself, or is another user's
            former = alone.holder(conn, engine, system)
            if former is not None:
                execute(conn, f"KILL {former}")
        try:
            alone.take(conn, engine, system)
            break
        except SystemUnavailable:
            if time.monotonic() > deadline:
                raise
    _raise_epoch(conn, engine, system, fence)


def _raise_epoch(conn: Connection, engine: str, system: str, fence: Fence) -> None:
    fence.check()
    ((found,),) = ask(conn, ledger.newest_epoch(engine, system))
    epoch = int(found or 0)
    if epoch > fence.epoch:
        raise overtaken(system, fence.epoch, epoch)
    if epoch < fence.epoch:
        for statement in ledger.raise_epoch(engine, system, fence.epoch):
            execute(conn, statement)
