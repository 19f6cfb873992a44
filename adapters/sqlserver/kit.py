"""Everything that the service asks of SQL Server, in one place: catalog, findings, source, target, snapshot.

Turns one system's entry in a rule file into the ports of `engine.ports`. Pictures and the frame of a target are
`adapters.alchemy`'s; here is what concerns changes, and T-SQL. It opens connections when asked and keeps none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from adapters.alchemy import preflight
from adapters.alchemy.catalog import read_catalog
from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.pictures import Begin
from adapters.alchemy.rights import rights
from adapters.alchemy.session import Session
from adapters.alchemy.speech import AlchemySpeech
from adapters.alchemy.target import AlchemyTarget
from adapters.relational.judging import SetupStep
from adapters.sqlserver import facts, instances, lsn, marks, pictures, positions, resume, setup
from adapters.sqlserver import preflight as of_changes
from adapters.sqlserver.polling import Borrowed, PollingSource
from adapters.sqlserver.resume import Identity
from adapters.sqlserver.rows import SqlServerRows
from adapters.sqlserver.setup import Capture
from adapters.sqlserver.source import BorrowedCapture, CaptureSource
from adapters.sqlserver.speech import SqlServerSpeech
from adapters.sqlserver.tracking import BorrowedTracking, TrackingSource
from engine.catalog import Finding
from engine.errors import AccessDenied, SystemStopped
from engine.fence import Fence
from engine.rulebook import RuleBook
from engine.vocabulary import Position

SCHEME: Final = "sqlserver"
"""How addresses may begin, beside SQLAlchemy's `mssql`."""
Speaking: TypeAlias = "Callable[[Session, str], AlchemySpeech]"
"""Given a session, and what stands in front of statements that write."""


class SqlServerKit(AlchemyKit):
    """One SQL Server database that takes part. `url` is never shown; `insecure` allows TLS to be off. `capture`: what
    tells of changes; `ledger`: (schema, name), if it is not where it usually is; `begin`: see `AlchemyKit`;
    `speaking`: what puts writes into words."""

    def __init__(
        self, system: str, url: str, *, insecure: bool, capture: Capture = "cdc",
        ledger: tuple[str, str] | None = None, begin: Begin = pictures.begin,
        speaking: Speaking = SqlServerSpeech,
    ) -> None:  # fmt: skip
        scheme, separator, rest = url.partition("://")
        named = scheme.lower().split("+")[0]
        address = f"mssql{scheme[len(SCHEME) :]}{separator}{rest}" if named == SCHEME else url
        places = positions.captured(ledger) if capture == "cdc" else positions.tracked()
        super().__init__(system, address, insecure=insecure, places=places, begin=begin, ledger=ledger)
        self._capture: Capture = capture
        self._speaking = speaking

    # ---- before anything runs

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system."""
        tables = book.tables[self.system]
        with self._session() as session:
            ledger = self._table(session)
            found = preflight.findings(session, book, ledger, binds=self._speaking(session, "").binds)
            catalog = read_catalog(session, [(table.schema, table.name) for table in tables])
            with session.transaction() as conn:
                known = facts.gather(conn, self.system, tables, ledger)
        found += of_changes.assess(known, catalog, tables, rights(book, self.system), ledger, self._capture)
        return sorted(found, key=lambda finding: finding.severity != "error"), {"skip_own": False}

    def planned(self, book: RuleBook) -> list[SetupStep]:
        """What `setup` would make, and what is there already."""
        return [*super().planned(book), *self._steps(book)]

    def setup(self, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
        """Makes what is missing: the ledger, and what captures changes of it and of the bound tables.

        Raises AccessDenied with the statement, if we may not."""
        made = super().setup(book, told)
        missing = [step for step in self._steps(book) if not step.done]
        for step in missing:
            told(step)
            try:
                self._at_once(step.sql)
            except SystemStopped as refused:
                raise AccessDenied(
                    f"{step.what} could not be made: {refused.found}", system=self.system,
                    mend=f"have somebody do it who may: {step.sql}",
                ) from None  # fmt: skip
        return [*made, *missing]

    def teardown(self, book: RuleBook) -> list[str]:
        """Takes away what `setup` made, unless another engine's rows are in the ledger; returns what that was."""
        gone = super().teardown(book)
        if not gone:
            return []
        with self._session() as session, session.transaction() as conn:
            ledger, tables = self._table(session), book.tables[self.system]
            known = facts.gather(conn, self.system, tables, ledger)
        steps = [each for each in setup.disabling(known, tables, ledger, self._capture) if not each.done]
        for step in steps:
            self._at_once(step.sql)
        return [*gone, *(step.what for step in steps)]

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice, as SQL."""
        with self._session() as session:
            version = session.dialect.server_version_info or ()
        needed = rights(book, self.system)
        return [*super().grants(book, role), *setup.grants(needed, role, self._capture, int((*version, 0)[0]))]

    def identity(self) -> str:
        """Which database this is, as text to be kept."""
        with self._session() as session, session.transaction() as conn:
            return str(resume.read_database(conn).identity)

    # ---- the ports

    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> PollingSource:
        """The reader of its changes. `capabilities`: what `findings` chose."""
        kind = CaptureSource if self._capture == "cdc" else TrackingSource
        given = self._given(book, identity, spool_dir)
        return kind(self.system, self._url, **given, skip_own=capabilities["skip_own"])

    def borrowed(self, book: RuleBook, identity: str, *, spool_dir: Path) -> Borrowed:
        """A reader beside the engine's own; it tells also what the engine writes."""
        kind = BorrowedCapture if self._capture == "cdc" else BorrowedTracking
        return kind(self.system, self._url, **self._given(book, identity, spool_dir))

    def target(self, book: RuleBook, *, fence: Fence | None = None) -> AlchemyTarget:
        """The writer of its tables. `fence`: it may take the place of a former one."""
        mark = marks.prefix(book.name, self.system) if self._capture == "tracking" else ""
        return AlchemyTarget(
            self.system, self._url, engine=book.name, book=book, positions=self.positions(), prepare=self._prepare,
            ledger=self._ledger_place, fence=fence, speech=partial(_spoken, self._speaking, mark),
        )  # fmt: skip

    def end_reader(self, book: RuleBook) -> None:
        """Nothing: any number of readers may read changes at the same time."""

    def log_kept(self, book: RuleBook, position: Position) -> int:
        """How many bytes are kept for us: none, as changes are kept for a time, whoever reads them.

        Raises SystemStopped if it could not be read on from `position`."""
        if self._capture == "cdc":
            with self._session() as session, session.transaction() as conn:
                begin = lsn.of_position(position) + 1
                known, kept = instances.read(conn), instances.first_kept(conn)
                instances.plan(book.tables[self.system], known, begin, begin, kept=kept, system=self.system)
        return 0

    def make_sure(self, book: RuleBook, identity: str, position: Position) -> None:
        """Raises WrongServer or PositionForeign if this is not the database, or not the log, of a position."""
        known = Identity.parse(identity)
        with self._session() as session, session.transaction() as conn:
            resume.check_database(resume.read_database(conn), known, self.system, needs_capture=False)
            if self._capture == "cdc":
                resume.check_position(conn, position, self.system)

    # ---- help

    def _given(self, book: RuleBook, identity: str, spool_dir: Path) -> dict[str, Any]:
        return {
            "engines": book.engines, "tables": book.tables[self.system], "identity": Identity.parse(identity),
            "ledger": self._ledger_place, "spool_dir": spool_dir,
        }  # fmt: skip

    def _steps(self, book: RuleBook) -> Sequence[SetupStep]:
        tables = book.tables[self.system]
        with self._session() as session, session.transaction() as conn:
            ledger = self._table(session)
            return setup.steps(facts.gather(conn, self.system, tables, ledger), tables, ledger, self._capture)

    def _at_once(self, statement: str) -> None:
        """Carries out what no transaction may have within it."""
        with self._session() as session:
            session.conn.execution_options(isolation_level="AUTOCOMMIT")
            SqlServerRows(session).carry_out(statement)


def _spoken(speaking: Speaking, mark: str, session: Session) -> AlchemySpeech:
    return speaking(session, mark)
