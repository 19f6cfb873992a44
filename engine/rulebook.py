"""The compiled rules, as the engine asks them: frozen values, one lookup deep, no text left to interpret.

`rules/` makes a `RuleBook` out of rule files (and the columns' types out of the catalogs); the engine only reads it.
Field numbers are positions in `Entity.fields`. Register 0 of every record is its existence; a register from 1 on is one
field, or a group of fields that are decided together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

PolicyName: TypeAlias = Literal["last_writer", "first_writer", "system_of_record", "max", "min", "delta", "hold"]
DeletePolicy: TypeAlias = Literal["propagate", "ignore", "restore", "hold"]
"""What a deletion in one system means: delete it elsewhere too; that system alone no longer has it; it is overruled and
the record created there again; a person decides."""

EXISTENCE = 0
"""The register that says whether a record exists."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A named pair there and back: a column's text as stored, and the field's canonical text. Never sees NULL.

    Raises `engine.errors.ValueRefused` for a value that has no counterpart."""

    name: str
    decode: Callable[[str], str]
    """stored → canonical"""
    encode: Callable[[str], str]
    """canonical → stored: exactly the text that the column prints after storing it"""


@dataclass(frozen=True, slots=True)
class Field:
    """One attribute of an entity, in the house's own type and form."""

    name: str
    number: int
    register: int
    """The register it is decided in; -1 for a key field (a changed key is another record)."""
    family: str = "text"
    """Canonical type: text, integer, numeric, boolean, date, time, timestamp, timestamptz, interval, uuid, bytes,
    json, enum, array, float or other. Only `max`, `min` and `delta` look at it."""
    reference: str | None = None
    """The entity whose key this field holds, if it refers to one."""


@dataclass(frozen=True, slots=True)
class Register:
    """What is decided as one: existence, a field, or a group of fields."""

    number: int
    fields: tuple[int, ...]
    """Field numbers; empty for existence."""
    owner: str | None
    """The only system whose writes count; None: every system's."""
    policy: PolicyName
    order: tuple[str, ...]
    """All systems, the most trusted first: `system_of_record` asks it, and every other policy's tie."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Where an entity lives in one system: one table whose key is natural and shared."""

    system: str
    entity: str
    table: int
    """The number of its table in `RuleBook.tables[system]`."""
    columns: tuple[int, ...]
    """For each column of the table (in the order of `Table.columns`): the number of its field."""
    codecs: Mapping[int, Codec] = field(default_factory=dict)
    """By field number; a field that is not here is stored in its canonical form."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the rules name it, and the columns that matter."""

    schema: str
    name: str
    columns: tuple[str, ...]
    """The bound columns, in the order in which rows are handed over."""
    key: tuple[int, ...]
    """Positions in `columns` of the key columns."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A business object kept in step."""

    name: str
    fields: tuple[Field, ...]
    key: tuple[int, ...]
    """Field numbers of the identity."""
    registers: tuple[Register, ...]
    """Register 0 is existence."""
    bindings: Mapping[str, Binding]
    """By system."""
    create: frozenset[str]
    """Systems whose inserts make a record."""
    delete: Mapping[str, DeletePolicy]
    """By system: what a deletion there means."""
    delete_wins: bool
    """When a deletion meets a concurrent write: True deletes, False keeps and creates again."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules that are in force."""

    name: str
    """The name of this engine: names the slot, the origin and the ledger rows."""
    systems: tuple[str, ...]
    """In the order of the rule file; the order is the last tie rule."""
    entities: Mapping[str, Entity]
    """Parents before children where references say so."""
    tables: Mapping[str, tuple[Table, ...]]
    """By system: the tables that are read and written."""
    bound: Mapping[str, tuple[Binding, ...]]
    """By system: the binding of each table, in the order of `tables`."""
