"""Turns compiled rules into what has to exist for SQL Server's changes to be captured, and takes away what we made.

Whoever carries it out has to own the database (`db_owner`), and to switch change data capture of the whole database on,
to administer the server (`sysadmin`): `setup` says so with the statement. It never touches a row of the application's,
and no capture instance that somebody else made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain, count
from typing import Final, Literal

import sqlalchemy as sa

from adapters.relational.judging import SetupStep
from adapters.relational.rights import TableRights
from adapters.sqlserver.facts import Facts, bracketed
from adapters.sqlserver.instances import Name
from engine.rulebook import Table

PREFIX: Final = "duolog_"
"""How the capture instances begin that are ours."""
ROLE: Final = "duolog_reader"
"""The role that may read the changes which our instances capture."""
instance_length: Final = 100
number_length: Final = 4
"""How much of that is left for a number behind it."""
LEDGER_COLUMNS: Final = ("engine", "system", "number_to")

Capture = Literal["cdc", "tracking"]


def wanted(tables: Sequence[Table], ledger: sa.Table) -> list[tuple[Name, tuple[str, ...]]]:
    """What is to be captured: tables, with the columns."""
    made = [((table.schema, table.name), table.columns) for table in tables]
    return [*made, ((ledger.schema or "", ledger.name), LEDGER_COLUMNS)]


def steps(facts: Facts, tables: Sequence[Table], ledger: sa.Table, capture: Capture) -> list[SetupStep]:
    """All that has to be there beside the ledger, in the order in which it has to be made; `done` where it is."""
    database = bracketed(facts.database)
    made = [
        SetupStep(
            "snapshot isolation", f"ALTER DATABASE {database} SET ALLOW_SNAPSHOT_ISOLATION ON", facts.snapshots
        )
    ]
    if capture == "tracking":
        on = f"ALTER DATABASE {database} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)"
        made.append(SetupStep("change tracking of the database", on, facts.tracking))
        for name, _ in wanted(tables, ledger):
            known = facts.tables.get(name)
            sql = f"ALTER TABLE {'.'.join(map(bracketed, name))} ENABLE CHANGE_TRACKING"
            made.append(SetupStep(f"change tracking of `{'.'.join(name)}`", sql, bool(known and known.by_tracking)))
        return made
    whole = "change data capture of the database (by a sysadmin)"
    made.append(SetupStep(whole, "EXEC sys.sp_cdc_enable_db", facts.cdc))
    taken = {each.name for each in facts.instances}
    for name, columns in wanted(tables, ledger):
        done = any(each.covers(columns) for each in facts.instances if each.table == name)
        made.append(SetupStep(f"capture of `{'.'.join(name)}`", enabling(name, taken), done))
        if not done:
            taken.add(_free(name, taken))
    return made


def enabling(name: Name, taken: Collection[str]) -> str:
    """The statement that captures a table, all columns of it. `taken`: what capture instances are called already."""
    instance = _free(name, taken)
    given = {
        "source_schema": name[0], "source_name": name[1], "role_name": ROLE, "capture_instance": instance,
    }  # fmt: skip
    said = ", ".join(f"@{word} = {literal(value)}" for word, value in given.items())
    return f"EXEC sys.sp_cdc_enable_table {said}, @supports_net_changes = 0"


def _free(name: Name, taken: Collection[str]) -> str:
    """What a new capture instance of a table is called."""
    plain = f"{PREFIX}{'_'.join(name)}"[: instance_length - number_length]
    numbered = (f"{plain}_{number}" for number in count(2))
    return next(each for each in chain((plain,), numbered) if each not in taken)


def disabling(facts: Facts, tables: Sequence[Table], ledger: sa.Table, capture: Capture) -> list[SetupStep]:
    """What takes our captures away: those that we made. Change data capture of the database stays on, and so does
    change tracking of tables that are not ours, as others may read it."""
    if capture == "tracking":
        name = (ledger.schema or "", ledger.name)
        known = facts.tables.get(name)
        sql = f"ALTER TABLE {'.'.join(map(bracketed, name))} DISABLE CHANGE_TRACKING"
        return [SetupStep(f"change tracking of `{'.'.join(name)}`", sql, not (known and known.by_tracking))]
    names = {name for name, _ in wanted(tables, ledger)}
    return [
        SetupStep(
            f"capture instance `{each.name}`",
            f"EXEC sys.sp_cdc_disable_table @source_schema = {literal(each.table[0])}, "
            f"@source_name = {literal(each.table[1])}, @capture_instance = {literal(each.name)}", False,
        )
        for each in facts.instances if each.table in names and each.name.startswith(PREFIX)
    ]  # fmt: skip


def grants(needed: Sequence[TableRights], role: str, capture: Capture, version: int) -> list[str]:
    """The rights that reading changes needs, beside those on the tables; as SQL."""
    who = bracketed(role)
    newer = version >= 16
    server = "VIEW SERVER PERFORMANCE STATE" if newer else "VIEW SERVER STATE"
    database = "VIEW DATABASE PERFORMANCE STATE" if newer else "VIEW DATABASE STATE"
    to_login = f"USE master; GRANT {server} TO {who};  -- to the login: for exact separators"
    made = [to_login, f"GRANT {database} TO {who};"]
    if capture == "tracking":
        for each in needed:
            name = ".".join(bracketed(part) for part in (each.table.schema, each.table.name))
            made.append(f"GRANT VIEW CHANGE TRACKING ON {name} TO {who};")
        return made[1:]
    return [*made, f"GRANT SELECT ON SCHEMA::cdc TO {who};", f"ALTER ROLE {bracketed(ROLE)} ADD MEMBER {who};"]


def literal(text: str) -> str:
    """A text as a constant."""
    return "N'" + text.replace("'", "''") + "'"
