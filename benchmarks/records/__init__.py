"""The workload of assembled records: parts in several tables, keys of each system's own, references that are
translated.

Turns the same companies and orders into the rows of a CRM (`crm`) and of an ERP (`erp`), and of either into a backlog;
`company` is what both mean. Who only copies tables (built-in replication) gets the tables of the side that writes on
both sides: it carries the same log, row by row, and assembles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Final, Protocol

from benchmarks.bench import other
from benchmarks.database import Database, Statement
from benchmarks.postgresql import Connection
from benchmarks.records import crm, erp
from benchmarks.records.company import SENTINEL, Company, company
from benchmarks.sizes import Sizes
from benchmarks.workload import SEED, SIDES


class System(Protocol):
    """The tables of one system, and what is written to them: what the modules `erp` and `crm` are."""

    @property
    def TABLES(self) -> tuple[str, ...]:
        """Their names."""

    def create(self, connection: Connection, sizes: Sizes) -> None:
        """Makes and fills the tables."""

    def backlog(self, sizes: Sizes) -> Iterator[list[Statement]]:
        """The transactions, in order."""

    def customer(self, one: Company) -> list[Statement]:
        """What makes this company a customer."""

    def has_customer(self, connection: Connection, vat_no: str) -> bool:
        """True if there is a customer of this VAT number."""


SYSTEMS: Final[Mapping[str, System]] = {"erp": erp, "crm": crm}


class Records:
    """The workload of accounts, deals and users."""

    rules = Path(__file__).with_name("rules.yaml")

    def __init__(self, copied: str | None) -> None:
        """`copied`: the side whose tables stand on both sides; None: each side has its own."""
        self._copied = copied

    def tables(self, side: str) -> tuple[str, ...]:
        """All tables of the system that stands there."""
        return self._system(side).TABLES

    def compared(self) -> tuple[str, ...]:
        """The views that show records without anybody's keys; the tables themselves, where they are copied."""
        return ("customer_shown", "order_shown") if self._copied is None else self.tables(self._copied)

    def create(self, side: str, database: Database, connection: Connection, sizes: Sizes) -> None:
        """Both sides get the same records."""
        self._system(side).create(connection, sizes)

    def backlog(self, side: str, both: bool, sizes: Sizes) -> Iterator[list[Statement]]:
        """Of this side alone."""
        assert not both, "the two backlogs of records are of the same records: one side writes at a time"
        return self._system(side).backlog(sizes)

    def last(self, side: str, lap: int) -> list[Statement]:
        """A customer of its own."""
        return self._system(side).customer(sentinel(side, lap))

    def arrived(self, side: str, target: Connection, lap: int) -> bool:
        """That customer is there, in the tables of whoever stands there."""
        return self._system(other(side)).has_customer(target, sentinel(side, lap).vat_no)

    def _system(self, side: str) -> System:
        return SYSTEMS[self._copied or side]


def sentinel(side: str, lap: int) -> Company:
    """The customer behind a backlog."""
    return company(Random(SEED), SENTINEL + 2 * lap + SIDES[side])
