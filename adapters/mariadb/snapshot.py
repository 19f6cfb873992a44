"""Turns a database into one consistent picture of its bound rows, at a position from which its log can be read on.

MariaDB tells, of a transaction that began with a consistent snapshot, where in the binlog that is: everything before is
in the picture, everything after it is in the log, and nobody was stopped for it. MySQL is held for a moment instead.
Rows come in the order of their record keys, compared by code point as Python compares them, and one after the other:
memory is flat whatever the table's size.

It never writes, locks a row, or decodes a value: values are text as the house spells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pymysql
from pymysql.cursors import SSCursor

from adapters.mariadb import reread, separator
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.layouts import columns_of, layouts
from adapters.mariadb.phrases import reading
from adapters.mariadb.sending import Sending
from adapters.mariadb.session import Connection, connect, execute, translate
from adapters.mariadb.speech import MariaSpeech
from adapters.mariadb.statements import live, read_all, select_table
from adapters.relational.layout import Layout, in_field_order
from engine.errors import DuologError, SystemUnavailable
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Position, Row

sorted_bytes: Final = 16_384
"""Bytes of a record key that count when rows are put in order: more than an index, and so a key, can have."""

BEGIN: Final = (
    f"SET SESSION max_sort_length = {sorted_bytes}; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; "
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
)


class MariaSnapshot:
    """One consistent picture of one system; implements `engine.ports.Snapshot`.

    `position`: the end of the last transaction that is in it; reading the log from there misses nothing and repeats
    nothing. While it is open the server keeps old row versions, so it should not be held longer than needed.

    `at_once`: for a look that only needs the right to read. MySQL then tells no position: no log is to be read on from
    there.

    Raises SystemUnavailable, SchemaChanged, AccessDenied."""

    def __init__(self, system: str, url: str, book: RuleBook, *, at_once: bool = False) -> None:
        self.system = system
        self.position: Position = 0
        self._reader: Connection | None = connect(system, url, application_name="duolog snapshot")
        try:
            self.position = _begin_at(self._reader, at_once=at_once)
            self._layouts = layouts(self._reader, book, system)
            self._columns = columns_of(self._reader, book, system)
            self._tables = book.tables[system]
        except pymysql.MySQLError as error:
            self.close()
            raise translate(error, system) from None
        except DuologError:
            self.close()
            raise

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity as (record key, values in field order), ascending by record key (code point order).

        A field that this system does not have is ABSENT. Raises SystemUnavailable, SchemaChanged."""
        yield from self._translated(_stream(self._open(), self._layouts[entity]))

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table, in the order of its columns, as printed text; in any order.

        Raises SystemUnavailable, SchemaChanged."""
        yield from self._translated(_stream_table(self._open(), self._tables[number], self._columns[number]))

    def close(self) -> None:
        """Lets go of the picture."""
        if self._reader is not None:
            # Not in order: rows that were not fetched would be read to their end first.
            _abandon(self._reader)
            self._reader._force_close()
        self._reader = None

    def _open(self) -> Connection:
        if self._reader is None:
            raise SystemUnavailable("the snapshot is closed", system=self.system)
        return self._reader

    def _translated(self, rows: Iterator[Any]) -> Iterator[Any]:
        try:
            yield from rows
        except pymysql.MySQLError as error:
            raise translate(error, self.system) from None


def read_rows(conn: Connection, book: RuleBook, system: str, entity: str) -> Iterator[tuple[str, Row]]:
    """The same rows as `MariaSnapshot.rows`, in a snapshot of their own that is tied to no position: for `verify`.

    The connection must be idle, and is so again when all rows are read or the iterator is closed.
    Raises SystemUnavailable, SchemaChanged, AccessDenied."""
    try:
        yield from _alone(conn, lambda: _stream(conn, layouts(conn, book, system)[entity]))
    except pymysql.MySQLError as error:
        raise translate(error, system) from None


def read_table(conn: Connection, book: RuleBook, system: str, number: int) -> Iterator[Row]:
    """The same rows as `MariaSnapshot.table`, in a snapshot of their own; for the connection see `read_rows`."""
    columns = columns_of(conn, book, system)[number]
    try:
        yield from _alone(conn, lambda: _stream_table(conn, book.tables[system][number], columns))
    except pymysql.MySQLError as error:
        raise translate(error, system) from None


def rows_of_keys(conn: Connection, book: RuleBook, system: str, entity: str, keys: list[str]) -> dict[str, Row]:
    """By record key: the rows, as they are now, of those of these records that are there: for rechecks.

    Raises SystemUnavailable, SchemaChanged, AccessDenied."""
    try:
        return reread.rows_of_keys(MariaSpeech(Sending(conn)), layouts(conn, book, system)[entity], keys)
    except pymysql.MySQLError as error:
        raise translate(error, system) from None


def _begin_at(conn: Connection, *, at_once: bool) -> Position:
    """Begins the picture; the position of its log."""
    ask_end = separator.send
    if conn.server.flavour == "mariadb":
        execute(conn, BEGIN)
        return ask_end(Sending(conn))()[0]
    if at_once:
        execute(conn, BEGIN)
        return 0
    execute(conn, "FLUSH TABLES WITH READ LOCK")
    try:
        execute(conn, BEGIN)
        return ask_end(Sending(conn))()[0]
    finally:
        execute(conn, "UNLOCK TABLES")


def _alone(conn: Connection, stream: Any) -> Iterator[Any]:
    execute(conn, BEGIN)
    try:
        yield from stream()
    finally:
        if conn.open:
            execute(conn, "ROLLBACK")


def _stream(conn: Connection, place: Layout) -> Iterator[tuple[str, Row]]:
    yield from in_field_order(place, _fetched(conn, read_all(place), live(place, sorted(place.columns))))


def _stream_table(conn: Connection, table: Table, known: Mapping[str, MariaColumn]) -> Iterator[Row]:
    columns = [known[name] for name in table.columns]
    yield from _fetched(conn, select_table(table, known), columns)


def _fetched(conn: Connection, query: str, columns: Sequence[MariaColumn]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, one after the other as the server sends them."""
    spell = reading(columns)
    cursor = conn.cursor(SSCursor)
    try:
        cursor.execute(query)
        for row in cursor:
            yield spell(row)
    finally:
        if not conn.open:
            _abandon(conn)
        cursor.close()  # reads what is still to come, where there is a connection
    if not conn.open:  # closed while rows were to come: that is no end of them
        raise pymysql.err.InterfaceError(0, "")


def _abandon(conn: Connection) -> None:
    """Nobody is to read on, not even who throws the answer away."""
    if conn._result is not None:
        conn._result.unbuffered_active = False

