"""What a first rule file can be guessed from: the tables of one database, with keys, foreign keys and allowed values.

An adapter's `survey` makes it of the catalog. Nothing here knows how, or guesses what a table means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from adapters.relational.live import ForeignKey, TableName
from engine.catalog import Catalog, TableShape


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One table that could be bound."""

    shape: TableShape
    foreign: tuple[ForeignKey, ...] = ()
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By column: the only texts that an enum or a CHECK lets in."""
    made: frozenset[str] = frozenset()
    """Columns whose values the database makes: serial numbers, UUIDs."""

    parents: tuple[tuple[str, TableName, str], ...] = ()
    """(part, table, how it is joined): tables whose rows have the same key, and say what this one's are besides. Their
    columns are among its own, as `part.column`."""

    @property
    def name(self) -> TableName:
        """(schema, name)"""
        return self.shape.schema, self.shape.name


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in one database."""

    system: str
    adapter: str
    """The word of the rules for its kind."""
    home: str
    """The schema that rules need not say."""
    tables: tuple[Surveyed, ...]
    catalog: Catalog


def surveyed(
    catalog: Catalog, kinds: Collection[str], foreign: Collection[ForeignKey],
    allowed: Mapping[TableName, Mapping[str, tuple[str, ...]]], made: Collection[tuple[TableName, str]],
) -> tuple[Surveyed, ...]:  # fmt: skip
    """The tables of these kinds. `allowed`: by table and column, the texts that a CHECK lets in; `made`: as (table,
    column), those whose defaults make values. What refers to such a column is made as well."""
    every = _made(made, foreign)
    found = []
    for name, shape in catalog.tables.items():
        if shape.kind in kinds:
            labels = {column.name: column.labels for column in shape.columns.values() if column.labels}
            own = frozenset(column for table, column in every if table == name)
            keys = tuple(key for key in foreign if key.table == name)
            found.append(Surveyed(shape, keys, {**labels, **allowed.get(name, {})}, own))
    return tuple(found)


def _made(
    making: Collection[tuple[TableName, str]], foreign: Collection[ForeignKey]
) -> set[tuple[TableName, str]]:
    """The columns whose values the database makes: by a default, or as what they refer to is made."""
    made = set(making)
    before = -1
    while before != len(made):
        before = len(made)
        made |= {
            (key.table, mine)
            for key in foreign
            for mine, theirs in zip(key.columns, key.other_columns, strict=True)
            if (key.other, theirs) in made
        }
    return made
