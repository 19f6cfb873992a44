"""Turns an engine's name into a lock on the server, so that two engines never write one system at the same time.

The lock belongs to the target's connection and goes with it, whatever ends that.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Final

import pymysql

from adapters.mariadb.session import Connection, ask, execute, text_literal
from engine.errors import SystemUnavailable

name_bytes_max: Final = 64
"""MySQL takes no longer names."""

AT_COMMIT: Final = (
    "Waiting for semi-sync ACK", "Commit", "Waiting for prior transaction to commit", "waiting for handler commit"
)  # fmt: skip
"""How the states of sessions begin that wait for an acknowledgement, or behind one that does."""

patience_s: Final = 1
"""A connection that was just ended keeps its lock for a moment longer than its socket."""


def take(conn: Connection, engine: str, system: str) -> None:
    """Has the connection be the only one that writes. Raises SystemUnavailable, pymysql.MySQLError."""
    name = text_literal(lock_name(engine, system))
    ((taken,),) = ask(conn, f"SELECT GET_LOCK({name}, {patience_s})")
    if taken == "1":
        return
    ((holder,),) = ask(conn, f"SELECT IS_USED_LOCK({name})")
    raise SystemUnavailable(
        f"the connection {holder or '?'} writes this system as the engine `{engine}` already",
        system=system,
        mend="none needed if that is a broken connection of ours: the server will notice by itself; "
        "otherwise another duolog runs with these rules: stop it",
    )


def holder(conn: Connection, engine: str, system: str) -> int | None:
    """The connection that writes a system as this engine, if there is one. Raises pymysql.MySQLError."""
    ((found,),) = ask(conn, f"SELECT IS_USED_LOCK({text_literal(lock_name(engine, system))})")
    return int(found) if found is not None else None


def is_stuck(conn: Connection, engine: str, system: str) -> bool:
    """True if who writes a system waits at COMMIT for an answer that nobody is left to give: no engine reads its log.

    Raises pymysql.MySQLError."""
    writer = text_literal(lock_name(engine, system))
    reader = text_literal(reader_lock(engine, system))
    asked = f"SELECT state FROM information_schema.processlist WHERE id = IS_USED_LOCK({writer})"
    states = [state for (state,) in ask(conn, f"{asked} AND IS_USED_LOCK({reader}) IS NULL")]
    return any((state or "").startswith(AT_COMMIT) for state in states)


def take_reading(conn: Connection, engine: str, system: str) -> None:
    """Has the connection be known as the one that reads for an engine; a former one, which the server has not missed
    yet, is ended. Raises pymysql.MySQLError."""
    name = text_literal(reader_lock(engine, system))
    ((taken,),) = ask(conn, f"SELECT GET_LOCK({name}, 0)")
    if taken == "1":
        return
    ((holder,),) = ask(conn, f"SELECT IS_USED_LOCK({name})")
    with suppress(pymysql.MySQLError):  # it has ended by itself, or is another user's
        execute(conn, f"KILL {int(holder or 0)}")
    ask(conn, f"SELECT GET_LOCK({name}, {patience_s})")


def reader_lock(engine: str, system: str) -> str:
    """The name of the lock of who reads a system's log for an engine whose users wait."""
    return lock_name(engine, f"{system}:log")


def lock_name(engine: str, system: str) -> str:
    """`duolog:<engine>:<system>`, or a digest of that where it would be too long."""
    name = f"duolog:{engine}:{system}"
    if len(name.encode()) <= name_bytes_max:
        return name
    return "duolog:" + hashlib.sha256("\0".join((engine, system)).encode()).hexdigest()[:40]
