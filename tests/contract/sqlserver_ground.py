"""A ground on which PostgreSQL plays an SQL Server's change data capture, and its adapter reads that through pyodbc.

Target and picture are those of `adapters.alchemy`, with SQL Server's separators as PostgreSQL plays them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest
import sqlalchemy as sa

from adapters.alchemy import abilities
from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.pictures import REPEATABLE, lock_table
from adapters.alchemy.positions import Positions
from adapters.alchemy.session import Session as AlchemySession
from adapters.alchemy.session import connect
from adapters.alchemy.speech import AlchemySpeech
from adapters.sqlserver.kit import SqlServerKit
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Position
from tests.contract.ground import SYSTEM, Ground, Lack, Made
from tests.contract.sql_ground import PostgresGround
from tests.database.assembled import FIXTURES
from tests.database.assembled import Ground as Place
from tests.database.sqlserver_played import PlayedServer
from tests.ground import POSTGRESQL, Session, account, by_odbc
from tests.servers import need_odbc

LEDGER = ("duolog", "ledger")


def begin(session: AlchemySession, tables: Sequence[sa.Table], positions: Positions | None) -> Position:
    """As SQL Server's pictures begin: writers are held, the position is asked by the holder."""
    if positions is None:
        session.conn.exec_driver_sql(REPEATABLE)
        return 0
    holder = connect(session.system, session.url)
    try:
        for each in tables:
            holder.conn.exec_driver_sql(lock_table(holder, each, "IN SHARE MODE"))
        position = positions.now(holder.conn)
        session.conn.exec_driver_sql(REPEATABLE)
        session.conn.exec_driver_sql("SELECT 1")
        return position
    finally:
        holder.close()


class PlayedGround(PostgresGround):
    """See the module."""

    lacks: Mapping[Lack, str] = {}

    def __init__(self, place: Place, spool: Path) -> None:
        super().__init__(place, spool)
        known = abilities.KNOWN
        # SQL Server checks no constraint late; here, what is checked at COMMIT is the played commit itself.
        abilities.KNOWN = {**known, "postgresql": replace(abilities.POSTGRESQL, defers=False)}
        self.open.callback(setattr, abilities, "KNOWN", known)

    @cached_property
    def played(self) -> PlayedServer:
        """The server."""
        return PlayedServer(self.place.session)

    @cached_property
    def sqlserver(self) -> SqlServerKit:
        """The kit."""
        return SqlServerKit(
            SYSTEM, account(by_odbc(self.place.address)), insecure=True, begin=begin,
            speaking=lambda session, _: AlchemySpeech(session),
        )  # fmt: skip

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables and the ledger, and has the changes of all of them captured, as `duolog setup` does."""
        for made in tables:
            for statement in [self._create(made), *(self.shout(made) if made.shouting else ())]:
                self.place.session.execute(statement)
        AlchemyKit.setup(self.sqlserver, rules, lambda step: None)
        self.played.begin()
        for schema, name in [*((self.schema, made.name) for made in tables), LEDGER]:
            self.played.enable(schema, name)
        self.played.tick()

    def end(self) -> Position:
        """The last commit."""
        return self.played.end()

    def target(self, rules: RuleBook) -> Target:
        """The kit's."""
        return self.sqlserver.target(rules)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """The kit's."""
        identity = self.sqlserver.identity()
        return self.sqlserver.source(rules, identity, capabilities={"skip_own": skip_own}, spool_dir=self.spool)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """The kit's."""
        return self.sqlserver.snapshot(rules)


def played_ground(request: pytest.FixtureRequest) -> Ground:
    """How such a ground is made for a test."""
    need_odbc(POSTGRESQL)
    address = request.getfixturevalue(FIXTURES[POSTGRESQL])
    return PlayedGround(Place(POSTGRESQL, address, Session(address)), request.getfixturevalue("tmp_path"))
