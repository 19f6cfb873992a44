"""Turns names, columns and values into the pieces that all statements are made of.

Pure. Names go through `psycopg.sql`, values are always bound: one array literal a column, whatever the number of rows,
so that a batch costs the server one parse and us a few `join`s. Everything is compared as *printed text*, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg import sql

from adapters.postgresql.catalog import PgColumn
from engine.vocabulary import Text


def array_literal(values: Sequence[Text]) -> str:
    """A `text[]` literal of these values.

    Nearly all columns have neither NULLs nor anything to escape: those cost one join."""
    if not values:
        return "{}"
    try:
        body = '","'.join(values)  # type: ignore[arg-type]
    except TypeError:
        return _careful_literal(values)
    if "\\" in body or body.count('"') != 2 * (len(values) - 1):
        return _careful_literal(values)
    return '{"' + body + '"}'


def printed(column: PgColumn, alias: str = "t", called: str | None = None) -> sql.Composable:
    """A column as its type's output function prints it, which is what the log shows: `::text` differs from that
    for some types (`true` for `t`, `char(n)` without its padding). `called`: its name here, if that is another."""
    name = sql.Identifier(alias, column.shape.name if called is None else called)
    if column.cast_differs:
        return sql.SQL("pg_catalog.textin({}({}))").format(sql.Identifier(*column.output), name)
    return sql.SQL("{}::pg_catalog.text").format(name)


def same(column: sql.Composable, text: sql.Composable) -> sql.Composed:
    """Two printed texts are the same to the last byte, NULL and NULL too."""
    return sql.SQL('{} COLLATE "C" IS NOT DISTINCT FROM {}').format(column, text)


def key_matches(key: Sequence[PgColumn], alias: str = "t") -> sql.Composed:
    """The row of the key `u.k1`, ...: found natively, so by the index, and told apart by its text where the type is
    laxer."""
    parts = [
        sql.SQL('{}={} AND {} COLLATE "C" = {}').format(
            sql.Identifier(alias, column.shape.name), cast(column, name), printed(column, alias),
            sql.Identifier("u", name),
        )
        for column, name in zip(key, lettered("k", len(key)), strict=True)
    ]  # fmt: skip
    return sql.SQL(" AND ").join(parts)


def cast(column: PgColumn, name: str) -> sql.Composed:
    """A text of the rows `u` as a value of the column's type, as assignment to the column takes it."""
    return sql.SQL("{}::{}").format(sql.Identifier("u", name), sql.Identifier(*column.base))


def assigned(column: PgColumn, name: str) -> sql.Composed:
    """A column takes a text of the rows `u`."""
    return sql.SQL("{} = {}").format(sql.Identifier(column.shape.name), cast(column, name))


def constant(column: PgColumn, text: str) -> sql.Composed:
    """A column takes a text of the rules."""
    return sql.SQL("{} = {}::{}").format(
        sql.Identifier(column.shape.name), sql.Literal(text), sql.Identifier(*column.base)
    )


def expression(said: str, column: PgColumn) -> sql.Composed:
    """An expression of the catalog or the rules, as a value of the column's type."""
    return sql.SQL("({})::{}").format(sql.SQL(said), sql.Identifier(*column.base))


def besides(written: Iterable[tuple[PgColumn, str]]) -> list[sql.Composed]:
    """Columns take what the rules write besides."""
    return [sql.SQL("{} = {}").format(sql.Identifier(c.shape.name), expression(said, c)) for c, said in written]


def unnested(first: int, names: Sequence[str]) -> sql.Composed:
    """The parameters from number `first` on, as the columns of rows `u`, numbered by `ord` from 1."""
    arrays = comma(sql.SQL("{}::pg_catalog.text[]").format(numbered(first + at)) for at in range(len(names)))
    columns = comma(sql.Identifier(name) for name in (*names, "ord"))
    return sql.SQL("unnest({}) WITH ORDINALITY AS u({})").format(arrays, columns)


def comma(parts: Iterable[sql.Composable]) -> sql.Composed:
    """A list, as SQL writes it."""
    return sql.SQL(", ").join(parts)


def in_order(columns: Iterable[sql.Composable], *, backwards: bool) -> sql.Composed:
    """What ORDER BY is told, of columns."""
    return comma(sql.SQL("{} DESC" if backwards else "{}").format(column) for column in columns)


def lettered(letter: str, count: int) -> list[str]:
    """So many names of columns of the rows `u`."""
    return [letter + str(at) for at in range(1, count + 1)]


def numbered(at: int) -> sql.SQL:
    """The parameter number `at`, as the server writes it."""
    return sql.SQL("$" + str(at))


def array_literals(columns: Iterable[Sequence[Text]]) -> list[str]:
    """One literal a column."""
    return [array_literal(column) for column in columns]


def _careful_literal(values: Sequence[Text]) -> str:
    quoted = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for value in values
    ]
    return "{" + ",".join(quoted) + "}"
