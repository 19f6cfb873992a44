"""Turns an address into a MariaDB or MySQL connection on which every value prints the same text, and its errors
into ours.

It never logs, retries or waits, and no password leaves it in a message; nor does a message of the server's that may
quote a row. Values arrive as text (bytes for binary types): no driver's idea of a date or a number comes between.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import pymysql
from pymysql.connections import Connection as Wire
from pymysql.constants import CLIENT
from pymysql.converters import escape_string

from adapters.mariadb.address import address, tls_arguments, without_password
from engine.errors import (
    AccessDenied,
    DuologError,
    SchemaChanged,
    SystemStopped,
    SystemUnavailable,
    ValueRefused,
)

Flavour: TypeAlias = Literal["mariadb", "mysql"]

OLDEST: Final[Mapping[Flavour, tuple[int, int]]] = {"mariadb": (10, 6), "mysql": (8, 0)}
"""The oldest servers that have JSON_TABLE and SKIP LOCKED."""

SQL_MODE: Final = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
"""What does not fit is refused, never bent; a key of 0 is 0; zero dates may be written back where they stand."""

SETTINGS: Final[Mapping[str, str]] = {
    # How values print, and what texts mean.
    "time_zone": "'+00:00'",
    "sql_mode": f"'{SQL_MODE}'",
    "div_precision_increment": "4",
    "group_concat_max_len": "1048576",
    # Checks that a session could have put out by a server-wide default.
    "foreign_key_checks": "1",
    "unique_checks": "1",
    # Limits that were meant for people.
    "sql_safe_updates": "0",
    "sql_big_selects": "1",
    "sql_select_limit": "18446744073709551615",
    "sql_auto_is_null": "0",
    "completion_type": "'NO_CHAIN'",
    "wait_timeout": "28800",
    "net_read_timeout": "60",
    "net_write_timeout": "600",
    # Nobody is waited for longer than this: seconds.
    "innodb_lock_wait_timeout": "2",
    "lock_wait_timeout": "10",
}
"""Session variables by name, as SQL. The triggers of an application keep the `sql_mode` that they were made under."""

FLAVOURED: Final[Mapping[Flavour, Mapping[str, str]]] = {
    "mariadb": {"max_statement_time": "0", "idle_transaction_timeout": "0", "check_constraint_checks": "1",
                "system_versioning_asof": "DEFAULT", "join_cache_level": "0"},
    "mysql": {"max_execution_time": "0", "information_schema_stats_expiry": "0",
              "optimizer_switch": "'block_nested_loop=off'"},
}  # fmt: skip
"""Session variables that only one of the two has. Without a buffer for joins, rows are found by the index of their key
also in a table of a few rows: one that is read as a whole would be locked as a whole."""

COLLATION: Final = "utf8mb4_bin"
"""Of all texts that statements make themselves."""

KEEPALIVE: Final[Mapping[str, int]] = {
    "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000
}  # fmt: skip
"""A peer that silently vanished is noticed within about 25 s. Seconds, but for the last: milliseconds."""

KEEPS_TRYING: Final = "none needed if it passes: duolog keeps trying"
BUSY: Final = frozenset({1205, 1213, 1020, 3572, 4020, 3058})
"""Another transaction was in the way."""
LOST: Final = frozenset({0, 2002, 2003, 2006, 2013, 2014, 2027, 2055, 1053, 1152, 1158, 1159, 1160, 1161, 1184,
                         1317, 1927, 1969, 3024, 4031, 1080, 1081})  # fmt: skip
"""The connection or the server went away, or somebody ended what was under way."""
SHORT: Final = frozenset({1021, 1037, 1038, 1040, 1041, 1114, 1135, 1203, 1226, 3, 28})
"""The server lacks room, memory or connections just now."""
TOO_LARGE: Final = 1153
TOO_LARGE_FOR_A_FUNCTION: Final = 1301
READ_ONLY: Final = frozenset({1290, 1792, 1836, 3100, 4211})
DENIED: Final = frozenset({1044, 1045, 1049, 1129, 1130, 1142, 1143, 1227, 1251, 1275, 1370, 1396, 1410, 1524, 1698,
                           1820, 1862, 2026, 2059, 2061, 3118, 3159, 4151})  # fmt: skip
CHANGED: Final = frozenset({1051, 1054, 1072, 1109, 1146, 1412, 1176, 1932})
REFUSED: Final = frozenset({
    1022, 1048, 1062, 1118, 1136, 1138, 1216, 1217, 1242, 1263, 1264, 1265, 1292, 1300, 1364, 1365, 1366, 1367, 1369,
    1406, 1411, 1416, 1425, 1442, 1451, 1452, 1526, 1557, 1569, 1586, 1591, 1644, 1690, 1761, 1762, 1765, 1906, 1977,
    3140, 3141, 3156, 3730, 3819, 4025, 4038, 4078, 4079, 4161,
})  # fmt: skip
"""A row, or one of its values, was refused. Messages of these quote values."""

QUOTABLE: Final = DENIED | CHANGED | READ_ONLY
"""Messages that hold names of things only."""


@dataclass(frozen=True, slots=True)
class Server:
    """What answers at an address."""

    flavour: Flavour
    version: tuple[int, int, int]
    text: str
    """The version as the server prints it."""
    packet_max: int
    """Bytes that one packet may have, that is, one statement or all that are sent together."""


class Connection(Wire):  # type: ignore[misc,unused-ignore]
    """A connection as this adapter uses it: every value as text or bytes, and no password in the clear."""

    server: Server

    def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        """A server may ask for the password itself. One that somebody else could read over, or be, does not get it."""
        if plugin_name in (b"mysql_clear_password", b"dialog") and not self._secure:
            raise pymysql.err.OperationalError(2059, "the server wants the password in the clear, without TLS")
        return super()._process_auth(plugin_name, auth_packet)


def connect(system: str, url: str, *, application_name: str) -> Connection:
    """A connection with the fixed settings, each statement its own transaction; several may go in one packet.

    Raises SystemUnavailable (try again) or AccessDenied (a person is needed), SystemStopped for a server that is too
    old."""
    where = address(url, system=system)
    try:
        conn = Connection(
            host=where.host, port=where.port, unix_socket=where.socket or None, user=where.user,
            password=where.password.encode(), database=where.database, charset="utf8mb4", collation=COLLATION,
            conv={}, autocommit=None, client_flag=CLIENT.MULTI_STATEMENTS | CLIENT.FOUND_ROWS,
            connect_timeout=where.connect_timeout_s, read_timeout=where.connect_timeout_s,
            program_name=application_name, **tls_arguments(where, system),
        )  # fmt: skip
    except (pymysql.MySQLError, OSError) as error:
        raise translate_connect(error, system, url) from None
    try:
        conn.server = _server(conn, system)
        execute(conn, _settings(conn.server.flavour))
        _watch(conn)
    except pymysql.MySQLError as error:
        conn.close()
        raise translate_connect(error, system, url) from None
    except DuologError:
        conn.close()
        raise
    return conn


def execute(conn: Connection, statement: str) -> int:
    """Carries out one statement, or several; tells how many rows the last one changed, or found to be so already.

    Raises pymysql.MySQLError of the first that fails; none after it is carried out."""
    count = conn.query(statement)
    while _more(conn):
        count = conn.next_result()
    return count


def ask(conn: Connection, statement: str) -> list[tuple[Any, ...]]:
    """The rows that one statement answers: texts, bytes or None. Raises pymysql.MySQLError."""
    conn.query(statement)
    return _rows(conn)


def ask_all(conn: Connection, statements: str) -> list[list[tuple[Any, ...]]]:
    """The rows of each of several statements, sent together; [] for one that answers none.

    Raises pymysql.MySQLError of the first that fails; none after it is carried out."""
    conn.query(statements)
    answers = [_rows(conn)]
    while _more(conn):
        conn.next_result()
        answers.append(_rows(conn))
    return answers


def translate_connect(error: Exception, system: str, url: str) -> DuologError:
    """A failure to connect to `url`, as one of ours."""
    number, said = _told(error)
    found = without_password(said, url)
    original = getattr(error, "original_exception", error)
    if isinstance(original, ssl.SSLError) or number in DENIED:
        found = f"{found} (error {number})" if number else found
        return AccessDenied(found, system=system, mend=_connect_mend(number, original))
    if number in LOST | SHORT | BUSY or isinstance(error, OSError):
        return SystemUnavailable(found, system=system, mend=KEEPS_TRYING)
    return translate(error, system)


def translate(error: Exception, system: str) -> DuologError:
    """An error of a statement or a connection in use, as one of ours. No value of a row is ever quoted."""
    number, said = _told(error)
    quoted = f"{said} (error {number})" if number in QUOTABLE else f"the server answers error {number}"
    if isinstance(error, OSError | pymysql.err.InterfaceError) or number in LOST:
        return SystemUnavailable(f"the connection was lost (error {number})", system=system, mend=KEEPS_TRYING)
    if number in BUSY:
        found = f"another transaction was in the way (error {number})"
        return SystemUnavailable(found, system=system, mend=KEEPS_TRYING)
    if number in SHORT:
        found = f"the server lacks room, memory or connections (error {number})"
        return SystemUnavailable(found, system=system, mend=KEEPS_TRYING)
    if number in READ_ONLY:
        return SystemUnavailable(
            "the server is read-only: a replica, or set so", system=system,
            mend="point the address at the primary, or SET GLOBAL read_only = OFF",
        )  # fmt: skip
    if number in (TOO_LARGE, TOO_LARGE_FOR_A_FUNCTION):
        return SystemStopped(
            "the server takes no packets as large as one row needs", system=system,
            mend="SET GLOBAL max_allowed_packet = 1073741824",
        )  # fmt: skip
    if number in DENIED:
        return AccessDenied(quoted, system=system, mend="GRANT what is named to the user of the address")
    if number in CHANGED:
        return SchemaChanged(quoted, system=system, mend="`duolog check` tells what changed")
    if number in REFUSED:
        return ValueRefused(refusal(error), system=system)
    return SystemStopped(quoted, system=system, mend=f"see the server's manual for error {number}")


def refusal(error: Exception) -> str:
    """Why a row was refused, by the names of things only: `error 1406: column `name``."""
    named = [f"{kind} `{name}`" for kind, name in named_in(error).items()]
    return f"error {error_number(error)}" + (f": {', '.join(named)}" if named else "")


def named_in(error: Exception) -> dict[str, str]:
    """The key, column or constraint that an error is about, by which of these it is, if the server says so."""
    said = _told(error)[1]
    return {kind: found.groups()[-1] for kind, pattern in _NAMED if (found := pattern.search(said)) is not None}


def error_number(error: Exception) -> int:
    """The server's (or the client library's) number of an error; 0 if it has none."""
    return _told(error)[0]


def text_literal(text: str) -> str:
    """A text as SQL writes it in our sessions."""
    return "'" + escape_string(text) + "'"


_NAME = r"((?:[^'`]|``|'')+)"
_NAMED: Final[Sequence[tuple[str, re.Pattern[str]]]] = (
    # Anchored at the end, where the server says it: before it a value may stand, and a value may look like anything.
    ("key", re.compile(rf"for key '{_NAME}'$")),
    ("column", re.compile(rf"for column (?:(?:`(?:{_NAME[1:-1]})?`\.)*)['`]{_NAME}['`] at row \d+$")),
    ("column", re.compile(rf"^(?:Column|Field) '{_NAME}' (?:cannot be null|doesn't have a default value)$")),
    ("constraint", re.compile(rf"^Cannot (?:add or update a child|delete or update a parent) row: a foreign key"
                              rf" constraint fails \(`{_NAME[1:-1]}`\.`{_NAME[1:-1]}`, CONSTRAINT `{_NAME}`")),
    ("constraint", re.compile(rf"^(?:CONSTRAINT|Check constraint) [`']{_NAME}[`'] (?:failed|is violated)")),
)  # fmt: skip


def _told(error: Exception) -> tuple[int, str]:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = error.args[1] if len(error.args) > 1 else error.args[0] if error.args else ""
    return number, " ".join(str(said).split())


def _connect_mend(number: int, original: Exception) -> str:
    if isinstance(original, ssl.SSLCertVerificationError):
        return "name the server's CA with ssl_ca=..., and the host as its certificate has it"
    if isinstance(original, ssl.SSLError) or number in (2026, 3159):
        return "give the server TLS, or say ssl_mode=required or ssl_mode=disabled in the address"
    if number == 1049:
        return "correct the database name in the address"
    if number in (1129, 1130):
        return "let the user connect from this machine: CREATE USER ...@'host'; FLUSH HOSTS lifts a blocking"
    return "check user, password and database name in the address"


def _server(conn: Connection, system: str) -> Server:
    """Who answers there. Raises SystemStopped if it is too old."""
    text, packet_max = ask(conn, "SELECT VERSION(), @@max_allowed_packet")[0]
    greeting = str(conn.get_server_info())
    flavour: Flavour = "mariadb" if "mariadb" in (text + greeting).lower() else "mysql"
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    version = tuple(int(number or 0) for number in numbers.groups()) if numbers else (0, 0, 0)
    if version[:2] < OLDEST[flavour]:
        oldest = ".".join(map(str, OLDEST[flavour]))
        name = "MariaDB" if flavour == "mariadb" else "MySQL"
        raise SystemStopped(
            f"the server is {name} {text}, which is too old", system=system, mend=f"upgrade it to {oldest} or newer"
        )
    return Server(flavour, (version[0], version[1], version[2]), text, int(packet_max))


def _settings(flavour: Flavour) -> str:
    variables = {**SETTINGS, **FLAVOURED[flavour], "autocommit": "1"}
    return (
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; SET SESSION "
        + ", SESSION ".join(f"{name} = {value}" for name, value in variables.items())
    )


def _watch(conn: Connection) -> None:
    """From now on no answer is late, however long it takes; but a peer that is gone is noticed."""
    conn._read_timeout = None
    if conn._sock is not None and conn._sock.family in (socket.AF_INET, socket.AF_INET6):
        for name, value in KEEPALIVE.items():
            option = getattr(socket, name, None)
            if option is not None:
                conn._sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _more(conn: Connection) -> bool:
    return conn._result is not None and bool(conn._result.has_next)


def _rows(conn: Connection) -> list[tuple[Any, ...]]:
    result = conn._result
    return [] if result is None or result.rows is None else list(result.rows)
