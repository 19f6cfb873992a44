"""Turns one `Delta` into the statements that write it, inside the transaction that the caller has open.

It never begins or commits, and never reads.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec
from sqlalchemy import Connection

from adapters.store import schema
from adapters.store.journal import to_row
from adapters.store.place import Place
from engine.ports import Delta


def put(place: Place, writing: Connection, delta: Delta, now_us: int) -> int:
    """Writes everything of `delta`, stamped `now_us`, and returns about how many rows that were."""
    if delta.records:
        records = [(entity, key, state, crc32(state)) for (entity, key), state in delta.records.items()]
        records.sort()
        place.put_records(writing, records)
    if delta.entries:
        _put_entries(place, writing, delta)
    if delta.journal:
        place.insert(writing, schema.PUT_JOURNAL, [to_row(entry, now_us) for entry in delta.journal])
    _put_progress(place, writing, delta)
    _put_quarantine(place, writing, delta, now_us)
    _put_holds(place, writing, delta, now_us)
    if delta.requests_done:
        answers = [(number, now_us, words) for number, words in delta.requests_done.items()]
        place.insert(writing, schema.PUT_ANSWER, answers)
    return len(delta.records) + len(delta.entries) + len(delta.journal) + len(delta.pending)


def _put_entries(place: Place, writing: Connection, delta: Delta) -> None:
    """The multimap: sorted, so that neighbours in the index are written together."""
    kept = sorted((*entry, state) for entry, state in delta.entries.items() if state is not None)
    gone = [entry for entry, state in delta.entries.items() if state is None]
    if kept:
        place.put_entries(writing, kept)
    if gone:
        place.drop_entries(writing, gone)


def _put_progress(place: Place, writing: Connection, delta: Delta) -> None:
    """Positions, pending and applied steps, number and phase."""
    if delta.pending:
        steps = [(step.number, msgspec.msgpack.encode(step.records)) for step in delta.pending]
        place.insert(writing, schema.PUT_PENDING, steps)
    if delta.pending_done_to is not None:
        place.remove(writing, schema.DROP_PENDING, (delta.pending_done_to,))
    if delta.applied:
        batches = [(batch.system, batch.number_to, batch.separator) for batch in delta.applied]
        place.insert(writing, schema.PUT_APPLIED, batches)
    for gone in delta.applied_forget.items():
        place.remove(writing, schema.DROP_APPLIED, gone)
    if delta.positions:
        place.insert(writing, schema.PUT_POSITION, list(delta.positions.items()))
    named = [("number", delta.number), ("phase", delta.phase)]
    if changed := [(name, str(value)) for name, value in named if value is not None]:
        place.insert(writing, schema.PUT_META, changed)


def _put_quarantine(place: Place, writing: Connection, delta: Delta, now_us: int) -> None:
    inside: list[tuple[Any, ...]] = []
    for (entity, key, system), reason in delta.quarantine.items():
        if reason is None:
            place.remove(writing, schema.DROP_QUARANTINE, (entity, key, system))
        else:
            inside.append((entity, key, system, now_us, reason))
    if inside:
        place.insert(writing, schema.PUT_QUARANTINE, inside)


def _put_holds(place: Place, writing: Connection, delta: Delta, now_us: int) -> None:
    held: list[tuple[Any, ...]] = []
    for (entity, key, register), why in delta.holds.items():
        if why is None:
            place.remove(writing, schema.DROP_HOLD, (entity, key, register))
        else:
            held.append((entity, key, register, now_us, why))
    if held:
        place.insert(writing, schema.PUT_HOLD, held)
