"""New rules for an engine at work: read and judged beside it, and taken on only if they pass everything.

SIGHUP asks; a thread of its own reads the rules, holds them against the databases, the store and their own tests, while
the engine runs on. Only then is the engine asked to end at a transaction's edge, and started anew. What is refused is
told in the log and kept for `duolog status`; the old rules stay in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.store import SqlStore
from engine.errors import DuologError
from service.passing import Passed, successor
from service.wiring import RulesRefused, Wired

LOOK_EVERY_S = 0.05
"""How often the thread looks whether somebody has asked: a signal handler may take no lock to wake it."""


class Reload:
    """See the module. `asked` is set by the signal handler, `passed` is taken by the engine's own thread."""

    def __init__(self, path: Path, tell: Callable[[str, str], None]) -> None:
        self.path = path
        self.tell = tell
        self.asked = False
        self.passed: Passed | None = None
        self.in_force_at = time.time()
        self.refused: dict[str, Any] | None = None
        """What is wrong with the rules that were read last, if they were refused."""

    def watch(
        self, running: Callable[[], Wired], store: SqlStore, stopped: Callable[[], bool], switch: Callable[[], None]
    ) -> None:
        """Until `stopped`: judges new rules whenever somebody asks, and calls `switch` when some have passed."""
        while not stopped():
            if self.asked and self.passed is None:
                self.asked = False
                self._judge(running(), store)
                if self.passed is not None:
                    switch()
            time.sleep(LOOK_EVERY_S)

    def take(self) -> Passed | None:
        """The rules that have passed, once."""
        passed, self.passed = self.passed, None
        if passed is not None:
            self.in_force_at = time.time()
        return passed

    def document(self) -> dict[str, Any]:
        """For `duolog status`."""
        return {"path": str(self.path), "in_force_since": self.in_force_at, "refused": self.refused}

    def _judge(self, running: Wired, store: SqlStore) -> None:
        try:
            passed = successor(self.path, running, store, self.tell)
        except RulesRefused as error:
            problems = [problem.json() for problem in error.problems]
            self._refuse(problems, [str(problem) for problem in error.problems])
        except DuologError as error:
            problem = {"code": error.code, "severity": "error", "system": error.system, "found": error.found,
                       "mend": error.mend}  # fmt: skip
            self._refuse([problem], [str(error)])
        except Exception as error:  # this thread ends, and the engine runs on
            self._refuse([], [f"a defect of duolog ({type(error).__name__}): report it; a restart reads them again"])
            raise
        else:
            self.refused = None
            self.tell("rules read", f"{len(passed.wired.book.entities)} entities")
            self.passed = passed

    def _refuse(self, problems: list[dict[str, Any]], told: list[str]) -> None:
        self.refused = {"at": time.time(), "problems": problems, "told": told}
        for text in told:
            self.tell("rules refused", text)
        self.tell("rules kept", "the old rules stay in force")
