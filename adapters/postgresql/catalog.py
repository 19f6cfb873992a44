"""Turns PostgreSQL's system catalogs into what the rules and the statements need to know of bound tables.

One query a question, for all tables at once, so that a thousand bound tables cost what one costs. It reads
`pg_catalog` only: never a row of the application's, and it needs no right on the tables themselves.

`read_catalog` gives the engine's own words (`engine.catalog`); `read_columns` gives what only this adapter needs
beside them: how a column's text is cast there and printed back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from adapters.relational.live import ForeignKey, TableName
from engine.catalog import Catalog, Column, TableShape

COLUMNS: Final = """
WITH RECURSIVE wanted AS (
    SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS wanted(schema, name)
), attribute AS (
    SELECT w.schema, w.name, a.*
    FROM wanted w
    JOIN pg_namespace n ON n.nspname = w.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
), based AS (  -- a domain is its base type, with the strictest that any level says
    SELECT a.attrelid, a.attnum, a.atttypid AS type, a.atttypmod AS modifier, a.attnotnull AS filled, false AS filler
    FROM attribute a
    UNION ALL
    SELECT b.attrelid, b.attnum, t.typbasetype,
           CASE WHEN b.modifier = -1 THEN t.typtypmod ELSE b.modifier END,
           b.filled OR t.typnotnull, b.filler OR t.typdefault IS NOT NULL
    FROM based b JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd'
)
SELECT a.schema, a.name AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
       tn.nspname AS base_schema, t.typname AS base_name, t.typtype AS kind, t.typcategory AS category,
       b.modifier, NOT b.filled AS nullable, a.attgenerated <> '' AS generated, a.attidentity AS identity,
       (a.atthasdef AND a.attgenerated = '') OR a.attidentity <> '' OR b.filler AS has_default,
       CASE WHEN a.attidentity <> '' THEN
           'pg_catalog.nextval(' || quote_literal(pg_get_serial_sequence(
               quote_ident(a.schema) || '.' || quote_ident(a.name), a.attname)) || '::pg_catalog.regclass)'
       WHEN a.attgenerated = '' THEN coalesce(
           (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
            WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
           (SELECT own.typdefault FROM pg_type own WHERE own.oid = a.atttypid AND own.typtype = 'd')) END AS made_by,
       coalesce(co.collisdeterministic, true) AS deterministic,
       EXISTS (SELECT FROM pg_cast WHERE castsource = t.oid AND casttarget = 'text'::regtype
               AND t.oid NOT IN ('varchar'::regtype, 'text'::regtype)) AS cast_differs,
       outn.nspname AS output_schema, outf.proname AS output_name,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels
FROM based b
JOIN attribute a USING (attrelid, attnum)
JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
JOIN pg_namespace tn ON tn.oid = t.typnamespace
JOIN pg_proc outf ON outf.oid = t.typoutput
JOIN pg_namespace outn ON outn.oid = outf.pronamespace
LEFT JOIN pg_collation co ON co.oid = a.attcollation
ORDER BY a.schema, a.name, a.attnum
"""

FOREIGN_KEYS: Final = """
SELECT w.schema, w.name, ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, place)
                               JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum
                               ORDER BY k.place) AS columns,
       n2.nspname AS other_schema, c2.relname AS other_name,
       ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k(attnum, place)
             JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum
             ORDER BY k.place) AS other_columns
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
JOIN pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f' AND f.conparentid = 0
JOIN pg_class c2 ON c2.oid = f.confrelid
JOIN pg_namespace n2 ON n2.oid = c2.relnamespace
ORDER BY w.schema, w.name, f.conname
"""

SHAPES: Final = """
SELECT w.schema, w.name, c.relkind AS kind, c.relpersistence AS persistence,
       ARRAY(SELECT array_to_json(ARRAY(
                 SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                 WHERE k.place <= i.indnkeyatts ORDER BY k.place))::text
             FROM pg_index i
             WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
               AND i.indpred IS NULL AND i.indexprs IS NULL
             ORDER BY i.indisprimary DESC, i.indexrelid) AS uniques,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary
               AND i.indimmediate AND i.indisvalid) AS has_primary
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

NAMES: Final = """
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND n.nspname <> 'duolog'
ORDER BY 1, 2
"""

FAMILIES: Final[Mapping[str, str]] = {
    "text": "text", "varchar": "text", "bpchar": "text", "name": "text", "char": "text", "citext": "text",
    "int2": "integer", "int4": "integer", "int8": "integer", "oid": "integer", "numeric": "numeric",
    "bool": "boolean", "date": "date", "time": "time", "timetz": "time", "timestamp": "timestamp",
    "timestamptz": "timestamptz", "interval": "interval", "uuid": "uuid", "bytea": "bytes", "json": "json",
    "jsonb": "json", "float4": "float", "float8": "float",
}  # fmt: skip
"""Canonical type by the name of a base type; what is not here is `enum`, `array` or `other`."""

INTEGER_BITS: Final[Mapping[str, int]] = {"int2": 16, "int4": 32, "int8": 64, "oid": 32}

KINDS: Final[Mapping[str, str]] = {
    "r": "table", "p": "partitioned", "v": "view", "m": "materialized view", "f": "foreign"
}
PERSISTENCES: Final[Mapping[str, str]] = {"u": "unlogged", "t": "temporary"}


@dataclass(frozen=True, slots=True)
class PgColumn:
    """What the statements need to know of one column, beside what the rules do."""

    shape: Column
    base: tuple[str, str]
    """(schema, name) of its type, domains resolved. Written without a modifier: an explicit cast to `varchar(3)`
    would cut silently, where assignment to the column refuses."""
    output: tuple[str, str]
    """(schema, name) of the type's output function."""
    cast_differs: bool
    """True if `::text` may print something else than the output function does (`bool`, `char(n)`, `inet`, ...)."""
    identity_always: bool
    made_by: str = ""
    """The SQL expression that makes the value of a row that is given none; empty: there is none."""


def read_catalog(conn: psycopg.Connection[Any], system: str, tables: Iterable[TableName]) -> Catalog:
    """What the server's catalog says of `tables`; those that do not exist are left out of the answer.

    Raises psycopg.Error."""
    wanted = list(dict.fromkeys(tables))
    columns = read_columns(conn, wanted)
    shapes: dict[TableName, TableShape] = {}
    for row in _ask(conn, SHAPES, wanted):
        uniques = tuple(tuple(_names(text)) for text in row["uniques"])
        name = (row["schema"], row["name"])
        shapes[name] = TableShape(
            schema=row["schema"],
            name=row["name"],
            kind=PERSISTENCES.get(row["persistence"]) or KINDS[row["kind"]],
            columns={column: known.shape for column, known in columns.get(name, {}).items()},
            primary_key=uniques[0] if row["has_primary"] else (),
            unique=uniques,
        )
    names = tuple((row["schema"], row["name"]) for row in _ask(conn, NAMES, []))
    return Catalog(system=system, tables=shapes, names=names)


def read_columns(
    conn: psycopg.Connection[Any], tables: Iterable[TableName]
) -> dict[TableName, dict[str, PgColumn]]:
    """The columns of `tables`, by table and name, in the table's own order. Raises psycopg.Error."""
    found: dict[TableName, dict[str, PgColumn]] = {}
    for row in _ask(conn, COLUMNS, list(dict.fromkeys(tables))):
        columns = found.setdefault((row["schema"], row["table"]), {})
        columns[row["column"]] = PgColumn(
            shape=_shape(row),
            base=(row["base_schema"], row["base_name"]),
            output=(row["output_schema"], row["output_name"]),
            cast_differs=row["cast_differs"],
            identity_always=row["identity"] == "a",
            made_by=row["made_by"] or "",
        )
    return found


def read_foreign_keys(conn: psycopg.Connection[Any], tables: Iterable[TableName]) -> tuple[ForeignKey, ...]:
    """The foreign keys of `tables`, wherever they lead. Raises psycopg.Error."""
    return tuple(
        ForeignKey(
            table=(row["schema"], row["name"]),
            columns=tuple(row["columns"]),
            other=(row["other_schema"], row["other_name"]),
            other_columns=tuple(row["other_columns"]),
        )
        for row in _ask(conn, FOREIGN_KEYS, list(dict.fromkeys(tables)))
    )


def family(base_name: str, kind: str, category: str) -> str:
    """The canonical type of a base type. `kind` and `category` as in `pg_type.typtype` and `typcategory`."""
    if kind == "e":
        return "enum"
    if category == "A":
        return "array"
    return FAMILIES.get(base_name, "other")


def measures(base_name: str, modifier: int) -> tuple[int | None, int | None, int | None]:
    """(length, precision, scale) that a type modifier stands for; None: no limit, or none that applies."""
    if base_name in ("varchar", "bpchar"):
        return (modifier - 4 if modifier >= 4 else None), None, None
    if base_name == "numeric" and modifier >= 4:
        scale = (modifier - 4) & 0x7FF
        return None, ((modifier - 4) >> 16) & 0xFFFF, (scale ^ 0x400) - 0x400  # 11 bits with a sign
    if base_name in ("time", "timetz", "timestamp", "timestamptz"):
        return None, None, modifier if modifier >= 0 else 6
    if base_name == "interval":
        digits = modifier & 0xFFFF
        return None, None, 6 if modifier < 0 or digits == 0xFFFF else digits
    if base_name == "name":
        return 63, None, None
    return (1 if base_name == "char" else None), INTEGER_BITS.get(base_name), None


def _shape(row: Mapping[str, Any]) -> Column:
    length, precision, scale = measures(row["base_name"], row["modifier"])
    return Column(
        name=row["column"],
        type=row["type"],
        family=family(row["base_name"], row["kind"], row["category"]),
        nullable=row["nullable"],
        length=length,
        precision=precision,
        scale=scale,
        generated=row["generated"],
        default=row["has_default"],
        labels=tuple(row["labels"]),
        exact=row["deterministic"] and row["base_name"] != "citext",
        padded="blanks" if row["base_name"] == "bpchar" and length is not None else "",
    )


def _ask(conn: psycopg.Connection[Any], query: str, tables: list[TableName]) -> list[dict[str, Any]]:
    parameters = {"schemas": [schema for schema, _ in tables], "names": [name for _, name in tables]}
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()


def _names(text: str) -> list[str]:
    """A JSON list of names: an array of arrays of different lengths does not exist in PostgreSQL."""
    return [str(name) for name in json.loads(text)]
