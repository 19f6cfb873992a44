"""Turns an error that a write met into what is to be done about it: step aside, tell the row's reason, or stop.

The one place that knows MariaDB's and MySQL's error numbers for writing. A reason names things (constraint, column),
never a value: the server's own messages, and those of the application's triggers, quote the row.
"""

from __future__ import annotations

from typing import Final

import pymysql

from adapters.mariadb.session import BUSY, CHANGED, DENIED, REFUSED, error_number, named_in
from adapters.relational.refused import Verdict

DUPLICATE: Final = 1062
LOCK_TIMEOUT: Final = 1205
"""Of a row's lock as of a table's; ends the statement, and the transaction only if the server is set so."""
TOO_LONG: Final = 1406
NO_NULL: Final = 1048
NO_DEFAULT: Final = 1364
CHECKS: Final = frozenset({4025, 3819})
FOREIGN_KEYS: Final = frozenset({1216, 1217, 1451, 1452})
RAISED: Final = 1644
"""By a SIGNAL of the application's that gives no number of its own."""
DATA_CLASSES: Final = ("22", "23", "44")
"""Classes of SQLSTATE that are about data."""

ENDS_THE_TRANSACTION: Final = frozenset({1213, 1020, 1180, 1196})
"""Deadlock, and what else leaves nothing of the transaction."""

CONDITIONS: Final = {
    1048: "null", 1062: "duplicate key", 1264: "out of range", 1265: "no value of the type",
    1292: "no value of the type", 1364: "no default", 1366: "no value of the type", 1406: "data too long",
    1442: "trigger changes its own table", 1451: "foreign key", 1452: "foreign key", 1644: "raised by a trigger",
    1690: "out of range", 3819: "check constraint", 4025: "check constraint", 1300: "no text of the character set",
}  # fmt: skip
"""What an error number means, in words."""


class Overtaken(pymysql.err.OperationalError):
    """Between two statements of a write, a user changed what the first had found."""

    def __init__(self) -> None:
        super().__init__(LOCK_TIMEOUT, "a user came in between")


def verdict(error: Exception, *, sqlstate: str = "", timeouts_end_all: bool = False, inside: bool = False) -> Verdict:
    """What a failed write means, on a connection that is still open; see `adapters.relational.refused`.

    `sqlstate`: as the server told it; `timeouts_end_all`: `innodb_rollback_on_timeout` is on;
    `inside`: the statement's own tables are as they should be, so that it was something that a trigger did."""
    number = error_number(error)
    if isinstance(error, Overtaken):
        return "blocked"
    if sqlstate[:2] == "45":
        return "refused"  # raised by the application, whatever number it gave
    if number in ENDS_THE_TRANSACTION:
        return "lost"
    if number in BUSY:
        return "lost" if timeouts_end_all else "blocked"
    if number in DENIED:  # a right is missing: the same for every row, and a person is needed
        return "broken"
    if number in REFUSED:
        return "refused"
    if inside:
        return "refused"
    return "refused" if sqlstate and (sqlstate[:2] in DATA_CLASSES or not _of_a_server(sqlstate)) else "broken"


MISSING: Final = frozenset({1305, 1318, 1630, 4061, 4091})
"""A function, procedure or sequence is not there."""


def is_doubtful(error: Exception) -> bool:
    """True if it has to be known who met the error, a statement or a trigger that it woke: see `verdict`."""
    return error_number(error) in CHANGED | MISSING


def reason(error: Exception, found: str = "") -> str:
    """Why a row was refused: `1062 duplicate key: key `name``. Never a value of the row.

    `found`: what is to blame, if more is known of that than the error tells."""
    number = error_number(error)
    named = f"{number} {CONDITIONS.get(number, '')}".rstrip()
    where = found or ", ".join(f"{kind} `{name}`" for kind, name in named_in(error).items())
    return f"{named}: {where}" if where else named


def _of_a_server(sqlstate: str) -> bool:
    """A class that the standard or the server has for itself, rather than an application's own code."""
    return sqlstate[:1] in "01234ABCDEFGH" or sqlstate.startswith(("70", "XA"))
