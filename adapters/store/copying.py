"""Copies what a store holds into a SQLite file, at one moment, while an engine may be running on it.

For those who want to try something on what is known, and throw it away: it only reads, takes no lock, and lets nobody
wait. From PostgreSQL the journal is left behind: no decision looks at it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, insert, select

from adapters.store import folder
from adapters.store.schema import journal, tables

ROWS: Final = 2000
"""Rows that are in memory at a time."""


def copy_file(reading: sqlite3.Connection, path: Path) -> None:
    """A whole SQLite database, as it was committed last."""
    folder.make(path)
    written = sqlite3.connect(path)
    try:
        reading.backup(written)
    finally:
        written.close()


def copy_tables(reading: Connection, path: Path) -> None:
    """Table by table, inside one transaction that sees one moment."""
    folder.make(path)
    copy = create_engine(f"sqlite:///{path}", hide_parameters=True)
    reading.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        with copy.begin() as writing:
            tables.create_all(writing)
            for table in tables.sorted_tables:
                if table is journal:
                    continue
                found = reading.execute(select(table), execution_options={"stream_results": True})
                for rows in found.partitions(ROWS):
                    writing.execute(insert(table), [row._asdict() for row in rows])
    finally:
        reading.exec_driver_sql("ROLLBACK")
        copy.dispose()
