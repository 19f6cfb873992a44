"""Which schema a table is in whose name the rules write alone: the default one of its kind of database.

Turns the models of a file into the same with the schema of every table, where it is not `ruling.DEFAULT_SCHEMA`: in
MariaDB and MySQL a schema is a database, and the address names one. It judges nothing, and knows no catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from rules.addresses import database, database_of
from rules.odbc import ODBC
from rules.ruling import DEFAULT_SCHEMA, columns_of
from rules.secrets import Secret
from rules.syntax import ColumnSyntax, EntitySyntax, FieldSyntax, FileSyntax, LookupSyntax, PartSyntax, TableSyntax

NAMED_BY_ADDRESS: Final = frozenset({"mariadb", "mysql"})
"""Kinds of databases whose addresses name the default schema."""

OWN_DEFAULT: Final[Mapping[str, str]] = {"mssql": "dbo", "sqlite": "main"}
"""By kind of database: the default schema. Of those neither here nor above it is `ruling.DEFAULT_SCHEMA`."""

UNKNOWN: Final = ""
"""Stands for the default schema of a database of which the address does not tell what it is. No schema is called so."""

NOT_KNOWN: Final = "…"
"""Stands for the database of an address that is not known, as where the rules are read without an environment."""

Named = TypeVar("Named", TableSyntax, PartSyntax, LookupSyntax)


def qualified(syntax: FileSyntax, systems: Mapping[str, Secret]) -> FileSyntax:
    """The same rules, with the kind of each database, and the schema of each table that is named alone. `systems`: the
    addresses that are known."""
    kinds = {name: database_of(entry.adapter, systems.get(name)) for name, entry in syntax.systems.items()}
    known = {name: entry.of(kinds[name]) for name, entry in syntax.systems.items()}
    schemas = {
        name: default_schema(syntax.systems[name].adapter, systems.get(name))
        for name, kind in kinds.items()
        if kind in NAMED_BY_ADDRESS or kind in OWN_DEFAULT or kind == ODBC
    }
    syntax = syntax.model_copy(update={"systems": known})
    if not schemas:
        return syntax
    entities = {name: _entity(entity, schemas) for name, entity in syntax.entities.items()}
    return syntax.model_copy(update={"entities": entities})


def default_schema(adapter: str, url: Secret | None) -> str:
    """The schema of a table that is named alone. `adapter`: the word of the rules; `url`: None if it is not known."""
    kind = database_of(adapter, url)
    if kind in OWN_DEFAULT:
        return OWN_DEFAULT[kind]
    if kind not in NAMED_BY_ADDRESS and kind != ODBC:
        return DEFAULT_SCHEMA
    if url is None:
        return NOT_KNOWN
    return UNKNOWN if kind == ODBC else database(url)


def _entity(entity: EntitySyntax, schemas: Mapping[str, str]) -> EntitySyntax:
    bind = {
        system: _table(words, schemas[system]) if system in schemas else words for system, words in entity.bind.items()
    }
    fields = {name: _field(entity, field, schemas) for name, field in entity.fields.items()}
    return entity.model_copy(update={"bind": bind, "fields": fields})


def _table(words: TableSyntax, schema: str) -> TableSyntax:
    parts = {name: _named(part, schema) for name, part in words.parts.items()}
    return _named(words, schema).model_copy(update={"parts": parts})


def _field(entity: EntitySyntax, field: FieldSyntax, schemas: Mapping[str, str]) -> FieldSyntax:
    """Only code tables are named in fields."""
    changed: dict[str, ColumnSyntax] = {}
    for system, column in columns_of(entity, field).items():
        if system in schemas and column.lookup is not None:
            changed[system] = column.model_copy(update={"lookup": _named(column.lookup, schemas[system])})
    return field.model_copy(update={"columns": {**field.columns, **changed}}) if changed else field


def _named(words: Named, schema: str) -> Named:
    """A name with a dot says its schema itself."""
    if words.schema_ is not None or "." in words.table:
        return words
    said: dict[str, Any] = {"schema_": schema}
    return words.model_copy(update=said)
