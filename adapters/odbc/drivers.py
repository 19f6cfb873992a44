"""Turns the name of an ODBC driver into what is known of it: how it is told where to go, what it has to be told so that
it alters no value, how it speaks TLS.

Pure data. A driver that nobody knows gets plain words, and no address outside this machine unless the rules say
`insecure: true`, as nobody knows how to ask it for TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Driver:
    """What is known of one driver. Keywords are those of its connection string."""

    called: str = ""
    """Its project's name for it; empty: nobody knows it."""
    names: tuple[str, ...] = ()
    """What its registered name, the name of its file, or the path to it contains, in small letters."""
    dialect: str = ""
    """SQLAlchemy's, where the driver speaks to one kind of database only."""
    keywords: Mapping[str, str] = field(default_factory=dict)
    """What every connection is told, unless the address says otherwise."""
    streaming: Mapping[str, str] = field(default_factory=dict)
    """What a connection that reads is told besides, so that a large table does not fill the memory."""
    tls: Mapping[str, str] = field(default_factory=dict)
    """What makes it refuse a connection without TLS, or with another's certificate."""
    plain: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By keyword: the values, in small letters, with which it would do without TLS."""
    comma: bool = False
    """A port is written behind the host: `SERVER=host,1433`."""
    utf8: bool = False
    """Texts go and come as UTF-8, not as UTF-16."""
    whole: bool = False
    """A text with U+0000 comes through whole; others cut it off there, and do not say so."""
    signed: bool = False
    """An unsigned integer comes as if it had a sign, and goes only as far as one that has."""
    package: str = ""
    """Debian's package."""


PSQLODBC: Final = Driver(
    "psqlodbc", names=("postgresql", "psqlodbc"), dialect="postgresql", package="odbc-postgresql",
    keywords={
        # Booleans as such; bytes and texts of any length; and no savepoint about every statement.
        "BoolsAsChar": "0", "ByteaAsLongVarBinary": "1", "MaxVarcharSize": "255", "MaxLongVarcharSize": "0",
        "UnknownSizes": "2", "Protocol": "7.4-0", "pqopt": "connect_timeout=10",
    },
    streaming={"UseDeclareFetch": "1", "Fetch": "1000"},
    tls={"SSLmode": "verify-full"}, plain={"sslmode": ("disable", "allow", "prefer")},
)  # fmt: skip
MARIADB: Final = Driver(
    "MariaDB Connector/ODBC", names=("mariadb", "maodbc"), package="odbc-mariadb", utf8=True, whole=True, signed=True,
    keywords={"OPTION": "2", "CONN_TIMEOUT": "10"},  # rows that were found count, also those that stay as they are
    streaming={"OPTION": str(2 | 1 << 20 | 1 << 21)},  # from its version 3.1.17 on
    tls={"FORCETLS": "1", "SSLVERIFY": "1"}, plain={"forcetls": ("0",), "sslverify": ("0",)},
)  # fmt: skip
MYSQL: Final = Driver(
    "MySQL Connector/ODBC", names=("mysql", "myodbc"), utf8=True, signed=True,
    keywords={"FOUND_ROWS": "1", "CHARSET": "utf8mb4"}, streaming={"NO_CACHE": "1", "FORWARD_CURSOR": "1"},
    tls={"SSLMODE": "VERIFY_IDENTITY"}, plain={"sslmode": ("disabled", "preferred")},
)  # fmt: skip
MSODBCSQL: Final = Driver(
    "Microsoft ODBC Driver for SQL Server", names=("sql server", "msodbcsql"), dialect="mssql", comma=True,
    tls={"Encrypt": "yes", "TrustServerCertificate": "no"}, plain={"encrypt": ("no", "optional", "false")},
)  # fmt: skip
FREETDS: Final = Driver(
    "FreeTDS", names=("freetds", "tdsodbc"), dialect="mssql", package="tdsodbc",
    keywords={"TDS_Version": "7.4", "ClientCharset": "UTF-8"},
    tls={"Encryption": "require"}, plain={"encryption": ("off", "request")},
)  # fmt: skip
UNKNOWN: Final = Driver()

DRIVERS: Final = (FREETDS, PSQLODBC, MARIADB, MYSQL, MSODBCSQL)
DIALECTS: Final[Mapping[str, str]] = {
    "postgresql": "postgresql", "mariadb": "mariadb", "mysql": "mysql", "microsoft sql server": "mssql",
    "sql server": "mssql", "db2": "ibm_db_sa",
}  # fmt: skip
"""By how the answer to `SQLGetInfo(SQL_DBMS_NAME)` begins, in small letters: the name that SQLAlchemy has for it."""


def driver_of(*names: str) -> Driver:
    """The driver that is registered under one of these names, or whose file has one of them."""
    for name in filter(None, names):
        for driver in DRIVERS:
            if any(each in name.lower() for each in driver.names):
                return driver
    return UNKNOWN


def dialect_of(database: str) -> str:
    """SQLAlchemy's name for a database that calls itself so; empty if there is none that speaks by ODBC."""
    return next((name for begin, name in DIALECTS.items() if database.lower().startswith(begin)), "")
