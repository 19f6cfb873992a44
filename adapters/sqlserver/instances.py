"""Turns what SQL Server tells of its capture instances into which of them is read from where to where.

A table has up to two instances, so that a newer one can take over when columns were added: it is read from its first
LSN on, the former one up to just before that. Of one that keeps nothing back to where we are, or not every bound
column, it says what is wrong; it never reads a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from adapters.relational.judging import ticked
from adapters.sqlserver import lsn
from engine.errors import AccessDenied, CaptureMissing, CaptureStopped, DuologError, LogLost, SchemaChanged
from engine.rulebook import Table

INSTANCES: Final = (
    "SELECT t.capture_instance, OBJECT_SCHEMA_NAME(t.source_object_id), OBJECT_NAME(t.source_object_id), t.object_id, "
    "sys.fn_cdc_get_min_lsn(t.capture_instance), t.start_lsn FROM cdc.change_tables t"
)
COLUMNS: Final = (
    "SELECT c.object_id, c.column_name, c.column_ordinal, c.is_computed, c.column_id, "
    "COLUMNPROPERTY(t.source_object_id, c.column_name, 'ColumnId') FROM cdc.captured_columns c "
    "INNER JOIN cdc.change_tables t ON t.object_id = c.object_id"
)
"""The last two differ where the captured column was dropped, and another one has its name: of that one nothing is told,
and of the captured one only NULL from then on."""
ALTERED: Final = sa.text(
    "SELECT h.object_id, h.ddl_lsn FROM cdc.ddl_history h WHERE h.ddl_lsn > :after AND h.ddl_lsn <= :until"
)
FIRST_LSN: Final = "SELECT MIN(m.start_lsn) FROM cdc.lsn_time_mapping m"

Name = tuple[str, str]
"""(schema, name) of a table."""

AGAIN: Final = "`duolog setup RULES`, then `duolog run RULES --merge-again`"


@dataclass(frozen=True, slots=True)
class Instance:
    """One capture instance."""

    name: str
    table: Name
    start: lsn.Lsn
    """The first LSN that it still has; 0: none yet."""
    id: int
    """Of its change table."""
    ordinals: Mapping[str, int] = field(default_factory=dict)
    """By captured column: its place, from 1."""
    computed: frozenset[str] = frozenset()
    """Captured columns whose values are never told."""
    closed: bool = False
    """It has begun, but our role is not told so: it may not read it."""

    def covers(self, columns: Sequence[str]) -> bool:
        """True if all of these columns are captured."""
        return all(column in self.ordinals for column in columns)


def read(conn: sa.Connection) -> list[Instance]:
    """All instances of the database. Raises sqlalchemy.exc.DBAPIError."""
    ordinals: dict[int, dict[str, int]] = {}
    computed: dict[int, set[str]] = {}
    for number, column, ordinal, is_computed, captured_id, live_id in conn.exec_driver_sql(COLUMNS):
        if live_id is not None and live_id != captured_id:
            continue
        ordinals.setdefault(number, {})[column] = int(ordinal)
        if is_computed:
            computed.setdefault(number, set()).add(column)
    found = []
    for name, schema, table, number, told, begun in conn.exec_driver_sql(INSTANCES):
        if schema is None or table is None:
            continue  # the table is gone, and what it left behind soon will be
        start = lsn.number(told) if told is not None else 0
        closed = not start and begun is not None
        captured, silent = ordinals.get(number, {}), frozenset(computed.get(number, ()))
        found.append(Instance(name, (schema, table), start, number, captured, silent, closed))
    return found


def altered(conn: sa.Connection, after: lsn.Lsn, until: lsn.Lsn) -> set[int]:
    """The change tables whose source tables were altered in between. Raises sqlalchemy.exc.DBAPIError."""
    return {row[0] for row in conn.execute(ALTERED, {"after": lsn.stored(after), "until": lsn.stored(until)})}


def first_kept(conn: sa.Connection) -> lsn.Lsn:
    """The oldest transaction that the database still knows of; 0: none. Raises sqlalchemy.exc.DBAPIError."""
    told = conn.exec_driver_sql(FIRST_LSN).scalar()
    return 0 if told is None else lsn.number(told)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which instance is read for each table, in a window of the log."""

    readers: tuple[Instance, ...]
    """In the order of the tables."""
    until: lsn.Lsn
    """The last LSN of the window: where the capture ends, or a newer instance takes over."""


def plan(
    tables: Sequence[Table], known: Sequence[Instance], begin: lsn.Lsn, end: lsn.Lsn, *, kept: lsn.Lsn, system: str
) -> Plan:
    """How a window that begins at an LSN is read; it ends at `end`, or before. `kept`: see `first_kept`.

    Raises LogLost, CaptureMissing, CaptureStopped, SchemaChanged."""
    readers, until = [], end
    for table in tables:
        reader, newer = _reader(table, known, begin, kept, system)
        readers.append(reader)
        if newer:
            until = min(until, newer - 1)
    return Plan(tuple(readers), until)


def _reader(
    table: Table, known: Sequence[Instance], begin: lsn.Lsn, kept: lsn.Lsn, system: str
) -> tuple[Instance, lsn.Lsn]:
    """The instance that is read from `begin` on, and where a newer one takes over (0: there is none)."""
    name = f"{table.schema}.{table.name}"
    here = [each for each in known if each.table == (table.schema, table.name)]
    if not here:
        raise CaptureMissing(f"no change of `{name}` is captured", system=system, mend=AGAIN)
    fit = sorted((each for each in here if each.covers(table.columns)), key=lambda each: each.start)
    if not fit:
        raise _uncovered(name, table.columns, here, system)
    begun = [each for each in fit if each.start]
    if not begun:
        raise _unreadable(name, fit, system)
    ours = [each for each in begun if each.start <= begin]
    if not ours:
        raise _beginning(name, begun[0], begin, kept, system)
    later = [each.start for each in begun if each.start > begin]
    return ours[-1], later[0] if later else 0


def _uncovered(name: str, columns: Sequence[str], here: Sequence[Instance], system: str) -> DuologError:
    best = max(here, key=lambda each: sum(column in each.ordinals for column in columns))
    missing = [column for column in columns if column not in best.ordinals]
    return SchemaChanged(
        f"changes of {ticked(missing)} of `{name}` are not captured (by `{best.name}`)", system=system,
        mend="`duolog setup RULES` makes a second capture instance; then `duolog run RULES --merge-again`",
    )  # fmt: skip


def _beginning(name: str, oldest: Instance, begin: lsn.Lsn, kept: lsn.Lsn, system: str) -> DuologError:
    """Why the oldest instance begins after where we are."""
    if kept and kept <= begin:
        return CaptureMissing(
            f"the capture of `{name}` was begun anew (`{oldest.name}`, at {lsn.text(oldest.start)}) after our position "
            f"{lsn.text(begin - 1)}: what was written between is in no change table",
            system=system, mend="`duolog run RULES --merge-again`",
        )  # fmt: skip
    return LogLost(
        f"changes of `{name}` before {lsn.text(oldest.start)} were cleaned up; our position is {lsn.text(begin - 1)}",
        system=system, mend="`duolog run RULES --merge-again`; and have changes kept for longer: "
        "EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 10080",
    )  # fmt: skip


def _unreadable(name: str, fit: Sequence[Instance], system: str) -> DuologError:
    """Why no instance says where it begins."""
    if any(each.closed for each in fit):
        return AccessDenied(
            f"the role may not read the captured changes of `{name}`", system=system,
            mend="`duolog check RULES --role SYSTEM=NAME` prints the rights that are needed",
        )  # fmt: skip
    return CaptureStopped(
        f"nothing of `{name}` was captured yet: the capture job has not run", system=system,
        mend="start SQL Server's Agent; then EXEC sys.sp_cdc_start_job @job_type = N'capture'",
    )  # fmt: skip
