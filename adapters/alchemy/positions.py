"""Turns what a database tells of the end of its log into a position, in the numbers of whoever reads that log.

The rule: asked while rows are locked, it lies behind every commit that had changed these rows before, and before every
commit that changes them later. Any moment between the last lock and our own commit is as good as any other; so a
position that is a little late is right, and one that is early never is. See `docs/decisions/0037`.

Who wraps this adapter reads the log, and so says what a position is (`Positions`); these are the ones to start from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from engine.vocabulary import Position

OFFSET_BITS: Final = 40
"""Of a binlog's position: as the log's reader counts."""
BITS_OF_LSN: Final = (23, 28, 12)
"""How much of the parts of SQL Server's `file:block:slot` (32, 32 and 16 bits) a position has room for."""
SAME_SCN_BITS: Final = 8
"""So many transactions may have one SCN of Oracle's, as a power of two."""
_FILE: Final = re.compile(r"\.([0-9]{6,10})\Z", re.ASCII)

WAL_END: Final = "SELECT CAST(pg_current_wal_insert_lsn() AS text)"
SNAPSHOT_STATUS: Final = "SHOW SESSION STATUS LIKE 'Binlog_snapshot_%%'"
LOG_STATUS: Final = "SHOW BINARY LOG STATUS"
OLD_LOG_STATUS: Final = "SHOW MASTER STATUS"
SCN: Final = "SELECT DBMS_FLASHBACK.GET_SYSTEM_CHANGE_NUMBER FROM DUAL"
LSN: Final = "SELECT log_end_lsn FROM sys.dm_db_log_stats(DB_ID())"


@dataclass(frozen=True, slots=True)
class Positions:
    """What the positions of a system's log are."""

    now: Callable[[sa.Connection], Position]
    """The end of the log, asked inside a transaction of ours while rows are locked. Raises
    sqlalchemy.exc.DBAPIError."""
    text: Callable[[Position], str] = str
    """As people read it, and the ledger keeps it: at most 60 characters."""
    number: Callable[[str], Position] = int
    """The other way."""


def of_dialect(dialect: str) -> Positions | None:
    """Those of a database whose own words tell where its log ends; None: it has none."""
    return KNOWN.get(dialect)


def postgresql(conn: sa.Connection) -> Position:
    """Exact: the commit record of whoever held the lock before stands in the log before he lets go of it."""
    return lsn_number(str(conn.exec_driver_sql(WAL_END).scalar_one()))


def binlog(conn: sa.Connection) -> Position:
    """Exact on MariaDB, which counts what can be seen; on MySQL the end of the file, which is a moment ahead."""
    if getattr(conn.dialect, "is_mariadb", False):
        told = {str(name).lower(): value for name, value in conn.exec_driver_sql(SNAPSHOT_STATUS)}
        file, offset = told["binlog_snapshot_file"], told["binlog_snapshot_position"]
    else:
        newer = (conn.dialect.server_version_info or ()) >= (8, 2)
        file, offset = conn.exec_driver_sql(LOG_STATUS if newer else OLD_LOG_STATUS).one()[:2]
    found = _FILE.search(str(file))
    if found is None:
        raise ValueError("the server's binlog has a name without a number")
    return int(found[1]) << OFFSET_BITS | int(offset)


def oracle(conn: sa.Connection) -> Position:
    """The system change number of now: every commit before has a lower one or the same, every later one a higher."""
    return int(conn.exec_driver_sql(SCN).scalar_one()) << SAME_SCN_BITS


def mssql(conn: sa.Connection) -> Position:
    """Where the next record of the log goes; behind the commit record of whoever had the lock."""
    return squeezed(str(conn.exec_driver_sql(LSN).scalar_one()))


def squeezed(text: str) -> Position:
    """SQL Server's `0000002b:00000bd8:0001` in 63 bits, as Debezium's events are told. Raises ValueError if that has no
    room for it."""
    number = 0
    for part, bits in zip(text.split(":"), BITS_OF_LSN, strict=True):
        value = int(part, 16)
        if value >> bits:
            raise ValueError("an LSN beyond what a position has room for")
        number = number << bits | value
    return number


def widened(position: Position) -> str:
    """The LSN that was squeezed."""
    _, block, slot = BITS_OF_LSN
    sequence, rest = position >> block + slot, position & (1 << block + slot) - 1
    return f"{sequence:08x}:{rest >> slot:08x}:{rest & (1 << slot) - 1:04x}"


def lsn_text(position: Position) -> str:
    """As PostgreSQL prints it: `16/B374D848`."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> Position:
    """What PostgreSQL prints so."""
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def binlog_text(position: Position) -> str:
    """As people read it: `000003:4711`."""
    return f"{position >> OFFSET_BITS:06}:{position & ((1 << OFFSET_BITS) - 1)}"


def binlog_number(text: str) -> Position:
    """What people read so."""
    file, _, offset = text.partition(":")
    return int(file) << OFFSET_BITS | int(offset)


_BINLOG: Final = Positions(binlog, binlog_text, binlog_number)
KNOWN: Final[Mapping[str, Positions]] = {
    "postgresql": Positions(postgresql, lsn_text, lsn_number), "mysql": _BINLOG, "mariadb": _BINLOG,
    "oracle": Positions(oracle), "mssql": Positions(mssql, widened, squeezed),
}  # fmt: skip
"""By the name of the dialect. Not Db2's: what its capture calls a commit's number, no function tells of now."""
