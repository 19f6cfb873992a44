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


def dialect_of(kind: str) -> Dialect:
    """The words of a kind of database, as `rules.addresses.database_of` calls it."""
    return DIALECTS.get(kind, DIALECTS["postgresql"])


def asked_of_sequence(text: str) -> exp.Expr | None:
    """`NEXT VALUE FOR name` as the same tree that `nextval('name')` is; None for everything else."""
    found = NEXT_VALUE.fullmatch(text)
    return exp.Anonymous(this="nextval", expressions=[exp.Literal.string(found[1])]) if found is not None else None


def _postgresql(tree: exp.Expr) -> str | None:
    known = constant(tree) is not None or isinstance(tree, exp.Null)
    if not (known or _is_moment(tree) or _is_today(tree) or _is_uuid(tree) or _sequence(tree) is not None):
        return None
    if _is_call(tree, "sysutcdatetime") or _is_call(tree, "newid"):
        return "CURRENT_TIMESTAMP" if _is_moment(tree) else "gen_random_uuid()"
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
    return f"nextval({_named(sequence, '`', '`')})" if sequence is not None else None


def _mssql(tree: exp.Expr) -> str | None:
    text = constant(tree)
    sequence = _sequence(tree)
    if isinstance(tree, exp.Literal) and tree.is_string:
        return "N'" + str(text).replace("'", "''") + "'"
    if isinstance(tree, exp.Boolean):
        return "1" if tree.this else "0"
    if text is not None:
        return str(text)
    if isinstance(tree, exp.Null):
        return "NULL"
    if _is_moment(tree) or (isinstance(tree, exp.UtcTimestamp) and tree.this is None):
        return "SYSUTCDATETIME()"
    if _is_today(tree):
        return "CAST(SYSUTCDATETIME() AS date)"
    if _is_uuid(tree):
        return "NEWID()"
    return "NEXT VALUE FOR " + _named(sequence, "[", "]") if sequence is not None else None


def _sqlite(tree: exp.Expr) -> str | None:
    """A moment has milliseconds there, as the clock of its SQL has."""
    if _is_moment(tree) or (isinstance(tree, exp.UtcTimestamp) and tree.this is None):
        return "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    if _is_today(tree):
        return "date('now')"
    if _is_uuid(tree):
        return SQLITE_UUID
    if isinstance(tree, exp.Boolean):
        return "1" if tree.this else "0"
    return _constant(tree)


def _constant(tree: exp.Expr) -> str | None:
    """What every database reads alike."""
    text = constant(tree)
    if isinstance(tree, exp.Literal) and tree.is_string:
        return "'" + str(text).replace("'", "''") + "'"
    if text is not None:
        return str(text).lower()
    return "NULL" if isinstance(tree, exp.Null) else None


def _is_moment(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.AtTimeZone):
        zone = tree.args["zone"]
        return _is_moment(tree.this) and isinstance(zone, exp.Literal) and str(zone.this).lower() == "utc"
    return (isinstance(tree, exp.CurrentTimestamp) and tree.this is None) or _is_call(tree, "sysutcdatetime")


def _is_today(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.CurrentDate) and tree.this is None


def _is_uuid(tree: exp.Expr) -> bool:
    return (isinstance(tree, exp.Uuid) and tree.this is None) or _is_call(tree, "newid")


def _is_call(tree: exp.Expr, name: str) -> bool:
    """A function without arguments that the parser does not know."""
    return isinstance(tree, exp.Anonymous) and str(tree.this).lower() == name and not tree.expressions


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


def _named(name: str, opening: str, closing: str) -> str:
    """The name of a sequence, with its schema or without, between these marks."""
    parts = [plain or double.replace('""', '"') or back.replace("``", "`") for double, back, plain in
             _NAME.findall(name)]  # fmt: skip
    return ".".join(opening + part.replace(closing, closing * 2) + closing for part in parts)


_TIMES: Final = ("now()", "current_timestamp", "current_date")
_UTC: Final = "now() at time zone 'utc'"
SQLITE_UUID: Final = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'"
    " || substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)
"""A UUID of chance (version 4), as SQLite has no word for one."""

DIALECTS: Final[Mapping[str, Dialect]] = {
    "postgresql": Dialect((*CONSTANTS, "nextval('…')", "gen_random_uuid()", *_TIMES, _UTC), _postgresql),
    "mariadb": Dialect((*CONSTANTS, "nextval('…')", "next value for …", "uuid()", *_TIMES), _mariadb),
    "mysql": Dialect((*CONSTANTS, "uuid()", *_TIMES), _mysql),
    "mssql": Dialect((*CONSTANTS, "next value for …", "newid()", *_TIMES), _mssql),
    "sqlite": Dialect((*CONSTANTS, "uuid()", *_TIMES), _sqlite),
    "odbc": Dialect(CONSTANTS, _constant),
}
"""By kind of database; `odbc`: nothing is known of it. (Each also takes the others' spellings of what it has.)"""
