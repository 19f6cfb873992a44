"""What a database's own catalog says of live tables and columns, as far as it is the same for all of SQL: values only.

Each adapter's columns know more than this; what they know besides is theirs, and only their own SQL looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.catalog import Column

TableName = tuple[str, str]
"""(schema, name), as the catalog spells them."""


class LiveColumn(Protocol):
    """A column as it is now. Two of one table are equal only if they are the same column."""

    @property
    def shape(self) -> Column:
        """What the engine and the rules know of it."""

    @property
    def made_by(self) -> str:
        """The SQL expression that makes the value of a row that is given none, and can be asked beforehand; empty:
        there is none, as where the database tells the value only when it inserts."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of one table that refer to columns of another, in the same order."""

    table: TableName
    columns: tuple[str, ...]
    other: TableName
    other_columns: tuple[str, ...]
