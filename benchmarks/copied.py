"""The contender of SQLite, which has nothing built in: the whole table is copied from file to file, in one transaction.

It knows of no change, and merges nothing. What it shows is what SQLite itself takes to write these rows: the ratio says
how far duolog is from a plain copy.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.bench import Bench, other
from benchmarks.probe import Process

PATIENCE_S: Final = 30.0
COPY: Final = """
import sqlite3, sys
copy = sqlite3.connect(sys.argv[2], isolation_level=None, timeout=30)
copy.execute("ATTACH ? AS source", [sys.argv[1]])
copy.execute("BEGIN IMMEDIATE")
copy.execute("DELETE FROM main.item")
copy.execute("INSERT INTO main.item SELECT * FROM source.item")
copy.execute("COMMIT")
"""


class Copied:
    """A process that copies, and ends."""

    name = "built-in"
    one_to_one = True
    both_ways = False

    def __init__(self) -> None:
        self._bench: Bench | None = None
        self._sources: tuple[str, ...] = ()
        self._copying: list[subprocess.Popen[bytes]] = []

    def connect(self, bench: Bench, sources: Sequence[str]) -> None:
        """The files are alike already."""
        self._bench, self._sources = bench, tuple(sources)

    def pause(self) -> None:
        """It has ended, or is waited for."""
        for process in self._copying:
            process.wait(PATIENCE_S)
        self._copying.clear()

    def resume(self) -> None:
        """Copies."""
        assert self._bench is not None
        for source in self._sources:
            files = [self._bench.url(side).removeprefix("sqlite:///") for side in (source, other(source))]
            self._copying.append(subprocess.Popen([sys.executable, "-c", COPY, *files]))

    def processes(self) -> Iterable[Process]:
        """Those that copy."""
        return [process.pid for process in self._copying]

    def must_live(self) -> None:
        """It ends by itself."""

    def threads(self) -> Mapping[str, float]:
        """Not told."""
        return {}

    def close(self) -> None:
        """Waits for what has begun."""
        self.pause()
