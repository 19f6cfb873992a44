"""Turns the `CREATE TABLE` that a server shows into what its information schema hides from a user who may only read.

Pure. Which texts are JSON (MariaDB checks it), and what foreign keys do by themselves, the information schema tells
only users with further rights; the statement is shown to everybody who may read the table. It reads lines as the
servers print them, and no SQL that a person wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from adapters.relational.live import ForeignKey, TableName


@dataclass(frozen=True, slots=True)
class MariaForeignKey(ForeignKey):
    """A foreign key, and what the database does by itself when the row goes or changes that it refers to.

    What it does so is in no binlog."""

    name: str
    on_update: str
    """`RESTRICT`, `NO ACTION`, `CASCADE`, `SET NULL`, `SET DEFAULT`."""
    on_delete: str


@dataclass(frozen=True, slots=True)
class Created:
    """What the statement says besides columns and indexes."""

    documents: frozenset[str]
    """Columns that are checked to be JSON."""
    foreign_keys: tuple[MariaForeignKey, ...]


_NAME: Final = r"`((?:[^`]|``)+)`"
_FOREIGN_KEY: Final = re.compile(
    rf"  CONSTRAINT {_NAME} FOREIGN KEY \((.+?)\) REFERENCES (?:{_NAME}\.)?{_NAME} \((.+?)\)"
    r"(?: ON DELETE (CASCADE|SET NULL|SET DEFAULT|NO ACTION|RESTRICT))?"
    r"(?: ON UPDATE (CASCADE|SET NULL|SET DEFAULT|NO ACTION|RESTRICT))?,?"
)
_DOCUMENT: Final = re.compile(
    rf"  (?:CONSTRAINT {_NAME} CHECK|{_NAME} (?:long|medium|tiny)?(?:text|varchar)\b.* CHECK)"
    rf" \(json_valid\({_NAME}\)\),?"
)
_UNSAID: Final = "RESTRICT"
"""What is not said to happen does not."""


def created(table: TableName, statement: str) -> Created:
    """What `SHOW CREATE TABLE` says of a table."""
    lines = statement.split("\n")
    keys = [found for line in lines if (found := _FOREIGN_KEY.fullmatch(line)) is not None]
    checks = [found for line in lines if (found := _DOCUMENT.fullmatch(line)) is not None]
    return Created(
        documents=frozenset(_plain(check[3]) for check in checks if check[2] in (None, check[3])),
        foreign_keys=tuple(_foreign_key(table, key) for key in keys),
    )


def _foreign_key(table: TableName, said: re.Match[str]) -> MariaForeignKey:
    name, columns, schema, other, other_columns, on_delete, on_update = said.groups()
    return MariaForeignKey(
        table=table,
        columns=_names(columns),
        other=(_plain(schema) if schema is not None else table[0], _plain(other)),
        other_columns=_names(other_columns),
        name=_plain(name),
        on_update=on_update or _UNSAID,
        on_delete=on_delete or _UNSAID,
    )


def _names(listed: str) -> tuple[str, ...]:
    return tuple(_plain(name) for name in re.findall(_NAME, listed))


def _plain(name: str) -> str:
    return name.replace("``", "`")
