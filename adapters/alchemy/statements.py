"""Turns columns and keys into portable statements of SQLAlchemy's: rows by their keys, rows by a column, changes of one
row each, carried out for many.

Pure, but for what it is told of the dialect's ways to lock. Names are quoted by the dialect, values are always bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import sqlalchemy as sa

from adapters.alchemy.abilities import Abilities
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.spelling import Element

Mode: TypeAlias = Literal["look", "lock", "skip"]
"""Rows are read as they are; locked, without waiting where that can be; or locked, those of others left out."""

KEY: Final = "duolog_k"
NEW: Final = "duolog_n"
"""How the parameters of keys and of new values begin: no column is called so."""

HINTS: Final = {"lock": "WITH (UPDLOCK, ROWLOCK, NOWAIT)", "skip": "WITH (UPDLOCK, ROWLOCK, READPAST)"}
KEPT: Final = {
    "lock": "FOR READ ONLY WITH RS USE AND KEEP UPDATE LOCKS",
    "skip": "FOR READ ONLY WITH RS USE AND KEEP UPDATE LOCKS SKIP LOCKED DATA",
}  # fmt: skip


def by_keys(
    selected: Sequence[AlchemyColumn], key: Sequence[AlchemyColumn], keys: Sequence[Sequence[Any]], mode: Mode,
    can: Abilities,
) -> sa.Select[Any]:  # fmt: skip
    """The rows with these keys, as parameters of their columns; at most `can.keys_at_once` of them."""
    table = key[0].table
    made = sa.select(*[each.selected for each in selected]).select_from(table).where(_among(key, keys))
    return locking(made, table, mode, can)


def every(selected: Sequence[AlchemyColumn]) -> sa.Select[Any]:
    """All rows of a table."""
    return sa.select(*[each.selected for each in selected]).select_from(selected[0].table)


def locking(made: sa.Select[Any], table: sa.Table, mode: Mode, can: Abilities) -> sa.Select[Any]:
    """The same question, which locks the rows that it finds."""
    if mode == "look" or can.locking == "whole":
        return made
    if can.locking == "hints":
        return made.with_hint(table, HINTS[mode])
    if can.locking == "kept":
        return made.suffix_with(sa.text(KEPT[mode]))
    if mode == "skip":
        return made.with_for_update(skip_locked=True)
    return made.with_for_update(nowait=can.locking == "nowait")


def insert(columns: Sequence[AlchemyColumn], made: Sequence[tuple[AlchemyColumn, str]], table: sa.Table) -> sa.Insert:
    """A row of these columns, as parameters `NEW`, and what expressions say."""
    values: dict[Any, Any] = {each.element: each.parameter(f"{NEW}{at}") for at, each in enumerate(columns)}
    values.update(_expressions(made))
    return sa.insert(table).values(values) if values else sa.insert(table).values()


def update(
    key: Sequence[AlchemyColumn], columns: Sequence[AlchemyColumn], written: Sequence[tuple[AlchemyColumn, str]]
) -> sa.Update:
    """The row of a key `KEY` gets values `NEW`, and what expressions say."""
    values: dict[Any, Any] = {each.element: each.parameter(f"{NEW}{at}") for at, each in enumerate(columns)}
    values.update(_expressions(written))
    return sa.update(key[0].table).where(_is_key(key)).values(values)


def delete(key: Sequence[AlchemyColumn], keys: Sequence[Sequence[Any]]) -> sa.Delete:
    """The rows with these keys go."""
    return sa.delete(key[0].table).where(_among(key, keys))


def unbound(key: Sequence[AlchemyColumn], keys: Sequence[Sequence[Any]], columns: Sequence[AlchemyColumn]) -> sa.Update:
    """These columns of the rows with these keys become NULL."""
    return sa.update(key[0].table).where(_among(key, keys)).values({each.element: sa.null() for each in columns})


def drawn(draws: Sequence[tuple[str, AlchemyColumn]]) -> sa.Select[Any]:
    """One fresh value of each expression, as its column shows it."""
    inner = sa.select(*[expression(said).label(f"{NEW}{at}") for at, (said, _) in enumerate(draws)]).subquery()
    return sa.select(*[
        each.spelling.shown(sa.type_coerce(inner.c[f"{NEW}{at}"], each.spelling.type))
        for at, (_, each) in enumerate(draws)
    ])  # fmt: skip


def expression(said: str) -> Element:
    """What the rules say in SQL, which `check` has looked at."""
    return sa.literal_column(f"({said})")


def _expressions(made: Sequence[tuple[AlchemyColumn, str]]) -> dict[Any, Any]:
    return {each.element: expression(said) for each, said in made}


def _is_key(key: Sequence[AlchemyColumn]) -> Element:
    return sa.and_(*[each.element == each.parameter(f"{KEY}{at}") for at, each in enumerate(key)])


def _among(key: Sequence[AlchemyColumn], keys: Sequence[Sequence[Any]]) -> Element:
    """One of these keys. What a type makes equal and a text does not, is told apart by who reads the rows."""
    if len(key) == 1:
        return among(key[0], [each[0] for each in keys])
    return sa.or_(*[
        sa.and_(*[column.element == _literal(column, value) for column, value in zip(key, each, strict=True)])
        for each in keys
    ])  # fmt: skip


def among(column: AlchemyColumn, values: Sequence[Any]) -> Element:
    """A column has one of these values, which are not NULL."""
    plain = column.spelling.placed(sa.bindparam("x", type_=column.spelling.type))
    if isinstance(plain, sa.BindParameter):
        return column.element.in_(sa.bindparam(f"{KEY}s", value=list(values), expanding=True, type_=plain.type))
    return column.element.in_([_literal(column, value) for value in values])


def _literal(column: AlchemyColumn, value: Any) -> Element:
    return column.spelling.placed(sa.bindparam(None, value, type_=column.spelling.type))
