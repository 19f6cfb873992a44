"""Trees to pieces: names are looked up, types found, constants worked out; everything that SQL would refuse is refused.

What a call or an operator does is in `operators` and `calls`; here are constants, names, casts, choices and what joins
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, assert_never

from engine.conditions import Quoted
from engine.errors import ValueRefused
from rules.expressions.calls import called_function
from rules.expressions.casts import cast, common, settled, widened
from rules.expressions.kinds import LARGEST, OF_FAMILY, number
from rules.expressions.operators import OPERATORS, operated
from rules.expressions.pieces import Piece, Values, built, constant, joined, named
from rules.expressions.tree import Call, Cast, Choice, Constant, Name, Tree
from rules.expressions.words import Refusal
from rules.problem import did_you_mean


@dataclass(frozen=True, slots=True)
class Known:
    """What a name in an expression means."""

    position: int
    """Where in the values its text stands."""
    family: str
    """Its canonical type; "" where no catalog has told it."""
    padded: bool = False
    """Blanks at its end mean nothing: a column of type char(n), as stored."""


def compiled(tree: Tree, scope: Mapping[str, Known], used: set[int]) -> Piece:
    """The piece that a tree becomes. `used`: gets the positions of the names in it. Raises Refusal."""
    piece = _compiled(tree, scope, used)
    if piece.kind == "interval":
        raise Refusal("R423", "an interval can only be added to a date or a time, or taken from one", piece.place)
    return piece


def _compiled(tree: Tree, scope: Mapping[str, Known], used: set[int]) -> Piece:
    match tree:
        case Constant():
            return _constant(tree)
        case Name():
            return _name(tree, scope, used)
        case Cast():
            return cast(tree, compiled(tree.inner, scope, used))
        case Choice():
            return _choice(tree, scope, used)
        case Call():
            inner = _compiled if tree.name in ("+", "-") else compiled
            parts = [inner(argument, scope, used) for argument in tree.arguments]
            return operated(tree, parts) if tree.name in OPERATORS else called_function(tree, parts)
        case _:
            assert_never(tree)


def _constant(tree: Constant) -> Piece:
    match tree.kind:
        case "text":
            return constant(tree, "unknown", tree.text, (Quoted(tree.text),))
        case "boolean":
            return constant(tree, "boolean", tree.text == "true", (tree.text,))
        case "null":
            return constant(tree, "unknown", None, ("NULL",))
        case "number":
            try:
                value = number(tree.text)
            except ValueRefused as refused:
                raise Refusal("R426", refused.found, (tree.start, tree.end), found=tree.text) from None
            if not tree.text.removeprefix("-").isdigit() or not -LARGEST["bigint"] - 1 <= value <= LARGEST["bigint"]:
                return constant(tree, "numeric", value, (Quoted(tree.text), "::pg_catalog.numeric"))
            kind: Any = "integer" if -LARGEST["integer"] - 1 <= value <= LARGEST["integer"] else "bigint"
            sql_name = "int4" if kind == "integer" else "int8"
            return constant(tree, kind, int(value), (Quoted(tree.text), f"::pg_catalog.{sql_name}"))
        case _:
            assert_never(tree.kind)


def _name(tree: Name, scope: Mapping[str, Known], used: set[int]) -> Piece:
    known = scope.get(tree.name)
    place = (tree.start, tree.end)
    if tree.qualifier:
        raise Refusal("R422", "a name here has one part", place, found=f"{tree.qualifier}.{tree.name}",
                      allowed=tuple(scope), mend=did_you_mean(tree.name, scope))  # fmt: skip
    if known is None:
        mend = did_you_mean(tree.name, scope)
        raise Refusal("R422", "this name is not known here", place, found=tree.name, allowed=tuple(scope),
                      mend=mend or "a text stands in single quotes: `'…'`")  # fmt: skip
    used.add(known.position)
    return named(tree, known.position, OF_FAMILY.get(known.family, "text"), padded=known.padded)


def _choice(tree: Choice, scope: Mapping[str, Known], used: set[int]) -> Piece:
    """`case`: the result of the first condition that is true. Those behind it are not worked out."""
    conditions = [settled(compiled(condition, scope, used), "boolean") for condition, _ in tree.branches]
    for condition in conditions:
        if condition.kind != "boolean":
            raise Refusal("R423", "behind `when` stands a condition", condition.place, found=condition.kind)
    results = [compiled(result, scope, used) for _, result in tree.branches]
    results.append(compiled(tree.otherwise, scope, used))
    kind = common(results, "the results of a `case` are")
    results = [widened(result, kind) for result in results]
    conditions, results = _possible(conditions, results)
    if not conditions:
        return replace(results[0], tree=tree)
    runs = tuple((condition.run, result.run) for condition, result in zip(conditions, results[:-1], strict=True))
    otherwise = results[-1].run

    def run(values: Values) -> Any:
        for condition, result in runs:
            if condition(values):
                return result(values)
        return otherwise(values)

    sql = joined("(CASE", *(joined(" WHEN ", condition.sql, " THEN ", result.sql)
                            for condition, result in zip(conditions, results[:-1], strict=True)),
                 " ELSE ", results[-1].sql, " END)")  # fmt: skip
    return built(tree, kind, run, sql, [*conditions, *results], strict=False)


def _possible(conditions: list[Piece], results: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The branches that can be taken at all, and what else there is: a constant condition decides now."""
    known: tuple[list[Piece], list[Piece]] = [], []
    for condition, result in zip(conditions, results[:-1], strict=True):
        if condition.constant and condition.now():
            return known[0], [*known[1], result]
        if not condition.constant:
            known[0].append(condition)
            known[1].append(result)
    return known[0], [*known[1], results[-1]]
