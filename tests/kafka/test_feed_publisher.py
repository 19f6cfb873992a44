"""The thread of a feed against a broker: pages from a store become Kafka transactions, and nothing is told twice.

The pages are written as the desk writes them, without an engine; what an engine makes of all this is tried in
`tests/engine_live/test_feed.py`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from adapters.feed.debezium import DebeziumForm
from adapters.feed.message import Where
from adapters.feed.publisher import Publisher, Setting
from adapters.kafka.broker import broker
from adapters.memory import MemoryStore
from engine.agreed import PAGES, STATE, WITHHELD, Agreed, Event, Feed, Page, State, Told, encode, place_of
from engine.ports import Delta
from engine.record import Record
from engine.record import encode as encode_record
from engine.vocabulary import JournalEntry, Version
from tests.crowd import within
from tests.engine_live.listener import Heard, all_records
from tests.engine_live.world import eventually
from tests.kafka_servers import Broker, Topics
from tests.unit.test_feed_forms import entity_of

ENTITIES = {"thing": entity_of("text")}
VERSION = Version(1, "erp", 1_795_341_600_000_000, 42)


class Desk:
    """A store with pages, and publishers that tell them."""

    def __init__(self, server: Broker, topics: Topics, era: str = "one", owner: str = "") -> None:
        self.server = server
        self.topic, self.journal = topics("thing"), topics("journal")
        self.owner = owner or topics("engine")
        self.store = MemoryStore()
        self.state = State(era, 0, 0, 0, 0, {"thing": 0})
        self.last: dict[str, Told] = {}
        self.log: list[str] = []
        self.commit({})

    def commit(self, pages: dict[int, Page | None]) -> None:
        """What the engine's commit does."""
        entries = {(PAGES, place_of(n), ""): None if page is None else encode(page) for n, page in pages.items()}
        self.store.commit(Delta(entries={**entries, (STATE, STATE, ""): encode(self.state)}))

    def page(
        self, *changes: tuple[str, str | None], goes_on: bool = False, events: int = 0, version: int = 0
    ) -> None:
        """A page: (key, text of the field, or None: it ended); `version`: of an older step, that waited until now."""
        self.state.page += 1
        self.state.number += 1
        number, told = self.state.number, []
        for index, (key, text) in enumerate(changes):
            after = None if text is None else (key, text)
            told.append(Agreed("thing", key, 0, number, index, self.last.get(key), after))
            self.last[key] = after
        entry = JournalEntry("thing", "k", ("text",), "hold", "…", VERSION, ("a",), None, (), number)
        said = [Event(number, len(changes) + n, entry) for n in range(events)]
        page = Page(number, [VERSION._replace(number=version or number)], told, said, goes_on, self.state.complete)
        self.state.complete = number
        self.commit({self.state.page: page})

    def record(self, key: str, text: str, number: int) -> None:
        """A record in the store, as of a step."""
        state = encode_record(Record(True, (key, text), [VERSION._replace(number=number)], bytes(3)))
        self.store.commit(Delta(records={("thing", key): state}))

    def publisher(self, reach: Callable[[str], None] = lambda point: None, journal: bool = False) -> Publisher:
        where = Where("demo", "demo", {"thing": self.topic}, self.journal if journal else "", False, False)
        arguments = broker(self.server.url()).arguments("test")
        setting = Setting(self.owner, arguments, where.topics, where.journal, 2, 1)
        feed = Feed(frozenset({"thing"}), self.state.era)
        return Publisher(
            setting, feed, self.store, DebeziumForm(ENTITIES, where),
            lambda action, detail: self.log.append(f"{action} {detail}"), reach,
        )  # fmt: skip

    @contextmanager
    def telling(self, **options: bool) -> Iterator[Publisher]:
        """While a publisher is at work."""
        publisher = self.publisher(**options)  # type: ignore[arg-type]
        thread = threading.Thread(target=publisher.run, daemon=True)
        thread.start()
        try:
            yield publisher
        finally:
            publisher.stop()
            thread.join(within(30))

    def told(self, publisher: Publisher) -> None:
        """Waits until all is told."""

        def done() -> bool:
            begun = publisher.progress.beginnings.values()
            all_of = publisher.state == "running" and bool(begun) and all(one.at is None for one in begun)
            return all_of and publisher.feed.told_to == self.state.page

        eventually(done, 40, lambda: f"{publisher.document()} {self.log}")

    def heard(self) -> Heard:
        found = Heard()
        for record in all_records(self.server.bootstrap, [self.topic]):
            found.hear(record)
        return found

    def texts(self) -> dict[str, str]:
        """What a consumer has."""
        return {row["no"]: row["text"] for row in self.heard().rows.get("thing", {}).values()}


@pytest.fixture
def desk(kafka_server: Broker, topics: Topics) -> Desk:
    return Desk(kafka_server, topics)


class Cut(BaseException):
    """The process ends here."""


def cut_at(point: str) -> Callable[[str], None]:
    def reach(passed: str) -> None:
        if passed == point:
            raise Cut(point)

    return reach


def test_pages_are_told_in_order_and_once(desk: Desk) -> None:
    desk.page(("a", "1"), ("b", "1"))
    with desk.telling() as publisher:
        desk.told(publisher)
        desk.page(("a", "2"))
        desk.page(("b", None))
        publisher.feed.bell.set()
        desk.told(publisher)
    with desk.telling() as publisher:  # another start knows where it was
        desk.page(("c", "1"))
        publisher.feed.bell.set()
        desk.told(publisher)

    found = desk.heard()
    assert found.wrong == []
    assert found.ways == {'thing {"no":"a"}': "cu", 'thing {"no":"b"}': "cd", 'thing {"no":"c"}': "c"}
    assert found.tombstones == 1


@pytest.mark.parametrize("point", ["feed_sent", "before_feed_commit", "after_feed_commit"])
def test_a_publisher_that_died_leaves_nothing_half_told(desk: Desk, point: str) -> None:
    desk.page(("a", "1"), ("b", "1"))
    dying = desk.publisher(cut_at(point))
    with pytest.raises(Cut):
        dying.run()
    desk.page(("a", "2"))
    with desk.telling() as publisher:
        desk.told(publisher)

    found = desk.heard()
    assert found.wrong == []
    assert found.ways == {'thing {"no":"a"}': "cu", 'thing {"no":"b"}': "c"}


def test_a_transaction_of_several_pages_is_seen_as_a_whole(desk: Desk) -> None:
    desk.page(("a", "1"), goes_on=True)
    desk.page(("b", "1"), goes_on=True)
    desk.page()
    with desk.telling() as publisher:
        desk.told(publisher)
        commits = [line for line in desk.log if line.startswith("feed")]

    assert desk.texts() == {"a": "1", "b": "1"}
    assert commits


def test_what_was_there_is_told_unless_its_change_is(desk: Desk) -> None:
    desk.record("old", "was there", 0)
    desk.record("new", "later", 1)
    desk.record("hidden", "not agreed", 0)
    desk.store.commit(Delta(entries={(WITHHELD + "thing", "hidden", ""): encode(("hidden", "told last"))}))
    desk.page(("new", "later"))
    with desk.telling() as publisher:
        desk.told(publisher)

    found = desk.heard()
    assert found.ways == {'thing {"no":"old"}': "r", 'thing {"no":"new"}': "c", 'thing {"no":"hidden"}': "r"}
    assert desk.texts() == {"old": "was there", "new": "later", "hidden": "told last"}


def test_a_beginning_of_many_pages_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.feed.beginning.PAGE_RECORDS", 3)
    for n in range(10):
        desk.record(f"k{n}", "x", 0)
    desk.state.offset = 10**15 + 1
    desk.commit({})
    passed: list[str] = []

    def reach(point: str) -> None:
        passed.append(point)
        if passed.count("after_feed_commit") == 2:
            raise Cut

    with pytest.raises(Cut):
        desk.publisher(reach).run()
    assert 0 < len(desk.texts()) < 10
    with desk.telling() as publisher:
        desk.told(publisher)

    found = desk.heard()
    assert min(number for number, _ in found.began) > 10**15, "as far as no other era came"
    assert len(found.ways) == 10
    assert set(found.ways.values()) == {"r"}


def test_a_lost_topic_of_progress_is_a_beginning_and_skips_no_page(desk: Desk) -> None:
    desk.record("a", "1", 1)
    desk.page(("a", "1"))
    with desk.telling() as publisher:
        desk.told(publisher)
        name = publisher.setting.progress
    desk.state.forgotten = 1
    desk.commit({1: None})  # the engine has forgotten what was told
    desk.page(("b", "1"))
    desk.record("b", "1", 2)
    admin = KafkaAdminClient(bootstrap_servers=desk.server.bootstrap)
    admin.delete_topics([name])
    eventually(lambda: name not in admin.list_topics(), 20, "the topic stays")
    admin.close()
    with desk.telling() as publisher:
        desk.told(publisher)

    assert any("everything that is agreed is told" in line for line in desk.log)
    assert desk.heard().ways == {'thing {"no":"a"}': "cr", 'thing {"no":"b"}': "c"}


def test_a_lost_topic_loses_nobody_though_the_first_page_lets_go_what_had_waited_for_long(desk: Desk) -> None:
    """What such a page tells has an old version: that says nothing of what other pages had told, and are forgotten."""
    desk.record("waits", "1", 1)
    for key in "ab":
        desk.page((key, "1"))
        desk.record(key, "1", desk.state.number)
    desk.state.forgotten = desk.state.page
    desk.commit({1: None, 2: None})
    desk.page(("waits", "1"), version=1)
    with desk.telling() as publisher:
        desk.told(publisher)

    assert desk.texts() == {"a": "1", "b": "1", "waits": "1"}


def test_of_two_engines_with_one_name_the_later_one_tells(kafka_server: Broker, topics: Topics) -> None:
    one, other = Desk(kafka_server, topics, "one"), Desk(kafka_server, topics, "other")
    with one.telling() as first:
        one.page(("a", "1"))
        one.told(first)
        with other.telling() as second:
            other.told(second)
            one.page(("a", "never"))
            first.feed.bell.set()
            eventually(lambda: first.state == "stopped", 60, lambda: str(first.document()))
            assert "another engine of this name" in first.trouble
            other.page(("b", "1"))
            second.feed.bell.set()
            other.told(second)

    assert one.texts() == {"a": "1", "b": "1"}


def test_a_topic_of_progress_that_forgets_is_refused(desk: Desk) -> None:
    admin = KafkaAdminClient(bootstrap_servers=desk.server.bootstrap)
    admin.create_topics([NewTopic(f"duolog.{desk.owner}.feed", 1, 1, topic_configs={"cleanup.policy": "delete"})])
    admin.close()
    publisher = desk.publisher()
    publisher.run()

    assert publisher.state == "stopped"
    assert "cleanup.policy=delete" in publisher.trouble


def test_events_are_told_with_the_changes(desk: Desk) -> None:
    desk.page(("a", "1"), events=2)
    with desk.telling(journal=True) as publisher:
        desk.told(publisher)

    events = [json.loads(record.value)["after"] for record in all_records(desk.server.bootstrap, [desk.journal])]
    assert [(event["kind"], event["index"]) for event in events] == [("hold", 1), ("hold", 2)]
    assert "won" not in events[0]


def test_a_broker_that_is_away_is_waited_for(own_kafka: Broker, topics: Topics) -> None:
    own_kafka.start()
    desk = Desk(own_kafka, topics)
    with desk.telling() as publisher:
        desk.page(("a", "1"))
        desk.told(publisher)
        own_kafka.kill9()
        desk.page(("a", "2"))
        publisher.feed.bell.set()
        eventually(lambda: publisher.state == "unavailable", 60, lambda: str(publisher.document()))
        assert publisher.document()["waiting"] == 1
        own_kafka.start()
        desk.told(publisher)
        found = desk.heard()

    assert found.wrong == []
    assert found.ways == {'thing {"no":"a"}': "cu"}
