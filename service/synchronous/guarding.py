"""The watchdog that an engine brings along: a process of its own, which outlives the engine's death.

Turns a rule file into a running `duolog watchdog`, and the end of an engine into its last word to it. It watches
nothing itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final

from service.synchronous.watchdog import DONE, OF_ENGINE, RELEASE, Tell

ENDS_WITHIN_S: Final = 5.0
"""How long the engine waits for a watchdog that it has told to end."""


class Guard:
    """One engine's watchdog."""

    def __init__(self, rules: Path, tell: Tell) -> None:
        self.rules = rules
        self.tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: set[str] = set()
        """The systems that the process has looked at."""

    @property
    def lives(self) -> bool:
        """True while the process is there."""
        return self._process is not None and self._process.poll() is None

    def watches(self, system: str) -> bool:
        """True while the process is there, and has a connection to this system: nobody may wait before."""
        return self.lives and system in self._watched

    def watch(self) -> None:
        """Starts it, or starts it again if it has ended. In a session of its own: what ends the engine's whole group
        does not end it. Its lines go where the engine's go."""
        if self.lives:
            return
        if self._process is not None:
            self.tell("watchdog", f"ended with {self._process.returncode}; another one is started")
            self._hang_up(b"")
        environment = {**os.environ, OF_ENGINE: "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "watchdog", str(self.rules)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        self._watched = set()
        assert self._process.stdout is not None
        threading.Thread(
            target=_listen, args=(self._process.stdout, self._watched), name="watchdog", daemon=True
        ).start()

    def read_again(self) -> None:
        """The engine goes on with new rules: the process reads them, too. Until it has, no system counts as watched."""
        if self._process is not None and self.lives:
            self._watched.clear()
            self._process.send_signal(signal.SIGHUP)  # one that has just been started ends by that, and is replaced

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


def _listen(said: IO[bytes], watched: set[str]) -> None:
    """A thread: which systems a watchdog has reached."""
    with said:
        for line in said:
            watched.add(line.decode().strip())
