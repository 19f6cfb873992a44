"""How far a MariaDB's log is ahead of our clock is measured, with its error, which whole seconds are a part of."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import pytest
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import XidEvent

from adapters.mariadb import clock, target
from adapters.mariadb.address import address
from adapters.mariadb.session import connect
from engine.errors import SystemUnavailable
from tests.database.books import Bound
from tests.database.maria_target import User, opened, rules

SECOND_US = 1_000_000
COARSE_US = 10_000
"""A clock that is read often may be as old as that."""
ITEM = Bound("item", ("id", "v"), ("id",))


def _behind(seconds: int) -> Callable[[], int]:
    true = time.time_ns
    return lambda: true() - seconds * 1_000_000_000


@pytest.mark.parametrize("seconds", [0, 3, -3])
def test_a_server_ahead_of_us_has_a_positive_offset(
    erp_maria: str, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr(clock.time, "time_ns", _behind(seconds))

    with closing(connect("erp", erp_maria, application_name="test")) as conn:
        offset, error = clock.clock_offset(conn)

    half = SECOND_US // 2
    assert half < error < half + SECOND_US
    assert abs(offset + half - seconds * SECOND_US) <= error - half + 1_000  # one machine, one clock


def test_every_commit_time_of_the_log_is_right_within_the_error(erp_maria: str) -> None:
    user = User(erp_maria)
    user.do("CREATE TABLE item (id int PRIMARY KEY, v text)")
    with closing(connect("erp", erp_maria, application_name="test")) as conn:
        offset, error = clock.clock_offset(conn)
    (file, position), known = user.do("SHOW MASTER STATUS")[0][:2], []
    for number in range(1, 12):
        before = time.time_ns() // 1000
        user.do(f"INSERT INTO item VALUES ({number}, '')")
        known.append((before, time.time_ns() // 1000))
        time.sleep(0.11)  # so that the second is met at all its parts

    for (before, after), told in zip(known, _commit_times(erp_maria, file, position), strict=True):
        assert before - error - COARSE_US <= told - offset <= after + error + COARSE_US


def test_the_server_is_asked_again_only_when_a_minute_is_over(erp_maria: str, monkeypatch: pytest.MonkeyPatch) -> None:
    user = User(erp_maria)
    user.do("CREATE TABLE item (id int PRIMARY KEY, v text)")

    with opened(erp_maria, rules(erp_maria, ITEM)) as erp:
        measured = erp.clock()
        user.do(f"KILL {erp._speech.sending.conn.thread_id()}")

        assert erp.clock() == measured

        soon = time.monotonic() + target.clock_interval_s
        monkeypatch.setattr(target.time, "monotonic", lambda: soon)
        with pytest.raises(SystemUnavailable):
            erp.clock()


def _commit_times(url: str, file: str, position: int) -> list[int]:
    """Microseconds, as the binlog tells them."""
    where = address(url)
    stream = BinLogStreamReader(
        connection_settings={"host": where.host, "port": where.port, "user": where.user, "password": where.password},
        server_id=4712, log_file=file, log_pos=position, resume_stream=True, blocking=False, only_events=[XidEvent],
    )  # fmt: skip
    with closing(stream):
        return [event.timestamp * SECOND_US for event in stream]
