"""Grounds on which a database is written and pictured through its ODBC driver, and read by its own source.

Turns the address of a test's database into one of ODBC's; the rest is as on SQLAlchemy's own grounds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from adapters.alchemy.kit import AlchemyKit
from adapters.postgresql.names import origin_name
from engine.rulebook import RuleBook
from tests.contract.alchemy_ground import LEDGER, AlchemyOnMaria, AlchemyOnPostgres
from tests.contract.ground import SYSTEM, Ground
from tests.database.assembled import FIXTURES
from tests.database.assembled import Ground as Place
from tests.ground import MARIADB, POSTGRESQL, Session, account, by_odbc
from tests.servers import need_odbc


class OdbcOnPostgres(AlchemyOnPostgres):
    """PostgreSQL, read by its own source and written by its ODBC driver."""

    def alchemy(self, rules: RuleBook) -> AlchemyKit:
        """The kit. Its transactions bear our origin, as they have to."""
        origin = origin_name(rules.name, SYSTEM)
        mark = sa.text("SELECT pg_replication_origin_session_setup(:origin)")
        return AlchemyKit(
            SYSTEM, account(by_odbc(self.place.address)), insecure=True, ledger=LEDGER,
            prepare=lambda conn: conn.execute(mark, {"origin": origin}).close(),
        )  # fmt: skip


class OdbcOnMaria(AlchemyOnMaria):
    """MariaDB, read by its own source and written by its ODBC driver."""

    def alchemy(self, rules: RuleBook) -> AlchemyKit:
        """The kit."""
        return AlchemyKit(SYSTEM, account(by_odbc(self.place.address)), insecure=True)


def odbc_ground(kind: str) -> Callable[[pytest.FixtureRequest], Ground]:
    """How a ground of this kind is made for a test."""

    def make(request: pytest.FixtureRequest) -> Ground:
        need_odbc(kind)
        address = request.getfixturevalue(FIXTURES[kind])
        grounds = {POSTGRESQL: OdbcOnPostgres, MARIADB: OdbcOnMaria}
        return grounds[kind](Place(kind, address, Session(address)), request.getfixturevalue("tmp_path"))

    return make
