"""Turns bound tables into the questions for what change tracking knows of them, and the answers into transactions.

Change tracking tells of each row only that it was changed, by which version it was last, and, if his statement said so,
by whom. So what is told is what became of the rows, not what was done to them one after the other: all changes between
two of our own commits are one transaction. Pure: it asks no database.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from adapters.alchemy.columns import AlchemyColumn
from adapters.relational.spool import Receiving
from engine.rulebook import Table
from engine.vocabulary import ABSENT, DELETE, INSERT, UPDATE, Change, Position, Progress, Row, Text, Transaction

CURRENT: Final = "SELECT CHANGE_TRACKING_CURRENT_VERSION()"
OLDEST: Final = sa.text("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(:table))")
SINCE: Final = "since"
OPERATIONS: Final[Mapping[str, str]] = {"I": INSERT, "U": UPDATE, "D": DELETE}

Tracked: TypeAlias = "tuple[int, int, str, str, tuple[Text, ...]]"
"""One changed row: (version, table number, operation, engine that wrote it or an empty text, texts of the bound
columns: of a deleted row the key's only). Sorted by the first two."""


def changes(table: Table, known: Mapping[str, AlchemyColumn], dialect: sa.Dialect) -> sa.Select[Any]:
    """The rows of a table that were changed after the version `since`, in order of their versions: version, operation,
    context, whether the row is there; then the bound columns, of which those of the key are told of deleted rows
    too."""
    quoted = dialect.identifier_preparer.quote
    name = dialect.identifier_preparer.format_table(sa.table(table.name, schema=table.schema))
    key = {table.columns[at] for at in table.key}
    same = " AND ".join(f"t.{quoted(each)} = c.{quoted(each)}" for each in sorted(key))
    source = sa.text(f"CHANGETABLE(CHANGES {name}, :{SINCE}) AS c LEFT OUTER JOIN {name} AS t ON {same}")
    there = f"CASE WHEN t.{quoted(min(key))} IS NULL THEN 0 ELSE 1 END"
    meta = ("c.SYS_CHANGE_VERSION", "c.SYS_CHANGE_OPERATION", "c.SYS_CHANGE_CONTEXT", there)
    values = [
        known[each].spelling.shown(
            sa.literal_column(f"{'c' if each in key else 't'}.{quoted(each)}", known[each].element.type)
        )
        for each in table.columns
    ]
    listed: list[Any] = [*map(sa.literal_column, meta), *values]
    asked = sa.select(*listed).select_from(source)
    return asked.order_by(sa.literal_column(meta[0]))


def marked(ledger: tuple[str, str], system: str, dialect: sa.Dialect) -> sa.Select[Any]:
    """The versions of transactions that made or changed rows of the ledger after the version `since`: version, engine.
    `ledger`: (schema, name)."""
    name = dialect.identifier_preparer.format_table(sa.table(ledger[1], schema=ledger[0]))
    listed: list[Any] = [sa.literal_column("c.SYS_CHANGE_VERSION"), sa.literal_column("c.engine")]
    source = sa.text(f"CHANGETABLE(CHANGES {name}, :{SINCE}) AS c")
    its_system = sa.literal_column("c.[system]") == system
    return sa.select(*listed).select_from(source).where(its_system, sa.literal_column("c.SYS_CHANGE_OPERATION") != "D")


def transactions(
    runs: Sequence[Iterator[Tracked]], keys: Sequence[Collection[int]], *, system: str, at: int, end: Position,
    skip_own: bool, spool_dir: Path | None,
) -> Iterator[Transaction | Progress]:  # fmt: skip
    """What was changed up to the version `end`, one transaction for all versions between two of ours. `keys`: by
    table number, the places of its key; `at`: microseconds since 1970 UTC."""
    merged = heapq.merge(*runs, key=itemgetter(0, 1))
    for engine, rows in groupby(merged, key=itemgetter(3)):
        made = Receiving(spool_dir, own=bool(engine), skipped=bool(engine) and skip_own)
        made.engine = engine
        last = 0
        for version, number, operation, _, texts in rows:
            last = version
            if not made.skipped:
                made.changes.append(_change(number, operation, texts, keys[number]))
                made.size += sum(len(text) for text in texts if text is not None)
                if len(made.changes) > made.rows_max or made.size > made.bytes_max:
                    made.spill()
        yield made.complete(system, last, at)
    yield Progress(system, end)


def _change(number: int, operation: str, texts: tuple[Text, ...], key: Collection[int]) -> Change:
    if operation == DELETE:
        old: Row = tuple(text if at in key else ABSENT for at, text in enumerate(texts))
        return number, DELETE, None, old
    return number, operation, texts, None


def owner(contexts: Mapping[bytes, str], marks: Mapping[int, str]) -> Callable[[int, bytes | None], str]:
    """By version and context of a row: the engine that wrote it; an empty text: none of ours."""

    def of(version: int, context: bytes | None) -> str:
        told = contexts.get(bytes(context)) if context is not None else None
        return told or marks.get(version, "")

    return of
