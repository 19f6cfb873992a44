"""Turns a live database into findings, each with its mend: what a writer needs, and what of its tables will not go.

What concerns its log is found by whoever reads that. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from adapters.alchemy.catalog import read_catalog
from adapters.alchemy.clock import clock_offset
from adapters.alchemy.rights import rights
from adapters.alchemy.session import Session
from adapters.alchemy.setup import is_there, named
from adapters.relational.judging import both_create, nearest, ticked
from adapters.relational.rights import TableRights
from engine.catalog import Catalog, Finding, TableShape
from engine.rulebook import RuleBook

clock_offset_max_us: Final = 1_000_000
JOURNAL: Final = "PRAGMA journal_mode"


def findings(session: Session, book: RuleBook, ledger: sa.Table) -> list[Finding]:
    """All that is wrong or worth knowing, errors first. Raises sqlalchemy.exc.DBAPIError."""
    needed = rights(book, session.system)
    catalog = read_catalog(session, [(each.table.schema, each.table.name) for each in needed])
    found = [*_judge_session(session, ledger)]
    for each in needed:
        found += _judge_table(session, book, catalog, each)
    return sorted(found, key=lambda finding: finding.severity != "error")


def _judge_session(session: Session, ledger: sa.Table) -> Iterator[Finding]:
    system = session.system
    if not is_there(session, ledger):
        yield Finding(
            "P123", "error", system, f"the role may not use `{named(ledger)}`, or it is not there yet",
            "duolog setup RULES",
        )  # fmt: skip
    offset, error = clock_offset(session)
    if abs(offset) - error > clock_offset_max_us:
        yield Finding(
            "P131", "warning", system, f"the database's clock is {offset / 1_000_000:.1f} s ahead of ours",
            "keep both machines in step by NTP",
        )  # fmt: skip
    if session.can.locking == "whole":
        with session.transaction() as conn:
            mode = conn.exec_driver_sql(JOURNAL).scalar()
        if mode != "wal":
            yield Finding(
                "P180", "warning", system, "whoever reads keeps others from writing: the journal is no write-ahead log",
                "PRAGMA journal_mode = WAL;",
            )  # fmt: skip


def _judge_table(session: Session, book: RuleBook, catalog: Catalog, needed: TableRights) -> Iterator[Finding]:
    table = needed.table
    name, system = f"{table.schema}.{table.name}", session.system
    shape = catalog.tables.get((table.schema, table.name))
    if shape is None:
        known = [other for schema, other in catalog.names if schema == table.schema]
        mend = nearest(table.name, known, f"there is no table in `{table.schema}`")
        yield Finding("P201", "error", system, f"there is no table `{name}`", mend, name)
        return
    if shape.kind != "table" and (needed.insert or needed.update or needed.delete):
        yield Finding("P202", "error", system, f"`{name}` is a {shape.kind}", "name the table that is behind it", name)
    for column in table.columns:
        if column not in shape.columns:
            mend = nearest(column, sorted(shape.columns), "the table has no columns")
            yield Finding("P203", "error", system, f"`{name}` has no column `{column}`", mend, name)
    yield from _judge_key(session, shape, needed)
    if (table.schema, table.name) in both_create(book, system) and _is_numbered(shape, needed):
        yield Finding(
            "P214", "warning", system,
            f"users and duolog both make rows of `{name}`, whose key the database numbers: they may give one number "
            "to two records", "give each system numbers of its own", name,
        )  # fmt: skip


def _judge_key(session: Session, shape: TableShape, needed: TableRights) -> Iterator[Finding]:
    table, name = needed.table, f"{shape.schema}.{shape.name}"
    key = [table.columns[place] for place in table.key]
    if not set(key) <= shape.columns.keys():
        return
    if key and not any(set(each) == set(key) for each in shape.unique):
        columns = ", ".join(key)
        yield Finding(
            "P210", "error", session.system, f"the key {ticked(key)} of `{name}` is not unique",
            " ".join(("CREATE UNIQUE INDEX ON", name, f"({columns});")), name,
        )  # fmt: skip
    other = [each for each in table.columns if each in shape.columns and shape.columns[each].family == "other"]
    if other and not session.can.shown.get("other"):
        yield Finding(
            "P253", "warning", session.system,
            f"{ticked(other)} of `{name}` have types whose values duolog does not know how to spell here",
            "leave them out of the rules", name,
        )  # fmt: skip


def _is_numbered(shape: TableShape, needed: TableRights) -> bool:
    return any(
        shape.columns[needed.table.columns[place]].default
        for place in needed.table.key
        if needed.table.columns[place] in shape.columns
    )
