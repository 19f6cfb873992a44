"""A worker belongs to the group of workers, or finds its way back to it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.cluster import ClusterMetadata
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator

from adapters.changes.topic import make_topics
from adapters.kafka.broker import broker
from service.scaling import membership
from service.scaling.membership import Membership
from service.scaling.share import engines_topic, readers_topic
from tests.engine_live.world import eventually

Told = list[tuple[str, ...]]
Broken = Callable[[object], bool]
"""True for the driver that is to be broken: the first of its kind, from when the test says so."""


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """When it is set, the first driver that was made is broken."""
    monkeypatch.setattr(membership, "SESSION_MS", 6_000)
    return threading.Event()


@pytest.fixture
def broken(lost: threading.Event) -> Broken:
    first: list[object] = []

    def is_broken(driver: object) -> bool:
        first.extend([] if first else [driver])
        return lost.is_set() and driver is first[0]

    return is_broken


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def member(real_kafka: str, lost: threading.Event, told: Told) -> Iterator[Membership]:
    """One that has joined once it is started."""
    name = f"member{os.getpid()}_{time.time_ns()}"
    where = broker(real_kafka)
    make_topics(where, {engines_topic(name): 2, readers_topic(name): 1})
    made = Membership(name, where, lambda *words: told.append(words), partitions=2, systems=1)
    yield made
    lost.clear()
    made.leave()


def _finds_its_way_back(member: Membership, lost: threading.Event, told: Told) -> None:
    member.start()
    eventually(lambda: member.engines == {0, 1}, 60, lambda: str(told))
    lost.set()
    member.changed.clear()

    def told_of_it() -> bool:
        member.look_after()
        return any("out of the group of workers" in words[-1] for words in told)

    eventually(told_of_it, 60, lambda: str(told))
    eventually(lambda: member.changed.is_set() and member.engines == {0, 1}, 60, lambda: str(told))
    assert len(told) == 1, told


def test_a_driver_that_looks_for_the_coordinator_for_ever_is_given_up(
    member: Membership, lost: threading.Event, broken: Broken, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen under load: a worker's driver was busy for 14 minutes with finding a coordinator that all others had."""
    found = BaseCoordinator.coordinator_unknown
    monkeypatch.setattr(BaseCoordinator, "coordinator_unknown", lambda driver: broken(driver) or found(driver))
    _finds_its_way_back(member, lost, told)


def test_a_driver_that_waits_for_an_agreement_for_ever_is_given_up(
    member: Membership, lost: threading.Event, broken: Broken, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen under load: the group had agreed with a worker that heard nothing of it, and then went on without it."""
    join = BaseCoordinator._do_join_and_sync_async

    async def never(driver: BaseCoordinator) -> Any:
        if broken(driver):
            await driver._net.sleep(3600)
        return await join(driver)

    monkeypatch.setattr(BaseCoordinator, "_do_join_and_sync_async", never)
    need = ConsumerCoordinator.need_rejoin
    monkeypatch.setattr(ConsumerCoordinator, "need_rejoin", lambda driver: broken(driver) or need(driver))
    _finds_its_way_back(member, lost, told)


def test_a_driver_that_never_comes_back_is_given_up(
    member: Membership, lost: threading.Event, broken: Broken, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, released = KafkaConsumer.poll, threading.Event()

    def stuck(driver: KafkaConsumer, *given: Any, **options: Any) -> Any:
        if broken(driver):
            released.wait(120)
        return poll(driver, *given, **options)

    monkeypatch.setattr(KafkaConsumer, "poll", stuck)
    try:
        _finds_its_way_back(member, lost, told)
    finally:
        released.set()


def test_a_driver_that_has_not_heard_of_the_topics_shares_them_out_all_the_same(
    member: Membership, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen under load: it shared out nothing, then heard of the topics, and took that for what it had shared out."""
    monkeypatch.setattr(ClusterMetadata, "partitions_for_topic", lambda cluster, topic: None)
    member.start()
    eventually(lambda: (member.engines, member.readers) == ({0, 1}, {0}), 30, lambda: str(told))
