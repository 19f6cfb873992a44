"""What preflight asks of the rules and of names, whatever the database: who numbers keys, what is joined loosely.

Turns a rule book and the foreign keys of its tables into what a check judges, and names into what was probably meant.
Never asks a server.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.relational.live import ForeignKey, TableName
from engine.rulebook import RuleBook

names_told_max: Final = 3


@dataclass(frozen=True, slots=True)
class LooseJoin:
    """A part that no foreign key ties to the rows that it is joined to."""

    table: TableName
    columns: tuple[str, ...]
    """By which its row is found."""
    part: str
    entity: str


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One thing that has to be there before an engine can run."""

    what: str
    sql: str
    done: bool


def both_create(book: RuleBook, system: str) -> tuple[TableName, ...]:
    """The tables in which its own users and we make records. Not those of entities whose systems have keys of their
    own: they may well give the same number."""
    made = []
    for binding in book.bound[system]:
        entity, table = book.entities[binding.entity], book.tables[system][binding.table]
        if binding.assembly is None and system in entity.create and len(entity.create) > 1:
            made.append((table.schema, table.name))
    return tuple(made)


def loose_joins(book: RuleBook, system: str, keys: Sequence[ForeignKey]) -> tuple[LooseJoin, ...]:
    """The parts that no foreign key ties to what they are joined to. `keys`: those of the bound tables."""
    tables = book.tables[system]
    tied = {(key.table, column, key.other) for key in keys for column in key.columns}
    tied |= {(key.other, column, key.table) for key in keys for column in key.other_columns}
    found = []
    for binding in book.bound[system]:
        parts = binding.assembly.parts if binding.assembly is not None else ()
        for part in parts[1:]:
            table = tables[part.table]
            name, columns = (table.schema, table.name), [table.columns[join.column] for join in part.joins]
            others = [tables[parts[join.part].table] for join in part.joins]
            pairs = zip(columns, others, strict=True)
            if not any((name, column, (other.schema, other.name)) in tied for column, other in pairs):
                found.append(LooseJoin(name, tuple(columns), part.name, binding.entity))
    return tuple(found)


def ticked(names: Iterable[str]) -> str:
    """Names as our sentences write them, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def nearest(name: str, known: list[str], nothing: str) -> str:
    """What was probably meant by a name that is not among the known. `nothing`: what is said if none is known."""
    same = [other for other in known if other.casefold() == name.casefold()]
    if same:
        return f"write it as `{same[0]}`: upper and lower case count"
    close = difflib.get_close_matches(name, known, names_told_max, 0.5)
    if close:
        return f"did you mean {' or '.join(f'`{other}`' for other in close)}?"
    return f"there are {ticked(known[:20])}" if known else nothing
