"""The tables that a record's rows lie in, and those that its codes are looked up in: the rules' words and the catalog's
together, as values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.relational.live import ForeignKey, LiveColumn, TableName
from engine.rulebook import Part


@dataclass(frozen=True, slots=True)
class Place:
    """The table of one part."""

    entity: str
    at: int
    """The part: its index in `Assembly.parts`."""
    part: Part
    table: TableName
    columns: tuple[LiveColumn, ...]
    """In the order of `Table.columns`."""
    key: tuple[int, ...]
    """Positions in `columns`."""
    known: Mapping[str, LiveColumn]
    """All columns that the table has, by name."""
    foreign: tuple[ForeignKey, ...]
    """By which the table refers to others."""

    def key_columns(self) -> list[LiveColumn]:
        """The columns that tell a row from all others."""
        return [self.columns[position] for position in self.key]

    def written(self, given: Iterable[LiveColumn]) -> list[tuple[LiveColumn, str]]:
        """(column, expression): what every row of this part that we write is given besides these columns."""
        names = {column.shape.name for column in given}
        return [(self.known[name], said) for name, said in self.part.written if name not in names]


@dataclass(frozen=True, slots=True)
class Codes:
    """A code table: what a looked-up field is translated by."""

    table: TableName
    key: LiveColumn
    natural: LiveColumn
    adds: bool
    """A code that it lacks is added."""

    @property
    def name(self) -> str:
        """As our sentences write it."""
        return ".".join(self.table)
