"""A PostgreSQL server of one's own with a synchronous database, its reader, and users that commit."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from adapters.postgresql.names import origin_name, publication_name, slot_name
from adapters.postgresql.resume import read_identity
from adapters.postgresql.session import lsn_number
from adapters.postgresql.setup import setup
from adapters.postgresql.source import PostgresSource
from adapters.postgresql.switch import PostgresSwitch
from engine.errors import SlotBusy, SystemUnavailable
from engine.rulebook import Synchronous
from service.embedded import EmbeddedServer
from tests.crowd import within
from tests.database.books import Bound, book
from tests.servers import need_programs

BOOK = replace(book(Bound("item", ("id", "v"), ("id",))), synchronous={"erp": Synchronous(None, "release")})
US = slot_name(BOOK.name, "erp")
patience_s = within(20.0)
STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = %s"
_numbers = itertools.count(1)


class Follower:
    """Reads, and tells at once what it has read as acknowledged and delivered: an engine without a target.

    `delivers`: False leaves those who commit waiting."""

    def __init__(self, source: PostgresSource, resume: int) -> None:
        self.source = source
        self.delivers = threading.Event()
        self.delivers.set()
        self.read = resume
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                source.open(resume)
                break
            except SlotBusy:
                assert time.monotonic() < deadline
        self._thread.start()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                item = self.source.read(0.05)
            except SystemUnavailable:
                return
            if item is not None:
                self.read = item.position
            if self.delivers.is_set():
                self.source.acknowledge(self.read)
                self.source.delivered(self.read)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.source.close()


class Armed:
    """A synchronous database `erp`, set up. Nothing is read or armed yet."""

    def __init__(self, server: EmbeddedServer) -> None:
        server.start()
        self.server = server
        self._database = f"erp_{next(_numbers)}"
        self.url = server.create_database(self._database)
        self.sql = psycopg.connect(self.url, autocommit=True)
        self.run("SET synchronous_commit = local")
        self.run("CREATE TABLE item (id int PRIMARY KEY, v text)")
        setup(self.sql, BOOK, "erp")
        self.sources: list[PostgresSource] = []
        self.followers: list[Follower] = []
        self.switches: list[PostgresSwitch] = []

    def run(self, statement: str, *values: object) -> psycopg.Cursor[Any]:
        return self.sql.execute(statement.encode(), values or None)

    def value(self, statement: str, *values: object) -> Any:
        row = self.run(statement, *values).fetchone()
        assert row is not None
        return row[0]

    def confirmed(self) -> int:
        return lsn_number(
            self.value("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", US)
        )

    def end(self) -> int:
        return lsn_number(self.value("SELECT pg_current_wal_flush_lsn()::text"))

    def names(self) -> str:
        """Whom a new session finds named."""
        return self.shown("synchronous_standby_names")

    def shown(self, setting: str) -> str:
        """What a new session finds set."""
        with self.server.connect() as fresh:
            row = fresh.execute(f"SHOW {setting}".encode()).fetchone()
        assert row is not None
        return str(row[0])

    def source(self, url: str = "", **changed: Any) -> PostgresSource:
        given: dict[str, Any] = {
            "slot": US, "publication": publication_name(BOOK.name, "erp"), "origin": origin_name(BOOK.name, "erp"),
            "tables": BOOK.tables["erp"], "identity": read_identity(self.sql), "synchronous": True,
        } | changed
        self.sources.append(PostgresSource("erp", url or self.url, **given))
        return self.sources[-1]

    def follow(self, **changed: Any) -> Follower:
        made = Follower(self.source(**changed), self.confirmed())  # what is not acknowledged comes again
        self.followers.append(made)
        self.until(lambda: self.value(STREAMS, US) > 0)
        return made

    def switch(self, url: str = "") -> PostgresSwitch:
        made = PostgresSwitch("erp", url or self.url, slot=US, engine=BOOK.name)
        self.switches.append(made)
        return made

    def waiting(self) -> int:
        return int(self.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"))

    def until(self, done: Callable[[], object], seconds: float = patience_s) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.002)  # the pause between two looks

    def close(self) -> None:
        """Lets everybody go, so that the server can be stopped, and leaves it as it was."""
        if not self.server.running:
            self.server.start()
        with self.server.connect() as fresh:
            fresh.execute("SET synchronous_commit = local")
            fresh.execute("ALTER SYSTEM RESET ALL")
            fresh.execute("SELECT pg_reload_conf()")
        for follower in self.followers:
            follower.close()
        for source in self.sources:
            source.close()
        for switch in self.switches:
            switch.close()
        self.sql.close()
        self.server.drop_database(self._database)
        with self.server.connect() as fresh:
            fresh.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")


class Committer:
    """A user in a thread of his own: one statement, committed by itself."""

    def __init__(self, url: str, statement: str, *, level: str = "on") -> None:
        self.error: psycopg.Error | None = None
        self.notices: list[str] = []
        self._url, self._statement, self._level = url, statement, level
        self._thread = threading.Thread(target=self._commit, daemon=True)
        self._thread.start()

    def _commit(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as conn:
                conn.add_notice_handler(lambda notice: self.notices.append(notice.message_primary or ""))
                conn.execute(f"SET synchronous_commit = {self._level}".encode())
                conn.execute(self._statement.encode())
        except psycopg.Error as error:
            self.error = error

    @property
    def returned(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, seconds: float = patience_s) -> None:
        self._thread.join(seconds)
        assert self.returned, "the commit still waits"


@contextmanager
def armed_server(server: EmbeddedServer) -> Iterator[Armed]:
    """`Armed`, and let go at the end."""
    made = Armed(server)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def waiting_server() -> Iterator[EmbeddedServer]:
    """A server for the tests of one module, one after the other: whoever is armed, the whole server waits."""
    need_programs()
    with EmbeddedServer(settings={"max_prepared_transactions": "10"}) as server:
        yield server


@pytest.fixture
def erp(waiting_server: EmbeddedServer) -> Iterator[Armed]:
    """A synchronous database on it."""
    with armed_server(waiting_server) as made:
        yield made
