"""Turns recorded rows, in the order of their stamps, into whole transactions; each with the position of its end.

Pure: it asks nobody for rows. Within a group, transactions come in the order of the last row that each has written:
numbers are drawn under the locks of the rows that they tell of, so this is the order of any two that met. Where the
database does not name transactions, what users did in one group is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from adapters.changetable.stamping import END, within
from adapters.relational.spool import Receiving, own_rows_max
from engine.vocabulary import Change, Progress, Transaction


class Told(NamedTuple):
    """One recorded row: where it belongs, and what it tells; None: nothing that is still so."""

    stamp: int
    tx: str | None
    own: str
    """Whose mark it bears; empty: a user's."""
    at: int
    size: int
    change: Change | None


@dataclass(frozen=True, slots=True)
class Grouping:
    """How rows become transactions. `engines`: whose marks are ours; `skip_own`: ours are told as Progress;
    `own_rows_max`: one of ours of more rows is spooled."""

    system: str
    engines: Collection[str]
    skip_own: bool
    folder: Path | None
    own_rows_max: int = own_rows_max

    def transactions(self, rows: Iterable[Told], after: Callable[[int, int], bool]) -> Iterator[Transaction | Progress]:
        """The transactions of these rows, but for those of which `after(stamp, index)` is false."""
        open_: Receiving | None = None
        where: tuple[int, str | None, str] | None = None
        stamp = index = at = 0
        try:
            for told in rows:
                key = (told.stamp, told.tx, told.own)
                if key != where and not (told.stamp == stamp and index == END - 1):
                    if open_ is not None and after(stamp, index):
                        yield open_.complete(self.system, within(stamp, index), at)
                    index = index + 1 if told.stamp == stamp else 1
                    stamp, where, at = told.stamp, key, 0
                    open_ = self._receiving(told.own)
                assert open_ is not None, "the first row begins one"
                at = max(at, told.at)
                if told.change is not None and not open_.skipped and after(stamp, index):
                    _add(open_, told.change, told.size)
            if open_ is not None and after(stamp, index):
                yield open_.complete(self.system, within(stamp, index), at)
                open_ = None
        finally:
            if open_ is not None:
                open_.close()

    def _receiving(self, own: str) -> Receiving:
        is_own = own in self.engines
        made = Receiving(self.folder, own=is_own, skipped=is_own and self.skip_own)
        made.engine = own if is_own else ""
        if is_own:
            made.rows_max = self.own_rows_max
        return made


def _add(open_: Receiving, change: Change, size: int) -> None:
    open_.changes.append(change)
    open_.size += size
    if len(open_.changes) > open_.rows_max or open_.size > open_.bytes_max:
        open_.spill()
