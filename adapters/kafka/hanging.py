"""Turns a Kafka transaction that the brokers left without an end into one that has ended as it was meant to.

A broker that is killed just after a commit, and comes back, may pass over the marks that end it: its coordinator calls
the transaction complete, and a partition whose leader was not known yet keeps it open (seen with Apache Kafka 4.3). Who
reads what is committed stops before it: our own progress looks older than it is, or as if nothing had been told. The
next mark of the same producer ends it, whichever way; so that has to be the right one. It never writes a message.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import closing
from typing import Any, Final

from kafka import IsolationLevel, KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec, TransactionState
from kafka.errors import KafkaTimeoutError, RetriableError, TransactionalIdNotFoundError, UnsupportedVersionError

from engine.errors import SystemUnavailable

COMMITTED: Final = (TransactionState.PREPARE_COMMIT, TransactionState.COMPLETE_COMMIT)
UNTOLD: Final = (TransactionState.EMPTY, TransactionState.DEAD, TransactionState.UNKNOWN)
"""What a coordinator says once somebody has begun anew: nothing of the transaction before."""
WITHIN_S: Final = 20.0
PAUSE_S: Final = 0.05


class Hanging:
    """What may have been left open by the producers of one `transactional.id`. Used by one thread."""

    def __init__(self, name: str, *, system: str) -> None:
        """`name`: the `transactional.id`."""
        self._name = name
        self._system = system
        self._committed = False
        """How the last transaction ended, of which a coordinator has told. What nobody tells of did not come about: who
        is wrong there tells something twice, and loses nothing."""

    def begin(
        self, producer: KafkaProducer, arguments: Mapping[str, Any], own: str, others: Collection[str] = ()
    ) -> str:
        """`init_transactions`; from then on nothing of an earlier producer of this name is open. `arguments`: what
        clients of Kafka are made with; `own`: a topic that nobody else writes to; `others`: what it writes to besides.

        Returns what was done, in words; empty: nothing had to be. Raises KafkaError; SystemUnavailable if another one's
        transaction is open in `own`."""
        with closing(KafkaAdminClient(**arguments)) as admin:
            self._ask(admin)  # first, as the coordinator then forgets
            producer.init_transactions()
            found = _open(admin, [own, *others])
            if not found:
                return ""
            # Some may be of other writers: a mark of ours means nothing to those.
            _end(producer, found, commit=self._committed)
            if left := _open(admin, [own]):
                raise SystemUnavailable(
                    f"in partition {left[0].partition} of the topic `{own}` a transaction of somebody else is open",
                    system=self._system,
                    mend=f"stop who writes there; or kafka-transactions.sh find-hanging --topic {own}, and abort what "
                    "that finds",
                )  # fmt: skip
            places = ", ".join(f"{place.topic}-{place.partition}" for place in found)
            return f"{'committed' if self._committed else 'undone'} in {places}"

    def _ask(self, admin: KafkaAdminClient) -> None:
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                state = admin.describe_transactions([self._name])[self._name].state
            except (TransactionalIdNotFoundError, UnsupportedVersionError):
                return  # nobody was before us; or brokers that are too old (before 3.0) to say
            except RetriableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)
                continue
            if state not in UNTOLD:
                self._committed = state in COMMITTED
            return


def _open(admin: KafkaAdminClient, topics: Collection[str]) -> list[TopicPartition]:
    """The partitions of these topics where what is committed ends before what is written. Raises KafkaError."""
    there = admin.describe_topics(list(topics))
    places = [TopicPartition(one["name"], part["partition_index"]) for one in there for part in one["partitions"]]
    latest = dict.fromkeys(places, OffsetSpec.LATEST)
    if not latest:
        return []
    stable = admin.list_partition_offsets(latest, isolation_level=IsolationLevel.READ_COMMITTED)
    written = admin.list_partition_offsets(latest, isolation_level=IsolationLevel.READ_UNCOMMITTED)
    return [place for place in places if stable[place].offset < written[place].offset]


def _end(producer: KafkaProducer, places: Collection[TopicPartition], *, commit: bool) -> None:
    """Puts a mark of ours into these partitions, and no message. Raises KafkaError."""
    producer.begin_transaction()
    # The driver (3.0) adds partitions only for messages, and has no public name for doing so without.
    manager = producer._transaction_manager
    for place in places:
        manager.maybe_add_partition_to_transaction(place)
    deadline = time.monotonic() + WITHIN_S
    while manager.has_partitions_to_add():  # an abort would leave out those that are not added by then
        producer._sender.wakeup()
        if manager.has_error() or time.monotonic() > deadline:
            raise manager.last_error or KafkaTimeoutError("partitions were not added in time")
        time.sleep(PAUSE_S)
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()
