"""Turns record keys into their rows as they are now, in the order of the entity's fields, as printed text.

`reread` takes each row's lock for a moment and tells the log position at which the row was so; `rows_of_keys` only
looks. Neither writes anything, waits for anybody, or decodes a value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from adapters.postgresql.ledger import SEPARATOR
from adapters.postgresql.phrases import KEY_SEPARATOR, array_literal
from adapters.postgresql.session import lsn_number
from adapters.postgresql.statements import Layout, read_by_key
from engine.vocabulary import ABSENT, Position, Reread, Row

visibility_wait_s: Final = 0.2
"""Longest wait for the transactions that were writing when a row was not found; see `_absent`."""
visibility_poll_s: Final = 0.002

WRITERS_END: Final = "SELECT pg_catalog.pg_current_xact_id()::text"
"""Takes a transaction number: everybody who has written until now has a lower one. (A snapshot's `xmax` would not do:
it is the one after the last that has *ended*.)"""
ALL_ENDED: Final = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= %s::xid8"


@dataclass(frozen=True, slots=True)
class Looking:
    """How the records of one entity are looked at. Keys without a row are not in the answers."""

    entity: str
    locked: Callable[[Sequence[str]], dict[str, Any]]
    """What these records have, but for those that somebody else has locked; the others' locks are ours."""
    there: Callable[[Sequence[str]], set[str]]
    """Which of these are there."""
    told: Callable[[str, Any, Position], Reread]
    """The answer for a record that is there."""


def reread(conn: psycopg.Connection[Any], system: str, place: Layout, keys: Sequence[str]) -> list[Reread]:
    """The rows of these records, each read under its lock; those that somebody else has locked are left out.

    Raises psycopg.Error, with the transaction left to the caller to end."""
    looking = Looking(
        place.entity,
        locked=lambda keys: dict(_rows(conn, place, keys, lock=True)),
        there=lambda keys: {key for key, _ in _rows(conn, place, keys, lock=False)},
        told=lambda key, row, position: Reread(system, place.entity, key, row, position),
    )
    return look_again(conn, system, looking, keys)


def look_again(conn: psycopg.Connection[Any], system: str, looking: Looking, keys: Sequence[str]) -> list[Reread]:
    """These records as they are now, each looked at under its locks; those that somebody else has locked are left out.

    The position of a row that is there is exact, as its lock is held. Of one that is not, nothing can be locked: it is
    the position before we looked. Raises psycopg.Error, with the transaction left to the caller to end."""
    try:
        conn.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        ours = looking.locked(keys)
        there = looking.there(keys)
        position = lsn_number(_value(conn, SEPARATOR))
        conn.execute("COMMIT")
    except psycopg.DataError:
        # One of the keys is no value of the key column's type: then there is no such row.
        conn.execute("ROLLBACK")
        if len(keys) == 1:
            return [Reread(system, looking.entity, keys[0], None, lsn_number(_value(conn, SEPARATOR)))]
        return [answer for key in keys for answer in look_again(conn, system, looking, [key])]
    answers = [looking.told(key, ours[key], position) for key in keys if key in ours]
    missing = [key for key in keys if key not in ours and key not in there]
    return answers + _absent(conn, system, looking, missing) if missing else answers


def _absent(conn: psycopg.Connection[Any], system: str, looking: Looking, keys: Sequence[str]) -> list[Reread]:
    """Those of the keys that really have no row, with a position up to which that is the whole truth.

    A commit stands in the log a moment before others can see it. So the position is taken first, then all who were
    writing at that moment are waited for, and then we look. He who is still writing after `visibility_wait_s` has not
    begun to commit, as far as can be told, and his commit will have a higher position."""
    position = lsn_number(_value(conn, SEPARATOR))
    end = _value(conn, WRITERS_END)
    deadline = time.monotonic() + visibility_wait_s
    while conn.execute(ALL_ENDED.encode(), [end]).fetchone() != (True,) and time.monotonic() < deadline:
        time.sleep(visibility_poll_s)
    there = looking.there(keys)
    return [Reread(system, looking.entity, key, None, position) for key in keys if key not in there]


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
