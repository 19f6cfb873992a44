"""Turns a database into how much there is: rows of bound tables, bytes of binlog from a position on.

Rows are the server's own estimate, so that nothing is counted and nobody waits. It never writes.
"""

from __future__ import annotations

from typing import Final

from adapters.mariadb.phrases import comma, literal
from adapters.mariadb.positions import file_number, parts, text
from adapters.mariadb.session import Connection, ask
from engine.errors import LogLost
from engine.rulebook import RuleBook
from engine.vocabulary import Position

KEYS: Final = "table_schema, table_name"
ROWS: Final = f"SELECT {KEYS}, COALESCE(table_rows, 0) FROM information_schema.tables WHERE ({KEYS}) IN "
"""To be followed by the list of tables."""


def rows_about(conn: Connection, book: RuleBook, system: str) -> list[int]:
    """By table number: about how many rows it has; 0 if nobody knows. Raises pymysql.MySQLError."""
    tables = [(table.schema, table.name) for table in book.tables[system]]
    if not tables:
        return []
    wanted = comma(f"({literal(schema)}, {literal(name)})" for schema, name in dict.fromkeys(tables))
    found = {(schema, name): int(count) for schema, name, count in ask(conn, f"{ROWS}({wanted})")}
    return [found.get(name, 0) for name in tables]


def log_kept(conn: Connection, book: RuleBook, system: str, position: Position) -> int:
    """How many bytes of binlog the server keeps from `position` on.

    Raises pymysql.MySQLError; a SystemStopped if the file that it lies in is gone."""
    file, offset = parts(position)
    sizes = {file_number(row[0]): int(row[1]) for row in ask(conn, "SHOW BINARY LOGS")}
    if file not in sizes:
        raise LogLost(
            f"the binlog of {text(position)} is no longer there", system=system, mend="raise binlog_expire_logs_seconds"
        )
    return sum(size for number, size in sizes.items() if number >= file) - offset
