"""Turns many rows into one statement, where a dialect has words for that: rows to insert, rows to change by their keys.

A statement of one row each costs a round trip each by most drivers. What a value is, and how it is bound, is the same
as in `statements`; only that the rows stand together. It carries nothing out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.abilities import Abilities
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.spelling import UNFIT, Element
from adapters.alchemy.statements import KEY, NEW, expression
from adapters.relational.refused import Unstorable
from engine.vocabulary import Text

rows_max: Final = 500
"""Of one statement: more of them gain nothing."""
MARK: Final = "duolog_value"
FROM: Final = "duolog_given"
"""What the rows that are given are called in a statement."""
ALONE: Final = ("bit", "binary")
"""How types of MySQL's begin whose values become longer beside others in a UNION."""

Expressions = Sequence[tuple[AlchemyColumn, str]]


class Given:
    """How rows of these columns stand in a statement, and what goes there."""

    def __init__(self, columns: Sequence[AlchemyColumn], dialect: sa.Dialect) -> None:
        self.columns = columns
        self.cells = [_cell(column, dialect) for column in columns]
        self.typed = all(cell not in ("?", "%s") for cell in self.cells)
        """Each parameter says of which type it is."""
        self._ways = [(column.spelling.given, _bound(column, dialect)) for column in columns]

    def parameters(self, rows: Sequence[Sequence[Text]]) -> tuple[Any, ...]:
        """Those of these rows, one after the other. Raises Unstorable."""
        made: list[list[Any]] = []
        try:
            for (given, bound), texts in zip(self._ways, zip(*rows, strict=True), strict=True):
                values = [None if text is None else given(text) for text in texts]
                made.append(values if bound is None else [None if each is None else bound(each) for each in values])
        except UNFIT:
            raise Unstorable("a value is none of its column's type") from None
        return tuple(chain.from_iterable(zip(*made, strict=True)))


class Sets:
    """The statements of one connection for many rows."""

    def __init__(self, dialect: sa.Dialect, can: Abilities) -> None:
        self._dialect = dialect
        self._can = can
        self._known: dict[tuple[int, ...], Given] = {}
        """By the columns' ids; each holds its columns."""

    def given(self, columns: Sequence[AlchemyColumn]) -> Given:
        """How rows of these columns stand in a statement."""
        kind = tuple(map(id, columns))
        if kind not in self._known:
            self._known[kind] = Given(list(columns), self._dialect)
        return self._known[kind]

    def pieces(self, count: int, width: int) -> Iterator[slice]:
        """So many rows at once that neither the parameters nor the statement become too many."""
        size = max(1, min(rows_max, self._can.parameters_at_once // max(1, width)))
        for first in range(0, count, size):
            yield slice(first, first + size)

    def insert(self, given: Given, made: Expressions, count: int) -> str:
        """So many rows of these columns, and of what expressions say."""
        table = given.columns[0].table
        names = ", ".join(self._name(column.element) for column in [*given.columns, *[each for each, _ in made]])
        row = ", ".join([*given.cells, *[self._said(said) for _, said in made]])
        return " ".join(("INSERT INTO", self._table(table), f"({names})", "VALUES", ", ".join([f"({row})"] * count)))

    def may_update(self, given: Given, key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn]) -> bool:
        """True if there are words for that. Rows whose keys change are changed one by one, as it is told in which
        order."""
        keys = {each.shape.name for each in key}
        if not self._can.together or any(each.shape.name in keys for each in columns):
            return False
        if self._can.together == "join":
            return not any(each.shape.type.startswith(ALONE) for each in given.columns)
        return given.typed or self._can.together != "from values"

    def update(self, given: Given, width: int, written: Expressions, count: int) -> str:
        """So many rows: the first `width` columns are the key, the others get values, and what expressions say."""
        names = [f"{KEY}{at}" if at < width else f"{NEW}{at}" for at in range(len(given.columns))]
        table = self._table(given.columns[0].table)
        pairs = list(zip(given.columns, names, strict=True))
        where = " AND ".join(f"{table}.{self._name(column.element)} = {FROM}.{name}" for column, name in pairs[:width])
        sets = [(column, f"{FROM}.{name}") for column, name in pairs[width:]]
        sets += [(column, self._said(said)) for column, said in written]
        word = self._can.together
        # MySQL has the tables joined first, and so wants to know whose columns are set.
        owner = f"{table}." if word == "join" else ""
        told = ", ".join(f"{owner}{self._name(column.element)} = {value}" for column, value in sets)
        row = ", ".join(given.cells)
        rows, listed = ", ".join([f"({row})"] * count), ", ".join(names)
        if word == "from values":
            values = f"(VALUES {rows}) AS {FROM} ({listed})"
            return " ".join(("UPDATE", table, "SET", told, "FROM", values, "WHERE", where))
        if word == "column values":
            # Not by WITH: of what begins so, SQLite's driver does not tell how many rows it changed.
            called = ", ".join(f"column{at} AS {name}" for at, name in enumerate(names, 1))
            values = " ".join(("(SELECT", called, "FROM", f"(VALUES {rows})) AS {FROM}"))
            return " ".join(("UPDATE", table, "SET", told, "FROM", values, "WHERE", where))
        # The first of the parts has no row, and gives the others its types and collations.
        typed = ", ".join(f"{self._name(column.element)} AS {name}" for column, name in pairs)
        parts = [" ".join(("SELECT", typed, "FROM", table, "WHERE FALSE")), *[f"SELECT {row}"] * count]
        values = f"({' UNION ALL '.join(parts)}) AS {FROM}"
        return " ".join(("UPDATE", values, "STRAIGHT_JOIN", table, "ON", where, "SET", told))

    def _name(self, element: sa.Column[Any]) -> str:
        return self._dialect.identifier_preparer.format_column(element)

    def _table(self, table: sa.Table) -> str:
        return self._dialect.identifier_preparer.format_table(table)

    def _said(self, said: str) -> str:
        return str(expression(said).compile(dialect=self._dialect))


def _cell(column: AlchemyColumn, dialect: sa.Dialect) -> str:
    element: Element = column.parameter(MARK)
    return str(element.compile(dialect=dialect)).replace(f"%({MARK})s", "%s")


def _bound(column: AlchemyColumn, dialect: sa.Dialect) -> Callable[[Any], Any] | None:
    """What SQLAlchemy makes of a parameter of this type."""
    return column.spelling.type.dialect_impl(dialect).bind_processor(dialect)
