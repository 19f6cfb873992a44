"""Turns a connection into one that sees a single moment of a database, and tells where in its log that moment is.

Where a database tells the position of a picture by itself, nobody is stopped. Where it does not, the bound tables are
held against writers for the moment in which the picture begins and the position is asked: whoever is writing ends
first, whoever comes then waits. Db2 keeps no old rows: there writers wait until the picture is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from adapters.alchemy.positions import SAME_SCN_BITS, Positions
from adapters.alchemy.session import Session, connect
from engine.vocabulary import Position

Begin: TypeAlias = Callable[[Session, Sequence[sa.Table], "Positions | None"], Position]
"""Begins a picture of these tables. Without `Positions`: a look only, that holds nobody and answers 0."""

REPEATABLE: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
MARIADB: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
)  # fmt: skip
STILL: Final = "FLUSH TABLES WITH READ LOCK"
FLOW: Final = "UNLOCK TABLES"
AT_SCN: Final = sa.text("BEGIN DBMS_FLASHBACK.ENABLE_AT_SYSTEM_CHANGE_NUMBER(:scn); END;")
SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"


def begin(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    """See `Begin`. Raises sqlalchemy.exc.DBAPIError."""
    return BEGINNINGS.get(session.name, _plain)(session, tables, positions)


def _postgresql(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    conn = session.conn
    if positions is None:
        conn.exec_driver_sql(REPEATABLE)
        return 0
    holder = connect(session.system, session.url)
    try:
        for each in tables:
            holder.conn.exec_driver_sql(lock_table(holder, each, "IN SHARE MODE"))
        conn.exec_driver_sql(REPEATABLE)
        return positions.now(conn)  # the first question makes the picture
    finally:
        holder.close()


def _mysql(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    conn = session.conn
    if positions is None or getattr(session.dialect, "is_mariadb", False):
        for statement in MARIADB:
            conn.exec_driver_sql(statement)
        return positions.now(conn) if positions is not None else 0
    holder = connect(session.system, session.url)
    try:
        holder.conn.exec_driver_sql(STILL)
        for statement in MARIADB:
            conn.exec_driver_sql(statement)
        return positions.now(holder.conn)
    finally:
        holder.close()


def _oracle(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    if positions is None:
        session.conn.exec_driver_sql("SET TRANSACTION READ ONLY")
        return 0
    position = positions.now(session.conn)
    session.conn.execute(AT_SCN, {"scn": position >> SAME_SCN_BITS})
    return position


def _mssql(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    """Needs ALLOW_SNAPSHOT_ISOLATION."""
    conn = session.conn
    conn.exec_driver_sql(SNAPSHOT)
    if positions is None:
        touch(conn, tables)
        return 0
    holder = connect(session.system, session.url)
    try:
        hold(holder.conn, tables)
        position = positions.now(holder.conn)
        touch(conn, tables)
        return position
    finally:
        holder.close()


def _db2(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    if positions is None:
        return 0
    for each in tables:
        session.conn.exec_driver_sql(lock_table(session, each, "IN SHARE MODE"))
    return positions.now(session.conn)


def _plain(session: Session, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    """One transaction, whatever it sees; SQLite sees one moment from its first question on."""
    position = positions.now(session.conn) if positions is not None else 0
    touch(session.conn, tables)
    return position


def lock_table(session: Session, table: sa.Table, mode: str) -> str:
    """The statement that locks a table until the transaction ends."""
    name = session.dialect.identifier_preparer.format_table(table)
    return " ".join(("LOCK TABLE", name, mode))


def hold(conn: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Holds tables of an SQL Server against writers until the transaction ends."""
    for each in tables:
        conn.execute(holding(each)).all()


def holding(table: sa.Table) -> sa.Select[Any]:
    """The question that does. The table has to be looked into for its answer: for one that is plainly nothing, no lock
    would be taken."""
    asked: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(table).limit(1)
    return asked.with_hint(table, "WITH (TABLOCK, HOLDLOCK)")


def touch(conn: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Asks something of a table, as some pictures begin with the first question."""
    for each in tables[:1]:
        asked: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(each).limit(1)
        conn.execute(asked).all()


BEGINNINGS: Final[Mapping[str, Begin]] = {
    "postgresql": _postgresql, "mysql": _mysql, "mariadb": _mysql, "oracle": _oracle, "mssql": _mssql,
    "ibm_db_sa": _db2, "db2": _db2,
}  # fmt: skip
"""By the name of the dialect."""
