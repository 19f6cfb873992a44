"""The SQL of the table `duolog.degraded`: the ranges of a system's log whose commits did not wait for the others.

Turns its rows into `Degraded`. A range is put there before anybody is let go, and ended once a commit was seen to wait
again; of each engine one at most is open. It holds no connection; its SQL is run by `switch` and `setup`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.postgresql.session import lsn_number
from adapters.relational.switch import Degraded

TABLE: Final = "duolog.degraded"

CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS duolog.degraded ("
    "engine text NOT NULL, since_position pg_lsn NOT NULL, since_at timestamptz NOT NULL DEFAULT clock_timestamp(), "
    "until_position pg_lsn, until_at timestamptz, why text NOT NULL, by text NOT NULL, "
    "stays boolean NOT NULL DEFAULT false, others text); "
    "CREATE UNIQUE INDEX IF NOT EXISTS degraded_open ON duolog.degraded (engine) WHERE until_position IS NULL"
)
"""`others`: what `synchronous_standby_names` was before the range ended, when we were put in."""

OPEN: Final = (
    "INSERT INTO duolog.degraded AS d (engine, since_position, why, by, stays) "
    "VALUES (%(engine)s, %(since)s::pg_lsn, %(why)s, %(by)s, %(stays)s) "
    "ON CONFLICT (engine) WHERE until_position IS NULL DO UPDATE SET stays = d.stays OR excluded.stays "
    "RETURNING to_jsonb(d) || jsonb_build_object('since_s', extract(epoch FROM d.since_at), 'version', d.xmin::text)"
)
"""Opens a range, or changes the open one: then, too, its row is another version, by which who ends it sees that
somebody let go meanwhile."""

FIRST: Final = (
    "INSERT INTO duolog.degraded (engine, since_position, why, by) "
    "SELECT {engine}, pg_current_wal_lsn(), 'never armed yet', 'setup' "
    "WHERE NOT EXISTS (SELECT FROM duolog.degraded WHERE engine = {engine})"
)
"""What is true from the beginning."""

END: Final = (
    "UPDATE duolog.degraded SET until_position = %(until)s::pg_lsn, until_at = clock_timestamp(), others = %(others)s "
    "WHERE engine = %(engine)s AND until_position IS NULL AND xmin::text = %(version)s RETURNING 1"
)
"""Ends the open range, if that is still the version that was read."""

ALLOW: Final = (
    "UPDATE duolog.degraded SET stays = false WHERE engine = %(engine)s AND until_position IS NULL AND stays "
    "RETURNING 1"
)

HISTORY: Final = (
    "SELECT to_jsonb(d) || jsonb_build_object("
    "'since_s', extract(epoch FROM d.since_at), 'until_s', extract(epoch FROM d.until_at)) "
    "FROM duolog.degraded d WHERE engine = %(engine)s ORDER BY since_at DESC, until_at DESC NULLS FIRST"
)

SETUP: Final = (
    "INSERT INTO duolog.degraded (engine, since_position, why, by) SELECT %(engine)s, "
    "coalesce(max(until_position), '0/0'), %(why)s, 'setup' FROM duolog.degraded WHERE engine = %(engine)s "
    "ON CONFLICT (engine) WHERE until_position IS NULL DO NOTHING"
)
"""Opens a range, if none is, where the last one ended: without a slot nothing later is known to have waited."""

ANY: Final = "SELECT FROM duolog.degraded WHERE engine = %s LIMIT 1"


def degraded(row: Mapping[str, Any]) -> Degraded:
    """A row, as JSON with its times as seconds, as a range."""
    until, until_at = row["until_position"], row.get("until_s")
    return Degraded(
        since=lsn_number(row["since_position"]),
        since_at=float(row["since_s"]),
        until=None if until is None else lsn_number(until),
        until_at=None if until_at is None else float(until_at),
        why=row["why"],
        by=row["by"],
        stays=row["stays"],
    )
