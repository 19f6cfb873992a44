"""The tables that a record's rows lie in, and those that its codes are looked up in: the rules' words and the catalog's
together, as values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.postgresql.catalog import ForeignKey, PgColumn, TableName
from engine.rulebook import Part


@dataclass(frozen=True, slots=True)
class Place:
    """The table of one part."""

    entity: str
    at: int
    """The part: its index in `Assembly.parts`."""
    part: Part
    table: TableName
    columns: tuple[PgColumn, ...]
    """In the order of `Table.columns`."""
    key: tuple[int, ...]
    """Positions in `columns`."""
    known: Mapping[str, PgColumn]
    """All columns that the table has, by name."""
    foreign: tuple[ForeignKey, ...]
    """By which the table refers to others."""

    def key_columns(self) -> list[PgColumn]:
        """The columns that tell a row from all others."""
        return [self.columns[position] for position in self.key]

    def written(self, given: Iterable[PgColumn]) -> list[tuple[PgColumn, str]]:
        """(column, expression): what every row of this part that we write is given besides these columns."""
        names = {column.shape.name for column in given}
        return [(self.known[name], said) for name, said in self.part.written if name not in names]


@dataclass(frozen=True, slots=True)
class Codes:
    """A code table: what a looked-up field is translated by."""

    table: TableName
    key: PgColumn
    natural: PgColumn
    adds: bool
    """A code that it lacks is added."""

    @property
    def name(self) -> str:
        """As our sentences write it."""
        return ".".join(self.table)
