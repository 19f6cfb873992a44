"""Makes rule books of one system out of table and column names, for tests of one adapter.

What `rules/` makes of rule files is not what these tests are about: here every field is called as its column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.rulebook import Binding, Entity, Field, Register, RuleBook, Table
from engine.vocabulary import Values, Write, WriteKind, WriteRow


@dataclass(frozen=True)
class Bound:
    """One entity and its table; `missing`: fields that this system does not have."""

    entity: str
    columns: Sequence[str]
    key: Sequence[str]
    table: str = ""
    schema: str = "public"
    missing: Sequence[str] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    """By field, the entity that it refers to."""


def book(*tables: Bound, system: str = "erp", other: str = "crm", name: str = "unit") -> RuleBook:
    """A rule book that binds these tables in `system`, and nothing that is looked at in `other`."""
    made = [_entity(number, bound, system, other) for number, bound in enumerate(tables)]
    return RuleBook(
        name=name,
        systems=(system, other),
        entities={entity.name: entity for entity, _ in made},
        tables={system: tuple(table for _, table in made)},
        bound={system: tuple(entity.bindings[system] for entity, _ in made)},
    )


def write(kind: WriteKind, entity: str, columns: Sequence[int], rows: Sequence[WriteRow]) -> Write:
    """A Write, with less to type."""
    return Write(kind, entity, tuple(columns), list(rows))


def row(step: int, key: str, new: Values = (), held: Values = ()) -> WriteRow:
    """A row to write whose key is one field."""
    return (step, key, (key,), new, held)


def _entity(number: int, bound: Bound, system: str, other: str) -> tuple[Entity, Table]:
    names = [*bound.columns, *bound.missing]
    key = tuple(names.index(column) for column in bound.key)
    registers = [Register(0, (), None, "last_writer", (system, other))]
    fields = []
    for at, column in enumerate(names):
        if at in key:
            fields.append(Field(column, at, -1, reference=bound.references.get(column)))
            continue
        fields.append(Field(column, at, len(registers), reference=bound.references.get(column)))
        registers.append(Register(len(registers), (at,), None, "last_writer", (system, other)))
    binding = Binding(system, bound.entity, number, tuple(range(len(bound.columns))))
    entity = Entity(
        name=bound.entity,
        fields=tuple(fields),
        key=key,
        registers=tuple(registers),
        bindings={system: binding, other: Binding(other, bound.entity, number, binding.columns)},
        create=frozenset({system, other}),
        delete={system: "propagate", other: "propagate"},
        delete_wins=True,
    )
    at_key = tuple(list(bound.columns).index(column) for column in bound.key)
    return entity, Table(bound.schema, bound.table or bound.entity, tuple(bound.columns), at_key)
