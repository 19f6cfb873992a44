"""What `SqlStore` asks of the database beneath it: the few things that SQLite and PostgreSQL do differently.

Also turns a driver's error into a `StoreUnfit` in plain words. It never holds state and never runs SQL; the two
implementations are `sqlite.py` and `postgresql.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from zlib import crc32

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapters.store.lock import Holder
from adapters.store.schema import Insert, Removal
from engine.errors import EngineFault, StoreUnfit
from engine.ports import Entry

RecordRow: TypeAlias = "tuple[str, str, bytes, int]"
"""(entity, key, state, CRC-32 of state)"""

EntryRow: TypeAlias = "tuple[str, str, str, bytes]"
"""(space, value, item, state)"""

FoundRow: TypeAlias = "tuple[str, str, bytes]"
"""(value, item, state)"""

PendingRow: TypeAlias = "tuple[int, int, bytes]"
"""(id, number, encoded records)"""


class Place(Protocol):
    """One database that holds a store. Connections are in autocommit mode; transactions are begun by `begin`."""

    where: str
    """The address as it may be shown: no password."""
    warnings: list[str]
    """What the DBA should know about this place, in words; nothing of it prevents the work."""

    def exists(self) -> bool:
        """Whether there is something at the address. Raises StoreUnfit if the address itself cannot be used."""

    def create(self) -> None:
        """Makes what the first connection needs (file, schema); the tables are made by the caller."""

    def connect(self, writing: bool) -> Connection:
        """A new connection: `writing` for the deciding thread, else one that sees only what is committed."""

    def inbox(self) -> Connection:
        """A connection to the table `request`, on which a write never waits for the engine's open transaction."""

    def begin(self, writing: Connection) -> None:
        """Starts the transaction that will write."""

    def end(self, writing: Connection, rows: int) -> None:
        """Commits it, durably; `rows` is about how many rows it changed."""

    def undo(self, writing: Connection) -> None:
        """Rolls it back; nothing happens when there is none."""

    def insert(self, writing: Connection, statement: Insert, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts the rows, in order."""

    def remove(self, writing: Connection, statement: Removal, values: tuple[Any, ...]) -> None:
        """Deletes the rows of which all conditions are true; `values`: what they compare with."""

    def put_records(self, writing: Connection, rows: list[RecordRow]) -> None:
        """Inserts or replaces records; they come sorted."""

    def load(self, connection: Connection, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """The states of those records that exist, each checked against its checksum."""

    def records_from(self, connection: Connection, entity: str, first: str, most: int) -> list[tuple[str, bytes]]:
        """Records from key `first` on, in code point order, at most `most`."""

    def put_entries(self, writing: Connection, rows: list[EntryRow]) -> None:
        """Inserts or replaces entries of the multimap; they come sorted."""

    def drop_entries(self, writing: Connection, entries: list[Entry]) -> None:
        """Takes entries out of the multimap; one that is not there is no error."""

    def find(self, connection: Connection, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The entries of these values, as `grouped` gives them."""

    def entries_from(
        self, connection: Connection, space: str, first: tuple[str, str], most: int
    ) -> list[FoundRow]:
        """A space's entries from (value, item) on, in code point order of both, at most `most`."""

    def pending_after(self, connection: Connection, number: int, row: int) -> list[PendingRow]:
        """The next page of pending rows after (number, row id), ascending."""

    def lock(self, writing: Connection, holder: Holder, patience_s: float | None = None) -> None:
        """Becomes the one engine of this store until `close` or the process's death. Raises StoreBusy; but with
        `patience_s`, where sessions can be ended, who still is it after so many seconds is."""

    def set_status(self, document: str) -> None:
        """Replaces the status document."""

    def status(self) -> str | None:
        """The status document, if there is one."""

    def copy(self, path: Path) -> None:
        """Copies what is committed into a new SQLite file, as of one moment. Only reads."""

    def verify(self) -> None:
        """Reads everything and raises StoreUnfit if the database finds it damaged."""

    def close(self) -> None:
        """Lets go of the lock and of everything beside the connections that were handed out."""


def damaged(where: str, entity: str, key: str) -> StoreUnfit:
    """The error for a record whose checksum is wrong."""
    return StoreUnfit(
        f"{where}: the state of {entity} `{key}` is damaged on disk: its checksum is wrong",
        mend="restore the store from a backup, or remove it and let `duolog run RULES --merge-again` make it again",
    )


def checked(where: str, entity: str, key: str, state: bytes, checksum: int) -> bytes:
    """`state`, if `checksum` is its CRC-32. Raises StoreUnfit."""
    if crc32(state) != checksum:
        raise damaged(where, entity, key)
    return state


def no_nul(texts: Iterable[str], what: str) -> None:
    """Refuses `what` with NUL: PostgreSQL cannot store one, and SQLite would cut the text there. Raises EngineFault."""
    if "\0" in "".join(texts):
        raise EngineFault(f"{what} contains the NUL character")


def grouped(rows: Iterable[FoundRow]) -> dict[str, dict[str, bytes]]:
    """By value its items, in code point order, each with its bytes."""
    found: dict[str, dict[str, bytes]] = {}
    for value, item, state in sorted(rows):
        found.setdefault(value, {})[item] = state
    return found


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turns what driver or disk raise into StoreUnfit: the database's message, never the statement or its values."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        found = str(cause).split("\n", 1)[0]
        raise StoreUnfit(f"{where}: {found}", mend=_mend(found.lower())) from error


def _mend(found: str) -> str:
    """What to do about a database's message, as far as it is known."""
    for part, mend in _MENDS:
        if part in found:
            return mend
    return "see the database's own log; nothing after the last commit was kept"


_MENDS = (
    ("full", "make room on the disk, then start again: nothing after the last commit was kept"),
    ("no space", "make room on the disk, then start again: nothing after the last commit was kept"),
    ("disk i/o", "check the disk; a write or fsync failed, so duolog does not go on with this file before a restart"),
    ("malformed", "the file is damaged: restore the store from a backup"),
    ("not a database", "the address names a file that is not a store: correct it, or move the file away"),
    ("readonly", "give the service's user the right to write the file and its folder"),
    ("locked", "another process is writing the store: end it"),
    ("connection", "see that the database runs and that the network is up; a restart goes on from the last commit"),
)
