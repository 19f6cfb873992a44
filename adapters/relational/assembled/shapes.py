"""Turns an assembly and the server's catalog into a shape: a record's parts as live tables, and how they hang together.

Pure; made once when a target is opened. The one place where an assembly meets the catalog: types, defaults, foreign
keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from adapters.relational.assembled.places import Codes, Place
from adapters.relational.layout import Layout
from adapters.relational.live import ForeignKey, LiveColumn
from engine.assembly import looked_at
from engine.rulebook import Assembly, Binding, Field, Part, RuleBook, Table
from engine.vocabulary import Text

Strength: TypeAlias = Literal["shared", "alone"]
"""How a row is locked: `shared`, so that others may still point at it by a foreign key, or `alone`."""

Belongs: TypeAlias = Callable[[Assembly, Sequence[Place]], object | None]


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

    @property
    def refers_to_itself(self) -> bool:
        """Root rows may refer to other root rows by a foreign key: then it matters which is deleted first."""
        root = self.places[0]
        return any(key.other == root.table for key in root.foreign)

    def parts_of(self, fields: Iterable[int]) -> set[int]:
        """The parts that these fields lie in."""
        return {self.spots[number][0] for number in fields}

    def column(self, number: int) -> LiveColumn:
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

    def locks(self, parts: Iterable[int], removed: Iterable[int] = ()) -> list[tuple[int, Strength]]:
        """(part, lock) of the rows that are locked where these parts matter, and some may be removed; root first."""
        chosen = self.with_ancestors(parts)
        gone = set(removed)
        return [(at, "alone" if at in gone or self.rows_come_in(at, chosen) else "shared") for at in sorted(chosen)]

    def rows(self, parts: Sequence[int], texts: Sequence[Text]) -> dict[int, Sequence[Text]]:
        """By part: the rows that one answer of `Speech.look` shows, as far as they are there."""
        found: dict[int, Sequence[Text]] = {}
        start = 0
        for at in parts:
            place = self.places[at]
            row = tuple(texts[start : start + len(place.columns)])
            start += len(place.columns)
            if row[place.key[0]] is not None:
                found[at] = row
        return found


def shapes(
    book: RuleBook,
    system: str,
    known: Sequence[Mapping[str, LiveColumn]],
    foreign: Iterable[ForeignKey],
    belongs: Belongs,
) -> dict[str, Shape]:
    """How the records lie that are put together out of rows, by entity.

    `known`: `layout.columns_of`; `foreign`: the foreign keys of the rules' tables; `belongs`: see `shape`."""
    keys = tuple(foreign)
    return {
        binding.entity: shape(
            binding, book.tables[system], known, keys, book.entities[binding.entity].fields, belongs=belongs
        )
        for binding in book.bound[system]
        if binding.assembly is not None
    }


def shape(
    binding: Binding,
    tables: Sequence[Table],
    known: Sequence[Mapping[str, LiveColumn]],
    foreign: Iterable[ForeignKey] = (),
    fields: Sequence[Field] = (),
    *,
    belongs: Belongs,
) -> Shape:
    """How the records of a binding lie. `known`: the columns of each table, by its number; `belongs`: makes what the
    adapter's own statements need to know of when a root row is a record, None where it always is."""
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
        root=_root(binding.entity, assembly, places, belongs(assembly, places)),
        names=tuple(each.name for each in fields),
    )


def _place(
    entity: str, at: int, part: Part, table: Table, known: Mapping[str, LiveColumn], foreign: Iterable[ForeignKey]
) -> Place:
    name = (table.schema, table.name)
    columns = tuple(known[column] for column in table.columns)
    tied = tuple(key for key in foreign if key.table == name)
    return Place(entity, at, part, name, columns, table.key, known, tied)


def _codes(table: Table, known: Mapping[str, LiveColumn], adds: bool) -> Codes:
    key, natural = (known[column] for column in table.columns[:2])
    return Codes((table.schema, table.name), key, natural, adds)


def _root(entity: str, assembly: Assembly, places: Sequence[Place], belongs: object | None) -> Layout:
    root = places[0]
    columns = {number: root.columns[position] for number, position in root.part.fields}
    key = tuple(-number for number in range(1, len(root.key) + 1))
    columns.update(zip(key, root.key_columns(), strict=True))
    by_columns = assembly.gone if assembly.removal == "columns" else ()
    return Layout(
        entity=entity, schema=root.table[0], name=root.table[1], key=key, fields=0, columns=columns,
        belongs=belongs,
        empty=assembly.empty,
        written=tuple(root.written(())),
        gone=tuple((root.columns[position], text) for position, text in by_columns),
    )  # fmt: skip
