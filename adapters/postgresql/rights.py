"""Turns the rights that our role needs in a system into PostgreSQL's GRANTs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from psycopg import sql

from adapters.postgresql.degraded import TABLE
from adapters.postgresql.setting import rights as waiting_rights
from adapters.relational.rights import TableRights
from adapters.relational.rights import rights as needed_rights
from engine.rulebook import RuleBook

NEXTVAL: Final = re.compile(r"nextval\(\s*'((?:[^']|'')+)'", re.IGNORECASE)

ORIGIN_FUNCTION: Final = "pg_catalog.pg_replication_origin_session_setup(text)"


def rights(book: RuleBook, system: str) -> list[TableRights]:
    """The rights needed in `system`, by table, in the order of `RuleBook.tables`."""
    return needed_rights(book, system, NEXTVAL.findall)


def grants(
    book: RuleBook, system: str, role: str, sequences: Iterable[str] = (), *, version: int = 180_000
) -> list[str]:
    """The SQL that gives `role` what it needs to read the log and to write, and nothing else.

    `sequences`: those that number columns which we leave to their defaults, as SQL writes them. `version`: the
    server's, as `server_version_num`. To be run by the tables' owner after `duolog setup`; ALTER ROLE, the functions,
    the parameter and the predefined role need a superuser."""
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
    if system in book.synchronous:
        made.append(sql.SQL("GRANT SELECT, INSERT, UPDATE ON {} TO {}").format(sql.SQL(TABLE), who))
    needed_to_wait = waiting_rights(who.as_string(), version) if system in book.synchronous else []
    return [statement.as_string() + ";" for statement in made] + needed_to_wait


def _words(needed: TableRights) -> list[sql.Composable]:
    """`SELECT`, `INSERT (a, b)`, ..."""
    words: list[sql.Composable] = [sql.SQL("SELECT")]
    for verb, columns in (("INSERT", needed.insert), ("UPDATE", needed.update or needed.lock)):
        if columns:
            listed = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
            words.append(sql.SQL("{} ({})").format(sql.SQL(verb), listed))
    return [*words, sql.SQL("DELETE")] if needed.delete else words
