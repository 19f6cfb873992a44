"""What a measure asks of the rows that are carried, and how a list of transactions becomes the log of a server.

A workload fills two databases, alike in what they mean, and makes a backlog: transactions of some changes each, from a
fixed seed, the same for every contender. Changes never conflict, so that built-in replication, which does not merge,
can do the same work.

Never measures anything, and decides nothing about durability: that is a session's own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
from psycopg import sql

from benchmarks.sizes import Sizes

SEED: Final = 20_261_121

SIDES: Final = {"erp": 0, "crm": 1}
"""By name: a number, for seeds and for what a side writes when both write."""

CITIES: Final = (
    ("Nürnberg", "90402", "DE"),
    ("上海市", "200040", "CN"),
    ("Łódź", "90-001", "PL"),
    ("Orléans", "45000", "FR"),
)

Statement = tuple[str, tuple[Any, ...]]
"""One statement, which changes one row, and its values."""
Connection = psycopg.Connection[Any]


class Workload(Protocol):
    """Tables on two sides, what stands in them, and what is written to them."""

    rules: Path
    """duolog's."""

    def tables(self, side: str) -> tuple[str, ...]:
        """The tables of a side, all in the schema `public`: what built-in replication publishes."""

    def compared(self) -> tuple[str, ...]:
        """The tables, or views, that must show the same rows on both sides in the end."""

    def create(self, side: str, connection: Connection, sizes: Sizes) -> None:
        """Makes and fills a side's tables."""

    def backlog(self, side: str, both: bool, sizes: Sizes) -> Iterator[list[Statement]]:
        """The transactions of one side, in order; with `both`, the other side writes, too."""

    def last(self, side: str, lap: int) -> list[Statement]:
        """The transaction behind a side's backlog: what it makes says "everything before me has arrived". `lap`: 0,
        then 1 where a side writes such a transaction once more."""

    def arrived(self, side: str, target: Connection, lap: int) -> bool:
        """True if what `last` made on this side is visible in the other's database."""


def write(connection: Connection, transactions: Iterable[list[Statement]]) -> int:
    """Commits them one after the other; the number of rows written."""
    written = 0
    with connection.pipeline():
        for count, statements in enumerate(transactions):
            connection.execute("BEGIN")
            for statement, values in statements:
                connection.execute(statement, values, prepare=True)
            connection.execute("COMMIT")
            written += len(statements)
            if count % 200 == 0:
                connection.pgconn.send_flush_request()
    return written


def load(connection: Connection, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Copies rows into a table; if the keys are of a sequence, that goes on behind them."""
    named = sql.SQL(", ").join(sql.Identifier(name) for name in columns.split(", "))
    copying = sql.SQL("COPY public.{} ({}) FROM STDIN").format(sql.Identifier(table), named)
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for row in rows:
            copy.write_row(row)
    behind = sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM public.{}")
    connection.execute(behind.format(sql.Literal(f"public.{table}"), sql.Identifier(table)))


def checksum(connection: Connection, table: str) -> tuple[int, str]:
    """Number of rows, and one hash of all of them in any order: equal on both sides when all has arrived."""
    query = sql.SQL(
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text FROM public.{} AS t"
    )
    found = connection.execute(query.format(sql.Identifier(table))).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])
