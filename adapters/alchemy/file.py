"""Turns the path of a database that is a file into the certainty that the file is there, and the one that was opened.

Asks the file system only, never the database. A connection keeps a file that was moved away or replaced, and would
write into what nobody sees any more; and a driver makes an empty file where there is none.
"""

from __future__ import annotations

import os
from typing import Final

from engine.errors import SystemUnavailable

KEEPS_TRYING: Final = "put it back, or set the address right: duolog keeps trying"


class OpenFile:
    """The file at a path, as it is now: to be made before it is opened. Raises SystemUnavailable if there is none."""

    def __init__(self, path: str, system: str) -> None:
        self._path = path
        self._system = system
        self._opened = self._there()

    def check(self) -> None:
        """Raises SystemUnavailable if another file stands there now, or none."""
        if self._there() != self._opened:
            raise SystemUnavailable(
                f"`{self._path}` is no longer the file that was opened", system=self._system, mend=KEEPS_TRYING
            )

    def _there(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except OSError as error:
            raise SystemUnavailable(
                f"there is no file `{self._path}`: {error.strerror}", system=self._system, mend=KEEPS_TRYING
            ) from None
        return found.st_dev, found.st_ino


def at(path: str | None, system: str) -> OpenFile | None:
    """The file at a path; None for a database in memory, and for what SQLite calls a URI. Raises SystemUnavailable."""
    if not path or path.startswith((":", "file:")):
        return None
    return OpenFile(path, system)
