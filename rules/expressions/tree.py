"""What an expression is made of: constants, names, calls, casts and choices, each knowing its place in the text.

Operators are calls, too (`Call("+", …)`, `Call("is null", …)`). Parentheses leave no trace. Values only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Constant:
    """A text in quotes, a number, a truth or NULL."""

    start: int
    end: int
    kind: Literal["text", "number", "boolean", "null"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A field or a column, as it is written."""

    start: int
    end: int
    name: str
    qualifier: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function with what it is applied to."""

    start: int
    end: int
    name: str
    """In lower case; the sign of an operator."""
    arguments: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """`inner::type(parameters)`"""

    start: int
    end: int
    inner: Tree
    type: str
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """`case when … then … else … end`; what stands behind `case` has become an equation in each condition."""

    start: int
    end: int
    branches: tuple[tuple[Tree, Tree], ...]
    """(condition, result)"""
    otherwise: Tree


Tree: TypeAlias = "Constant | Name | Call | Cast | Choice"


def names(tree: Tree) -> Iterator[Name]:
    """All names in it."""
    match tree:
        case Name():
            yield tree
        case Call(arguments=inner):
            for argument in inner:
                yield from names(argument)
        case Cast(inner=inner):
            yield from names(inner)
        case Choice(branches=branches, otherwise=otherwise):
            for condition, result in branches:
                yield from names(condition)
                yield from names(result)
            yield from names(otherwise)
        case _:
            return


def conjuncts(tree: Tree) -> Iterator[Tree]:
    """What must hold at once: the terms between `and`s."""
    if isinstance(tree, Call) and tree.name == "and":
        for term in tree.arguments:
            yield from conjuncts(term)
    else:
        yield tree
