"""The tables of one system that are in use, and which of their columns are read: numbers and positions for names.

A table gets its number when it is first named, and a column its position when it is first asked for, the key's first.
With a catalog, every name is held against it. It opens nothing and knows no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.catalog import Catalog, Column, TableShape
from engine.rulebook import Table
from rules.findings import Findings
from rules.names import find_column
from rules.problem import Path, quoted

DEFAULT_KEY = ("id",)
"""What a table's key is called where neither the rules nor a catalog say."""

TableName = tuple[str, str]


@dataclass(slots=True)
class TableInUse:
    """One table, and what is read of it so far."""

    system: str
    number: int
    schema: str
    name: str
    key: tuple[str, ...]
    shape: TableShape | None
    """None: no catalog has told us."""
    columns: list[str] = field(default_factory=list)
    whole: bool = False
    adapter: str = "postgresql"
    """The kind of database that it is in."""

    def __post_init__(self) -> None:
        self.columns += [column for column in self.key if column not in self.columns]

    def position(self, column: str) -> int:
        """Where the column stands in a row; from now on it is read."""
        if column not in self.columns:
            self.columns.append(column)
        return self.columns.index(column)

    def known(self, column: str) -> Column | None:
        """What the catalog says of a column."""
        return self.shape.columns.get(column) if self.shape is not None else None

    def find(self, column: str, path: Path, findings: Findings, *, key: bool = False,
             within: tuple[int, int] | None = None) -> int | None:  # fmt: skip
        """The position of a column that is named at `path`; None, told as a problem, if there is none to be read."""
        if self.shape is None:
            return self.position(column)
        known = find_column(path, self.system, column, self.shape, findings, key=key, within=within)
        if known is None:
            return None
        if known.generated:
            findings.error("R404", path, f"{self.system}'s {self.schema}.{self.name} computes {quoted(column)} itself:"
                           " the log does not tell it", key=key, within=within,
                           mend="name the columns that it is computed from")  # fmt: skip
            return None
        return self.position(column)

    def table(self) -> Table:
        """As the engine reads it."""
        return Table(self.schema, self.name, tuple(self.columns), tuple(range(len(self.key))), self.whole)


@dataclass(slots=True)
class TablesInUse:
    """All tables of one system that the rules use, in the order of first use."""

    system: str
    catalog: Catalog | None
    adapter: str = "postgresql"
    """The kind of database that the system is."""
    said_keys: dict[TableName, tuple[tuple[str, ...], Path]] = field(default_factory=dict)
    """The key that the rules give a table, and where: what is said once counts for all who use the table."""
    _tables: dict[TableName, TableInUse] = field(default_factory=dict)
    _finished: dict[int, Table] = field(default_factory=dict)

    def say_key(self, table: TableName, key: tuple[str, ...], path: Path, findings: Findings) -> None:
        """The rules say a key; two that differ are a problem."""
        said, first = self.said_keys.setdefault(table, (key, path))
        if said != key:
            findings.error("R335", path, f"the table {quoted('.'.join(table))} has another key elsewhere",
                           found=quoted(", ".join(key)), allowed=(", ".join(said),), mend="give it one key",
                           also=(("it is named here first", first),))  # fmt: skip

    def use(self, table: TableName) -> TableInUse:
        """The table, with a number of its own."""
        if table not in self._tables:
            shape = self.catalog.tables.get(table) if self.catalog is not None else None
            number = len(self._tables)
            self._tables[table] = TableInUse(
                self.system, number, *table, self.key_of(table), shape, adapter=self.adapter
            )
        return self._tables[table]

    def key_of(self, table: TableName) -> tuple[str, ...]:
        """Its key: what the rules say, or the primary key, or `id`."""
        if table in self.said_keys:
            return self.said_keys[table][0]
        shape = self.catalog.tables.get(table) if self.catalog is not None else None
        return (shape.primary_key if shape is not None else ()) or DEFAULT_KEY

    def settle(self, table: TableName, settled: Table) -> int:
        """A table of which all is known at once; its number."""
        number = self.use(table).number
        self._finished[number] = settled
        return number

    def tables(self) -> tuple[Table, ...]:
        """All of them, by number."""
        return tuple(self._finished.get(table.number) or table.table() for table in self._tables.values())

    def __contains__(self, table: TableName) -> bool:
        return table in self._tables

    def __iter__(self) -> Iterator[TableInUse]:
        return iter(self._tables.values())
