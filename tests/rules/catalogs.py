"""Catalogs for tests, written as a DBA writes a table: `id int key, name varchar(10), stage enum stage(new, old)`.

Behind a type may stand `generated`, `not null`, `default`, `unique`, and `key` for a column of the primary key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.catalog import Catalog, Column, TableShape

_WORDS = "(?: generated| not null| default| unique| key)*"
_COLUMN = re.compile(r"\s*(?P<name>\"[^\"]*\"|\S+)\s+(?P<type>.+?)" + rf"(?P<words>{_WORDS})\s*$")
_ENUM = re.compile(r"enum (?P<name>\w+)\((?P<labels>.*)\)")
_SIZED = re.compile(r"(?P<base>[a-z ]+?)\((?P<first>-?\d+)(?:,(?P<second>-?\d+))?\)(?P<zone> with(out)? time zone)?")
_ALIASES = {
    "varchar": "character varying", "char": "character", "int": "integer", "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone", "timetz": "time with time zone", "time": "time without time zone",
    "float8": "double precision", "float4": "real", "bool": "boolean",
}  # fmt: skip
_FAMILIES = {
    "character varying": "text", "character": "text", "text": "text", "citext": "text", "smallint": "integer",
    "integer": "integer", "bigint": "integer", "numeric": "numeric", "boolean": "boolean", "date": "date",
    "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
    "time without time zone": "time", "time with time zone": "time", "interval": "interval", "uuid": "uuid",
    "bytea": "bytes", "json": "json", "jsonb": "json", "real": "float", "double precision": "float",
}  # fmt: skip
_BITS = {"smallint": 16, "integer": 32, "bigint": 64}


def column(text: str) -> Column:
    """`name type`, and what else there is to say of it."""
    match = _COLUMN.fullmatch(text)
    assert match is not None, text
    name, type_, generated = match["name"].strip('"'), match["type"], "generated" in match["words"]
    nullable, default = not {"not", "key"} & set(match["words"].split()), "default" in match["words"]
    enum = _ENUM.fullmatch(type_)
    if enum is not None:
        labels = tuple(label.strip() for label in enum["labels"].split(","))
        return Column(name, enum["name"], "enum", nullable, labels=labels, generated=generated, default=default)
    if type_.endswith("[]"):
        return Column(name, type_, "array", nullable, generated=generated, default=default)
    sized = _SIZED.fullmatch(type_)
    base = sized["base"] if sized else type_
    full = _ALIASES.get(base, base)
    first = int(sized["first"]) if sized else None
    second = int(sized["second"]) if sized and sized["second"] else None
    family = _FAMILIES.get(full, "other")
    printed = full
    if sized is not None:
        head, _, tail = full.partition(" with")
        inside = sized[0][len(base) : sized[0].index(")") + 1]
        printed = f"{head}{inside} with{tail}" if tail else full + inside
    return Column(
        name, printed, family, nullable, generated=generated, default=default, exact=full != "citext",
        length=first if family == "text" else None,
        precision=first if family == "numeric" else _BITS.get(full),
        padded="blanks" if full == "character" and sized else "",
        scale=(second or 0) if family == "numeric" and sized else first if "time" in family else None,
    )  # fmt: skip


def catalog(system: str, tables: dict[str, str]) -> Catalog:
    """`{"public.customer": "no integer, name text"}`"""
    shapes = {}
    for dotted, columns in tables.items():
        schema, name = dotted.split(".", 1)
        texts = list(_split(columns))
        listed = [column(text) for text in texts]
        key = tuple(found.name for found, text in zip(listed, texts, strict=True) if _says(text, "key"))
        unique = [(found.name,) for found, text in zip(listed, texts, strict=True) if _says(text, "unique")]
        columns_found = {found.name: found for found in listed}
        shapes[schema, name] = TableShape(
            schema, name, "table", columns_found, key, tuple(([key] if key else []) + unique)
        )
    return Catalog(system, shapes, tuple(shapes))


def _says(text: str, word: str) -> bool:
    match = _COLUMN.fullmatch(text)
    return match is not None and word in match["words"].split()


def _split(columns: str) -> Iterable[str]:
    """At the commas outside parentheses."""
    return re.split(r",\s*(?![^(]*\))", columns)
