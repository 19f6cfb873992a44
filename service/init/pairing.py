"""Turns the tables of several databases into groups that look like one thing, and their columns into likely fields.

Pure. One system after the other is held against what was found so far; of all ways to pair, the one counts whose
likenesses come to the most. A reference counts for what it leads to, rather than for its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Final, TypeVar

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from adapters.relational.live import TableName
from adapters.relational.survey import Survey, Surveyed
from engine.catalog import Column
from service.init.inheriting import key_of, whole
from service.init.names import Words, alike, marks, without, words

table_likeness_min: Final = 0.38
column_likeness_min: Final = 0.5
name_share: Final = 0.4
"""How much a table's name counts, beside its columns."""
pair_power: Final = 3
"""One good pair is worth more than two poor ones."""
reference_likeness: Final = 0.75
"""How alike two references are at least that lead to one thing."""

FAMILIES: Final = (
    frozenset({"text", "enum"}), frozenset({"integer", "numeric"}), frozenset({"json", "text"}),
    frozenset({"boolean", "integer"}), frozenset({"timestamp", "timestamptz"}),
)  # fmt: skip
"""Types whose values can mean the same."""

Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(slots=True)
class Group:
    """Tables that look like one thing, by system; and their columns that look like one field."""

    tables: dict[str, Surveyed]
    likeness: float = 1.0
    fields: list[dict[str, str]] = field(default_factory=list)
    """Each: column by system."""


def grouped(surveys: Sequence[Survey]) -> list[Group]:
    """The groups of two systems and more, with their fields."""
    groups: list[Group] = []
    told: dict[int, _Told] = {}

    def told_of(table: Surveyed) -> _Told:
        if id(table) not in told:
            told[id(table)] = _Told(table, words(table.shape.name), _column_words(table))
        return told[id(table)]

    def likeness(group: Group, table: Surveyed) -> float:
        return max(_tables_alike(told_of(each), told_of(table)) for each in group.tables.values())

    for survey in surveys:
        tables = [whole(table, survey) for table in survey.tables if key_of(table)]
        pairs = paired(groups, tables, likeness, table_likeness_min)
        taken = set()
        for group, table, found in pairs:
            group.tables[survey.system] = table
            group.likeness = found
            taken.add(table.name)
        groups += [Group({survey.system: table}) for table in tables if table.name not in taken]
    several = [group for group in groups if len(group.tables) > 1]
    leads = {(system, table.name): at for at, group in enumerate(several) for system, table in group.tables.items()}
    for group in several:
        group.fields = _fields(group, leads)
    return several


def made_by_the_database(table: Surveyed) -> bool:
    """True if the key of its rows is a number or UUID that nobody else knows."""
    return any(column in table.made for column in key_of(table))


def reference_of(table: Surveyed, column: str) -> TableName | None:
    """The table that a column leads to."""
    return next((key.other for key in table.foreign if key.columns == (column,)), None)


def paired(
    left: Sequence[Item], right: Sequence[Other], likeness: Callable[[Item, Other], float], least: float
) -> list[tuple[Item, Other, float]]:
    """The pairs that come to the most, none of them below `least`."""
    graph: nx.Graph[tuple[int, int]] = nx.Graph()
    for at, one in enumerate(left):
        for place, other in enumerate(right):
            found = likeness(one, other)
            if found >= least:
                graph.add_edge((0, at), (1, place), weight=found**pair_power, likeness=found)
    chosen = sorted(tuple(sorted(edge)) for edge in nx.max_weight_matching(graph))
    return [
        (left[at], right[place], float(graph.edges[(0, at), (1, place)]["likeness"]))
        for (_, at), (_, place) in chosen
    ]


# ---------------------------------------------------------------- tables


class _Told:
    """A table's name and columns in words."""

    def __init__(self, table: Surveyed, name: Words, columns: list[tuple[Words, Words]]) -> None:
        self.table = table  # so that its id stays its own
        self.name = name
        self.columns = columns
        self.by_mark: dict[str, list[tuple[Words, Words]]] = {}
        for column in columns:
            for mark in marks(column[0]):
                self.by_mark.setdefault(mark, []).append(column)

    def near(self, column: tuple[Words, Words]) -> list[tuple[Words, Words]]:
        """The columns that may be like another table's."""
        return [own for mark in marks(column[0]) for own in self.by_mark.get(mark, ())]


def _tables_alike(left: _Told, right: _Told) -> float:
    names = alike(left.name, right.name)
    small, large = sorted((left, right), key=lambda told: len(told.columns))
    if not small.columns:
        return 0.0
    near = [(one, large.near(one)) for one in small.columns]
    whole = sqrt(len(small.columns) * len(large.columns))
    if name_share * names + (1 - name_share) * sum(1 for _, others in near if others) / whole < table_likeness_min:
        return 0.0
    found = [max((_names_alike(one, other) for other in others), default=0.0) for one, others in near]
    columns = sum(each for each in found if each >= column_likeness_min) / whole
    return name_share * names + (1 - name_share) * columns


def _column_words(table: Surveyed) -> list[tuple[Words, Words]]:
    """The names of its columns, as they are and without the table's words; not of keys that mean nothing elsewhere."""
    own = key_of(table) if made_by_the_database(table) else ()
    about = words(table.shape.name)
    return [(words(name), without(words(name), about)) for name in table.shape.columns if name not in own]


def _names_alike(one: tuple[Words, Words], other: tuple[Words, Words]) -> float:
    return max(alike(one[0], other[0]), alike(one[1], other[1]))


# ---------------------------------------------------------------- columns


def _fields(group: Group, leads: Mapping[tuple[str, TableName], int]) -> list[dict[str, str]]:
    fields: list[dict[str, str]] = []
    for system, table in group.tables.items():
        own = key_of(table) if made_by_the_database(table) else ()
        columns = [name for name, known in table.shape.columns.items() if name not in own and not known.generated]
        pairs = paired(
            fields, columns,
            lambda known, name, system=system, table=table: max(  # type: ignore[misc]
                _columns_alike(group.tables[other], other, column, table, system, name, leads)
                for other, column in known.items()
            ),
            column_likeness_min,
        )  # fmt: skip
        taken = set()
        for known, name, _ in pairs:
            known[system] = name
            taken.add(name)
        fields += [{system: name} for name in columns if name not in taken]
    return fields


def _columns_alike(
    left: Surveyed, left_system: str, one: str, right: Surveyed, right_system: str, other: str,
    leads: Mapping[tuple[str, TableName], int],
) -> float:  # fmt: skip
    names = _names_alike(
        (words(one), without(words(one), words(left.shape.name))),
        (words(other), without(words(other), words(right.shape.name))),
    )
    ours, theirs = reference_of(left, one), reference_of(right, other)
    if ours is not None and theirs is not None:
        here, there = leads.get((left_system, ours)), leads.get((right_system, theirs))
        if here is None and there is None:
            return names
        return reference_likeness + (1 - reference_likeness) * names if here == there else 0.0
    if ours is theirs is None and not _could_mean_the_same(left.shape.columns[one], right.shape.columns[other]):
        return 0.0
    # Of columns that are called alike, those count first that are called the same.
    return names if one != other else names + 0.01


def _could_mean_the_same(left: Column, right: Column) -> bool:
    return left.family == right.family or any({left.family, right.family} <= families for families in FAMILIES)
