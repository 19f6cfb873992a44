"""Turns an assembly and the server's catalog into a shape: a record's parts as live tables, and how they hang together.

Read once when a target is opened. The one place where an assembly meets the catalog: types, defaults, foreign keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from adapters.postgresql.assembled import belonging
from adapters.postgresql.assembled.places import Codes, Place
from adapters.postgresql.catalog import ForeignKey, PgColumn, read_foreign_keys
from adapters.postgresql.layouts import columns_of
from adapters.postgresql.statements import Layout
from engine.assembly import looked_at
from engine.rulebook import Assembly, Binding, Field, Part, RuleBook, Table


@dataclass(slots=True)
class Shape:
    """How the records of one entity lie in the tables of one system."""

    entity: str
    assembly: Assembly
    places: tuple[Place, ...]
    spots: Mapping[int, tuple[int, int]]
    """By field number: (part, position in its columns)."""
    codes: Mapping[int, Codes]
    """By number of a looked-up field."""
    looked_at: frozenset[int]
    """The parts whose rows are never made."""
    root: Layout
    """The root table, with the columns of its key under negative numbers."""
    names: tuple[str, ...] = ()
    """What the fields are called, by number."""
    told: set[int] = field(default_factory=set)
    """Parts whose keys the target makes only while it inserts, so that they are not known before: found out by trying,
    where a trigger does it."""

    @property
    def single(self) -> bool:
        """One row is the whole record."""
        return len(self.places) == 1

    def parts_of(self, fields: Iterable[int]) -> set[int]:
        """The parts that these fields lie in."""
        return {self.spots[number][0] for number in fields}

    def column(self, number: int) -> PgColumn:
        """The column that a field lies in."""
        part, position = self.spots[number]
        return self.places[part].columns[position]

    def with_ancestors(self, parts: Iterable[int]) -> set[int]:
        """These parts and all by which they are found, the root among them."""
        found = {0}
        waiting = list(parts)
        while waiting:
            at = waiting.pop()
            if at not in found:
                found.add(at)
                waiting += [join.part for join in self.places[at].part.joins]
        return found

    def rows_come_in(self, at: int, parts: Iterable[int]) -> bool:
        """True if rows of one of these parts point at the key of a row of the part `at`: one can be added there that
        is locked by nobody, unless the row that it points at is locked for update."""
        key = self.places[at].key
        joins = [join for each in parts for join in self.places[each].part.joins]
        return any(join.part == at and join.other in key for join in joins)


def shapes(conn: psycopg.Connection[Any], book: RuleBook, system: str) -> dict[str, Shape]:
    """How the records lie that are put together out of rows, by entity. Raises SchemaChanged, psycopg.Error."""
    bindings = [binding for binding in book.bound[system] if binding.assembly is not None]
    if not bindings:
        return {}
    tables = book.tables[system]
    known = columns_of(conn, book, system)
    foreign = read_foreign_keys(conn, [(table.schema, table.name) for table in tables])
    return {
        binding.entity: shape(binding, tables, known, foreign, book.entities[binding.entity].fields)
        for binding in bindings
    }


def shape(
    binding: Binding,
    tables: Sequence[Table],
    known: Sequence[Mapping[str, PgColumn]],
    foreign: Iterable[ForeignKey] = (),
    fields: Sequence[Field] = (),
) -> Shape:
    """How the records of a binding lie. `known`: the columns of each table, by its number."""
    assembly = binding.assembly
    assert assembly is not None, "only a binding with an assembly has a shape"
    keys = tuple(foreign)
    places = tuple(
        _place(binding.entity, at, part, tables[part.table], known[part.table], keys)
        for at, part in enumerate(assembly.parts)
    )
    return Shape(
        entity=binding.entity,
        assembly=assembly,
        places=places,
        spots={number: (place.at, position) for place in places for number, position in place.part.fields},
        codes={
            number: _codes(tables[lookup.table], known[lookup.table], lookup.missing == "insert")
            for number, lookup in assembly.lookups.items()
        },
        looked_at=looked_at(assembly, tables),
        root=_root(binding.entity, assembly, places),
        names=tuple(each.name for each in fields),
    )


def _place(
    entity: str, at: int, part: Part, table: Table, known: Mapping[str, PgColumn], foreign: Iterable[ForeignKey]
) -> Place:
    name = (table.schema, table.name)
    columns = tuple(known[column] for column in table.columns)
    tied = tuple(key for key in foreign if key.table == name)
    return Place(entity, at, part, name, columns, table.key, known, tied)


def _codes(table: Table, known: Mapping[str, PgColumn], adds: bool) -> Codes:
    key, natural = (known[column] for column in table.columns[:2])
    return Codes((table.schema, table.name), key, natural, adds)


def _root(entity: str, assembly: Assembly, places: Sequence[Place]) -> Layout:
    root = places[0]
    columns = {number: root.columns[position] for number, position in root.part.fields}
    key = tuple(-number for number in range(1, len(root.key) + 1))
    columns.update(zip(key, root.key_columns(), strict=True))
    by_columns = assembly.gone if assembly.removal == "columns" else ()
    return Layout(
        entity=entity, schema=root.table[0], name=root.table[1], key=key, fields=0, columns=columns,
        belongs=belonging.is_record(assembly, places),
        empty=assembly.empty,
        written=tuple(root.written(())),
        gone=tuple((root.columns[position], text) for position, text in by_columns),
    )  # fmt: skip
