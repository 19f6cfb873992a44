"""Grounds whose log Debezium reads: changes come over Kafka, all else is as the database's own ground has it.

Each test has a database and a connector of its own; broker and Kafka Connect are shared.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from adapters.debezium.decoding.modes import EXACT, OPTIONS, modes
from adapters.debezium.kit import DebeziumKit
from adapters.debezium.layout import Topics
from adapters.kafka.broker import broker
from adapters.store import SqlStore
from engine.rulebook import RuleBook
from service.wiring import ELSEWHERE
from tests.contract.ground import SYSTEM, Ground, Made
from tests.contract.sql_ground import MariaGround, PostgresGround, SqlGround
from tests.database.assembled import FIXTURES
from tests.database.assembled import Ground as Place
from tests.ground import MARIADB, POSTGRESQL, Session
from tests.kafka.connect import ConnectServer

_numbers = itertools.count(1)


class OverKafka(SqlGround):
    """What both have in common. `connect`: the Kafka Connect; `kafka`: the broker's address."""

    kind: str
    lacks = {"connections": "whoever is cut off from Kafka reads on; see tests/database/test_debezium_source.py"}
    spool_rows = 20_000

    def __init__(self, place: Place, spool: Path, connect: ConnectServer, kafka: str) -> None:
        super().__init__(place, spool)
        self.connect = connect
        self.kafka = kafka
        self.topics = Topics(f"contract{next(_numbers)}x{os.getpid()}")

    @cached_property
    def kit(self) -> DebeziumKit:  # type: ignore[override]
        """What the service has of such a database."""
        inner = ELSEWHERE[self.kind](SYSTEM, self.place.address, insecure=True)
        made = DebeziumKit(inner, self.kind, broker(self.kafka), self.topics, modes=modes(MODES))
        folder = self.open.enter_context(TemporaryDirectory(prefix="duolog-bookmarks-"))
        store = SqlStore.open(f"sqlite:///{folder}/store.db", name="contract")
        self.open.callback(store.close)
        made.bookmarks = store.bookmarks(SYSTEM)
        return made

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables, and has Debezium read those that are bound."""
        super().create(rules, tables)
        self.open.enter_context(self.connect.connector(self.place.address, self.topics.prefix, **self.options(rules)))

    def options(self, rules: RuleBook) -> Mapping[str, Any]:
        """What `duolog setup --print-connector` prints, as far as it does not come from the ground."""
        said = self.kit.connector(rules)
        return {
            option.replace(".", "_"): value
            for option, value in said.items()
            if not value.startswith(("<", "${")) and option not in GIVEN
        }


MODES: Final = {option: value for option, value in EXACT.items() if option in OPTIONS}
"""What the rules say of messages without schemas."""
GIVEN: Final = {"connector.class", "topic.prefix", "slot.name", "heartbeat.interval.ms", "publication.autocreate.mode"}
"""What Kafka Connect's test server says itself."""


class DebeziumOnPostgres(OverKafka, PostgresGround):
    """PostgreSQL, read by Debezium."""

    kind = POSTGRESQL


class DebeziumOnMaria(OverKafka, MariaGround):
    """MariaDB, read by Debezium."""

    kind = MARIADB


GROUNDS: Final = {POSTGRESQL: DebeziumOnPostgres, MARIADB: DebeziumOnMaria}


def debezium_ground(kind: str) -> Callable[[pytest.FixtureRequest], Ground]:
    """How such a ground is made for a test."""

    def make(request: pytest.FixtureRequest) -> Ground:
        connect, kafka = request.getfixturevalue("connect"), request.getfixturevalue("kafka")
        address = request.getfixturevalue(FIXTURES[kind])
        place = Place(kind, address, Session(address))
        return GROUNDS[kind](place, request.getfixturevalue("tmp_path"), connect, kafka)

    return make
