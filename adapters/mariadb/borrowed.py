"""Reads the same log as a running engine, from the place where that engine is, without getting in its way.

Turns the engine's own source into one with a number of its own: the server would end the engine's reading for a second
reader of the same number. A server keeps its log whoever reads it, so there is nothing to be kept for us, nor to be
cleaned up. It tells what the engine itself writes, too.
"""

from __future__ import annotations

import contextlib
import secrets

from adapters.mariadb.source import MariaSource

FIRST_ID = 0x8000_0000
"""Numbers from here on are drawn; engines have numbers below (`names.SERVER_IDS`)."""


def drawn_id() -> int:
    """A number for a reader that comes once."""
    return FIRST_ID + secrets.randbelow(0x7FFF_FFFF)


class BorrowedSource(MariaSource):
    """See the module; to be made with `server_id=drawn_id()`. `reserve`, then `open`."""

    def reserve(self) -> None:
        """Looks whether the server can be read at all, before the engine's store is. Raises SystemUnavailable,
        SystemStopped."""
        with contextlib.closing(self._connect("shadow")) as conn:
            self._translated(lambda: self._look(conn, newest=True))

    def let_go(self) -> None:
        """Hangs up."""
        self.close()
