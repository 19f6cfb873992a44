"""A database of SQL Server, for the contract: tables and users in its SQL, ports out of the kit.

Turns column kinds into SQL Server's types, and texts as the house spells them into its values and back. A `word` is
compared as the server's own collation does: `a`, `A` and `a ` are equal to it, and no guard may rest on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.alchemy.kit import AlchemyKit
from adapters.sqlserver.kit import SqlServerKit
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Text
from tests.contract.ground import SYSTEM, Ground, Kind, Made, User
from tests.sqlserver.server import SqlServer

parameters_max: Final = 2000
"""A statement of SQL Server's takes no more than 2,100."""
SHOWN: Final[Mapping[Kind, str]] = {
    "integer": "CONVERT(nvarchar(40), {})", "word": "{}", "text": "{}", "decimal": "CONVERT(nvarchar(40), {})",
    "date": "CONVERT(nvarchar(10), {}, 23)", "instant": "CONVERT(nvarchar(40), SWITCHOFFSET({}, '+00:00'), 121)",
    "bytes": "{}",
}  # fmt: skip
GIVEN: Final[Mapping[Kind, str]] = {"instant": "TODATETIMEOFFSET(CONVERT(datetime2(7), ?, 121), '+00:00')"}


class SqlServerUser(User):
    """A session of an application that uses SQL Server."""

    def __init__(self, ground: SqlServerGround) -> None:
        self.ground = ground
        self.session = ground.server.connect(ground.database)

    def insert(self, table: str, *rows: Sequence[Text]) -> None:
        """New rows."""
        kinds = list(self.ground.tables[table].columns.values())
        one = f"({', '.join(GIVEN.get(kind, '?') for kind in kinds)})"
        at_once = min(1000, parameters_max // len(kinds))
        within = self.transaction() if self.session.autocommit else nullcontext()
        with within:  # what fails is rolled back: a transaction left open would keep others out
            for at in range(0, len(rows), at_once):
                some = rows[at : at + at_once]
                given = [stored(kind, text) for row in some for kind, text in zip(kinds, row, strict=True)]
                self.session.execute(f"INSERT INTO {named(table)} VALUES {', '.join([one] * len(some))}", given)

    def update(self, table: str, key: Sequence[str], **values: Text) -> None:
        """Changes one row."""
        columns = self.ground.tables[table].columns
        sets = ", ".join(f"{named(name)} = {GIVEN.get(columns[name], '?')}" for name in values)
        where, names = self._where(table, key)
        given = [stored(columns[name], text) for name, text in values.items()]
        self.session.execute(f"UPDATE {named(table)} SET {sets} WHERE {where}", [*given, *names])

    def delete(self, table: str, key: Sequence[str]) -> None:
        """Removes one row."""
        where, names = self._where(table, key)
        self.session.execute(f"DELETE FROM {named(table)} WHERE {where}", names)

    def lock(self, table: str, key: Sequence[str]) -> None:
        """Holds a row."""
        where, names = self._where(table, key)
        self.session.execute(f"SELECT 1 FROM {named(table)} WITH (UPDLOCK, ROWLOCK) WHERE {where}", names).fetchall()

    def rows(self, table: str) -> list[tuple[Text, ...]]:
        """All rows of a table."""
        columns = self.ground.tables[table].columns
        listed = ", ".join(SHOWN[kind].format(named(name)) for name, kind in columns.items())
        found = self.session.execute(f"SELECT {listed} FROM {named(table)}").fetchall()
        told = [tuple(shown(kind, value) for kind, value in zip(columns.values(), row, strict=True)) for row in found]
        return sorted(told, key=lambda row: [(text is not None, text or "") for text in row])

    @contextmanager
    def transaction(self, *, undone: bool = False) -> Iterator[None]:
        """Several statements in one."""
        self.session.autocommit = False
        try:
            yield
        except BaseException:
            self.session.rollback()
            raise
        else:
            (self.session.rollback if undone else self.session.commit)()
        finally:
            self.session.autocommit = True

    def close(self) -> None:
        """Hangs up."""
        self.session.close()

    def _where(self, table: str, key: Sequence[str]) -> tuple[str, list[Any]]:
        made = self.ground.tables[table]
        where = " AND ".join(f"{named(name)} = ?" for name in made.key)
        return where, [stored(made.columns[name], text) for name, text in zip(made.key, key, strict=True)]


class SqlServerGround(Ground):
    """One database of a server."""

    schema = "dbo"
    types: Mapping[Kind, str] = {
        "integer": "bigint", "word": "nvarchar(190)", "text": "nvarchar(max)", "decimal": "decimal(14, 2)",
        "date": "date", "instant": "datetimeoffset(6)", "bytes": "varbinary(max)",
    }  # fmt: skip

    def __init__(self, server: SqlServer, database: str, spool: Path) -> None:
        import pyodbc

        super().__init__(spool)
        self.server = server
        self.database = database
        self.errors = (pyodbc.Error,)
        self.theirs: set[int] = set()
        """The sessions of users."""

    @cached_property
    def kit(self) -> AlchemyKit:
        """What the service has of this database."""
        return SqlServerKit(SYSTEM, self.server.url(self.database), insecure=True)

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables, and what `duolog setup` makes."""
        with self.server.connect(self.database) as session:
            for made in tables:
                session.execute(self._create(made))
                if made.shouting:
                    session.execute(self._shout(made))
        self.kit.setup(rules, lambda step: None)

    def user(self) -> SqlServerUser:
        """One more session."""
        made = SqlServerUser(self)
        self.open.callback(made.close)
        self.theirs.add(made.session.execute("SELECT @@SPID").fetchone()[0])
        return made

    def end(self) -> Position:
        """Where the log ends."""
        with self.kit._session() as session, session.transaction() as conn:
            return self.kit.positions().now(conn)

    def target(self, rules: RuleBook) -> Target:
        """The kit's."""
        return self.kit.target(rules)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """The kit's."""
        assert isinstance(self.kit, SqlServerKit)
        capabilities = {"skip_own": skip_own, "origin_none": False}
        return self.kit.source(rules, self.kit.identity(), capabilities=capabilities, spool_dir=self.spool)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """The kit's."""
        return self.kit.snapshot(rules)

    def cut(self) -> None:
        """Ends every session here that is none of the application's."""
        here = f"SELECT session_id FROM sys.dm_exec_sessions WHERE database_id = DB_ID('{self.database}')"
        with self.server.connect() as session:
            for (number,) in session.execute(here).fetchall():
                if number not in self.theirs:
                    session.execute(f"KILL {number}")

    def _create(self, made: Made) -> str:
        lines = []
        for column, kind in made.columns.items():
            default = f" DEFAULT '{made.defaults[column]}'" if column in made.defaults else ""
            null = " NOT NULL" if column in made.key else " NULL"
            lines.append(f"{named(column)} {self.types[kind]}{null}{default}")
        lines.append(f"PRIMARY KEY ({', '.join(map(named, made.key))})")
        lines += [f"FOREIGN KEY ({named(c)}) REFERENCES {named(other)} (id)" for c, other in made.references.items()]
        if made.refused is not None:
            lines.append(f"CHECK ({named(made.refused[0])} <> '{made.refused[1]}')")
        return f"CREATE TABLE {named(made.name)} ({', '.join(lines)})"

    def _shout(self, made: Made) -> str:
        column, table = named(made.shouting), named(made.name)
        keys = " AND ".join(f"i.{named(name)} = t.{named(name)}" for name in made.key)
        louder = f"UPPER(t.{column})"
        differs = f"t.{column} <> {louder} COLLATE Latin1_General_BIN2"
        return (
            f"CREATE TRIGGER shout ON {table} AFTER INSERT, UPDATE AS "
            f"UPDATE t SET {column} = {louder} FROM {table} AS t INNER JOIN inserted AS i ON {keys} WHERE {differs}"
        )


def sqlserver_ground(request: pytest.FixtureRequest) -> Ground:
    """A ground for a test."""
    server, database = request.getfixturevalue("sqlserver_server"), request.getfixturevalue("sqlserver_db")
    return SqlServerGround(server, database, request.getfixturevalue("tmp_path"))


GroundMaker = Callable[[pytest.FixtureRequest], Ground]


def named(name: str) -> str:
    """A name in brackets."""
    return "[" + name.replace("]", "]]") + "]"


def stored(kind: Kind, text: Text) -> Any:
    """What an application gives SQL Server."""
    if text is None:
        return None
    match kind:
        case "bytes":
            return bytes.fromhex(text.removeprefix("\\x"))
        case "instant":
            return text.removesuffix("+00")
        case _:
            return text


def shown(kind: Kind, value: Any) -> Text:
    """What an application reads there, as the house spells it."""
    if value is None:
        return None
    match kind:
        case "bytes":
            return "\\x" + bytes(value).hex()
        case "instant":
            return str(value).removesuffix(" +00:00").rstrip("0").rstrip(".").removesuffix(":") + "+00"
        case _:
            return str(value)
