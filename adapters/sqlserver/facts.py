"""Turns a live SQL Server into facts for preflight and setup: what it can do, what of it is captured, what we may do.

It asks for nothing that it has no right to: rights are asked for first. It changes nothing and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from adapters.sqlserver import instances, positions, resume
from adapters.sqlserver.instances import Instance, Name
from engine.errors import CaptureStopped
from engine.rulebook import Table

SERVER: Final = (
    "SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS int), CAST(SERVERPROPERTY('EngineEdition') AS int), "
    "d.compatibility_level, d.is_cdc_enabled, d.snapshot_isolation_state, d.delayed_durability, d.collation_name, "
    "d.name FROM sys.databases d WHERE d.database_id = DB_ID()"
)
TRACKED_DATABASE: Final = (
    "SELECT t.retention_period, t.retention_period_units_desc FROM sys.change_tracking_databases t "
    "WHERE t.database_id = DB_ID()"
)
TABLES: Final = (
    "SELECT SCHEMA_NAME(t.schema_id), t.name, t.object_id, t.is_tracked_by_cdc, "
    "CASE WHEN c.object_id IS NULL THEN 0 ELSE 1 END FROM sys.tables t "
    "LEFT JOIN sys.change_tracking_tables c ON c.object_id = t.object_id"
)
COLUMNS: Final = sa.text(
    "SELECT c.name, c.collation_name, c.is_computed FROM sys.columns c WHERE c.object_id = :table"
)
LARGEST: Final = (
    "SELECT CAST(c.value_in_use AS bigint) FROM sys.configurations c WHERE c.name LIKE 'max text repl size%'"
)
MAY_SEE_JOBS: Final = "SELECT HAS_PERMS_BY_NAME('msdb.dbo.cdc_jobs', 'OBJECT', 'SELECT')"
RETENTION: Final = (
    "SELECT j.retention FROM msdb.dbo.cdc_jobs j WHERE j.database_id = DB_ID() AND j.job_type = 'cleanup'"
)
MAY: Final = sa.text("SELECT HAS_PERMS_BY_NAME(:name, :kind, :right)")
MAY_SOME: Final = sa.text(
    "SELECT MAX(HAS_PERMS_BY_NAME(:name, 'OBJECT', :right, c.name, 'COLUMN')) FROM sys.columns c "
    "WHERE c.object_id = :table"
)
GATED: Final = (
    "SELECT t.capture_instance, t.role_name FROM cdc.change_tables t WHERE t.role_name IS NOT NULL "
    "AND USER_NAME() <> 'dbo' AND COALESCE(IS_MEMBER('db_owner'), 0) = 0 AND COALESCE(IS_MEMBER(t.role_name), 0) = 0"
)
"""Who owns the database may read all of them, and is said to be a member of none of these roles."""

EXPRESS: Final = 4
AZURE: Final = frozenset({resume.AZURE_DATABASE, 8})
"""Of the editions: those whose version is always 12, whatever they can do."""
MINUTES: Final[Mapping[str, int]] = {"MINUTES": 1, "HOURS": 60, "DAYS": 1440}


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One bound table, or the ledger."""

    id: int
    by_cdc: bool
    by_tracking: bool
    collations: Mapping[str, str] = field(default_factory=dict)
    """By column of characters."""
    computed: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    """Which of SELECT, INSERT, UPDATE, DELETE and VIEW CHANGE TRACKING we may; the first three perhaps of some columns
    only."""


@dataclass(frozen=True, slots=True)
class Facts:
    """See the module."""

    system: str
    database: str
    version: int
    """Of the server: 13 is 2016."""
    edition: int
    compatibility: int
    cdc: bool
    tracking: bool
    snapshots: bool
    """Snapshot isolation is allowed."""
    delayed: bool
    """A commit may let go of its locks before it is in the log's file."""
    collation: str
    largest: int
    """Bytes of a captured large value, at most; -1: any."""
    kept_minutes: int | None
    """How long changes are kept; None: we may not know."""
    stopped: str
    """What is wrong with the capture; empty: nothing."""
    sees: tuple[bool, bool]
    """We may see (our own transaction, the log's end)."""
    reads_cdc: bool
    """We may read the schema `cdc`."""
    tables: Mapping[Name, TableFacts]
    instances: Sequence[Instance] = ()
    closed: Mapping[str, str] = field(default_factory=dict)
    """The instances that we may not read, each with the role that may."""


RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "VIEW CHANGE TRACKING")


def gather(conn: sa.Connection, system: str, tables: Sequence[Table], ledger: sa.Table) -> Facts:
    """All facts. Raises sqlalchemy.exc.DBAPIError."""
    version, edition, level, cdc, snapshot, delayed, collation, database = conn.exec_driver_sql(SERVER).one()
    tracked = conn.exec_driver_sql(TRACKED_DATABASE).first()
    wanted = {(table.schema, table.name) for table in tables} | {(ledger.schema or "", ledger.name)}
    reads = bool(cdc) and _may(conn, "cdc", "SCHEMA", "SELECT")
    largest = conn.exec_driver_sql(LARGEST).scalar()
    kept = MINUTES.get(tracked[1], 1440) * int(tracked[0]) if tracked is not None and not cdc else None
    return Facts(
        system=system, database=database, version=int(version or 0), edition=int(edition or 0),
        compatibility=int(level), cdc=bool(cdc), tracking=tracked is not None, snapshots=int(snapshot) == 1,
        delayed=int(delayed or 0) > 0, collation=collation or "",
        largest=-1 if largest is None else int(largest),
        kept_minutes=_retention(conn) if cdc else kept, stopped=_stopped(conn, system) if reads else "",
        sees=positions.may_see(conn), reads_cdc=reads,
        tables={name: _table(conn, name, *rest) for name, rest in _tables(conn).items() if name in wanted},
        instances=instances.read(conn) if reads else (),
        closed=dict(conn.exec_driver_sql(GATED).tuples()) if reads else {},
    )  # fmt: skip


def _tables(conn: sa.Connection) -> dict[Name, tuple[int, bool, bool]]:
    rows = conn.exec_driver_sql(TABLES).all()
    return {(schema, name): (number, bool(cdc), bool(tracked)) for schema, name, number, cdc, tracked in rows}


def _table(conn: sa.Connection, name: Name, number: int, cdc: bool, tracked: bool) -> TableFacts:
    columns = conn.execute(COLUMNS, {"table": number}).all()
    place = ".".join(bracketed(part) for part in name)
    return TableFacts(
        number, cdc, tracked, {each: collation for each, collation, _ in columns if collation},
        frozenset(each for each, _, computed in columns if computed),
        frozenset(
            right for right in RIGHTS
            if _may(conn, place, "OBJECT", right) or _may_some(conn, place, number, right)
        ),
    )  # fmt: skip


def _may(conn: sa.Connection, name: str, kind: str, right: str) -> bool:
    return bool(conn.execute(MAY, {"name": name, "kind": kind, "right": right}).scalar())


def _may_some(conn: sa.Connection, name: str, table: int, right: str) -> bool:
    if right not in RIGHTS[:3]:
        return False
    return bool(conn.execute(MAY_SOME, {"name": name, "right": right, "table": table}).scalar())


def _retention(conn: sa.Connection) -> int | None:
    if not conn.exec_driver_sql(MAY_SEE_JOBS).scalar():
        return None
    told = conn.exec_driver_sql(RETENTION).scalar()
    return None if told is None else int(told)


def _stopped(conn: sa.Connection, system: str) -> str:
    try:
        resume.check_capture(conn, system)
    except CaptureStopped as stopped:
        return stopped.found
    return ""


def bracketed(name: str) -> str:
    """A name in brackets."""
    return "[" + name.replace("]", "]]") + "]"
