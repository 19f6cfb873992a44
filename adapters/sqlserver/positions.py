"""Turns what SQL Server tells of its log, asked under our row locks, into the separator of a transaction of ours.

The best answer is the last log record of our own transaction: it is made to write one, into the ledger, after the last
lock was taken, and that record lies behind the commit record of whoever had the rows before and before our own commit.
Without the right to ask for it, the end of the whole log serves: later than ours by what others are just writing, which
is right too, as nobody else's commit can concern rows that are locked by us. It never answers an earlier place than
that. See `docs/decisions/0041`.
"""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.abilities import abilities
from adapters.alchemy.ledger import table
from adapters.alchemy.positions import Positions, squeezed, widened
from adapters.sqlserver import lsn
from engine.vocabulary import Position

LAST_LSN: Final = (
    "SELECT t.database_transaction_last_lsn FROM sys.dm_tran_database_transactions t "
    "WHERE t.transaction_id = CURRENT_TRANSACTION_ID() AND t.database_id = DB_ID()"
)
LOG_END: Final = "SELECT s.log_end_lsn FROM sys.dm_db_log_stats(DB_ID()) s"
MAY_SEE: Final = (
    "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), "
    "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE'), "
    "HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE'), "
    "HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE PERFORMANCE STATE')"
)
"""A right that a version does not know is answered by NULL. The newer ones are enough where they are known."""
VERSION: Final = "SELECT CHANGE_TRACKING_CURRENT_VERSION()"

_SEEN: Final = "duolog may see"
moment_bits: Final = 60
FIRST_MOMENT: Final = 1000
"""The rows of the ledger that only make a log record have numbers below minus this."""
ENGINE: Final = "duolog"
"""And belong to no engine."""


def may_see(conn: sa.Connection) -> tuple[bool, bool]:
    """(our session may look at its own transaction, at the log's end). Asked once a connection: a right that is not
    there would end the transaction that asks for it."""
    known = conn.info.get(_SEEN)
    if known is None:
        server, server_now, database, database_now = map(bool, conn.exec_driver_sql(MAY_SEE).one())
        known = conn.info[_SEEN] = (server or server_now, server or server_now or database or database_now)
    transaction, log = known
    return transaction, log


def log_end(conn: sa.Connection) -> lsn.Lsn | None:
    """Where the log ends; None: we may not know. Raises sqlalchemy.exc.DBAPIError."""
    if not may_see(conn)[1]:
        return None
    told = conn.exec_driver_sql(LOG_END).scalar()
    return None if told is None else lsn.of_text(str(told))


def captured(ledger: tuple[str, str] | None = None) -> Positions:
    """Those of a database with change data capture: commit LSNs, squeezed. `ledger`: (schema, name), if it is not
    where it usually is."""

    def now(conn: sa.Connection) -> Position:
        if may_see(conn)[0]:
            made = _moment(conn, ledger)
            if made is not None:
                return lsn.position(made)
        return squeezed(str(conn.exec_driver_sql(LOG_END).scalar_one()))

    return Positions(now, widened, squeezed)


def _moment(conn: sa.Connection, ledger: tuple[str, str] | None) -> lsn.Lsn | None:
    """Has our transaction write a log record, and answers where that is. The row is gone with the same breath, and has
    a number that nobody else has: nobody waits for it."""
    made = table(abilities(conn.dialect.name), ledger)
    number = -FIRST_MOMENT - secrets.randbits(moment_bits)
    row: dict[str, Any] = {"engine": ENGINE, "system": ENGINE, "number_to": number, "forget_to": 0}
    conn.execute(sa.insert(made).values(row))
    conn.execute(sa.delete(made).where(*(made.c[name] == row[name] for name in ("engine", "system", "number_to"))))
    told = conn.exec_driver_sql(LAST_LSN).scalar()
    return None if told is None else lsn.of_numeric(int(Decimal(told)))


def tracked() -> Positions:
    """Those of a database with change tracking: versions, of which each commit has one."""

    def now(conn: sa.Connection) -> Position:
        return int(conn.exec_driver_sql(VERSION).scalar_one())

    return Positions(now)

