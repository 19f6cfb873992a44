"""Reads the same change table as a running engine, from the place where that engine is, without getting in its way.

Turns the engine's own source into one that removes nothing; it tells what the engine itself writes, too. Nothing is
kept for it: who is slower than the engine's acknowledgements is told so when it opens."""

from __future__ import annotations

from adapters.changetable.source import ChangeTableSource


class BorrowedSource(ChangeTableSource):
    """See the module; to be made with `forgets=False`. `reserve`, then `open`."""

    def reserve(self) -> None:
        """Looks whether it can be read at all, before the engine's store is. Raises SystemUnavailable,
        SystemStopped."""
        self.verify()

    def let_go(self) -> None:
        """Hangs up."""
        self.close()
