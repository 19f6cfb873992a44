"""Turns pyodbc's errors into an SQLSTATE, a number, and whose number that is; a failure to connect into one of ours.

ODBC has SQLSTATEs for all databases, but some drivers give `HY000` for nearly everything and their own number beside
it; others give no number that means anything. No password leaves it in a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.odbc.address import Address
from adapters.odbc.drivers import driver_of
from engine.errors import AccessDenied, DuologError, SystemUnavailable

MODULE: Final = "pyodbc"
KEEPS_TRYING: Final = "none needed if it passes: duolog keeps trying"
CHECK: Final = "check user, password and database name in the address"
GENERAL: Final = "HY000"
LOST: Final = "08S01"
_LOST: Final = (
    "The connection has been lost", "server closed the connection", "no connection to the server", "reset by peer",
)  # fmt: skip
"""What psqlodbc says of a lost connection under the state of everything else."""
_NUMBER: Final = re.compile(r"\((-?\d+)\) \(SQL")
_WHOSE: Final[Mapping[str, str]] = {
    "[ma-": "mysql", "[MySQL]": "mysql", "SQL Server]": "mssql", "[FreeTDS]": "mssql",
}  # fmt: skip
"""By what a message holds: the dialect whose error numbers it has. What is in none has SQLSTATEs only."""
_DENIED: Final = ("28000", "28P01", "3D000")
_DENIED_WORDS: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied")
_NO_DRIVER: Final = ("IM002", "IM003", "01000")
"""No such data source, no such driver; its file cannot be opened."""


def is_odbc(error: object) -> bool:
    """True if an error is of pyodbc's."""
    return MODULE in type(error).__module__


def state(error: Any) -> str:
    """The SQLSTATE; empty if pyodbc itself refused something before anybody was asked."""
    first = error.args[0] if getattr(error, "args", ()) else ""
    if first == GENERAL and _says(str(error), _LOST):
        return LOST
    return first if isinstance(first, str) and len(first) == len(GENERAL) else ""


def number(error: Any) -> int | None:
    """The database's own number, where its driver tells one that means something."""
    found = _NUMBER.search(str(error)) if whose(error) else None
    return int(found[1]) if found is not None else None


def whose(error: Any) -> str:
    """The dialect whose numbers the error has; empty: it is told by its SQLSTATE."""
    said = str(error)
    return next((dialect for part, dialect in _WHOSE.items() if part in said), "")


def refused_to_connect(error: Any, where: Address, system: str, drivers: Sequence[str]) -> DuologError:
    """A failure to connect, as one of ours. `drivers`: those that are installed."""
    said = without(" ".join(str(error.args[-1] if error.args else error).split()), where)
    told = state(error)
    if told in _NO_DRIVER and ("Driver Manager" in said or told != "01000"):
        return no_driver(where, system, drivers)
    if told in _DENIED or number(error) in (1044, 1045, 1049, 1698, 18456, 4060) or _says(said, _DENIED_WORDS):
        return AccessDenied(said, system=system, mend=CHECK)
    if _says(said, ("SSL", "TLS", "certificate")):
        return AccessDenied(
            said, system=system,
            mend="give the server a certificate that this machine trusts, or say `insecure: true` in the rules",
        )  # fmt: skip
    return SystemUnavailable(said, system=system, mend=KEEPS_TRYING)


def without(said: str, where: Address) -> str:
    """A text without the password."""
    for password in where.passwords:
        said = said.replace(password, "********").replace(password.replace("}", "}}"), "********")
    return said


def _says(said: str, words: Sequence[str]) -> bool:
    return any(word in said for word in words)


def no_driver(where: Address, system: str, drivers: Sequence[str]) -> AccessDenied:
    """The driver or the data source that an address names is not there. `drivers`: those that are installed."""
    have = ", ".join(f"`{each}`" for each in drivers) or "none"
    if where.source:
        found = f"there is no data source `{where.source}` on this machine"
        mend = "name one that stands in odbc.ini, or a driver: `odbc://user@host/database?driver=...`"
    else:
        found = f"there is no ODBC driver `{where.driver}` on this machine; installed are: {have}"
        mend = "name one of them after `driver=`, or install it"
    package = driver_of(where.driver).package
    mend += f"; on Debian: apt-get install {package}" if package else ""
    return AccessDenied(found, system=system, mend=mend)

