"""Turns record keys into their rows as they are now, in the order of the entity's fields, as exact texts.

Each row's lock is taken for a moment, and the log's position told at which the row was so. It writes nothing and waits
for nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from adapters.alchemy.positions import Positions
from adapters.alchemy.session import Session
from adapters.alchemy.speech import AlchemySpeech
from adapters.relational.layout import Layout, in_field_order
from adapters.relational.looking import Looking, by_column
from engine.vocabulary import Position, Reread, Row

visibility_wait_s: Final = 0.2
"""How long a database is given to show what stands in its log already, where a record is not found."""


class AlchemyMoments:
    """Implements `relational.looking.Moments` on one connection."""

    def __init__(self, session: Session, positions: Positions) -> None:
        self._session = session
        self._positions = positions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Moments.transaction`. A key that is no value of its column's type is passed over, and found nowhere."""
        with self._session.conn.begin():
            yield

    def position(self) -> Position:
        """See `Moments.position`."""
        if self._session.conn.in_transaction():
            return self._positions.now(self._session.conn)
        with self._session.transaction() as conn:
            return self._positions.now(conn)

    def settled(self) -> Position:
        """See `Moments.settled`. There is no way to ask every database who is just committing: it is given time."""
        position = self.position()
        if self._session.can.locking != "whole":
            time.sleep(visibility_wait_s)
        return position


def looking(speech: AlchemySpeech, system: str, place: Layout) -> Looking:
    """How the records of an entity with one key everywhere are looked at."""
    return Looking(
        place.entity,
        locked=lambda keys: rows_of_keys(speech, place, keys, lock=True),
        there=lambda keys: set(rows_of_keys(speech, place, keys)),
        told=lambda key, row, position: Reread(system, place.entity, key, row, position),
    )


def rows_of_keys(speech: AlchemySpeech, place: Layout, keys: Sequence[str], *, lock: bool = False) -> dict[str, Row]:
    """By record key: the rows of those of these records that are there. With `lock`, those that somebody else has
    locked are left out, and the others are locked. Raises sqlalchemy.exc.DBAPIError."""
    if not keys:
        return {}
    return dict(in_field_order(place, speech.found(place, by_column(keys), lock=lock)))  # type: ignore[arg-type]
