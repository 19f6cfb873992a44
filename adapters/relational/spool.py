"""Turns the changes of a transaction that is being received into that transaction, in bounded memory.

It does no I/O but for one thing: a transaction too large for memory goes to an anonymous temporary file, and comes
back from it in lists of bounded length. It knows no log's format and decides nothing.
"""

from __future__ import annotations

import marshal
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from engine.vocabulary import Change, Position, Progress, Transaction

transaction_rows_max: Final = 10_000
"""A transaction of more rows is spooled to a file."""

own_rows_max: Final = 100_000
"""So is one of ours of more rows: one of our batches may have several for each record."""

transaction_bytes_max: Final = 32 << 20
"""So is one whose messages are longer than this in sum."""

_SIZE: Final = struct.Struct("<Q")


class Spool:
    """A file of changes: written once, read once, gone when read to the end, closed or forgotten.

    It has no name on disk (POSIX), so nothing is left behind whatever happens. marshal is right here: the bytes
    never leave this process, and it keeps None and ABSENT apart."""

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where the file's space is taken from; None: the system's folder for temporary files."""
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, prefix="duolog-spool-")  # noqa: SIM115 (outlives us)

    def write(self, changes: list[Change]) -> None:
        """Appends one chunk."""
        chunk = marshal.dumps(changes, 2)  # version 2 keeps no table of references: half the time
        self._file.write(_SIZE.pack(len(chunk)))
        self._file.write(chunk)

    def __iter__(self) -> Iterator[list[Change]]:
        """The chunks, in order; once."""
        self._file.seek(0)
        while header := self._file.read(_SIZE.size):
            yield marshal.loads(self._file.read(_SIZE.unpack(header)[0]))
        self.close()

    def close(self) -> None:
        """Gives the space back. May be called again."""
        self._file.close()


class Receiving:
    """The transaction that is being received. Who receives appends to `changes` and adds to `size` himself, as this is
    the hot path; and calls `spill` when `len(changes) > rows_max or size > bytes_max`.

    `own`: it bears our mark, as far as is known yet. `skipped`: own, and nothing bound can change beside it: its
    changes are not looked at. `folder`: see `Spool`."""

    __slots__ = (
        "_folder", "_rows", "_spool", "bytes_max", "changes", "engine", "number", "own", "rows_max", "size", "skipped",
    )  # fmt: skip

    def __init__(self, folder: Path | None = None, *, own: bool = False, skipped: bool = False) -> None:
        self._folder = folder
        self._spool: Spool | None = None
        self._rows = 0
        """How many changes went to the spool."""
        self.changes: list[Change] = []
        self.size = 0
        """The length of the messages in `changes`, in bytes."""
        self.number = 0
        """Of an own one: which batch it is, where the log tells."""
        self.engine = ""
        """Of an own one: whose."""
        self.bytes_max = transaction_bytes_max
        self.mark(own=own, skipped=skipped)

    def mark(self, *, own: bool, skipped: bool) -> None:
        """It is known now whether the transaction is ours."""
        self.own = own
        self.skipped = skipped
        self.rows_max = own_rows_max if own else transaction_rows_max

    def spill(self) -> None:
        """Moves what is in memory to the transaction's file."""
        if self._spool is None:
            self._spool = Spool(self._folder)
        if self.changes:
            self._spool.write(self.changes)
        self._rows += len(self.changes)
        self.changes = []
        self.size = 0

    def complete(self, system: str, position: Position, committed_at: int) -> Transaction | Progress:
        """The transaction, now that its commit has come; Progress if it has nothing for us.

        `position`: the end of its commit. `committed_at`: microseconds since 1970 UTC."""
        if not self.changes and self._spool is None:
            return Progress(system, position)
        if self._spool is not None:
            self.spill()
        return Transaction(
            system=system,
            position=position,
            committed_at=committed_at,
            own=self.own,
            changes=self.changes,
            rows=self._rows + len(self.changes),
            spool=self._spool,
            number=self.number,
            engine=self.engine,
        )

    def close(self) -> None:
        """It is forgotten, half received."""
        if self._spool is not None:
            self._spool.close()
