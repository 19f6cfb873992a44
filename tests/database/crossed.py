"""Makes rule books of entities whose systems have keys of their own, out of table and column names.

What `rules/` makes of rule files is not what these tests are about: an entity is told by its parts, a part by what it
does with the columns of its table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.conditions import All, In
from engine.rulebook import (
    Assembly,
    Binding,
    Clearing,
    Entity,
    Field,
    Join,
    Lookup,
    Order,
    Part,
    Register,
    Removal,
    RuleBook,
    Table,
)
from engine.vocabulary import KeyOf, Write, WriteKind


@dataclass(frozen=True)
class Rows:
    """One part: the rows of a table. Columns of other parts are named as `part.column`."""

    table: str
    fields: Mapping[str, str] = field(default_factory=dict)
    """column by field"""
    on: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """column: its text, or several; a single one is also what a new row gets"""
    first_by: Sequence[tuple[str, str]] = ()
    """(column, family)"""
    create: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    key: Sequence[str] = ("id",)
    clear: Clearing = "keep"
    remove: bool = True
    schema: str = "public"


@dataclass(frozen=True)
class Code:
    """A code table."""

    table: str
    key: str
    natural: str
    missing: Literal["quarantine", "insert"] = "quarantine"
    schema: str = "public"


@dataclass(frozen=True)
class Crossed:
    """An entity; its fields are numbered in the order in which the parts name them."""

    entity: str
    parts: Mapping[str, Rows]
    """by name, the root first"""
    members: Sequence[str] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    back: Mapping[str, str] = field(default_factory=dict)
    removal: Removal = "row"
    lookups: Mapping[str, Code] = field(default_factory=dict)
    empty: Sequence[str] = ()
    references: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> list[str]:
        """The names of the fields, by number."""
        return [name for part in self.parts.values() for name in part.fields]

    def write(self, kind: WriteKind, names: str, *rows: tuple[int, str, str, Sequence[str | KeyOf | None]]) -> Write:
        """A Write of these fields (their names with blanks between): each row is (step, id, key, values).

        For an update the values are the new ones, then the held ones."""
        columns = [self.fields().index(name) for name in names.split()]
        made = []
        for step, id, key, values in rows:
            keys = tuple(key.split("\x1f")) if key else ()
            new = tuple(values[: len(columns)]) if kind != "delete" else ()
            held = tuple(values) if kind == "delete" else tuple(values[len(columns) :])
            made.append((step, id, keys, new, held))
        return Write(kind, self.entity, tuple(columns), made)  # type: ignore[arg-type]


class _Tables:
    """The tables of a rule book, each once, with all columns that any part asks for."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self.columns: list[list[str]] = []
        self.keys: list[Sequence[str]] = []

    def number(self, schema: str, name: str, key: Sequence[str]) -> int:
        if (schema, name) not in self.names:
            self.names.append((schema, name))
            self.columns.append(list(key))
            self.keys.append(key)
        return self.names.index((schema, name))

    def position(self, number: int, column: str) -> int:
        if column not in self.columns[number]:
            self.columns[number].append(column)
        return self.columns[number].index(column)

    def made(self) -> tuple[Table, ...]:
        return tuple(
            Table(*name, tuple(columns), tuple(columns.index(column) for column in key))
            for name, columns, key in zip(self.names, self.columns, self.keys, strict=True)
        )


def crossed_book(*entities: Crossed, system: str = "erp", other: str = "crm", name: str = "unit") -> RuleBook:
    """A rule book that binds these entities in `system`, and nothing that is looked at in `other`."""
    tables = _Tables()
    made = [_entity(each, tables, system, other) for each in entities]
    return RuleBook(
        name=name,
        systems=(system, other),
        entities={entity.name: entity for entity in made},
        tables={system: tables.made()},
        bound={system: tuple(entity.bindings[system] for entity in made)},
    )


def _entity(crossed: Crossed, tables: _Tables, system: str, other: str) -> Entity:
    names = crossed.fields()
    root = next(iter(crossed.parts.values()))
    number = tables.number(root.schema, root.table, root.key)
    assembly = Assembly(
        parts=tuple(_part(crossed, name, tables) for name in crossed.parts),
        members=tuple(list(crossed.parts).index(name) for name in crossed.members),
        gone=tuple((tables.position(number, column), text) for column, text in crossed.gone.items()),
        back=tuple((tables.position(number, column), text) for column, text in crossed.back.items()),
        removal=crossed.removal,
        lookups={names.index(name): _lookup(code, tables) for name, code in crossed.lookups.items()},
        empty=frozenset(names.index(name) for name in crossed.empty),
    )
    registers = [Register(0, (), None, "last_writer", (system, other))]
    registers += [Register(at + 1, (at,), None, "last_writer", (system, other)) for at in range(len(names))]
    binding = Binding(system, crossed.entity, number, tuple(range(len(names))), {}, assembly)
    return Entity(
        name=crossed.entity,
        fields=tuple(Field(n, at, at + 1, reference=crossed.references.get(n)) for at, n in enumerate(names)),
        key=(),
        registers=tuple(registers),
        bindings={system: binding, other: Binding(other, crossed.entity, 0, binding.columns, {}, assembly)},
        create=frozenset({system, other}),
        delete={system: "propagate", other: "propagate"},
        delete_wins=True,
    )


def _part(crossed: Crossed, name: str, tables: _Tables) -> Part:
    rows, names = crossed.parts[name], crossed.fields()
    number = tables.number(rows.schema, rows.table, rows.key)
    conditions = []
    constants = []
    for column, texts in rows.where.items():
        several = (texts,) if isinstance(texts, str) else tuple(texts)
        conditions.append(In(tables.position(number, column), several))
        if len(several) == 1:
            constants.append((tables.position(number, column), several[0]))
    return Part(
        name=name,
        table=number,
        fields=tuple((names.index(n), tables.position(number, column)) for n, column in rows.fields.items()),
        joins=tuple(
            Join(tables.position(number, column), *_other(crossed, to, tables)) for column, to in rows.on.items()
        ),
        where=All(tuple(conditions)) if conditions else None,
        first_by=tuple(Order(tables.position(number, column), family) for column, family in rows.first_by),
        constants=tuple(constants),
        create=tuple(rows.create.items()),
        links=tuple((column, *_other(crossed, to, tables)) for column, to in rows.links.items()),
        clear=rows.clear,
        remove=rows.remove,
    )


def _other(crossed: Crossed, named: str, tables: _Tables) -> tuple[int, int]:
    """(part, position) of `part.column`"""
    name, _, column = named.partition(".")
    rows = crossed.parts[name]
    return list(crossed.parts).index(name), tables.position(tables.number(rows.schema, rows.table, rows.key), column)


def _lookup(code: Code, tables: _Tables) -> Lookup:
    number = tables.number(code.schema, code.table, (code.key,))
    tables.position(number, code.natural)
    return Lookup(number, code.missing)
