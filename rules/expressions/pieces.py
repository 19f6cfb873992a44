"""Pieces of a compiled expression: a type, a closure over a record's values, and the same as PostgreSQL's SQL.

Nothing is interpreted at run time: every piece is a Python closure over the closures of its parts. NULL is None, and
passes through everything that is built by `one`, `two` and `many`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from engine.conditions import Quoted
from engine.errors import ValueRefused
from engine.vocabulary import Text
from rules.expressions.kinds import READ, Kind
from rules.expressions.tree import Tree
from rules.expressions.words import Refusal

Values: TypeAlias = "Sequence[Text | bool]"
Run: TypeAlias = "Callable[[Values], Any]"
Sql: TypeAlias = "tuple[str | int | Quoted, ...]"
"""`engine.conditions.Holds.sql`"""

NOTHING: Final[tuple[()]] = ()
"""The values that a constant looks at."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One expression, ready to run."""

    tree: Tree
    kind: Kind
    run: Run
    sql: Sql
    constant: bool = False
    fails: Tree | None = None
    """The part of it that raises an error for values that are nothing out of the way (a text that is no number, a
    division by zero); None if none does. An overflow is out of the way."""

    def now(self) -> Any:
        """The value of a constant."""
        return self.run(NOTHING)

    text: Run | None = None
    """Of a field: its text as it is, for who only asks whether there is one."""

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands."""
        return self.tree.start, self.tree.end


def constant(tree: Tree, kind: Kind, value: Any, sql: Sql) -> Piece:
    """A piece that is always the same."""
    return Piece(tree, kind, lambda values: value, sql, constant=True)


def built(tree: Tree, kind: Kind, run: Run, sql: Sql, parts: Sequence[Piece], *, fails: bool = False,
          strict: bool = True, settings: bool = False) -> Piece:  # fmt: skip
    """A piece of parts. If these are constants, it is worked out here and now, once. `strict`: NULL for any NULL.
    `settings`: in PostgreSQL it depends on the session's settings, and so is worked out for each row."""
    if all(part.constant for part in parts) and not settings:
        return folded(tree, kind, run, sql)
    if strict and any(part.constant and part.now() is None for part in parts):
        return constant(tree, kind, None, (f"NULL::{sql_type(kind)}",))
    failing = tree if fails else next((part.fails for part in parts if part.fails is not None), None)
    return Piece(tree, kind, run, sql, fails=failing)


def folded(tree: Tree, kind: Kind, run: Run, sql: Sql) -> Piece:
    """A piece of constants."""
    try:
        value = run(NOTHING)
    except ValueRefused as refused:
        raise Refusal("R426", "this can never be worked out: " + refused.found, (tree.start, tree.end)) from None
    return constant(tree, kind, value, sql)


def one(function: Callable[[Any], Any], inner: Run) -> Run:
    """A function of one argument; NULL for NULL."""

    def run(values: Values) -> Any:
        value = inner(values)
        return None if value is None else function(value)

    return run


def two(function: Callable[[Any, Any], Any], left: Piece, right: Piece) -> Run:
    """A function of two arguments; NULL if one of them is."""
    first, second = left.run, right.run
    if right.constant and (known := right.now()) is not None:

        def run_with_known(values: Values) -> Any:
            value = first(values)
            return None if value is None else function(value, known)

        return run_with_known

    def run(values: Values) -> Any:
        value, other = first(values), second(values)
        return None if value is None or other is None else function(value, other)

    return run


def many(function: Callable[..., Any], parts: Sequence[Piece]) -> Run:
    """A function of any number of arguments; NULL if one of them is."""
    if len(parts) == 1:
        return one(function, parts[0].run)
    if len(parts) == 2:
        return two(function, parts[0], parts[1])
    runs = tuple(part.run for part in parts)

    def run(values: Values) -> Any:
        arguments = [inner(values) for inner in runs]
        return None if None in arguments else function(*arguments)

    return run


def named(tree: Tree, position: int, kind: Kind, *, padded: bool = False) -> Piece:
    """A field or a column. `padded`: blanks at its end mean nothing."""
    read = READ.get(kind, str)

    def run_text(values: Values) -> Any:
        text = values[position]
        return None if text is False else text

    def run(values: Values) -> Any:
        text = values[position]
        return read(text) if isinstance(text, str) else None

    if padded:
        return Piece(tree, "text", one(lambda text: text.rstrip(" "), run_text),
                     ("pg_catalog.rtrim((", position, ') COLLATE "C", \' \')'))  # fmt: skip
    if kind in ("text", "unknown", "uuid"):
        collated = ') COLLATE "C")' + ("::pg_catalog.uuid" if kind == "uuid" else "")
        return Piece(tree, kind, run_text, ("((", position, collated))
    return Piece(tree, kind, run, ("((", position, f")::{sql_type(kind)})"), text=run_text)


def sql_type(kind: Kind) -> str:
    """A type's name in SQL."""
    names = {"boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "unknown": "text"}
    return "pg_catalog." + names.get(kind, kind)


def joined(*parts: str | Sql) -> Sql:
    """Pieces of SQL, one after the other."""
    found: list[str | int | Quoted] = []
    for part in parts:
        found.extend((part,) if isinstance(part, str) else part)
    return tuple(found)


def called(function: str, parts: Iterable[Piece]) -> Sql:
    """A function of PostgreSQL, called."""
    found: list[str | int | Quoted] = [function, "("]
    for index, part in enumerate(parts):
        found.extend((", ", *part.sql) if index else part.sql)
    return (*found, ")")


def between(sign: str, left: Piece, right: Piece) -> Sql:
    """An operator of PostgreSQL between its operands."""
    return joined("(", left.sql, f" {sign} ", right.sql, ")")


def told(kind: Kind) -> str:
    """A type in a sentence."""
    return {"unknown": "text", "smallint": "integer", "bigint": "integer"}.get(kind, kind)

