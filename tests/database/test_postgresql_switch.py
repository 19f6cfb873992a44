"""The switch of a PostgreSQL server of its own: arming that is proven, letting go that is recorded, and who waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from engine.errors import SystemUnavailable
from service.embedded import EmbeddedServer
from tests.database.armed import US, Armed, Committer, armed_server


@pytest.fixture
def erp(own_server: EmbeddedServer) -> Iterator[Armed]:
    with armed_server(own_server) as made:
        yield made


def test_armed_a_commit_returns_when_it_is_delivered_and_not_before(erp: Armed) -> None:
    follower, switch = erp.follow(), erp.switch()
    before = switch.look()
    assert (before.armed, before.reading, before.readable, before.waiting) == (False, True, True, 0)
    assert before.degraded is not None and (before.degraded.why, before.degraded.by) == ("never armed yet", "setup")

    until = switch.arm(follower.source.withholding)

    after = switch.look()
    assert (after.armed, after.reading, after.degraded, after.stood_in) == (True, True, None, False)
    assert switch.history()[0].until == until
    follower.delivers.clear()
    users = [Committer(erp.url, f"INSERT INTO item VALUES ({n}, '')", level=level)
             for n, level in enumerate(["on", "remote_apply", "remote_write"])]
    erp.until(lambda: switch.look().waiting == 3)
    assert not any(user.returned for user in users)
    follower.delivers.set()
    for user in users:
        user.wait()
    erp.until(lambda: switch.look().waiting == 0)


def test_released_all_who_wait_are_answered_and_the_range_is_recorded(erp: Armed) -> None:
    follower, switch = erp.follow(), erp.switch()
    until = switch.arm(follower.source.withholding)
    follower.delivers.clear()
    users = [Committer(erp.url, f"INSERT INTO item VALUES ({n}, '')") for n in range(3)]
    erp.until(lambda: switch.look().waiting == 3)

    range_ = erp.switch().release("tried", "watchdog")

    for user in users:
        user.wait(2.0)
        assert user.error is None and user.notices == []
    assert erp.names() == ""
    assert until <= range_.since <= follower.source._told
    assert (range_.until, range_.why, range_.by, range_.stays) == (None, "tried", "watchdog", False)
    assert switch.look().degraded == range_
