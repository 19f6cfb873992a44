"""Turns a list of jars into running programs of Java, and sees to it that none outlives the tests.

The jars come from Maven Central, once, by `.ci/install-kafka`. A test run that is killed cannot stop what it started:
a guard beside each program waits for the end of the run and kills the program then.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import ClassVar, Final, Literal

from service.embedded import NoServerProgram, ServerProcess

INSTALL: Final = Path(__file__).resolve().parents[2] / ".ci" / "install-kafka"
PORTS: Final = range(20_000, 32_000)
"""Below what systems give to clients: a port that is free now is still free when a JVM has come up."""
SMALL: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8", "-Djava.awt.headless=true")
"""What makes a JVM start fast."""
LOGGED: Final = {
    "defaultLogLevel": "warn",
    "showDateTime": "true",
    "dateTimeFormat": "HH:mm:ss.SSS",
}


@cache
def jars() -> Path:
    """The folder of the jars, fetched first if need be. Raises NoServerProgram if they cannot be had."""
    if shutil.which("bash") is None:
        raise NoServerProgram("Kafka's jars are fetched by a script that needs bash, and there is none")
    tried = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise NoServerProgram(f"Kafka's jars cannot be had: {tried.stderr.strip()[-600:]}")
    return Path(tried.stdout.split()[-1])


def quiet_port() -> int:
    """A port that is free, and that no client is given."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def java(main: str, *folders: Path, heap: str, levels: dict[str, str] | None = None) -> list[str]:
    """The beginning of a command that runs `main` with the jars of `folders`. `levels`: of logging, by logger."""
    logging = LOGGED | {f"log.{name}": level for name, level in (levels or {}).items()}
    path = os.pathsep.join(str(folder / "*") for folder in folders)
    said = [f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in logging.items()]
    return ["java", f"-Xmx{heap}", *SMALL, *said, "-cp", path, main]


class GuardedProcess(ServerProcess):
    """A server that is killed when the process that started it ends without stopping it. Runs as whoever runs it."""

    environment_dropped: ClassVar[tuple[str, ...]] = ("LC_", "KAFKA", "CLASSPATH", "JAVA_TOOL_OPTIONS", "_JAVA")
    ends_by = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}
    _guard: subprocess.Popen[bytes] | None = None

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops it: `fast` in order, `immediate` as a crash."""
        self._dismiss()
        if self.running:
            self.thaw()
        super().stop(mode)

    def kill9(self) -> None:
        """Kills it without a word."""
        self._dismiss()
        super().kill9()

    def freeze(self) -> None:
        """Stops it from doing anything, as a machine does that swaps: its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on after `freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def _popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        self._dismiss()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(self.environment_dropped)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=environment | {"LC_ALL": "C"}, start_new_session=True,
            )  # fmt: skip
        # Its input ends when this process does, however that comes about.
        self._guard = subprocess.Popen(
            ["sh", "-c", 'cat >/dev/null; kill -9 "$0"', str(process.pid)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return process

    def _dismiss(self) -> None:
        """Sends the guard home, before the number of its process may belong to somebody else."""
        if self._guard is not None:
            os.killpg(self._guard.pid, signal.SIGKILL)
            self._guard.wait()
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard = None
