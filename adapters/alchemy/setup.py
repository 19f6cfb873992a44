"""Turns compiled rules into what has to exist in a database before duolog can write it, and takes it away again.

That is only the ledger. What is there already is left alone. It never touches the application's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema, CreateTable, DropSchema, DropTable

from adapters.alchemy.catalog import read_columns
from adapters.alchemy.ledger import Ledger
from adapters.alchemy.rights import rights
from adapters.alchemy.session import Session
from adapters.relational.judging import SetupStep
from adapters.relational.rights import TableRights
from engine.rulebook import RuleBook, Table


def statements(session: Session, ledger: sa.Table) -> list[SetupStep]:
    """All that has to be there, in the order in which it has to be made; `done` where it is.

    Raises sqlalchemy.exc.DBAPIError."""
    steps = []
    if ledger.schema:
        create = str(CreateSchema(ledger.schema).compile(dialect=session.dialect)).strip()
        steps.append(SetupStep(f"schema `{ledger.schema}`", create, _has_schema(session, ledger.schema)))
    create = str(CreateTable(ledger).compile(dialect=session.dialect)).strip()
    steps.append(SetupStep(f"table `{named(ledger)}`", create, is_there(session, ledger)))
    return steps


def setup(session: Session, ledger: sa.Table, told: Callable[[SetupStep], None]) -> list[SetupStep]:
    """Makes what is missing, and answers what it made; `told` hears of each step before it is done.

    Raises sqlalchemy.exc.DBAPIError."""
    missing = [step for step in statements(session, ledger) if not step.done]
    for step in missing:
        told(step)
        with session.transaction() as conn:
            conn.exec_driver_sql(step.sql)
    return missing


def teardown(session: Session, ledger: Ledger) -> list[str]:
    """Takes away what `setup` made, and answers what that was. The ledger stays while another engine's rows are in it,
    a schema while anything is. Raises sqlalchemy.exc.DBAPIError."""
    with session.transaction() as conn:
        ledger.remove(conn)
        if not ledger.is_empty(conn):
            return []
    with session.transaction() as conn:
        conn.execute(DropTable(ledger.table))
    gone = [f"table `{named(ledger.table)}`"]
    schema = ledger.table.schema
    if schema and not _has_anything(session, schema):
        with session.transaction() as conn:
            conn.execute(DropSchema(schema))
        gone.append(f"schema `{schema}`")
    return gone


def is_there(session: Session, ledger: sa.Table) -> bool:
    """True if the ledger is there. Raises sqlalchemy.exc.DBAPIError."""
    with session.transaction() as conn:
        return bool(sa.inspect(conn).has_table(ledger.name, schema=ledger.schema))


def named(ledger: sa.Table) -> str:
    """The ledger's name as our sentences write it."""
    return ".".join(filter(None, (ledger.schema, ledger.name)))


def rows_about(session: Session, book: RuleBook) -> list[int]:
    """By table number: how many rows it has; 0 if there is no such table. Raises sqlalchemy.exc.DBAPIError."""
    names = [(table.schema, table.name) for table in book.tables[session.system]]
    known = read_columns(session, names)
    found = []
    with session.transaction() as conn:
        for name in names:
            columns = list(known.get(name, {}).values())
            asked = sa.select(sa.func.count()).select_from(columns[0].table) if columns else None
            found.append(int(conn.execute(asked).scalar_one()) if asked is not None else 0)
    return found


def grants(session: Session, book: RuleBook, role: str, ledger: sa.Table) -> list[str]:
    """The SQL that gives a role what it needs to write, and nothing else; rights on a log are the log reader's affair.
    By table, as not every database has rights by column. SQLite has none."""
    if session.can.locking == "whole":
        return []
    prepare = session.dialect.identifier_preparer
    who = prepare.quote(role)
    made = []
    needed_rights = rights(book, session.system)
    numbered = numbers_given(session, needed_rights)
    for needed in needed_rights:
        name = prepare.format_table(sa.table(needed.table.name, schema=needed.table.schema))
        verbs = ["SELECT", *(["INSERT"] if needed.insert else []), "UPDATE", *(["DELETE"] if needed.delete else [])]
        verbs += ["ALTER"] if needed.table in numbered else []
        made.append(" ".join(("GRANT", ", ".join(verbs), "ON", name, "TO", who)) + ";")
    name = prepare.format_table(ledger)
    return [*made, " ".join(("GRANT SELECT, INSERT, UPDATE, DELETE ON", name, "TO", who)) + ";"]


def numbers_given(session: Session, needed: Sequence[TableRights]) -> list[Table]:
    """The tables which number their rows, whose numbers we say ourselves, and where that needs a right. Raises
    sqlalchemy.exc.DBAPIError."""
    if not session.can.numbering:
        return []
    known = read_columns(session, [(each.table.schema, each.table.name) for each in needed])
    found = []
    for each in needed:
        live = known.get((each.table.schema, each.table.name), {})
        said = [name for name in each.insert if name in live and live[name].numbered]
        if said and not each.numbers:  # keys of its own making: it makes them
            found.append(each.table)
    return found


def _has_schema(session: Session, schema: str) -> bool:
    with session.transaction() as conn:
        return schema.lower() in {str(name).lower() for name in sa.inspect(conn).get_schema_names()}


def _has_anything(session: Session, schema: str) -> bool:
    with session.transaction() as conn:
        inspector = sa.inspect(conn)
        return bool(inspector.get_table_names(schema=schema) or inspector.get_view_names(schema=schema))
