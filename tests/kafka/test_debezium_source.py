"""What a source makes of topics that are not as one would wish: on a real broker, with messages as Debezium's are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaProducer
from kafka.admin import NewPartitions

from adapters.debezium import life
from adapters.debezium import source as reading
from adapters.debezium.decoding.events import RowEvent, TruncateEvent
from adapters.debezium.layout import LEDGER, Topics
from adapters.debezium.source import DebeziumSource, Stream
from adapters.kafka.broker import broker
from adapters.store import SqlStore
from adapters.store.bookmarks import Bookmarks
from engine.errors import LogIncomplete, LogLost
from engine.rulebook import Table
from engine.vocabulary import Transaction
from tests.crowd import within
from tests.kafka.recordings import Recording
from tests.kafka_servers import Broker
from tests.kafka_servers import Topics as Names
from tests.wire.debezium import catalog, decoder, told_modes

PATIENCE_S: Final = within(20)
ITEM: Final = Table("erp", "item", ("id", "name"), (0,))
PART: Final = Table("erp", "part", ("id", "name"), (0,))
COLUMNS: Final = [("id", "int"), ("name", "varchar(40)")]
LEDGERS: Final = [("engine", "varchar(64)"), ("system", "varchar(64)"), ("number_to", "bigint")]


class Debezium:
    """Writes what MariaDB's connector would, and reads it by a source of ours."""

    def __init__(self, server: Broker, topics: Names, folder: Path, *, ledger: bool = False) -> None:
        self.server, self.topics, self.ledger = server, topics, ledger
        self.prefix = topics("erp")
        self.name = Topics(self.prefix)
        self.producer = KafkaProducer(bootstrap_servers=server.bootstrap, linger_ms=0)
        self.store = SqlStore.open(f"sqlite:///{folder}/store.db", name="unit")
        self.marks: dict[str, int] = {}
        self.beats = 0
        self.folder = folder
        for name in ("transaction", "erp.item", "erp.part"):
            topics.create(f"erp.{name}")
        self.source = self.new_source()

    @property
    def bookmarks(self) -> Bookmarks:
        return self.store.bookmarks("erp")

    def new_source(self) -> DebeziumSource:
        tables = [ITEM, PART]
        known = {("erp", "item"): COLUMNS, ("erp", "part"): COLUMNS, LEDGER: LEDGERS}
        columns = {name: catalog("mariadb", said) for name, said in known.items()}
        bound = [*tables, *([Table(*LEDGER, ("engine", "system", "number_to"), (0, 1, 2))] if self.ledger else [])]
        modes = told_modes(Recording({"options": {}}, ()), "mariadb")
        return DebeziumSource(
            "erp",
            Stream(
                broker(self.server.url()), "mariadb", self.name, tables, self.ledger, own,
                lambda: decoder("mariadb", bound, columns, modes, whole=range(len(bound))), self.beat,
                lambda: dict(self.marks), lambda resume: None, spool_dir=self.folder,
            ),
            self.bookmarks,
        )  # fmt: skip

    def beat(self) -> None:
        self.beats += 1

    def send(self, topic: str, value: dict[str, Any], partition: int = 0, headers: Any = ()) -> None:
        self.producer.send(topic, json.dumps(value).encode(), partition=partition, headers=list(headers))

    def begin(self, number: int) -> None:
        self.transaction("BEGIN", number, None)

    def end(self, number: int, **counts: int) -> None:
        self.transaction("END", number, counts)

    def transaction(self, status: str, number: int, counts: dict[str, int] | None) -> None:
        listed = [{"data_collection": f"erp.{table}", "event_count": n} for table, n in (counts or {}).items()]
        self.send(self.name.of_transactions, {
            "status": status, "id": f"0-1-{number}", "event_count": None if counts is None else sum(counts.values()),
            "data_collections": None if counts is None else listed, "ts_ms": 1,
        })  # fmt: skip

    def row(self, number: int, key: int, *, table: str = "item", order: int = 1, partition: int = 0,
            name: str = "x") -> None:  # fmt: skip
        self.send(f"{self.prefix}.erp.{table}", self.event(number, table, "c", {"id": key, "name": name}, order),
                  partition, [("__debezium.context.runId", b"one")])  # fmt: skip

    def event(self, number: int, table: str, op: str, after: object, order: int = 1) -> dict[str, Any]:
        return {
            "before": None, "after": after, "op": op, "ts_ms": 1,
            "source": {"connector": "mariadb", "db": "erp", "table": table, "file": "bin.000001", "snapshot": "false",
                       "pos": 1000 * number, "row": order, "gtid": f"0-1-{number}", "ts_ms": 1, "server_id": 1},
            "transaction": {"id": f"0-1-{number}", "total_order": order, "data_collection_order": order},
        }  # fmt: skip

    def snapshot_of_tables(self, number: int) -> None:
        """What the connector tells of tables when it begins, after the transaction of this number."""
        source = {"connector": "mariadb", "db": "erp", "table": "item", "file": "bin.000001", "pos": 1000 * number,
                  "row": 0, "snapshot": "true", "ts_ms": 1, "server_id": 0, "gtid": None}  # fmt: skip
        changed = [{"type": "CREATE", "id": '"erp"."item"', "table": None}]
        self.send(self.name.of_schema, {
            "source": source, "ts_ms": 1, "databaseName": "erp", "ddl": "CREATE TABLE item ()", "tableChanges": changed,
        })  # fmt: skip

    def heartbeat(self) -> None:
        self.send(self.name.of_heartbeats, {"ts_ms": 1})

    def whole(self, number: int, *, table: str = "item") -> None:
        self.begin(number)
        self.row(number, number, table=table)
        self.end(number, **{table: 1})

    def read(self, seconds: float = PATIENCE_S, count: int = 1) -> list[Transaction]:
        self.producer.flush(20)
        found: list[Transaction] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            event = self.source.read(0.1)
            found += [event] if isinstance(event, Transaction) else []
        return found

    def close(self) -> None:
        self.source.close()
        self.producer.close()
        self.store.close()


def own(event: RowEvent | TruncateEvent) -> tuple[str, int] | None:
    return ("unit", 1) if event.table == 2 else None


def numbers(found: list[Transaction]) -> list[int]:
    return [(transaction.position & (1 << 40) - 1) // 1000 for transaction in found]


@pytest.fixture
def debezium(kafka_server: Broker, topics: Names, tmp_path: Path) -> Iterator[Debezium]:
    made = Debezium(kafka_server, topics, tmp_path)
    yield made
    made.close()


def test_a_beginning_without_an_end_does_not_stop_a_backlog_larger_than_memory(
    debezium: Debezium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debezium was read an hour late, and MariaDB had altered a table: all was held back for ever."""
    monkeypatch.setattr(reading, "events_in_memory", 50)
    monkeypatch.setattr("adapters.kafka.tail.records_max", 20)
    debezium.begin(1)
    for number in range(2, 400):
        debezium.whole(number)
    debezium.producer.flush()
    debezium.source.open(0)

    assert numbers(debezium.read(count=398)) == list(range(2, 400))


def test_what_never_comes_stops_though_other_topics_are_held_back(
    debezium: Debezium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transform dropped a message: the source waited for ever, and said nothing."""
    monkeypatch.setattr(reading, "events_in_memory", 50)
    monkeypatch.setattr(reading, "missing_after_s", 1.0)
    monkeypatch.setattr("adapters.kafka.tail.records_max", 20)
    debezium.begin(1)
    debezium.end(1, item=1)
    for number in range(2, 300):
        debezium.whole(number, table="part" if number % 2 else "item")
    debezium.producer.flush()
    debezium.source.open(0)

    with pytest.raises(LogIncomplete, match=r"`erp\.item` 0 of 1"):
        debezium.read()


@pytest.fixture
def beating(debezium: Debezium, monkeypatch: pytest.MonkeyPatch) -> Debezium:
    """Its connector gives signs of life; the END of a transaction is there, and its event is not."""
    monkeypatch.setattr(reading, "missing_after_s", 0.5)
    monkeypatch.setattr(life, "sign_within_s", 0.2)
    debezium.heartbeat()
    debezium.producer.flush()
    debezium.source.open(0)
    debezium.begin(1)
    debezium.end(1, item=1)
    return debezium


def test_a_half_told_transaction_waits_until_a_killed_connector_is_back(beating: Debezium) -> None:
    """Kafka Connect was killed between two topics and was away for longer than events may take: that was taken for
    messages that had been dropped, and a person was asked for."""
    assert beating.read(2) == []
    for _ in range(2):
        beating.heartbeat()
        assert beating.read(0.2) == []
    beating.row(1, 1)

    assert numbers(beating.read()) == [1]


def test_what_a_living_connector_leaves_untold_stops(beating: Debezium) -> None:
    def lives() -> None:
        for _ in range(100):
            beating.heartbeat()
            assert beating.read(0.1) == []

    with pytest.raises(LogIncomplete, match=r"`erp\.item` 0 of 1"):
        lives()


def test_a_connector_that_lost_its_place_is_told_of_though_it_reads_no_rows_anew(debezium: Debezium) -> None:
    """Kafka Connect was killed before it had noted how far it was: it began where the log ended by then, and what users
    had written in between was lost without a word."""
    debezium.snapshot_of_tables(1)
    debezium.producer.flush()
    debezium.source.open((1 << 40) + 1500)
    debezium.whole(2)
    assert numbers(debezium.read()) == [2]
    debezium.snapshot_of_tables(7)
    debezium.whole(8)

    with pytest.raises(LogLost, match="lost its place"):
        debezium.read()


def test_a_topic_that_gets_a_second_partition_is_read_there_too(
    debezium: Debezium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "lacking_after_s", 0.5)
    debezium.source.open(0)
    debezium.whole(1)
    assert numbers(debezium.read()) == [1]
    admin = debezium.server.connect()
    admin.create_partitions({f"{debezium.prefix}.erp.item": NewPartitions(2)})
    admin.close()
    debezium.producer.close()
    debezium.producer = KafkaProducer(bootstrap_servers=debezium.server.bootstrap)
    debezium.begin(2)
    debezium.row(2, 2, partition=1)
    debezium.end(2, item=1)

    assert numbers(debezium.read()) == [2]


def test_a_bookmark_follows_topics_that_go_on_without_anything_for_us(
    debezium: Debezium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a quiet week, Kafka had removed what the last bookmark began at: nothing was lost, and it said so."""
    monkeypatch.setattr("adapters.debezium.bookmark.between_s", 0.05)
    monkeypatch.setattr("adapters.debezium.bookmark.renewed_s", 0.2)
    debezium.source.open(0)
    debezium.whole(1)
    position = debezium.read()[0].position
    debezium.source.acknowledge(position)
    for number in range(2, 100):
        debezium.begin(number)
        debezium.end(number)
    debezium.producer.flush()
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and offset(debezium, position) < 198:
        assert not isinstance(debezium.source.read(0.1), Transaction)

    assert offset(debezium, position) == 198


def offset(debezium: Debezium, position: int) -> int:
    kept = debezium.bookmarks.newest(position)
    if kept is None:
        return -1
    return int(json.loads(kept)["topics"][debezium.name.of_transactions]["offsets"]["0"])


def test_a_ledger_that_is_told_late_is_no_ledger_that_is_not_told(
    kafka_server: Broker, topics: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debezium had been away, and gave a sign of life before it told of our row: the engine stopped for a person."""
    monkeypatch.setattr(reading, "missing_after_s", 0.5)
    debezium = Debezium(kafka_server, topics, tmp_path, ledger=True)
    topics.create("erp.duolog.ledger")
    debezium.heartbeat()
    debezium.producer.flush()
    try:
        debezium.source.open(0)
        debezium.source.nudge()
        debezium.marks = {"0": 5}
        assert debezium.read(1) == [] and debezium.beats
        debezium.heartbeat()
        assert debezium.read(1) == []
        debezium.whole(4)
        assert numbers(debezium.read()) == [4]
        debezium.begin(5)
        debezium.end(5)
        with pytest.raises(LogIncomplete, match="ledger"):
            debezium.read()
    finally:
        debezium.close()


def test_an_emptied_table_that_is_told_late_is_told_nevertheless(debezium: Debezium) -> None:
    """Its message came into its topic after the beginning of the next transaction had been read."""
    debezium.source.open(0)
    debezium.begin(1)
    debezium.begin(2)
    assert debezium.read(1.5) == []
    debezium.send(f"{debezium.prefix}.erp.item", debezium.event(1, "item", "t", None))
    debezium.row(2, 2)
    debezium.end(2, item=1)

    found = debezium.read(count=2)

    assert numbers(found) == [1, 2]
    assert [[change[1] for change in each.changes] for each in found] == [["T"], ["I"]]
