"""Turns compiled rules into what has to exist on a MariaDB or MySQL server before duolog can run, and takes it away
again.

That is only the ledger, in a database of its own: the log is the server's, and is kept as long as the server keeps it.
What is there already is left alone, so that it may be run any number of times. It never touches the application's
tables or the server's settings: what they lack is told (`duolog check` shows the SQL), never set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pymysql

from adapters.mariadb import alone, ledger
from adapters.mariadb.facts import ledger_state
from adapters.mariadb.names import DATABASE
from adapters.mariadb.phrases import quoted
from adapters.mariadb.session import Connection, ask, execute, text_literal, translate
from adapters.relational.judging import SetupStep
from engine.errors import SystemUnavailable
from engine.rulebook import RuleBook

NAMED: Final = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = {name}"
WHATEVER: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = {name} LIMIT 1"
ANY_ROW: Final = f"SELECT 1 FROM {quoted(*ledger.TABLE)} LIMIT 1"
DROP_LEDGER: Final = f"DROP TABLE {quoted(*ledger.TABLE)}"
DROP_DATABASE: Final = f"DROP DATABASE {quoted(DATABASE)}"


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """What is there already."""

    database: bool = False
    ledger: bool = False


def statements(facts: SetupFacts) -> list[SetupStep]:
    """All that has to be there, in the order in which it has to be made; `done` where it is. Pure."""
    return [
        SetupStep(f"database `{DATABASE}`", ledger.CREATE_DATABASE, facts.database),
        SetupStep(f"table `{'.'.join(ledger.TABLE)}`", ledger.CREATE, facts.ledger),
    ]


def read_facts(conn: Connection) -> SetupFacts:
    """What is there, as far as our user may see it. Raises pymysql.MySQLError."""
    there = ledger_state(conn) == "there"
    return SetupFacts(there or bool(ask(conn, NAMED.format(name=text_literal(DATABASE)))), there)


def setup(conn: Connection, system: str, *, told: Callable[[SetupStep], None] | None = None) -> list[SetupStep]:
    """Makes what is missing, and answers what it made; `told` hears of each step before it is done.

    Raises AccessDenied, SystemUnavailable, SystemStopped."""
    try:
        missing = [step for step in statements(read_facts(conn)) if not step.done]
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
        if ledger_state(conn) != "there":
            return _drop_database(conn)
        execute(conn, ledger.forget_all(book.name, system))
        if ask(conn, ANY_ROW):
            return []
        execute(conn, DROP_LEDGER)
        return [f"table `{'.'.join(ledger.TABLE)}`", *_drop_database(conn)]
    except pymysql.MySQLError as error:
        raise translate(error, system) from None


def _refuse_running(conn: Connection, book: RuleBook, system: str) -> None:
    holder = alone.holder(conn, book.name, system)
    if holder is not None:
        raise SystemUnavailable(
            f"the engine `{book.name}` is at work here, with the connection {holder}", system=system,
            mend="stop duolog first",
        )  # fmt: skip


def _drop_database(conn: Connection) -> list[str]:
    """Unless somebody keeps something in it: another engine's ledger, or a DBA's own table."""
    name = text_literal(DATABASE)
    if not ask(conn, NAMED.format(name=name)) or ask(conn, WHATEVER.format(name=name)):
        return []
    execute(conn, DROP_DATABASE)
    return [f"database `{DATABASE}`"]
