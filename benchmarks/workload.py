"""What a measure asks of the rows that are carried, and what makes two databases alike in the end.

A workload fills two databases, alike in what they mean, and makes a backlog: transactions of some changes each, from a
fixed seed, the same for every contender. Changes never conflict, so that built-in replication, which does not merge,
can do the same work.

Never measures anything, and decides nothing about durability: that is a session's own affair.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.database import Database, Statement
from benchmarks.postgresql import Connection
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

__all__ = ["CITIES", "SEED", "SIDES", "Connection", "Statement", "Workload", "checksum"]


class Workload(Protocol):
    """Tables on two sides, what stands in them, and what is written to them."""

    rules: Path
    """duolog's."""

    def tables(self, side: str) -> tuple[str, ...]:
        """The tables of a side, all in the schema `public`: what built-in replication publishes."""

    def compared(self) -> tuple[str, ...]:
        """The tables, or views, that must show the same rows on both sides in the end."""

    def create(self, side: str, database: Database, connection: Any, sizes: Sizes) -> None:
        """Makes and fills a side's tables."""

    def backlog(self, side: str, both: bool, sizes: Sizes) -> Iterator[list[Statement]]:
        """The transactions of one side, in order; with `both`, the other side writes, too."""

    def last(self, side: str, lap: int) -> list[Statement]:
        """The transaction behind a side's backlog: what it makes says "everything before me has arrived". `lap`: 0,
        then 1 where a side writes such a transaction once more."""

    def arrived(self, side: str, target: Any, lap: int) -> bool:
        """True if what `last` made on this side is visible in the other's database."""


def checksum(connection: Any, table: str) -> tuple[int, int]:
    """Number of rows, and one hash of all of them in any order, whichever databases are compared."""
    rows = connection.execute(f"SELECT * FROM public.{table}").fetchall()  # noqa: S608 - a name of our own
    whole = sum(zlib.crc32("|".join([_told(value) for value in row]).encode()) for row in rows)
    return len(rows), whole


def _told(value: Any) -> str:
    """A value, as both kinds of databases have it: a truth is 0 or 1."""
    return str(int(value)) if isinstance(value, bool) else str(value)
