"""Tries an engine whose machine is gone without having hung up: its lock and its rows' locks do not stay for hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from adapters.mariadb import target as target_module
from adapters.mariadb.address import address
from engine.errors import SystemUnavailable
from tests.crowd import within
from tests.database.books import Bound, row, write
from tests.database.maria_target import User, batch, opened, rules, target
from tests.engine_live.proxy import Proxy

ITEM = Bound("item", ("id", "name"), ("id",))
UPDATE = write("update", "item", (1,), [row(1, "1", ("c",), ("a",))])


@pytest.fixture
def user(erp_maria: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """A user and a table, on a server that takes an engine for gone after 10 s of silence, in a transaction after 8."""
    monkeypatch.setattr(target_module, "gone_after_s", 10)
    monkeypatch.setattr(target_module, "gone_within_s", 8)
    made = User(erp_maria)
    made.do("CREATE TABLE item (id int PRIMARY KEY, name text); INSERT INTO item VALUES (1, 'a')")
    yield made
    made.conn.close()


@pytest.mark.parametrize("writing", [False, True], ids=["idle", "writing"])
def test_who_is_gone_without_a_word_makes_room_for_the_next(erp_maria: str, user: User, writing: bool) -> None:
    book = rules(erp_maria, ITEM)
    port = address(erp_maria).port
    with closing(Proxy(port)) as line, opened(line.address(erp_maria), book) as gone:
        if writing:
            gone._begin(batch(1))
            gone._speech.sending.ask("UPDATE item SET name = 'b'")
        line.stall()
        after = target(erp_maria, book)
        with pytest.raises(SystemUnavailable, match="writes this system as the engine"):
            after.open()

        until = time.monotonic() + within(20)
        while True:
            try:
                after.open()
                break
            except SystemUnavailable:
                assert time.monotonic() < until
        with closing(after):
            assert after.committed(0) == []
            assert after.apply(batch(1, UPDATE)).exceptions == []
    assert user.do("SELECT name FROM item") == [("c",)]


def test_who_only_has_nothing_to_write_is_not_taken_for_gone() -> None:
    assert target_module.clock_interval_s * 2 < target_module.gone_after_s
