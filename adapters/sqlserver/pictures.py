"""Turns a connection into one that sees a single moment of an SQL Server, at a position of its log.

The moment is one in which nobody writes the bound tables: they are held against writers until the picture has begun.
Whoever is writing ends first, for which a while is waited; whoever comes meanwhile waits as long. It never waits for a
user longer than that, and then tries again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy import pictures
from adapters.alchemy.positions import Positions
from adapters.alchemy.refusals import Meaning, meaning
from adapters.alchemy.session import Session, connect
from engine.vocabulary import Position

patience_s: Final = 2.0
"""For how long writers may have to wait for a picture that itself waits for one of them."""
tries_max: Final = 10
pause_s: Final = 0.5
"""In between, they go on."""
PATIENCE: Final = f"SET LOCK_TIMEOUT {int(patience_s * 1000)}"


def begin(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    """See `adapters.alchemy.pictures.Begin`. Needs ALLOW_SNAPSHOT_ISOLATION. Raises sqlalchemy.exc.DBAPIError, also
    when users hold a table for long."""
    session.conn.exec_driver_sql(pictures.SNAPSHOT)
    if positions is None:
        pictures.touch(session.conn, tables)
        return 0
    holder = connect(session.system, session.url)
    try:
        holder.conn.exec_driver_sql(PATIENCE)
        holder.conn.commit()
        for left in reversed(range(tries_max)):
            try:
                pictures.hold(holder.conn, tables)
                break
            except exc.DBAPIError as error:
                holder.rollback()
                if meaning(error) is not Meaning.BLOCKED or not left:
                    raise
                time.sleep(pause_s)  # whoever waits behind us goes first
        position = positions.now(holder.conn)
        pictures.touch(session.conn, tables)
        return position
    finally:
        holder.close()
