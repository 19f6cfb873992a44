"""Turns a window of change tables into its transactions, whole and in commit order, in bounded memory.

The rows of each table are read one table after the other (a connection of SQL Server's answers one question at a time)
and put down in runs, in memory or in temporary files; then all runs are merged. Nothing is told before everything is
read, so no transaction stays open while somebody works on what it told. It decides nothing about what is read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.rows import reading
from adapters.relational.spool import Receiving, Spool
from adapters.sqlserver import grouping, lsn, questions
from adapters.sqlserver.grouping import Captured, Told
from adapters.sqlserver.instances import Instance
from engine.vocabulary import Progress, Transaction

rows_at_once: Final = 1000
run_rows_max: Final = 20_000
"""A run of more rows goes to a file."""
row_bytes: Final = 100
"""About what a row takes beside its texts."""


class Run:
    """Rows of one table in order: written once, read once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rows: list[Captured] = []
        self._spool: Spool | None = None

    def write(self, rows: list[Captured]) -> None:
        """Appends some."""
        self._rows += rows
        if len(self._rows) > run_rows_max or (self._spool is not None and self._rows):
            if self._spool is None:
                self._spool = Spool(self._folder)
            chunk: Any = self._rows
            self._spool.write(chunk)
            self._rows = []

    def __iter__(self) -> Iterator[Captured]:
        """All rows."""
        if self._spool is not None:
            for chunk in self._spool:
                rows: Any = chunk
                yield from rows
        yield from self._rows

    def close(self) -> None:
        """Gives the space back."""
        self._rows = []
        if self._spool is not None:
            self._spool.close()


@dataclass(frozen=True, slots=True)
class Read:
    """A table as it is read in a window."""

    instance: Instance
    columns: Sequence[AlchemyColumn]
    way: Told


@dataclass(slots=True)
class Window:
    """All that a window holds, read from the database."""

    runs: list[Run]
    marks: Mapping[bytes, tuple[str, int]]
    """Our own transactions: engine and step, by commit LSN."""
    times: Mapping[bytes, int]
    """When each was committed, microseconds since 1970 UTC."""
    ways: Sequence[Told] = field(default_factory=list)

    def transactions(
        self, system: str, *, skip_own: bool, spool_dir: Path | None
    ) -> Iterator[Transaction | Progress]:
        """Its transactions, in commit order; own ones as Progress if they are skipped."""
        merged = heapq.merge(*self.runs, key=itemgetter(0, 1, 2, 3))
        for start, rows in groupby(merged, key=itemgetter(0)):
            engine, number = self.marks.get(start, ("", 0))
            at = lsn.position(lsn.number(start), system)
            if engine and skip_own:
                yield Progress(system, at)
                continue
            made = Receiving(spool_dir, own=bool(engine))
            made.engine, made.number = engine, number
            _receive(made, rows, self.ways)
            yield made.complete(system, at, self.times.get(start, 0))

    def close(self) -> None:
        """Gives the space back."""
        for run in self.runs:
            run.close()


def _receive(made: Receiving, rows: Iterator[Captured], ways: Sequence[Told]) -> None:
    for change in grouping.changes(rows, ways):
        made.changes.append(change)
        made.size += row_bytes + sum(len(each) for each in change[2] or () if isinstance(each, str))
        if len(made.changes) > made.rows_max or made.size > made.bytes_max:
            made.spill()


def run_of(
    conn: sa.Connection, number: int, read: Read, begin: lsn.Lsn, until: lsn.Lsn, folder: Path | None
) -> Run:
    """The rows of one table in a window. Raises sqlalchemy.exc.DBAPIError."""
    asked = questions.changes(read.instance.name, read.columns, begin, until)
    texts = reading(read.columns)
    run = Run(folder)
    streaming = {"stream_results": True, "yield_per": rows_at_once}
    try:
        with closing(conn.execute(asked, execution_options=streaming)) as rows:
            for some in rows.partitions():
                run.write([
                    (bytes(start), bytes(sequence), number, operation, bytes(mask or b""), texts(values))
                    for start, sequence, operation, mask, *values in some
                ])  # fmt: skip
    except BaseException:
        run.close()
        raise
    return run
