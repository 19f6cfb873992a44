"""Calls the `duolog` command as a person would, in processes of its own, and never in any other way.

One `Engine` is one rule file with the addresses of its systems and a folder for everything that it leaves
behind: the store, the log. The demo and the benchmarks use it, so that what they show is what a person gets.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

command_timeout_s: Final = 300.0
poll_interval_s: Final = 0.2
log_tail_lines: Final = 20

OK: Final = 0
DIFFERENCES: Final = 1


class CommandFailed(Exception):
    """A `duolog` command ended otherwise than it should."""

    def __init__(self, arguments: tuple[str, ...], code: int | None, output: str) -> None:
        super().__init__(f"`duolog {' '.join(arguments)}` ended with {code}:\n{output}")
        self.code = code
        self.output = output


class Engine:
    """The `duolog` command for one rule file."""

    stop_within_s: ClassVar[float] = 30.0
    """Who is told to end and has not by then is killed."""

    def __init__(self, rules: Path, addresses: Mapping[str, str], folder: Path) -> None:
        """`addresses`: by the names of the environment variables that the rule file asks for."""
        # A copy in the folder: the store is kept beside the rule file, and nothing is left beside the original.
        self.rules = folder / rules.name
        shutil.copyfile(rules, self.rules)
        self.folder = folder
        self.log = folder / "engine.log"
        self._environment = {**os.environ, **addresses, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        # The command is found from any folder, installed or not.
        home = str(Path(__file__).resolve().parents[2])
        self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH", "")]))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process of `duolog run`, while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def call(self, *arguments: str, expected: tuple[int, ...] = (OK,)) -> subprocess.CompletedProcess[str]:
        """Runs one command to its end. Raises CommandFailed if it ends with a code that is not expected."""
        verb, *rest = arguments
        found = subprocess.run(
            [*COMMAND, verb, str(self.rules), *rest],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=command_timeout_s,
            check=False,
        )
        if found.returncode not in expected:
            raise CommandFailed(arguments, found.returncode, found.stdout + found.stderr)
        return found

    def json(self, *arguments: str, expected: tuple[int, ...] = (OK,)) -> Any:
        """Runs one command with `--json`; what it printed, decoded."""
        found = self.call(*arguments, "--json", expected=expected)
        try:
            return json.loads(found.stdout)
        except json.JSONDecodeError:
            raise CommandFailed(arguments, found.returncode, found.stdout + found.stderr) from None

    def status(self) -> dict[str, Any]:
        """`duolog status --json`."""
        found = self.json("status", expected=(0, 1, 3))
        assert isinstance(found, dict)
        return found

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Starts `duolog run`, its output going to the log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "run", str(self.rules)],
                env={**self._environment, **(environment or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the demo; it stops the engine in order
            )

    def until(self, ready: Callable[[dict[str, Any]], bool], patience_s: float) -> dict[str, Any] | None:
        """Asks for the status until it is as wished; None if that did not happen in time.

        Raises CommandFailed if the engine has ended meanwhile."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            self.must_live()
            status = self.status()
            if ready(status):
                return status
            time.sleep(poll_interval_s)
        return None

    def must_live(self) -> None:
        """Raises CommandFailed with the end of the log if the engine has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise CommandFailed(("run", str(self.rules)), self._process.returncode, self.log_tail())

    def stop(self) -> int | None:
        """Ends `duolog run` by SIGTERM; its exit code (None: it was not running, or had to be killed)."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(self.stop_within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def log_tail(self) -> str:
        """The last lines that the engine wrote."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-log_tail_lines:])


COMMAND: Final = (sys.executable, "-m", "service.cli")


def quiet(status: Mapping[str, Any]) -> bool:
    """True if the engine runs and has nothing left to do."""
    return bool(status.get("engine", {}).get("running")) and bool(status.get("quiet"))
