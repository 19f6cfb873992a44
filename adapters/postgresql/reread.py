"""Turns record keys into their rows as they are now, in the order of the entity's fields, as printed text.

`reread` takes each row's lock for a moment and tells the log position at which the row was so; `rows_of_keys` only
looks. Neither writes anything, waits for anybody, or decodes a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from adapters.postgresql.ledger import SEPARATOR
from adapters.postgresql.session import lsn_number
from adapters.postgresql.statements import KEY_SEPARATOR, Layout, array_literal, read_by_key
from engine.vocabulary import ABSENT, Reread, Row

WRITERS: str = "SELECT pg_catalog.pg_current_snapshot()::text"
"""`xmin:xmax:running,running,...`: who may have written what we do not see yet."""


def reread(conn: psycopg.Connection[Any], system: str, place: Layout, keys: Sequence[str]) -> list[Reread]:
    """The rows of these records, each read under its lock; those that somebody else has locked are left out.

    Position of a row that is there: exact, as its lock is held. Of one that is not: nothing can be locked, so it is a
    lower bound, the position before we looked; and 0 if anybody was writing then, since his commit may already stand
    in the log and not yet be visible. Raises psycopg.Error, with the transaction left to the caller to end."""
    conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    before = _value(conn, SEPARATOR)
    quiet = _value(conn, WRITERS).endswith(":")
    try:
        ours = dict(_rows(conn, place, keys, lock=True))
        there = {key for key, _ in _rows(conn, place, keys, lock=False)}
    except psycopg.DataError:
        # One of the keys is no value of the key column's type: then there is no such row.
        conn.execute("ROLLBACK")
        if len(keys) == 1:
            return [Reread(system, place.entity, keys[0], None, 0)]
        return [answer for key in keys for answer in reread(conn, system, place, [key])]
    position = lsn_number(_value(conn, SEPARATOR))
    conn.execute("COMMIT")
    missing_at = lsn_number(before) if quiet else 0
    return [Reread(system, place.entity, key, ours[key], position) for key in keys if key in ours] + [
        Reread(system, place.entity, key, None, missing_at) for key in keys if key not in ours and key not in there
    ]


def rows_of_keys(conn: psycopg.Connection[Any], place: Layout, keys: Sequence[str]) -> dict[str, Row]:
    """By record key: the rows of those of these records that are there. Raises psycopg.Error."""
    return dict(_rows(conn, place, keys, lock=False))


def in_field_order(place: Layout, rows: Iterable[Sequence[str | None]]) -> Iterable[tuple[str, Row]]:
    """Rows of the fields that this system has, as (record key, values of all fields, ABSENT where it has none)."""
    here = sorted(place.columns)
    complete = len(here) == place.fields
    whole: list[Any] = [ABSENT] * place.fields
    key = [here.index(number) for number in place.key]
    single = key[0] if len(key) == 1 else None
    for row in rows:
        name = row[single] if single is not None else KEY_SEPARATOR.join(row[at] or "" for at in key)
        if complete:
            yield name or "", tuple(row)
            continue
        for number, value in zip(here, row, strict=True):
            whole[number] = value
        yield name or "", tuple(whole)


def _rows(
    conn: psycopg.Connection[Any], place: Layout, keys: Sequence[str], *, lock: bool
) -> Iterable[tuple[str, Row]]:
    if not keys:
        return []
    query = read_by_key(place, "lock" if lock else "look").as_string().encode()
    columns = zip(*(key.split(KEY_SEPARATOR) for key in keys), strict=True)
    given = [array_literal(column) for column in columns]
    return in_field_order(place, psycopg.RawCursor(conn).execute(query, given).fetchall())


def _value(conn: psycopg.Connection[Any], query: str) -> str:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])
