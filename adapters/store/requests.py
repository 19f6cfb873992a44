"""Carries what a person asks for on the command line to the running engine.

The question is written by another process, into the inbox: on SQLite a file of its own, because a file has one writer
at a time and the engine's transaction may be open for minutes. The answer is committed by the engine, in the store,
together with what the request changed; so a request is never carried out twice. It never waits for the engine.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, insert, select

from adapters.store.schema import answer, inbox, request
from engine.ports import Request


def make_inbox(asking: Connection, reading: Connection) -> None:
    """Makes the inbox, unless it is there. If a former one was lost, its ids are not given again: the store (`reading`)
    has answers to them."""
    inbox.create_all(asking)
    answered = reading.execute(select(func.max(answer.c.id))).scalar_one() or 0
    asked = asking.execute(select(func.max(request.c.id))).scalar_one() or 0
    if answered > asked:
        lost = insert(request).values(id=answered, kind="lost", arguments="{}", asked_at=0, asked_by="")
        asking.execute(lost)


def ask(asking: Connection, kind: str, arguments: dict[str, str], by: str, now_us: int) -> int:
    """Writes a request durably and returns its id. `by`: who asks; `now_us`: microseconds since 1970 UTC."""
    row = insert(request).values(
        kind=kind, arguments=msgspec.json.encode(arguments).decode(), asked_at=now_us, asked_by=by
    )
    done = asking.execute(row)
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


class Waiting:
    """The requests that have no answer yet; remembers up to which id all have one."""

    def __init__(self) -> None:
        """At first, every request is looked at."""
        self._answered_to = 0

    def read(self, asking: Connection, reading: Connection) -> list[Request]:
        """Those in the inbox (`asking`) that the store (`reading`) holds no answer to, oldest first."""
        query = select(request).where(request.c.id > self._answered_to).order_by(request.c.id)
        asked = asking.execute(query).all()
        if not asked:
            return []
        answered = set(reading.execute(select(answer.c.id).where(answer.c.id > self._answered_to)).scalars())
        waiting = [row for row in asked if row.id not in answered]
        self._answered_to = (waiting[0].id if waiting else asked[-1].id + 1) - 1
        return [Request(row.id, row.kind, _arguments(row.arguments)) for row in waiting]


_arguments = msgspec.json.Decoder(dict[str, str]).decode
