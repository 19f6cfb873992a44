"""Turns compiled rules into the least rights that our role needs in a system, and those into GRANTs.

Pure. Ownership shows here: a column that only its own system may write is not ours to UPDATE, and so the database
itself refuses it. Nothing is granted on what the rules do not bind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from psycopg import sql

from engine.rulebook import Binding, RuleBook, Table

ORIGIN_FUNCTION: Final = "pg_catalog.pg_replication_origin_session_setup(text)"


@dataclass(frozen=True, slots=True)
class TableRights:
    """What our role has to be able to do with one bound table."""

    table: Table
    insert: tuple[str, ...]
    """Columns we may give a new row; empty: we never insert."""
    update: tuple[str, ...]
    """Columns we may change."""
    delete: bool
    lock: tuple[str, ...] = ()
    """The key, where there is no column that we may change: reading a row again takes its lock, and PostgreSQL lets
    only those lock a row who may UPDATE one of its columns. Nothing ever sets it."""


def rights(book: RuleBook, system: str) -> list[TableRights]:
    """The rights needed in `system`, by table, in the order of `RuleBook.tables`."""
    pairs = zip(book.bound[system], book.tables[system], strict=True)
    return [_table_rights(book, system, binding, table) for binding, table in pairs]


def grants(book: RuleBook, system: str, role: str, sequences: Iterable[str] = ()) -> list[str]:
    """The SQL that gives `role` what it needs to read the log and to write, and nothing else.

    `sequences`: those that number columns which we leave to their defaults, as SQL writes them. To be run by the
    tables' owner after `duolog setup`; ALTER ROLE and the function need a superuser."""
    who = sql.Identifier(role)
    schemas = sorted({table.schema for table in book.tables[system]} | {"duolog"})
    made: list[sql.Composed] = [sql.SQL("ALTER ROLE {} LOGIN REPLICATION").format(who)]
    made += [sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), who) for schema in schemas]
    for needed in rights(book, system):
        name = sql.Identifier(needed.table.schema, needed.table.name)
        made += [sql.SQL("GRANT {} ON {} TO {}").format(right, name, who) for right in _words(needed)]
    made += [sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.SQL(name), who) for name in sequences]
    made.append(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON duolog.ledger TO {}").format(who))
    function = sql.SQL(ORIGIN_FUNCTION)
    made.append(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(function, who))
    return [statement.as_string() + ";" for statement in made]


def _table_rights(book: RuleBook, system: str, binding: Binding, table: Table) -> TableRights:
    entity = book.entities[binding.entity]
    others = [name for name in entity.bindings if name != system]
    owners = {number: register.owner for register in entity.registers for number in register.fields}
    restored = entity.delete.get(system) == "restore" or not entity.delete_wins
    inserts = restored or any(name in entity.create for name in others)
    updated = tuple(
        column
        for column, number in zip(table.columns, binding.columns, strict=True)
        if number not in entity.key and owners.get(number) != system
    )
    if not others:
        updated = ()
    return TableRights(
        table,
        insert=table.columns if inserts and others else (),
        update=updated,
        delete=any(entity.delete.get(name) == "propagate" for name in others),
        lock=() if updated else tuple(table.columns[place] for place in table.key[:1]),
    )


def _words(needed: TableRights) -> list[sql.Composable]:
    """`SELECT`, `INSERT (a, b)`, ..."""
    words: list[sql.Composable] = [sql.SQL("SELECT")]
    for verb, columns in (("INSERT", needed.insert), ("UPDATE", needed.update or needed.lock)):
        if columns:
            listed = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
            words.append(sql.SQL("{} ({})").format(sql.SQL(verb), listed))
    return [*words, sql.SQL("DELETE")] if needed.delete else words
