"""What brokers left open is ended as it was meant to be, so that a feed tells nothing twice and leaves nothing out.

Apache Kafka, killed just after a commit, passes over the marks that end it for one partition or another, about once in
ten times. Here the partition is left out on purpose: messages go there that the coordinator was not told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.producer.transaction_manager import TransactionManager

from adapters.feed import publisher as publishers
from tests.engine_live.world import eventually
from tests.kafka.broker import KafkaServer, why_not_real
from tests.kafka.test_feed_publisher import Cut, Desk, cut_at
from tests.kafka_servers import Topics
from tests.scaling.test_scaling_topic import Topic, row
from tests.servers import unavailable


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    """A broker that takes messages for partitions of which its coordinator was not told, as older ones do."""
    if missing := why_not_real():
        unavailable(missing)
    made = KafkaServer(settings={"transaction.partition.verification.enable": "false"})
    made.start()
    yield made
    made.close()


@pytest.fixture
def desk(server: KafkaServer) -> Desk:
    return Desk(server, Topics(server))


def leave_open(patch: pytest.MonkeyPatch, chosen: Callable[[TopicPartition], bool]) -> None:
    """What is written to these partitions will get no mark."""
    told = TransactionManager.maybe_add_partition_to_transaction

    def add(self: TransactionManager, place: TopicPartition) -> None:
        if chosen(place):
            self._partitions_in_transaction.add(place)
        else:
            told(self, place)

    patch.setattr(TransactionManager, "maybe_add_partition_to_transaction", add)


@pytest.mark.parametrize("names", [{"feed"}, {"thing"}, {"feed", "thing"}], ids=lambda names: "+".join(sorted(names)))
@pytest.mark.parametrize("point", ["before_feed_commit", "after_feed_commit"])
def test_what_a_killed_broker_left_open_is_told_once(
    desk: Desk, names: set[str], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress seemed lost, a feed began anew, and its first commit made the old messages be seen as well."""
    desk.page(("a", "1"), ("b", "1"), events=1)
    with monkeypatch.context() as patch:
        leave_open(patch, lambda place: place.topic.rpartition(".")[2] in names)
        with pytest.raises(Cut):
            desk.publisher(cut_at(point), journal=True).run()
    with desk.telling(journal=True) as publisher:
        desk.told(publisher)
        before = desk.heard()
        desk.page(("a", "2"))
        publisher.feed.bell.set()
        desk.told(publisher)

    done = "committed" if point == "after_feed_commit" else "undone"
    assert [line for line in desk.log if f"left open {done} in" in line], desk.log
    assert before.ways == {'thing {"no":"a"}': "c", 'thing {"no":"b"}': "c"}
    found = desk.heard()
    assert found.wrong == []
    assert found.ways == {'thing {"no":"a"}': "cu", 'thing {"no":"b"}': "c"}


def test_a_reader_of_workers_goes_on_behind_what_a_killed_broker_left_open(
    server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went on where the topic seemed to end, and the database had been told that it might forget that."""
    topic = Topic(server.url())
    start = topic.database.end
    with closing(topic.publisher()) as dying, monkeypatch.context() as patch:
        dying.open(lambda: start)
        leave_open(patch, lambda place: place.topic == topic.topic and place.partition == 0)
        end = topic.write(*(row(key) for key in range(9)))
        dying.run(lambda: dying.position >= end)
    with closing(topic.publisher()) as publisher:
        publisher.open(lambda: start)
        assert publisher.position == end

    told = topic.all(start, end)
    assert sum(transaction.rows for transactions in told.values() for transaction in transactions) == 9


def test_what_somebody_else_has_open_in_the_topic_of_progress_is_waited_for_with_the_mend(desk: Desk) -> None:
    desk.page(("a", "1"))
    with desk.telling() as publisher:
        desk.told(publisher)
        topic = publisher.setting.progress
    other = KafkaProducer(bootstrap_servers=desk.server.bootstrap, transactional_id="somebody")
    other.init_transactions()
    other.begin_transaction()
    other.send(topic, b"not ours", b"another key", partition=0).get(10)
    desk.page(("a", "2"))
    with desk.telling() as publisher:
        eventually(lambda: publisher.state == "unavailable", 40, lambda: str(publisher.document()))
        assert f"kafka-transactions.sh find-hanging --topic {topic}" in publisher.trouble
        other.abort_transaction()
        desk.told(publisher)
    other.close()

    assert desk.heard().ways == {'thing {"no":"a"}': "cu"}


def test_a_topic_of_progress_that_is_empty_and_should_not_be_is_doubted_at_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishers, "DOUBTS_S", 1.0)
    desk.record("a", "1", 1)
    desk.page(("a", "1"))
    with desk.telling() as publisher:
        desk.told(publisher)
        topic = publisher.setting.progress
    desk.state.forgotten = 1
    desk.commit({1: None})
    with closing(KafkaAdminClient(bootstrap_servers=desk.server.bootstrap)) as admin:
        admin.delete_topics([topic])
        eventually(lambda: topic not in admin.list_topics(), 20, "the topic stays")
        admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"cleanup.policy": "compact"})])
    desk.log.clear()
    with desk.telling() as publisher:
        desk.told(publisher)

    assert f"the topic `{topic}` is empty, though pages were told" in desk.log[0]
    assert desk.heard().ways == {'thing {"no":"a"}': "cr"}, "a topic that somebody has made anew is begun with anew"
