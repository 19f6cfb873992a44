"""A MariaDB or MySQL whose log another program reads, and tells us of: all of the kit but for the log.

Turns the kit's rights and findings into those that are left when we are no replica. Our own transactions are known by
their row in the ledger, which the other program has to tell, too; and a row of it makes the log move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.mariadb.kit import MariaKit
from adapters.mariadb.resume import ServerIdentity, check_end, check_identity, read_facts
from adapters.mariadb.session import ask, execute, text_literal
from engine.catalog import Finding
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Position

OF_READING: Final = frozenset({"P107", "P108", "P120", "P153", "P156", "P161", "P162", "P251"})
"""Findings about reading the log by ourselves, and about what our own reader cannot read."""

BEAT: Final = (
    "INSERT INTO duolog.ledger (engine, `system`, number_to) VALUES ({engine}, {system}, 0) "
    "ON DUPLICATE KEY UPDATE `at` = CURRENT_TIMESTAMP(6)"
)
"""The row 0: batches are numbered from 1."""

CAPTURE_RIGHT: Final = "REPLICATION SLAVE, "


class MariaElsewhere(MariaKit):
    """As `MariaKit`, but for reading the log."""

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system, the reading of its log apart."""
        found, capabilities = super().findings(book)
        return [finding for finding in found if finding.code not in OF_READING], capabilities

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice, as SQL."""
        return [statement.replace(CAPTURE_RIGHT, "") for statement in super().grants(book, role)]

    def origins(self, book: RuleBook) -> Mapping[str, str]:
        """The log tells no origins: the ledger tells."""
        return {}

    def whole(self, tables: Sequence[Table]) -> set[int]:
        """Former rows are in the log whole (`binlog_row_image` is FULL)."""
        return set(range(len(tables)))

    def make_sure(self, book: RuleBook, identity: str, resume: Position) -> None:
        """Raises WrongServer or PositionForeign if this is not the server, or not the log, that `resume` is a position
        of."""
        with self._connection("run") as conn:
            known = ServerIdentity.parse(identity)
            check_identity(conn, self.system, read_facts(conn), known, engine=book.name)
            check_end(conn, self.system, resume)

    def beat(self, book: RuleBook) -> None:
        """Has the log move. Raises SystemUnavailable."""
        with self._connection("run") as conn:
            execute(conn, BEAT.format(engine=text_literal(book.name), system=text_literal(self.system)))

    def log_marks(self) -> str:
        """The last GTIDs that are in the log; of MySQL, all that were carried out."""
        with self._connection("run") as conn:
            name = "@@global.gtid_executed" if conn.server.flavour == "mysql" else "@@global.gtid_binlog_pos"
            found = ask(conn, f"SELECT {name}")[0][0]
        return str(found or "")
