"""Turns the rules' words on topics into the names of topics: of each bound table, of the ledger, of the transactions.

Debezium names a table's topic for its schema and its name; where a connector was told to name it otherwise, the rules
say so. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.rulebook import Table

LEDGER: Final = ("duolog", "ledger")
WITH_DATABASE: Final = frozenset({"mssql"})
"""Kinds of databases whose name stands in their topics, too: one connector may read several."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What the rules say. `tables`: `schema.table`: topic, of those that are not called as usual."""

    prefix: str
    tables: Mapping[str, str] = field(default_factory=dict)
    transactions: str = ""
    heartbeats: str = ""
    database: str = ""
    """The database's name, where it stands in names."""

    @property
    def of_transactions(self) -> str:
        """The topic of beginnings and ends."""
        return self.transactions or f"{self.prefix}.transaction"

    @property
    def of_heartbeats(self) -> str:
        """The topic of signs of life."""
        return self.heartbeats or f"__debezium-heartbeat.{self.prefix}"

    @property
    def of_schema(self) -> str:
        """The topic of what became of tables, where the connector tells that (all but PostgreSQL's)."""
        return self.prefix

    @property
    def beside(self) -> tuple[str, str]:
        """Topics that tell nothing of rows: no bookmark is kept of them, and they may be missing."""
        return self.of_heartbeats, self.of_schema

    def of_table(self, schema: str, name: str) -> str:
        """The topic of a table's rows. What cannot stand in a topic's name, Debezium makes `_`."""
        said = self.tables.get(f"{schema}.{name}")
        if said is not None:
            return said
        parts = (self.prefix, self.database, schema, name) if self.database else (self.prefix, schema, name)
        return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_"
                       for letter in ".".join(parts))  # fmt: skip

    def wanted(self, tables: Sequence[Table], *, ledger: bool) -> dict[str, int]:
        """By topic, the number of its table; that of the ledger comes after the last."""
        found = {self.of_table(table.schema, table.name): number for number, table in enumerate(tables)}
        if ledger:
            found.setdefault(self.of_table(*LEDGER), len(tables))
        return found


def called(tables: Sequence[Table], *, ledger: bool) -> dict[str, int]:
    """By a table's name as an END has it, its number."""
    names = {f"{table.schema}.{table.name}": number for number, table in enumerate(tables)}
    if ledger:
        names.setdefault(".".join(LEDGER), len(tables))
    return names
