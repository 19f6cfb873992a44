"""Turns rows of one part's table into SQL: they are made, given values, or removed, by their own keys.

Pure. Each statement takes one array a column, and answers one row, like those of `statements`: how many rows were
written, and the stored texts, if anything deviates. Whether a row may be written at all was settled before.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from adapters.postgresql.catalog import PgColumn
from adapters.postgresql.phrases import (
    assigned,
    besides,
    cast,
    comma,
    expression,
    key_matches,
    lettered,
    numbered,
    printed,
    same,
    unnested,
)
from adapters.relational.assembled.places import Place


def insert(
    place: Place, sent: Sequence[PgColumn], made: Sequence[tuple[PgColumn, str]], answered: Sequence[PgColumn]
) -> str:
    """Given: one array a column that is sent, and how many rows. Answers: how many were made; and, unless all that is
    answered was sent and is stored as it was sent, a list of [stored text, ...] for each row.

    An INSERT cannot return the ordinal of what it inserted: rows are told by their keys."""
    names, stored = lettered("n", len(sent)), lettered("s", len(answered))
    columns = [*sent, *(column for column, _ in made)]
    values = [cast(column, name) for column, name in zip(sent, names, strict=True)]
    values += [expression(said, column) for column, said in made]
    places = {column.shape.name: at for at, column in enumerate(sent, 1)}
    unchanged = [
        sql.SQL("array_agg({}) IS NOT DISTINCT FROM {}::pg_catalog.text[]").format(
            sql.Identifier(name), numbered(places[column.shape.name])
        )
        for column, name in zip(answered, stored, strict=True)
        if column.shape.name in places
    ]
    given = unnested(1, names) if names else sql.SQL("generate_series(1, {}::int4) AS u(ord)").format(numbered(1))
    into = sql.SQL("({}){} SELECT {} FROM {}").format(
        comma(sql.Identifier(column.shape.name) for column in columns),
        sql.SQL(" OVERRIDING SYSTEM VALUE" if any(column.identity_always for column in sent) else ""),
        comma(values), given,
    )  # fmt: skip
    return (
        sql.SQL(
            "WITH done AS (INSERT INTO {table} AS t {into} RETURNING {returned}) SELECT count(*),"
            " CASE WHEN {unchanged} THEN NULL ELSE json_agg(json_build_array({stored})) END"
            " FROM done WHERE {rows}::int4 IS NOT NULL"
        )
        .format(
            table=sql.Identifier(*place.table),
            into=into if columns else sql.SQL("DEFAULT VALUES"),
            returned=comma(
                sql.SQL("{} AS {}").format(printed(column), sql.Identifier(name))
                for column, name in zip(answered, stored, strict=True)
            ),
            unchanged=sql.SQL(" AND ").join(unchanged) if len(unchanged) == len(answered) else sql.SQL("false"),
            stored=comma(sql.Identifier(name) for name in stored),
            rows=numbered(len(names) + 1),
        )
        .as_string()
    )


def update(place: Place, columns: Sequence[PgColumn]) -> str:
    """Given: one array a key column, one a column. Answers: how many rows were written; a list of [ordinal, [stored
    text, ...]] of those where something else is stored than was sent. What the rules write besides is set, too."""
    keys, new = lettered("k", len(place.key)), lettered("n", len(columns))
    unchanged = [same(printed(column), sql.Identifier("u", name)) for column, name in zip(columns, new, strict=True)]
    changes = [assigned(column, name) for column, name in zip(columns, new, strict=True)]
    return (
        sql.SQL(
            "WITH done AS (UPDATE {table} AS t SET {assigned} FROM {given} WHERE {matches}"
            " RETURNING u.ord, CASE WHEN {unchanged} THEN NULL ELSE ARRAY[{stored}] END AS stored)"
            " SELECT count(*), json_agg(json_build_array(ord, stored)) FILTER (WHERE stored IS NOT NULL) FROM done"
        )
        .format(
            table=sql.Identifier(*place.table),
            assigned=comma([*changes, *besides(place.written(columns))]),
            given=unnested(1, keys + new),
            matches=key_matches(place.key_columns()),
            unchanged=sql.SQL(" AND ").join(unchanged),
            stored=comma(map(printed, columns)),
        )
        .as_string()
    )


def delete(place: Place) -> str:
    """Given: one array a key column. Answers: how many rows were removed; NULL."""
    return (
        sql.SQL(
            "WITH done AS (DELETE FROM {table} AS t USING {given} WHERE {matches} RETURNING u.ord)"
            " SELECT count(*), NULL FROM done"
        )
        .format(
            table=sql.Identifier(*place.table),
            given=unnested(1, lettered("k", len(place.key))),
            matches=key_matches(place.key_columns()),
        )
        .as_string()
    )


def drawn(draws: Sequence[tuple[str, PgColumn]]) -> str:
    """Given: how many. Answers so many rows with a fresh value of each expression, as its column prints it."""
    names = lettered("d", len(draws))
    inner = comma(
        sql.SQL("{} AS {}").format(expression(said, column), sql.Identifier(name))
        for (said, column), name in zip(draws, names, strict=True)
    )
    outer = comma(printed(column, "d", name) for (_, column), name in zip(draws, names, strict=True))
    query = sql.SQL("SELECT {} FROM (SELECT {} FROM generate_series(1, {}::int4) OFFSET 0) AS d")
    return query.format(outer, inner, numbered(1)).as_string()
