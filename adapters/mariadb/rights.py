"""Turns the rights that our user needs in a system into GRANTs, and asks a server which of them are lacking.

Which are held is tried, by preparing statements that are never carried out: roles, patterns of database names and
rights on single columns then count as the server counts them. Nothing is granted or changed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import pymysql

from adapters.mariadb.ledger import TABLE as LEDGER
from adapters.mariadb.phrases import quoted
from adapters.mariadb.session import Connection, Flavour, error_number, execute, text_literal
from adapters.relational.rights import TableRights
from adapters.relational.rights import rights as needed_rights
from engine.rulebook import RuleBook

NEXTVAL: Final = re.compile(r"\bnextval\(((?:`(?:[^`]|``)+`\.?)+)\)", re.IGNORECASE)
"""How `rules.assembly.dialects` writes a draw from a sequence; the name with its quotes."""

CAPTURE: Final[dict[Flavour, tuple[str, ...]]] = {
    "mariadb": ("REPLICATION SLAVE", "BINLOG MONITOR"),
    "mysql": ("REPLICATION SLAVE", "REPLICATION CLIENT", "RELOAD"),
}
"""What reading the log takes; and of MySQL, RELOAD for the moment in which a snapshot learns its position."""

LEDGER_VERBS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")

SEQUENCE_RIGHTS: Final = "SELECT, INSERT"

DENIED: Final = frozenset({1044, 1142, 1143, 1370})
COLUMN_DENIED: Final = re.compile(r" for column '(.*)' in table ['`]", re.DOTALL)
NO_SUCH: Final = frozenset({1049, 1146})
NO_SEQUENCE: Final = frozenset({4089, 4091})
"""There is none, or it is a table."""


def rights(book: RuleBook, system: str) -> list[TableRights]:
    """The rights needed in `system`, by table, in the order of `RuleBook.tables`."""
    return needed_rights(book, system, NEXTVAL.findall)


def grants(book: RuleBook, system: str, user: str, flavour: Flavour, database: str) -> list[str]:
    """The SQL that gives `user` (`name`, or `name@host`) what it needs to read the log and to write, and nothing else.

    `database`: the one in the address. To be run by an administrator, after CREATE USER and `duolog setup`."""
    who = account(user)
    made = [f"GRANT {', '.join(CAPTURE[flavour])} ON *.* TO {who};"]
    for needed in rights(book, system):
        name = quoted(needed.table.schema, needed.table.name)
        made += [f"GRANT {right} ON {name} TO {who};" for right in words(needed, flavour)]
    drawn = sequences(book, system, database)
    made += [f"GRANT {SEQUENCE_RIGHTS} ON {sequence} TO {who};" for sequence in drawn]
    made.append(f"GRANT {', '.join(LEDGER_VERBS)} ON {quoted(*LEDGER)} TO {who};")
    return made


def sequences(book: RuleBook, system: str, database: str) -> list[str]:
    """The sequences that the rules draw from, as SQL writes them, each with its database: if none is said, with the
    `database` of the address."""
    drawn = dict.fromkeys(name for needed in rights(book, system) for name in needed.sequences)
    return [in_database(name, database) for name in drawn]


def in_database(sequence: str, database: str) -> str:
    """A sequence's name with its database, where it says none with that of the address."""
    return sequence if "`.`" in sequence else f"{quoted(database)}.{sequence}"


def account(user: str) -> str:
    """`name@host` as GRANT takes it; without a host from everywhere."""
    name, at, host = user.rpartition("@")
    name, host = (name, host) if at else (user, "%")
    return f"{text_literal(name)}@{text_literal(host)}"


def words(needed: TableRights, flavour: Flavour) -> list[str]:
    """`SELECT`, `INSERT (a, b)`, ..."""
    found = ["SELECT"]
    for verb, columns in (("INSERT", needed.insert), ("UPDATE", updated(needed, flavour))):
        if columns:
            found.append(f"{verb} ({', '.join(map(quoted, columns))})")
    return [*found, "DELETE"] if needed.delete else found


def updated(needed: TableRights, flavour: Flavour) -> tuple[str, ...]:
    """The columns that we have to be allowed to change. Of MariaDB, whoever may read a row may lock it, too."""
    return needed.update or (needed.lock if flavour == "mysql" else ())


def lacking(conn: Connection, verb: str, table: tuple[str, str], columns: Sequence[str]) -> tuple[str, ...] | None:
    """Those of `columns` that we may not give values by this verb (for SELECT: read; for DELETE: `*`, if we may not);
    None if there is no such table. Raises pymysql.MySQLError."""
    left = list(columns)
    found: list[str] = []
    while left:
        try:
            _try(conn, _statement(verb, quoted(*table), left))
        except pymysql.MySQLError as error:
            number = error_number(error)
            if number in NO_SUCH:
                return None
            if number not in DENIED:
                raise
            told = COLUMN_DENIED.search(str(error.args[1]))
            if told is None or told[1] not in left:
                return (*found, *left)
            found.append(told[1])
            left.remove(told[1])
        else:
            break
    return tuple(found)


def closed_sequences(conn: Connection, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(those of the sequences that we may not draw from, those that are none), as given. Raises pymysql.MySQLError."""
    closed: list[str] = []
    absent: list[str] = []
    for name in names:
        try:
            _try(conn, f"SELECT NEXTVAL({name})")
        except pymysql.MySQLError as error:
            number = error_number(error)
            if number in DENIED:
                closed.append(name)
            elif number in NO_SUCH | NO_SEQUENCE:
                absent.append(name)
            else:
                raise
    return tuple(closed), tuple(absent)


def _try(conn: Connection, statement: str) -> None:
    """Has the server look at a statement without carrying it out. Raises pymysql.MySQLError."""
    prepared = "PREPARE duolog_right FROM " + text_literal(statement)
    execute(conn, prepared)
    execute(conn, "DEALLOCATE PREPARE duolog_right")


def _statement(verb: str, table: str, columns: Sequence[str]) -> str:
    names = list(map(quoted, columns))
    match verb:
        case "SELECT":
            parts = [verb, ", ".join(names), "FROM", table]
        case "INSERT":
            parts = [verb, "INTO", table, f"({', '.join(names)}) VALUES ({', '.join(['NULL'] * len(names))})"]
        case "UPDATE":
            parts = [verb, table, "SET", ", ".join(f"{name} = NULL" for name in names), "WHERE FALSE"]
        case _:
            parts = [verb, "FROM", table, "WHERE FALSE"]
    return " ".join(parts)
