"""Turns rows of one part's table into SQL: they are made, given values, or removed, by their own keys.

Pure. The rows `u` hold keys `k1`, ... and values `n1`, ... of what is written; what is stored otherwise is asked
afterwards, by the keys. Whether a row may be written at all was settled before.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Final, TypeAlias

from adapters.mariadb.assembled.belonging import live
from adapters.mariadb.columns import MariaColumn
from adapters.mariadb.phrases import (
    assigned,
    besides,
    cast,
    comma,
    found,
    given,
    key_matches,
    lettered,
    printed,
    quoted,
    same,
)
from adapters.relational.assembled.places import Place
from adapters.relational.live import ForeignKey, LiveColumn

Made: TypeAlias = "Sequence[tuple[MariaColumn, str]]"
"""(column, the expression that makes its value)"""

ALL: Final = "LIMIT 18446744073709551615"
"""Keeps a derived table from being merged, which would work an expression out as often as it is printed."""


def made_live(made: Sequence[tuple[LiveColumn, str]]) -> Made:
    """What is made, as what it is here."""
    return typing.cast("Made", made)


def insert(place: Place, columns: Sequence[MariaColumn], made: Made, *, one: str = "") -> str:
    """Makes a row of each `u`, in their order. `one`: which of them alone."""
    names = lettered("n", len(columns))
    into = comma(quoted(column.shape.name) for column in [*columns, *(column for column, _ in made)])
    values = [cast(column, name) for column, name in zip(columns, names, strict=True)]
    values += [f"({said})" for _, said in made]
    where = f" WHERE u.ord = {one}" if one else ""
    return (
        f"INSERT INTO {quoted(*place.table)} ({into}) SELECT {comma(values)} FROM {given(names)}{where} ORDER BY u.ord"
    )


def insert_defaults(place: Place, count: int) -> str:
    """Makes so many rows of which nothing is said."""
    return f"INSERT INTO {quoted(*place.table)} () VALUES {comma(['()'] * count)}"


def returning(place: Place, answered: Sequence[MariaColumn]) -> str:
    """Has an INSERT answer what it stored, row by row, in the order in which it made them; MySQL has no such words."""
    return " RETURNING " + comma(printed(column, place.table[1]) for column in answered)


def numbered(place: Place, answered: Sequence[MariaColumn], automatic: MariaColumn) -> str:
    """The row that the session's last INSERT made and numbered. Answers (1, its texts)."""
    listed = comma(printed(column) for column in answered)
    number = quoted("t", automatic.shape.name)
    return f"SELECT 1, {listed} FROM {quoted(*place.table)} AS t WHERE {number} = LAST_INSERT_ID()"


def inserted(place: Place, columns: Sequence[MariaColumn], answered: Sequence[MariaColumn], *, every: bool) -> str:
    """The rows that were made with keys of ours: (ordinal, texts) of those that are stored otherwise than they were
    sent, or of `every` one; NULLs where there is none with this key."""
    names = dict(zip((column.shape.name for column in columns), lettered("n", len(columns)), strict=True))
    key = " AND ".join(found(column, "t", names[column.shape.name]) for column in live(place.key_columns()))
    checked = [column for column in answered if column.shape.name in names]
    equal = " AND ".join(f"({same(column, 't', names[column.shape.name])})" for column in checked)
    listed = comma(printed(column) for column in answered)
    where = "" if every else f" WHERE NOT ({equal})"
    rows = f"{given(list(names.values()))} LEFT JOIN {quoted(*place.table)} AS t ON {key}"
    return f"SELECT u.ord, {listed} FROM {rows}{where}"


def update(place: Place, columns: Sequence[MariaColumn]) -> str:
    """Gives values to rows, and what the rules write besides."""
    new = lettered("n", len(columns))
    changes = [assigned(column, name) for column, name in zip(columns, new, strict=True)]
    changes += besides(made_live(place.written(columns)))
    return f"UPDATE {_keyed(place, new)} SET {comma(changes)}"


def updated(place: Place, columns: Sequence[MariaColumn]) -> str:
    """Answers (ordinal, texts) of the rows that now have something else than they were given."""
    new = lettered("n", len(columns))
    equal = " AND ".join(f"({same(column, 't', name)})" for column, name in zip(columns, new, strict=True))
    listed = comma(printed(column) for column in columns)
    return f"SELECT u.ord, {listed} FROM {_keyed(place, new, columns)} WHERE NOT ({equal})"


def delete(place: Place) -> str:
    """Removes rows."""
    return f"DELETE t FROM {_keyed(place)}"


def referring(place: Place, key: ForeignKey) -> str:
    """Answers (ordinal, what the row refers to by this foreign key, what others can refer to it by)."""
    columns = live([place.known[name] for name in (*key.columns, *key.other_columns)])
    return f"SELECT u.ord, {comma(map(printed, columns))} FROM {_keyed(place)}"


def let_go(place: Place, names: Sequence[str]) -> str:
    """Rows refer to nothing any more by these columns."""
    return f"UPDATE {_keyed(place)} SET {comma(quoted('t', name) + ' = NULL' for name in names)}"


def drawn(draws: Sequence[tuple[str, MariaColumn]]) -> str:
    """Answers, for each `u`, a fresh value of each expression, as its column prints it."""
    names = lettered("d", len(draws))
    inner = comma(f"({said}) AS {quoted(name)}" for (said, _), name in zip(draws, names, strict=True))
    outer = comma(printed(column, "d", name) for (_, column), name in zip(draws, names, strict=True))
    return f"SELECT {outer} FROM (SELECT {inner} FROM {given([])} {ALL}) AS d"


def _keyed(place: Place, new: Sequence[str] = (), columns: Sequence[MariaColumn] = ()) -> str:
    """The rows of the given keys; `columns`: those that have new values by now, perhaps some of the key."""
    keys = lettered("k", len(place.key))
    matches = key_matches(live(place.key_columns()))
    if columns:
        by_name = dict(zip((column.shape.name for column in columns), new, strict=True))
        matches = " AND ".join(
            found(column, "t", by_name.get(column.shape.name, name))
            for column, name in zip(live(place.key_columns()), keys, strict=True)
        )
    return f"{given([*keys, *new])} STRAIGHT_JOIN {quoted(*place.table)} AS t ON {matches}"
