"""A store in one SQLite file: opens it safely, and moves many rows with few calls.

Every hot statement is *one* step of SQLite for up to a thousand rows: INSERT of many VALUES, and SELECT of one row that
aggregates many. The reason is Python's GIL: `sqlite3` lets go of it at every step, and with another busy thread each
getting back costs up to 5 ms. (Measured: `executemany` and `fetchall` of 2,000 rows beside one busy thread take 1,000
microseconds a row; these 15 to 35, alone 5 and 10.) Checkpoints run on a thread of their own, so that a commit is one
fsync of the log.

It never decides what is written and never opens a file of another user.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from adapters.store import folder
from adapters.store.checkpoint import Checkpointer
from adapters.store.copying import copy_file
from adapters.store.lock import FileLock, Holder
from adapters.store.place import EntryRow, FoundRow, PendingRow, RecordRow, damaged, grouped, no_nul, told
from adapters.store.schema import PUT_ENTRY, PUT_RECORD, Insert, Removal
from engine.errors import StoreUnfit
from engine.ports import Entry

CHUNK_ROWS: Final = (1000, 200, 40, 8, 1)
"""Rows a statement: few different ones, so that each stays prepared."""

LOAD_KEYS_MAX: Final = 5000
PENDING_PAGE_ROWS: Final = 200

QUICK_CHECK_BYTES_MAX: Final = 64 << 20
"""Stores up to this size are checked whole at every opening (a tenth of a second); `verify` checks any."""


class SqliteFile:
    """Implements `Place` for one file. The inbox, the lock and the status are files beside it."""

    def __init__(self, path: str) -> None:
        """`path`: the store's file; its folder must exist. Raises StoreUnfit if folder or file cannot be used."""
        self.path = Path(path)
        self.where = path
        self.warnings = folder.judge(self.path)
        self._inbox = Path(path + ".inbox.db")
        self._status = Path(path + ".status.json")
        self._lock = FileLock(path + ".lock")
        self._engine = _engine(self.path)
        self._inbox_engine = _engine(self._inbox)
        self._checkpointer = Checkpointer(path)

    def exists(self) -> bool:
        """True if the file is there. A small one is checked whole: raises StoreUnfit if it is damaged."""
        if not self.path.exists():
            return False
        folder.own(self.path)
        if self.path.stat().st_size <= QUICK_CHECK_BYTES_MAX:
            self._check("PRAGMA quick_check(1)")
        return True

    def create(self) -> None:
        """Makes an empty file, readable by this user only."""
        folder.make(self.path)

    def connect(self, writing: bool) -> Connection:
        """See `Place`. A reader's connection refuses to write."""
        connection = self._engine.connect()
        for pragma in _WRITING if writing else _READING:
            connection.exec_driver_sql(pragma)
        return connection

    def inbox(self) -> Connection:
        """A connection to the inbox: another file, hence another lock than the store's. Made if it is not there."""
        folder.make(self._inbox)
        connection = self._inbox_engine.connect()
        for pragma in _INBOX:
            connection.exec_driver_sql(pragma)
        return connection

    def begin(self, writing: Connection) -> None:
        """See `Place`."""
        _driver(writing).execute("BEGIN IMMEDIATE")

    def end(self, writing: Connection, rows: int) -> None:
        """Commits: one fsync of the log. Raises StoreUnfit if an earlier checkpoint failed."""
        driver = _driver(writing)
        driver.execute("COMMIT")
        self._checkpointer.committed(driver, rows)

    def undo(self, writing: Connection) -> None:
        """See `Place`."""
        if _driver(writing).in_transaction:
            writing.exec_driver_sql("ROLLBACK")

    def insert(self, writing: Connection, statement: Insert, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts in chunks of a few fixed sizes, one step each."""
        execute = _driver(writing).execute
        start = 0
        for size in CHUNK_ROWS:
            text = ""
            while len(rows) - start >= size:
                text = text or _many(statement, size)
                execute(text, tuple(chain.from_iterable(rows[start : start + size])))
                start += size

    def remove(self, writing: Connection, statement: Removal, values: tuple[Any, ...]) -> None:
        """See `Place`."""
        _driver(writing).execute(statement.text("?"), values)

    def put_records(self, writing: Connection, rows: list[RecordRow]) -> None:
        """Inserts or replaces. Raises EngineFault for a key with NUL."""
        no_nul([row[1] for row in rows], "a record key")
        self.insert(writing, PUT_RECORD, rows)

    def load(self, connection: Connection, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """See `Place`: one step for up to 5,000 keys."""
        found: dict[str, bytes] = {}
        execute = _driver(connection).execute
        for start in range(0, len(keys), LOAD_KEYS_MAX):
            wanted = msgspec.json.encode(keys[start : start + LOAD_KEYS_MAX]).decode()
            found |= self._sliced(entity, execute(_LOAD, (entity, wanted)).fetchone())
        return found

    def records_from(self, connection: Connection, entity: str, first: str, most: int) -> list[tuple[str, bytes]]:
        """See `Place`."""
        row = _driver(connection).execute(_SCAN, (entity, first, most)).fetchone()
        return sorted(self._sliced(entity, row).items())

    def _sliced(self, entity: str, row: tuple[str, str, str, bytes | None]) -> dict[str, bytes]:
        """Cuts the states out of one aggregated row and checks each."""
        keys, sizes, checksums, states = row
        found: dict[str, bytes] = {}
        if states is None:
            return found
        start = 0
        for key, size, checksum in zip(_texts(keys), _numbers(sizes), _numbers(checksums), strict=True):
            state = states[start : start + size]
            if crc32(state) != checksum:
                raise damaged(self.where, entity, key)
            found[key] = state
            start += size
        return found

    def put_entries(self, writing: Connection, rows: list[EntryRow]) -> None:
        """Inserts or replaces. Raises EngineFault for a text with NUL."""
        no_nul(chain.from_iterable([row[1:3] for row in rows]), "an entry")
        self.insert(writing, PUT_ENTRY, rows)

    def drop_entries(self, writing: Connection, entries: list[Entry]) -> None:
        """See `Place`: one step for up to 5,000 entries of a space."""
        for space, those in groupby(sorted(entries), key=itemgetter(0)):
            items = [entry[1:] for entry in those]
            for start in range(0, len(items), LOAD_KEYS_MAX):
                gone = msgspec.json.encode(items[start : start + LOAD_KEYS_MAX]).decode()
                _driver(writing).execute(_DROP_ENTRIES, (space, gone))

    def find(self, connection: Connection, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """See `Place`: one step for up to 5,000 values."""
        rows: list[FoundRow] = []
        for start in range(0, len(values), LOAD_KEYS_MAX):
            wanted = msgspec.json.encode(values[start : start + LOAD_KEYS_MAX]).decode()
            rows += _entries_cut(_driver(connection).execute(_FIND, (space, wanted)).fetchone())
        return grouped(rows)

    def entries_from(
        self, connection: Connection, space: str, first: tuple[str, str], most: int
    ) -> list[FoundRow]:
        """See `Place`."""
        return sorted(_entries_cut(_driver(connection).execute(_ENTRIES, (space, *first, most)).fetchone()))

    def pending_after(self, connection: Connection, number: int, row: int) -> list[PendingRow]:
        """See `Place`."""
        ids, numbers, sizes, records = _driver(connection).execute(
            _PENDING, (number, row, PENDING_PAGE_ROWS)
        ).fetchone()
        found: list[PendingRow] = []
        start = 0
        for row_id, step, size in zip(_numbers(ids), _numbers(numbers), _numbers(sizes), strict=True):
            found.append((row_id, step, records[start : start + size]))
            start += size
        return sorted(found, key=lambda page: (page[1], page[0]))

    def lock(self, writing: Connection, holder: Holder, patience_s: float | None = None) -> None:
        """Takes the lock file. Nobody is ended: what a process on this machine holds goes with it."""
        self._lock.take(holder, self.where)

    def set_status(self, document: str) -> None:
        """Replaces the status file in one step. It needs no fsync: it describes a running engine."""
        folder.replace(self._status, document)

    def status(self) -> str | None:
        """The content of the status file."""
        try:
            return self._status.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def copy(self, path: Path) -> None:
        """See `Place`: by SQLite's own backup."""
        with told(self.where), self.connect(writing=False) as reading:
            copy_file(_driver(reading), path)

    def verify(self) -> None:
        """SQLite's whole integrity check, indexes included: about a second for 400 MB."""
        self._check("PRAGMA integrity_check(1)")

    def _check(self, pragma: str) -> None:
        with told(self.where), self.connect(writing=False) as connection:
            found = connection.exec_driver_sql(pragma).scalar_one()
        if found != "ok":
            raise StoreUnfit(
                f"{self.where}: the file is damaged: {found}", mend="restore the store from a backup"
            )

    def close(self) -> None:
        """Ends the checkpoints and lets go of the lock."""
        self._checkpointer.close()
        self._lock.release()


def _engine(path: Path) -> Engine:
    """SQLAlchemy's engine for a file: autocommit, no pool, and values never in an error's text."""
    return create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            path.absolute().as_uri() + "?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        ),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )


def _driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for the hot statements."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


@cache
def _many(statement: Insert, rows: int) -> str:
    """The INSERT of `rows` rows."""
    row = "(" + ", ".join("?" * statement.columns) + ")"
    return statement.head + ", ".join([row] * rows) + statement.tail


def _entries_cut(row: tuple[str, str, str, bytes | None]) -> list[FoundRow]:
    """Cuts the entries out of one aggregated row."""
    values, items, sizes, states = row
    found: list[FoundRow] = []
    start = 0
    for value, item, size in zip(_texts(values), _texts(items), _numbers(sizes), strict=True):
        found.append((value, item, (states or b"")[start : start + size]))
        start += size
    return found


_texts = msgspec.json.Decoder(list[str]).decode
_numbers = msgspec.json.Decoder(list[int]).decode

_WRITING = (
    "PRAGMA busy_timeout = 10000",  # milliseconds
    "PRAGMA page_size = 2048",  # half of SQLite's choice: a random update logs a whole page (4096: a fifth slower)
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA cache_size = -32768",  # KiB
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA secure_delete = OFF",
)
_READING = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA cache_size = -4096",
    "PRAGMA query_only = ON",
)
_INBOX = ("PRAGMA busy_timeout = 10000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")

_LOAD = """
SELECT json_group_array(key), json_group_array(length(state)), json_group_array(checksum),
       CAST(group_concat(state, '') AS BLOB)
  FROM record
 WHERE entity = ? AND key IN (SELECT value FROM json_each(?))
"""

_SCAN = """
SELECT json_group_array(key), json_group_array(length(state)), json_group_array(checksum),
       CAST(group_concat(state, '') AS BLOB)
  FROM (SELECT key, state, checksum FROM record WHERE entity = ? AND key >= ? ORDER BY key LIMIT ?)
"""

_DROP_ENTRIES = """
DELETE FROM entry
 WHERE space = ?
   AND (value, item) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
"""

_FIND = """
SELECT json_group_array(value), json_group_array(item), json_group_array(length(state)),
       CAST(group_concat(state, '') AS BLOB)
  FROM entry
 WHERE space = ? AND value IN (SELECT value FROM json_each(?))
"""

_ENTRIES = """
SELECT json_group_array(value), json_group_array(item), json_group_array(length(state)),
       CAST(group_concat(state, '') AS BLOB)
  FROM (SELECT value, item, state FROM entry
         WHERE space = ? AND (value, item) >= (?, ?) ORDER BY value, item LIMIT ?)
"""

_PENDING = """
SELECT json_group_array(id), json_group_array(number), json_group_array(length(records)),
       CAST(group_concat(records, '') AS BLOB)
  FROM (SELECT id, number, records FROM pending WHERE (number, id) > (?, ?) ORDER BY number, id LIMIT ?)
"""
