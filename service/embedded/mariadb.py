"""Turns a folder into a running MariaDB server and back: for the demo and the tests.

The programs come from `MARIADB_BIN`, or are found where the search path and the usual folders have them. Never use one
for data that somebody needs: `root` has no password, and by default nothing is synced. A server that the machine itself
runs is never touched: the data, the port and the socket are this one's own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, LiteralString

import pymysql
from pymysql.cursors import Cursor

from service.embedded.process import NoServerProgram, ServerProcess, hand_over, make_reachable

LOG_SIZE: Final = "32M"

DEFAULTS: Final[Mapping[str, str]] = {
    "bind_address": "127.0.0.1",
    "skip_name_resolve": "1",
    "log_bin": "log",
    "server_id": "1",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "gtid_strict_mode": "1",
    "max_connections": "200",
    "default_time_zone": "+00:00",
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_general_ci",
    # Small, because there are many of them on one machine.
    "innodb_buffer_pool_size": "64M",
    "innodb_log_file_size": LOG_SIZE,
    "performance_schema": "0",
}
UNSAFE: Final[Mapping[str, str]] = {
    "innodb_flush_log_at_trx_commit": "2",
    "sync_binlog": "0",
    "innodb_doublewrite": "0",
}
"""What makes it fast where no power cut is to be survived. Whatever was committed survives `kill9`."""
SYNCED: Final[Mapping[str, str]] = {"innodb_flush_log_at_trx_commit": "1", "sync_binlog": "1"}

USUAL_FOLDERS: Final = (
    "/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin", "/usr/local/mysql/bin", "/opt/homebrew/bin",
    "/opt/homebrew/opt/mariadb/bin", "/usr/local/opt/mariadb/bin",
)  # fmt: skip
MEND: Final = (
    "install MariaDB (Debian: apt install mariadb-server; macOS: brew install mariadb), or set MARIADB_BIN to the "
    "folder that holds `mariadbd` and `mariadb-install-db`"
)


@dataclass(frozen=True, slots=True)
class Programs:
    """The two programs that a server needs."""

    server: Path
    installer: Path
    """Makes the first data."""


def find_programs() -> Programs:
    """`mariadbd` and `mariadb-install-db`, wherever they are. Raises NoServerProgram if one of them is nowhere."""
    given = os.environ.get("MARIADB_BIN")
    folders = [given] if given else [*os.environ.get("PATH", "").split(os.pathsep), *USUAL_FOLDERS]
    # Some packages put the two into different folders, and the older ones have names as MySQL's.
    server = _program(("mariadbd", "mysqld"), folders)
    if server is not None:
        home = server.resolve().parent.parent
        beside = [str(home / folder) for folder in ("bin", "sbin", "scripts")]
        installer = _program(("mariadb-install-db", "mysql_install_db"), [*folders, *beside])
        if installer is not None:
            return Programs(server, installer)
    raise NoServerProgram(
        "no MariaDB server program was found in `MARIADB_BIN`, in the search path or in the usual folders", mend=MEND
    )


def _program(names: tuple[str, ...], folders: list[str]) -> Path | None:
    path = os.pathsep.join(filter(None, folders))
    return next((Path(found) for name in names if (found := shutil.which(name, path=path))), None)


_first_data: dict[Programs, Path] = {}
"""By the programs that made it: what every new server's data folder is a copy of."""


class EmbeddedMariaDB(ServerProcess):
    """One MariaDB server with a data folder and a port of its own; a context manager that starts and stops it.

    `folder`, `port`, `settings`: see `ServerProcess`; the settings are added to `DEFAULTS`. `fsync`: True where
    durability is measured. `programs`: None searches for them."""

    product: ClassVar[str] = "MariaDB"
    short: ClassVar[str] = "mariadb"
    # After kill9 the kernel may hold the port or the locks of the data for a moment.
    passing: ClassVar[tuple[str, ...]] = ("Unable to lock ./ibdata1", "Can't lock aria")
    environment_dropped: ClassVar[tuple[str, ...]] = ("MYSQL", "MARIADB", "LC_")
    # It has no crash on request: an immediate stop is a kill.
    ends_by: ClassVar[Mapping[str, signal.Signals]] = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        fsync: bool = False,
        programs: Programs | None = None,
    ) -> None:
        super().__init__(folder, port, {**DEFAULTS, **(SYNCED if fsync else UNSAFE), **(settings or {})})
        self._programs = programs

    def url(self, database: str = "mysql") -> str:
        """The address of one of its databases, as its superuser `root`."""
        return f"mariadb://root@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "mysql") -> pymysql.Connection[Cursor]:
        """An ordinary superuser connection, committing each statement by itself."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, charset="utf8mb4", autocommit=True
        )

    def create_database(self, name: str) -> str:
        """Makes an empty database; returns its address."""
        self._execute("CREATE DATABASE ", name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Removes a database with its sessions, if it is there."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
            for (session,) in cursor.fetchall():
                with contextlib.suppress(pymysql.OperationalError):  # it has ended by itself
                    cursor.execute("KILL HARD %s", [session])
        self._execute("DROP DATABASE IF EXISTS ", name)

    def _execute(self, statement: LiteralString, name: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement + "`" + name.replace("`", "``") + "`")

    def _find(self) -> None:
        self._programs = self._programs or find_programs()

    def _initialised(self) -> bool:
        return (self.data / "mysql").is_dir()

    def _initialise(self) -> None:
        assert self._programs is not None
        if self._programs not in _first_data:
            _first_data[self._programs] = self._made_anew(self._programs)
        # Half a second for the first server of a process, a tenth for the others.
        shutil.copytree(_first_data[self._programs], self.data)
        hand_over(self.data)

    def _made_anew(self, programs: Programs) -> Path:
        """The folder of a server's first data, which goes with this process."""
        home = Path(tempfile.mkdtemp(prefix="duolog-mariadb-first-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        make_reachable(home)
        arguments = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        place = [f"--datadir={home / 'data'}", f"--tmpdir={home}", f"--innodb-log-file-size={LOG_SIZE}"]
        process = self._popen([str(programs.installer), *arguments, *place])
        if process.wait() != 0:
            raise NoServerProgram(f"`{programs.installer.name}` failed; its log ends:\n{self._log_tail(40)}")
        return home / "data"

    def _command(self) -> list[str]:
        assert self._programs is not None
        # A starting server removes what it takes for its own from the folder of temporary tables: each needs its own.
        temporary = self.data.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        hand_over(temporary)
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings.items()]
        # The name of a socket may have 107 bytes only: a relative one lies in the data folder, however long its name.
        place = [f"--datadir={self.data}", f"--tmpdir={temporary}", "--socket=sock", "--pid-file=pid"]
        return [str(self._programs.server), "--no-defaults", *place, f"--port={self.port}", *settings]

    def _answers(self) -> bool:
        with contextlib.suppress(pymysql.Error), self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@datadir")
            row = cursor.fetchone()
            return row is not None and Path(row[0]).resolve() == self.data.resolve()
        return False
