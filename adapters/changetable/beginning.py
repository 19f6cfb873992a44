"""Turns a session into one that sees a single moment, and that moment into a position, exactly: a group of its own.

While a second session holds the mark, nobody stamps. What the picture sees without a stamp is stamped by that session;
what it does not see comes later. No user waits.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from adapters.alchemy import pictures
from adapters.alchemy.positions import Positions
from adapters.alchemy.session import WRITE, Session, connect
from adapters.changetable.sessions import patient
from adapters.changetable.stamping import end_of, give, hold, numbers, unstamped
from adapters.changetable.tables import ours
from engine.vocabulary import Position


def begin(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    """Begins a picture; see `adapters.alchemy.pictures.Begin`. Raises NotSetUp, sqlalchemy.exc.DBAPIError."""
    if positions is None:
        return pictures.begin(session, tables, None)
    made = ours(session)
    holder = connect(session.system, session.url, purpose=WRITE, prepare=patient)
    try:
        with holder.transaction() as conn:
            stamp = hold(conn, made, session.system)
            pictures.begin(session, tables, None)
            give(conn, made, numbers(session.conn, unstamped(made)), stamp)
        return end_of(stamp)
    finally:
        holder.close()
