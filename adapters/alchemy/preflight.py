"""Turns a live database into findings, each with its mend: what a writer needs, and what of its tables will not go.

What concerns its log is found by whoever reads that. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from adapters.alchemy import probe
from adapters.alchemy.catalog import read_catalog, read_columns
from adapters.alchemy.clock import clock_offset
from adapters.alchemy.rights import rights
from adapters.alchemy.session import Session
from adapters.alchemy.setup import is_there, named, numbers_given
from adapters.odbc import connecting as odbc
from adapters.relational.judging import both_create, nearest, ticked
from adapters.relational.rights import TableRights
from engine.catalog import Catalog, Finding, TableShape
from engine.rulebook import RuleBook

clock_offset_max_us: Final = 1_000_000
JOURNAL: Final = "PRAGMA journal_mode"


def findings(session: Session, book: RuleBook, ledger: sa.Table, *, binds: bool = True) -> list[Finding]:
    """All that is wrong or worth knowing, errors first. `binds`: values go as the driver's own parameters, which are
    tried then. Raises sqlalchemy.exc.DBAPIError."""
    needed = rights(book, session.system)
    catalog = read_catalog(session, [(each.table.schema, each.table.name) for each in needed])
    found = [*_judge_session(session, ledger)]
    for each in needed:
        found += _judge_table(session, book, catalog, each)
    found += _judge_numbers(session, needed)
    found += values(session, needed) if binds else ()
    return sorted(found, key=lambda finding: finding.severity != "error")


def _judge_numbers(session: Session, needed: Sequence[TableRights]) -> Iterator[Finding]:
    prepare = session.dialect.identifier_preparer
    for table in numbers_given(session, needed):
        place = prepare.format_table(sa.table(table.name, schema=table.schema))
        with session.transaction() as conn:
            may = conn.execute(sa.text(session.can.numbering), {"table": place}).scalar()
        if not may:
            name = f"{table.schema}.{table.name}"
            found = f"the database numbers the rows of `{name}`, and the role may not say the numbers itself"
            yield _error(session, "P236", found, " ".join(("GRANT ALTER ON", place, "TO [ROLE];")), name)


def values(session: Session, needed: Sequence[TableRights]) -> Iterator[Finding]:
    """The bound columns whose values an ODBC driver alters, each told once. Raises sqlalchemy.exc.DBAPIError."""
    if session.dialect.driver != odbc.DRIVER:
        return
    known = read_columns(session, [(each.table.schema, each.table.name) for each in needed])
    for table in dict.fromkeys(each.table for each in needed):
        live = known.get((table.schema, table.name), {})
        bound = [live[name] for name in dict.fromkeys(table.columns) if name in live]
        name = f"{table.schema}.{table.name}"
        for column, told in probe.differences(session, bound):
            found = f"values of `{column.shape.name}` of `{name}` do not pass through the ODBC driver: {told}"
            mend = "take another driver, or a newer one, or leave the column out of the rules"
            yield _error(session, "P254", found, mend, name)


def _judge_session(session: Session, ledger: sa.Table) -> Iterator[Finding]:
    if not is_there(session, ledger):
        found = f"the role may not use `{named(ledger)}`, or it is not there yet"
        yield _error(session, "P123", found, "duolog setup RULES")
    offset, error = clock_offset(session)
    if abs(offset) - error > clock_offset_max_us:
        found = f"the database's clock is {offset / 1_000_000:.1f} s ahead of ours"
        yield _warning(session, "P131", found, "keep both machines in step by NTP")
    if session.can.locking == "whole":
        with session.transaction() as conn:
            mode = conn.exec_driver_sql(JOURNAL).scalar()
        if mode != "wal":
            found = "whoever reads keeps others from writing: the journal is no write-ahead log"
            yield _warning(session, "P180", found, "PRAGMA journal_mode = WAL;")


def _judge_table(session: Session, book: RuleBook, catalog: Catalog, needed: TableRights) -> Iterator[Finding]:
    table = needed.table
    name = f"{table.schema}.{table.name}"
    shape = catalog.tables.get((table.schema, table.name))
    if shape is None:
        known = [other for schema, other in catalog.names if schema == table.schema]
        mend = nearest(table.name, known, f"there is no table in `{table.schema}`")
        yield _error(session, "P201", f"there is no table `{name}`", mend, name)
        return
    if shape.kind != "table" and (needed.insert or needed.update or needed.delete):
        yield _error(session, "P202", f"`{name}` is a {shape.kind}", "bind the table that is behind it", name)
    for column in table.columns:
        if column not in shape.columns:
            mend = nearest(column, sorted(shape.columns), "the table has no columns")
            yield _error(session, "P203", f"`{name}` has no column `{column}`", mend, name)
    sent = dict.fromkeys((*needed.insert, *needed.update))
    computed = [each for each in sent if each in shape.columns and shape.columns[each].generated]
    if computed:
        found = f"the database computes {ticked(computed)} of `{name}`, which duolog would have to write"
        yield _error(session, "P204", found, "give the field another owner, or leave it out here", name)
    yield from _judge_key(session, shape, needed)
    if (table.schema, table.name) in both_create(book, session.system) and _is_numbered(shape, needed):
        yield _warning(
            session, "P214", f"users and duolog both make rows of `{name}`, whose key the database numbers: they may "
            "give one number to two records", "give each system numbers of its own", name,
        )  # fmt: skip


def _judge_key(session: Session, shape: TableShape, needed: TableRights) -> Iterator[Finding]:
    table, name = needed.table, f"{shape.schema}.{shape.name}"
    key = [table.columns[place] for place in table.key]
    if not set(key) <= shape.columns.keys():
        return
    if key and not any(set(each) == set(key) for each in shape.unique):
        mend = " ".join(("CREATE UNIQUE INDEX", f"{shape.name}_key", "ON", name, f"({', '.join(key)});"))
        yield _error(session, "P210", f"the key {ticked(key)} of `{name}` is not unique", mend, name)
    empty = [each for each in key if shape.columns[each].nullable and each not in shape.primary_key]
    if empty:
        mend = f"have the database refuse NULL in {ticked(empty)}"
        yield _error(session, "P211", f"the key {ticked(empty)} of `{name}` may be NULL", mend, name)
    floating = [each for each in key if shape.columns[each].family == "float"]
    if floating:
        found = f"the key {ticked(floating)} of `{name}` is a floating-point number, which is never surely equal"
        yield _error(session, "P212", found, "take another key", name)
    other = [each for each in table.columns if each in shape.columns and shape.columns[each].family == "other"]
    if other and not session.can.shown.get("other"):
        found = f"{ticked(other)} of `{name}` are of types that nobody here knows how to spell"
        yield _warning(session, "P253", found, "leave them out of the rules", name)


def _is_numbered(shape: TableShape, needed: TableRights) -> bool:
    return any(
        shape.columns[needed.table.columns[place]].default
        for place in needed.table.key
        if needed.table.columns[place] in shape.columns
    )


def _error(session: Session, code: str, found: str, mend: str, table: str = "") -> Finding:
    return Finding(code, "error", session.system, found, mend, table)


def _warning(session: Session, code: str, found: str, mend: str, table: str = "") -> Finding:
    return Finding(code, "warning", session.system, found, mend, table)
