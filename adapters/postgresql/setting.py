"""Puts us into `synchronous_standby_names` of a live server, and takes us out; turns nothing else.

The setting is the whole server's. It is written by ALTER SYSTEM and read again by every process for itself, a moment
later: so each change is followed until our own session sees it. Other standbys stay named, and commits go on waiting
for them as before. When to do it, and what is recorded, is not decided here.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import psycopg
from psycopg import sql

from adapters.postgresql.standbys import Standbys, Unreadable, left
from engine.errors import AccessDenied, SystemStopped, SystemUnavailable

NAME: Final = "synchronous_standby_names"
seen_within_s: Final = 5.0
"""A server that is alive has read its settings again after so long."""
_look_every_s: Final = 0.005
parameter_rights_version: Final = 150_000
"""The first server in which the right to set a parameter can be given."""

RESET: Final = sql.SQL("ALTER SYSTEM RESET synchronous_standby_names")
SET: Final = sql.SQL("ALTER SYSTEM SET synchronous_standby_names = {}")
_RANKS: Final = (
    "SELECT application_name, sync_priority FROM pg_stat_replication WHERE state IN ('streaming', 'stopping') "
    "AND flush_lsn IS NOT NULL"
)
"""Of those who can let anybody go: a standby that has not told anything yet, cannot."""
_TINY: Final = "SELECT pg_catalog.pg_logical_emit_message(true, 'duolog let go', '')"
_CURRENT: Final = "SELECT current_setting(%s), pg_conf_load_time()::text"
_ORIGIN: Final = "SELECT source FROM pg_settings WHERE name = %s"

_pause = threading.Event()
"""Never set: to wait on."""


def current(conn: psycopg.Connection[Any], system: str) -> Standbys:
    """Whom commits wait for, as our session knows it. Raises psycopg.Error, SystemStopped."""
    return understood(_read(conn)[0], system)


def understood(text: str, system: str) -> Standbys:
    """A text of the setting as the server means it. Raises SystemStopped."""
    try:
        return Standbys.parse(text)
    except Unreadable as error:
        raise SystemStopped(
            f"`{NAME}`: {error}", system=system, mend=f"ALTER SYSTEM SET {NAME} = '...'; SELECT pg_reload_conf();"
        ) from None


def put_in(conn: psycopg.Connection[Any], system: str, us: str) -> str:
    """Names us in front of all others; answers the setting without us. Raises as `take_out`."""
    text = _read(conn)[0]
    now = understood(text, system)
    wanted = now.with_us(us)
    if wanted != now:
        _set(conn, system, str(wanted))
    return str(now.without(us)) if now.name(us) else text


def take_out(conn: psycopg.Connection[Any], system: str, us: str, former: str | None = None) -> bool:
    """Names us no longer, and waits until that is in force; False if we were not named.

    `former`: the setting before we were put in, if that is known. Raises AccessDenied, SystemStopped where the setting
    cannot be changed this way, SystemUnavailable if the server did not follow in time; psycopg.Error."""
    text = _read(conn)[0]
    if not understood(text, system).name(us):
        return False
    wanted = left(text, us, former)
    if wanted or not _reset(conn, system):
        _set(conn, system, wanted)
    if wanted:
        _stir(conn, understood(wanted, system))
    return True


def _stir(conn: psycopg.Connection[Any], names: Standbys) -> None:
    """Has the others answer once more. A process that answers a standby lets nobody go when the setting changes, but
    when its standby next tells something; which an idle one does after 10 s."""
    deadline = time.monotonic() + seen_within_s
    while not known(conn, names) and time.monotonic() < deadline:
        _pause.wait(_look_every_s)
    conn.execute(_TINY)


def known(conn: psycopg.Connection[Any], names: Standbys) -> bool:
    """True if each process that answers a standby ranks it as `names` does: none goes by the setting of before."""
    return all(rank == names.rank(str(name)) for name, rank in conn.execute(_RANKS))


def _reset(conn: psycopg.Connection[Any], system: str) -> bool:
    """Leaves no trace of us, if then nobody is named; False if the server's own files name somebody."""
    before = _read(conn)
    _alter(conn, system, RESET)
    deadline = time.monotonic() + seen_within_s
    while (now := _read(conn)) == before and time.monotonic() < deadline:
        _pause.wait(_look_every_s)
    return now[0] == ""


def _set(conn: psycopg.Connection[Any], system: str, wanted: str) -> None:
    _alter(conn, system, SET.format(sql.Literal(wanted)))
    deadline = time.monotonic() + seen_within_s
    while (now := _read(conn)[0]) != wanted:
        if time.monotonic() > deadline:
            raise _not_followed(conn, system, now, wanted)
        _pause.wait(_look_every_s)


def _alter(conn: psycopg.Connection[Any], system: str, statement: sql.Composable) -> None:
    """Changes the setting, and has every process read it again."""
    try:
        conn.execute(statement)
        conn.execute("SELECT pg_reload_conf()")
    except psycopg.errors.InsufficientPrivilege:
        needed = rights(sql.Identifier(conn.info.user).as_string(), conn.info.server_version)
        said = f"the role `{conn.info.user}` may not change `{NAME}`"
        raise AccessDenied(said, system=system, mend=" ".join(needed)) from None


def rights(role: str, version: int) -> list[str]:
    """The SQL that lets a role (quoted) hold the switch of a server, and see who waits."""
    if version < parameter_rights_version:
        return [f"ALTER ROLE {role} SUPERUSER;  -- PostgreSQL 14 lets nobody else set {NAME}"]
    return [
        f"GRANT ALTER SYSTEM ON PARAMETER {NAME} TO {role};",
        f"GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO {role};",
        f"GRANT pg_read_all_stats TO {role};",
    ]


def _read(conn: psycopg.Connection[Any]) -> tuple[str, str]:
    """(the setting, when our session last read the settings)"""
    row = conn.execute(_CURRENT, [NAME]).fetchone()
    assert row is not None
    return row[0], row[1]


def _not_followed(conn: psycopg.Connection[Any], system: str, now: str, wanted: str) -> SystemUnavailable:
    row = conn.execute(_ORIGIN, [NAME]).fetchone()
    fixed = row is not None and row[0] in ("command line", "environment variable")
    why = "it is set on the server's command line, which goes before" if fixed else "the server did not read it again"
    return SystemUnavailable(
        f"`{NAME}` is `{now}` and should be `{wanted}`: {why}", system=system,
        mend="take it off the command line and restart the server" if fixed else "see the server's log",
    )  # fmt: skip
