"""Turns stamps into the rows that bear them, as changes with exact texts; a few groups at a time, in flat memory.

A group whose stamp is committed never changes again, so it may be asked for in pieces. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.rows import reading_all
from adapters.alchemy.session import Session
from adapters.changetable.grouping import Told
from adapters.changetable.stamping import rows_at_once, streaming
from adapters.changetable.tables import BEGINNING, Ours, Shadow
from adapters.changetable.triggers import LOST
from engine.errors import SchemaChanged
from engine.vocabulary import ABSENT, DELETE, INSERT, TRUNCATE, UPDATE, Change, Row, Text

rows_in_memory: Final = 10_000
"""Groups of more rows in sum are not read together; one that has more by itself is streamed by a second connection."""
groups_at_once: Final = 500
sparse: Final = 4
"""Rows are asked for by the range of their numbers, unless that has so many times more numbers than there are rows."""


class Records:
    """Reads what is recorded of one system. `shadows`: by the tables' numbers in the change table."""

    def __init__(self, ours: Ours, shadows: Mapping[int, Shadow], system: str) -> None:
        self._ours = ours
        self._shadows = shadows
        self._system = system
        self._readers = {code: reading_all([column for _, column in each.kept]) for code, each in shadows.items()}

    def through(self, session: Session, first: int, last: int) -> tuple[int, bool]:
        """Up to which stamp to read from `first` on, to `last` at most; and whether that is too much for memory."""
        change = self._ours.change
        asked = sa.select(change.c.stamp, sa.func.count()).where(change.c.stamp.between(first, last))
        sizes = session.conn.execute(
            asked.group_by(change.c.stamp).order_by(change.c.stamp).limit(groups_at_once)
        ).all()
        rows, through = 0, first
        for stamp, count in sizes:
            if rows and rows + count > rows_in_memory:
                return through, rows > rows_in_memory
            rows, through = rows + int(count), int(stamp)
        return (through if len(sizes) == groups_at_once else last), rows > rows_in_memory

    def between(self, session: Session, first: int, last: int, stream: Session | None) -> Iterator[Told]:
        """What bears these stamps, in the order in which it is told. `stream`: a connection of its own for what is too
        much for memory. Raises SchemaChanged, sqlalchemy.exc.DBAPIError."""
        asked = self._asked(first, last)
        if stream is None:
            rows: Iterator[Any] = iter(session.conn.execute(asked).all())
        else:
            rows = iter(stream.conn.execute(asked.execution_options(**streaming)))
        while some := list(islice(rows, rows_at_once)):
            yield from self._told(session, some)

    def _asked(self, first: int, last: int) -> sa.Select[Any]:
        change = self._ours.change.c
        own = sa.case((change.own.is_(None), 0), else_=1)
        columns = (change.stamp, change.tx, change.own, change.tbl, change.op, change.at, change.seq)
        asked = sa.select(*columns).where(change.stamp.between(first, last), change.op != BEGINNING)
        if not self._ours.words.names_transactions:
            return asked.order_by(change.stamp, own, change.seq)
        latest = sa.func.max(change.seq).over(partition_by=(change.stamp, change.tx, own)).label("latest")
        c = asked.add_columns(latest, own.label("ours")).subquery().c
        told = sa.select(c.stamp, c.tx, c.own, c.tbl, c.op, c.at, c.seq)
        return told.order_by(c.stamp, c.ours, c.latest, c.seq)

    def _told(self, session: Session, rows: Sequence[Any]) -> Iterator[Told]:
        """These rows of the change table, with what is kept of theirs."""
        numbers: dict[int, list[int]] = {}
        for _, _, _, code, op, _, seq in rows:
            if op in CHANGES and code in self._shadows:
                numbers.setdefault(code, []).append(seq)
        kept = {code: self._kept(session, self._shadows[code], code, some) for code, some in numbers.items()}
        for stamp, tx, own, code, op, at, seq in rows:
            values = kept[code].get(seq) if code in kept else None
            change, size = self._change(code, op, values)
            yield Told(stamp, tx, own or "", int(at), size, change)

    def _kept(self, session: Session, each: Shadow, code: int, numbers: Sequence[int]) -> dict[int, tuple[Text, ...]]:
        low, high = min(numbers), max(numbers)
        where = each.sql.c.seq.between(low, high)
        if high - low >= sparse * len(numbers):
            where = each.sql.c.seq.in_(numbers)
        rows = session.conn.execute(sa.select(*each.selected).where(where)).all()
        texts = self._readers[code]([row[1:] for row in rows])
        return {int(row[0]): values for row, values in zip(rows, texts, strict=True)}

    def _change(self, code: int, op: str, values: tuple[Text, ...] | None) -> tuple[Change | None, int]:
        each = self._shadows.get(code)
        if op == LOST:
            raise self._lost(each)
        if each is None:
            return None, 0
        if op == TRUNCATE:
            return (each.number, TRUNCATE, None, None), 0
        if values is None:
            raise self._lost(each)
        width = len(each.table.key)
        size = sum(map(len, filter(None, values)))
        return CHANGES[op](each, values[:width], values[width:]), size

    def _lost(self, each: Shadow | None) -> SchemaChanged:
        named = f"of `{each.table.schema}.{each.table.name}` " if each is not None else ""
        return SchemaChanged(
            f"a change {named}could not be recorded: the table has been altered, or set up anew since",
            system=self._system,
            mend="duolog setup RULES\n  duolog run RULES --merge-again",
        )


def _inserted(each: Shadow, key: Row, new: Row) -> Change | None:
    return (each.number, INSERT, new, None) if _is_there(each, new) else None


def _updated(each: Shadow, key: Row, new: Row) -> Change | None:
    if not _is_there(each, new):
        return None
    if key == tuple(new[at] for at in each.table.key):
        return (each.number, UPDATE, new, None)
    former = dict(zip(each.table.key, key, strict=True))
    return (each.number, UPDATE, new, tuple(former.get(at, ABSENT) for at in range(len(new))))


def _deleted(each: Shadow, key: Row, row: Row) -> Change | None:
    return (each.number, DELETE, None, row)


def _is_there(each: Shadow, row: Row) -> bool:
    """False: another trigger had removed the row before ours could look; that was told first."""
    return each.table.key == () or row[each.table.key[0]] is not None


CHANGES: Final[Mapping[str, Callable[[Shadow, Row, Row], Change | None]]] = {
    INSERT: _inserted, UPDATE: _updated, DELETE: _deleted,
}  # fmt: skip
"""By operation."""
