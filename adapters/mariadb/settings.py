"""Turns what a server says of its semi-synchronous replication into one look at it, under the names of either flavour.

Nothing is judged here: what a look means is in `switch` and `preflight`. MySQL has it as a plugin, under old names or
new ones; MariaDB has it built in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.mariadb import degraded as ranges
from adapters.mariadb import positions
from adapters.mariadb.session import Connection, ask_all, text_literal
from adapters.mariadb.waiting import log_status
from engine.vocabulary import Position

AFTER_SYNC: Final = "AFTER_SYNC"

closed_ms: Final[Mapping[str, int]] = {"mariadb": 1_000_000_000_000, "mysql": 4_294_967_295}
"""By flavour, the timeout that stands for none, milliseconds: 31 years; of MySQL its longest, 49 days."""

VARIABLES: Final = "SHOW GLOBAL VARIABLES LIKE 'rpl\\_semi\\_sync\\_%'"
STATUS: Final = "SHOW GLOBAL STATUS WHERE Variable_name LIKE 'Rpl\\_semi\\_sync\\_%' OR Variable_name = 'Uptime'"
_END: Final = "SHOW STATUS LIKE 'Binlog_snapshot_%'"

LET_GO: Final = (
    "SET GLOBAL rpl_semi_sync_master_enabled = OFF", "SET GLOBAL rpl_semi_sync_source_enabled = OFF"
)  # fmt: skip
"""A server has one of the two."""
_WAITING: Final = (
    "SELECT {time} FROM information_schema.processlist WHERE id <> COALESCE(IS_USED_LOCK({writer}), 0) AND "
    "(state LIKE 'Waiting for semi-sync ACK%' OR "
    "state IN ('Commit', 'Waiting for prior transaction to commit', 'waiting for handler commit'))"
)
"""Those behind the first wait in states of their own. Without the right PROCESS only our own are seen."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's variables and counters, by what follows `rpl_semi_sync_master_` (or `..._source_`)."""

    prefix: str
    """`rpl_semi_sync_master_`, `rpl_semi_sync_source_`; empty: the server cannot."""
    variables: Mapping[str, str]
    status: Mapping[str, str]
    uptime_s: float

    @property
    def enabled(self) -> bool:
        """Commits wait as soon as what was committed before is acknowledged."""
        return self.variables.get("enabled") in ("ON", "1")

    @property
    def waits(self) -> bool:
        """Commits wait now, unseen by others, whether a replica is connected or not."""
        patient = self.variables.get("wait_no_slave", self.variables.get("wait_no_replica", "ON")) in ("ON", "1")
        return self.enabled and patient and self.point == AFTER_SYNC and self.status.get("status") == "ON"

    @property
    def point(self) -> str:
        """When a commit waits: before others see it, or after."""
        return self.variables.get("wait_point", "").upper()

    @property
    def clients(self) -> int:
        """Semi-synchronous replicas that are connected."""
        return int(self.status.get("clients", "0"))

    @property
    def needed(self) -> int:
        """Of how many a commit needs the answer."""
        names = ("wait_for_slave_count", "wait_for_replica_count")
        return next((int(self.variables[name]) for name in names if name in self.variables), 1)

    @property
    def held(self) -> bool:
        """Somebody waits."""
        return self.status.get("wait_sessions", "0") != "0"

    @property
    def counted(self) -> str:
        """How often commits ceased to wait, and how many did not: as long as this stays the same, all waited."""
        return f"{self.status.get('no_times', '0')} {self.status.get('no_tx', '0')}"

    def set(self, name: str, value: str) -> str:
        """The statement that sets one of the variables."""
        return f"SET GLOBAL {self.prefix}{name} = {value}"


@dataclass(frozen=True, slots=True)
class Look:
    """All that the switch asks, at one moment."""

    done: Position
    """The end of the log, as far as commits are done; of MySQL, the end of the log, or 0 while somebody waits."""
    settings: Settings
    reading: bool
    """Our reader is connected."""
    waits_s: tuple[float, ...]
    """How long each session has waited at COMMIT that we may see; the statement's own time is in it."""
    rows: tuple[Mapping[str, str | None], ...]
    """The last range, and the one before; see `degraded.NAMES`."""
    now: float
    """The server's clock, seconds since 1970."""


def look(conn: Connection, engine: str, *, reader_lock: str, writer_lock: str) -> Look:
    """Asks the server, in one go. Raises pymysql.MySQLError.

    The place in the log comes first: what had not waited by then is counted in what follows."""
    mysql = conn.server.flavour == "mysql"
    waiting = _WAITING.format(time="time" if mysql else "time_ms / 1000", writer=text_literal(writer_lock))
    end_of_mysql = log_status(conn) if mysql else None
    questions = (
        "DO 0" if mysql else _END, VARIABLES, STATUS,
        f"SELECT IS_USED_LOCK({text_literal(reader_lock)}), UNIX_TIMESTAMP(NOW(6))",
        waiting,
        ranges.history(engine, most=2),
    )  # fmt: skip
    told, variables, status, ((reader, now),), waits, rows = ask_all(conn, "; ".join(questions))
    snapshot = {str(name).lower(): value for name, value in told}
    file, offset = snapshot.get("binlog_snapshot_file", ""), snapshot.get("binlog_snapshot_position", "0")
    if end_of_mysql:
        file, offset = end_of_mysql[:2]
    settings = understood(dict(variables), dict(status))
    return Look(
        done=positions.number(positions.file_number(file), int(offset)) if file else 0,
        settings=settings,
        reading=reader is not None and settings.clients > 0,
        waits_s=tuple(float(seconds) for (seconds,) in waits) if settings.held else (),
        rows=tuple(dict(zip(ranges.NAMES, row, strict=True)) for row in rows),
        now=float(now),
    )


def understood(variables: Mapping[str, str], status: Mapping[str, str]) -> Settings:
    """The server's names and values, without what its flavour puts before them."""
    prefixes = ("rpl_semi_sync_source_", "rpl_semi_sync_master_")
    prefix = next((each for each in prefixes if each + "enabled" in variables), "")
    return Settings(
        prefix=prefix,
        variables={name.removeprefix(prefix): value for name, value in variables.items() if name.startswith(prefix)},
        status={name.lower().removeprefix(prefix): value for name, value in status.items()},
        uptime_s=float(status.get("Uptime", 0)),
    )
