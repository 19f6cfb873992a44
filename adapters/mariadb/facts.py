"""Turns a live MariaDB or MySQL server into facts about it and the bound tables, for `preflight` to judge.

Nothing is judged, changed or locked here. Facts are plain values, so that every judgement can be tried without a
database. What our user may not see is a fact, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pymysql

from adapters.mariadb import synchronous
from adapters.mariadb.address import LOOPBACK, address
from adapters.mariadb.catalog import read_catalog, read_columns, read_foreign_keys
from adapters.mariadb.clock import clock_offset
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.created import MariaForeignKey
from adapters.mariadb.ledger import TABLE as LEDGER
from adapters.mariadb.names import reader_id
from adapters.mariadb.rights import (
    LEDGER_VERBS,
    closed_sequences,
    lacking,
    rights,
    sequences,
    updated,
)
from adapters.mariadb.session import Connection, Flavour, ask, error_number, text_literal
from adapters.mariadb.synchronous import WaitingFacts
from adapters.mariadb.waiting import log_status
from adapters.relational.judging import LooseJoin, both_create, loose_joins
from adapters.relational.live import TableName
from adapters.relational.rights import TableRights
from engine.catalog import Catalog
from engine.rulebook import RuleBook

VARIABLES: Final = (
    "log_bin", "binlog_format", "binlog_row_image", "binlog_row_metadata", "binlog_expire_logs_seconds",
    "expire_logs_days", "server_id", "max_allowed_packet", "sync_binlog", "innodb_flush_log_at_trx_commit", "read_only",
    "sql_mode", "log_slave_updates", "log_replica_updates", "wsrep_on", "binlog_transaction_compression",
    "binlog_row_value_options",
)  # fmt: skip

TRIGGERS: Final = """
SELECT event_object_schema, event_object_table, trigger_name FROM information_schema.triggers
WHERE event_object_schema = {schema} ORDER BY 1, 2, 3
"""

OWN_LOG: Final = "SELECT @@SESSION.sql_log_bin, CURRENT_USER()"

NOT_PERMITTED: Final = 1227

ON_SERVER: Final = re.compile(r"GRANT (.+?) ON \*\.\* TO ")
"""Rights on the whole server, as SHOW GRANTS prints them."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What matters of the server and our user. Defaults are those of a server that is fit."""

    flavour: Flavour = "mariadb"
    version: tuple[int, int, int] = (10, 11, 0)
    version_text: str = "10.11.0-MariaDB"
    user: str = "duolog@%"
    settings: Mapping[str, str] = field(default_factory=dict)
    """Global variables by name, as far as the server has them."""
    own_log: bool = True
    """What our sessions write is in the binlog."""
    reader_id: int = 1 << 30
    """The server id under which we read."""
    may_replicate: bool = True
    may_see_log: bool = True
    may_freeze: bool = True
    """RELOAD, which a snapshot of MySQL takes."""
    logged: tuple[str, ...] = ()
    """The only databases whose changes are in the binlog (`binlog_do_db`); empty: all."""
    unlogged: tuple[str, ...] = ()
    """Databases whose changes are not in the binlog (`binlog_ignore_db`)."""
    replicas: int = 0
    """Connections by which this server replicates from others, that are running."""
    ledger: str = "there"
    """`there`, `missing`; `closed` if we may not use it (and perhaps it is not there)."""
    tls: bool = True

    @property
    def name(self) -> str:
        """What people call it."""
        return "MariaDB" if self.flavour == "mariadb" else "MySQL"

    def setting(self, *names: str) -> str:
        """The value of the first of these variables that the server has; empty if it has none."""
        return next((self.settings[name] for name in names if name in self.settings), "")


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What matters of one bound table beside its shape; nothing is known of what is no table that can be bound."""

    columns: Mapping[str, MariaColumn] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    """Bound columns that our user may not read."""
    no_insert: tuple[str, ...] = ()
    """Columns that we need to give values in new rows, and may not."""
    no_update: tuple[str, ...] = ()
    no_delete: bool = False
    triggers: tuple[str, ...] = ()
    keys: tuple[MariaForeignKey, ...] = ()
    """Its foreign keys."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `preflight` judges."""

    system: str
    server: ServerFacts
    catalog: Catalog
    needed: tuple[TableRights, ...]
    """By bound table."""
    generated_keys: tuple[TableName, ...] = ()
    """Tables in which its own users and we make records."""
    tables: Mapping[TableName, TableFacts] = field(default_factory=dict)
    closed_sequences: tuple[str, ...] = ()
    """Sequences that the rules draw from and our user may not, as SQL writes them."""
    absent_sequences: tuple[str, ...] = ()
    assembled: bool = False
    """Some entity's records are put together out of rows here: what happens to any of those matters."""
    loose: tuple[LooseJoin, ...] = ()
    waiting: WaitingFacts | None = None
    """Of a system whose users wait at COMMIT."""
    database: str = ""
    """The one in the address."""
    loopback: bool = True
    """Nothing that we send leaves this machine."""
    insecure: bool = False
    """The DBA accepts a connection without TLS."""
    clock_offset_us: int = 0
    """The clock of the server's log minus ours, microseconds."""
    clock_error_us: int = 0
    """How far off the measured offset may be."""


def gather(conn: Connection, book: RuleBook, system: str, *, url: str, insecure: bool = False) -> Facts:
    """The facts about `system`, at `url`. `insecure`: the DBA accepts a connection without TLS.

    Raises pymysql.MySQLError."""
    names = [(table.schema, table.name) for table in book.tables[system]]
    where = address(url, system=system)
    catalog = read_catalog(conn, system, names)
    keys = read_foreign_keys(conn, names)
    needed = tuple(rights(book, system))
    drawn = sequences(book, system, where.database) if conn.server.flavour == "mariadb" else []
    closed, absent = closed_sequences(conn, drawn)
    offset, error = clock_offset(conn)
    server = _server(conn, book, system)
    return Facts(
        system=system,
        server=server,
        catalog=catalog,
        needed=needed,
        generated_keys=both_create(book, system),
        tables=_tables(conn, catalog, needed, keys),
        closed_sequences=closed,
        absent_sequences=absent,
        assembled=any(binding.assembly is not None for binding in book.bound[system]),
        loose=loose_joins(book, system, keys),
        waiting=synchronous.gather(conn, book, system, user=server.user, held=_held(conn)),
        database=where.database,
        loopback=bool(where.socket) or where.host in LOOPBACK,
        insecure=insecure,
        clock_offset_us=offset,
        clock_error_us=error,
    )


def ledger_state(conn: Connection) -> str:
    """`there`, `missing`, or `closed` if we may not use it. Raises pymysql.MySQLError."""
    found = [lacking(conn, verb, LEDGER, ["engine"]) for verb in LEDGER_VERBS]
    if any(lacks for lacks in found):
        return "closed"
    return "missing" if None in found else "there"


def _server(conn: Connection, book: RuleBook, system: str) -> ServerFacts:
    listed = ", ".join(map(text_literal, VARIABLES))
    settings = ask(conn, f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({listed})")
    ((own_log, user),) = ask(conn, OWN_LOG)
    held = _held(conn)
    log = _log_status(conn)
    return ServerFacts(
        flavour=conn.server.flavour,
        version=conn.server.version,
        version_text=conn.server.text,
        user=str(user),
        settings={str(name): str(value) for name, value in settings},
        own_log=own_log == "1",
        reader_id=reader_id(book.name, system),
        may_replicate=bool(held & {"REPLICATION SLAVE", "ALL PRIVILEGES"}),
        may_see_log=log is not None,
        may_freeze=conn.server.flavour == "mariadb" or bool(held & {"RELOAD", "ALL PRIVILEGES"}),
        logged=_listed(log[2]) if log else (),
        unlogged=_listed(log[3]) if log else (),
        replicas=_replicas(conn),
        ledger=ledger_state(conn),
        tls=any(value for _, value in ask(conn, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")),
    )


def _held(conn: Connection) -> set[str]:
    """Our user's rights on the whole server, those of its active roles among them."""
    found = [ON_SERVER.match(str(row[0])) for row in ask(conn, "SHOW GRANTS")]
    return {right.strip() for grant in found if grant is not None for right in grant[1].split(",")}


def _log_status(conn: Connection) -> tuple[Any, ...] | None:
    """(file, offset, binlog_do_db, binlog_ignore_db, ...); () if there is no binlog or it cannot be asked now, None if
    we may not see it."""
    try:
        return log_status(conn) or ()
    except pymysql.MySQLError as error:
        if error_number(error) != NOT_PERMITTED:
            raise
        return None


def _replicas(conn: Connection) -> int:
    """Running replication into this server. MySQL tells only those who may look; in doubt none."""
    if conn.server.flavour == "mariadb":
        return sum(int(value) for _, value in ask(conn, "SHOW GLOBAL STATUS LIKE 'Slaves_running'"))
    try:
        return len(ask(conn, "SHOW REPLICA STATUS"))
    except pymysql.MySQLError as error:
        if error_number(error) != NOT_PERMITTED:
            raise
        return 0


def _tables(
    conn: Connection, catalog: Catalog, needed: Sequence[TableRights], keys: Sequence[MariaForeignKey]
) -> dict[TableName, TableFacts]:
    fit = {name for name, shape in catalog.tables.items() if shape.kind == "table"}
    columns = read_columns(conn, fit)
    triggers = _triggers(conn, fit)
    found = {}
    for each in needed:
        name = (each.table.schema, each.table.name)
        if name not in fit:
            continue
        shape = catalog.tables[name]
        found[name] = TableFacts(
            columns=columns.get(name, {}),
            unread=_lacking(conn, "SELECT", name, [c for c in each.table.columns if c in shape.columns]),
            no_insert=_lacking(conn, "INSERT", name, [c for c in each.insert if _settable(catalog, name, c)]),
            no_update=_lacking(
                conn, "UPDATE", name, [c for c in updated(each, conn.server.flavour) if _settable(catalog, name, c)]
            ),
            no_delete=each.delete and bool(_lacking(conn, "DELETE", name, ["*"])),
            triggers=tuple(triggers.get(name, ())),
            keys=tuple(key for key in keys if key.table == name),
        )
    return found


def _lacking(conn: Connection, verb: str, table: TableName, columns: Sequence[str]) -> tuple[str, ...]:
    return (lacking(conn, verb, table, columns) or ()) if columns else ()


def _settable(catalog: Catalog, table: TableName, column: str) -> bool:
    known = catalog.tables[table].columns.get(column)
    return known is not None and not known.generated


def _triggers(conn: Connection, tables: Iterable[TableName]) -> dict[TableName, list[str]]:
    """Those that we may see: of every table of which we may change something."""
    found: dict[TableName, list[str]] = {}
    for schema in dict.fromkeys(schema for schema, _ in tables):
        for at, table, name in ask(conn, TRIGGERS.format(schema=text_literal(schema))):
            found.setdefault((at, table), []).append(name)
    return found


def _listed(databases: Any) -> tuple[str, ...]:
    return tuple(name.strip() for name in str(databases or "").split(",") if name.strip())


