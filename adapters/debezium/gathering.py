"""Turns the events of one transaction, as they come from several partitions, some twice, into its changes in order.

A connector that was interrupted in a transaction tells a part of it again; one that reads a binlog then counts anew,
and its END tells only what was told since. So an event is known by where the log has it, not by its number; and how
many there have to be is counted by run, from one start of the connector to the next. Pure, but for a spool of rows.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Final, TypeAlias

from adapters.debezium.coordinates import Mark
from adapters.debezium.decoding.events import Half, Operation, RowEvent, Source, TruncateEvent, changes
from adapters.kafka.topics import Place
from adapters.relational.spool import Spool, transaction_bytes_max, transaction_rows_max
from engine.vocabulary import Change, Position, Row

Kept: TypeAlias = "tuple[Mark, int, str, Row | None, Row | None, str]"
"""(mark, table, operation, new, old, half) of an event; the operation of an emptying is `t`."""

_mark: Final = itemgetter(0)

chunk_rows: Final = 1_000
"""So many changes of a spooled transaction are handed over at once, or a few more."""

_NOWHERE: Final = Source()


class _Part:
    """What one partition has of the transaction."""

    __slots__ = ("first", "last", "order", "rows", "run", "spool")

    def __init__(self, offset: int) -> None:
        self.first = offset
        """The offset of its first event there."""
        self.last: Mark = ()
        self.order = 0
        """The number of the last event, in its run."""
        self.run: bytes = b""
        self.rows: list[Kept] = []
        self.spool: Spool | None = None

    def __iter__(self) -> Iterator[Kept]:
        """All that was kept, in order; once."""
        if self.spool is not None:
            for chunk in self.spool:
                yield from chunk  # type: ignore[misc]
        yield from self.rows


class Gathering:
    """One transaction that is being told. `folder`: where it is spooled if it is large."""

    __slots__ = (
        "_folder", "_in_memory", "_parts", "_per_run", "_size", "_spooled", "_tables", "committed_at", "engine",
        "number", "position", "repeated", "rows", "truncated",
    )  # fmt: skip

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._parts: dict[Place, _Part] = {}
        self._tables: dict[int, int] = {}
        """By table: how many different events there are."""
        self._per_run: dict[bytes, dict[int, int]] = {}
        """By run, by table: how many events were told, whether or not they had been told before."""
        self._in_memory = 0
        self._size = 0
        self._spooled = False
        self.rows = 0
        self.position: Position = 0
        """The highest that its events tell."""
        self.committed_at = 0
        """Microseconds since 1970 UTC."""
        self.engine = ""
        """Whose mark it bears, if it is ours."""
        self.number = 0
        """Of an own one: which batch it is, where that is told."""
        self.repeated = 0
        """How many events were told before."""
        self.truncated = False

    def note(self, place: Place, offset: int, table: int, mark: Mark, order: int, run: bytes) -> bool:
        """One more event has come; True if it is new. `run`: what the connector calls its run; empty if it does not."""
        part = self._parts.get(place)
        if part is None:
            part = self._parts[place] = _Part(offset)
        if run and run != part.run:
            part.run, part.order = run, 0
        if order <= part.order:
            if run:  # the very same message, sent again by Kafka's own client
                self.repeated += 1
                return False
            part.run += b"+"  # nobody says so, but it counts anew
        part.order = order
        per_table = self._per_run.setdefault(part.run, {})
        per_table[table] = per_table.get(table, 0) + 1
        if mark <= part.last:
            self.repeated += 1
            return False
        part.last = mark
        self._tables[table] = self._tables.get(table, 0) + 1
        return True

    def keep(self, place: Place, mark: Mark, event: RowEvent | TruncateEvent, size: int) -> None:
        """Keeps an event that is new. `size`: of its message, in bytes."""
        if isinstance(event, TruncateEvent):
            kept: Kept = (mark, event.table, "t", None, None, "")
            self.truncated = True
        else:
            kept = (mark, event.table, event.operation, event.new, event.old, event.half)
        self._parts[place].rows.append(kept)
        self.rows += kept[5] != "former"
        self._in_memory += 1
        self._size += size
        if self._in_memory > transaction_rows_max or self._size > transaction_bytes_max:
            self._spill()

    @property
    def in_memory(self) -> int:
        """How many of its events are in memory."""
        return self._in_memory

    @property
    def size(self) -> int:
        """How long the messages of those are, in bytes."""
        return self._size

    @property
    def runs(self) -> int:
        """In how many runs of the connector it was told, as far as is seen."""
        return len(self._per_run)

    def is_complete(self, counts: Mapping[int, int], *, anew: bool) -> bool:
        """True if there is as much as its END tells. `counts`: by table, of those that are read. `anew`: an interrupted
        connector counts anew, so that END tells of its last run only; else it goes on counting."""
        told = self._per_run.values() if anew else [self._tables]
        return any(all(run.get(table, 0) == count for table, count in counts.items()) for run in told)

    def lacks(self, counts: Mapping[int, int]) -> dict[int, int]:
        """By table: how many events have come of those that do not fit; of all, if only the sum of runs fits."""
        have = {table: self._tables.get(table, 0) for table in counts}
        return {table: number for table, number in have.items() if number != counts[table]} or have

    def first_offsets(self) -> Iterable[tuple[Place, int]]:
        """Where its first event is, in each partition that has any."""
        return ((place, part.first) for place, part in self._parts.items())

    def take(self) -> tuple[list[Change], Iterator[list[Change]] | None]:
        """(its changes, None); or ([], its changes in lists of bounded length) if it is large. Once."""
        parts = list(self._parts.values())
        if not self._spooled:
            rows = parts[0].rows if len(parts) == 1 else sorted(chain(*(part.rows for part in parts)), key=_mark)
            return changes(map(_event, rows)), None
        return [], _in_chunks(heapq.merge(*parts, key=_mark))

    def close(self) -> None:
        """It is forgotten."""
        for part in self._parts.values():
            if part.spool is not None:
                part.spool.close()

    def _spill(self) -> None:
        self._spooled = True
        for part in self._parts.values():
            if part.rows:
                if part.spool is None:
                    part.spool = Spool(self._folder)
                part.spool.write(part.rows)  # type: ignore[arg-type]
                part.rows = []
        self._in_memory = self._size = 0


def _event(kept: Kept) -> RowEvent | TruncateEvent:
    _, table, operation, new, old, half = kept
    if operation == "t":
        return TruncateEvent(table, _NOWHERE, None)
    said: Operation = operation  # type: ignore[assignment]
    which: Half = half  # type: ignore[assignment]
    return RowEvent(table, said, new, old, which, _NOWHERE, None)


def _in_chunks(rows: Iterable[Kept]) -> Iterator[list[Change]]:
    """In lists of bounded length; the two halves of a changed key stay together."""
    chunk: list[RowEvent | TruncateEvent] = []
    for kept in rows:
        event = _event(kept)
        chunk.append(event)
        if len(chunk) >= chunk_rows and not (isinstance(event, RowEvent) and event.half == "former"):
            yield changes(chunk)
            chunk = []
    if chunk:
        yield changes(chunk)
