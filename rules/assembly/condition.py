"""`where` to the engine's `Condition`: any expression over the columns of the same table.

Columns that are held against constants become conditions of their own (`In`, `IsNull`), which are quick, and whose
constants fill new rows; everything else is one `Holds`, evaluated here on printed texts and there as SQL that gives the
same. A constant becomes the text that its column prints, which needs the column's type; without a catalog it is taken
as it is written. What could raise an error for an ordinary row is refused: a filter must answer for every row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from engine.catalog import Column
from engine.conditions import All, Any, Condition, Holds, In, IsNull, Not
from engine.errors import ValueRefused
from engine.vocabulary import Row
from rules.assembly.columns import TableInUse
from rules.assembly.sql import Sql
from rules.expressions import Known, predicate, refused
from rules.expressions.parsing import tree_of
from rules.expressions.tree import Call, Constant, Name, Tree, conjuncts, names
from rules.expressions.words import Refusal
from rules.findings import Findings
from rules.problem import Path, quoted
from rules.values import codecs
from rules.values.forms import normal

COMPARED = frozenset({"boolean", "integer", "text", "uuid", "enum"})
"""Families in which one value has one text."""


@dataclass(frozen=True, slots=True)
class Where:
    """A condition's text, and the table that it is about."""

    text: str
    path: Path
    table: TableInUse
    findings: Findings

    def refuse(self, tree: Tree, what: str, *, code: str = "R331", found: str = "", allowed: tuple[str, ...] = (),
               mend: str = "") -> None:  # fmt: skip
        """A problem at a part of the text."""
        self.findings.error(code, self.path, what, found=found, allowed=allowed, mend=mend,
                            within=(tree.start, tree.end - tree.start))  # fmt: skip

    def shown(self, tree: Tree) -> str:
        """A part as it is written."""
        return quoted(self.text[tree.start : tree.end])

    def column(self, name: Name) -> tuple[int, Column | None] | None:
        """(position, what the catalog says) of a column; None, told as a problem, if the table has none."""
        if name.qualifier:
            self.refuse(name, "only columns of the same table can be named in a condition", found=self.shown(name),
                        mend=f"write {quoted(name.name)}, or join the part by `on`")  # fmt: skip
            return None
        position = self.table.find(name.name, self.path, self.findings, within=(name.start, name.end - name.start))
        return (position, self.table.known(name.name)) if position is not None else None


def condition(text: str, path: Path, table: TableInUse, findings: Findings) -> Condition | None:
    """The condition that stands at `path`, on the rows of one table; None, told as a problem, if it is none."""
    try:
        tree = tree_of(text)
    except Refusal as refusal:
        refused(refusal, path, findings)
        return None
    return compiled(Where(text, path, table, findings), tree)


def equal(sql: Sql, term: exp.Expr, table: TableInUse) -> Condition | None:
    """`column = constant`, as it stands in `on`."""
    own, other = (side.unnest() for side in (term.this, term.expression))
    if not isinstance(own, exp.Column):
        own, other = other, own
    (start, size), (other_start, other_size) = sql.span(own), sql.span(other)
    value = constant(other)
    kind = "boolean" if isinstance(value, bool) else "text" if _is_text(other) else "number"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    said = Constant(other_start, other_start + other_size, kind, text)  # type: ignore[arg-type]
    where = Where(sql.text, sql.path, table, sql.findings)
    return compiled(where, Call(start, said.end, "=", (Name(start, start + size, own.name), said)))


def compiled(where: Where, tree: Tree) -> Condition | None:
    """The condition of a tree; None, told as a problem, if it cannot be told."""
    match tree:
        case Call(name="and"):
            terms = [compiled(where, term) for term in conjuncts(tree)]
            known = [term for term in terms if term is not None]
            return both(known) if len(known) == len(terms) else None
        case Call(name="or", arguments=arguments):
            either = tuple(term for argument in arguments for term in _either(compiled(where, argument)))
            return Any(either) if None not in either else None  # type: ignore[arg-type]
        case Call(name="not", arguments=(Name() as name,)):
            return _flag(where, name, "f")
        case Call(name="not", arguments=(inner,)):
            found = compiled(where, inner)
            return Not(found) if found is not None else None
        case Call(name="=" | "<>", arguments=(Name(), Constant()) | (Constant(), Name())):
            return _equals(where, tree)
        case Call(name="in", arguments=(Name(), *others)) if all(isinstance(other, Constant) for other in others):
            return _in(where, tree)
        case Call(name="is null", arguments=(Name() as name,)):
            column = where.column(name)
            return IsNull(column[0]) if column is not None else None
        case Name():
            return _flag(where, tree, "t")
        case _:
            return _holds(where, tree)


def constants_of(condition: Condition | None) -> tuple[tuple[int, str], ...]:
    """(position, text): what is so for every row for which the condition holds."""
    match condition:
        case In(column, (text,)):
            return ((column, text),)
        case All(inner):
            return tuple(dict.fromkeys(pair for each in inner for pair in constants_of(each)))
        case _:
            return ()


def both(conditions: list[Condition]) -> Condition | None:
    """All of them at once, without one inside the other."""
    flat = [each for one in conditions for each in (one.inner if isinstance(one, All) else (one,))]
    if not flat:
        return None
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def constant(node: exp.Expr) -> str | bool | None:
    """The text of a number or text, or a truth; None for what is no constant."""
    match node.unnest():
        case exp.Literal() as literal:
            return str(literal.this)
        case exp.Neg(this=exp.Literal(is_string=False) as literal):
            return f"-{literal.this}"
        case exp.Boolean() as truth:
            return bool(truth.this)
        case _:
            return None


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _either(term: Condition | None) -> Iterator[Condition | None]:
    """`or` without one inside the other."""
    if isinstance(term, Any):
        yield from term.inner
    else:
        yield term


def _holds(where: Where, tree: Tree) -> Condition | None:
    """Anything else that an expression can be."""
    scope: dict[str, Known] = {}
    for name in names(tree):
        column = where.column(name)
        if column is None:
            return None
        position, known = column
        padded = known is not None and codecs.is_blank_padded(known)
        scope[name.name] = Known(position, known.family if known is not None else "", padded)
    found = predicate(tree, where.path, scope, where.findings, sure=where.table.shape is not None)
    if found is None:
        return None
    run, sql = found

    def value(row: Row) -> bool | None:
        return run(row)  # type: ignore[arg-type]

    return Holds(frozenset(known.position for known in scope.values()), value, sql)


def _equals(where: Where, tree: Call) -> Condition | None:
    name, value = tree.arguments
    if isinstance(value, Name):
        name, value = value, name
    assert isinstance(name, Name) and isinstance(value, Constant)
    if value.kind == "null":
        where.refuse(value, "nothing is equal to NULL", mend="write `is null` or `is not null`")
        return None
    found = where.column(name)
    if found is None:
        return None
    if found[1] is not None and found[1].family not in COMPARED:
        return _holds(where, tree)
    text = _text(where, value, found[1])
    same = In(found[0], (text,)) if text is not None else None
    return Not(same) if same is not None and tree.name == "<>" else same


def _in(where: Where, tree: Call) -> Condition | None:
    name, *values = tree.arguments
    assert isinstance(name, Name)
    if any(isinstance(value, Constant) and value.kind == "null" for value in values):
        where.refuse(tree, "nothing is equal to NULL", found="`null`", mend="write `or … is null`")
        return None
    found = where.column(name)
    if found is None:
        return None
    if found[1] is not None and found[1].family not in COMPARED:
        return _holds(where, tree)
    texts = [_text(where, value, found[1]) for value in values if isinstance(value, Constant)]
    known = tuple(dict.fromkeys(text for text in texts if text is not None))
    return In(found[0], known) if None not in texts else None


def _flag(where: Where, name: Name, text: str) -> Condition | None:
    found = where.column(name)
    if found is None:
        return None
    known = found[1]
    if known is not None and known.family != "boolean":
        where.refuse(name, f"{quoted(known.name)} is no boolean column", found=known.type,
                     mend="compare it with something")  # fmt: skip
        return None
    return In(found[0], (text,))


def _text(where: Where, value: Constant, column: Column | None) -> str | None:
    """A constant as its column prints it."""
    if column is None:
        return {"true": "t", "false": "f"}[value.text] if value.kind == "boolean" else value.text
    told = f"the column {quoted(column.name)} of {quoted(where.table.system)} ({column.type})"
    if column.family in ("text", "enum", "uuid") and value.kind != "text":
        where.refuse(value, f"{told} holds texts", code="R416", found=where.shown(value), mend="put it in quotes")
        return None
    text = printed(value.text, column)
    if text is None:
        where.refuse(value, f"{told} never has this value", code="R416", found=where.shown(value),
                     allowed=column.labels)  # fmt: skip
    return text


def printed(text: str, column: Column) -> str | None:
    """A value as somebody writes it → as the column prints it; None if it cannot hold it."""
    try:
        told = normal(column.family, text)
    except ValueRefused:
        return None
    if column.family == "enum" and told not in column.labels:
        return None
    if column.length is not None and len(told) > column.length:
        return None
    return told.ljust(column.length) if column.length is not None and codecs.is_blank_padded(column) else told
