"""Turns a binding and its columns' types into SQL: set-based guarded writes, row reads, and their parameters.

Pure: it opens no connection and runs nothing. Names go through `psycopg.sql`, values are always bound: one array
literal a column, whatever the number of rows, so that a batch costs the server one parse and us a few `join`s.

Everything is compared as *printed text*, byte by byte (`COLLATE "C"`), never by the type's or the collation's idea
of equal: `1.0` and `1.00`, `a` and `A` in citext, `-0` and `0` are different values to a user who looks at them.
Measured, this costs no more than comparing natively; the lookup by key is native too, so that it can use the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from psycopg import sql

from adapters.postgresql.catalog import PgColumn
from adapters.postgresql.phrases import (
    array_literal,
    assigned,
    besides,
    cast,
    comma,
    constant,
    expression,
    in_order,
    key_matches,
    lettered,
    numbered,
    printed,
    same,
    unnested,
)
from adapters.relational.answers import Sent, sent
from adapters.relational.layout import Layout
from engine.rulebook import Table
from engine.vocabulary import WriteKind, WriteRow


@dataclass(frozen=True, slots=True)
class Statement:
    """One prepared form of a `Write`: its SQL, what it is to be given, and what it answers.

    Every form answers one row, as `answers.Answer` says."""

    query: str
    sent: Sent


def statement(kind: WriteKind, place: Layout, columns: tuple[int, ...]) -> Statement:
    """The SQL that executes a `Write` of `kind` with these field numbers."""
    form = sent(kind, place, columns)
    fields = tuple(columns[at] for at in form.picked)
    match kind:
        case "update":
            query = _update(place, fields)
        case "insert":
            query = _insert(place, fields, form.answers[len(fields) :])
        case "delete":
            query = _delete(place, fields)
        case _:
            assert_never(kind)
    return Statement(query, form)


def parameters(kind: WriteKind, made: Statement, rows: Sequence[WriteRow]) -> list[str]:
    """What a statement of `kind` is to be given for these rows: array literals, and the number of rows.

    The order is that of its parameters: keys, then new values, then held ones."""
    _, _, keys, new, held = zip(*rows, strict=True)
    literals = [array_literal(column) for column in zip(*keys, strict=True)]
    if kind != "delete":
        literals += _picked_literals(new, made.sent.picked)
    if kind != "insert":
        literals += _picked_literals(held, made.sent.picked)
    literals.append(str(len(rows)))
    return literals


def read_all(place: Layout, utf8_order: bool) -> sql.Composed:
    """All rows in the order of fields that are here, ascending by record key in code point order.

    `utf8_order`: the server's own encoding does not sort by code point, so keys are sorted as UTF-8."""
    parts = [printed(place.columns[number]) for number in place.key]
    key = sql.SQL(" || E'\\x1f' || ").join(parts)
    order = sql.SQL("convert_to({}, 'UTF8')") if utf8_order else sql.SQL('({}) COLLATE "C"')
    return sql.SQL("SELECT {} FROM {} AS t ORDER BY {}").format(
        _printed_list(place, sorted(place.columns)), _table(place), order.format(key)
    )


def select_table(table: Table, columns: Mapping[str, PgColumn]) -> sql.Composed:
    """All rows of a table, in the order of its columns."""
    listed = comma(printed(columns[name]) for name in table.columns)
    return sql.SQL("SELECT {} FROM {} AS t").format(listed, sql.Identifier(table.schema, table.name))


def read_by_key(place: Layout, mode: Literal["lock", "look"]) -> sql.Composed:
    """The rows of the given keys (one array parameter a key column), in the order of fields that are here.

    `lock`: takes each row's lock and leaves out the rows that somebody else has locked."""
    tail = sql.SQL(" FOR NO KEY UPDATE OF t SKIP LOCKED" if mode == "lock" else "")
    return sql.SQL("SELECT {} FROM {} AS t, {} WHERE {}{}").format(
        _printed_list(place, sorted(place.columns)), _table(place),
        unnested(1, lettered("k", len(place.key))), _key_matches(place), tail,
    )  # fmt: skip


def lockable(place: Layout, kind: WriteKind) -> sql.Composed:
    """Of the given keys: (ordinals of the rows that are there, of those among them whose lock we now have)."""
    strength = sql.SQL("UPDATE" if kind == "delete" else "NO KEY UPDATE")
    return sql.SQL(
        "WITH locked AS (SELECT u.ord FROM {table} AS t, {given} WHERE {matches} FOR {strength} OF t SKIP LOCKED)"
        " SELECT (SELECT array_agg(u.ord) FROM {table} AS t, {given} WHERE {matches}),"
        " (SELECT array_agg(ord) FROM locked)"
    ).format(
        table=_table(place), given=unnested(1, lettered("k", len(place.key))),
        matches=_key_matches(place), strength=strength,
    )  # fmt: skip


def take(place: Layout, kind: WriteKind, *, backwards: bool) -> sql.Composed:
    """Locks the rows of the given keys, one after the other in the order of the keys, waiting for each. Answers their
    number."""
    key = [sql.Identifier("t", place.columns[number].shape.name) for number in place.key]
    return sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {table} AS t, {given} WHERE {matches} ORDER BY {order}"
        " FOR {strength} OF t) AS locked"
    ).format(
        table=_table(place), given=unnested(1, lettered("k", len(place.key))), matches=_key_matches(place),
        order=in_order(key, backwards=backwards),
        strength=sql.SQL("UPDATE" if kind == "delete" else "NO KEY UPDATE"),
    )  # fmt: skip


def _update(place: Layout, fields: tuple[int, ...]) -> str:
    """Answers: how many rows were written; their ordinals, if not all; [ordinal, [stored text, ...]] of each row
    where something else is stored than was sent."""
    keys, new, held = lettered("k", len(place.key)), lettered("n", len(fields)), lettered("h", len(fields))
    columns = [place.columns[number] for number in fields]
    deviates = [
        sql.SQL('{} COLLATE "C" IS DISTINCT FROM {}').format(printed(column), sql.Identifier("u", name))
        for column, name in zip(columns, new, strict=True)
    ]
    changes = [assigned(column, name) for column, name in zip(columns, new, strict=True)]
    return _text(
        sql.SQL(
            "WITH done AS (UPDATE {table} AS t SET {assigned} FROM {given} WHERE {guards}"
            " RETURNING u.ord, CASE WHEN {deviates} THEN ARRAY[{stored}] END AS stored)"
            " SELECT count(*), CASE WHEN count(*) < {rows}::int8 THEN array_agg(ord) END,"
            " json_agg(json_build_array(ord, stored)) FILTER (WHERE stored IS NOT NULL) FROM done"
        ).format(
            table=_table(place),
            assigned=comma([*changes, *besides(place.besides(columns))]),
            given=unnested(1, keys + new + held),
            guards=_guards(place, fields, held),
            deviates=sql.SQL(" OR ").join(deviates),
            stored=comma(map(printed, columns)),
            rows=numbered(len(keys) + 2 * len(fields) + 1),
        )
    )


def _insert(place: Layout, fields: tuple[int, ...], unset: tuple[int, ...]) -> str:
    """Answers: how many rows were written; NULL; and, unless every row is stored as it was sent and nothing was
    left to a default, for each row written [key text, ..., stored text, ..., stored text of unset fields, ...].

    An INSERT cannot return the ordinal of what it inserted: rows are told by their keys. So the key is compared
    too, and a key that the target stores differently is a deviation."""
    keys, new = lettered("k", len(place.key)), lettered("n", len(fields))
    given = [*(place.columns[number] for number in place.key), *(place.columns[number] for number in fields)]
    every = [*given, *(place.columns[number] for number in unset)]
    sent, stored = keys + new, lettered("s", len(every))
    further = place.besides(given)
    values = [cast(column, name) for column, name in zip(given, sent, strict=True)]
    same = [
        sql.SQL("array_agg({}) IS NOT DISTINCT FROM {}::pg_catalog.text[]").format(sql.Identifier(name), numbered(at))
        for at, name in enumerate(stored[: len(sent)], 1)
    ]
    return _text(
        sql.SQL(
            "WITH done AS (INSERT INTO {table} AS t ({columns}){overriding} SELECT {values} FROM {given}"
            " ON CONFLICT ({key}) DO NOTHING RETURNING {returned})"
            " SELECT count(*), NULL, CASE WHEN {same} THEN NULL"
            " ELSE json_agg(json_build_array({stored})) END FROM done WHERE {rows}::int8 IS NOT NULL"
        ).format(
            table=_table(place),
            columns=comma(sql.Identifier(column.shape.name) for column in [*given, *(c for c, _ in further)]),
            overriding=sql.SQL(" OVERRIDING SYSTEM VALUE" if any(c.identity_always for c in given) else ""),
            values=comma([*values, *(expression(said, column) for column, said in further)]),
            given=unnested(1, sent),
            key=comma(sql.Identifier(place.columns[number].shape.name) for number in place.key),
            returned=comma(
                sql.SQL("{} AS {}").format(printed(column), sql.Identifier(name))
                for column, name in zip(every, stored, strict=True)
            ),
            same=sql.SQL("false") if unset else sql.SQL(" AND ").join(same),
            stored=comma(sql.Identifier(name) for name in stored),
            rows=numbered(len(sent) + 1),
        )
    )


def _delete(place: Layout, fields: tuple[int, ...]) -> str:
    """Answers: how many rows were removed; their ordinals, if not all; NULL."""
    keys, held = lettered("k", len(place.key)), lettered("h", len(fields))
    marked = besides(place.besides([column for column, _ in place.gone]))
    removed = sql.SQL("DELETE FROM {table} AS t USING {given}")
    if place.gone:
        removed = sql.SQL("UPDATE {table} AS t SET {gone} FROM {given}")
    return _text(
        sql.SQL(
            "WITH done AS ({removed} WHERE {guards} RETURNING u.ord)"
            " SELECT count(*), CASE WHEN count(*) < {rows}::int8 THEN array_agg(ord) END, NULL FROM done"
        ).format(
            removed=removed.format(
                table=_table(place),
                given=unnested(1, keys + held),
                gone=comma([constant(column, text) for column, text in place.gone] + marked),
            ),
            guards=_guards(place, fields, held),
            rows=numbered(len(keys) + len(fields) + 1),
        )
    )


def _guards(place: Layout, fields: tuple[int, ...], held: Sequence[str]) -> sql.Composed:
    """The row of a key, if it is a record and holds what it is known to hold."""
    parts: list[sql.Composable] = [_key_matches(place)]
    for number, name in zip(fields, held, strict=True):
        text = printed(place.columns[number])
        if number in place.empty:
            text = sql.SQL("coalesce({}, '')").format(text)
        parts.append(same(text, sql.Identifier("u", name)))
    return sql.SQL(" AND ").join([*parts, place.belongs] if place.belongs is not None else parts)


def _key_matches(place: Layout) -> sql.Composed:
    return key_matches([place.columns[number] for number in place.key])



def _printed_list(place: Layout, numbers: Sequence[int]) -> sql.Composed:
    return comma(printed(place.columns[number]) for number in numbers)


def _table(place: Layout) -> sql.Identifier:
    return sql.Identifier(place.schema, place.name)


def _text(query: sql.Composed) -> str:
    return query.as_string()


def _picked_literals(rows: Sequence[Sequence[Any]], picked: tuple[int, ...]) -> list[str]:
    columns = list(zip(*rows, strict=True))
    return [array_literal(columns[at]) for at in picked]
