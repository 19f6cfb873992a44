"""`where` to the engine's `Condition`: AND, OR, NOT, `=`, `<>`, IN, IS NULL and bare boolean columns; nothing else.

A constant becomes the text that its column prints, which needs the column's type; without a catalog it is taken as it
is written. What else SQL has is refused at its character: what duolog compares by itself must mean the same as what the
database compares.
"""

from __future__ import annotations

from sqlglot import exp

from engine.catalog import Column
from engine.conditions import All, Any, Condition, In, IsNull, Not
from engine.errors import ValueRefused
from rules.assembly.columns import TableInUse
from rules.assembly.sql import Sql, column_name
from rules.problem import quoted
from rules.values import codecs
from rules.values.forms import normal

ALLOWED = ("and", "or", "not", "=", "<>", "in", "is null", "is not null", "a boolean column")
COMPARED = frozenset({"boolean", "integer", "text", "uuid", "enum"})
"""Families in which one value has one text."""


def compiled(sql: Sql, tree: exp.Expr, table: TableInUse) -> Condition | None:
    """The condition of a tree, on the rows of one table; None, told as a problem, if it cannot be told."""
    tree = tree.unnest()
    match tree:
        case exp.And():
            return _all([compiled(sql, term, table) for term in tree.flatten()])
        case exp.Or():
            return _any([compiled(sql, term, table) for term in tree.flatten()])
        case exp.Not():
            return _not(sql, tree, table)
        case exp.EQ() | exp.NEQ():
            return _equals(sql, tree, table)
        case exp.In() if tree.expressions and not tree.args.get("query"):
            return _in(sql, tree, table)
        case exp.Is() if isinstance(tree.expression, exp.Null):
            found = _column(sql, tree.this, table)
            inner = IsNull(found[0]) if found is not None else None
            return Not(inner) if inner is not None and tree.args.get("negate") else inner
        case exp.Column():
            return _flag(sql, tree, table, "t")
        case _:
            _refuse(sql, tree)
            return None


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


def _all(terms: list[Condition | None]) -> Condition | None:
    known = [term for term in terms if term is not None]
    return both(known) if len(known) == len(terms) else None


def _any(terms: list[Condition | None]) -> Condition | None:
    known = tuple(term for term in terms if term is not None)
    return Any(known) if len(known) == len(terms) else None


def _not(sql: Sql, tree: exp.Not, table: TableInUse) -> Condition | None:
    if isinstance(tree.this.unnest(), exp.Column):
        return _flag(sql, tree.this.unnest(), table, "f")
    inner = compiled(sql, tree.this, table)
    return Not(inner) if inner is not None else None


def _equals(sql: Sql, tree: exp.EQ | exp.NEQ, table: TableInUse) -> Condition | None:
    column, value = tree.this.unnest(), tree.expression.unnest()
    if isinstance(value, exp.Column) and not isinstance(column, exp.Column):
        column, value = value, column
    if not isinstance(column, exp.Column):
        _refuse(sql, column)
        return None
    found = _column(sql, column, table)
    text = _text(sql, value, found[1] if found is not None else None, table)
    if found is None or text is None:
        return None
    same = In(found[0], (text,))
    return Not(same) if isinstance(tree, exp.NEQ) else same


def _in(sql: Sql, tree: exp.In, table: TableInUse) -> Condition | None:
    found = _column(sql, tree.this, table)
    texts = [_text(sql, value, found[1] if found is not None else None, table) for value in tree.expressions]
    known = tuple(dict.fromkeys(text for text in texts if text is not None))
    return In(found[0], known) if found is not None and None not in texts else None


def _flag(sql: Sql, column: exp.Column, table: TableInUse, text: str) -> Condition | None:
    found = _column(sql, column, table)
    if found is None:
        return None
    known = found[1]
    if known is not None and known.family != "boolean":
        sql.refuse(column, f"{quoted(known.name)} is no boolean column", found=known.type,
                   mend="compare it with a constant")  # fmt: skip
        return None
    return In(found[0], (text,))


def _column(sql: Sql, node: exp.Expr, table: TableInUse) -> tuple[int, Column | None] | None:
    """(position, what the catalog says) of a column of this table."""
    node = node.unnest()
    named = column_name(node) if isinstance(node, exp.Column) else None
    if named is None:
        _refuse(sql, node)
        return None
    qualifier, name = named
    if qualifier:
        sql.refuse(node, "only columns of the same table can be named in a condition", found=sql.shown(node),
                   mend=f"write {quoted(name)}, or join the part by `on`")  # fmt: skip
        return None
    position = table.find(name, sql.path, sql.findings, within=sql.span(node))
    return (position, table.known(name)) if position is not None else None


def _text(sql: Sql, node: exp.Expr, column: Column | None, table: TableInUse) -> str | None:
    """A constant as its column prints it."""
    if isinstance(node, exp.Null):
        sql.refuse(node, "nothing is equal to NULL", mend="write `is null` or `is not null`")
        return None
    value = constant(node)
    if value is None:
        sql.refuse(node, "a constant must stand here", found=sql.shown(node),
                   allowed=("a text in quotes", "a number", "true", "false"))  # fmt: skip
        return None
    is_text = isinstance(node.unnest(), exp.Literal) and node.unnest().is_string
    if column is None:
        return {True: "t", False: "f"}[value] if isinstance(value, bool) else value
    where = f"the column {quoted(column.name)} of {quoted(table.system)} ({column.type})"
    if column.family not in COMPARED:
        sql.refuse(node, f"{where} cannot be compared with a constant: its values have several forms", code="R416",
                   allowed=tuple(sorted(COMPARED)), mend="choose another column")  # fmt: skip
        return None
    if column.family in ("text", "enum", "uuid") and not is_text:
        sql.refuse(node, f"{where} holds texts", code="R416", found=sql.shown(node), mend="put it in quotes")
        return None
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
    told = printed(text, column)
    if told is None:
        sql.refuse(node, f"{where} never has this value", code="R416", found=sql.shown(node), allowed=column.labels)
    return told


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


def _refuse(sql: Sql, node: exp.Expr) -> None:
    sql.refuse(node, "this cannot stand in a condition", found=sql.shown(node), allowed=ALLOWED)
