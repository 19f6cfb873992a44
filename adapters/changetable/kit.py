"""Everything that the service asks of a database whose changes are kept by triggers: what `adapters.alchemy` has for
any database, and a source.

Turns one system's entry in a rule file into ports of `engine.ports`. It opens connections when asked and keeps none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.session import WRITE, Session
from adapters.alchemy.speech import AlchemySpeech
from adapters.alchemy.target import AlchemyTarget
from adapters.changetable import preflight, setup, stamping
from adapters.changetable.beginning import begin
from adapters.changetable.borrowed import BorrowedSource
from adapters.changetable.sessions import marking
from adapters.changetable.source import ChangeTableSource
from adapters.changetable.tables import ours
from adapters.relational.judging import SetupStep
from engine.catalog import Finding
from engine.errors import NotSetUp, StoreBehind
from engine.fence import Fence
from engine.rulebook import RuleBook
from engine.vocabulary import Position

row_bytes: Final = 200
"""What a row that waits to be read takes, about, with its values."""


class ChangeTableKit(AlchemyKit):
    """One database that takes part. `url`: SQLAlchemy's, never shown; `insecure` allows TLS to be off; `speech`: what
    puts the writes of a session into words."""

    def __init__(
        self, system: str, url: str, *, insecure: bool, speech: Callable[[Session], AlchemySpeech] = AlchemySpeech
    ) -> None:
        super().__init__(
            system, url, insecure=insecure, places=stamping.positions(system), begin=begin, speech=speech
        )  # fmt: skip

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system; nothing is left out at the source because of it."""
        found, chosen = super().findings(book)
        with self._session() as session:
            found += preflight.findings(session, book)
        return sorted(found, key=lambda finding: finding.severity != "error"), chosen

    def planned(self, book: RuleBook) -> list[SetupStep]:
        """What `setup` would make, and what is there already."""
        with self._session() as session:
            mine = [step.told() for step in setup.steps(session, book)]
        return _once([*super().planned(book), *mine])

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice, as SQL."""
        with self._session() as session:
            mine = preflight.grants(session, book, role)
        return [*super().grants(book, role), *mine]

    def setup(self, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
        """Makes what is missing. Raises SystemUnavailable if somebody keeps a bound table locked for long."""
        made = super().setup(book, told)
        with self._session(WRITE) as session:
            return [*made, *setup.setup(session, book, told)]

    def teardown(self, book: RuleBook) -> list[str]:
        """Takes away what `setup` made; returns what that was. Raises SystemUnavailable while the engine is at work."""
        gone: list[str] = []
        if self._is_set_up():
            with self._session() as session:
                there = setup.is_there(session, ours(session))
            holding = self.target(book) if there else super().target(book)
            holding.open()
            holding.close()
        with self._session(WRITE) as session:
            gone += setup.teardown(session, book)
        return [*gone, *super().teardown(book)]

    def end_reader(self, book: RuleBook) -> None:
        """Nothing: a second reader is in nobody's way."""

    def identity(self) -> str:
        """Which change table this is. Raises NotSetUp."""
        with self._session() as session:
            made = ours(session)
            if not setup.is_there(session, made):
                raise NotSetUp(f"there is no table `{made.mark.fullname}`", system=self.system, mend=setup.SETUP)
            with session.transaction() as conn:
                return setup.read_mark(conn, made, self.system).identity

    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> ChangeTableSource:
        """The reader of its change table. `capabilities`: what `findings` chose."""
        return ChangeTableSource(
            self.system, self._url, book, identity=identity, engines=book.engines,
            skip_own=capabilities["skip_own"], spool_dir=spool_dir,
        )  # fmt: skip

    def borrowed(self, book: RuleBook, identity: str, *, spool_dir: Path) -> BorrowedSource:
        """A reader beside the engine's own; it tells also what the engine writes."""
        return BorrowedSource(
            self.system, self._url, book, identity=identity, engines=book.engines, skip_own=False,
            spool_dir=spool_dir, forgets=False,
        )  # fmt: skip

    def target(self, book: RuleBook, *, fence: Fence | None = None) -> AlchemyTarget:
        """The writer of its tables, whose session bears our mark. `fence`: it may take the place of a former one."""
        return AlchemyTarget(
            self.system, self._url, engine=book.name, book=book, positions=stamping.positions(self.system, book.name),
            prepare=marking(self.system, book.name), ledger=self._ledger_place, fence=fence, speech=self._speech,
        )  # fmt: skip

    def log_kept(self, book: RuleBook, position: Position) -> int:
        """About how many bytes of changes are kept for us. Raises StoreBehind if they could not be read on from
        `position`, NotSetUp."""
        with self._session() as session:
            made = ours(session)
            with session.transaction() as conn:
                if position < stamping.end_of(setup.read_mark(conn, made, self.system).forgotten):
                    raise StoreBehind(
                        f"what followed the position {stamping.text(position)} has been removed",
                        system=self.system, mend="`duolog run RULES --merge-again`",
                    )  # fmt: skip
                return int(conn.execute(sa.select(sa.func.count()).select_from(made.change)).scalar_one()) * row_bytes


def _once(steps: list[SetupStep]) -> list[SetupStep]:
    """Without what is said twice: the schema is the ledger's as well."""
    return list({step.what: step for step in steps}.values())
