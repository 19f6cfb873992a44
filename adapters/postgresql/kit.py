"""Everything that the service asks of PostgreSQL, in one place: catalog, findings, setup, source, target, snapshot.

Turns one system's entry in a rule file into the ports of `engine.ports`. It opens connections when asked and keeps
none. A kit of another database has the same methods (`service.wiring.Kit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import psycopg

from adapters.postgresql import extent, facts, ledger, preflight, setup, snapshot
from adapters.postgresql.borrowed import BorrowedSource
from adapters.postgresql.catalog import read_catalog
from adapters.postgresql.names import origin_name, publication_name, slot_name
from adapters.postgresql.resume import ServerIdentity, read_identity
from adapters.postgresql.rights import grants
from adapters.postgresql.session import connect, lsn_number, lsn_text, translate
from adapters.postgresql.source import PostgresSource
from adapters.postgresql.switch import PostgresSwitch
from adapters.postgresql.target import PostgresTarget
from adapters.relational.judging import SetupStep
from adapters.relational.ledger import outcome
from engine.catalog import Catalog, Finding
from engine.fence import Fence
from engine.rulebook import RuleBook
from engine.vocabulary import Outcome, Position, Row

END_READER: Final = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s AND active"


class PostgresKit:
    """One PostgreSQL database that takes part. `url` is never shown; `insecure` allows TLS to be off."""

    def __init__(self, system: str, url: str, *, insecure: bool) -> None:
        self.system = system
        self._url = url
        self._insecure = insecure

    @contextmanager
    def _connection(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        conn = connect(self.system, self._url, application_name=f"duolog {what}")
        try:
            yield conn
        except psycopg.Error as error:
            raise translate(error, self.system) from None
        finally:
            conn.close()

    def catalog(self, tables: Iterable[tuple[str, str]]) -> Catalog:
        """What the database says of these tables."""
        with self._connection("check") as conn:
            return read_catalog(conn, self.system, tables)

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system, and the capabilities that `source` may use."""
        with self._connection("check") as conn:
            found = facts.gather(conn, book, self.system, url=self._url, insecure=self._insecure)
        capabilities = preflight.capabilities(found)
        return preflight.assess(found), asdict(capabilities)

    def planned(self, book: RuleBook) -> list[SetupStep]:
        """What `setup` would make, and what is there already."""
        with self._connection("setup") as conn:
            return setup.statements(book, self.system, setup.read_facts(conn, book, self.system))

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice, as SQL."""
        with self._connection("check") as conn:
            numbered = facts.sequences(conn, book, self.system)
            return grants(book, self.system, role, numbered, version=conn.info.server_version)

    def setup(self, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
        """Makes what is missing."""
        with self._connection("setup") as conn:
            return setup.setup(conn, book, self.system, told=told)

    def teardown(self, book: RuleBook) -> list[str]:
        """Takes away what `setup` made; returns what that was."""
        with self._connection("teardown") as conn:
            return setup.teardown(conn, book, self.system)

    def forget(self, book: RuleBook) -> None:
        """Empties our part of the ledger, because a first merge starts the deciding steps anew.

        Raises SystemUnavailable while another engine is at work with these rules: its ledger is left alone."""
        holding = self.target(book)
        holding.open()  # takes our origin, which one session can have at a time
        try:
            with self._connection("first merge") as conn:
                conn.execute("DELETE FROM duolog.ledger WHERE engine = %s", (book.name,))
        finally:
            holding.close()

    def end_reader(self, book: RuleBook) -> None:
        """Hangs up on whoever reads our slot: another process, which may be frozen."""
        with self._connection("run") as conn:
            conn.execute(END_READER, [slot_name(book.name, self.system)])

    def identity(self) -> str:
        """Which server and database this is, as text to be kept."""
        with self._connection("run") as conn:
            return str(read_identity(conn, self.system))

    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> PostgresSource:
        """The reader of its log. `capabilities`: what `findings` chose."""
        return PostgresSource(
            self.system,
            self._url,
            slot=slot_name(book.name, self.system),
            publication=publication_name(book.name, self.system),
            origin=origin_name(book.name, self.system),
            tables=book.tables[self.system],
            identity=ServerIdentity.parse(identity),
            skip_own=capabilities["skip_own"],
            origin_none=capabilities["origin_none"],
            spool_dir=spool_dir,
            synchronous=self.system in book.synchronous,
            origins={origin_name(engine, self.system): engine for engine in book.engines},
        )

    def borrowed(self, book: RuleBook, identity: str, *, spool_dir: Path) -> BorrowedSource:
        """A reader of its log beside the engine's own; it tells also what the engine writes."""
        return BorrowedSource(
            self.system,
            self._url,
            slot=slot_name(book.name, self.system),
            publication=publication_name(book.name, self.system),
            origin=origin_name(book.name, self.system),
            tables=book.tables[self.system],
            identity=ServerIdentity.parse(identity),
            spool_dir=spool_dir,
            application_name="shadow:" + slot_name(book.name, self.system),  # or it would answer at COMMIT for us
        )

    def committed(self, book: RuleBook, after: int) -> list[Outcome]:
        """What the ledger tells of the batches of the engine that has these rules, after a deciding step."""
        with self._connection("shadow") as conn:
            rows = psycopg.RawCursor(conn).execute(ledger.COMMITTED, [book.name, str(after)]).fetchall()
        return [outcome(self.system, number, lsn_number(at), kept) for number, at, kept in rows]

    def target(self, book: RuleBook, *, fence: Fence | None = None) -> PostgresTarget:
        """The writer of its tables. `fence`: it may take the place of a former one."""
        origin = origin_name(book.name, self.system)
        return PostgresTarget(self.system, self._url, engine=book.name, origin=origin, book=book, fence=fence)

    def switch(self, book: RuleBook) -> PostgresSwitch:
        """What makes its users wait at COMMIT; of a synchronous system that is set up."""
        return PostgresSwitch(self.system, self._url, slot=slot_name(book.name, self.system), engine=book.name)

    def picture(self, book: RuleBook) -> snapshot.PostgresSnapshot:
        """What is there now, for a look that needs nothing but the right to read."""
        return snapshot.PostgresSnapshot(self.system, self._url, book, at_once=True)

    def snapshot(self, book: RuleBook) -> snapshot.PostgresSnapshot:
        """A consistent picture at a known position."""
        return snapshot.PostgresSnapshot(self.system, self._url, book)

    def rows_about(self, book: RuleBook) -> list[int]:
        """By table number: about how many rows it has; 0 if nobody knows."""
        with self._connection("match") as conn:
            return extent.rows_about(conn, book, self.system)

    def log_kept(self, book: RuleBook, position: Position) -> int:
        """How many bytes of log the server keeps for us. Raises SystemStopped or SlotBusy if it could not be read on
        from `position`."""
        with self._connection("match") as conn:
            return extent.log_kept(conn, book, self.system, position)

    @contextmanager
    def reading(self, book: RuleBook) -> Iterator[Reading]:
        """Rows as they are now, for comparing."""
        with self._connection("verify") as conn:
            yield Reading(conn, book, self.system)

    def position_text(self, position: Position) -> str:
        """A position as the database writes it."""
        return lsn_text(position)


class Reading:
    """One connection that reads bound rows, outside any snapshot of ours."""

    def __init__(self, conn: psycopg.Connection[Any], book: RuleBook, system: str) -> None:
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
