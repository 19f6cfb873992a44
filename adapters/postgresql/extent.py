"""Turns a database into how much there is: rows of bound tables, bytes of log kept for our slot.

Rows are the server's own estimate, so that nothing is counted and nobody waits. It never writes.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from adapters.postgresql.names import slot_name
from adapters.postgresql.resume import check_slot
from engine.rulebook import RuleBook
from engine.vocabulary import Position

ROWS: Final = """
SELECT greatest(coalesce(c.reltuples, 0), 0)::bigint
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS w(schema, name, place)
LEFT JOIN pg_namespace n ON n.nspname = w.schema
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
ORDER BY w.place
"""

KEPT: Final = """
SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn), 0)::bigint
FROM pg_replication_slots WHERE slot_name = %s
"""


def rows_about(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> list[int]:
    """By table number: about how many rows it has; 0 if nobody knows. Raises psycopg.Error."""
    tables = book.tables[system]
    found = conn.execute(ROWS, [[table.schema for table in tables], [table.name for table in tables]])
    return [int(count) for (count,) in found]


def log_kept(conn: psycopg.Connection[Any], book: RuleBook, system: str, position: Position) -> int:
    """How many bytes of log the server keeps, so that it can be read on from `position`.

    Raises psycopg.Error; SystemStopped or SlotBusy if it could not be read on from there."""
    slot = slot_name(book.name, system)
    check_slot(conn, system, slot, position)
    row = conn.execute(KEPT, [slot]).fetchone()
    return int(row[0]) if row is not None else 0
