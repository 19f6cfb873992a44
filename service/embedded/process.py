"""Turns a folder and a server program into a running server and back, whichever database it is.

What differs between databases (the programs, the first data, the arguments, how one asks whether it answers) is said by
a subclass. Every server listens on 127.0.0.1 only, trusts whoever is there, and is ended by the process that started
it. Never use one for data that somebody needs.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Literal, Self

from engine.errors import DuologError

start_timeout_s: Final = 180.0
stop_timeout_s: Final = 20.0
probe_interval_s: Final = 0.02
start_attempts_max: Final = 5
LISTENED_AT: Final = range(15_000, 32_000)
"""Above what well-known servers take, below what Linux gives to outgoing connections."""


class NoServerProgram(DuologError):
    """No server program can be found, or it does not start."""

    code: ClassVar[str] = "D600"


class ServerProcess(ABC):
    """One server with a data folder and a port of its own; a context manager that starts and stops it.

    `folder`: where its data and log are kept; None: a temporary folder, removed by `close`. `port`: None takes a free
    one, and keeps it over restarts. `settings`: all server settings, by name."""

    product: ClassVar[str]
    """What people call it."""
    short: ClassVar[str]
    """What a temporary folder is named after."""
    port_in_use: ClassVar[str] = "Address already in use"
    """What its log says then."""
    passing: ClassVar[tuple[str, ...]] = ()
    """What its log says where another start will do: what a killed server leaves behind goes by itself."""
    environment_dropped: ClassVar[tuple[str, ...]] = ("LC_",)
    """How the environment variables begin that may not leak in from who configures a client."""
    ends_by: ClassVar[Mapping[str, signal.Signals]]
    """The signal of each way of stopping."""

    def __init__(self, folder: Path | None, port: int | None, settings: Mapping[str, str]) -> None:
        self.settings: dict[str, str] = dict(settings)
        self.folder = folder
        self.port = port or 0
        self._port_given = port is not None
        self._temporary = folder is None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_mark = 0
        """Where in the log the latest start begins."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def url(self, database: str = "") -> str:
        """The address of one of its databases, as its superuser."""

    @abstractmethod
    def connect(self, database: str = "") -> Any:
        """An ordinary superuser connection of its driver, committing each statement by itself."""

    @abstractmethod
    def _find(self) -> None:
        """Finds the programs. Raises NoServerProgram if there are none."""

    @abstractmethod
    def _initialised(self) -> bool:
        """True if the data folder is one already."""

    @abstractmethod
    def _initialise(self) -> None:
        """Makes the data folder. Raises NoServerProgram if it cannot be made."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The server's program with its arguments."""

    @abstractmethod
    def _answers(self) -> bool:
        """True if it is this very server that answers at the port: another program may have taken it meanwhile."""

    @property
    def running(self) -> bool:
        """True while the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process. It must run."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """The server's log file: it stays over restarts, and until `close` removes a temporary folder."""
        assert self.folder is not None
        return self.folder / "server.log"

    @property
    def data(self) -> Path:
        """The folder of the server's own files."""
        assert self.folder is not None
        return self.folder / "data"

    def start(self) -> None:
        """Makes the data folder if there is none, starts the server, and returns when it answers.

        Raises NoServerProgram with the last lines of its log when it does not."""
        if self.running:
            return
        self._find()
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix=f"duolog-{self.short}-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        make_reachable(self.folder)
        if not self._initialised():
            self._initialise()
        atexit.register(self._end_at_exit)
        deadline = time.monotonic() + start_timeout_s
        attempts = 0
        while not self._launch(deadline):
            attempts += 1
            said = self._log_tail()
            in_use = self.port_in_use in said
            passes = any(words in said for words in self.passing) or (in_use and attempts < start_attempts_max)
            if time.monotonic() > deadline or not passes:
                raise NoServerProgram(f"{self.product} did not start; its log ends:\n{said}")
            if in_use and not self._port_given:
                self.port = 0

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops it: `fast` ends all sessions in order, `immediate` is a crash with recovery at start.

        A fast stop may wait for readers of its log; one that outlasts `stop_timeout_s` becomes an immediate one."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.ends_by[mode])
            try:
                process.wait(stop_timeout_s)
            except subprocess.TimeoutExpired:
                process.send_signal(self.ends_by["immediate"])
                process.wait(stop_timeout_s)
        self._process = None

    def kill9(self) -> None:
        """Kills the server and all its sessions without a word, as a power cut would."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGSTOP)  # so that it starts no further child while we list them
        for child in _children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.kill()
        process.wait()
        self._process = None

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops it and starts it again on the same port."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stops it for good, and removes its folder if that was a temporary one."""
        self.stop("immediate" if self._temporary else "fast")
        atexit.unregister(self._end_at_exit)
        if self._temporary and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _launch(self, deadline: float) -> bool:
        """One try: True if the server answers, False if it ended by itself."""
        self.port = self.port or _free_port()
        self._log_mark = self.log.stat().st_size if self.log.exists() else 0
        self._process = self._popen(self._command())
        while self._process.poll() is None:
            if self._answers():
                return True
            if time.monotonic() > deadline:
                self.stop("immediate")
                return False
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(probe_interval_s)
        self._process = None
        return False

    def _popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(self.environment_dropped)}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment | {"LC_ALL": "C"},
                start_new_session=True,  # Ctrl-C in the terminal is for us, not for the server
                **_unprivileged(),
            )

    def _log_tail(self, lines: int = 12) -> str:
        if self.folder is None or not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_mark)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def _end_at_exit(self) -> None:
        self.close()


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root, and nobody should want MariaDB to: then they run as `nobody`."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def make_reachable(folder: Path) -> None:
    """Gives `folder` to the user that runs the server, and lets him pass through the temporary folders above it.

    Raises NoServerProgram where he cannot pass."""
    as_user = _unprivileged()
    if not as_user:
        return
    os.chown(folder, as_user["user"], as_user["group"])
    temporary = Path(tempfile.gettempdir()).resolve()
    for parent in folder.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IXOTH:
            continue
        if not parent.is_relative_to(temporary) or parent.stat().st_uid != os.geteuid():
            raise NoServerProgram(
                f"the user `nobody`, who has to run the server, cannot pass through the folder `{parent}`",
                mend="choose a folder that everybody may pass through, or do not run as root",
            )
        parent.chmod(mode | stat.S_IXOTH)  # tempfile and pytest make their folders 0700


def hand_over(folder: Path) -> None:
    """Gives a folder, and all that is in it, to the user that runs the server."""
    as_user = _unprivileged()
    if as_user:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, as_user["user"], as_user["group"])


def _free_port() -> int:
    """A port that nobody listens at, and that the system gives to no outgoing connection while the server restarts."""
    for port in random.SystemRandom().sample(LISTENED_AT, 20):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    """The processes that `pid` started and that still live."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = (line.split() for line in listing.stdout.splitlines())
        return [int(child) for child, parent in pairs if int(parent) == pid]
