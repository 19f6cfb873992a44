"""Which rows of a table belong: a condition of a rule file, as values, and its answer for one row.

Turns (condition, row) into True, False or None, as SQL's three-valued logic has it. Values are compared as printed
text, exactly. The rules compile a condition, an adapter turns the same one into SQL; nothing else can stand in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from engine.errors import ValueRefused
from engine.vocabulary import Row


@dataclass(frozen=True, slots=True)
class In:
    """The column has one of these texts. NULL if the column is NULL."""

    column: int
    """Position in the table's columns."""
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """The column is NULL."""

    column: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; NULL stays NULL."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them holds."""

    inner: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of them holds."""

    inner: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Quoted:
    """A text that stands in SQL as a constant."""

    text: str


@dataclass(frozen=True, slots=True)
class Holds:
    """An SQL expression of a rule file is true. It gives the same here and in the database."""

    columns: frozenset[int]
    """Positions in the table's columns that it looks at."""
    value: Callable[[Row], bool | None] = field(compare=False, repr=False)
    """Its truth for a row's printed texts. Raises `engine.errors.ValueRefused` for what lies beyond all bounds (an
    overflow); then the row does not belong."""
    sql: tuple[str | int | Quoted, ...]
    """The same as SQL: pieces of it, constants, and columns by position, for their printed text."""


Condition: TypeAlias = "In | IsNull | Not | All | Any | Holds"


def holds(condition: Condition | None, row: Row) -> bool:
    """True if the row belongs: the condition is true, neither false nor NULL. A row without a condition belongs."""
    return condition is None or truth(condition, row) is True


def truth(condition: Condition, row: Row) -> bool | None:
    """The condition's truth for a row, in which every column that it asks for must be present."""
    match condition:
        case In(column, texts):
            value = row[column]
            return None if value is None else value in texts
        case IsNull(column):
            return row[column] is None
        case Not(inner):
            answer = truth(inner, row)
            return None if answer is None else not answer
        case All(inner):
            return _fold([truth(each, row) for each in inner], False)
        case Any(inner):
            return _fold([truth(each, row) for each in inner], True)
        case Holds(value=value):
            try:
                return value(row)
            except ValueRefused:
                return None  # beyond all bounds: the row does not belong, and the engine goes on
        case _:
            assert_never(condition)


def columns_of(condition: Condition | None) -> frozenset[int]:
    """The positions of all columns that a condition asks for."""
    match condition:
        case None:
            return frozenset()
        case In(column) | IsNull(column):
            return frozenset({column})
        case Not(inner):
            return columns_of(inner)
        case All(inner) | Any(inner):
            return frozenset().union(*(columns_of(each) for each in inner))
        case Holds(columns):
            return columns
        case _:
            assert_never(condition)


def _fold(answers: list[bool | None], decisive: bool) -> bool | None:
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive
