"""Everything that the service asks of MariaDB or MySQL, in one place: catalog, findings, source, target, snapshot.

Turns one system's entry in a rule file into the ports of `engine.ports`. It opens connections when asked and keeps
none. A kit of another database has the same methods (`service.wiring.Kit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import pymysql

from adapters.mariadb import alone, extent, facts, ledger, positions, preflight, setup, snapshot, synchronous
from adapters.mariadb.address import address
from adapters.mariadb.borrowed import BorrowedSource, drawn_id
from adapters.mariadb.catalog import read_catalog
from adapters.mariadb.resume import ServerIdentity, read_identity
from adapters.mariadb.rights import account, grants
from adapters.mariadb.session import Connection, ask, connect, execute, translate
from adapters.mariadb.source import MariaSource
from adapters.mariadb.switch import MariaSwitch
from adapters.mariadb.target import MariaTarget
from adapters.relational.judging import SetupStep
from engine.catalog import Catalog, Finding
from engine.fence import Fence
from engine.rulebook import RuleBook, Synchronous
from engine.vocabulary import Outcome, Position, Row


class MariaKit:
    """One MariaDB or MySQL database that takes part. `url` is never shown; `insecure` allows TLS to be off."""

    def __init__(self, system: str, url: str, *, insecure: bool) -> None:
        self.system = system
        self._url = url
        self._insecure = insecure

    @contextmanager
    def _connection(self, what: str) -> Iterator[Connection]:
        conn = connect(self.system, self._url, application_name=f"duolog {what}")
        try:
            yield conn
        except pymysql.MySQLError as error:
            raise translate(error, self.system) from None
        finally:
            if conn.open:
                conn.close()

    def catalog(self, tables: Iterable[tuple[str, str]]) -> Catalog:
        """What the database says of these tables."""
        with self._connection("check") as conn:
            return read_catalog(conn, self.system, tables)

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system, and the capabilities that `source` may use."""
        with self._connection("check") as conn:
            found = facts.gather(conn, book, self.system, url=self._url, insecure=self._insecure)
        return preflight.assess(found), asdict(preflight.capabilities(found))

    def planned(self, book: RuleBook) -> list[SetupStep]:
        """What `setup` would make, and what is there already."""
        with self._connection("setup") as conn:
            return setup.statements(book, self.system, setup.read_facts(conn, book, self.system))

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice, as SQL. `role`: a user, `name` or `name@host`."""
        with self._connection("check") as conn:
            flavour = conn.server.flavour
        made = grants(book, self.system, role, flavour, address(self._url, system=self.system).database)
        return [*made, *synchronous.grants(book, self.system, account(role), flavour)]

    def setup(self, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
        """Makes what is missing. Who waits at COMMIT is let go first: nothing can be made behind him."""
        with self._connection("setup") as conn:
            if setup.is_incomplete(conn, book, self.system):
                self._let_go(conn, book, "duolog was set up again")
            return setup.setup(conn, book, self.system, told=told)

    def teardown(self, book: RuleBook) -> list[str]:
        """Takes away what `setup` made; returns what that was. Who waits at COMMIT is let go first."""
        with self._connection("teardown") as conn:
            self._let_go(conn, book, "duolog was taken down")
            return setup.teardown(conn, book, self.system)

    def _let_go(self, conn: Connection, book: RuleBook, why: str) -> None:
        at_work = alone.holder(conn, book.name, self.system) is not None  # then somebody answers
        if at_work or not synchronous.has_ranges(conn, book.name):
            return
        with closing(self.switch(book)) as switch:
            if switch.look().armed:
                switch.release(why, "setup")

    def forget(self, book: RuleBook) -> None:
        """Empties our part of the ledger, because a first merge starts the deciding steps anew.

        Raises SystemUnavailable while another engine is at work with these rules: its ledger is left alone."""
        holding = self.target(book)
        holding.open()  # takes our lock, which one connection can have at a time
        try:
            with self._connection("first merge") as conn:
                execute(conn, ledger.forget_all(book.name, self.system))
        finally:
            holding.close()

    def end_reader(self, book: RuleBook) -> None:
        """Nothing: of two readers with one number, the server itself ends the former."""

    def identity(self) -> str:
        """Which server and database this is, as text to be kept."""
        with self._connection("run") as conn:
            return str(read_identity(conn))

    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> MariaSource:
        """The reader of its log. `capabilities`: what `findings` chose."""
        return MariaSource(
            self.system,
            self._url,
            engine=book.name,
            engines=book.engines,
            tables=book.tables[self.system],
            identity=ServerIdentity.parse(identity),
            skip_own=capabilities["skip_own"],
            synchronous=self.system in book.synchronous,
            spool_dir=spool_dir,
        )

    def borrowed(self, book: RuleBook, identity: str, *, spool_dir: Path) -> BorrowedSource:
        """A reader of its log beside the engine's own; it tells also what the engine writes."""
        return BorrowedSource(
            self.system,
            self._url,
            engine=book.name,
            tables=book.tables[self.system],
            identity=ServerIdentity.parse(identity),
            spool_dir=spool_dir,
            server_id=drawn_id(),
        )

    def committed(self, book: RuleBook, after: int) -> list[Outcome]:
        """What the ledger tells of the batches of the engine that has these rules, after a deciding step."""
        with self._connection("shadow") as conn:
            rows = ask(conn, ledger.committed(book.name, self.system, after))
        return [ledger.outcome(self.system, number, positions.from_text(at), kept) for number, at, kept in rows]

    def target(self, book: RuleBook, *, fence: Fence | None = None) -> MariaTarget:
        """The writer of its tables. `fence`: it may take the place of a former one."""
        return MariaTarget(self.system, self._url, engine=book.name, book=book, fence=fence)

    def switch(self, book: RuleBook) -> MariaSwitch:
        """What makes its users wait at COMMIT; of a system that is, or was, synchronous and is set up."""
        rule = book.synchronous.get(self.system, Synchronous(None, "release"))
        return MariaSwitch(self.system, self._url, engine=book.name, rule=rule)

    def picture(self, book: RuleBook) -> snapshot.MariaSnapshot:
        """What is there now, for a look that needs nothing but the right to read."""
        return snapshot.MariaSnapshot(self.system, self._url, book, at_once=True)

    def snapshot(self, book: RuleBook) -> snapshot.MariaSnapshot:
        """A consistent picture at a known position."""
        return snapshot.MariaSnapshot(self.system, self._url, book)

    def rows_about(self, book: RuleBook) -> list[int]:
        """By table number: about how many rows it has; 0 if nobody knows."""
        with self._connection("match") as conn:
            return extent.rows_about(conn, book, self.system)

    def log_kept(self, book: RuleBook, position: Position) -> int:
        """How many bytes of log the server keeps for us. Raises SystemStopped if it could not be read on from
        `position`."""
        with self._connection("match") as conn:
            return extent.log_kept(conn, book, self.system, position)

    @contextmanager
    def reading(self, book: RuleBook) -> Iterator[Reading]:
        """Rows as they are now, for comparing."""
        with self._connection("verify") as conn:
            yield Reading(conn, book, self.system)

    def position_text(self, position: Position) -> str:
        """A position as people read it: the number of the log's file, and the offset there."""
        return positions.text(position)


class Reading:
    """One connection that reads bound rows, outside any snapshot of ours."""

    def __init__(self, conn: Connection, book: RuleBook, system: str) -> None:
        self._conn = conn
        self._book = book
        self._system = system

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity, ascending by record key, in field order."""
        return snapshot.read_rows(self._conn, self._book, self._system, entity)

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table, in the order of its columns; in any order."""
        return snapshot.read_table(self._conn, self._book, self._system, number)

    def rows_of(self, entity: str, keys: Sequence[str]) -> dict[str, Row]:
        """The rows of these records; a record that has none is not in it."""
        return snapshot.rows_of_keys(self._conn, self._book, self._system, entity, list(keys))
