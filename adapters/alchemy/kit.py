"""Everything that the service asks of a database that SQLAlchemy speaks to, but for its log: catalog, findings, setup,
target, snapshot.

Turns one system's entry in a rule file into ports of `engine.ports`. It opens connections when asked and keeps none.
Who wraps it has `source`, `borrowed`, `log_kept` and `switch`, and says what a position is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

import sqlalchemy as sa
from sqlalchemy import exc

from adapters.alchemy import pictures, positions, preflight, setup
from adapters.alchemy.catalog import read_catalog
from adapters.alchemy.ledger import Ledger, table
from adapters.alchemy.positions import Positions
from adapters.alchemy.session import WRITE, Prepare, Session, connect, translate, url_of
from adapters.alchemy.snapshot import AlchemySnapshot, Reading
from adapters.alchemy.speech import AlchemySpeech
from adapters.alchemy.target import AlchemyTarget
from adapters.odbc.address import told_insecure
from adapters.relational.judging import SetupStep
from engine.catalog import Catalog, Finding
from engine.errors import PositionForeign, SystemStopped, WrongServer
from engine.fence import Fence
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Outcome, Position


class AlchemyKit:
    """One database that takes part. `url` is never shown; `insecure` allows TLS to be off (by ODBC it is seen to here,
    otherwise it is the driver's affair).

    `places`: what the positions of its log are; None: those that the database itself tells. `begin`: begins a picture
    at a position. `prepare`: what a writing session is told besides. `ledger`: (schema, name) of the ledger.
    `speech`: what puts the writes of a session into words."""

    def __init__(
        self, system: str, url: str, *, insecure: bool, places: Positions | None = None,
        begin: pictures.Begin = pictures.begin, prepare: Prepare | None = None, ledger: tuple[str, str] | None = None,
        speech: Callable[[Session], AlchemySpeech] = AlchemySpeech,
    ) -> None:  # fmt: skip
        self.system = system
        self._url = told_insecure(url, insecure=insecure)
        self._places = places
        self._begin = begin
        self._prepare = prepare
        self._ledger_place = ledger
        self._speech = speech

    def catalog(self, tables: Iterable[tuple[str, str]]) -> Catalog:
        """What the database says of these tables."""
        with self._session() as session:
            return read_catalog(session, tables)

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system; nothing is left out at a source because of it."""
        with self._session() as session:
            binds = self._speech(session).binds
            return preflight.findings(session, book, self._table(session), binds=binds), {"skip_own": False}

    def planned(self, book: RuleBook) -> list[SetupStep]:
        """What `setup` would make, and what is there already."""
        with self._session() as session:
            return setup.statements(session, self._table(session))

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice, as SQL."""
        with self._session() as session:
            return setup.grants(session, book, role, self._table(session))

    def setup(self, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
        """Makes what is missing."""
        with self._session(WRITE) as session:
            return setup.setup(session, self._table(session), told)

    def teardown(self, book: RuleBook) -> list[str]:
        """Takes away what `setup` made; returns what that was. Raises SystemUnavailable while the engine is at work."""
        if not self._is_set_up():
            return []
        # Not `self.target`: who wraps this may have taken away already what its sessions are marked by.
        holding = AlchemyKit.target(self, book)
        holding.open()
        try:
            with self._session(WRITE) as session:
                return setup.teardown(session, self._ledger(session, book))
        finally:
            holding.close()

    def forget(self, book: RuleBook) -> None:
        """Empties our part of the ledger, because a first merge starts the deciding steps anew.

        Raises SystemUnavailable while another engine is at work with these rules: its ledger is left alone."""
        holding = self.target(book)
        holding.open()  # one session can be the only one that writes
        try:
            with self._session(WRITE) as session, session.transaction() as conn:
                self._ledger(session, book).forget_all(conn)
        finally:
            holding.close()

    def identity(self) -> str:
        """Which database this is, as far as its address says; who reads the log knows better."""
        address = url_of(self._url, self.system)
        return f"{address.get_backend_name()} {address.host or ''}:{address.port or ''}/{address.database or ''}"

    def committed(self, book: RuleBook, after: int) -> list[Outcome]:
        """What the ledger tells of the batches of the engine that has these rules, after a deciding step."""
        with self._session() as session, session.transaction() as conn:
            return self._ledger(session, book).committed(conn, after)

    def target(self, book: RuleBook, *, fence: Fence | None = None) -> AlchemyTarget:
        """The writer of its tables. `fence`: it may take the place of a former one."""
        return AlchemyTarget(
            self.system, self._url, engine=book.name, book=book, positions=self.positions(), prepare=self._prepare,
            ledger=self._ledger_place, fence=fence, speech=self._speech,
        )  # fmt: skip

    def picture(self, book: RuleBook) -> AlchemySnapshot:
        """What is there now, for a look that needs nothing but the right to read."""
        return AlchemySnapshot(self.system, self._url, book, None, self._begin)

    def snapshot(self, book: RuleBook) -> AlchemySnapshot:
        """A consistent picture at a known position."""
        return AlchemySnapshot(self.system, self._url, book, self.positions(), self._begin)

    def rows_about(self, book: RuleBook) -> list[int]:
        """By table number: how many rows it has; 0 if there is no such table. They are counted, as no two databases
        keep an estimate in the same place."""
        with self._session() as session:
            return setup.rows_about(session, book)

    @contextmanager
    def reading(self, book: RuleBook) -> Iterator[Reading]:
        """Rows as they are now, for comparing."""
        with self._session() as session:
            yield Reading(session, book)

    def position_text(self, position: Position) -> str:
        """A position as people read it."""
        return self.positions().text(position)

    def positions(self) -> Positions:
        """What the positions of its log are. Raises SystemStopped where nobody has said."""
        name = url_of(self._url, self.system).get_backend_name()
        known = self._places or positions.of_dialect(name)
        if known is None:
            raise SystemStopped(f"a database of `{name}` has no log whose positions are known", system=self.system)
        return known

    # ---- what is asked where another program reads the log

    def origins(self, book: RuleBook) -> Mapping[str, str]:
        """The log tells no origins: the ledger tells."""
        return {}

    def whole(self, tables: Sequence[Table]) -> set[int]:
        """Former rows are in the log whole: Oracle's with supplemental logging of all columns, SQL Server's and Db2's
        capture always."""
        return set(range(len(tables)))

    def make_sure(self, book: RuleBook, identity: str, resume: Position) -> None:
        """Raises WrongServer or PositionForeign if this is not the database, or not the log, that `resume` is a
        position of."""
        if identity != self.identity():
            raise WrongServer(
                "the address leads to another database than the one whose positions are in the store",
                system=self.system, mend="set the address back, or `duolog run RULES --merge-again`",
            )  # fmt: skip
        with self._session(WRITE) as session, session.transaction() as conn:
            end = self.positions().now(conn)
        if end < resume:
            raise PositionForeign(
                f"our position {self.position_text(resume)} is beyond the log's end at {self.position_text(end)}: the "
                "database was restored from a backup",
                system=self.system, mend="`duolog run RULES --merge-again`",
            )  # fmt: skip

    def beat(self, book: RuleBook) -> None:
        """Has the log move. Raises SystemUnavailable."""
        with self._session(WRITE) as session, session.transaction() as conn:
            self._ledger(session, book).beat(conn)

    def log_marks(self) -> str:
        """Transactions have no names that are in order."""
        return ""

    def switch(self, book: RuleBook) -> NoReturn:
        """Its users never wait at COMMIT: rules that ask for that are refused."""
        raise SystemStopped("commits cannot wait here, so nobody is let go", system=self.system)

    def ledger_name(self) -> str:
        """Where the ledger is, as the database stores its name: another reader of the log has to tell of it."""
        with self._session() as session:
            made = self._table(session)
            parts = (made.schema or sa.inspect(session.conn).default_schema_name or "", made.name)
            folded = session.dialect.requires_name_normalize
            return ".".join(part.upper() if folded and part == part.lower() else part for part in parts if part)

    @contextmanager
    def _session(self, purpose: str = "read") -> Iterator[Session]:
        session = connect(self.system, self._url, purpose=purpose)
        try:
            yield session
        except exc.DBAPIError as error:
            raise translate(error, self.system) from None
        finally:
            session.close()

    def _table(self, session: Session) -> sa.Table:
        return table(session.can, self._ledger_place)

    def _ledger(self, session: Session, book: RuleBook) -> Ledger:
        return Ledger(self._table(session), book.name, self.system, self.positions())

    def _is_set_up(self) -> bool:
        with self._session() as session:
            return setup.is_there(session, self._table(session))
