"""Turns rows that come in any order into the order of their record keys, by code point, in bounded memory.

Sorted runs go to an anonymous temporary file and are merged from there. For databases whose own order cannot be told to
be that of Python's texts. It knows no database.
"""

from __future__ import annotations

import heapq
import marshal
import tempfile
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import IO, Final, TypeAlias

from engine.vocabulary import Row

Keyed: TypeAlias = "tuple[str, Row]"

run_characters_max: Final = 1 << 20
"""So long are the texts that are sorted in memory at once."""
page_rows_max: Final = 100
"""Rows of a run that are read back together."""
runs_max: Final = 100
"""So many runs are merged at once; if there are more, they are merged to longer ones first."""

Run: TypeAlias = "list[tuple[int, int]]"
"""(offset, size) of each page in the file."""


def in_key_order(rows: Iterable[Keyed]) -> Iterator[Keyed]:
    """These rows, ascending by their keys."""
    some: list[Keyed] = []
    size = 0
    with tempfile.TemporaryFile(prefix="duolog-sort-") as file:
        runs: list[Run] = []
        for key, row in rows:
            some.append((key, row))
            size += len(key) + sum([len(text) for text in row if isinstance(text, str)])
            if size > run_characters_max:
                some.sort(key=itemgetter(0))
                runs.append(_written(file, some))
                some, size = [], 0
        some.sort(key=itemgetter(0))
        while len(runs) > runs_max:
            first = heapq.merge(*[_read(file, run) for run in runs[:runs_max]], key=itemgetter(0))
            runs = [*runs[runs_max:], _written(file, first)]
        yield from heapq.merge(*[_read(file, run) for run in runs], some, key=itemgetter(0))


def _written(file: IO[bytes], rows: Iterable[Keyed]) -> Run:
    run: Run = []
    page: list[Keyed] = []
    size = 0
    for each in rows:
        page.append(each)
        size += sum([len(text) for text in each[1] if isinstance(text, str)])
        if len(page) == page_rows_max or size > run_characters_max // runs_max:
            run.append(_put(file, page))
            page, size = [], 0
    if page:
        run.append(_put(file, page))
    return run


def _put(file: IO[bytes], page: list[Keyed]) -> tuple[int, int]:
    told = marshal.dumps(page, 2)
    offset = file.seek(0, 2)
    file.write(told)
    return offset, len(told)


def _read(file: IO[bytes], run: Run) -> Iterator[Keyed]:
    for offset, size in run:
        file.seek(offset)
        yield from marshal.loads(file.read(size))
