"""Turns facts about an SQL Server into findings, each with its mend: what would keep its changes from being told.

Pure: `facts` asks the server. What a writer needs of any database, `adapters.alchemy.preflight` judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from adapters.relational.judging import ticked
from adapters.relational.rights import TableRights
from adapters.sqlserver.facts import AZURE, EXPRESS, Facts, TableFacts, bracketed
from adapters.sqlserver.grouping import is_large
from adapters.sqlserver.instances import Instance, Name
from adapters.sqlserver.phrases import spoken
from adapters.sqlserver.resume import AZURE_DATABASE
from adapters.sqlserver.setup import ROLE, Capture, enabling, literal, wanted
from engine.catalog import Catalog, Finding
from engine.rulebook import Table

oldest_version: Final = 13
oldest_compatibility: Final = 130
kept_hours_min: Final = 24.0
instances_max: Final = 2


def assess(
    facts: Facts, catalog: Catalog, tables: Sequence[Table], needed: Sequence[TableRights], ledger: sa.Table,
    capture: Capture,
) -> list[Finding]:  # fmt: skip
    """All that is wrong or worth knowing."""
    found = [*_judge_server(facts), *_judge_separators(facts, capture)]
    found += _judge_cdc(facts) if capture == "cdc" else _judge_tracking(facts)
    found += _judge_retention(facts, capture)
    for name, columns in wanted(tables, ledger):
        if name in facts.tables:
            found += _judge_capture(facts, name, columns, capture)
    for table in tables:
        known = facts.tables.get((table.schema, table.name))
        if known is not None:
            found += _judge_columns(facts, catalog, table, known, capture)
    for each in needed:
        known = facts.tables.get((each.table.schema, each.table.name))
        if known is not None:
            found += _judge_rights(facts, each, known, capture)
    return found


def _judge_server(facts: Facts) -> Iterator[Finding]:
    old = facts.version < oldest_version and facts.edition not in AZURE
    if old or facts.compatibility < oldest_compatibility:
        yield _error(
            facts, "P183", f"the database speaks as SQL Server did before 2016 (compatibility level "
            f"{facts.compatibility})",
            f"ALTER DATABASE {bracketed(facts.database)} SET COMPATIBILITY_LEVEL = {oldest_compatibility};",
        )  # fmt: skip
    if not facts.snapshots:
        yield _error(
            facts, "P188", "no picture of one moment can be taken: snapshot isolation is not allowed",
            f"ALTER DATABASE {bracketed(facts.database)} SET ALLOW_SNAPSHOT_ISOLATION ON;",
        )  # fmt: skip


def _judge_separators(facts: Facts, capture: Capture) -> Iterator[Finding]:
    if capture != "cdc" or facts.sees[0]:
        return
    mend = "USE master; GRANT VIEW SERVER STATE TO [ROLE];  -- since 2022: VIEW SERVER PERFORMANCE STATE"
    if not facts.sees[1]:
        yield _error(facts, "P260", "the role may see neither its own transaction nor the log's end", mend)
    elif facts.delayed:
        yield _error(
            facts, "P261", "commits may let go of rows before they are in the log (`DELAYED_DURABILITY`), and the role "
            "may not see its own transaction", mend,
        )  # fmt: skip


def _judge_cdc(facts: Facts) -> Iterator[Finding]:
    if facts.edition == EXPRESS:
        yield _error(
            facts, "P185", "this edition has no Agent, which change data capture needs",
            "have the rules say `capture: tracking`",
        )  # fmt: skip
    elif not facts.cdc:
        yield _error(
            facts, "P184", f"change data capture of the database `{facts.database}` is off",
            "EXEC sys.sp_cdc_enable_db;  -- by a sysadmin; then `duolog setup RULES`",
        )  # fmt: skip
    elif not facts.reads_cdc:
        yield _error(
            facts, "P267", "the role may not read the change tables",
            f"GRANT SELECT ON SCHEMA::cdc TO [ROLE]; ALTER ROLE {bracketed(ROLE)} ADD MEMBER [ROLE];",
        )  # fmt: skip
    if facts.stopped:
        mend = "start SQL Server's Agent; EXEC sys.sp_cdc_start_job @job_type = N'capture';"
        if facts.edition == AZURE_DATABASE:
            mend = "EXEC sys.sp_cdc_scan; and look into sys.dm_cdc_errors"
        yield _error(facts, "P186", facts.stopped, mend)


def _judge_tracking(facts: Facts) -> Iterator[Finding]:
    if not facts.tracking:
        yield _error(
            facts, "P184", f"change tracking of the database `{facts.database}` is off", f"ALTER DATABASE "
            f"{bracketed(facts.database)} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);",
        )  # fmt: skip


def _judge_retention(facts: Facts, capture: Capture) -> Iterator[Finding]:
    if facts.kept_minutes is None or facts.kept_minutes >= kept_hours_min * 60:
        return
    mend = "EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 10080;"
    if capture == "tracking":
        mend = f"ALTER DATABASE {bracketed(facts.database)} SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS);"
    yield _warning(
        facts, "P187", f"changes are kept for {facts.kept_minutes / 60:.1f} hours only: when duolog is away for "
        "longer, both sides have to be compared again", mend,
    )  # fmt: skip


def _judge_capture(facts: Facts, name: Name, columns: Sequence[str], capture: Capture) -> Iterator[Finding]:
    told = ".".join(name)
    if capture == "tracking":
        if facts.tracking and not facts.tables[name].by_tracking:
            mend = f"ALTER TABLE {'.'.join(map(bracketed, name))} ENABLE CHANGE_TRACKING;"
            yield _error(facts, "P262", f"changes of `{told}` are not tracked", mend, told)
        return
    if not facts.reads_cdc:
        return
    here = [each for each in facts.instances if each.table == name]
    fit = [each for each in here if each.covers(columns)]
    taken = {each.name for each in facts.instances}
    if not here:
        yield _error(facts, "P262", f"changes of `{told}` are not captured", f"{enabling(name, taken)};", told)
    elif not fit and len(here) < instances_max:
        missing = _missing(here, columns)
        found = f"changes of {ticked(missing)} of `{told}` are not captured"
        yield _error(facts, "P263", found, f"{enabling(name, taken)};", told)
    elif not fit:
        oldest = min(here, key=lambda each: each.start)
        yield _error(
            facts, "P264", f"`{told}` has two capture instances, the most that there can be, and neither captures "
            f"{ticked(_missing(here, columns))}",
            f"EXEC sys.sp_cdc_disable_table @source_schema = {literal(name[0])}, @source_name = {literal(name[1])}, "
            f"@capture_instance = {literal(oldest.name)}; `duolog setup RULES`", told,
        )  # fmt: skip
    elif all(each.name in facts.closed for each in fit):
        found = f"the role has not the role that may read the captured changes of `{told}`"
        gate = facts.closed[max(fit, key=lambda each: each.start).name]
        yield _error(facts, "P267", found, f"ALTER ROLE {bracketed(gate)} ADD MEMBER [ROLE];", told)


def _missing(here: Sequence[Instance], columns: Sequence[str]) -> list[str]:
    return [column for column in columns if not any(column in each.ordinals for each in here)] or list(columns)


def _judge_columns(
    facts: Facts, catalog: Catalog, table: Table, known: TableFacts, capture: Capture
) -> Iterator[Finding]:
    name = f"{table.schema}.{table.name}"
    shape = catalog.tables.get((table.schema, table.name))
    bound = [each for each in table.columns if shape is not None and each in shape.columns]
    unspoken = [each for each in bound if shape is not None and not spoken(shape.columns[each].type)]
    if unspoken:
        yield _error(
            facts, "P269", f"{ticked(unspoken)} of `{name}` are of types of which no text makes the same value again",
            "leave them out of the rules", name,
        )  # fmt: skip
    if capture != "cdc":
        key = {table.columns[at] for at in table.key}
        if shape is not None and key != set(shape.primary_key):
            yield _error(
                facts, "P268", f"the key of `{name}` is not its primary key, by which changes are tracked",
                "take the primary key, or `capture: cdc`", name,
            )  # fmt: skip
        return
    computed = [column for column in table.columns if column in known.computed]
    if computed:
        yield _error(
            facts, "P265", f"{ticked(computed)} of `{name}` are computed, and such values are in no change table",
            "leave them out of the rules, or have them computed by a trigger", name,
        )  # fmt: skip
    other = [each for each in table.columns if known.collations.get(each, facts.collation) != facts.collation]
    if other:
        yield _warning(
            facts, "P266", f"{ticked(other)} of `{name}` have another collation than the database: captured texts may "
            "be garbled where the code pages differ", "use nvarchar, or the database's collation", name,
        )  # fmt: skip
    large = [each for each in table.columns if shape and each in shape.columns and is_large(shape.columns[each].type)]
    if large and facts.largest >= 0:
        yield _warning(
            facts, "P189", f"whoever writes more than {facts.largest} bytes into {ticked(large)} of `{name}` is "
            "refused, as that much is not captured",
            "EXEC sp_configure 'max text repl size', -1; RECONFIGURE;", name,
        )  # fmt: skip


def _judge_rights(facts: Facts, needed: TableRights, known: TableFacts, capture: Capture) -> Iterator[Finding]:
    name = f"{needed.table.schema}.{needed.table.name}"
    place = ".".join(bracketed(part) for part in (needed.table.schema, needed.table.name))
    if "SELECT" not in known.may:
        yield _error(facts, "P230", f"the role may not read `{name}`", _grant("SELECT", place), name)
    if needed.insert and "INSERT" not in known.may:
        yield _error(facts, "P231", f"the role may not INSERT into `{name}`", _grant("INSERT", place), name)
    if needed.update and "UPDATE" not in known.may:
        yield _error(facts, "P232", f"the role may not UPDATE `{name}`", _grant("UPDATE", place), name)
    if needed.delete and "DELETE" not in known.may:
        yield _error(facts, "P233", f"the role may not DELETE from `{name}`", _grant("DELETE", place), name)
    if capture == "tracking" and "VIEW CHANGE TRACKING" not in known.may:
        mend = _grant("VIEW CHANGE TRACKING", place)
        yield _error(facts, "P267", f"the role may not see the tracked changes of `{name}`", mend, name)


def _grant(right: str, place: str) -> str:
    return f"GRANT {right} ON {place} TO [ROLE];"


def _error(facts: Facts, code: str, found: str, mend: str, table: str = "") -> Finding:
    return Finding(code, "error", facts.system, found, mend, table)


def _warning(facts: Facts, code: str, found: str, mend: str, table: str = "") -> Finding:
    return Finding(code, "warning", facts.system, found, mend, table)
