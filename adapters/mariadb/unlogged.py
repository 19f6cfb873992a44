"""Turns what a log does not tell into the error that says so: what, where in the log, and the mend.

One function a case, so that each has its own words. None quotes a statement or a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.mariadb.binlog import events
from adapters.mariadb.binlog.reading import Unreadable
from adapters.mariadb.binlog.rows import Missing
from adapters.mariadb.binlog.statements import Effect
from adapters.mariadb.binlog.tables import TableMap
from engine.errors import LogIncomplete, LogUnreadable, SchemaChanged, SystemStopped
from engine.rulebook import Table

COMPARE: Final = "`duolog run RULES --merge-again` compares both sides"
"""What is needed where a change was made that the log does not tell."""

_OPERATIONS: Final = {"I": "an INSERT into", "U": "an UPDATE of", "D": "a DELETE from", "row": "a row of"}

_EVENTS: Final = {
    events.PAYLOAD: ("compresses whole transactions", "SET GLOBAL binlog_transaction_compression = OFF"),
    events.PARTIAL_UPDATE: ("tells parts of JSON documents", "SET GLOBAL binlog_row_value_options = ''"),
}


def statement(system: str, where: str, effect: Effect) -> SystemStopped:
    """A statement that took a bound table away, or changed rows that are not told."""
    names = ", ".join(f"`{schema}.{name}`" for schema, name in effect.tables)
    match effect.kind:
        case "dropped":
            return SchemaChanged(
                f"the table {names} was dropped (log at {where})", system=system,
                mend=f"make it again, or take it out of the rules; then {COMPARE}",
            )  # fmt: skip
        case "renamed":
            return SchemaChanged(
                f"the table {names} was renamed to `{effect.said}` (log at {where})", system=system,
                mend=f"rename it back, or change the rules; then {COMPARE}",
            )  # fmt: skip
        case _ if effect.said.startswith("ALTER"):
            of = f" of {names}" if names else ""
            return LogIncomplete(
                f"`{effect.said}` moved rows{of} that the log does not tell (log at {where})", system=system,
                mend=COMPARE,
            )  # fmt: skip
        case _:
            return LogIncomplete(
                f"the log has a statement that begins with `{effect.said}` (at {where}), not the rows that it changed; "
                "they may be those of bound tables",
                system=system,
                mend=f"SET GLOBAL binlog_format = 'ROW', and in the session that set it otherwise; then {COMPARE}",
            )


def unnamed(system: str, where: str, table: Table) -> LogIncomplete:
    """A table's rows come without the names of its columns."""
    return LogIncomplete(
        f"the log does not name the columns of `{table.schema}.{table.name}` (at {where})", system=system,
        mend=f"SET GLOBAL binlog_row_metadata = 'FULL'; then {COMPARE}",
    )  # fmt: skip


def missing(system: str, where: str, table: TableMap, lacks: Missing) -> LogIncomplete:
    """A row's image is not whole."""
    columns = ", ".join(f"`{name}`" for name in lacks.columns)
    return LogIncomplete(
        f"{_OPERATIONS[lacks.operation]} `{table.schema}.{table.name}` was logged without {columns} (at {where})",
        system=system,
        mend=f"SET GLOBAL binlog_row_image = 'FULL', and in the session that set it otherwise; then {COMPARE}",
    )


def unreadable(system: str, where: str, table: TableMap, why: Unreadable) -> LogUnreadable:
    """A bound column's values cannot be read out of the log."""
    return LogUnreadable(
        f"`{table.schema}.{table.name}`: {why.found} (log at {where})", system=system,
        mend=f"{why.mend}; then {COMPARE}",
    )  # fmt: skip


def lost_columns(system: str, where: str, table: Table, lost: Sequence[str]) -> SchemaChanged:
    """Rows were logged when the table had not all of the columns that are bound."""
    columns = ", ".join(f"`{name}`" for name in lost)
    return SchemaChanged(
        f"the table `{table.schema}.{table.name}` has rows in the log without the bound column {columns} (at {where})",
        system=system,
        mend=f"bring the column back, or change the rules, and let `duolog check RULES` confirm it; then {COMPARE}",
    )


def incident(system: str, where: str) -> LogIncomplete:
    """The server itself says that something is missing."""
    return LogIncomplete(
        f"the server says that its log is not whole (an INCIDENT event at {where})", system=system,
        mend=f"see the server's error log for what happened; then {COMPARE}",
    )  # fmt: skip


def unknown_event(system: str, where: str, kind: int) -> LogUnreadable:
    """An event of a kind that is not read."""
    what, setting = _EVENTS.get(kind, (f"has events of kind {kind}, which this duolog does not know", ""))
    mend = f"{setting}; then {COMPARE}" if setting else f"use a version of duolog that knows the server's; or {COMPARE}"
    return LogUnreadable(f"the log {what} (at {where})", system=system, mend=mend)


def unknown_xa(system: str, where: str) -> LogIncomplete:
    """An XA transaction whose rows stand before the place where reading began."""
    return LogIncomplete(
        f"an XA transaction was committed (log at {where}) that had been prepared before reading began here: its rows "
        "were not read",
        system=system,
        mend=COMPARE,
    )


def savepoint(system: str, where: str) -> LogUnreadable:
    """A savepoint in a transaction too large for memory was returned to."""
    return LogUnreadable(
        f"a large transaction went back to a savepoint that cannot be found again (log at {where})", system=system,
        mend=COMPARE,
    )  # fmt: skip
