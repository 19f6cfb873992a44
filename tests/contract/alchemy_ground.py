"""Grounds on which SQLAlchemy writes and takes the pictures, and somebody else reads the log.

PostgreSQL and MariaDB are read by their own sources, in whose positions separators are then told: that is what stands
behind Debezium, too. SQLite has no log at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from adapters.alchemy import abilities
from adapters.alchemy.abilities import Abilities
from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.positions import Positions
from adapters.postgresql.names import origin_name
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Text
from tests.contract.ground import SYSTEM, Ground, Kind, Lack, Made, User
from tests.contract.sql_ground import MariaGround, PostgresGround, spelled
from tests.database.assembled import FIXTURES
from tests.database.assembled import Ground as Place
from tests.ground import MARIADB, POSTGRESQL, Session

LEDGER: Final = ("public", "alchemy_ledger")
"""On PostgreSQL, where the adapter of its own has a table `duolog.ledger` of another shape."""


class AlchemyOnPostgres(PostgresGround):
    """PostgreSQL, read by its own source and written by SQLAlchemy."""

    def alchemy(self, rules: RuleBook) -> AlchemyKit:
        """The kit. Its transactions bear our origin, as they have to."""
        origin = origin_name(rules.name, SYSTEM)
        mark = sa.text("SELECT pg_replication_origin_session_setup(:origin)")
        return AlchemyKit(
            SYSTEM, self.place.address, insecure=True, ledger=LEDGER,
            prepare=lambda conn: conn.execute(mark, {"origin": origin}).close(),
        )  # fmt: skip

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables, and what both adapters need."""
        super().create(rules, tables)
        self.alchemy(rules).setup(rules, lambda step: None)

    def target(self, rules: RuleBook) -> Target:
        """SQLAlchemy's."""
        return self.alchemy(rules).target(rules)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """SQLAlchemy's."""
        return self.alchemy(rules).snapshot(rules)


class AlchemyOnTheFloor(AlchemyOnPostgres):
    """The same, as if nothing were known of PostgreSQL: values are the driver's, rows are locked one by one, and the
    only engine holds a row in a second session, as on Oracle and Db2."""

    def __init__(self, place: Place, spool: Path) -> None:
        super().__init__(place, spool)
        known, ours = abilities.KNOWN, abilities.POSTGRESQL
        floor = Abilities(locking="nowait", home="schema", session=ours.session, now=ours.now, driver=ours.driver)
        abilities.KNOWN = {**known, "postgresql": floor}
        self.open.callback(setattr, abilities, "KNOWN", known)


class AlchemyOnMaria(MariaGround):
    """MariaDB, read by its own source, which knows our transactions by the ledger, and written by SQLAlchemy. That
    source wants to know besides which GTIDs the log had by then: a trigger adds it."""

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables, the ledger, and the trigger, which is gone with the ground."""
        super().create(rules, tables)
        self.place.session.execute(
            "CREATE OR REPLACE TRIGGER duolog.gtid BEFORE UPDATE ON duolog.ledger FOR EACH ROW "
            "SET NEW.gtid = COALESCE(NEW.gtid, @@gtid_binlog_pos)"
        )
        self.open.callback(self.place.session.execute, "DROP TRIGGER duolog.gtid")

    def alchemy(self, rules: RuleBook) -> AlchemyKit:
        """The kit."""
        return AlchemyKit(SYSTEM, self.place.address, insecure=True)

    def target(self, rules: RuleBook) -> Target:
        """SQLAlchemy's."""
        return self.alchemy(rules).target(rules)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """SQLAlchemy's."""
        return self.alchemy(rules).snapshot(rules)


class SqliteUser(User):
    """A session of an application that uses SQLite."""

    def __init__(self, ground: SqliteGround) -> None:
        self.ground = ground
        self.session = sqlite3.connect(ground.path, isolation_level=None, timeout=30, check_same_thread=False)
        self.session.execute("PRAGMA foreign_keys = ON")

    def insert(self, table: str, *rows: Sequence[Text]) -> None:
        """New rows."""
        kinds = list(self.ground.tables[table].columns.values())
        marks = ", ".join("?" * len(kinds))
        given = [[stored(kind, text) for kind, text in zip(kinds, row, strict=True)] for row in rows]
        within = nullcontext() if self.session.in_transaction else self.transaction()
        with within:  # what fails is rolled back: a transaction left open would keep everybody out
            self.session.executemany(f"INSERT INTO {named(table)} VALUES ({marks})", given)

    def update(self, table: str, key: Sequence[str], **values: Text) -> None:
        """Changes one row."""
        columns = self.ground.tables[table].columns
        sets = ", ".join(f"{named(name)} = ?" for name in values)
        where, names = self._where(table, key)
        given = [stored(columns[name], text) for name, text in values.items()]
        self.session.execute(f"UPDATE {named(table)} SET {sets} WHERE {where}", [*given, *names])

    def delete(self, table: str, key: Sequence[str]) -> None:
        """Removes one row."""
        where, names = self._where(table, key)
        self.session.execute(f"DELETE FROM {named(table)} WHERE {where}", names)

    def lock(self, table: str, key: Sequence[str]) -> None:
        """Whoever writes has the whole database."""
        raise NotImplementedError

    def rows(self, table: str) -> list[tuple[Text, ...]]:
        """All rows of a table."""
        kinds = self.ground.tables[table].columns.values()
        told = [tuple(map(shown, kinds, row)) for row in self.session.execute(f"SELECT * FROM {named(table)}")]
        return sorted(told, key=lambda row: [(text is not None, text or "") for text in row])

    @contextmanager
    def transaction(self, *, undone: bool = False) -> Iterator[None]:
        """Several statements in one."""
        self.session.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.session.execute("ROLLBACK")
            raise
        self.session.execute("ROLLBACK" if undone else "COMMIT")

    def close(self) -> None:
        """Hangs up."""
        self.session.close()

    def _where(self, table: str, key: Sequence[str]) -> tuple[str, list[Any]]:
        made = self.ground.tables[table]
        where = " AND ".join(f"{named(name)} = ?" for name in made.key)
        return where, [stored(made.columns[name], text) for name, text in zip(made.key, key, strict=True)]


class SqliteGround(Ground):
    """A file of SQLite."""

    schema = "main"
    errors = (sqlite3.Error,)
    lacks: Mapping[Lack, str] = {
        "log": "nobody reads its changes here",
        "row locks": "a writer has the whole database",
        "connections": "there is no server that could cut one",
    }
    types: Mapping[Kind, str] = {
        "integer": "BIGINT", "word": "VARCHAR(190)", "text": "TEXT", "decimal": "DECIMAL(14,2)", "date": "DATE",
        "instant": "TIMESTAMP", "bytes": "BLOB",
    }  # fmt: skip

    @property
    def path(self) -> Path:
        """The file."""
        return self.spool / "erp.sqlite"

    @cached_property
    def alchemy(self) -> AlchemyKit:
        """The kit; without a log, a position is how much of the file was ever written."""
        return AlchemyKit(SYSTEM, f"sqlite:///{self.path}", insecure=True, places=Positions(version))

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables, and the ledger."""
        with sqlite3.connect(self.path) as session:
            session.execute("PRAGMA journal_mode = WAL")
            for made in tables:
                for statement in [self._create(made), *(self._shout(made) if made.shouting else ())]:
                    session.execute(statement)
        session.close()
        self.alchemy.setup(rules, lambda step: None)

    def user(self) -> User:
        """One more session."""
        made = SqliteUser(self)
        self.open.callback(made.close)
        return made

    def end(self) -> Position:
        """There is no log."""
        return 0

    def target(self, rules: RuleBook) -> Target:
        """SQLAlchemy's."""
        return self.alchemy.target(rules)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """There is none."""
        raise NotImplementedError

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """SQLAlchemy's."""
        return self.alchemy.snapshot(rules)

    def cut(self) -> None:
        """There is no server."""
        raise NotImplementedError

    def _create(self, made: Made) -> str:
        lines = []
        for column, kind in made.columns.items():
            default = f" DEFAULT '{made.defaults[column]}'" if column in made.defaults else ""
            lines.append(f"{named(column)} {self.types[kind]}{default}")
        lines.append(f"PRIMARY KEY ({', '.join(map(named, made.key))})")
        lines += [f"FOREIGN KEY ({named(c)}) REFERENCES {named(other)} (id)" for c, other in made.references.items()]
        if made.refused is not None:
            lines.append(f"CHECK ({named(made.refused[0])} <> '{made.refused[1]}')")
        return f"CREATE TABLE {named(made.name)} ({', '.join(lines)})"

    def _shout(self, made: Made) -> list[str]:
        column, table = named(made.shouting), named(made.name)
        return [
            f"CREATE TRIGGER shout_{event} AFTER {event} ON {table} WHEN NEW.{column} <> upper(NEW.{column}) BEGIN "
            f"UPDATE {table} SET {column} = upper({column}) WHERE rowid = NEW.rowid; END"
            for event in ("INSERT", "UPDATE")
        ]


def version(conn: sa.Connection) -> Position:
    """A number that grows; nothing is read by it."""
    return int(conn.exec_driver_sql("PRAGMA data_version").scalar_one())


def named(name: str) -> str:
    """A name in quotes."""
    return '"' + name.replace('"', '""') + '"'


def stored(kind: Kind, text: Text) -> Any:
    """What an application gives SQLite."""
    if text is None:
        return None
    match kind:
        case "bytes":
            return bytes.fromhex(text.removeprefix("\\x"))
        case "integer":
            return int(text)
        case "instant":
            return text.removesuffix("+00")
        case _:
            return text


def shown(kind: Kind, value: Any) -> Text:
    """What an application reads there, as the house spells it."""
    match kind:
        case "decimal" if value is not None:
            return f"{value:.2f}"
        case "instant" if value is not None:
            return f"{value}+00"
        case _:
            return spelled(kind, value)


def alchemy_ground(kind: str) -> Callable[[pytest.FixtureRequest], Ground]:
    """How a ground of this kind is made for a test."""

    def make(request: pytest.FixtureRequest) -> Ground:
        spool: Path = request.getfixturevalue("tmp_path")
        if kind == "sqlite":
            return SqliteGround(spool)
        database = POSTGRESQL if kind == "floor" else kind
        address = request.getfixturevalue(FIXTURES[database])
        grounds = {POSTGRESQL: AlchemyOnPostgres, MARIADB: AlchemyOnMaria, "floor": AlchemyOnTheFloor}
        return grounds[kind](Place(database, address, Session(address)), spool)

    return make
