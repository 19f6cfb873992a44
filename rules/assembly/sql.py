"""A piece of SQL in a rule file as a tree, and every node's place in the file.

sqlglot parses (as PostgreSQL); what may stand in the tree is for those to say who read it. Names are taken exactly as
they are written: upper and lower case count, with or without double quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from rules.findings import Findings
from rules.problem import Path, quoted

DIALECT = "postgres"


@dataclass(frozen=True, slots=True)
class Sql:
    """One expression, at its place."""

    text: str
    path: Path
    tree: exp.Expr
    findings: Findings

    def span(self, node: exp.Expr) -> tuple[int, int]:
        """(offset, length) of a node within the text; of what it is in, where the parser does not say."""
        marks = [inner.meta for inner in node.walk() if "start" in inner.meta]
        if not marks:
            return self.span(node.parent) if node.parent is not None else (0, len(self.text))
        start, end = min(mark["start"] for mark in marks), max(mark["end"] for mark in marks) + 1
        if isinstance(node, exp.Func) and self.text[end:].lstrip().startswith("("):
            end = self.text.index("(", end) + 1
        while self.text.count("(", start, end) > self.text.count(")", start, end) and ")" in self.text[end:]:
            end = self.text.index(")", end) + 1
        return start, end - start

    def refuse(self, node: exp.Expr, what: str, *, code: str = "R331", found: str = "",
               allowed: tuple[str, ...] = (), mend: str = "") -> None:  # fmt: skip
        """A problem at a node."""
        self.findings.error(code, self.path, what, found=found, allowed=allowed, mend=mend, within=self.span(node))

    def shown(self, node: exp.Expr) -> str:
        """A node as it is written."""
        start, length = self.span(node)
        return quoted(self.text[start : start + length])


def parsed(text: str, path: Path, findings: Findings) -> Sql | None:
    """The expression that stands at `path`; None, told as a problem, if it is none."""
    try:
        trees = sqlglot.parse(text, dialect=DIALECT)
    except ParseError as error:
        told = error.errors[0] if error.errors else {}
        before, marked = str(told.get("start_context") or ""), str(told.get("highlight") or "")
        within = (len(before), len(marked)) if marked and text.startswith(before + marked) else None
        findings.error("R330", path, "this is no SQL: it cannot be understood here", found=quoted(marked or text),
                       within=within)  # fmt: skip
        return None
    except SqlglotError:
        findings.error("R330", path, "this is no SQL: it cannot be divided into words", found=quoted(text),
                       mend="close what is opened: quotes and parentheses")  # fmt: skip
        return None
    if len(trees) != 1 or not isinstance(trees[0], exp.Expr):
        findings.error("R330", path, "one expression must stand here", found=quoted(text))
        return None
    return Sql(text, path, trees[0], findings)


def column_name(column: exp.Column) -> tuple[str, str] | None:
    """(qualifier or nothing, name); None for a name of more than two parts."""
    if column.args.get("db") is not None or not isinstance(column.this, exp.Identifier):
        return None
    return column.table, column.name


def conjuncts(tree: exp.Expr) -> Iterator[exp.Expr]:
    """What must hold at once: the terms between `and`s, without the parentheses round them."""
    tree = tree.unnest()
    if isinstance(tree, exp.And):
        yield from conjuncts(tree.this)
        yield from conjuncts(tree.expression)
    else:
        yield tree

