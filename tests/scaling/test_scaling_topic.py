"""The change topic is a system's log: whole transactions, the database's own positions, from any place on."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from adapters.changes.publisher import MESSAGE_ROWS, Publisher
from adapters.changes.source import PartitionSource
from adapters.changes.topic import Reader, make_topics, topic_name
from adapters.kafka.broker import Broker, broker
from adapters.memory.source import MemorySource
from adapters.memory.system import MemorySystem
from engine.errors import Fenced, LogLost, StoreUnfit, SystemUnavailable
from engine.flows import Flow, Plan, Route
from engine.vocabulary import ABSENT, INSERT, Change, Progress, Transaction
from tests.crowd import within
from tests.database.books import Bound, book
from tests.engine_live.world import eventually

PARTITIONS = 3
ALL = tuple(range(PARTITIONS))
PLAN = Plan(PARTITIONS, (Flow(("item",), "item", ALL, ""),), {"erp": (Route(ALL, (0,), "item"),)}, {"item": (0,)})
ENGINES = {f"unit.p{number}": number for number in ALL}
_numbers = itertools.count(1)


class Tailed(MemorySource):
    """The log of a database in memory, at whose end one waits."""

    def read(self, timeout_s: float) -> Transaction | Progress | None:
        """See `engine.ports.Source`."""
        deadline = time.monotonic() + timeout_s
        while (event := super().read(0)) is None and time.monotonic() < deadline:
            time.sleep(0.005)  # the pause between two looks
        return event


class Topic:
    """A database in memory and its change topic, in a Kafka that is real."""

    def __init__(self, address: str) -> None:
        self.broker: Broker = broker(address)
        self.name = f"unit{os.getpid()}x{next(_numbers)}"  # all processes of a run share the broker
        self.topic = topic_name(self.name, "erp")
        self.database = MemorySystem("erp", book(Bound("item", ("id", "a", "b"), ("id",))))
        make_topics(self.broker, {self.topic: PARTITIONS})

    def publisher(self) -> Publisher:
        """One more, not open."""
        return Publisher(Tailed(self.database, rows_max=1000), self.broker, self.name, PLAN, ENGINES)

    def write(self, *changes: Change, own: bool = False, engine: str = "") -> int:
        """A transaction of the database; its position."""
        position = self.database.end + 10
        self.database.log.append(
            Transaction("erp", position, 77, own, list(changes), len(changes), number=5 if own else 0, engine=engine)
        )
        self.database.end = position
        return position

    def source(self, partition: int, resume: int) -> PartitionSource:
        """A reader of one partition, open."""
        made = PartitionSource("erp", self.broker, self.topic, partition, engine=f"unit.p{partition}")
        made.open(resume)
        return made

    def read(self, partition: int, resume: int, upto: int) -> list[Transaction]:
        """What a partition is told after one position, up to another."""
        found: list[Transaction] = []
        with closing(self.source(partition, resume)) as source:
            deadline = time.monotonic() + within(30)
            while True:
                event = source.read(1)
                assert time.monotonic() < deadline, f"not told up to {upto}"
                if event is None:
                    continue
                if isinstance(event, Transaction):
                    found.append(event)
                if event.position >= upto:
                    return found

    def all(self, resume: int, upto: int) -> dict[int, list[Transaction]]:
        """The same of every partition."""
        return {partition: self.read(partition, resume, upto) for partition in ALL}


@pytest.fixture
def topic(kafka: str) -> Topic:
    """An empty one."""
    return Topic(kafka)


@pytest.fixture
def published(topic: Topic) -> Iterator[Topic]:
    """The same, and somebody publishes."""
    publisher = topic.publisher()
    publisher.open(lambda: topic.database.end)
    over = threading.Event()
    thread = threading.Thread(target=publisher.run, args=(over.is_set,))
    thread.start()
    yield topic
    over.set()
    thread.join()
    publisher.close()


def row(key: int, value: str = "x") -> Change:
    return (0, INSERT, (str(key), value, None), None)


def test_each_partition_is_told_its_part_of_every_transaction_and_up_to_where_it_knows_all(published: Topic) -> None:
    start = published.database.end
    ends = [published.write(*(row(100 * n + k) for k in range(9))) for n in range(50)]

    told = published.all(start, ends[-1])
    for partition, transactions in told.items():
        assert [t.position for t in transactions] == sorted({t.position for t in transactions})
        for transaction in transactions:
            wanted = [row(100 * (ends.index(transaction.position)) + k) for k in range(9)]
            mine = [change for change in wanted if PLAN.home("item", str(change[2][0])) == partition]  # type: ignore[index]
            assert transaction.changes == mine and transaction.rows == len(mine)
            assert transaction.committed_at == 77 and not transaction.own
    assert sum(t.rows for transactions in told.values() for t in transactions) == 450


def test_what_the_log_did_not_carry_is_still_no_null(published: Topic) -> None:
    start, change = published.database.end, (0, "U", ("1", ABSENT, None), ("1", "", ABSENT))
    end = published.write(change)
    assert published.read(PLAN.home("item", "1"), start, end)[0].changes == [change]


def test_a_partition_goes_on_after_any_position(published: Topic) -> None:
    start = published.database.end
    ends = [published.write(row(k)) for k in range(120)]
    whole = published.all(start, ends[-1])
    for resume in (start, *ends[:-1:31], ends[-2]):
        for partition in ALL:
            found = [t.position for t in published.read(partition, resume, ends[-1])]
            assert found == [t.position for t in whole[partition] if t.position > resume]


def test_a_large_transaction_comes_whole_and_on_disk(published: Topic) -> None:
    start, rows = published.database.end, 12 * PARTITIONS * MESSAGE_ROWS
    end = published.write(*(row(k, "v" * 300) for k in range(rows)))

    told = published.all(start, end)
    assert all(len(transactions) == 1 for transactions in told.values())
    found = [change for (t,) in told.values() for chunk in t.chunks() for change in chunk]
    assert sorted(int(str(change[2][0])) for change in found) == list(range(rows))  # type: ignore[index]


def test_our_own_mark_is_told_to_the_engine_that_made_it_alone(published: Topic) -> None:
    start = published.database.end
    mine = next(k for k in range(99) if PLAN.home("item", str(k)) == 1)
    triggered = next(k for k in range(99) if PLAN.home("item", str(k)) == 2)
    end = published.write(row(mine), row(triggered), own=True, engine="unit.p1")

    told = published.all(start, end)
    assert [(t.own, t.number, t.engine) for t in told[1]] == [(True, 5, "unit.p1")]
    assert [(t.own, t.number, t.engine) for t in told[2]] == [(False, 0, "")]
    assert told[0] == []


def test_who_was_fenced_is_told_so_whatever_the_driver_calls_it(topic: Topic) -> None:
    """Its own thread may learn it first; then the driver says no more than that it is in an error state."""
    first = topic.publisher()
    first.open(lambda: topic.database.end)
    assert first._producer is not None
    first._producer.begin_transaction()
    first._producer.send(topic.topic, value=b"", partition=0)
    second = topic.publisher()
    second.open(lambda: topic.database.end)
    manager = first._producer._transaction_manager
    first._producer.send(topic.topic, value=b"", partition=1)
    eventually(manager.has_error, 20, "the producer's own thread has not learned it")

    with pytest.raises(Fenced):
        topic.write(row(1))
        first.run(lambda: False)
    first.close()
    second.close()


def test_who_publishes_next_goes_on_where_the_topic_ends_and_fences_the_other(topic: Topic) -> None:
    first = topic.publisher()
    first.open(lambda: topic.database.end)
    start, over = topic.database.end, threading.Event()
    died: list[BaseException] = []

    def publish() -> None:
        try:
            first.run(over.is_set)
        except Fenced as error:
            died.append(error)

    thread = threading.Thread(target=publish)
    thread.start()
    ends = [topic.write(row(k)) for k in range(30)]
    eventually(lambda: first.position == ends[-1], 20, "not published")
    second = topic.publisher()
    second.open(lambda: pytest.fail("the topic tells where to go on"))
    assert second.position == ends[-1]

    ends += [topic.write(row(k)) for k in range(30, 60)]
    thread.join(within(20))  # it tried to write what the second one is to write
    assert isinstance(died[0], Fenced) and died[0].code == "D504"
    first.close()
    assert first.position == ends[29], "nothing of it counts"
    other = threading.Thread(target=second.run, args=(over.is_set,))
    other.start()
    told = topic.all(start, ends[-1])
    over.set()
    other.join()
    second.close()
    assert sorted(int(str(c[2][0])) for ts in told.values() for t in ts for c in t.changes) == list(range(60))  # type: ignore[index]


def test_what_nobody_has_published_is_waited_for(topic: Topic) -> None:
    with pytest.raises(SystemUnavailable, match="no reader of this system has begun"):
        topic.source(0, 0)


def test_what_kafka_no_longer_has_is_lost_by_name(published: Topic, real_kafka: str) -> None:
    start = published.database.end
    ends = [published.write(row(k)) for k in range(60)]
    published.all(start, ends[-1])
    with closing(KafkaAdminClient(**published.broker.arguments("test"))) as admin:
        admin.delete_records({TopicPartition(published.topic, 0): -1})
    published.write(row(1))
    with pytest.raises(LogLost) as lost:
        eventually(lambda: published.source(0, start), 20, "the topic is empty")
    assert "--merge-again" in lost.value.mend


def test_who_reads_so_slowly_that_kafka_forgets_what_comes_next_skips_nothing(
    published: Topic, real_kafka: str
) -> None:
    """The driver would go on at the first message that is still there, and say nothing."""
    start = published.database.end
    with closing(published.source(0, start)) as slow:
        ends = [published.write(*(row(100 * n + k) for k in range(9))) for n in range(60)]
        published.all(start, ends[-1])
        with closing(KafkaAdminClient(**published.broker.arguments("test"))) as admin:
            admin.delete_records({TopicPartition(published.topic, 0): -1})
        end = published.write(*(row(k) for k in range(9)))
        published.read(1, ends[-1], end)

        with pytest.raises(SystemUnavailable, match="no longer has"):
            eventually(lambda: slow.read(1), 20, "nothing is told")
        with pytest.raises(LogLost):
            slow.open(start)


def test_a_log_that_is_read_anew_after_a_gap_is_lost_to_who_was_before_it_and_to_nobody_else(topic: Topic) -> None:
    """The mend of a lost log: without it, who publishes would go on for ever at a place that no log has."""
    first = topic.publisher()
    first.open(lambda: topic.database.end)
    start = topic.database.end
    first.close()
    topic.write(row(1))  # nobody will ever publish it
    gap = topic.database.end
    second, over = topic.publisher(), threading.Event()
    second.open(lambda: gap, anew=True)
    thread = threading.Thread(target=second.run, args=(over.is_set,))
    thread.start()
    end = topic.write(*(row(k) for k in range(9)))
    told = topic.all(gap, end)
    over.set()
    thread.join()
    second.close()

    assert sum(t.rows for transactions in told.values() for t in transactions) == 9
    for partition in ALL:
        with pytest.raises(LogLost):
            topic.read(partition, start, end)
    with pytest.raises(StoreUnfit, match="delete that topic"):
        topic.publisher().open(lambda: start, anew=True)


def test_a_topic_with_another_number_of_partitions_is_refused(topic: Topic) -> None:
    with pytest.raises(StoreUnfit, match="has 3 partitions, and the rules say 4"):
        make_topics(topic.broker, {topic.topic: 4})


def test_a_position_is_told_even_if_nothing_happens_for_this_partition(published: Topic) -> None:
    start = published.database.end
    end = published.write(row(next(k for k in range(99) if PLAN.home("item", str(k)) == 0)))
    with closing(published.source(1, start)) as source:
        event = eventually(lambda: source.read(1), 10, "nothing is told")
    assert event == Progress("erp", end)
    with closing(Reader("erp", published.broker, published.topic, 2)) as reader:
        assert reader.last() == end
