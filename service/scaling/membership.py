"""Which partitions and which systems are this worker's, as the group of all workers agrees in Kafka.

Turns a consumer group on two topics that hold nothing into sets of numbers: their partitions stand for engines and
readers. Heartbeats go out from a thread of the driver's; a worker that is silent for the session timeout is left out,
and what it had goes to the others. It starts nothing: `service.scaling.worker` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError

from adapters.kafka.broker import Broker, translated
from engine.errors import DuologError, SystemUnavailable
from service.scaling.job import Tell
from service.scaling.share import engines_topic, readers_topic

SESSION_MS: Final = 10_000
HEARTBEAT_MS: Final = 2_000
PAUSE_S: Final = 1.0


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]
    """See the module. `engines` and `readers` are replaced as a whole, by another thread."""

    def __init__(self, name: str, broker: Broker, tell: Tell) -> None:
        self.engines: frozenset[int] = frozenset()
        self.readers: frozenset[int] = frozenset()
        self.changed = threading.Event()
        self._name = name
        self._broker = broker
        self._tell = tell
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)

    def start(self) -> None:
        """Joins."""
        self._thread.start()

    def leave(self) -> None:
        """Leaves, so that the others need not wait for the session to time out."""
        self._leaving.set()
        self._thread.join(timeout=10)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Before every new agreement: what we have, we most probably keep. What we lose, we are told after it."""

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """The group went on without us."""
        self._have(())

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """A new agreement: this is all that we have now."""
        self._have(assigned)

    def _have(self, assigned: Collection[TopicPartition]) -> None:
        engines, readers = engines_topic(self._name), readers_topic(self._name)
        self.engines = frozenset(at.partition for at in assigned if at.topic == engines)
        self.readers = frozenset(at.partition for at in assigned if at.topic == readers)
        self.changed.set()

    def _run(self) -> None:
        while not self._leaving.is_set():
            try:
                self._take_part()
            except (SystemUnavailable, DuologError) as error:
                self._tell("group unavailable", str(error))
                self._leaving.wait(PAUSE_S)

    def _take_part(self) -> None:
        """One membership, until it breaks or we leave. Raises DuologError."""
        with translated("", "joining the group of workers"):
            consumer = KafkaConsumer(
                **self._broker.arguments(f"duolog {self._name} worker"), group_id=f"duolog.{self._name}",
                session_timeout_ms=SESSION_MS, heartbeat_interval_ms=HEARTBEAT_MS, enable_auto_commit=False,
                partition_assignment_strategy=[StickyPartitionAssignor], auto_offset_reset="latest",
                metrics_enabled=False, allow_auto_create_topics=False,
            )  # fmt: skip
        try:
            with translated("", "taking part in the group of workers"):
                consumer.subscribe([engines_topic(self._name), readers_topic(self._name)], listener=self)
                self._stay(consumer)
        finally:
            with suppress(KafkaError):
                consumer.close(autocommit=False)

    def _stay(self, consumer: KafkaConsumer) -> None:
        """Until we leave. Raises SystemUnavailable when nobody has answered for the group as long as a session lasts.

        The driver can look for the group's coordinator for ever, and as fast as it can, when a connection to it has
        failed once (kafka-python 3.0.12); another consumer finds it."""
        heard_at = time.monotonic()
        while not self._leaving.is_set():
            consumer.poll(timeout_ms=200)
            if not consumer._coordinator.coordinator_unknown():  # the driver has no public word for it
                heard_at = time.monotonic()
            elif time.monotonic() > heard_at + SESSION_MS / 1000:
                raise SystemUnavailable(f"nobody answers for the group of workers `duolog.{self._name}`")
