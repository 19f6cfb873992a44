"""The PostgreSQL source beside the contract: slots, publications, acknowledgement, and each way in which it stops."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from adapters.postgresql.resume import ServerIdentity, read_identity
from adapters.postgresql.session import lsn_number
from adapters.postgresql.source import PostgresSource
from engine.errors import (
    AccessDenied,
    DuologError,
    PositionForeign,
    PublicationMissing,
    SchemaChanged,
    SlotBusy,
    SlotLost,
    SlotMissing,
    StoreBehind,
    SystemUnavailable,
    WrongServer,
)
from engine.rulebook import Table
from engine.vocabulary import Progress, Transaction
from service.embedded import EmbeddedServer
from tests.crowd import within

ITEM = Table("public", "item", ("id", "name"), (0,))
ITEM_2 = Table("public", "Second item", ("id",), (0,))
patience_s = within(20.0)


class Erp:
    """A database with a bound table, a foreign one, and what `duolog setup` would have made."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sql = psycopg.connect(url, autocommit=True)
        self.run("CREATE TABLE item (id int PRIMARY KEY, name text)")
        self.run('CREATE TABLE "Second item" (id int PRIMARY KEY)')
        self.run("CREATE TABLE foreign_table (id int)")
        self.run("CREATE PUBLICATION duolog FOR TABLE item")
        # Slots are the server's, not the database's: each needs a name of its own.
        self.slot = f"duolog_{self.value('SELECT current_database()')}"
        self.start = lsn_number(
            self.value("SELECT lsn::text FROM pg_create_logical_replication_slot(%s, 'pgoutput')", self.slot)
        )
        self.identity = read_identity(self.sql)
        self.sources: list[PostgresSource] = []

    def run(self, statement: str, *values: object) -> psycopg.Cursor[Any]:
        return self.sql.execute(statement.encode(), values or None)

    def value(self, statement: str, *values: object) -> Any:
        row = self.run(statement, *values).fetchone()
        assert row is not None
        return row[0]

    def reconnect(self) -> None:
        self.sql.close()
        self.sql = psycopg.connect(self.url, autocommit=True)

    def source(self, **changed: Any) -> PostgresSource:
        arguments: dict[str, Any] = {
            "slot": self.slot, "publication": "duolog", "origin": "duolog_erp", "tables": [ITEM],
            "identity": self.identity,
        } | changed
        made = PostgresSource("erp", arguments.pop("url", self.url), **arguments)
        self.sources.append(made)
        return made

    def opened(self, resume: int | None = None, **changed: Any) -> PostgresSource:
        """A source that reads; retried while the server still thinks that a former reader is there."""
        made = self.source(**changed)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                made.open(self.start if resume is None else resume)
                return made
            except SlotBusy:
                if time.monotonic() > deadline:
                    raise

    def confirmed(self) -> int:
        return lsn_number(
            self.value("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = %s", self.slot)
        )

    def position(self) -> int:
        return lsn_number(self.value("SELECT pg_current_wal_lsn()::text"))

    def close(self) -> None:
        for source in self.sources:
            source.close()
        self.sql.close()


@pytest.fixture
def erp(erp_db: str) -> Iterator[Erp]:
    made = Erp(erp_db)
    yield made
    made.close()


def transaction(source: PostgresSource) -> Transaction:
    """The next transaction; Progress is passed over."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        item = source.read(1.0)
        if isinstance(item, Transaction):
            return item
    raise AssertionError("no transaction came")


def until(source: PostgresSource, done: Callable[[Transaction | Progress | None], bool]) -> None:
    """Nudges and reads on until `done`, which is shown what came."""
    deadline = time.monotonic() + patience_s
    while not done(source.read(0.02)):
        assert time.monotonic() < deadline, "it did not come about"
        source.nudge()


def names(item: Transaction) -> list[object]:
    return [new[1] if new is not None else None for _, _, new, _ in item.changes]


# Reading


def test_values_print_as_a_select_on_our_sessions_prints_them(erp: Erp) -> None:
    erp.run("ALTER TABLE item ADD z timestamptz, ADD i interval, ADD f float8, ADD b bytea, ADD m money")
    erp.run("ALTER ROLE postgres SET timezone = 'Asia/Shanghai'")
    erp.run("ALTER ROLE postgres SET datestyle = 'German'")
    erp.run("ALTER ROLE postgres SET bytea_output = 'escape'")
    columns = ("id", "z", "i", "f", "b", "m")
    source = erp.opened(tables=[Table("public", "item", columns, (0,))])
    try:
        erp.run("INSERT INTO item VALUES (1, '', '2026-02-03 04:05:06.7+08', '1 day -2 hours', 0.1, '\\x00ff', 1.5)")
        (change,) = transaction(source).changes
    finally:
        erp.run("ALTER ROLE postgres RESET ALL")

    assert change[2] == ("1", "2026-02-02 20:05:06.7+00", "P1DT-2H", "0.1", "\\x00ff", "$1.50")


@pytest.mark.parametrize("changed", [{"skip_own": True}, {"origin_none": True}])
def test_our_own_transaction_can_be_skipped(erp: Erp, changed: dict[str, bool]) -> None:
    if "origin_none" in changed and erp.sql.info.server_version < 160_000:
        pytest.skip("the origin filter came with PostgreSQL 16")
    source = erp.opened(**changed)
    erp.run("SELECT pg_replication_origin_create('duolog_erp')")
    with psycopg.connect(erp.url, autocommit=True) as writer:
        writer.execute("SELECT pg_replication_origin_session_setup('duolog_erp')")
        writer.execute("INSERT INTO item VALUES (1, 'ours')")
    erp.run("INSERT INTO item VALUES (2, 'a user''s')")

    assert names(transaction(source)) == ["a user's"]


# Acknowledging, and the server's position


def test_nothing_is_confirmed_but_what_was_acknowledged(erp: Erp) -> None:
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    erp.run("INSERT INTO item VALUES (2, 'two')")
    first, second = transaction(source), transaction(source)

    source.acknowledge(first.position)
    until(source, lambda _: erp.confirmed() == first.position)

    source.acknowledge(erp.start)  # a late word of an earlier one changes nothing
    source.nudge()
    source.read(0.2)
    assert erp.confirmed() == first.position
    source.acknowledge(second.position)
    until(source, lambda _: erp.confirmed() == second.position)


def test_an_acknowledgement_by_another_thread_reaches_the_server_while_nothing_happens(
    erp: Erp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgresql.source.status_interval_s", 300.0)  # it reports because it was woken
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    item = transaction(source)
    reader = threading.Thread(target=source.read, args=(60.0,))
    reader.start()

    source.acknowledge(item.position)

    deadline = time.monotonic() + 20.0  # before the server asks whether we are there
    while erp.confirmed() != item.position:
        assert time.monotonic() < deadline
    erp.run("INSERT INTO item VALUES (2, 'two')")  # lets the reader go
    reader.join(patience_s)
    assert not reader.is_alive()


def test_a_nudge_tells_a_position_beyond_what_other_tables_wrote(erp: Erp) -> None:
    source = erp.opened()
    for number in range(10):
        erp.run("INSERT INTO foreign_table VALUES (%s)", number)
    separator = erp.position()
    told: list[int] = []

    def passed(item: Transaction | Progress | None) -> bool:
        assert item is None or isinstance(item, Progress)
        told.extend([item.position] if item is not None else [])
        return bool(told) and told[-1] >= separator

    until(source, passed)

    assert told == sorted(set(told))


def test_acknowledged_progress_lets_the_server_forget_what_other_tables_wrote(erp: Erp) -> None:
    source = erp.opened()
    erp.run("INSERT INTO foreign_table SELECT generate_series(1, 1000)")
    written = erp.position()

    def forgotten(item: Transaction | Progress | None) -> bool:
        if isinstance(item, Progress):
            source.acknowledge(item.position)
        return erp.confirmed() >= written

    until(source, forgotten)

    source.close()
    erp.opened(erp.confirmed())  # and the slot is not ahead of who acknowledged it


@pytest.mark.alone
def test_the_server_is_told_that_we_live_while_nobody_reads(own_server: EmbeddedServer) -> None:
    own_server.settings["wal_sender_timeout"] = "1s"
    own_server.start()
    erp = Erp(own_server.url())
    source = erp.opened()
    pause = threading.Event()

    until_s = time.monotonic() + 3.0
    while time.monotonic() < until_s:  # three times the server's patience
        source.keep_alive()
        pause.wait(0.2)
    erp.run("INSERT INTO item VALUES (1, 'still there')")
    assert names(transaction(source)) == ["still there"]

    pause.wait(2.5)  # and without it, the server hangs up
    with pytest.raises(SystemUnavailable):
        for _ in range(100):
            source.read(0.05)
    erp.close()


# Faults


def test_unacknowledged_transactions_come_again_after_a_crash_of_the_server(own_server: EmbeddedServer) -> None:
    own_server.start()
    erp = Erp(own_server.url())
    source = erp.opened()
    for number in (1, 2, 3):
        erp.run("INSERT INTO item VALUES (%s, %s)", number, f"number {number}")
    first, second, _ = (transaction(source) for _ in range(3))
    source.acknowledge(first.position)
    until(source, lambda _: erp.confirmed() == first.position)

    own_server.stop("immediate")
    with pytest.raises(SystemUnavailable):
        for _ in range(100):
            source.read(0.1)
    with pytest.raises(SystemUnavailable):
        source.open(first.position)
    own_server.start()
    erp.reconnect()

    assert erp.confirmed() <= first.position  # the slot went back, our position did not
    source = erp.opened(first.position)
    assert [names(transaction(source)) for _ in range(2)] == [["number 2"], ["number 3"]]
    source.close()
    source = erp.opened(second.position)
    assert names(transaction(source)) == ["number 3"]
    erp.close()


@pytest.mark.alone
def test_a_server_can_be_stopped_while_we_read(own_server: EmbeddedServer) -> None:
    own_server.start()
    erp = Erp(own_server.url())
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    stopped = threading.Event()

    def follow() -> None:
        """Acknowledges whatever is told, as the runner does."""
        with pytest.raises(SystemUnavailable):
            while True:
                item = source.read(0.2)
                if item is not None:
                    source.acknowledge(item.position)
        stopped.set()

    reader = threading.Thread(target=follow)
    reader.start()
    began = time.monotonic()
    own_server.stop("fast")

    assert stopped.wait(patience_s)
    assert time.monotonic() - began < 10
    reader.join()
    erp.sql.close()


def test_a_cut_connection_is_unavailable(erp: Erp) -> None:
    source = erp.opened()
    erp.run(
        "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = %s", erp.slot
    )

    with pytest.raises(SystemUnavailable) as cut:
        for _ in range(100):
            source.read(0.1)

    assert "terminating connection due to administrator command" in cut.value.found


def test_a_dropped_publication_stops_the_reading(erp: Erp) -> None:
    source = erp.opened()
    erp.run("DROP PUBLICATION duolog")
    erp.run("INSERT INTO item VALUES (1, 'unseen')")

    with pytest.raises(PublicationMissing) as stopped:
        for _ in range(100):
            source.read(0.1)

    assert '"duolog"' in stopped.value.found


def test_a_table_taken_out_of_the_publication_is_found_while_reading(erp: Erp) -> None:
    source = erp.opened()
    source.verify()
    erp.run("ALTER PUBLICATION duolog DROP TABLE item")

    with pytest.raises(PublicationMissing) as stopped:
        source.verify()

    assert stopped.value.found == "the publication `duolog` does not contain the bound `public.item`"


def test_a_dropped_column_stops_the_reading(erp: Erp) -> None:
    source = erp.opened()
    erp.run("INSERT INTO item VALUES (1, 'one')")
    transaction(source)
    erp.run("ALTER TABLE item DROP name")
    erp.run("INSERT INTO item VALUES (2)")

    with pytest.raises(SchemaChanged, match="item` no longer sends the bound column `name`"):
        transaction(source)


# Where reading must not resume: the whole message of each


def refused(erp: Erp, source: PostgresSource, resume: int) -> str:
    """What `open` says, with positions, process numbers and names of this run made plain."""
    with pytest.raises(DuologError) as stopped:
        source.open(resume)
    text = f"{type(stopped.value).__name__} {stopped.value}".replace(erp.slot, "SLOT")
    text = text.replace(str(erp.value("SELECT current_database()")), "DB")
    text = text.replace(erp.identity.system_identifier, "SYS")
    text = re.sub(r"\b[0-9A-F]+/[0-9A-F]{4,8}\b", "LSN", text)
    return re.sub(r"(process |backend\(|PID )\d+", r"\1PID", text)


def test_a_missing_slot(erp: Erp) -> None:
    erp.run("SELECT pg_drop_replication_slot(%s)", erp.slot)

    assert refused(erp, erp.source(), erp.start) == (
        f"{SlotMissing.__name__} D202 erp: the replication slot `SLOT` does not exist; changes after LSN may be lost\n"
        "  mend: `duolog setup RULES` makes it again, then `duolog run RULES --merge-again` compares both sides"
    )


def test_a_slot_of_another_plugin(erp: Erp) -> None:
    erp.run("SELECT pg_drop_replication_slot(%s)", erp.slot)
    erp.run("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", erp.slot)

    assert refused(erp, erp.source(), erp.position()) == (
        f"{WrongServer.__name__} D201 erp: the slot `SLOT` is not ours: its plugin is `test_decoding` and its database "
        "`DB`, where `pgoutput` and `DB` are needed\n"
        "  mend: give this engine another name, or drop the slot and run `duolog setup RULES`"
    )


def test_a_busy_slot(erp: Erp) -> None:
    erp.opened()

    assert refused(erp, erp.source(), erp.start) == (
        f"{SlotBusy.__name__} D204 erp: the slot `SLOT` is being read by process PID (application `SLOT`, "
        "from 127.0.0.1)\n"
        "  mend: stop that reader; if it is dead already: SELECT pg_terminate_backend(PID)"
    )


def test_a_slot_ahead_of_our_position(erp: Erp) -> None:
    erp.run("INSERT INTO item VALUES (1, 'never read')")
    erp.run("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", erp.slot)

    assert refused(erp, erp.source(), erp.start) == (
        f"{StoreBehind.__name__} D205 erp: the slot `SLOT` was confirmed up to LSN, but our store has read only up "
        "to LSN: what lies between was never read\n"
        "  mend: start with the store that belongs to the slot, or compare both sides with "
        "`duolog run RULES --merge-again`"
    )


def test_a_position_beyond_the_servers_log(erp: Erp) -> None:
    assert refused(erp, erp.source(), erp.position() + (1 << 32)) == (
        f"{PositionForeign.__name__} D206 erp: our store has read up to LSN, but the server's log ends at LSN: "
        "it was restored from a backup\n"
        "  mend: restore our store of the same time, or compare both sides with `duolog run RULES --merge-again`"
    )


MEND_SERVER = (
    "\n  mend: point the address at the server that was set up; if this is to be the server from now on: "
    "`duolog setup RULES`, then `duolog run RULES --merge-again`"
)


def test_another_server(erp: Erp, third_db: str) -> None:
    with psycopg.connect(third_db) as other:
        third = read_identity(other)

    assert refused(erp, erp.source(url=third_db), erp.start) == (
        f"{WrongServer.__name__} D201 erp: this is not the server of our position: the system identifier is "
        f"{third.system_identifier}, not SYS, the database oid is {third.database}, not {erp.identity.database}"
        + MEND_SERVER
    )


def test_another_timeline(erp: Erp) -> None:
    former = replace(erp.identity, timeline=7)

    assert refused(erp, erp.source(identity=former), erp.start) == (
        f"{WrongServer.__name__} D201 erp: a standby was promoted or a backup restored: the timeline is 1, not 7"
        + MEND_SERVER
    )


def test_an_identity_survives_its_text(erp: Erp) -> None:
    assert ServerIdentity.parse(str(erp.identity)) == erp.identity
    assert erp.identity.timeline == 1


def test_a_missing_publication(erp: Erp) -> None:
    erp.run("DROP PUBLICATION duolog")

    assert refused(erp, erp.source(tables=[ITEM, ITEM_2]), erp.start) == (
        f"{PublicationMissing.__name__} D207 erp: the publication `duolog` does not exist\n"
        '  mend: CREATE PUBLICATION "duolog" FOR TABLE "public"."item", "public"."Second item"'
    )


def test_a_table_outside_the_publication(erp: Erp) -> None:
    assert refused(erp, erp.source(tables=[ITEM, ITEM_2]), erp.start) == (
        f"{PublicationMissing.__name__} D207 erp: the publication `duolog` does not contain the bound "
        "`public.Second item`\n"
        '  mend: ALTER PUBLICATION "duolog" ADD TABLE "public"."Second item"; then compare with '
        "`duolog run RULES --merge-again`: what was written meanwhile was not sent"
    )


def test_a_publication_that_leaves_out_deletions(erp: Erp) -> None:
    erp.run("ALTER PUBLICATION duolog SET (publish = 'insert, update')")

    assert refused(erp, erp.source(), erp.start) == (
        f"{PublicationMissing.__name__} D207 erp: the publication `duolog` leaves out: delete, truncate\n"
        "  mend: ALTER PUBLICATION \"duolog\" SET (publish = 'insert, update, delete, truncate')"
    )


def test_a_publication_that_leaves_out_a_bound_column(erp: Erp) -> None:
    if erp.sql.info.server_version < 150_000:
        pytest.skip("column lists came with PostgreSQL 15")
    erp.run("ALTER PUBLICATION duolog SET TABLE item (id)")

    assert refused(erp, erp.source(), erp.start) == (
        f"{PublicationMissing.__name__} D207 erp: the publication `duolog` does not send the bound column `name` of "
        "`public.item`\n"
        "  mend: publish the table without a column list, or with these columns; if they are gone, change the rules"
    )


def test_a_partitioned_table_published_by_its_partitions(erp: Erp) -> None:
    erp.run("CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    erp.run("CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)")
    erp.run("ALTER PUBLICATION duolog ADD TABLE parts")

    assert refused(erp, erp.source(tables=[Table("public", "parts", ("id",), (0,))]), erp.start) == (
        f"{PublicationMissing.__name__} D207 erp: the publication `duolog` sends the partitions of `public.parts`, "
        "not the table\n"
        '  mend: ALTER PUBLICATION "duolog" SET (publish_via_partition_root = true)'
    )


def test_a_table_that_is_gone(erp: Erp) -> None:
    erp.run("ALTER TABLE item RENAME TO items")

    assert refused(erp, erp.source(), erp.start) == (
        f"{SchemaChanged.__name__} D210 erp: the table `public.item` does not exist\n"
        "  mend: rename it back; or change the rules, and let `duolog check RULES` confirm it"
    )


def test_a_lost_slot(own_server: EmbeddedServer) -> None:
    own_server.settings |= {"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    own_server.start()
    erp = Erp(own_server.url())
    for _ in range(4):  # enough log for the slot's beginning to be thrown away
        erp.run("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))")
        erp.run("SELECT pg_switch_wal()")
    erp.run("CHECKPOINT")

    assert refused(erp, erp.source(), erp.start) == (
        f"{SlotLost.__name__} D203 erp: the slot `SLOT` has lost the log that it needed (`wal_removed`)\n"
        "  mend: SELECT pg_drop_replication_slot('SLOT'); then `duolog setup RULES` and "
        "`duolog run RULES --merge-again`; raise max_slot_wal_keep_size"
    )
    erp.close()


def test_a_role_without_the_right_to_replicate(erp: Erp) -> None:
    erp.run("CREATE ROLE reader LOGIN PASSWORD 'hush'")
    try:
        url = erp.url.replace("postgres@", "reader:hush@")
        text = refused(erp, erp.source(url=url), erp.start)
    finally:
        erp.run("DROP ROLE reader")

    assert text.startswith(f"{AccessDenied.__name__} D211 erp: connection failed: ") or text.startswith(
        f"{AccessDenied.__name__} D211 erp: "
    )
    assert "hush" not in text and "replication" in text.lower()


def test_an_unknown_role_and_an_unreachable_server_are_told_apart(erp: Erp) -> None:
    assert refused(erp, erp.source(url=erp.url.replace("postgres@", "nobody:hush@")), erp.start).startswith(
        f"{AccessDenied.__name__} D211 erp: "
    )
    unreachable = erp.source(url="postgresql://postgres:hush@127.0.0.1:1/erp")
    text = refused(erp, unreachable, erp.start)
    assert text.startswith(f"{SystemUnavailable.__name__} D100 erp: ")
    assert "hush" not in text
