"""A PostgreSQL whose log another program reads, and tells us of: all of the kit but for the log.

Turns the kit's setup, rights and findings into those that are left when there is no slot and no publication of ours.
Our own transactions bear our origin as ever; and the log can be made to move, so that the other program tells of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import psycopg

from adapters.postgresql import setup
from adapters.postgresql.kit import PostgresKit
from adapters.postgresql.names import origin_name
from adapters.postgresql.resume import ServerIdentity, check_identity, check_position
from adapters.postgresql.session import translate
from adapters.relational.judging import SetupStep
from engine.catalog import Finding
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Position

OF_READING: Final = frozenset({"P107", "P108", "P110", "P111", "P118"})
"""Findings about a slot of ours, and how long it keeps the log. (A picture needs one for a moment, too, and a sender,
and the right to make them.)"""

OURS: Final = ("publication ", "logical slot ", setup.LET_GO)
"""What setup makes for reading the log, by how its steps begin."""

BEAT: Final = "SELECT pg_catalog.pg_logical_emit_message(true, 'duolog', '')"

WHOLE: Final = """
SELECT w.number FROM unnest(%s::int[], %s::text[], %s::text[]) AS w(number, schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relreplident = 'f'
"""


class PostgresElsewhere(PostgresKit):
    """As `PostgresKit`, but for reading the log."""

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system, its log apart."""
        found, capabilities = super().findings(book)
        return [finding for finding in found if finding.code not in OF_READING], capabilities

    def planned(self, book: RuleBook) -> list[SetupStep]:
        """What `setup` would make, and what is there already."""
        return [step for step in super().planned(book) if not step.what.startswith(OURS)]

    def setup(self, book: RuleBook, told: Callable[[SetupStep], None]) -> list[SetupStep]:
        """Makes what is missing."""
        missing = [step for step in self.planned(book) if not step.done]
        with self._connection("setup") as conn:
            for step in missing:
                told(step)
                conn.execute(step.sql.encode())
        return missing

    def origins(self, book: RuleBook) -> Mapping[str, str]:
        """By the origin that marks our own transactions, which of our engines wrote them."""
        return {origin_name(engine, self.system): engine for engine in book.engines}

    def whole(self, tables: Sequence[Table]) -> set[int]:
        """The numbers of those tables whose former rows are in the log whole."""
        given = [list(range(len(tables))), [t.schema for t in tables], [t.name for t in tables]]
        with self._connection("run") as conn:
            return {number for (number,) in conn.execute(WHOLE.encode(), given)}

    def make_sure(self, book: RuleBook, identity: str, resume: Position) -> None:
        """Raises WrongServer or PositionForeign if this is not the server, or not the log, that `resume` is a position
        of."""
        with self._connection("run") as conn:
            check_identity(conn, self.system, ServerIdentity.parse(identity))
            check_position(conn, self.system, resume)

    def beat(self, book: RuleBook) -> None:
        """Has the log move: a transaction with a message in it, and nothing else. Raises SystemUnavailable."""
        with self._connection("run") as conn:
            try:
                conn.execute(BEAT.encode())
            except psycopg.Error as error:
                raise translate(error, self.system) from None

    def log_marks(self) -> str:
        """Transactions have no names that are in order."""
        return ""
