"""Turns compiled rules into what has to exist on a MariaDB or MySQL server before duolog can run, and takes it away
again.

That is only the ledger, and of a synchronous system the ranges in which its commits did not wait, in a database of
their own: the log is the server's, and is kept as long as the server keeps it.
What is there already is left alone, so that it may be run any number of times. It never touches the application's
tables or the server's settings: what they lack is told (`duolog check` shows the SQL), never set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pymysql

from adapters.mariadb import alone, degraded, ledger
from adapters.mariadb.facts import ledger_state
from adapters.mariadb.names import DATABASE
from adapters.mariadb.phrases import quoted
from adapters.mariadb.resume import read_end
from adapters.mariadb.session import Connection, ask, execute, text_literal, translate
from adapters.mariadb.synchronous import has_ranges, table_state
from adapters.relational.judging import SetupStep
from engine.errors import SystemUnavailable
from engine.rulebook import RuleBook
from engine.vocabulary import Position

NAMED: Final = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = {name}"
WHATEVER: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = {name} LIMIT 1"
ANY_ROW: Final = f"SELECT 1 FROM {quoted(*ledger.TABLE)} LIMIT 1"
DROP_LEDGER: Final = f"DROP TABLE {quoted(*ledger.TABLE)}"
ANY_RANGE: Final = f"SELECT 1 FROM {quoted(*degraded.TABLE)} LIMIT 1"
DROP_DEGRADED: Final = f"DROP TABLE {quoted(*degraded.TABLE)}"
DROP_DATABASE: Final = f"DROP DATABASE {quoted(DATABASE)}"


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """What is there already."""

    database: bool = False
    ledger: bool = False
    degraded: bool = False
    """The table of the ranges in which commits did not wait."""
    ranges: bool = False
    """It has some of this engine."""
    end: Position = 0
    """Where the log ends."""


def statements(book: RuleBook, system: str, facts: SetupFacts) -> list[SetupStep]:
    """All that has to be there, in the order in which it has to be made; `done` where it is. Pure."""
    steps = [
        SetupStep(f"database `{DATABASE}`", ledger.CREATE_DATABASE, facts.database),
        SetupStep(f"table `{'.'.join(ledger.TABLE)}`", ledger.CREATE, facts.ledger),
    ]
    if system in book.synchronous:
        table = f"table `{'.'.join(degraded.TABLE)}`"
        steps += [
            SetupStep(table, degraded.CREATE, facts.degraded),
            SetupStep(f"{table}: never armed yet", degraded.first(book.name, facts.end), facts.ranges),
        ]
    return steps


def read_facts(conn: Connection, book: RuleBook, system: str) -> SetupFacts:
    """What is there, as far as our user may see it. Raises pymysql.MySQLError."""
    there = ledger_state(conn) == "there"
    known = SetupFacts(there or bool(ask(conn, NAMED.format(name=text_literal(DATABASE)))), there)
    if system not in book.synchronous:
        return known
    return replace(known, degraded=table_state(conn) == "there", ranges=has_ranges(conn, book.name), end=read_end(conn))


def is_incomplete(conn: Connection, book: RuleBook, system: str) -> bool:
    """True if something is missing. Raises pymysql.MySQLError."""
    return any(not step.done for step in statements(book, system, read_facts(conn, book, system)))


def setup(
    conn: Connection, book: RuleBook, system: str, *, told: Callable[[SetupStep], None] | None = None
) -> list[SetupStep]:
    """Makes what is missing, and answers what it made; `told` hears of each step before it is done.

    Raises AccessDenied, SystemUnavailable, SystemStopped."""
    try:
        missing = [step for step in statements(book, system, read_facts(conn, book, system)) if not step.done]
        for step in missing:
            if told is not None:
                told(step)
            execute(conn, step.sql)
    except pymysql.MySQLError as error:
        raise translate(error, system) from None
    return missing


def teardown(conn: Connection, book: RuleBook, system: str) -> list[str]:
    """Takes away what `setup` made, and answers what that was; what is gone already is passed over.

    The ledger stays while another engine's rows are in it, the database while anything is. Raises SystemUnavailable,
    naming the connection, if the engine still runs: nobody is hung up on."""
    try:
        _refuse_running(conn, book, system)
        _forget_ranges(conn, book)
        if ledger_state(conn) != "there":
            return _drop_database(conn)
        for engine in {book.name, *book.engines}:
            execute(conn, ledger.forget_all(engine, system))
            execute(conn, ledger.forget_all(ledger.FENCE + engine, system))
        if ask(conn, ANY_ROW):
            return []
        execute(conn, DROP_LEDGER)
        gone = [f"table `{'.'.join(ledger.TABLE)}`"]
        if table_state(conn) == "there" and not ask(conn, ANY_RANGE):
            execute(conn, DROP_DEGRADED)
            gone.append(f"table `{'.'.join(degraded.TABLE)}`")
        return [*gone, *_drop_database(conn)]
    except pymysql.MySQLError as error:
        raise translate(error, system) from None


def _forget_ranges(conn: Connection, book: RuleBook) -> None:
    if has_ranges(conn, book.name):
        execute(conn, degraded.forget_all(book.name))


def _refuse_running(conn: Connection, book: RuleBook, system: str) -> None:
    """Raises SystemUnavailable if the engine is at work; pymysql.MySQLError."""
    for engine in book.engines:
        holder = alone.holder(conn, engine, system)
        if holder is not None:
            raise SystemUnavailable(
                f"the engine `{engine}` is at work here, with the connection {holder}", system=system,
                mend="stop duolog first",
            )  # fmt: skip


def _drop_database(conn: Connection) -> list[str]:
    """Unless somebody keeps something in it: another engine's ledger, or a DBA's own table."""
    name = text_literal(DATABASE)
    if not ask(conn, NAMED.format(name=name)) or ask(conn, WHATEVER.format(name=name)):
        return []
    execute(conn, DROP_DATABASE)
    return [f"database `{DATABASE}`"]
