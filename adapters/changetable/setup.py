"""Turns compiled rules into what has to be in a database before its changes can be read: the change table, the mark,
and for each bound table its rows' table and its triggers. Takes it away again, and says what is not as it was made.

The application's tables get triggers, and nothing else. What is there already as it should be is left alone.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.catalog import read_columns
from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.session import Session
from adapters.changetable.tables import BEGINNING, Ours, Shadow, by_code, ours, placed, quoted, recorded, shadow
from adapters.changetable.triggers import LOST
from adapters.relational.judging import SetupStep, ticked
from engine.errors import NotSetUp, SchemaChanged, SystemStopped
from engine.rulebook import RuleBook

SETUP: Final = "duolog setup RULES"
AGAIN: Final = "duolog setup RULES\n  duolog run RULES --merge-again"
ROWS: Final = re.compile("row_.*_[0-9a-f]{8}", re.ASCII | re.DOTALL)
"""What a table of rows is called."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that has to be there. `table`: the number of the table in the change table that it is for."""

    what: str
    make: tuple[str, ...]
    done: bool
    table: int = 0

    def told(self) -> SetupStep:
        """As people read it."""
        return SetupStep(self.what, ";\n".join(self.make), self.done)


@dataclass(frozen=True, slots=True)
class Marked:
    """What the mark says."""

    n: int
    """The last stamp."""
    forgotten: int
    """The highest stamp of which rows may have been removed."""
    identity: str
    engine: str
    whole: bool
    """The change table still has its first row."""


def shadows(session: Session, made: Ours, book: RuleBook) -> list[Shadow]:
    """The rows' tables of all bound tables. Raises SchemaChanged for a table or column that is not there."""
    tables = book.tables[session.system]
    known = read_columns(session, [(table.schema, table.name) for table in tables])
    found = []
    for at, table in enumerate(tables):
        live = known.get((table.schema, table.name), {})
        missing = [name for name in table.columns if name not in live]
        if missing:
            raise SchemaChanged(
                f"`{table.schema}.{table.name}` has no {'column' if live else 'such table:'} {ticked(missing)}",
                system=session.system, mend="put the name right in the rules, or leave it out",
            )  # fmt: skip
        found.append(shadow(made, at, table, live))
    by_code(found, session.system)
    return found


def read_mark(conn: sa.Connection, made: Ours, system: str) -> Marked:
    """What the mark says. Raises NotSetUp if it says nothing, sqlalchemy.exc.DBAPIError if it is not there."""
    row = conn.execute(_mark_asked(made.mark, made.change)).first()
    if row is None:
        raise NotSetUp(f"`{made.mark.fullname}` is empty", system=system, mend=AGAIN)
    return Marked(int(row[0]), int(row[1]), str(row[2]), str(row[3]), bool(row[4]))


@lru_cache(maxsize=16)
def _mark_asked(mark: sa.Table, change: sa.Table) -> sa.Select[Any]:
    """The question for the mark: put together once, as a reader asks it all the time."""
    first = sa.select(sa.func.count()).where(change.c.op == BEGINNING, change.c.stamp == 0).scalar_subquery()
    return sa.select(mark.c.n, mark.c.forgotten, mark.c.identity, mark.c.engine, first).where(mark.c.id == 1)


def is_there(session: Session, made: Ours) -> bool:
    """True if there are the change table and the mark. Raises sqlalchemy.exc.DBAPIError."""
    return len(_there(session, made)) == 2


def is_begun(session: Session, made: Ours) -> bool:
    """True if the mark says something: a `setup` has come to its end. Raises sqlalchemy.exc.DBAPIError."""
    if not is_there(session, made):
        return False
    with session.transaction() as conn:
        return conn.execute(sa.select(made.mark.c.n).where(made.mark.c.id == 1)).first() is not None


def _there(session: Session, made: Ours) -> list[sa.Table]:
    with session.transaction() as conn:
        inspector = sa.inspect(conn)
        return [each for each in (made.change, made.mark) if inspector.has_table(each.name, schema=each.schema)]


def steps(session: Session, book: RuleBook) -> list[Step]:
    """All that has to be there, in order. Raises SystemStopped, sqlalchemy.exc.DBAPIError."""
    made = ours(session)
    there = _there(session, made)
    names = _names(session, made)
    found = []
    if made.words.home == "schema":
        with session.transaction() as conn:
            has = made.schema in sa.inspect(conn).get_schema_names()
        found.append(Step(f"schema `{made.schema}`", (f"CREATE SCHEMA {names['schema']}",), has))
    making = tuple(_said(each, names) for each in made.words.change)
    found.append(Step(f"table `{made.change.fullname}`", making, made.change in there))
    found.append(Step(f"table `{made.mark.fullname}`", (_said(made.words.mark, names),), made.mark in there))
    known = known_triggers(session, made)
    for each in shadows(session, made, book):
        if lost := unshown(made, each):
            raise SystemStopped(
                f"triggers cannot tell {ticked(lost)} of `{each.table.schema}.{each.table.name}`",
                system=session.system, mend="leave them out of the rules; `duolog check` tells more",
            )  # fmt: skip
        found.append(_step(session, made, each, names, known))
    return found


def _step(
    session: Session, made: Ours, each: Shadow, names: Mapping[str, str], known: Mapping[tuple[str, str, str], str]
) -> Step:
    told = recorded(session, made, each)
    triggers = made.words.made(told)
    fits = not wrong(session, made, each, known)
    columns = [f"{_copied(made, told.columns[each.columns.index(of)], of)} AS {kept}" for kept, of in each.kept]
    given = {
        **names,
        "shadow": told.shadow,
        "table": told.table,
        "columns": ", ".join(columns),
        "names": ", ".join(told.kept),
    }
    make = [statement for trigger in triggers for statement in trigger.drop]
    make += ["DROP TABLE IF EXISTS " + told.shadow, _said(made.words.shadow, given)]
    make += [statement for trigger in triggers for statement in trigger.make]
    return Step(f"triggers of `{each.table.schema}.{each.table.name}`", tuple(make), fits, each.code)


def _copied(made: Ours, name: str, column: AlchemyColumn) -> str:
    """A column of the table as its rows' table gets it."""
    other = made.words.copied.get(_base(column))
    return f"CAST(t.{name} AS {other})" if other else f"t.{name}"


def unshown(made: Ours, each: Shadow) -> list[str]:
    """The columns whose values no trigger can tell."""
    return [column.shape.name for column in each.columns if _base(column) in made.words.unshown]


def setup(session: Session, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
    """Makes what is missing, and answers what it made. What is made anew, because it was no longer as it should be, is
    told to the reader as a loss: nobody knows what was not recorded.

    Raises SystemStopped, sqlalchemy.exc.DBAPIError."""
    made = ours(session)
    again = is_begun(session, made)
    if again:
        check_engine(session, made, book)
    missing = [step for step in steps(session, book) if not step.done]
    for statement in made.words.patience:
        session.conn.exec_driver_sql(statement)
    session.conn.commit()
    for step in missing:
        told(step.told())
        with session.transaction() as conn:
            for statement in step.make:
                run(conn, statement)
            if again and step.table:
                _lose(conn, session, made, step.table)
    if not again:
        with session.transaction() as conn:
            _begin(conn, session, made, book)
    return [step.told() for step in missing]


def check_engine(session: Session, made: Ours, book: RuleBook) -> None:
    """Raises SystemStopped if the change table is another engine's: its rows are removed as that one has read them."""
    with session.transaction() as conn:
        mark = read_mark(conn, made, session.system)
    if mark.engine != book.name:
        raise SystemStopped(
            f"`{made.change.fullname}` belongs to the engine `{mark.engine}`, and these rules are those of "
            f"`{book.name}`",
            system=session.system, mend=f"`duolog teardown` with the rules of `{mark.engine}`, then `{SETUP}`",
        )  # fmt: skip


def known_triggers(session: Session, made: Ours) -> dict[tuple[str, str, str], str]:
    """What our triggers say, by the schema and name of their table and their own."""
    with session.transaction() as conn:
        rows: list[Any] = list(run(conn, made.words.known))
    return {(str(row[0]), str(row[1]), str(row[2])): str(row[3]) for row in rows}


def wrong(session: Session, made: Ours, each: Shadow, known: Mapping[tuple[str, str, str], str]) -> str:
    """What is not as `setup` makes it, in words; empty if all is."""
    table = (each.table.schema, each.table.name)
    for trigger in made.words.made(recorded(session, made, each)):
        said = known.get((*table, trigger.name))
        if said is None:
            return f"`{'.'.join(table)}` has no trigger `{trigger.name}`"
        if said.split() != trigger.text.split():
            return f"the trigger `{trigger.name}` of `{'.'.join(table)}` is not as it was made, or is off"
    return _shape(session, made, each)


def _shape(session: Session, made: Ours, each: Shadow) -> str:
    place = (each.sql.schema or each.table.schema, each.sql.name)
    kept = read_columns(session, [place]).get(place)
    if kept is None:
        return f"there is no table `{each.sql.fullname}`"
    if list(kept) != ["seq", *(name for name, _ in each.kept)]:
        return f"`{each.sql.fullname}` has other columns than it was made with"
    if not made.words.typed:
        return ""
    for name, column in each.kept:
        meant = made.words.copied.get(_base(column), _bare(column.shape.type))
        if _bare(kept[name].shape.type) != meant:
            return (
                f"the column `{column.shape.name}` of `{each.table.schema}.{each.table.name}` is "
                f"`{column.shape.type}` now, and was `{kept[name].shape.type}`"
            )
    return ""


def _bare(kind: str) -> str:
    """A type without its collation, which MariaDB and MySQL tell only where it is not the table's own."""
    return re.sub(r" (character set|collate) \S+", "", kind)


def _base(column: AlchemyColumn) -> str:
    """The name of a column's type, without its measures."""
    return re.split(r"[ (]", column.shape.type)[0]


def check(session: Session, made: Ours, found: Sequence[Shadow]) -> None:
    """Raises NotSetUp if something is not as `setup` makes it: what users have done since may not be recorded."""
    known = known_triggers(session, made)
    for each in found:
        said = wrong(session, made, each, known)
        if said:
            raise NotSetUp(said + ": changes may not have been recorded", system=session.system, mend=AGAIN)


def teardown(session: Session, book: RuleBook) -> list[str]:
    """Takes away what `setup` made, for whatever tables this engine had in its rules; answers what that was.

    Raises SystemStopped if it is another engine's, sqlalchemy.exc.DBAPIError."""
    made = ours(session)
    there = _there(session, made)
    if not there:
        return []
    if is_begun(session, made):
        check_engine(session, made, book)
    for statement in made.words.patience:
        session.conn.exec_driver_sql(statement)
    session.conn.commit()
    gone = [*_without_triggers(session, made), *_without_rows(session, made)]
    for table in reversed(there):
        with session.transaction() as conn:
            run(conn, "DROP TABLE " + placed(session.dialect, table))
        gone.append(f"table `{table.fullname}`")
    for statement in made.words.last:
        with session.transaction() as conn:
            run(conn, _said(statement, _names(session, made)))
    return gone


def _without_triggers(session: Session, made: Ours) -> list[str]:
    """Takes away all triggers that write into our change table, first of all: without it, users' writes would fail."""
    change, gone = placed(session.dialect, made.change), {}
    for (schema, table, name), text in known_triggers(session, made).items():
        if made.words.home == "database" and change not in text:
            continue  # of another database of the same server
        names = {"schema": quoted(session.dialect, schema), "name": quoted(session.dialect, name)}
        names["table"] = placed(session.dialect, sa.Table(table, sa.MetaData(), schema=schema))
        with session.transaction() as conn:
            run(conn, _said(made.words.dropped, names))
        gone[f"triggers of `{schema}.{table}`"] = name
    return list(gone)


def _without_rows(session: Session, made: Ours) -> list[str]:
    """Takes away all tables of rows, and what else is called like them."""
    with session.transaction() as conn:
        names = sa.inspect(conn).get_table_names(schema=made.schema or None)
    words = [name.removeprefix(made.prefix) for name in names if name.startswith(made.prefix)]
    gone = []
    for word in sorted(word for word in words if ROWS.fullmatch(word)):
        table = made.table(word)
        with session.transaction() as conn:
            run(conn, "DROP TABLE " + placed(session.dialect, table))
            for statement in made.words.beside:
                run(conn, _said(statement, {**_names(session, made), "stem": word.removeprefix("row_")}))
        gone.append(f"table `{table.fullname}`")
    return gone


def run(conn: sa.Connection, statement: str) -> sa.CursorResult[Any]:
    """Runs a statement as it stands: no driver looks for parameters in it."""
    return conn.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _begin(conn: sa.Connection, session: Session, made: Ours, book: RuleBook) -> None:
    now: sa.ColumnElement[Any] = sa.literal_column(session.can.now or "0")
    first = {"stamp": 0, "tbl": 0, "op": BEGINNING, "at": now}
    conn.execute(sa.insert(made.change).inline().values(first))  # nobody asks for its number
    last = int(conn.execute(sa.select(sa.func.max(made.change.c.stamp))).scalar() or 0)
    mark = {"id": 1, "n": last + 1, "forgotten": 0, "identity": str(uuid.uuid4()), "engine": book.name}
    conn.execute(sa.insert(made.mark).values(mark))


def _lose(conn: sa.Connection, session: Session, made: Ours, code: int) -> None:
    now: sa.ColumnElement[Any] = sa.literal_column(session.can.now or "0")
    conn.execute(sa.insert(made.change).inline().values({"tbl": code, "op": LOST, "at": now}))


def _names(session: Session, made: Ours) -> dict[str, str]:
    dialect = session.dialect
    return {
        "change": placed(dialect, made.change), "mark": placed(dialect, made.mark),
        "index": f"{made.prefix}change_stamp", "schema": quoted(dialect, made.schema) if made.schema else "",
    }  # fmt: skip


def _said(statement: str, names: Mapping[str, str]) -> str:
    """The statement with the names in their places. Those may have braces in them: each is put in once."""
    for word, name in names.items():
        statement = statement.replace("{" + word + "}", name)
    return statement
