"""Turns a position in our store and a server's catalog into a verdict: may reading go on here, without a gap?

Every way in which it may not has its own error and its own mend. Nothing is repaired, created or skipped here, and
nothing ever goes on "from now". It only reads, on an ordinary connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from adapters.postgresql.session import lsn_number, lsn_text
from engine.errors import (
    PositionForeign,
    PublicationMissing,
    SchemaChanged,
    SlotBusy,
    SlotLost,
    SlotMissing,
    StoreBehind,
    SystemUnavailable,
    WrongServer,
)
from engine.rulebook import Table

Connection = psycopg.Connection[Any]

# Rows come back as JSON, so that a column which an older server does not have is simply not there.
SLOT: Final = "SELECT to_jsonb(s) FROM pg_replication_slots s WHERE slot_name = %s"
PUBLICATION: Final = "SELECT to_jsonb(p) FROM pg_publication p WHERE pubname = %s"
PUBLISHED: Final = "SELECT to_jsonb(t) FROM pg_publication_tables t WHERE pubname = %s"
RELATION: Final = """
    SELECT c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %s AND c.relname = %s"""
READER: Final = "SELECT application_name, host(client_addr) FROM pg_stat_activity WHERE pid = %s"
IDENTITY: Final = """
    SELECT (SELECT system_identifier::text FROM pg_control_system()),
           (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
           substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Which server's log a position belongs to: of another one it means nothing."""

    system_identifier: str
    """Made by initdb; a physical copy keeps it."""
    database: int
    """The database's oid: one that was dropped and made again has another."""
    timeline: int
    """Goes up when a standby is promoted, or a backup restored."""

    def __str__(self) -> str:
        return f"{self.system_identifier}/{self.database}/{self.timeline}"

    @classmethod
    def parse(cls, text: str) -> ServerIdentity:
        """What `str` made. Raises ValueError."""
        system_identifier, database, timeline = text.split("/")
        return cls(system_identifier, int(database), int(timeline))


def read_identity(connection: Connection, system: str = "") -> ServerIdentity:
    """The identity of the server that a connection leads to.

    Raises SystemUnavailable while it is a standby: then its timeline is not its own."""
    (recovering,) = _row(connection, "SELECT pg_is_in_recovery()")
    if recovering:
        raise SystemUnavailable(
            "the server is a standby in recovery", system=system, mend="point the address at the primary, or promote it"
        )
    system_identifier, database, timeline = _row(connection, IDENTITY)
    return ServerIdentity(system_identifier, database, int(timeline, 16))


def check_identity(connection: Connection, system: str, identity: ServerIdentity) -> None:
    """Raises WrongServer if the connection leads to another server, database or timeline than `identity`."""
    found = read_identity(connection, system)
    what = (
        ("system identifier", identity.system_identifier, found.system_identifier),
        ("database oid", identity.database, found.database),
        ("timeline", identity.timeline, found.timeline),
    )
    changed = [f"the {name} is {now}, not {was}" for name, was, now in what if was != now]
    if not changed:
        return
    only_timeline = found == ServerIdentity(identity.system_identifier, identity.database, found.timeline)
    cause = "a standby was promoted or a backup restored" if only_timeline else "this is not the server of our position"
    raise WrongServer(
        f"{cause}: {', '.join(changed)}",
        system=system,
        mend="point the address at the server that was set up; if this is to be the server from now on: "
        "`duolog setup RULES`, then `duolog run RULES --merge-again`",
    )


def check_slot(connection: Connection, system: str, slot: str, resume: int, *, mine: bool = False) -> None:
    """Raises WrongServer, SlotMissing, SlotLost, SlotBusy, StoreBehind or PositionForeign unless reading may resume.

    `mine`: it is a temporary one, and so held by our own session."""
    row = connection.execute(SLOT, [slot]).fetchone()
    if row is None:
        raise SlotMissing(
            f"the replication slot `{slot}` does not exist; changes after {lsn_text(resume)} may be lost",
            system=system,
            mend="`duolog setup RULES` makes it again, then `duolog run RULES --merge-again` compares both sides",
        )
    facts: Mapping[str, Any] = row[0]
    _check_slot_kind(connection, system, slot, facts)
    reason = facts.get("invalidation_reason") or ("conflict with recovery" if facts.get("conflicting") else None)
    # `unreserved` is not refused: its log may still be there, and reading on is all that can save it.
    if facts.get("wal_status") == "lost" or reason is not None:
        raise lost(system, slot, reason or "wal_removed")
    if facts["active"] and not mine:
        raise _busy(connection, system, slot, facts["active_pid"])
    confirmed = lsn_number(facts["confirmed_flush_lsn"] or "0/0")
    if confirmed > resume:
        raise StoreBehind(
            f"the slot `{slot}` was confirmed up to {lsn_text(confirmed)}, but our store has read only up to "
            f"{lsn_text(resume)}: what lies between was never read",
            system=system,
            mend="start with the store that belongs to the slot, or compare both sides with "
            "`duolog run RULES --merge-again`",
        )
    check_position(connection, system, resume)


def check_publication(connection: Connection, system: str, publication: str, tables: Sequence[Table]) -> None:
    """Raises PublicationMissing or SchemaChanged unless everything bound is published, whatever is done to it."""
    row = connection.execute(PUBLICATION, [publication]).fetchone()
    name = sql.Identifier(publication)
    if row is None:
        listed = sql.SQL(", ").join(sql.Identifier(table.schema, table.name) for table in tables)
        raise PublicationMissing(
            f"the publication `{publication}` does not exist",
            system=system,
            mend=sql.SQL("CREATE PUBLICATION {} FOR TABLE {}").format(name, listed).as_string(connection),
        )
    silent = [kind for kind in ("insert", "update", "delete", "truncate") if not row[0][f"pub{kind}"]]
    if silent:
        statement = sql.SQL("ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate')").format(name)
        raise PublicationMissing(
            f"the publication `{publication}` leaves out: {', '.join(silent)}",
            system=system,
            mend=statement.as_string(connection),
        )
    published = {(r["schemaname"], r["tablename"]): r for (r,) in connection.execute(PUBLISHED, [publication])}
    missing = [table for table in tables if (table.schema, table.name) not in published]
    if missing:
        raise _unpublished(connection, system, publication, missing)
    for table in tables:
        _check_columns(connection, system, publication, table, published[table.schema, table.name])


def lost(system: str, slot: str, reason: str) -> SlotLost:
    """The server gave up the log that `slot` needed."""
    return SlotLost(
        f"the slot `{slot}` has lost the log that it needed (`{reason}`)",
        system=system,
        mend=f"SELECT pg_drop_replication_slot('{slot}'); then `duolog setup RULES` and "
        "`duolog run RULES --merge-again`; raise max_slot_wal_keep_size",
    )


def _check_slot_kind(connection: Connection, system: str, slot: str, facts: Mapping[str, Any]) -> None:
    (database,) = _row(connection, "SELECT current_database()")
    if facts["plugin"] == "pgoutput" and facts["database"] == database:
        return
    raise WrongServer(
        f"the slot `{slot}` is not ours: its plugin is `{facts['plugin']}` and its database `{facts['database']}`, "
        f"where `pgoutput` and `{database}` are needed",
        system=system,
        mend="give this engine another name, or drop the slot and run `duolog setup RULES`",
    )


def _busy(connection: Connection, system: str, slot: str, pid: int) -> SlotBusy:
    row = connection.execute(READER, [pid]).fetchone()
    name, address = row if row is not None else (None, None)
    return SlotBusy(
        f"the slot `{slot}` is being read by process {pid} (application `{name or 'unknown'}`, "
        f"from {address or 'this machine'})",
        system=system,
        mend=f"stop that reader; if it is dead already: SELECT pg_terminate_backend({pid})",
    )


def check_position(connection: Connection, system: str, resume: int) -> None:
    """Raises PositionForeign if the server's log ends before `resume`."""
    (text,) = _row(connection, "SELECT pg_current_wal_lsn()::text")
    if resume > lsn_number(text):
        raise PositionForeign(
            f"our store has read up to {lsn_text(resume)}, but the server's log ends at {text}: "
            "it was restored from a backup",
            system=system,
            mend="restore our store of the same time, or compare both sides with `duolog run RULES --merge-again`",
        )


def _unpublished(connection: Connection, system: str, publication: str, missing: Sequence[Table]) -> Exception:
    for table in missing:
        row = connection.execute(RELATION, [table.schema, table.name]).fetchone()
        if row is None:
            return SchemaChanged(
                f"the table `{table.schema}.{table.name}` does not exist",
                system=system,
                mend="rename it back; or change the rules, and let `duolog check RULES` confirm it",
            )
        if row[0] == "p":
            by_root = sql.SQL("ALTER PUBLICATION {} SET (publish_via_partition_root = true)")
            return PublicationMissing(
                f"the publication `{publication}` sends the partitions of `{table.schema}.{table.name}`, not the table",
                system=system,
                mend=by_root.format(sql.Identifier(publication)).as_string(connection),
            )
    names = ", ".join(f"`{table.schema}.{table.name}`" for table in missing)
    listed = sql.SQL(", ").join(sql.Identifier(table.schema, table.name) for table in missing)
    statement = sql.SQL("ALTER PUBLICATION {} ADD TABLE {}").format(sql.Identifier(publication), listed)
    return PublicationMissing(
        f"the publication `{publication}` does not contain the bound {names}",
        system=system,
        mend=f"{statement.as_string(connection)}; then compare with `duolog run RULES --merge-again`: "
        "what was written meanwhile was not sent",
    )


def _check_columns(
    connection: Connection, system: str, publication: str, table: Table, published: Mapping[str, Any]
) -> None:
    listed = published.get("attnames")  # from version 15 on; the columns that are sent
    if listed is None:
        return
    hidden = [name for name in table.columns if name not in listed]
    if hidden:
        raise PublicationMissing(
            f"the publication `{publication}` does not send the bound column "
            f"{', '.join(f'`{name}`' for name in hidden)} of `{table.schema}.{table.name}`",
            system=system,
            mend="publish the table without a column list, or with these columns; if they are gone, change the rules",
        )


def _row(connection: Connection, statement: str) -> tuple[Any, ...]:
    """The one row of a statement that always has one."""
    row = connection.execute(statement).fetchone()
    assert row is not None
    return tuple(row)
