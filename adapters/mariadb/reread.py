"""Turns record keys into their rows as they are now, in the order of the entity's fields, as printed text.

`reread` takes each row's lock for a moment and tells the log position at which the row was so; `rows_of_keys` only
looks. Neither writes anything, waits for anybody, or decodes a value.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

from adapters.mariadb import separator
from adapters.mariadb.speech import MariaSpeech
from adapters.relational.layout import Layout, in_field_order
from adapters.relational.looking import Looking, by_column, look_again
from adapters.relational.refused import Unreadable, Unstorable
from engine.vocabulary import Position, Reread, Row

visibility_wait_s: Final = 0.2
"""How long MySQL is given to show what stands in its log already; MariaDB's position is no further than it shows."""


def reread(speech: MariaSpeech, system: str, place: Layout, keys: Sequence[str]) -> list[Reread]:
    """The rows of these records, each read under its lock; those that somebody else has locked are left out.

    Raises pymysql.MySQLError, with the transaction left to the caller to end."""
    looking = Looking(
        place.entity,
        locked=lambda keys: _rows(speech, place, keys, lock=True),
        there=lambda keys: set(_rows(speech, place, keys, lock=False)),
        told=lambda key, row, position: Reread(system, place.entity, key, row, position),
    )
    return look_again(MariaMoments(speech), system, looking, keys)


def rows_of_keys(speech: MariaSpeech, place: Layout, keys: Sequence[str]) -> dict[str, Row]:
    """By record key: the rows of those of these records that are there. Raises pymysql.MySQLError, Unstorable."""
    return _rows(speech, place, keys, lock=False)


class MariaMoments:
    """Implements `relational.looking.Moments` on one connection."""

    def __init__(self, speech: MariaSpeech) -> None:
        self._sending = speech.sending

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Moments.transaction`."""
        self._sending.send("START TRANSACTION READ WRITE")
        try:
            yield
        except Unstorable:
            self._sending.forget()
            self._sending.ask("ROLLBACK")
            raise Unreadable from None
        self._sending.ask("COMMIT")

    def position(self) -> Position:
        """See `Moments.position`."""
        return separator.send(self._sending)()[0]

    def settled(self) -> Position:
        """See `Moments.settled`."""
        position = self.position()
        if self._sending.conn.server.flavour == "mysql":
            time.sleep(visibility_wait_s)
        return position


def _rows(speech: MariaSpeech, place: Layout, keys: Sequence[str], *, lock: bool) -> dict[str, Row]:
    if not keys:
        return {}
    asked = set(keys)
    rows = in_field_order(place, cast("Sequence[Sequence[str | None]]", speech.rows(place, by_column(keys), lock=lock)))
    # A key that is no value of its column may have found a row of another.
    return {key: row for key, row in rows if key in asked}
