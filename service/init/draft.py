"""What a first rule file will say: entities, fields, how their values go together, and what was left out.

It is filled by `drafting`, and written by `writing`. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.relational.live import TableName
from adapters.relational.survey import Surveyed
from engine.rulebook import Form


@dataclass(slots=True)
class FieldDraft:
    """A field as it will be written."""

    name: str
    columns: dict[str, str]
    """By system."""
    reference: str = ""
    lookups: dict[str, tuple[TableName, str, str]] = field(default_factory=dict)
    """By system: (code table, key, natural column)"""
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    question: str = ""


@dataclass(slots=True)
class EntityDraft:
    """An entity as it will be written."""

    name: str
    tables: dict[str, Surveyed]
    likeness: float
    shared_key: bool
    """The systems share the key of its rows."""
    fields: list[FieldDraft] = field(default_factory=list)
    identity: list[tuple[str, Form]] = field(default_factory=list)
    identity_question: str = ""
    created: dict[str, dict[str, str]] = field(default_factory=dict)
    """By system, column: what a new row gets, as no field fills it."""
    inactive: dict[str, dict[str, str]] = field(default_factory=dict)
    """By system, column: the value that says that a row is gone."""
    left_out: list[str] = field(default_factory=list)
    """What was not drafted and why; each is a comment."""


@dataclass(slots=True)
class Draft:
    """All that was found."""

    systems: tuple[str, ...]
    entities: list[EntityDraft]
    unpaired: dict[str, list[str]]
    """By system: tables that look like none of the others'."""
    left_out: list[str] = field(default_factory=list)
    adapters: Mapping[str, str] = field(default_factory=dict)
    """By system: the word for its kind of database."""
    homes: Mapping[str, str] = field(default_factory=dict)
    """By system: the schema that need not be said."""


def shown(table: TableName, home: str) -> str:
    """A table's name, without the schema that need not be said."""
    return table[1] if table[0] == home else ".".join(table)
