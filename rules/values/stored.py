"""A field's column in one system: where the rules name it, what the catalog says of it, and the words that it bears.

Gathers what the other modules of this room ask for; judges nothing, and converts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.catalog import Column
from rules.problem import Path
from rules.ruling import column_path, columns_of
from rules.syntax import ColumnSyntax, EntitySyntax

FieldKey: TypeAlias = "tuple[str, str]"
"""(entity, field)"""

COLUMN_PATH: Final = ("entities", "…", "fields", "…", "…")
"""The way to what a field says of one system; its column's name stands below."""

CHANGING: Final = ("map", "read", "write", "list_", "scale", "round", "trim", "case", "on_overflow", "time_zone")
"""The words of a column that change values on their way, as the models call them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A field's column in one system."""

    system: str
    path: Path
    column: Column | None
    """None: no catalog has told us."""
    words: ColumnSyntax
    zone: str | None = None
    """In which zone its times without one are."""

    @property
    def map(self) -> Mapping[str, str] | None:
        """Stored: what it means."""
        return self.words.map

    @property
    def top(self) -> Path:
        """Where its words stand: beside the column, or beside the lookup."""
        return self.path[: len(COLUMN_PATH)]

    @property
    def map_path(self) -> Path:
        """Where its map stands."""
        return (*self.top, "map")

    @property
    def changes(self) -> frozenset[str]:
        """The words that it bears and that change something."""
        return frozenset(CHANGING) & self.words.model_fields_set

    @property
    def is_free(self) -> bool:
        """Its own type does not say what the field is: a map translates it, or nothing is taken from it."""
        return self.words.map is not None or self.words.one_way


Fields: TypeAlias = "Mapping[FieldKey, tuple[Stored, ...]]"


def stored_fields(
    entities: Mapping[str, EntitySyntax], known: Mapping[Path, Column], zones: Mapping[str, str | None] | None = None
) -> Fields:
    """Every field's columns. `known` by the path of the column's name; `zones`: the systems' own."""
    zones = zones or {}
    return {
        (name, field_name): tuple(
            Stored(system, path, known.get(path), column, column.time_zone or zones.get(system))
            for system, column in columns_of(entity, field).items()
            for path in (told_path(name, field_name, system, column),)
        )
        for name, entity in entities.items()
        for field_name, field in entity.fields.items()
    }


def told_path(entity: str, field: str, system: str, column: ColumnSyntax) -> Path:
    """Where the column stands that says of what type the field is: the natural one, where it is looked up."""
    path = column_path(entity, field, system)
    return path if column.lookup is None else (*path[:-1], "lookup", "by")


def is_offline(columns: Iterable[Stored]) -> bool:
    """Whether some type that matters is not known."""
    return any(stored.column is None for stored in columns)
