"""Turns a binding and its columns' types into SQL: set-based guarded writes, row reads, and their parameters.

Pure: it opens no connection and runs nothing. Names go through `psycopg.sql`, values are always bound: one array
literal a column, whatever the number of rows, so that a batch costs the server one parse and us a few `join`s.

Everything is compared as *printed text*, byte by byte (`COLLATE "C"`), never by the type's or the collation's idea
of equal: `1.0` and `1.00`, `a` and `A` in citext, `-0` and `0` are different values to a user who looks at them.
Measured, this costs no more than comparing natively; the lookup by key is native too, so that it can use the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from psycopg import sql

from adapters.postgresql.catalog import PgColumn
from engine.rulebook import Binding, Entity, Table
from engine.vocabulary import Text, WriteKind, WriteRow

KEY_SEPARATOR: Final = "\x1f"
"""Joins the values of a key to a record key."""


@dataclass(frozen=True, slots=True)
class Layout:
    """An entity's table in one system, as its statements need it."""

    entity: str
    schema: str
    name: str
    key: tuple[int, ...]
    """Field numbers of the key, in the entity's order."""
    fields: int
    """How many fields the entity has."""
    columns: Mapping[int, PgColumn]
    """By field number; a field that this system does not have is not in it."""

    def readable(self) -> tuple[int, ...]:
        """The fields of this system outside the key, ascending."""
        return tuple(number for number in sorted(self.columns) if number not in self.key)


@dataclass(frozen=True, slots=True)
class Statement:
    """One prepared form of a `Write`: its SQL, what it is to be given, and what it answers.

    Every form answers one row: (rows written, which, deviations). What the last two mean is told by its builder."""

    query: str
    picked: tuple[int, ...]
    """Positions in `Write.columns` of the values that are sent: key fields are taken from the key."""
    answers: tuple[int, ...]
    """Field numbers of the stored values in a deviation, in its order, after the key for an insert."""


def layout(entity: Entity, binding: Binding, table: Table, known: Mapping[str, PgColumn]) -> Layout:
    """Where `entity` lives in the system of `binding`. Raises KeyError, naming the column, if one is not known."""
    columns = {
        number: known[column] for column, number in zip(table.columns, binding.columns, strict=True)
    }
    return Layout(
        entity=entity.name, schema=table.schema, name=table.name, key=entity.key,
        fields=len(entity.fields), columns=columns,
    )  # fmt: skip


def statement(kind: WriteKind, place: Layout, columns: tuple[int, ...]) -> Statement:
    """The SQL that executes a `Write` of `kind` with these field numbers."""
    picked = tuple(at for at, number in enumerate(columns) if number not in place.key)
    fields = tuple(columns[at] for at in picked)
    match kind:
        case "update":
            return Statement(_update(place, fields), picked, fields)
        case "insert":
            unset = tuple(number for number in place.readable() if number not in fields)
            return Statement(_insert(place, fields, unset), picked, fields + unset)
        case "delete":
            return Statement(_delete(place, fields), picked, ())
        case _:
            assert_never(kind)


def parameters(kind: WriteKind, made: Statement, rows: Sequence[WriteRow]) -> list[str]:
    """What a statement of `kind` is to be given for these rows: array literals, and the number of rows.

    The order is that of its parameters: keys, then new values, then held ones."""
    _, _, keys, new, held = zip(*rows, strict=True)
    literals = [array_literal(column) for column in zip(*keys, strict=True)]
    if kind != "delete":
        literals += _picked_literals(new, made.picked)
    if kind != "insert":
        literals += _picked_literals(held, made.picked)
    literals.append(str(len(rows)))
    return literals


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


def read_all(place: Layout, utf8_order: bool) -> sql.Composed:
    """All rows in the order of fields that are here, ascending by record key in code point order.

    `utf8_order`: the server's own encoding does not sort by code point, so keys are sorted as UTF-8."""
    parts = [printed(place.columns[number]) for number in place.key]
    key = sql.SQL(" || E'\\x1f' || ").join(parts)
    order = sql.SQL("convert_to({}, 'UTF8')") if utf8_order else sql.SQL('({}) COLLATE "C"')
    return sql.SQL("SELECT {} FROM {} AS t ORDER BY {}").format(
        _printed_list(place, sorted(place.columns)), _table(place), order.format(key)
    )


def read_by_key(place: Layout, mode: Literal["lock", "look"]) -> sql.Composed:
    """The rows of the given keys (one array parameter a key column), in the order of fields that are here.

    `lock`: takes each row's lock and leaves out the rows that somebody else has locked."""
    tail = sql.SQL(" FOR NO KEY UPDATE OF t SKIP LOCKED" if mode == "lock" else "")
    return sql.SQL("SELECT {} FROM {} AS t, {} WHERE {}{}").format(
        _printed_list(place, sorted(place.columns)), _table(place),
        _unnest(1, _names("k", len(place.key))), _key_matches(place), tail,
    )  # fmt: skip


def lockable(place: Layout, kind: WriteKind) -> sql.Composed:
    """Of the given keys: (ordinals of the rows that are there, of those among them whose lock we now have)."""
    strength = sql.SQL("UPDATE" if kind == "delete" else "NO KEY UPDATE")
    return sql.SQL(
        "WITH locked AS (SELECT u.ord FROM {table} AS t, {given} WHERE {matches} FOR {strength} OF t SKIP LOCKED)"
        " SELECT (SELECT array_agg(u.ord) FROM {table} AS t, {given} WHERE {matches}),"
        " (SELECT array_agg(ord) FROM locked)"
    ).format(
        table=_table(place), given=_unnest(1, _names("k", len(place.key))),
        matches=_key_matches(place), strength=strength,
    )  # fmt: skip


def printed(column: PgColumn, alias: str = "t") -> sql.Composable:
    """A column as its type's output function prints it, which is what the log shows: `::text` differs from that
    for some types (`true` for `t`, `char(n)` without its padding)."""
    name = sql.Identifier(alias, column.shape.name)
    if column.cast_differs:
        return sql.SQL("pg_catalog.textin({}({}))").format(sql.Identifier(*column.output), name)
    return sql.SQL("{}::pg_catalog.text").format(name)


def _update(place: Layout, fields: tuple[int, ...]) -> str:
    """Answers: how many rows were written; their ordinals, if not all; [ordinal, [stored text, ...]] of each row
    where something else is stored than was sent."""
    keys, new, held = _names("k", len(place.key)), _names("n", len(fields)), _names("h", len(fields))
    columns = [place.columns[number] for number in fields]
    guards = [
        sql.SQL('{} COLLATE "C" IS NOT DISTINCT FROM {}').format(printed(column), sql.Identifier("u", name))
        for column, name in zip(columns, held, strict=True)
    ]
    deviates = [
        sql.SQL('{} COLLATE "C" IS DISTINCT FROM {}').format(printed(column), sql.Identifier("u", name))
        for column, name in zip(columns, new, strict=True)
    ]
    return _text(
        sql.SQL(
            "WITH done AS (UPDATE {table} AS t SET {assigned} FROM {given} WHERE {guards}"
            " RETURNING u.ord, CASE WHEN {deviates} THEN ARRAY[{stored}] END AS stored)"
            " SELECT count(*), CASE WHEN count(*) < {rows}::int8 THEN array_agg(ord) END,"
            " json_agg(json_build_array(ord, stored)) FILTER (WHERE stored IS NOT NULL) FROM done"
        ).format(
            table=_table(place),
            assigned=_comma(_assigned(column, name) for column, name in zip(columns, new, strict=True)),
            given=_unnest(1, keys + new + held),
            guards=sql.SQL(" AND ").join([_key_matches(place), *guards]),
            deviates=sql.SQL(" OR ").join(deviates),
            stored=_comma(map(printed, columns)),
            rows=_number(len(keys) + 2 * len(fields) + 1),
        )
    )


def _insert(place: Layout, fields: tuple[int, ...], unset: tuple[int, ...]) -> str:
    """Answers: how many rows were written; NULL; and, unless every row is stored as it was sent and nothing was
    left to a default, for each row written [key text, ..., stored text, ..., stored text of unset fields, ...].

    An INSERT cannot return the ordinal of what it inserted: rows are told by their keys. So the key is compared
    too, and a key that the target stores differently is a deviation."""
    keys, new = _names("k", len(place.key)), _names("n", len(fields))
    given = [*(place.columns[number] for number in place.key), *(place.columns[number] for number in fields)]
    every = [*given, *(place.columns[number] for number in unset)]
    sent, stored = keys + new, _names("s", len(every))
    same = [
        sql.SQL("array_agg({}) IS NOT DISTINCT FROM {}::pg_catalog.text[]").format(sql.Identifier(name), _number(at))
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
            columns=_comma(sql.Identifier(column.shape.name) for column in given),
            overriding=sql.SQL(" OVERRIDING SYSTEM VALUE" if any(c.identity_always for c in given) else ""),
            values=_comma(_cast(column, name) for column, name in zip(given, sent, strict=True)),
            given=_unnest(1, sent),
            key=_comma(sql.Identifier(place.columns[number].shape.name) for number in place.key),
            returned=_comma(
                sql.SQL("{} AS {}").format(printed(column), sql.Identifier(name))
                for column, name in zip(every, stored, strict=True)
            ),
            same=sql.SQL("false") if unset else sql.SQL(" AND ").join(same),
            stored=_comma(sql.Identifier(name) for name in stored),
            rows=_number(len(sent) + 1),
        )
    )


def _delete(place: Layout, fields: tuple[int, ...]) -> str:
    """Answers: how many rows were removed; their ordinals, if not all; NULL."""
    keys, held = _names("k", len(place.key)), _names("h", len(fields))
    guards = [
        sql.SQL('{} COLLATE "C" IS NOT DISTINCT FROM {}').format(
            printed(place.columns[number]), sql.Identifier("u", name)
        )
        for number, name in zip(fields, held, strict=True)
    ]
    return _text(
        sql.SQL(
            "WITH done AS (DELETE FROM {table} AS t USING {given} WHERE {guards} RETURNING u.ord)"
            " SELECT count(*), CASE WHEN count(*) < {rows}::int8 THEN array_agg(ord) END, NULL FROM done"
        ).format(
            table=_table(place),
            given=_unnest(1, keys + held),
            guards=sql.SQL(" AND ").join([_key_matches(place), *guards]),
            rows=_number(len(keys) + len(fields) + 1),
        )
    )


def _key_matches(place: Layout) -> sql.Composed:
    """The row of a key: found natively (the index), and told apart by its text where the type is laxer."""
    parts: list[sql.Composable] = []
    for at, number in enumerate(place.key, 1):
        column = place.columns[number]
        name = "k" + str(at)
        parts.append(
            sql.SQL('{}={} AND {} COLLATE "C" = {}').format(
                sql.Identifier("t", column.shape.name), _cast(column, name),
                printed(column), sql.Identifier("u", name),
            )
        )
    return sql.SQL(" AND ").join(parts)


def _cast(column: PgColumn, name: str) -> sql.Composed:
    return sql.SQL("{}::{}").format(sql.Identifier("u", name), sql.Identifier(*column.base))


def _assigned(column: PgColumn, name: str) -> sql.Composed:
    return sql.SQL("{} = {}").format(sql.Identifier(column.shape.name), _cast(column, name))


def _unnest(first: int, names: Sequence[str]) -> sql.Composed:
    """The parameters from number `first` on, as the columns of rows `u`, numbered by `ord` from 1."""
    arrays = _comma(sql.SQL("{}::pg_catalog.text[]").format(_number(first + at)) for at in range(len(names)))
    columns = _comma(sql.Identifier(name) for name in (*names, "ord"))
    return sql.SQL("unnest({}) WITH ORDINALITY AS u({})").format(arrays, columns)


def _printed_list(place: Layout, numbers: Sequence[int]) -> sql.Composed:
    return _comma(printed(place.columns[number]) for number in numbers)


def _table(place: Layout) -> sql.Identifier:
    return sql.Identifier(place.schema, place.name)


def _comma(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _names(letter: str, count: int) -> list[str]:
    return [letter + str(at) for at in range(1, count + 1)]


def _number(at: int) -> sql.SQL:
    """The parameter number `at`, as the server writes it."""
    return sql.SQL("$" + str(at))


def _text(query: sql.Composed) -> str:
    return query.as_string()


def _picked_literals(rows: Sequence[Sequence[Any]], picked: tuple[int, ...]) -> list[str]:
    columns = list(zip(*rows, strict=True))
    return [array_literal(columns[at]) for at in picked]


def _careful_literal(values: Sequence[Text]) -> str:
    quoted = [
        "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for value in values
    ]
    return "{" + ",".join(quoted) + "}"
