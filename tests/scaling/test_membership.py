"""A worker belongs to the group of workers, or finds its way back to it."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from kafka.coordinator.base import BaseCoordinator

from adapters.changes.topic import make_topics
from adapters.kafka.broker import broker
from service.scaling import membership
from service.scaling.membership import Membership
from service.scaling.share import engines_topic, readers_topic
from tests.engine_live.world import eventually


def test_a_driver_that_looks_for_the_coordinator_for_ever_is_given_up(
    real_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen under load: a worker's driver was busy for 14 minutes with finding a coordinator that all others had."""
    monkeypatch.setattr(membership, "SESSION_MS", 6_000)
    lost = threading.Event()
    found = BaseCoordinator.coordinator_unknown
    first: list[object] = []

    def unknown(coordinator: BaseCoordinator) -> Any:
        first.extend([coordinator] if not first else [])
        return True if lost.is_set() and coordinator is first[0] else found(coordinator)

    monkeypatch.setattr(BaseCoordinator, "coordinator_unknown", unknown)
    name, told = f"member{os.getpid()}", list[tuple[str, ...]]()
    where = broker(real_kafka)
    make_topics(where, {engines_topic(name): 2, readers_topic(name): 1})
    member = Membership(name, where, lambda *words: told.append(words))
    member.start()
    try:
        eventually(lambda: member.engines == {0, 1}, 60, lambda: str(told))
        lost.set()
        eventually(lambda: any("nobody answers" in words[-1] for words in told), 30, lambda: str(told))
        member.changed.clear()
        eventually(lambda: member.changed.is_set() and member.engines == {0, 1}, 60, lambda: str(told))
    finally:
        member.leave()
