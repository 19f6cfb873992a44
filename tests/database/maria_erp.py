"""A database of a MariaDB server with a bound table and what `duolog setup` makes, for tests of the source."""

from __future__ import annotations

import re
import time
from typing import Any

import pymysql

from adapters.mariadb import ledger, positions
from adapters.mariadb.resume import read_end, read_identity
from adapters.mariadb.session import address, connect
from adapters.mariadb.source import MariaSource
from engine.rulebook import Table
from engine.vocabulary import Transaction
from tests.crowd import within

patience_s = within(20.0)


class Session:
    """An ordinary user's connection."""

    def __init__(self, url: str, database: str) -> None:
        where = address(url)
        self._conn = pymysql.connect(
            host=where.host, port=where.port, user=where.user, password=where.password.encode(), database=database,
            charset="utf8mb4", autocommit=True, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS,
        )  # fmt: skip

    def run(self, statements: str) -> None:
        """Carries out statements with `;` between them, in one packet."""
        if not statements:
            return
        with self._conn.cursor() as cursor:
            cursor.execute(statements)
            while cursor.nextset():
                pass

    def value(self, statement: str) -> Any:
        """The one value that a statement answers."""
        with self._conn.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return row[0]

    def close(self) -> None:
        """Hangs up."""
        self._conn.close()


class MariaErp:
    """A database with a bound table and a foreign one, and its sources."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = address(url).database
        self.sessions: list[Session] = []
        self.sources: list[MariaSource] = []
        self.sql = self.another()
        self.run("CREATE TABLE item (id int PRIMARY KEY, name text); CREATE TABLE foreign_table (id int)")
        self.run(f"{ledger.CREATE_DATABASE}; {ledger.CREATE}")
        self.item = Table(self.database, "item", ("id", "name"), (0,))
        self.conn = connect("erp", url, application_name="test")
        self.start = self.position()
        self.identity = read_identity(self.conn)

    def another(self, database: str = "") -> Session:
        """One more user's connection."""
        self.sessions.append(Session(self.url, database or self.database))
        return self.sessions[-1]

    def run(self, statements: str) -> None:
        """As a user."""
        self.sql.run(statements)

    def position(self) -> int:
        """Where the log ends."""
        return read_end(self.conn)

    def ledger_row(self, engine: str, number: int, system: str = "erp") -> str:
        """The statement by which the target begins a batch."""
        return ledger.begin_batch(engine, system, number, 0)[0]

    def as_engine(self, engine: str, system: str = "erp") -> str:
        """The beginning of a batch of an engine's."""
        return f"BEGIN; {self.ledger_row(engine, 1, system)}"

    def write_batch(self, engine: str) -> None:
        """A whole batch of an engine's, that writes nothing but the ledger."""
        separator, gtid = positions.text(self.position()), self.sql.value("SELECT @@gtid_binlog_pos")
        self.run(f"{self.as_engine(engine)}; {ledger.end_batch(engine, 'erp', 1, separator, gtid, [])}; COMMIT")

    def source(self, **changed: Any) -> MariaSource:
        """A source, closed with this; as an engine called `unit` has it."""
        arguments: dict[str, Any] = {"engine": "unit", "tables": [self.item], "identity": self.identity} | changed
        made = MariaSource("erp", arguments.pop("url", self.url), **arguments)
        self.sources.append(made)
        return made

    def opened(self, resume: int | None = None, **changed: Any) -> MariaSource:
        """A source that reads."""
        made = self.source(**changed)
        made.open(self.start if resume is None else resume)
        return made

    def plain(self, text: str) -> str:
        """A message with what is of this run only made plain."""
        text = re.sub(r"\b\d{6}:\d+\b", "POSITION", text).replace(self.database, "DB")
        return text.replace(self.identity.uid, "UID")

    def close(self) -> None:
        """Hangs up everything."""
        for source in self.sources:
            source.close()
        for session in self.sessions:
            session.close()
        self.conn.close()


def transaction(source: MariaSource) -> Transaction:
    """The next transaction; Progress is passed over."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        item = source.read(1.0)
        if isinstance(item, Transaction):
            return item
    raise AssertionError("no transaction came")


def names(item: Transaction) -> list[object]:
    """The second column of its new rows."""
    return [new[1] if new is not None else None for chunk in item.chunks() for _, _, new, _ in chunk]
