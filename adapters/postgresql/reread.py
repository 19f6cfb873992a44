"""Turns record keys into their rows as they are now, in the order of the entity's fields, as printed text.

`reread` takes each row's lock for a moment and tells the log position at which the row was so; `rows_of_keys` only
looks. Neither writes anything, waits for anybody, or decodes a value.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from adapters.postgresql.ledger import SEPARATOR
from adapters.postgresql.phrases import array_literals
from adapters.postgresql.session import lsn_number
from adapters.postgresql.statements import read_by_key
from adapters.relational.layout import Layout, in_field_order
from adapters.relational.looking import Looking, by_column, look_again
from adapters.relational.refused import Unreadable
from engine.vocabulary import Position, Reread, Row

visibility_wait_s: Final = 0.2
"""Longest wait for the transactions that were writing when a row was not found; see `settled`."""
visibility_poll_s: Final = 0.002

WRITERS_END: Final = "SELECT pg_catalog.pg_current_xact_id()::text"
"""Takes a transaction number: everybody who has written until now has a lower one. (A snapshot's `xmax` would not do:
it is the one after the last that has *ended*.)"""
ALL_ENDED: Final = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= %s::xid8"


def reread(conn: psycopg.Connection[Any], system: str, place: Layout, keys: Sequence[str]) -> list[Reread]:
    """The rows of these records, each read under its lock; those that somebody else has locked are left out.

    Raises psycopg.Error, with the transaction left to the caller to end."""
    looking = Looking(
        place.entity,
        locked=lambda keys: dict(_rows(conn, place, keys, lock=True)),
        there=lambda keys: {key for key, _ in _rows(conn, place, keys, lock=False)},
        told=lambda key, row, position: Reread(system, place.entity, key, row, position),
    )
    return look_again(PostgresMoments(conn), system, looking, keys)


class PostgresMoments:
    """Implements `relational.looking.Moments` on one connection."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Moments.transaction`."""
        try:
            self._conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            yield
            self._conn.execute("COMMIT")
        except psycopg.DataError:
            self._conn.execute("ROLLBACK")
            raise Unreadable from None

    def position(self) -> Position:
        """See `Moments.position`."""
        return lsn_number(_value(self._conn, SEPARATOR))

    def settled(self) -> Position:
        """See `Moments.settled`. He who is still writing after `visibility_wait_s` has not begun to commit, as far as
        can be told, and his commit will have a higher position."""
        position = self.position()
        end = _value(self._conn, WRITERS_END)
        deadline = time.monotonic() + visibility_wait_s
        while self._conn.execute(ALL_ENDED.encode(), [end]).fetchone() != (True,) and time.monotonic() < deadline:
            time.sleep(visibility_poll_s)
        return position


def rows_of_keys(conn: psycopg.Connection[Any], place: Layout, keys: Sequence[str]) -> dict[str, Row]:
    """By record key: the rows of those of these records that are there. Raises psycopg.Error."""
    return dict(_rows(conn, place, keys, lock=False))


def _rows(
    conn: psycopg.Connection[Any], place: Layout, keys: Sequence[str], *, lock: bool
) -> Iterable[tuple[str, Row]]:
    if not keys:
        return []
    query = read_by_key(place, "lock" if lock else "look").as_string().encode()
    given = array_literals(by_column(keys))
    return in_field_order(place, psycopg.RawCursor(conn).execute(query, given).fetchall())


def _value(conn: psycopg.Connection[Any], query: str) -> str:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])
