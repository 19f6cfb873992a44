"""The watchdog that an engine brings along: a process of its own, which outlives the engine's death.

Turns a rule file into a running `duolog watchdog`, and the end of an engine into its last word to it. It watches
nothing itself.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from service.synchronous.watchdog import DONE, OF_ENGINE, RELEASE, Tell

ENDS_WITHIN_S: Final = 5.0
"""How long the engine waits for a watchdog that it has told to end."""


class Guard:
    """One engine's watchdog."""

    def __init__(self, rules: Path, tell: Tell) -> None:
        self.rules = rules
        self.tell = tell
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def watches(self) -> bool:
        """True while the process is there."""
        return self._process is not None and self._process.poll() is None

    def watch(self) -> None:
        """Starts it, or starts it again if it has ended. In a session of its own: what ends the engine's whole group
        does not end it. Its lines go where the engine's go."""
        if self.watches:
            return
        if self._process is not None:
            self.tell("watchdog", f"ended with {self._process.returncode}; another one is started")
            self._hang_up(b"")
        environment = {**os.environ, OF_ENGINE: "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "watchdog", str(self.rules)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, start_new_session=True,
        )  # fmt: skip

    def end(self, *, all_let_go: bool) -> None:
        """The engine ends in order. `all_let_go`: nobody waits for it any more; else the watchdog lets them go as soon
        as it can, and ends then."""
        process = self._process
        self._hang_up(DONE if all_let_go else RELEASE)
        if process is not None and all_let_go:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN_S)

    def leave(self) -> None:
        """The engine ends by an error: the watchdog goes on by the rules, until nobody waits, or another engine
        reads."""
        self._hang_up(b"")

    def _hang_up(self, word: bytes) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):  # it has ended already
                process.stdin.write(word)
            with contextlib.suppress(OSError):
                process.stdin.close()
