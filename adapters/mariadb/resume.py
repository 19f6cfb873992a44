"""Turns a position in our store and what a server says of itself into a verdict: may reading go on here, without a gap?

Every way in which it may not has its own error and its own mend. Nothing is repaired or skipped here, and nothing ever
goes on "from now". It only reads, on an ordinary connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pymysql

from adapters.mariadb import positions
from adapters.mariadb.assemble import Hints
from adapters.mariadb.binlog.reading import Hint
from adapters.mariadb.catalog import read_columns
from adapters.mariadb.session import Connection, ask, error_number, text_literal
from adapters.mariadb.unlogged import COMPARE
from adapters.mariadb.waiting import at_once, is_held_up, log_status
from engine.errors import (
    LogIncomplete,
    LogLost,
    LogReset,
    PositionForeign,
    SchemaChanged,
    SystemStopped,
    WrongServer,
)
from engine.rulebook import Table
from engine.vocabulary import Position

_VARIABLES: Final = """SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_id', 'server_uid', 'server_uuid',
'datadir', 'log_bin', 'log_bin_basename', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata',
'lower_case_table_names')"""

_NEWEST: Final = """SELECT `separator`, gtid FROM duolog.ledger
WHERE engine = {engine} AND `system` = {system} AND `separator` IS NOT NULL ORDER BY number_to DESC LIMIT 1"""

_NOT_THERE: Final = frozenset({1049, 1142, 1146})
"""No such database, no right on the table, no such table: there is no ledger to be asked."""

_NO_RIGHT: Final = frozenset({1227, 1142})

_NO_EVENT: Final = 1220
"""No event begins there, the file is not as long, or is not there."""

_POINT: Final = (
    "point the address at the server that was set up; if this is to be the server from now on: "
    "`duolog setup RULES`, then `duolog run RULES --merge-again`"
)


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """Which server's log a position belongs to: of another one it means nothing."""

    flavour: str
    """`mariadb` or `mysql`."""
    server_id: str
    """Servers of one topology have different ones: a promoted replica is another server, with a log of its own."""
    uid: str
    """MySQL: a UUID that stays with its data. MariaDB: a digest of the machine's network card and the port."""

    def __str__(self) -> str:
        return f"{self.flavour}/{self.server_id}/{self.uid}"

    @classmethod
    def parse(cls, text: str) -> ServerIdentity:
        """What `str` made. Raises ValueError."""
        flavour, server_id, uid = text.split("/", 2)
        return cls(flavour, server_id, uid)


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What a server says of itself and its log."""

    identity: ServerIdentity
    variables: Mapping[str, str]

    @property
    def folded(self) -> bool:
        """Names of tables are the same in capital letters."""
        return self.variables.get("lower_case_table_names", "0") != "0"

    def file_name(self, position: Position) -> str:
        """The file that a position is in, as the server calls it."""
        base = self.variables["log_bin_basename"].replace("\\", "/").rpartition("/")[2]
        return positions.file_name(f"{base}.000001", positions.parts(position)[0])


def read_facts(conn: Connection) -> LogFacts:
    """What the server says of itself. Raises pymysql.MySQLError."""
    told = {str(name).lower(): str(value) for name, value in ask(conn, _VARIABLES)}
    uid = told.get("server_uuid") or told.get("server_uid") or told.get("datadir", "")
    return LogFacts(ServerIdentity(conn.server.flavour, told.get("server_id", ""), uid), told)


def read_identity(conn: Connection) -> ServerIdentity:
    """The identity of the server that a connection leads to. Raises pymysql.MySQLError."""
    return read_facts(conn).identity


def check_identity(
    conn: Connection, system: str, facts: LogFacts, known: ServerIdentity, *, engine: str, newest: bool = True
) -> None:
    """Raises WrongServer if the server is not the `known` one.

    MariaDB's uid changes with the network card, as when a container is made again. Then what proves the server is the
    newest row of our own ledger, which tells where it stands in this log. `newest`: ask for that."""
    found = facts.identity
    if found == known:
        return
    only_uid = found == ServerIdentity(known.flavour, known.server_id, found.uid)
    if only_uid and found.flavour == "mariadb" and (not newest or _ledger_proves(conn, system, engine)):
        return
    what = (
        ("kind of server", known.flavour, found.flavour),
        ("server_id", known.server_id, found.server_id),
        ("server_uuid" if known.flavour == "mysql" else "server_uid", known.uid, found.uid),
    )
    changed = ", ".join(f"the {name} is {now}, not {was}" for name, was, now in what if was != now)
    raise WrongServer(f"this is not the server of our position: {changed}", system=system, mend=_POINT)


def check_settings(conn: Connection, system: str, facts: LogFacts, tables: Sequence[Table]) -> None:
    """Raises LogIncomplete if the server's log does not tell what is written, row by row and with names."""
    said = facts.variables
    if said.get("log_bin", "OFF") not in ("ON", "1"):
        raise LogIncomplete(
            "the server writes no binlog", system=system,
            mend="put `log_bin`, `binlog_format = ROW` and `binlog_row_metadata = FULL` into its configuration, start "
            f"it again; then {COMPARE}",
        )  # fmt: skip
    for name, wanted in (("binlog_format", "ROW"), ("binlog_row_metadata", "FULL")):
        if said.get(name, wanted).upper() != wanted:
            raise LogIncomplete(
                f"`{name}` is {said[name]}, where {wanted} is needed", system=system,
                mend=f"SET GLOBAL {name} = '{wanted}', and in its configuration; sessions that are open keep the old "
                f"one; then {COMPARE}",
            )  # fmt: skip
    _check_filters(conn, system, tables)


def _check_filters(conn: Connection, system: str, tables: Sequence[Table]) -> None:
    """Databases can be left out of the log by options of the server's start."""
    try:
        row = log_status(conn)
    except pymysql.MySQLError as error:
        if error_number(error) in _NO_RIGHT:
            return  # `check` asks for the right; reading does not need it
        raise
    if not row:
        return  # or it cannot be asked now: only a restart changes them, and nobody waited when that was checked
    only, never = ({name for name in str(listed or "").split(",") if name} for listed in row[2:4])
    for schema in sorted({table.schema for table in tables}):
        if schema in never or (only and schema not in only):
            raise LogIncomplete(
                f"the server leaves the database `{schema}` out of its log (binlog_do_db, binlog_ignore_db)",
                system=system,
                mend=f"take these options out of its configuration, start it again; then {COMPARE}",
            )


def check_position(conn: Connection, system: str, facts: LogFacts, resume: Position, *, engine: str) -> None:
    """Raises LogLost, LogReset or PositionForeign unless an event of this very log ends at `resume`."""
    if conn.server.flavour == "mysql":
        check_end(conn, system, resume)  # the rest is told by the server when it is asked to send
        return
    if gtids_at(conn, facts, resume) is None:
        check_end(conn, system, resume)
        if not _is_shown(conn, facts, resume):
            raise _not_there(conn, system, facts, resume)
    _check_ledger(conn, system, facts, engine)


def check_tables(conn: Connection, system: str, tables: Sequence[Table]) -> Hints:
    """Raises SchemaChanged if a bound table or column is not there; returns what the log does not say of columns."""
    known = read_columns(conn, [(table.schema, table.name) for table in tables])
    mend = "or change the rules, and let `duolog check RULES` confirm it"
    for table in tables:
        columns = known.get((table.schema, table.name))
        if columns is None:
            raise SchemaChanged(
                f"the table `{table.schema}.{table.name}` does not exist", system=system, mend=f"rename it back; {mend}"
            )
        lost = [f"`{name}`" for name in table.columns if name not in columns]
        if lost:
            raise SchemaChanged(
                f"the table `{table.schema}.{table.name}` no longer has the bound column {', '.join(lost)}",
                system=system, mend=f"bring it back; {mend}",
            )  # fmt: skip
    return {
        table: {name: Hint(column.data_type, column.digits) for name, column in columns.items()}
        for table, columns in known.items()
    }


def lost(system: str, facts: LogFacts, resume: Position) -> LogLost:
    """The server has purged the file that `resume` is in."""
    return LogLost(
        f"the server has purged `{facts.file_name(resume)}`, in which our position {positions.text(resume)} is: what "
        "was written after it cannot be read any more",
        system=system,
        mend=f"{COMPARE}; have the server keep its log for longer (binlog_expire_logs_seconds)",
    )


def foreign(system: str, resume: Position, end: str) -> PositionForeign:
    """The server's log is not as long as what we have read of it."""
    return PositionForeign(
        f"our store has read up to {positions.text(resume)}, but the server's log ends at {end}: it was restored from "
        "a backup, or its log was begun anew (RESET MASTER)",
        system=system,
        mend=f"restore our store of the same time; or {COMPARE}",
    )


def _not_there(conn: Connection, system: str, facts: LogFacts, resume: Position) -> SystemStopped:
    file, _ = positions.parts(resume)
    if gtids_at(conn, facts, positions.number(file, 4)) is None:
        return lost(system, facts, resume)
    return reset(system, facts, resume)


def reset(system: str, facts: LogFacts, resume: Position) -> LogReset:
    """The server has a log, but not the one in which `resume` is."""
    return LogReset(
        f"no event ends at our position {positions.text(resume)} in `{facts.file_name(resume)}`: the log was begun "
        "anew (RESET MASTER), is another server's, or lost its end in a crash (sync_binlog)",
        system=system,
        mend=f"{_POINT}; after a crash: {COMPARE}",
    )


def check_end(conn: Connection, system: str, resume: Position) -> None:
    """Raises PositionForeign if the server's log ends before `resume`; pymysql.MySQLError."""
    if conn.server.flavour == "mysql" and is_held_up(conn):
        return  # it would not tell its end before those who wait have gone on
    end = read_end(conn)
    if resume > end:
        raise foreign(system, resume, positions.text(end))


def read_end(conn: Connection) -> Position:
    """Where the server's log ends. Raises pymysql.MySQLError."""
    if conn.server.flavour == "mysql":
        words = "BINARY LOG" if conn.server.version >= (8, 2, 0) else "MASTER"
        file, offset = ask(conn, f"SHOW {words} STATUS")[0][:2]
    else:
        told = dict(ask(conn, "SHOW STATUS LIKE 'Binlog_snapshot_%'"))
        file, offset = told["Binlog_snapshot_file"], told["Binlog_snapshot_position"]
    return positions.number(positions.file_number(file), int(offset))


def gtids_at(conn: Connection, facts: LogFacts, position: Position) -> str | None:
    """Which GTIDs stand before a position, as the server reads its log; None if it has no such position."""
    name = text_literal(facts.file_name(position))
    answer: Any = ask(conn, f"SELECT BINLOG_GTID_POS({name}, {positions.parts(position)[1]})")[0][0]
    return answer.decode() if isinstance(answer, bytes) else answer


def _is_shown(conn: Connection, facts: LogFacts, position: Position) -> bool:
    """An event ends at a position, in a file where GTIDs cannot be told: to tell them the server reads the file from
    its beginning, and gives up at an event that is larger than a packet may be, whosever that is. This it looks up."""
    if is_held_up(conn):
        return True  # it would not look before those who wait have gone on; when it is to send the log, it does
    name = text_literal(facts.file_name(position))
    try:
        with at_once(conn):
            ask(conn, f"SHOW BINLOG EVENTS IN {name} FROM {positions.parts(position)[1]} LIMIT 1")
    except pymysql.MySQLError as error:
        if error_number(error) != _NO_EVENT:
            raise
        return False
    return True


def _ledger_row(conn: Connection, system: str, engine: str) -> tuple[Position, str] | None:
    """(separator, GTIDs) of our newest batch, as the target wrote it down; None if there is none."""
    statement = _NEWEST.format(engine=text_literal(engine), system=text_literal(system))
    try:
        rows = ask(conn, statement)
    except pymysql.MySQLError as error:
        if error_number(error) in _NOT_THERE:
            return None
        raise
    return (positions.from_text(rows[0][0]), rows[0][1] or "") if rows else None


def _ledger_proves(conn: Connection, system: str, engine: str) -> bool:
    """Our newest batch stands in this log where it was written down."""
    row = _ledger_row(conn, system, engine)
    return row is not None and _stands(conn, read_facts(conn), *row)


def _check_ledger(conn: Connection, system: str, facts: LogFacts, engine: str) -> None:
    """A log that was begun anew may have a transaction's end at our position, too; but not all the same GTIDs."""
    row = _ledger_row(conn, system, engine)
    if row is None:
        return
    separator, gtids = row
    first = gtids_at(conn, facts, positions.number(positions.parts(separator)[0], 4))
    purged = first is None and separator < read_end(conn)
    if purged or _stands(conn, facts, separator, gtids):
        return
    raise LogReset(
        f"our last batch was written at {positions.text(separator)}, after the transactions {gtids or 'none'}; the "
        "server's log has others there: it was begun anew (RESET MASTER), or is another server's",
        system=system,
        mend=_POINT,
    )


def _stands(conn: Connection, facts: LogFacts, separator: Position, gtids: str) -> bool:
    """The GTIDs before a separator are those that were written down with it, or a few less: it was read first. Where
    they cannot be told, those before its file are."""
    there = gtids_at(conn, facts, separator)
    if there is None and _is_shown(conn, facts, separator):
        there = gtids_at(conn, facts, positions.number(positions.parts(separator)[0], 4))
    if there is None:
        return False
    written, found = _numbers(gtids), _numbers(there)
    return all(
        domain in written and server == written[domain][0] and number <= written[domain][1]
        for domain, (server, number) in found.items()
    )


def _numbers(gtids: str) -> dict[str, tuple[str, int]]:
    """By domain, (server, number)."""
    found = {}
    for gtid in filter(None, gtids.split(",")):
        domain, server, number = gtid.strip().split("-")
        found[domain] = (server, int(number))
    return found
