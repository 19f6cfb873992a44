"""Turns a session into one that bears our mark, or that waits for others for some seconds, where a writer's waits for
nobody. Sends what the dialect has for that, and nothing else."""

from __future__ import annotations

import sqlalchemy as sa

from adapters.alchemy.session import Prepare
from adapters.changetable.tables import ours_of
from adapters.changetable.words import KNOWN
from engine.errors import NotSetUp


def brief(conn: sa.Connection) -> None:
    """Has the session wait for whoever stamps, but only for a moment for whoever has the whole database. Raises
    sqlalchemy.exc.DBAPIError."""
    patient(conn)
    words = KNOWN.get(conn.dialect.name)
    for statement in words.brief if words is not None else ():
        conn.exec_driver_sql(statement)


def patient(conn: sa.Connection) -> None:
    """Has the session wait for a lock, but not for ever. Raises sqlalchemy.exc.DBAPIError."""
    words = KNOWN.get(conn.dialect.name)
    for statement in words.patience if words is not None else ():
        conn.exec_driver_sql(statement)


def marking(system: str, engine: str) -> Prepare:
    """Has a session write as this engine: the triggers note it."""

    def mark(conn: sa.Connection) -> None:
        made = ours_of(conn.dialect, system)
        if not sa.inspect(conn).has_table(made.change.name, schema=made.change.schema):
            raise NotSetUp(f"there is no table `{made.change.fullname}`", system=system, mend="duolog setup RULES")
        said = made.words.ours.replace("{change}", conn.dialect.identifier_preparer.format_table(made.change))
        if "{engine}" in said:
            quoted = "'" + engine.replace("'", "''") + "'"
            conn.exec_driver_sql(said.replace("{engine}", quoted), execution_options={"no_parameters": True})
        else:
            conn.execute(sa.text(said), {"engine": engine}).close()

    return mark
