"""Turns what is committed in the change table by now into one group with a number, its stamp; stamps into positions.

Numbers of rows are drawn long before their transactions are committed, so they are no order. A stamp is given
afterwards, to all that is committed and has none: the mark's row lets one session at a time do it. Who commits late
gets a later stamp, and no row is ever missed; what can be seen together is whole transactions
(`docs/decisions/0040`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.positions import Positions
from adapters.alchemy.session import Session
from adapters.changetable.tables import Ours, ours_of, placed
from engine.errors import NotSetUp
from engine.vocabulary import Position

INDEX_BITS: Final = 24
"""So many transactions may be in one group, as a power of two."""
END: Final = (1 << INDEX_BITS) - 1
"""The index of a group's end."""
rows_at_once: Final = 2000
"""So many rows are stamped, or removed, by one statement that names them."""
streaming: Final = {"stream_results": True, "yield_per": 5000}


def end_of(stamp: int) -> Position:
    """Behind the group, before the next."""
    return stamp << INDEX_BITS | END


def within(stamp: int, index: int) -> Position:
    """The end of a transaction of the group, counted from 1."""
    return stamp << INDEX_BITS | index


def stamp_of(position: Position) -> int:
    """The group that a position is in."""
    return position >> INDEX_BITS


def index_of(position: Position) -> int:
    """Which transaction of its group a position is behind; `END`: all."""
    return position & END


def text(position: Position) -> str:
    """As people read it: `17` behind the group 17, `17.3` behind its third transaction."""
    index = index_of(position)
    return str(stamp_of(position)) if index == END else f"{stamp_of(position)}.{index}"


def number(told: str) -> Position:
    """What people read so."""
    stamp, point, index = told.partition(".")
    return within(int(stamp), int(index)) if point else end_of(int(stamp))


def positions(system: str, engine: str = "") -> Positions:
    """What positions are here. `engine`: under which name the session writes that asks.

    To ask is to stamp: behind the answer is all that is written from then on, and what the asking transaction itself
    has written."""
    return Positions(
        lambda conn: end_of(stamp(conn, ours_of(conn.dialect, system), system, engine)), text, number
    )  # fmt: skip


def stamp(conn: sa.Connection, ours: Ours, system: str, engine: str = "") -> int:
    """Stamps all that is committed, in the transaction that is open; answers with what. Rows of `engine`, which only
    the open transaction can have written without a stamp, get the next one.

    Who else stamps waits until the transaction ends. Raises NotSetUp, sqlalchemy.exc.DBAPIError."""
    last = hold(conn, ours, system, 2 if engine else 1)
    change = ours.change
    if ours.words.at_once:
        given = sa.case((change.c.own == engine, last), else_=last - 1) if engine else sa.literal(last)
        conn.execute(sa.update(change).where(change.c.stamp.is_(None)).values(stamp=given))
    else:
        _stamp_picked(conn, ours, last, engine)
    return last - 1 if engine else last


def hold(conn: sa.Connection, ours: Ours, system: str, step: int = 1) -> int:
    """Makes the open transaction the only one that stamps; the last stamp, which is its own. Raises NotSetUp."""
    if ours.words.patient:
        conn.exec_driver_sql(ours.words.patient)
    mark = ours.mark
    if ours.words.held:
        name = placed(conn.dialect, mark).replace("'", "''")
        conn.exec_driver_sql(ours.words.held.format(mark=name, step=step)).close()
    else:
        conn.execute(sa.update(mark).where(mark.c.id == 1).values(n=mark.c.n + step))
    found = conn.execute(sa.select(mark.c.n).where(mark.c.id == 1)).scalar()
    if found is None:
        raise NotSetUp(
            f"`{mark.fullname}` is empty", system=system, mend="duolog teardown RULES, then duolog setup RULES"
        )
    return int(found)


def unstamped(ours: Ours) -> sa.Select[Any]:
    """The question for what has no stamp yet."""
    return sa.select(ours.change.c.seq).where(ours.change.c.stamp.is_(None))


def give(conn: sa.Connection, ours: Ours, rows: Sequence[int], stamped: int) -> None:
    """Gives these rows a stamp."""
    change = ours.change
    for some in pieces(rows):
        conn.execute(sa.update(change).where(change.c.seq.in_(some)).values(stamp=stamped))


def numbers(conn: sa.Connection, asked: sa.Select[Any]) -> array[int]:
    """What one statement sees, eight bytes a row."""
    # Of the statement, not of the connection: its savepoints, too, would be taken for what has rows to be streamed.
    with conn.execute(asked.execution_options(**streaming)) as rows:
        return array("q", (int(number) for (number,) in rows))


def pieces(rows: Sequence[int]) -> Iterator[list[int]]:
    """A few at a time."""
    for first in range(0, len(rows), rows_at_once):
        yield list(rows[first : first + rows_at_once])


def is_any_unstamped(session: Session, ours: Ours) -> bool:
    """True if something is committed and has no stamp."""
    return session.conn.execute(_first_unstamped(ours.change)).first() is not None


@lru_cache(maxsize=16)
def _first_unstamped(change: sa.Table) -> sa.Select[Any]:
    """Put together once, as a reader asks it all the time."""
    return sa.select(change.c.seq).where(change.c.stamp.is_(None)).limit(1)


def _stamp_picked(conn: sa.Connection, ours: Ours, last: int, engine: str) -> None:
    """Where an UPDATE would wait for those who are not committed: one statement looks, others stamp what it saw."""
    mine = sa.and_(ours.change.c.own.is_not(None), ours.change.c.own == engine)
    asked = unstamped(ours)
    if not engine:
        give(conn, ours, numbers(conn, asked), last)
        return
    # Two statements may see different things; but our own rows are all there before the first of them.
    own = numbers(conn, asked.where(mine))
    theirs = numbers(conn, asked.where(sa.not_(mine)))
    give(conn, ours, theirs, last - 1)
    give(conn, ours, own, last)
