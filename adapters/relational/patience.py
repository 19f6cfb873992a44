"""Turns what became of earlier batches into how the next one asks for its locks, never into a wait of its own.

Rows that users lock in turn, without a pause, are never all free at one moment: who asks for them once, steps aside and
asks once more, may be kept out for ever. So rows that have stepped aside are locked first, in the order of their keys,
which is that of most users: then we wait behind users who go on before us, not for users who wait for us. Of these
tries every other one waits for longer, as users may be slow; and half of those go backwards, as users may. In between
the wait is short, as a row may be locked for hours and other users wait for what we hold meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.vocabulary import Batch, RowResult

LONGER: Final = 3
"""So many times the usual wait is the longer one."""
LONGER_ROWS_MAX: Final = 500
"""Up to so many rows a batch waits for longer: users wait also while its rows are written."""
REMEMBERED_MAX: Final = 10_000
"""Rows whose tries are counted; of the oldest the count is forgotten, and begins again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How one batch asks for its locks."""

    within_s: float
    """So many seconds it may wait for them."""
    in_order: bool = False
    """Some of its rows have stepped aside before: the rows of each write are locked first, in the order of keys."""
    backwards: bool = False
    """The order is the opposite one."""


class Patience:
    """What one target remembers of rows that have stepped aside."""

    def __init__(self, usual_s: float) -> None:
        """`usual_s`: how long a batch waits that has met nobody yet, in seconds."""
        self._usual_s = usual_s
        self._tries: dict[tuple[str, str], int] = {}
        """By (entity, key): how often the row has stepped aside in a row."""

    def turn(self, batch: Batch) -> Turn:
        """How this batch, of which the writes are worked out, asks for its locks."""
        if not self._tries:
            return Turn(self._usual_s)
        tries = max((self._tries.get((w.entity, row[1]), 0) for w in batch.writes for row in w.rows), default=0)
        if tries == 0:
            return Turn(self._usual_s)
        longer = tries % 2 == 0 and batch.rows <= LONGER_ROWS_MAX
        return Turn(self._usual_s * LONGER if longer else self._usual_s, in_order=True, backwards=tries % 4 == 0)

    def learn(self, batch: Batch, exceptions: Sequence[RowResult]) -> None:
        """The batch is written, with these exceptions."""
        aside = {(e.entity, e.key) for e in exceptions if e.kind == "deferred"}
        if self._tries:
            for write in batch.writes:
                for row in write.rows:
                    if (write.entity, row[1]) not in aside:
                        self._tries.pop((write.entity, row[1]), None)
        for name in aside:
            self._tries[name] = self._tries.pop(name, 0) + 1
        while len(self._tries) > REMEMBERED_MAX:
            del self._tries[next(iter(self._tries))]
