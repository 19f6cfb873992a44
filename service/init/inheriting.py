"""Turns a table whose key is another table's key into one with the columns of both: a company that is a party.

Pure. Such rows are one record in two tables, or in more, one below the other. The table itself stays the root; those
above it become parts, and their columns are called `part.column`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from adapters.relational.live import ForeignKey, TableName
from adapters.relational.survey import Survey, Surveyed

PART = re.compile(r"(?!root$)[A-Za-z][A-Za-z0-9_]{0,62}")


def key_of(table: Surveyed) -> tuple[str, ...]:
    """The columns that tell a row from all others: the primary key, or a unique index that no NULL escapes."""
    shape = table.shape
    if shape.primary_key:
        return shape.primary_key
    filled = [key for key in shape.unique if not any(shape.columns[column].nullable for column in key)]
    return min(filled, key=len, default=())


def whole(table: Surveyed, survey: Survey) -> Surveyed:
    """The table with the columns of all tables above it; itself, if there are none."""
    above = list(_above(table, {each.name: each for each in survey.tables}))
    if not above:
        return table
    shape, foreign, allowed, made = table.shape, list(table.foreign), dict(table.allowed), set(table.made)
    columns, unique, parents = dict(shape.columns), list(shape.unique), []
    for part, parent in above:
        (key,) = key_of(parent)
        parents.append((part, parent.name, f"{key} = root.{key_of(table)[0]}"))
        for name, known in parent.shape.columns.items():
            if name != key:
                columns[f"{part}.{name}"] = replace(known, name=f"{part}.{name}")
        foreign += [_called(each, part) for each in parent.foreign if each.columns != (key,)]
        allowed |= {f"{part}.{name}": values for name, values in parent.allowed.items()}
        made |= {f"{part}.{name}" for name in parent.made}
        unique += [tuple(f"{part}.{name}" for name in each) for each in parent.shape.unique if key not in each]
    wide = replace(shape, columns=columns, unique=tuple(unique))
    return replace(
        table, shape=wide, foreign=tuple(foreign), allowed=allowed, made=frozenset(made), parents=tuple(parents)
    )


def _above(table: Surveyed, tables: dict[TableName, Surveyed]) -> Iterator[tuple[str, Surveyed]]:
    """The tables whose key this one's key refers to, one after the other."""
    seen = {table.name}
    while True:
        key = key_of(table)
        leads = [each for each in table.foreign if len(key) == 1 and each.columns == key]
        parent = tables.get(leads[0].other) if leads else None
        if parent is None or parent.name in seen or key_of(parent) != leads[0].other_columns:
            return
        seen.add(parent.name)
        if not PART.fullmatch(parent.shape.name):
            return
        yield parent.shape.name, parent
        table = parent


def _called(key: ForeignKey, part: str) -> ForeignKey:
    return replace(key, columns=tuple(f"{part}.{name}" for name in key.columns))
