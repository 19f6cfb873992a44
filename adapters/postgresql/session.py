"""Turns an address into a PostgreSQL connection on which every value prints the same text, and its errors
into ours.

The fixed settings go out with the connection request (`options`), so they hold for replication connections
too: the text that pgoutput sends is the text that a SELECT shows. It never logs, retries or waits, and no
password leaves it in a message.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import conninfo

from engine.errors import (
    AccessDenied,
    DuologError,
    SchemaChanged,
    SystemStopped,
    SystemUnavailable,
    ValueRefused,
)

SETTINGS: Final[Mapping[str, str]] = {
    # How values print.
    "client_encoding": "UTF8",
    "datestyle": "ISO,YMD",
    "intervalstyle": "iso_8601",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "standard_conforming_strings": "on",
    # What we may see: an error rather than rows that a policy silently leaves out.
    "row_security": "off",
    # How we commit: a synchronous standby may be ourselves, and must not be waited for by ourselves.
    "synchronous_commit": "local",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # Limits that a role or database may have set for its interactive users.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
"""Session settings by name. Not `search_path`: the application's triggers, which run in our sessions, may
need theirs."""

CONNECTION_DEFAULTS: Final[Mapping[str, str]] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""A peer that silently vanished is noticed within about 25 s. What the address says goes before."""

KEEPS_TRYING: Final = "none needed if it passes: duolog keeps trying"

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

CONNECT_DENIED: Final = (
    "password authentication failed",
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "pg_hba.conf rejects",
    "does not exist",
    "is not permitted to log in",
    "permission denied",
    "must be superuser or replication role",
    "certificate",
    "SSL error",
    "server does not support SSL",
    "is not currently accepting connections",
)
"""libpq tells no SQLSTATE while connecting: these words mean that trying again will not help."""


def session_options(existing: str = "") -> str:
    """The fixed settings as a libpq `options` value, after (so over) what the address has there."""
    fixed = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SETTINGS.items())
    return f"{existing} {fixed}".strip()


def connection_string(
    url: str, *, application_name: str, replication: bool = False, plain: bool = False, system: str = ""
) -> str:
    """The address with our settings, as a libpq connection string; for `replication`, of a logical walsender.
    `plain`: without the settings of the session, as an application connects.

    Raises AccessDenied (without quoting it, as it may hold a password) if the address cannot be
    understood."""
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise AccessDenied(
            "the address is not a PostgreSQL URL or connection string",
            system=system,
            mend="write it as postgresql://user@host:5432/database, special characters percent-encoded",
        ) from None
    given = {name: str(value) for name, value in parameters.items() if value is not None}
    if not _is_local(given) and "sslmode" not in given and "PGSSLMODE" not in os.environ:
        given["sslmode"] = "verify-full"
    ours = {"application_name": application_name, "options": session_options(given.get("options", ""))}
    if plain:
        del ours["options"]
    if replication:
        ours["replication"] = "database"
    return conninfo.make_conninfo(**{**CONNECTION_DEFAULTS, **given, **ours})


def connect(system: str, url: str, *, application_name: str) -> psycopg.Connection[Any]:
    """An ordinary connection with the fixed settings, each statement its own transaction.

    Raises SystemUnavailable (try again) or AccessDenied (a person is needed)."""
    text = connection_string(url, application_name=application_name, system=system)
    try:
        return psycopg.connect(text, autocommit=True)
    except psycopg.Error as error:
        raise translate_connect(error, system, url) from None


def translate_connect(error: psycopg.Error, system: str, url: str) -> DuologError:
    """A failure to connect to `url`, as one of ours."""
    found = without_password(" ".join(str(error).split()), url)
    timed_out = isinstance(error, psycopg.errors.ConnectionTimeout)
    if not timed_out and any(word in found for word in CONNECT_DENIED):
        return AccessDenied(found, system=system, mend=_connect_mend(found))
    return SystemUnavailable(found, system=system, mend=KEEPS_TRYING)


def translate(error: psycopg.Error, system: str) -> DuologError:
    """An error of a statement or a connection in use, as one of ours. No value of a row is ever quoted.

    Only messages of error classes that cannot contain values are passed on; the DETAIL never is."""
    state = error.sqlstate
    if state is None:
        return _translate_stateless(error, system)
    said = (error.diag.message_primary or state) + f" (SQLSTATE {state})"
    if state.startswith(("08", "53", "57")) or state in ("40001", "40P01", "55P03", "55006"):
        return SystemUnavailable(said, system=system, mend=KEEPS_TRYING)
    if state == "25006":
        return SystemUnavailable(
            "the server is read-only: a standby, or set so", system=system,
            mend="point the address at the primary, or promote this server",
        )
    if state.startswith("28") or state in ("42501", "3D000"):
        return AccessDenied(said, system=system, mend="GRANT what is named to the role of the address")
    if state in ("42P01", "42703", "3F000"):
        return SchemaChanged(said, system=system, mend="`duolog check` tells what changed")
    if state.startswith(("21", "22", "23", "44", "P0")):
        return ValueRefused(_refusal(error, state), system=system)
    if not state.startswith(("0A", "25", "42", "55", "58", "F0", "XX")):
        said = _refusal(error, state)
    return SystemStopped(said, system=system, mend=f"see the server's log for SQLSTATE {state}")


def without_password(text: str, url: str) -> str:
    """`text` with every password that `url` holds blotted out."""
    try:
        parameters = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the address cannot be understood"
    for name in ("password", "sslpassword", "oauth_client_secret"):
        secret = parameters.get(name)
        if secret:
            text = text.replace(str(secret), "********")
    return text


def lsn_text(position: int) -> str:
    """A position as PostgreSQL prints it: `16/B374D848`."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The position that PostgreSQL prints as `16/B374D848`. Raises ValueError if it is not one."""
    high, slash, low = text.partition("/")
    number = (int(high, 16) << 32) + int(low, 16) if slash else -1
    if not (0 <= number < 1 << 64) or len(low) > 8 or len(high) > 8:
        raise ValueError(f"`{text}` is not a log position such as `16/B374D848`")
    return number


def _is_local(given: Mapping[str, str]) -> bool:
    """True if nothing leaves this machine: a Unix socket, or the loopback interface."""
    hosts = given.get("hostaddr") or given.get("host") or os.environ.get("PGHOST", "")
    return all(not host or host.startswith(("/", "@")) or host in LOOPBACK for host in hosts.split(","))


def _connect_mend(found: str) -> str:
    if "certificate" in found or "SSL" in found:
        return "name the server's CA with sslrootcert=..., and the host as its certificate has it"
    if "pg_hba.conf" in found:
        return "add a line for this role, database and address (and for replication) to pg_hba.conf"
    if "replication role" in found:
        return "ALTER ROLE ... REPLICATION"
    return "check role, password and database name in the address"


def _translate_stateless(error: psycopg.Error, system: str) -> DuologError:
    """Errors that the client library raised itself: a cut connection, or a defect of ours."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        said = " ".join(str(error).split()) or "the connection was lost"
        return SystemUnavailable(said, system=system, mend=KEEPS_TRYING)
    said = f"the client library refused a value or call ({type(error).__name__})"
    return SystemStopped(said, system=system)


def _refusal(error: psycopg.Error, state: str) -> str:
    """Why a row was refused, by the names of things only."""
    diag = error.diag
    named = (
        ("table", diag.table_name), ("column", diag.column_name),
        ("constraint", diag.constraint_name), ("type", diag.datatype_name),
    )
    where = ", ".join(f"{kind} `{name}`" for kind, name in named if name)
    reason = type(error).__name__
    return f"{reason} (SQLSTATE {state})" + (f": {where}" if where else "")
