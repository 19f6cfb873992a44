"""Turns the rules' tables and a live catalog into layouts: where each entity lives that has one key everywhere.

Pure. The one place where the rules meet a live table; a bound column that is gone stops the system here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.relational.live import LiveColumn, TableName
from engine.errors import SchemaChanged
from engine.rulebook import Binding, Entity, RuleBook, Table
from engine.vocabulary import ABSENT, Row

KEY_SEPARATOR: Final = "\x1f"
"""Joins the values of a key to a record key."""


@dataclass(frozen=True, slots=True)
class Layout:
    """An entity's table in one system, as its statements need it."""

    entity: str
    schema: str
    name: str
    key: tuple[int, ...]
    """Field numbers of the key, in the entity's order."""
    fields: int
    """How many fields the entity has."""
    columns: Mapping[int, LiveColumn]
    """By field number; a field that this system does not have is not in it. Key columns that are no fields, as of an
    entity whose systems have keys of their own, have negative numbers."""
    belongs: object | None = None
    """What a row must fulfil to be a record of the entity, in the words of the adapter that made it and of nobody
    else; None: every row is one."""
    empty: frozenset[int] = frozenset()
    """Fields that are the same whether they are NULL or an empty text."""
    gone: tuple[tuple[LiveColumn, str], ...] = ()
    """(column, text): what a row is given to delete it, if it is not removed."""
    names: tuple[str, ...] = ()
    """What the fields are called, by number."""
    written: tuple[tuple[LiveColumn, str], ...] = ()
    """(column, expression): what every row that we insert or update is given besides."""
    others: tuple[LiveColumn, ...] = ()
    """The columns of the table that are no fields."""

    @property
    def table(self) -> TableName:
        """(schema, name)"""
        return self.schema, self.name

    def besides(self, given: Sequence[LiveColumn]) -> list[tuple[LiveColumn, str]]:
        """What is written besides these columns."""
        return [(column, said) for column, said in self.written if column not in given]

    def readable(self) -> tuple[int, ...]:
        """The fields of this system outside the key, ascending."""
        return tuple(number for number in sorted(self.columns) if number not in self.key)


def layout(entity: Entity, binding: Binding, table: Table, known: Mapping[str, LiveColumn]) -> Layout:
    """Where `entity` lives in the system of `binding`. Raises KeyError, naming the column, if one is not known."""
    columns = {
        number: known[column] for column, number in zip(table.columns, binding.columns, strict=True)
    }
    return Layout(
        entity=entity.name, schema=table.schema, name=table.name, key=entity.key,
        fields=len(entity.fields), columns=columns,
        names=tuple(each.name for each in entity.fields),
        written=tuple((known[name], said) for name, said in table.written),
        others=tuple(column for name, column in known.items() if name not in table.columns),
    )  # fmt: skip


def layouts(book: RuleBook, system: str, known: Sequence[Mapping[str, LiveColumn]]) -> dict[str, Layout]:
    """Where each entity lives that has one table and one key everywhere, by entity. `known`: `columns_of`."""
    return {
        binding.entity: layout(
            book.entities[binding.entity], binding, book.tables[system][binding.table], known[binding.table]
        )
        for binding in book.bound[system]
        if binding.assembly is None
    }


def columns_of(
    book: RuleBook, system: str, known: Mapping[TableName, Mapping[str, LiveColumn]]
) -> list[Mapping[str, LiveColumn]]:
    """All columns of each table of the rules, by its number. `known`: by table and name, as the catalog has them.

    Raises SchemaChanged if a bound one is not there."""
    tables = book.tables[system]
    found = [known.get((table.schema, table.name), {}) for table in tables]
    written = {(number, name) for number, table in enumerate(tables) for name, _ in table.written}
    for binding in book.bound[system]:
        parts = binding.assembly.parts if binding.assembly is not None else ()
        written |= {(part.table, name) for part in parts for name, _ in part.written}
    for number, (table, columns) in enumerate(zip(tables, found, strict=True)):
        for column in (*table.columns, *sorted(name for at, name in written if at == number)):
            if column not in columns:
                raise SchemaChanged(
                    f"`{table.schema}.{table.name}` has no column `{column}`",
                    system=system,
                    mend="`duolog check RULES` tells what the rules need",
                )
    return found


def in_field_order(place: Layout, rows: Iterable[Sequence[str | None]]) -> Iterable[tuple[str, Row]]:
    """Rows of the fields that this system has, as (record key, values of all fields, ABSENT where it has none)."""
    here = sorted(place.columns)
    complete = len(here) == place.fields
    whole: list[Any] = [ABSENT] * place.fields
    key = [here.index(number) for number in place.key]
    single = key[0] if len(key) == 1 else None
    for row in rows:
        name = row[single] if single is not None else KEY_SEPARATOR.join(row[at] or "" for at in key)
        if complete:
            yield name or "", tuple(row)
            continue
        for number, value in zip(here, row, strict=True):
            whole[number] = value
        yield name or "", tuple(whole)
