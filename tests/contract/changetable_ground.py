"""Grounds whose changes triggers keep: SQLite, PostgreSQL and MariaDB, each read, written and shown by the same kit.

Where a database does not name its transactions, what is committed between two looks is told as one. So that the
contract can tell them apart, there somebody looks whenever a user has committed, as a reader does that is quick enough.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pytest

from adapters.alchemy.session import WRITE, connect
from adapters.changetable.kit import ChangeTableKit
from adapters.changetable.sessions import patient
from adapters.changetable.stamping import positions
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Text
from tests.contract.alchemy_ground import SqliteGround, SqliteUser
from tests.contract.ground import SYSTEM, Lack, Made, User
from tests.contract.sql_ground import OWN, MariaGround, PostgresGround
from tests.database.assembled import FIXTURES
from tests.database.assembled import Ground as Place
from tests.ground import MARIADB, Session, account, by_odbc
from tests.servers import need_odbc


def stamped(url: str) -> Position:
    """Looks at all that is committed; the position behind it."""
    session = connect(SYSTEM, url, purpose=WRITE, prepare=patient)
    try:
        with session.transaction() as conn:
            return positions(SYSTEM).now(conn)
    finally:
        session.close()


class Watched(User):
    """A user after each of whose commits somebody looks."""

    def __init__(self, user: User, look: Callable[[], object]) -> None:
        self.user = user
        self.look = look
        self.within = False

    def insert(self, table: str, *rows: Sequence[Text]) -> None:
        """New rows."""
        self.user.insert(table, *rows)
        self.committed()

    def update(self, table: str, key: Sequence[str], **values: Text) -> None:
        """Changes one row."""
        self.user.update(table, key, **values)
        self.committed()

    def delete(self, table: str, key: Sequence[str]) -> None:
        """Removes one row."""
        self.user.delete(table, key)
        self.committed()

    def lock(self, table: str, key: Sequence[str]) -> None:
        """Holds a row."""
        self.user.lock(table, key)

    def rows(self, table: str) -> list[tuple[Text, ...]]:
        """All rows of a table."""
        return self.user.rows(table)

    @contextmanager
    def transaction(self, *, undone: bool = False) -> Iterator[None]:
        """Several statements in one."""
        self.within = True
        try:
            with self.user.transaction(undone=undone):
                yield
        finally:
            self.within = False
        self.committed()

    def close(self) -> None:
        """Hangs up."""
        self.user.close()

    def committed(self) -> None:
        """A statement is done. Of several users at once nobody asks which of them was first."""
        if not self.within and threading.current_thread() is threading.main_thread():
            self.look()


class SqliteFile(SqliteGround):
    """A file of SQLite."""

    lacks: Mapping[Lack, str] = {
        "row locks": "a writer has the whole database",
        "connections": "there is no server that could cut one",
    }
    spool_rows = 30_000

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "spool")
        self.spool.mkdir()
        self.folder = folder

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "erp.sqlite"

    @property
    def url(self) -> str:
        """Its address."""
        return f"sqlite:///{self.path}"

    @cached_property
    def alchemy(self) -> ChangeTableKit:
        """The kit."""
        return ChangeTableKit(SYSTEM, self.url, insecure=True)

    def user(self) -> User:
        """One more session."""
        made = Watched(SqliteUser(self), self.end)
        self.open.callback(made.close)
        return made

    def end(self) -> Position:
        """Behind all that is committed."""
        return stamped(self.url)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """The kit's."""
        capabilities = OWN | {"skip_own": skip_own}
        return self.alchemy.source(rules, self.alchemy.identity(), capabilities=capabilities, spool_dir=self.spool)


class ByTriggers:
    """A database with a server."""

    place: Place
    spool: Path
    spool_rows = 30_000

    @property
    def url(self) -> str:
        """Its address."""
        return self.place.address

    @cached_property
    def kit(self) -> ChangeTableKit:
        """The kit."""
        return ChangeTableKit(SYSTEM, self.url, insecure=True)

    def end(self) -> Position:
        """Behind all that is committed."""
        return stamped(self.url)

    @cached_property
    def identity(self) -> str:
        """Which change table it is."""
        return self.kit.identity()

    def target(self, rules: RuleBook) -> Target:
        """The kit's."""
        return self.kit.target(rules)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """The kit's."""
        capabilities = OWN | {"skip_own": skip_own}
        return self.kit.source(rules, self.identity, capabilities=capabilities, spool_dir=self.spool)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """The kit's."""
        return self.kit.snapshot(rules)


class PostgresByTriggers(ByTriggers, PostgresGround):
    """PostgreSQL."""


class MariaByTriggers(ByTriggers, MariaGround):
    """MariaDB."""

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables and what `duolog setup` makes."""
        MariaGround.create(self, rules, tables)

    def user(self) -> User:
        """One more session."""
        return Watched(super().user(), self.end)


class PostgresByOdbc(PostgresByTriggers):
    """PostgreSQL by its ODBC driver."""

    @property
    def url(self) -> str:
        """Its address as ODBC has it."""
        return account(by_odbc(self.place.address))


class MariaByOdbc(MariaByTriggers):
    """MariaDB by its ODBC driver."""

    @property
    def url(self) -> str:
        """Its address as ODBC has it."""
        return account(by_odbc(self.place.address))


def changetable_ground(kind: str, *, odbc: bool = False) -> Callable[[pytest.FixtureRequest], SqliteFile | ByTriggers]:
    """How a ground of this kind is made for a test. `odbc`: reached by the database's ODBC driver."""

    def make(request: pytest.FixtureRequest) -> SqliteFile | ByTriggers:
        folder: Path = request.getfixturevalue("tmp_path")
        if kind == "sqlite":
            return SqliteFile(folder)
        address = request.getfixturevalue(FIXTURES[kind])
        place = Place(kind, address, Session(address))
        if odbc:
            need_odbc(kind)
            return MariaByOdbc(place, folder) if kind == MARIADB else PostgresByOdbc(place, folder)
        return MariaByTriggers(place, folder) if kind == MARIADB else PostgresByTriggers(place, folder)

    return make
