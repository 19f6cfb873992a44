"""Turns what SQL Server tells of itself into whether a log may be read on from a position, and by whom it is filled.

Each way in which reading on would be wrong has its own answer and its mend. It changes nothing, and reads no row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.sqlserver import lsn, positions
from adapters.sqlserver.questions import NOW
from engine.errors import CaptureMissing, CaptureStopped, PositionForeign, WrongServer
from engine.vocabulary import Position

DATABASE: Final = (
    "SELECT d.name, d.create_date, d.is_cdc_enabled, CAST(SERVERPROPERTY('EngineEdition') AS int) "
    "FROM sys.databases d WHERE d.database_id = DB_ID()"
)
RECOVERY: Final = (
    "SELECT r.family_guid, r.recovery_fork_guid FROM sys.database_recovery_status r WHERE r.database_id = DB_ID()"
)
"""Shown to those who may alter a database or see the server's state; others see no row, or NULL."""
AZURE_DATABASE: Final = 5
"""Of the editions: it captures without an Agent, by a scheduler of its own, and tells nobody of its recovery."""
LAST_SCAN: Final = (
    "SELECT s.start_time, s.end_time FROM sys.dm_cdc_log_scan_sessions s "
    "WHERE s.session_id = (SELECT MAX(o.session_id) FROM sys.dm_cdc_log_scan_sessions o)"
)
LAST_CAPTURED: Final = "SELECT MAX(m.tran_end_time) FROM cdc.lsn_time_mapping m"
MAY_SEE_SCANS: Final = "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE')"

silence_max: Final = timedelta(minutes=15)
"""The capture job writes a row at least every few minutes, also when nobody changes anything."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database it is."""

    name: str
    made_at: str
    family: str
    """What its backups have in common, and it has with other databases restored of them; empty: we may not know."""
    fork: str
    """What only it has, since it was last restored; empty: we may not know."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The other way of `str`; None if it is not known."""
        return cls(**json.loads(text)) if text else None

    def __str__(self) -> str:
        told = {"name": self.name, "made_at": self.made_at, "family": self.family, "fork": self.fork}
        return json.dumps(told, sort_keys=True)

    def is_same(self, other: Identity) -> bool:
        """True if both are one database; what only one of them could see does not count."""
        forks = (self.fork, other.fork)
        if all(forks):
            return forks[0] == forks[1]
        return (self.name, self.made_at) == (other.name, other.made_at)


@dataclass(frozen=True, slots=True)
class Database:
    """What the database tells of itself."""

    identity: Identity
    captured: bool
    """Change data capture is on."""


def read_database(conn: sa.Connection) -> Database:
    """See `Database`. Raises sqlalchemy.exc.DBAPIError."""
    name, made_at, captured, edition = conn.exec_driver_sql(DATABASE).one()
    told_of = conn.exec_driver_sql(RECOVERY).first() if edition != AZURE_DATABASE else None
    family, fork = told_of or (None, None)
    told = made_at.isoformat() if isinstance(made_at, datetime) else str(made_at)
    return Database(Identity(name, told, _guid(family), _guid(fork)), bool(captured))


def check_database(found: Database, identity: Identity | None, system: str, *, needs_capture: bool = True) -> None:
    """Raises WrongServer, CaptureMissing."""
    if identity is not None and not found.identity.is_same(identity):
        raise WrongServer(
            f"this is the database `{found.identity.name}` made at {found.identity.made_at}, or a copy restored from a "
            f"backup; the positions in the store belong to `{identity.name}` made at {identity.made_at}",
            system=system, mend="set the address back; after a restored backup `duolog setup RULES`, then "
            "`duolog run RULES --merge-again`",
        )  # fmt: skip
    if needs_capture and not found.captured:
        raise CaptureMissing(
            f"change data capture of the database `{found.identity.name}` is off", system=system,
            mend="EXEC sys.sp_cdc_enable_db; `duolog setup RULES`, then `duolog run RULES --merge-again`",
        )  # fmt: skip


def check_position(conn: sa.Connection, resume: Position, system: str) -> None:
    """Raises PositionForeign if the log has not come to a position; sqlalchemy.exc.DBAPIError."""
    end = positions.log_end(conn)
    if end is not None and end < lsn.of_position(resume):
        raise PositionForeign(
            f"our position {lsn.text(lsn.of_position(resume))} is beyond the log's end at {lsn.text(end)}: the "
            "database was restored from a backup",
            system=system, mend="`duolog setup RULES`, then `duolog run RULES --merge-again`",
        )  # fmt: skip


def check_capture(conn: sa.Connection, system: str) -> None:
    """Raises CaptureStopped if nobody carries changes out of the log; sqlalchemy.exc.DBAPIError."""
    last, (now, _) = conn.exec_driver_sql(LAST_CAPTURED).scalar(), conn.exec_driver_sql(NOW).one()
    seen = [last] if last is not None else []
    if conn.exec_driver_sql(MAY_SEE_SCANS).scalar():
        for begun, ended in conn.exec_driver_sql(LAST_SCAN):
            seen.append(now if ended is None and begun is not None else ended or begun)
    if seen and now - max(seen) > silence_max:
        raise CaptureStopped(
            f"no capture since {max(seen):%Y-%m-%d %H:%M:%S} by the server's clock: SQL Server's Agent or the capture "
            "job is stopped",
            system=system, mend="start SQL Server's Agent; then EXEC sys.sp_cdc_start_job @job_type = N'capture'",
        )  # fmt: skip


def is_out_of_range(error: exc.DBAPIError) -> bool:
    """True for the misleading answer to a question for changes that are not there any more."""
    said = str(error.orig)
    return any(number in said for number in OUT_OF_RANGE)


OUT_OF_RANGE: Final = ("(313)", "(208)", "insufficient number of arguments")


def _guid(told: object) -> str:
    return "" if told is None else str(told).lower()
