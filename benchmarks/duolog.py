"""The contender that this is about: `duolog run` as a process of its own, between the two servers.

It always runs both ways, also where only one side writes: that is what it is for. Its process is one; the
walsenders and sessions that serve it in the two servers are not counted, as built-in replication's are not
duolog's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, TooSlow
from benchmarks.standby import until_counted
from service.demo.engine import Engine, quiet

SYNCHRONOUS: Final = "commit: synchronous, when_away: closed, "
"""What the rules say of a system whose users wait. Closed: a bench that hangs is better than one that measures what did
not wait."""

THREADS: Final = "threads"
"""The file in which its threads tell their CPU time."""


class Duolog:
    """duolog, with its store on disk and everything durable."""

    name = "duolog"
    one_to_one = False
    both_ways = True

    def __init__(self, profile: Path | None = None) -> None:
        """`profile`: where `duolog run` leaves one profile per thread."""
        self._engine: Engine | None = None
        self._patience_s = 0.0
        self._folder: Path | None = None
        self._asynchronous = ""
        """The rules, while others are in force."""
        self._environment = {"DUOLOG_PROFILE": str(profile)} if profile else {}

    def connect(self, bench: Bench, sources: Sequence[str]) -> None:
        """Sets up, runs the first merge, and waits until nothing is left to do."""
        self._folder = Path(tempfile.mkdtemp(prefix="duolog-bench-"))
        addresses = {"ERP_URL": bench.url("erp"), "CRM_URL": bench.url("crm")}
        self._engine = Engine(bench.workload.rules, addresses, self._folder)
        self._engine.call("setup")
        self._engine.start()
        self._patience_s = bench.sizes.patience_s
        self.until_quiet()

    def until_quiet(self) -> None:
        """Waits until it runs and has nothing left to do. Raises TooSlow."""
        assert self._engine is not None
        if self._engine.until(quiet, self._patience_s) is None:
            raise TooSlow(f"duolog is not done; the log ends:\n{self._engine.log_tail()}")

    def pause(self) -> None:
        """SIGTERM; the engine finishes the transaction in hand."""
        assert self._engine is not None
        code = self._engine.stop()
        assert code == 0, f"`duolog run` ended with {code}:\n{self._engine.log_tail()}"

    def resume(self) -> None:
        """Starts the process again."""
        assert self._engine is not None
        assert self._folder is not None
        self._engine.start({"DUOLOG_CPU": str(self._folder / THREADS), **self._environment})

    def arm(self, bench: Bench, side: str) -> None:
        """Starts anew with rules by which this side is synchronous, and waits until the server counts it."""
        assert self._engine is not None
        self.pause()
        said = self._engine.rules.read_text(encoding="utf-8")
        self._asynchronous, named = said, f"{side}: {{adapter: postgresql, "
        assert named in said, "the rules say a system in one line"
        self._engine.rules.write_text(said.replace(named, named + SYNCHRONOUS), encoding="utf-8")
        self._engine.call("setup")
        self.resume()
        until_counted(bench, side)

    def disarm(self, bench: Bench, side: str) -> None:
        """Starts anew with the rules as they were."""
        assert self._engine is not None
        self.pause()
        self._engine.rules.write_text(self._asynchronous, encoding="utf-8")
        self.resume()

    def processes(self) -> Iterable[int]:
        """The engine's process."""
        pid = self._engine.pid if self._engine else None
        return [pid] if pid else []

    def must_live(self) -> None:
        """Raises CommandFailed with the end of the log if the engine has ended."""
        assert self._engine is not None
        self._engine.must_live()

    def threads(self) -> Mapping[str, float]:
        """Of the reader of each source, the writer of each target, the store, and of who decides."""
        assert self._folder is not None
        file = self._folder / THREADS
        lines = file.read_text(encoding="utf-8").split() if file.exists() else []
        return dict(zip(lines[::2], map(float, lines[1::2]), strict=True))

    def close(self) -> None:
        """Stops the engine, and removes its folder."""
        if self._engine is not None:
            self._engine.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
