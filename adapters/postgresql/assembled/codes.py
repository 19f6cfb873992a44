"""Turns a code table into SQL: its keys are read by natural codes, codes are added, pairs of both are looked at again.

Pure. Each statement is given one array a column.
"""

from __future__ import annotations

from psycopg import sql

from adapters.postgresql.phrases import cast, numbered, printed, unnested
from adapters.relational.assembled.places import Codes


def read(codes: Codes) -> str:
    """Answers (code, key) of the given codes; of several rows with one code, the lowest key comes last."""
    query = sql.SQL(
        'SELECT {n}, {k} FROM {table} AS t WHERE {n} COLLATE "C" = ANY ({given}::pg_catalog.text[]) ORDER BY {o} DESC'
    )
    return query.format(
        n=printed(codes.natural), k=printed(codes.key), table=sql.Identifier(*codes.table), given=numbered(1),
        o=sql.Identifier("t", codes.key.shape.name),
    ).as_string()  # fmt: skip


def add(codes: Codes) -> str:
    """Adds those of the given codes that are not there."""
    query = sql.SQL("INSERT INTO {table} ({natural}) SELECT {value} FROM {given} ON CONFLICT DO NOTHING")
    return query.format(
        table=sql.Identifier(*codes.table), natural=sql.Identifier(codes.natural.shape.name),
        value=cast(codes.natural, "n1"), given=unnested(1, ["n1"]),
    ).as_string()  # fmt: skip


def changed(codes: Codes) -> str:
    """Answers how many of the given pairs of key and code are no longer so."""
    query = sql.SQL(
        "SELECT count(*) FROM {given} WHERE NOT EXISTS (SELECT FROM {table} AS t"
        ' WHERE {key} COLLATE "C" = u.k1 AND {natural} COLLATE "C" = u.n1)'
    )
    return query.format(
        given=unnested(1, ["k1", "n1"]), table=sql.Identifier(*codes.table),
        key=printed(codes.key), natural=printed(codes.natural),
    ).as_string()  # fmt: skip
