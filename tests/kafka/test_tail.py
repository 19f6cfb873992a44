"""Partitions that are held back go on where they were, without a gap and without a message twice."""

from __future__ import annotations

import time

import pytest
from kafka import KafkaProducer

from adapters.kafka import tail as tails
from adapters.kafka.broker import broker
from adapters.kafka.tail import Tail
from tests.crowd import within
from tests.kafka_servers import Broker, Topics


def test_a_partition_that_was_held_back_goes_on_though_others_were_read_meanwhile(
    kafka_server: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver kept what it had fetched of a partition that was paused and resumed, and never handed it over."""
    monkeypatch.setattr(tails, "records_max", 10)
    many, few = topics.create("many"), topics.create("few")
    producer = KafkaProducer(bootstrap_servers=kafka_server.bootstrap)
    for number in range(100):
        producer.send(many, str(number).encode(), partition=0)
    producer.flush(20)
    tail = Tail(broker(kafka_server.url()), system="erp", client="test")
    try:
        tail.read_from({(many, 0): 0, (few, 0): 0})
        found = read(tail, 10)
        tail.hold({(many, 0)}, back=True)
        at = tail.next_offset((many, 0))
        assert (many, 0) in tail.places()
        producer.send(few, b"few", partition=0)
        producer.flush(20)
        assert read(tail, 1) == ["few"]
        assert tail.next_offset((many, 0)) == at
        tail.hold({(many, 0)}, back=False)
        found += read(tail, 100 - len(found))
    finally:
        tail.close()
        producer.close()

    assert found == [str(number) for number in range(100)]


def read(tail: Tail, count: int) -> list[str]:
    """So many messages, or a few more."""
    found: list[str] = []
    deadline = time.monotonic() + within(10)
    while len(found) < count and time.monotonic() < deadline:
        found += [record.value.decode() for record in tail.read(0.1)]
    return found
