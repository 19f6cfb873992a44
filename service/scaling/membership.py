"""Which partitions and which systems are this worker's, as the group of all workers agrees in Kafka.

Turns a consumer group on two topics that hold nothing into sets of numbers: their partitions stand for engines and
readers. Heartbeats go out from a thread of the driver's; a worker that is silent for the session timeout is left out,
and what it had goes to the others. A driver that stays out of the group is replaced by another. It starts nothing:
`service.scaling.worker` does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import KafkaError

from adapters.kafka.broker import Broker, translated
from engine.errors import DuologError
from service.scaling.job import Tell
from service.scaling.share import engines_topic, readers_topic

SESSION_MS: Final = 10_000
"""Also how long the group waits, at a new agreement, for a member that does not come."""
HEARTBEAT_MS: Final = 2_000
PAUSE_S: Final = 1.0
GIVEN_UP_SESSIONS: Final = 2.5
"""For so long a driver may be out of the group: a new agreement and the end of a silent member are in less."""


class Membership:
    """See the module. `engines` and `readers` are replaced as a whole, by another thread."""

    def __init__(self, name: str, broker: Broker, tell: Tell, *, partitions: int, systems: int) -> None:
        self.engines: frozenset[int] = frozenset()
        self.readers: frozenset[int] = frozenset()
        self.changed = threading.Event()
        self._name = name
        self._broker = broker
        self._tell = tell
        self._shares = {engines_topic(name): partitions, readers_topic(name): systems}
        self._member = self._another()

    def start(self) -> None:
        """Joins."""
        self._member.start()

    def look_after(self) -> None:
        """To be called now and then: begins anew when the driver has been out of the group for long.

        It can look for the group's coordinator for ever, and can forget that it waits for an agreement (kafka-python
        3.0.12, both seen under load); another consumer finds its way."""
        silent_s = time.monotonic() - self._member.belonged_at
        if silent_s > GIVEN_UP_SESSIONS * SESSION_MS / 1000:
            self._tell("group unavailable", f"out of the group of workers for {silent_s:.0f} s; joining it anew")
            self._member.give_up()
            self._member = self._another()
            self._member.start()

    def leave(self) -> None:
        """Leaves, so that the others need not wait for the session to time out."""
        self._member.give_up()
        self._member.join(timeout=10)

    def _another(self) -> _Member:
        return _Member(self._name, self._broker, self._tell, self._shares, self._have)

    def _have(self, member: _Member, assigned: Collection[TopicPartition]) -> None:
        if member is not self._member:
            return  # it was given up, and has woken
        engines, readers = engines_topic(self._name), readers_topic(self._name)
        self.engines = frozenset(at.partition for at in assigned if at.topic == engines)
        self.readers = frozenset(at.partition for at in assigned if at.topic == readers)
        self.changed.set()


class _Member(threading.Thread, ConsumerRebalanceListener):  # type: ignore[misc]
    """One driver's way in the group, from joining to leaving it."""

    def __init__(
        self, name: str, broker: Broker, tell: Tell, shares: Mapping[str, int],
        have: Callable[[_Member, Collection[TopicPartition]], None],
    ) -> None:
        super().__init__(name="membership", daemon=True)
        self.belonged_at = time.monotonic()
        """When it last was seen in the group, or began to look for it."""
        self._group = name
        self._broker = broker
        self._tell = tell
        self._shares = shares
        self._have = have
        self._leaving = threading.Event()

    def give_up(self) -> None:
        """Asks it to leave the group, as soon as it hears of anything."""
        self._leaving.set()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Before every new agreement: what we have, we most probably keep. What we lose, we are told after it."""

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """The group went on without us."""
        self._have(self, ())

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """A new agreement: this is all that we have now."""
        self._have(self, assigned)

    def run(self) -> None:
        """Joins, again and again, until asked to leave."""
        while not self._leaving.is_set():
            try:
                self._take_part()
            except DuologError as error:
                self._tell("group unavailable", str(error))
                self.belonged_at = time.monotonic()  # it is told, and tried again: nothing hangs
                self._leaving.wait(PAUSE_S)

    def _take_part(self) -> None:
        """One membership, until it breaks or we leave. Raises DuologError."""
        with translated("", "joining the group of workers"):
            consumer = KafkaConsumer(
                **self._broker.arguments(f"duolog {self._group} worker"), group_id=f"duolog.{self._group}",
                session_timeout_ms=SESSION_MS, max_poll_interval_ms=SESSION_MS, heartbeat_interval_ms=HEARTBEAT_MS,
                enable_auto_commit=False, partition_assignment_strategy=[_Sharer(self._shares)],
                auto_offset_reset="latest", metrics_enabled=False, allow_auto_create_topics=False,
            )  # fmt: skip
        try:
            with translated("", "taking part in the group of workers"):
                consumer.subscribe(list(self._shares), listener=self)
                while not self._leaving.is_set():
                    consumer.poll(timeout_ms=200)
                    if _belongs(consumer):
                        self.belonged_at = time.monotonic()
        finally:
            with suppress(KafkaError):
                consumer.close(autocommit=False)


def _belongs(consumer: KafkaConsumer) -> bool:
    """True if it takes part in what the group agreed last, and the group has heard of it within a session."""
    coordinator = consumer._coordinator  # the driver has no public word for this
    heard = not (coordinator.coordinator_unknown() or coordinator.heartbeat.session_timeout_expired())
    return heard and coordinator.stable()


class _Sharer(StickyPartitionAssignor):  # type: ignore[misc]
    """Shares out what there is to share, by topic: how many partitions it has is known from the rules.

    The driver asks what it has heard of the topics so far. That may be nothing at the first agreement, and when it
    hears of them between two of its own steps it takes them for what it has shared out, and never agrees anew (seen
    under load: a worker alone in its group had nothing to do, for ever)."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        super().__init__()
        self._shares = shares

    def assign(self, cluster: Any, members: Any) -> Any:
        """By member, what it gets. `cluster` is not asked."""
        return super().assign(_Topics(self._shares), members)


class _Topics:
    """What the assignor asks a cluster for."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        self._shares = shares

    def topics(self) -> set[str]:
        """The names of all topics."""
        return set(self._shares)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The numbers of a topic's partitions; None: there is no such topic."""
        return set(range(self._shares[topic])) if topic in self._shares else None
