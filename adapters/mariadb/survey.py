"""Turns a live database into what a first rule file can be guessed from: tables, keys, foreign keys, allowed values.

It reads the catalog only, and never a row. Without further words, the database of the address is meant: others on the
server are other applications'. What a CHECK lets in is told by the statement that would make the table again, which
everybody may see who may read the table. What the tables mean is not guessed here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

import pymysql

from adapters.mariadb.address import address
from adapters.mariadb.catalog import NAMES, read_catalog, read_columns, read_foreign_keys
from adapters.mariadb.columns import MariaColumn, labels
from adapters.mariadb.phrases import quoted
from adapters.mariadb.session import Connection, ask, connect, execute, translate
from adapters.relational.live import TableName
from adapters.relational.survey import Survey, surveyed

BINDABLE: Final = frozenset({"table"})
_TEXT: Final = r"(?:_\w+)?'(?:[^'\\]|''|\\.)*'"
LISTED: Final = re.compile(rf"CHECK \(+`((?:[^`]|``)+)` in (\({_TEXT}(?:, ?{_TEXT})*\))\)+,?$", re.MULTILINE)
"""As the servers print `CHECK (column IN ('a', 'b'))`, at the end of a line: MySQL in more brackets, and with the
character set before each text."""
MAKING: Final = re.compile(r"nextval|uuid\b|sys_guid", re.IGNORECASE)


def survey(system: str, url: str, schemas: Collection[str] = ()) -> Survey:
    """The tables of these databases, or of the address's. Raises SystemUnavailable, SystemStopped."""
    home = address(url, system=system).database
    conn = connect(system, url, application_name="duolog init")
    try:
        execute(conn, "SET SESSION TRANSACTION READ ONLY")
        return _survey(conn, system, home, schemas or (home,))
    except pymysql.MySQLError as error:
        raise translate(error, system) from None
    finally:
        conn.close()


def _survey(conn: Connection, system: str, home: str, schemas: Collection[str]) -> Survey:
    names = [(str(schema), str(name)) for schema, name in ask(conn, NAMES) if schema in schemas]
    catalog = read_catalog(conn, system, names)
    columns = read_columns(conn, names)
    foreign = read_foreign_keys(conn, names)
    bindable = [name for name, shape in catalog.tables.items() if shape.kind in BINDABLE]
    allowed = {name: dict(_allowed(conn, name)) for name in bindable}
    made = [(name, column) for name, known in columns.items() for column, each in known.items() if _makes(each)]
    return Survey(system, conn.server.flavour, home, surveyed(catalog, BINDABLE, foreign, allowed, made), catalog)


def _allowed(conn: Connection, table: TableName) -> Iterator[tuple[str, tuple[str, ...]]]:
    ((_, statement),) = ask(conn, f"SHOW CREATE TABLE {quoted(*table)}")
    yield from listed_values(str(statement))


def listed_values(statement: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(column, the texts that a CHECK lets in) of a statement that makes a table, where a CHECK says no more."""
    for found in LISTED.finditer(statement):
        yield found[1].replace("``", "`"), labels(found[2])


def _makes(column: MariaColumn) -> bool:
    return column.automatic or MAKING.search(column.made_by) is not None
