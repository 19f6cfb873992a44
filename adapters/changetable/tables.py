"""Turns the rules' tables of one system into ours beside them: the change table, the mark, a table of rows for each.

Names and columns only; nothing is made or read here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from adapters.alchemy.columns import AlchemyColumn
from adapters.alchemy.session import Session
from adapters.alchemy.spelling import Element
from adapters.changetable.triggers import Recorded
from adapters.changetable.words import KNOWN, Words
from engine.errors import SystemStopped
from engine.rulebook import Table

SCHEMA: Final = "duolog"
stem_letters: Final = 24
"""Of a table's own name, in the names of what is made for it."""
BEGINNING: Final = "B"
"""The operation of the first row of the change table, which always stays: without it, somebody emptied the table."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our tables in one database."""

    words: Words
    schema: str
    """Empty where no statement says where they are."""
    prefix: str
    change: sa.Table
    mark: sa.Table

    def name(self, word: str) -> str:
        """The name of one of our tables, not quoted."""
        return self.prefix + word

    def table(self, word: str, *columns: sa.Column[Any]) -> sa.Table:
        """One of our tables."""
        return sa.Table(self.name(word), sa.MetaData(), *columns, schema=self.schema or None, implicit_returning=False)


@dataclass(frozen=True, slots=True)
class Shadow:
    """The rows of one bound table, as triggers keep them."""

    number: int
    """The table's number in the rules."""
    table: Table
    columns: tuple[AlchemyColumn, ...]
    """Of the bound table, in the order of the rules."""
    sql: sa.Table
    code: int
    stem: str

    @property
    def kept(self) -> list[tuple[str, AlchemyColumn]]:
        """What the columns of the rows' table are called, and whose values they have: the key as it was before, then
        the row."""
        key = [(f"o{at}", self.columns[at]) for at in self.table.key]
        return [*key, *((f"n{at}", column) for at, column in enumerate(self.columns))]

    @property
    def selected(self) -> list[Element]:
        """`seq`, and what is kept, spelled as a picture spells it."""
        shown: list[Element] = [column.spelling.shown(self.sql.c[name]).label(name) for name, column in self.kept]
        return [self.sql.c.seq, *shown]


def words_of(dialect: sa.Dialect, system: str) -> Words:
    """What the dialect says. Raises SystemStopped where that is not known."""
    found = KNOWN.get(dialect.name)
    if found is None:
        known = ", ".join(f"`{name}`" for name in sorted(KNOWN))
        raise SystemStopped(
            f"nobody here knows how triggers of `{dialect.name}` are written; known are {known}",
            system=system,
            mend="let Debezium read the log: `adapter: debezium`",
        )  # fmt: skip
    return found


def ours(session: Session) -> Ours:
    """Our tables in this database. Raises SystemStopped."""
    return ours_of(session.dialect, session.system)


def ours_of(dialect: sa.Dialect, system: str) -> Ours:
    """Our tables in the database of a connection with this dialect. Raises SystemStopped."""
    words = words_of(dialect, system)
    schema, prefix = SCHEMA, ""
    if words.home != "schema":
        schema, prefix = "", f"{SCHEMA}_"
    if words.home == "database":
        schema = dialect.default_schema_name or ""
    return Ours(words, schema, prefix, *_tables(schema, prefix))


def _tables(schema: str, prefix: str) -> tuple[sa.Table, sa.Table]:
    number, text = sa.BigInteger, sa.String
    change = sa.Table(
        f"{prefix}change", sa.MetaData(), sa.Column("seq", number, primary_key=True, autoincrement=True),
        sa.Column("stamp", number), sa.Column("tx", text), sa.Column("own", text), sa.Column("tbl", sa.Integer),
        sa.Column("op", text), sa.Column("at", number), schema=schema or None, implicit_returning=False,
    )  # fmt: skip
    mark = sa.Table(
        f"{prefix}mark", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", number), sa.Column("forgotten", number), sa.Column("identity", text), sa.Column("engine", text),
        schema=schema or None, implicit_returning=False,
    )  # fmt: skip
    return change, mark


def code_of(table: Table) -> int:
    """The number of a table in the change table: the same whatever the rules are, and never 0."""
    digest = hashlib.sha256(f"{table.schema}\0{table.name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 | 1


def stem_of(table: Table) -> str:
    """What the names of all that is made for a table have in them."""
    return f"{re.sub('[^a-z0-9]', '_', table.name.lower())[:stem_letters]}_{code_of(table):08x}"


def shadow(made: Ours, number: int, table: Table, live: Mapping[str, AlchemyColumn]) -> Shadow:
    """The rows' table of a bound one. Raises KeyError for a column that is not there."""
    columns = tuple(live[name] for name in table.columns)
    fields: list[sa.Column[Any]] = [sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False)]
    fields += [sa.Column(f"o{at}", columns[at].element.type) for at in table.key]
    fields += [sa.Column(f"n{at}", column.element.type) for at, column in enumerate(columns)]
    stem = stem_of(table)
    return Shadow(number, table, columns, made.table(f"row_{stem}", *fields), code_of(table), stem)


def recorded(session: Session, made: Ours, each: Shadow) -> Recorded:
    """The table as its triggers name it."""
    dialect, table = session.dialect, each.columns[0].table
    return Recorded(
        code=each.code, stem=each.stem,
        table=quoted(dialect, table.name) if made.words.home == "beside" else placed(dialect, table),
        shadow=placed(dialect, each.sql), change=placed(dialect, made.change),
        schema=quoted(dialect, made.schema) if made.schema else "",
        columns=tuple(quoted(dialect, column.element.name) for column in each.columns),
        key=each.table.key, kept=tuple(name for name, _ in each.kept), place=quoted(dialect, each.table.schema),
        now=session.can.now or "0",
    )  # fmt: skip


def quoted(dialect: sa.Dialect, name: str) -> str:
    """A name as it stands in a statement that is sent as it is."""
    return _plain(dialect, dialect.identifier_preparer.quote(name))


def placed(dialect: sa.Dialect, table: sa.Table) -> str:
    """The same of a table, with its schema."""
    return _plain(dialect, dialect.identifier_preparer.format_table(table))


def _plain(dialect: sa.Dialect, said: str) -> str:
    """Without the doubled marks that a driver would take away which looks for parameters."""
    return said.replace("%%", "%") if dialect.paramstyle in ("format", "pyformat") else said


def by_code(shadows: Sequence[Shadow], system: str) -> dict[int, Shadow]:
    """The tables by their numbers in the change table. Raises SystemStopped if two have one."""
    found: dict[int, Shadow] = {}
    for each in shadows:
        if each.code in found:
            names = f"`{found[each.code].table.name}` and `{each.table.name}`"
            raise SystemStopped(
                f"{names} get the same number", system=system, mend="give one of the two tables another name"
            )
        found[each.code] = each
    return found
