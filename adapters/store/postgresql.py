"""A store in a schema of a PostgreSQL database: one statement, whatever the number of records, each way.

Records travel as binary arrays (`unnest`). The connection that commits also holds the engine's advisory lock and is
never made anew: once it is lost, this engine can commit nothing more, and another may have started.

Commits are flushed to this server's disk and wait for no standby (`synchronous_commit = local`): the standby that a
synchronous system waits for is duolog itself, which would then wait for its own store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, create_engine, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from adapters.store.copying import copy_tables
from adapters.store.lock import Holder, advisory_key, take_advisory
from adapters.store.place import EntryRow, FoundRow, PendingRow, RecordRow, checked, grouped, no_nul, told
from adapters.store.schema import SCHEMA, Insert, Removal
from adapters.store.schema import status as status_table
from engine.ports import Entry

LOAD_KEYS_MAX: Final = 5000
PENDING_PAGE_ROWS: Final = 200


class PostgresSchema:
    """Implements `Place` for one database."""

    def __init__(self, url: str, part: str | None = None) -> None:
        """`url`: `postgresql+psycopg://...` or `postgresql://...`; connects only when asked to. `part`: of several
        stores in one database, each of which has a schema and a lock of its own."""
        self._schema = SCHEMA if part is None else f"{SCHEMA}_{part}"
        self._make = f"CREATE SCHEMA IF NOT EXISTS {self._schema}"
        self._key = advisory_key(part)
        address = make_url(url).set(drivername="postgresql+psycopg")
        self.where = address.render_as_string(hide_password=True).replace("+psycopg", "")
        self.warnings: list[str] = []
        self._engine = create_engine(
            address, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True,
            connect_args={"application_name": "duolog store", "connect_timeout": 10},
        )  # fmt: skip

    def exists(self) -> bool:
        """True if the schema holds a store. Raises StoreUnfit if the server cannot be reached."""
        with told(self.where), self._engine.connect() as connection:
            return inspect(connection).has_table("meta", schema=self._schema)

    def create(self) -> None:
        """Makes the schema, unless it is there."""
        with told(self.where), self._engine.connect() as connection:
            connection.exec_driver_sql(_LOCAL)
            connection.exec_driver_sql(self._make)

    def connect(self, writing: bool) -> Connection:
        """See `Place`."""
        connection = self._engine.connect()
        session = (f"SET search_path = {self._schema}", *_SESSION)
        for setting in session if writing else (*session, _READ_ONLY):
            connection.exec_driver_sql(setting)
        return connection

    def inbox(self) -> Connection:
        """Readers and writers of different rows do not wait for each other here: an ordinary connection."""
        return self.connect(writing=True)

    def begin(self, writing: Connection) -> None:
        """See `Place`."""
        writing.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")

    def end(self, writing: Connection, rows: int) -> None:
        """See `Place`."""
        writing.exec_driver_sql("COMMIT")

    def undo(self, writing: Connection) -> None:
        """See `Place`."""
        driver = _driver(writing)
        if not driver.closed and driver.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            writing.exec_driver_sql("ROLLBACK")

    def insert(self, writing: Connection, statement: Insert, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts in one pipeline."""
        row = "(" + ", ".join(["%s"] * statement.columns) + ")"
        writing.exec_driver_sql(statement.head + row + statement.tail, list(rows))

    def remove(self, writing: Connection, statement: Removal, values: tuple[Any, ...]) -> None:
        """See `Place`."""
        _driver(writing).execute(statement.text("%s").encode(), values, prepare=True)

    def put_records(self, writing: Connection, rows: list[RecordRow]) -> None:
        """Inserts or replaces in one statement. Raises EngineFault for a key with NUL."""
        entities, keys, states, checksums = (list(column) for column in zip(*rows, strict=True))
        no_nul(keys, "a record key")
        _driver(writing).execute(_PUT_RECORDS, (entities, keys, states, checksums), prepare=True)

    def load(self, connection: Connection, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Place`."""
        found: dict[str, bytes] = {}
        with _driver(connection).cursor(binary=True) as cursor:
            for start in range(0, len(keys), LOAD_KEYS_MAX):
                wanted = list(keys[start : start + LOAD_KEYS_MAX])
                cursor.execute(_LOAD, (wanted, entity), prepare=True)
                for key, state, checksum in cursor.fetchall():
                    found[key] = checked(self.where, entity, key, state, checksum)
        return found

    def records_from(self, connection: Connection, entity: str, first: str, most: int) -> list[tuple[str, bytes]]:
        """See `Place`."""
        with _driver(connection).cursor(binary=True) as cursor:
            cursor.execute(_SCAN, (entity, first, most))
            return [
                (key, checked(self.where, entity, key, state, checksum))
                for key, state, checksum in cursor.fetchall()
            ]

    def put_entries(self, writing: Connection, rows: list[EntryRow]) -> None:
        """Inserts or replaces in one statement. Raises EngineFault for a text with NUL."""
        spaces, values, items, states = (list(column) for column in zip(*rows, strict=True))
        no_nul([*values, *items], "an entry")
        _driver(writing).execute(_PUT_ENTRIES, (spaces, values, items, states), prepare=True)

    def drop_entries(self, writing: Connection, entries: list[Entry]) -> None:
        """Deletes in one statement."""
        columns = tuple(list(column) for column in zip(*entries, strict=True))
        _driver(writing).execute(_DROP_ENTRIES, columns, prepare=True)

    def find(self, connection: Connection, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """See `Place`."""
        rows: list[FoundRow] = []
        with _driver(connection).cursor(binary=True) as cursor:
            for start in range(0, len(values), LOAD_KEYS_MAX):
                cursor.execute(_FIND, (list(values[start : start + LOAD_KEYS_MAX]), space), prepare=True)
                rows += cursor.fetchall()
        return grouped(rows)

    def entries_from(
        self, connection: Connection, space: str, first: tuple[str, str], most: int
    ) -> list[FoundRow]:
        """See `Place`."""
        with _driver(connection).cursor(binary=True) as cursor:
            cursor.execute(_ENTRIES, (space, *first, most))
            return cursor.fetchall()

    def pending_after(self, connection: Connection, number: int, row: int) -> list[PendingRow]:
        """See `Place`."""
        with _driver(connection).cursor(binary=True) as cursor:
            cursor.execute(_PENDING, (number, row, PENDING_PAGE_ROWS))
            return cursor.fetchall()

    def lock(self, writing: Connection, holder: Holder, patience_s: float | None = None) -> None:
        """Takes the advisory lock for the session that commits."""
        take_advisory(writing, holder, self.where, self._key, patience_s)

    def set_status(self, document: str) -> None:
        """Replaces the row, on a connection of its own."""
        with told(self.where), self.connect(writing=True) as connection:
            connection.exec_driver_sql(_PUT_STATUS, (document,))

    def status(self) -> str | None:
        """The row's document."""
        with told(self.where), self.connect(writing=False) as connection:
            return connection.execute(select(status_table.c.document)).scalar_one_or_none()

    def copy(self, path: Path) -> None:
        """See `Place`: table by table."""
        with told(self.where), self.connect(writing=False) as reading:
            copy_tables(reading, path)

    def verify(self) -> None:
        """Nothing beyond what every load checks: the server checks its own pages."""

    def close(self) -> None:
        """The lock goes with the connection that holds it."""
        self._engine.dispose()


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection, for the hot statements."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


_PUT_STATUS = (
    "INSERT INTO status (id, document) VALUES (1, %s) ON CONFLICT (id) DO UPDATE SET document = excluded.document"
)
_LOCAL = "SET synchronous_commit = local"
_SESSION = (
    _LOCAL,
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
_READ_ONLY = "SET default_transaction_read_only = on"

_PUT_RECORDS = """
INSERT INTO record (entity, key, state, checksum)
SELECT * FROM unnest(%b::text[], %b::text[], %b::bytea[], %b::bigint[])
    ON CONFLICT (entity, key) DO UPDATE SET state = excluded.state, checksum = excluded.checksum
"""

_LOAD = """
SELECT r.key, r.state, r.checksum
  FROM unnest(%b::text[]) AS wanted(key) JOIN record AS r ON r.key = wanted.key
 WHERE r.entity = %b
"""

_SCAN = """
SELECT key, state, checksum FROM record WHERE entity = %s AND key >= %s COLLATE "C" ORDER BY key COLLATE "C" LIMIT %s
"""

_PUT_ENTRIES = """
INSERT INTO entry (space, value, item, state)
SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bytea[])
    ON CONFLICT (space, value, item) DO UPDATE SET state = excluded.state
"""

_DROP_ENTRIES = """
DELETE FROM entry AS e USING unnest(%b::text[], %b::text[], %b::text[]) AS gone(space, value, item)
 WHERE (e.space, e.value, e.item) = (gone.space, gone.value, gone.item)
"""

_FIND = """
SELECT e.value, e.item, e.state
  FROM unnest(%b::text[]) AS wanted(value) JOIN entry AS e ON e.value = wanted.value
 WHERE e.space = %b
"""

_ENTRIES = """
SELECT value, item, state
  FROM entry
 WHERE space = %s AND (value, item) >= (%s COLLATE "C", %s COLLATE "C")
 ORDER BY value, item
 LIMIT %s
"""

_PENDING = """
SELECT id, number, records FROM pending WHERE (number, id) > (%s, %s) ORDER BY number, id LIMIT %s
"""
