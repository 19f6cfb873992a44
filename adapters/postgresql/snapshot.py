"""Turns a database into one consistent picture of its bound rows, at a position from which its log can be read on.

A temporary logical slot is made only to export the snapshot: everything that committed before the slot's consistent
point is in the picture, everything after it is in the log. Rows come in the order of their record keys, compared by
code point as Python compares them, through a server-side cursor: memory is flat whatever the table's size.

It never writes, locks a row, or decodes a value: values are text as the column prints it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import pq, sql

from adapters.postgresql import reread
from adapters.postgresql.catalog import PgColumn
from adapters.postgresql.layouts import columns_of, layouts
from adapters.postgresql.session import connect, connection_string, lsn_number, translate, translate_connect
from adapters.postgresql.statements import read_all, select_table
from adapters.relational.layout import Layout
from engine.errors import DuologError, SystemStopped, SystemUnavailable
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Position, Row

rows_per_fetch: Final = 2000
"""Rows that one round trip brings: as much as is in memory at once."""

CODE_POINT_ENCODINGS: Final = frozenset({"UTF8", "SQL_ASCII", "LATIN1"})
"""Server encodings whose bytes sort as the code points do."""

export_option_version: Final = 150_000
"""The first server that takes the slot's options in brackets."""


class PostgresSnapshot:
    """One consistent picture of one system; implements `engine.ports.Snapshot`.

    `position`: the end of the last transaction that is in it; reading the log from there misses nothing and repeats
    nothing. While it is open the server keeps old row versions, so it should not be held longer than needed.

    `at_once`: without a slot, for a look that only needs the right to read: then the picture may hold transactions
    beyond `position`, and no log is to be read on from there.

    Raises SystemUnavailable, SchemaChanged, AccessDenied. Making it waits for transactions that are writing now, unless
    `at_once`."""

    def __init__(self, system: str, url: str, book: RuleBook, *, at_once: bool = False) -> None:
        self.system = system
        self.position: Position = 0
        self._reader: psycopg.Connection[Any] | None = None
        self._holder = None if at_once else _replication_connection(system, url)
        """Keeps the slot, and so the exported snapshot, until the reader has taken it over."""
        try:
            name: str | None = None
            if self._holder is not None:
                self.position, name = self._export(self._holder)
            self._reader = connect(system, url, application_name="duolog snapshot")
            if name is None:
                self.position = _position_now(self._reader)
            _begin(self._reader, name)
            self._layouts = layouts(self._reader, book, system)
            self._columns = columns_of(self._reader, book, system)
            self._tables = book.tables[system]
            self._utf8_order = _needs_utf8_order(self._reader)
        except psycopg.Error as error:
            self.close()
            raise translate(error, system) from None
        except DuologError:
            self.close()
            raise
        if self._holder is not None:
            self._holder.finish()  # the picture is the reader's now: nothing needs the slot any more

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity as (record key, values in field order), ascending by record key (code point order).

        A field that this system does not have is ABSENT. Raises SystemUnavailable."""
        if self._reader is None:
            raise SystemUnavailable("the snapshot is closed", system=self.system)
        try:
            yield from _stream(self._reader, self._layouts[entity], self._utf8_order)
        except psycopg.Error as error:
            raise translate(error, self.system) from None

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table, in the order of its columns, as printed text; in any order. Raises SystemUnavailable."""
        if self._reader is None:
            raise SystemUnavailable("the snapshot is closed", system=self.system)
        try:
            yield from _stream_table(self._reader, self._tables[number], self._columns[number])
        except psycopg.Error as error:
            raise translate(error, self.system) from None

    def close(self) -> None:
        """Lets go of the picture, and of the temporary slot."""
        if self._holder is not None:
            self._holder.finish()
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _export(self, holder: pq.abc.PGconn) -> tuple[Position, str]:
        """Makes the slot; answers its consistent point and the name of the exported snapshot."""
        slot = "duolog_snapshot_" + secrets.token_hex(8)
        bracketed = holder.server_version >= export_option_version
        option = "(SNAPSHOT 'export')" if bracketed else "EXPORT_SNAPSHOT"
        command = " ".join(("CREATE_REPLICATION_SLOT", slot, "TEMPORARY LOGICAL pgoutput", option))
        result = holder.exec_(command.encode())
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise _replication_error(result, holder, self.system)
        point, name = result.get_value(0, 1), result.get_value(0, 2)
        assert point is not None and name is not None, "a slot answers its consistent point and its snapshot"
        return lsn_number(point.decode()), name.decode()


def read_rows(conn: psycopg.Connection[Any], book: RuleBook, system: str, entity: str) -> Iterator[tuple[str, Row]]:
    """The same rows as `PostgresSnapshot.rows`, in a snapshot of their own that is tied to no position: for `verify`.

    The connection must be idle, and is so again when all rows are read or the iterator is closed.
    Raises SystemUnavailable, SchemaChanged, AccessDenied."""
    try:
        _begin(conn, None)
        try:
            yield from _stream(conn, layouts(conn, book, system)[entity], _needs_utf8_order(conn))
        finally:
            if not conn.closed:
                conn.execute("ROLLBACK")
    except psycopg.Error as error:
        raise translate(error, system) from None


def read_table(conn: psycopg.Connection[Any], book: RuleBook, system: str, number: int) -> Iterator[Row]:
    """The same rows as `PostgresSnapshot.table`, in a snapshot of their own; for the connection see `read_rows`."""
    try:
        _begin(conn, None)
        try:
            yield from _stream_table(conn, book.tables[system][number], columns_of(conn, book, system)[number])
        finally:
            if not conn.closed:
                conn.execute("ROLLBACK")
    except psycopg.Error as error:
        raise translate(error, system) from None


def rows_of_keys(
    conn: psycopg.Connection[Any], book: RuleBook, system: str, entity: str, keys: list[str]
) -> dict[str, Row]:
    """By record key: the rows, as they are now, of those of these records that are there: for rechecks.

    Raises SystemUnavailable, SchemaChanged, AccessDenied."""
    try:
        return reread.rows_of_keys(conn, layouts(conn, book, system)[entity], keys)
    except psycopg.Error as error:
        raise translate(error, system) from None


def _begin(conn: psycopg.Connection[Any], snapshot: str | None) -> None:
    conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    if snapshot is not None:
        conn.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
    # All rows will be read: the plan that is quickest to the last one, not to the first.
    conn.execute("SET LOCAL cursor_tuple_fraction = 1")


def _stream(conn: psycopg.Connection[Any], place: Layout, utf8_order: bool) -> Iterator[tuple[str, Row]]:
    with psycopg.ServerCursor(conn, "duolog_rows_" + secrets.token_hex(4)) as cursor:
        cursor.itersize = rows_per_fetch
        cursor.execute(read_all(place, utf8_order))
        yield from reread.in_field_order(place, cursor)


def _stream_table(conn: psycopg.Connection[Any], table: Table, columns: Mapping[str, PgColumn]) -> Iterator[Row]:
    with psycopg.ServerCursor(conn, "duolog_table_" + secrets.token_hex(4)) as cursor:
        cursor.itersize = rows_per_fetch
        cursor.execute(select_table(table, columns))
        yield from cursor


def _position_now(conn: psycopg.Connection[Any]) -> Position:
    row = conn.execute("SELECT pg_catalog.pg_current_wal_insert_lsn()::text").fetchone()
    assert row is not None, "a function answers one row"
    return lsn_number(row[0])


def _needs_utf8_order(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("SHOW server_encoding").fetchone()
    return row is not None and row[0] not in CODE_POINT_ENCODINGS


def _replication_connection(system: str, url: str) -> pq.abc.PGconn:
    text = connection_string(url, application_name="duolog snapshot", replication=True, system=system)
    holder = pq.PGconn.connect(text.encode())
    if holder.status != pq.ConnStatus.OK:
        said = psycopg.OperationalError(holder.get_error_message())
        holder.finish()
        raise translate_connect(said, system, url)
    return holder


def _replication_error(result: pq.abc.PGresult, holder: pq.abc.PGconn, system: str) -> DuologError:
    """Why the slot could not be made. The command quotes no value, so the server's words may be passed on."""
    said = " ".join(result.get_error_message().split()) if result else ""
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    if holder.status != pq.ConnStatus.OK or state[:2] in ("08", "57"):
        return SystemUnavailable(said, system=system, mend="none needed if it passes: duolog keeps trying")
    return SystemStopped(
        f"a temporary slot for the snapshot could not be made: {said}", system=system, mend="duolog check RULES"
    )
