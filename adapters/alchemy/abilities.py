"""What each dialect can do, by the name of the ability; what is not known of a dialect is done by the floor.

Pure values. No other module asks which database it is: it asks for an ability. The floor is: rows are locked by
`FOR UPDATE` with the session's own timeout, a value is the driver's, and our only engine holds a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from adapters.odbc.drivers import Driver

Locking: TypeAlias = Literal["nowait", "update", "hints", "kept", "whole"]
"""How rows are locked: `FOR UPDATE NOWAIT`; `FOR UPDATE`, for which the session waits as long as it is told; hints at
the table; `FOR UPDATE` with an isolation that keeps the locks; not at all, as a writer has the whole database."""
Skipping: TypeAlias = Literal["skip", "hints", "data", "one by one", "whole"]
"""How rows are found that others have locked: `SKIP LOCKED`; hints; `SKIP LOCKED DATA`; each is tried alone; none
are, as the whole database is ours."""
Being: TypeAlias = Literal["advisory", "named", "applock", "row", "file"]
"""What the only engine that writes a system holds: a lock of its session (PostgreSQL, MySQL, SQL Server), the lock of
a row in a second session, or a file beside the database."""
Together: TypeAlias = Literal["", "from values", "join", "column values"]
"""How one statement changes many rows: not at all; `UPDATE ... FROM (VALUES ...)`; MySQL's UPDATE of a join; as the
first, of VALUES whose columns cannot be given names."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one dialect can do. The defaults are the floor."""

    locking: Locking = "update"
    skipping: Skipping = "one by one"
    being: Being = "row"
    keys_at_once: int = 400
    """Rows that one statement looks for; so many parameters each a column of the key."""
    together: Together = ""
    """How one statement changes many rows."""
    inserts: bool = False
    """One statement for many rows is a quicker way to insert them than the driver's own."""
    parameters_at_once: int = 1000
    """Values that one statement is given, at most."""
    home: Literal["schema", "prefix"] = "prefix"
    """Where the ledger is: in a schema `duolog`, or beside the user's own tables as `duolog_ledger`."""
    session: tuple[str, ...] = ()
    """What every session is told: in which zone and form values are spelled, how long a lock is waited for."""
    isolation: str | None = "READ COMMITTED"
    """Each statement sees what has been committed until then; None: there is only one."""
    defers: bool = False
    """Constraints may be checked late: `SET CONSTRAINTS ALL IMMEDIATE` has them checked now."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """By family: the word for how SQL spells it (`spelling.SHOWN`); otherwise the driver's value is spelled here."""
    named: Mapping[str, str] = field(default_factory=dict)
    """The same, by the name of the type; it goes before the family's."""
    texts: bool = False
    """A date or a moment is given as a text, which the column takes; otherwise as the driver's own value."""
    untyped: bool = False
    """Columns have no types that hold: a value gets its form here."""
    now: str = ""
    """An expression: microseconds since 1970 by the server's clock; empty: `CURRENT_TIMESTAMP`."""
    numbering: str = ""
    """Asks whether we may say the numbers of `:table` ourselves, where it numbers its rows, and the right for that is
    ALTER; empty: whoever may INSERT may do that."""
    returning: bool = True
    """INSERT may answer the key that was made, also where the table has triggers."""
    finite: bool = True
    """A floating-point number is neither NaN nor infinity."""
    empty_is_null: bool = False
    """An empty text is stored as NULL, and told as that."""
    uncast: frozenset[str] = frozenset()
    """Families whose texts the columns take as they are: their types are no words of a CAST."""
    nul: bool = True
    """A text may hold U+0000."""
    signed: bool = False
    """The driver takes an unsigned integer for one with a sign, both ways."""
    driver: str = ""
    """The driver, where the address names none."""
    marks_doubled: bool = False
    """The inspector tells names as they stand between quotation marks."""


TEMPORAL: Final = ("date", "time", "timestamp", "timestamptz")
_CAST: Final = dict.fromkeys((*TEMPORAL, "interval", "uuid", "json", "enum", "array", "other"), "cast")
_LOCK_WAIT: Final = "50"  # milliseconds

POSTGRESQL: Final = Abilities(
    locking="nowait", skipping="skip", being="advisory", keys_at_once=2000, home="schema", defers=True, shown=_CAST,
    together="from values", parameters_at_once=30_000,
    texts=True, finite=False, nul=False, driver="psycopg",
    session=(
        "SET application_name = 'duolog'", "SET TIME ZONE 'UTC'", "SET datestyle = 'ISO, YMD'",
        "SET intervalstyle = 'iso_8601'",
        "SET extra_float_digits = 3", "SET row_security = off", f"SET lock_timeout = {_LOCK_WAIT}",
        "SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
    ),
    now="CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
)  # fmt: skip

MYSQL: Final = Abilities(
    locking="nowait", skipping="skip", being="named", keys_at_once=1000, home="schema", texts=True, driver="pymysql",
    shown=dict.fromkeys((*TEMPORAL, "uuid", "json", "enum", "other"), "cast"), marks_doubled=True,
    together="join", inserts=True, parameters_at_once=30_000,
    named={"bit": "bits", "set": "cast", "float": "double"}, uncast=frozenset({"enum", "text", "other"}),
    session=(
        "SET time_zone = '+00:00'",
        "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'",
        # The shortest wait of MySQL's. With none at all, MariaDB ends a transaction that has skipped a locked row.
        "SET innodb_lock_wait_timeout = 1, lock_wait_timeout = 1",
    ),
    # A local time is not made a moment of: twice a year it has two, or none. Two of them are only compared.
    now="(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)))",
)  # fmt: skip

ORACLE: Final = Abilities(
    locking="nowait", skipping="skip", being="row", keys_at_once=900, defers=True, finite=False, empty_is_null=True,
    driver="oracledb", shown=dict.fromkeys(TEMPORAL, "to_char"),
    session=("ALTER SESSION SET TIME_ZONE = '+00:00'", "ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'"),
    now="(CAST(SYS_EXTRACT_UTC(SYSTIMESTAMP) AS DATE) - DATE '1970-01-01') * 86400000000 "
    "+ MOD(EXTRACT(SECOND FROM SYSTIMESTAMP), 1) * 1000000",
)  # fmt: skip

MSSQL: Final = Abilities(
    locking="hints", skipping="hints", being="applock", keys_at_once=900, home="schema", driver="pyodbc",
    shown={**dict.fromkeys(TEMPORAL, "convert"), "timestamptz": "at utc", "uuid": "raw"}, returning=False,
    numbering="SELECT HAS_PERMS_BY_NAME(:table, 'OBJECT', 'ALTER')",
    session=(f"SET LOCK_TIMEOUT {_LOCK_WAIT}", "SET XACT_ABORT OFF", "SET DATEFORMAT ymd", "SET ANSI_WARNINGS ON"),
    now="DATEDIFF_BIG(MICROSECOND, CONVERT(datetime2, '1970-01-01', 23), SYSUTCDATETIME())",
)  # fmt: skip

DB2: Final = Abilities(
    locking="kept", skipping="data", being="row", home="schema", keys_at_once=900, isolation=None, returning=False,
    driver="", shown=dict.fromkeys(("date", "time", "timestamp"), "varchar_format"),
    session=("SET CURRENT LOCK TIMEOUT 1",),
    now="(CAST(DAYS(CURRENT TIMESTAMP - CURRENT TIMEZONE) - DAYS(DATE('1970-01-01')) AS BIGINT) * 86400 "
    "+ MIDNIGHT_SECONDS(CURRENT TIMESTAMP - CURRENT TIMEZONE)) * 1000000 + MICROSECOND(CURRENT TIMESTAMP)",
)  # fmt: skip

SQLITE: Final = Abilities(
    locking="whole", skipping="whole", being="file", keys_at_once=400, isolation=None, texts=True, untyped=True,
    together="column values", inserts=True, parameters_at_once=30_000,
    # Who waits here for the only lock keeps nobody waiting.
    session=("PRAGMA foreign_keys = ON", "PRAGMA busy_timeout = 5000"),
    now="CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
)  # fmt: skip

KNOWN: Final[Mapping[str, Abilities]] = {
    "postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "oracle": ORACLE, "mssql": MSSQL, "ibm_db_sa": DB2,
    "db2": DB2, "sqlite": SQLITE,
}  # fmt: skip
"""By the name that SQLAlchemy has for the dialect."""


def abilities(dialect: str) -> Abilities:
    """What the dialect of this name can do."""
    return KNOWN.get(dialect, Abilities())


def by_odbc(can: Abilities, driver: Driver) -> Abilities:
    """What it can do through this driver."""
    return replace(can, nul=can.nul and driver.whole, signed=driver.signed, inserts=bool(can.together))
