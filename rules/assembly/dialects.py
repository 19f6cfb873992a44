"""What a value that `on_create` and `on_write` give may be, by the kind of database, and how that database writes it.

Turns the house's words (parsed as PostgreSQL's SQL) into SQL of one adapter. Times are UTC, whatever a session thinks.
Nothing else gets through: a value either is on the allow-list of its adapter, or it is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from rules.assembly.condition import constant
from rules.assembly.sql import DIALECT

CONSTANTS: Final = ("a text in quotes", "a number", "true", "false", "null")

NEXT_VALUE: Final = re.compile(r"\s*next\s+value\s+for\s+([^\s()';]+)\s*", re.IGNORECASE)
"""The standard's way to ask a sequence, which is no expression to the parser."""

_NAME: Final = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^".`]+)')


@dataclass(frozen=True, slots=True)
class Dialect:
    """One adapter's words."""

    allowed: tuple[str, ...]
    """What may stand there, for the reader of a rule file."""
    render: Callable[[exp.Expr], str | None]
    """A value as SQL; None for what is not allowed."""


def dialect_of(adapter: str) -> Dialect:
    """The words of an adapter, as the rule files call it."""
    return DIALECTS.get(adapter, DIALECTS["postgresql"])


def asked_of_sequence(text: str) -> exp.Expr | None:
    """`NEXT VALUE FOR name` as the same tree that `nextval('name')` is; None for everything else."""
    found = NEXT_VALUE.fullmatch(text)
    return exp.Anonymous(this="nextval", expressions=[exp.Literal.string(found[1])]) if found is not None else None


def _postgresql(tree: exp.Expr) -> str | None:
    known = constant(tree) is not None or isinstance(tree, exp.Null)
    if not (known or _is_moment(tree) or _is_today(tree) or _is_uuid(tree) or _sequence(tree) is not None):
        return None
    return tree.sql(dialect=DIALECT, comments=False, normalize_functions=False)


def _mysql(tree: exp.Expr) -> str | None:
    """MySQL has no sequences; and prints what MariaDB does for all else."""
    return _mariadb(tree) if _sequence(tree) is None else None


def _mariadb(tree: exp.Expr) -> str | None:
    text = constant(tree)
    sequence = _sequence(tree)
    if isinstance(tree, exp.Literal) and tree.is_string:
        return "'" + str(text).replace("\\", "\\\\").replace("'", "''") + "'"
    if text is not None:
        return str(text).lower()
    if isinstance(tree, exp.Null):
        return "NULL"
    if _is_moment(tree) or (isinstance(tree, exp.UtcTimestamp) and tree.this is None):
        return "utc_timestamp(6)"
    if _is_today(tree):
        return "utc_date()"
    if _is_uuid(tree):
        return "uuid()"
    return f"nextval({_named(sequence)})" if sequence is not None else None


def _is_moment(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.AtTimeZone):
        zone = tree.args["zone"]
        return _is_moment(tree.this) and isinstance(zone, exp.Literal) and str(zone.this).lower() == "utc"
    return isinstance(tree, exp.CurrentTimestamp) and tree.this is None


def _is_today(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.CurrentDate) and tree.this is None


def _is_uuid(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Uuid) and tree.this is None


def _sequence(tree: exp.Expr) -> str | None:
    """The name in `nextval('name')` and `nextval('name'::regclass)`, as PostgreSQL prints the defaults of columns."""
    match tree:
        case exp.Anonymous(this=str(name), expressions=[exp.Cast(this=named) as cast]) if name.lower() == "nextval":
            if cast.to.sql(dialect=DIALECT).lower() != "regclass":
                return None
        case exp.Anonymous(this=str(name), expressions=[named]) if name.lower() == "nextval":
            pass
        case _:
            return None
    return str(named.this) if isinstance(named, exp.Literal) and named.is_string else None


def _named(name: str) -> str:
    """The name of a sequence, with its database or without, in MariaDB's quotes."""
    parts = [plain or double.replace('""', '"') or back.replace("``", "`") for double, back, plain in
             _NAME.findall(name)]  # fmt: skip
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


_TIMES: Final = ("now()", "current_timestamp", "current_date")
_UTC: Final = "now() at time zone 'utc'"

DIALECTS: Final[Mapping[str, Dialect]] = {
    "postgresql": Dialect((*CONSTANTS, "nextval('…')", "gen_random_uuid()", *_TIMES, _UTC), _postgresql),
    "mariadb": Dialect((*CONSTANTS, "nextval('…')", "next value for …", "uuid()", *_TIMES), _mariadb),
    "mysql": Dialect((*CONSTANTS, "uuid()", *_TIMES), _mysql),
}
"""By adapter. (Each also takes the others' spellings of what it has.)"""
