"""How far a server's clock is ahead of ours is measured, with its error, and not asked for all the time."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from adapters.postgresql import clock, target
from engine.errors import SystemUnavailable
from tests.database.books import Bound, book
from tests.database.test_postgresql_target import opened

BOOK = book(Bound("item", ("id", "v"), ("id",)))

SECOND_US = 1_000_000


@pytest.fixture
def item(erp_db: str) -> str:
    """The address of a database with a bound table."""
    with psycopg.connect(erp_db) as conn:
        conn.execute("CREATE TABLE item (id int PRIMARY KEY, v text)")
    return erp_db


def _behind(seconds: int) -> Callable[[], int]:
    true = time.time_ns
    return lambda: true() - seconds * 1_000_000_000


@pytest.mark.parametrize("seconds", [0, 3, -3])
def test_a_server_ahead_of_us_has_a_positive_offset(
    erp_db: str, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr(clock.time, "time_ns", _behind(seconds))

    with psycopg.connect(erp_db) as conn:
        offset, error = clock.clock_offset(conn)

    assert 0 < error < SECOND_US
    assert abs(offset - seconds * SECOND_US) <= error + 1_000  # one machine, one clock, two ways to read it


def test_the_server_is_asked_again_only_when_a_minute_is_over(item: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(item, BOOK) as connected:
        measured = connected.clock()
        with psycopg.connect(item, autocommit=True) as dba:
            dba.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'duolog%'")

        assert connected.clock() == measured

        soon = time.monotonic() + target.clock_interval_s
        monkeypatch.setattr(target.time, "monotonic", lambda: soon)
        with pytest.raises(SystemUnavailable):
            connected.clock()
