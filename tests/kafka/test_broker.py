"""Tries the broker that tests are lent: it keeps what it took, and nothing of it outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.kafka_servers import Broker, Topics

HOME = Path(__file__).resolve().parents[2]
STARTER = """
import sys, time
from tests.kafka.broker import broker
server = broker()
server.start()
print(server.pid, server.folder, flush=True)
time.sleep(600)
"""


def written(bootstrap: str, topic: str, values: list[bytes], *, transaction: str | None = None) -> None:
    """Sends them, in one transaction if that has a name."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=transaction)
    if transaction:
        producer.init_transactions()
        producer.begin_transaction()
    for value in values:
        producer.send(topic, value, partition=0)
    producer.commit_transaction() if transaction else producer.flush(20)
    producer.close()


def read(bootstrap: str, topic: str) -> list[bytes]:
    """What a topic of one partition holds now, of what is committed."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    where = TopicPartition(topic, 0)
    consumer.assign([where])
    consumer.seek_to_beginning(where)
    end = consumer.end_offsets([where])[where]
    found: list[bytes] = []
    deadline = time.monotonic() + 20
    while consumer.position(where) < end and time.monotonic() < deadline:
        found += [record.value for records in consumer.poll(timeout_ms=200).values() for record in records]
    consumer.close()
    return found


def until(met: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.05)
    return met()


def test_a_transaction_is_read_when_it_is_committed(kafka_server: Broker, topics: Topics) -> None:
    topic = topics.create("committed")
    written(kafka_server.bootstrap, topic, [b"one", b"two"], transaction=topics("writer"))
    assert read(kafka_server.bootstrap, topic) == [b"one", b"two"]


def test_the_topics_of_a_test_go_with_it(kafka_server: Broker) -> None:
    mine, other = Topics(kafka_server), Topics(kafka_server)
    gone, stays = mine.create("a"), other.create("a")
    mine.close()
    client = kafka_server.connect()
    assert until(lambda: gone not in client.list_topics())
    assert stays in client.list_topics()
    client.close()
    other.close()


def test_a_killed_broker_comes_back_with_what_it_had_at_the_same_address(own_kafka: Broker) -> None:
    own_kafka.start()
    url = own_kafka.url()
    client = own_kafka.connect()
    from kafka.admin import NewTopic

    client.create_topics([NewTopic("kept", 1, 1)])
    client.close()
    written(own_kafka.bootstrap, "kept", [b"one"])
    if not own_kafka.real:  # the stand-in saves twice a second
        time.sleep(1)
    own_kafka.kill9()
    assert not own_kafka.running
    own_kafka.start()
    assert own_kafka.url() == url
    assert read(own_kafka.bootstrap, "kept") == [b"one"]


def test_a_frozen_broker_goes_on_when_it_is_thawed(own_kafka: Broker) -> None:
    own_kafka.start()
    own_kafka.freeze()
    assert until(lambda: Path(f"/proc/{own_kafka.pid}/stat").read_text().split()[2] == "T")
    own_kafka.thaw()
    client = own_kafka.connect()
    assert isinstance(client.list_topics(), list)
    client.close()


def test_no_broker_outlives_a_killed_run() -> None:
    run = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True, cwd=HOME)
    assert run.stdout is not None
    pid, folder = run.stdout.readline().split()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert until(lambda: not _lives(int(pid)))
    subprocess.run(["rm", "-rf", folder], check=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
