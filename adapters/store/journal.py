"""Turns journal entries into rows and back, and finds them again. It never decides what is worth an entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, select

from adapters.store.schema import journal
from engine.vocabulary import JournalEntry, Version


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A journal entry as it stands in the store."""

    id: int
    at: int
    """When it was written: microseconds since 1970 UTC, by this machine's clock."""
    entry: JournalEntry


def to_row(entry: JournalEntry, at: int) -> tuple[Any, ...]:
    """The entry as the columns of `schema.PUT_JOURNAL`."""
    return (
        at, entry.number, entry.entity, entry.key, _json(entry.fields), entry.kind, entry.because,
        _json(entry.winner), _json(entry.won), _json(entry.loser), _json(entry.lost),
    )  # fmt: skip


def from_row(row: Row[Any]) -> JournalRow:
    """The entry that a row of the table stands for."""
    entry = JournalEntry(
        entity=row.entity,
        key=row.key,
        fields=_names(row.fields),
        kind=row.kind,
        because=row.because,
        winner=_version(row.winner),
        won=_values(row.won),
        loser=_version(row.loser),
        lost=_values(row.lost),
        number=row.number,
    )
    return JournalRow(row.id, row.at, entry)


def newest(entity: str | None, key: str | None, since: int | None, limit: int) -> Select[Any]:
    """The newest entries first: of an entity, of a record, since a time (microseconds), at most `limit`."""
    query = select(journal).order_by(journal.c.id.desc()).limit(limit)
    if entity is not None:
        query = query.where(journal.c.entity == entity)
    if key is not None:
        query = query.where(journal.c.key == key)
    if since is not None:
        query = query.where(journal.c.at >= since)
    return query


def size(entity: str | None, key: str | None) -> Select[Any]:
    """How many entries there are: of an entity, of a record."""
    query = select(func.count()).select_from(journal)
    if entity is not None:
        query = query.where(journal.c.entity == entity)
    return query if key is None else query.where(journal.c.key == key)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_names = msgspec.json.Decoder(tuple[str, ...]).decode
_values = msgspec.json.Decoder(tuple[str | None | bool, ...]).decode
_version = msgspec.json.Decoder(Version | None).decode
