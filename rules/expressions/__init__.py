"""The expressions of rule files: SQL, compiled to Python closures that give exactly what PostgreSQL gives.

    words      the text, divided
    parsing    words to a tree, by PostgreSQL's grammar and an allow-list
    tree       what an expression is made of
    kinds      the types, and their values as text
    casts      from one type to another
    pieces     what a part of an expression is compiled to
    compiling  trees to pieces; `operators`, `calls` and the table of `functions` do the work
    numbers, texts, moments   what happens at run time

An expression sees the values of one record, and nothing else: no clock, no chance, no other row. Its text, its depth
and its results are bounded, and so is the time that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from engine.errors import ValueRefused
from engine.floats import double
from engine.rulebook import Formula
from engine.vocabulary import Text
from rules.expressions.casts import settled, widened
from rules.expressions.compiling import Known, compiled
from rules.expressions.kinds import CANONICAL, FAMILY, OF_FAMILY
from rules.expressions.parsing import tree_of
from rules.expressions.pieces import Piece, Sql, Values, told
from rules.expressions.tree import Tree, names
from rules.expressions.words import Refusal
from rules.findings import Findings
from rules.problem import Path, quoted

_OF_TYPES: Final = frozenset({"R423", "R425", "R426"})

__all__ = ["Known", "formula", "predicate", "refused"]


def formula(
    text: str, path: Path, scope: Mapping[str, Known], findings: Findings, *, wants: str = ""
) -> Formula | None:
    """The engine's Formula; None, told as problems at their characters (file:line:column), if it cannot be.

    `wants`: the family that the result must have ("boolean" for a condition; "" any)."""
    used: set[int] = set()
    tree: Tree | None = None
    try:
        tree = tree_of(text)
        piece = _wanted(compiled(tree, scope, used), wants)
    except Refusal as refusal:
        if tree is not None and _is_guessed(refusal, tree, scope):
            return Formula(text, wants, frozenset(scope[name.name].position for name in names(tree)), _untold)
        refused(refusal, path, findings)
        return None
    family = wants if wants and OF_FAMILY.get(wants, "text") == "text" else FAMILY.get(piece.kind, piece.kind)
    if wants == "float":
        family = wants
    return Formula(text, family, frozenset(used), _value(piece, double if wants == "float" else None))


def predicate(tree: Tree, path: Path, scope: Mapping[str, Known], findings: Findings, *, sure: bool
              ) -> tuple[Callable[[Values], bool | None], Sql] | None:  # fmt: skip
    """A condition that answers for every row, as a closure and as SQL that does the same; None, told as a problem, if
    it cannot be. `sure`: all types are known, so that it can be said what may fail."""
    try:
        piece = _wanted(compiled(tree, scope, set()), "boolean")
        if sure and piece.fails is not None:
            place = (piece.fails.start, piece.fails.end)
            raise Refusal("R428", "this can fail for a row, and a condition must answer for every row", place,
                          mend="divide by `nullif(…, 0)`; compare texts as texts")  # fmt: skip
    except Refusal as refusal:
        if _is_guessed(refusal, tree, scope):
            return _untold, ("NULL",)
        refused(refusal, path, findings)
        return None
    return piece.run, piece.sql


def refused(refusal: Refusal, path: Path, findings: Findings) -> None:
    """A refusal as a problem at its character."""
    start, end = refusal.place
    findings.error(refusal.code, path, refusal.what, found=quoted(refusal.found) if refusal.found else "",
                   allowed=refusal.allowed, mend=refusal.mend, within=(start, max(1, end - start)))  # fmt: skip


def _is_guessed(refusal: Refusal, tree: Tree, scope: Mapping[str, Known]) -> bool:
    """True if types do not fit of which some were guessed: without the catalogs, nobody can say that it is wrong."""
    return refusal.code in _OF_TYPES and all(name.name in scope and not name.qualifier for name in names(tree)) and any(
        not scope[name.name].family for name in names(tree)
    )  # fmt: skip


def _untold(values: Values) -> NoReturn:
    """What cannot be worked out yet."""
    raise ValueRefused("this cannot be worked out without the databases' catalogs: they tell the types of its fields")


def _wanted(piece: Piece, wants: str) -> Piece:
    """A piece of the family that is wanted."""
    if not wants:
        return settled(piece, "text")
    kind = OF_FAMILY.get(wants, "text")
    piece = settled(piece, kind)
    if FAMILY.get(piece.kind, piece.kind) == FAMILY.get(kind, kind):
        return piece
    if kind == "numeric" and piece.kind in ("smallint", "integer", "bigint"):
        return widened(piece, kind)
    what = "a condition must stand here" if wants == "boolean" else f"{told(kind)} is needed here"
    mend = "compare it with something" if wants == "boolean" else f"cast it: `(…)::{FAMILY.get(kind, kind)}`"
    raise Refusal("R425", what, piece.place, found=told(piece.kind), mend=mend)


def _value(piece: Piece, printed: Callable[[str], str] | None) -> Callable[[Values], Text]:
    """The result as canonical text. `printed`: what is made of it besides."""
    run, write = piece.run, CANONICAL[piece.kind]
    if printed is not None:
        return lambda values: None if (result := run(values)) is None else printed(write(result))

    def value(values: Values) -> str | None:
        result = run(values)
        return None if result is None else write(result)

    return value
