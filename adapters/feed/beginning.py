"""What was there before a feed began: all records as they are agreed now, a page at a time, beside what goes on.

Turns what is committed in the store into changes with op `r`. A record that has changed since the feed began is left
out: its change tells all of it, and has come or is coming. So nobody is taken back to an older state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from adapters.feed.message import Change
from adapters.feed.progress import Beginning, Progress
from engine.agreed import WITHHELD, State, told_of
from engine.ports import Store
from engine.record import decode

PAGE_RECORDS: Final = 1_000


def wanted(progress: Progress, state: State, entities: Sequence[str]) -> dict[str, Beginning]:
    """How far each entity is; what has begun anew, or is new, is at its start. `entities`: parents first."""
    known = progress.beginnings
    return {
        entity: known[entity] if entity in known and known[entity].since == since else Beginning(since)
        for entity in entities
        if (since := state.entities.get(entity)) is not None
    }


def next_of(beginnings: Mapping[str, Beginning]) -> str | None:
    """The entity whose records come next; None: all are told."""
    return next((entity for entity, beginning in beginnings.items() if beginning.at is not None), None)


def page_of(
    store: Store, entity: str, beginning: Beginning, progress: Progress, offset: int
) -> tuple[list[Change], Beginning]:
    """Some records that come next, and how far that is. `offset`: the era's, of what is told as their number."""
    assert beginning.at is not None, "some are left"
    found = list(islice(store.scan(entity, beginning.at), PAGE_RECORDS + 1))
    rest = [(key, state) for key, state in found if key != beginning.at or not key]
    withheld = store.find_committed(WITHHELD + entity, [key for key, _ in rest])
    began = max(progress.first, beginning.since)
    changes: list[Change] = []
    for key, state in rest:
        record = decode(state)
        told = record.values if record.alive else None
        newest = max((record.table[place] for place in set(record.index)), key=lambda version: version.number)
        if key in withheld:
            told = told_of(withheld[key][""])
        elif newest.number > began:
            continue
        if told is not None:
            changes.append(Change(key, newest, progress.number + offset, 0, None, told, beginning=True))
    last = found[-1][0] if found else ""
    done = len(found) <= PAGE_RECORDS
    return changes, Beginning(beginning.since, None if done else last)
