"""Tries that a user of MariaDB waits at COMMIT for as long as `delivered` says, and for nothing else, on real servers.

Each has a server of its own, as the settings are the whole server's. Where duolog has to know how MariaDB itself
behaves, the test says so.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import pymysql
import pytest

from adapters.mariadb import positions
from adapters.mariadb.resume import read_end, read_facts
from adapters.mariadb.semisync import committed_before
from engine.errors import SystemUnavailable
from service.embedded import EmbeddedMariaDB
from tests.database.maria_erp import names
from tests.database.maria_synchronous import Reading, Waiters, until, waiters
from tests.engine_live.proxy import Proxy

CHANGE = "UPDATE item SET name = 'b' WHERE id = 1"


@pytest.fixture
def world(own_maria: EmbeddedMariaDB) -> Iterator[Waiters]:
    with waiters(own_maria) as made:
        yield made


@pytest.mark.alone
def test_who_waits_is_not_seen_and_keeps_his_locks_until_all_is_delivered(world: Waiters) -> None:
    reading = Reading(world.opened())
    world.arm()
    user = world.commit(CHANGE)
    (transaction,) = reading.transactions(1)

    assert user.waits()
    assert world.seen() == "a"
    other = world.erp.another()
    other.run("SET innodb_lock_wait_timeout = 0")
    with pytest.raises(pymysql.err.OperationalError, match="1205"):
        other.run("SELECT * FROM item WHERE id = 1 FOR UPDATE")
    reading.source.delivered(transaction.position - 1)
    assert user.waits()

    began = time.monotonic()
    reading.source.delivered(transaction.position)
    user.answered(0.5)
    assert time.monotonic() - began < 0.2
    assert world.seen() == "b"
    assert world.status("yes_tx") == "1"
    assert reading.error is None


def test_after_commit_would_show_what_is_not_delivered(world: Waiters) -> None:
    """The server's default: which is why the other is demanded."""
    reading = Reading(world.opened())
    world.arm(point="AFTER_COMMIT")
    user = world.commit(CHANGE)

    assert user.waits()
    assert world.seen() == "b"
    reading.deliver_all()
    user.answered()


def test_nobody_is_let_go_by_reading_on_behind_him(world: Waiters) -> None:
    """The server takes the place where a replica begins to read for an answer of all before it."""
    source = world.opened()
    reading = Reading(source)
    world.arm()
    user = world.commit(CHANGE)
    (transaction,) = reading.transactions(1)
    reading.stop()

    source.close()
    source.open(transaction.position)
    reading = Reading(source)
    assert user.waits()

    source.delivered(transaction.position)
    user.answered()
    assert reading.items == [] or reading.items[0].position > transaction.position


def test_nor_by_an_engine_that_knows_nothing_of_what_it_has_delivered(world: Waiters) -> None:
    first = world.opened()
    reading = Reading(first)
    world.arm()
    user = world.commit(CHANGE)
    behind = [world.commit(f"UPDATE item SET name = 'b' WHERE id = {key}") for key in (2, 3)]
    until(lambda: len(reading.items) >= 2, "the one who waits and the first behind him are in the log")
    read = reading.transactions(1)[0].position
    reading.stop()
    first.close()

    second = world.opened(reading.position())
    reading = Reading(second)
    assert user.waits()

    second.delivered(read)
    user.answered()
    assert any(each.waits() for each in behind)
    reading.deliver_all()
    until(lambda: reading.deliver_all() or all(not each.waits() for each in behind), "all are answered")
    for each in behind:
        each.answered()


def test_a_new_file_of_the_log_is_no_answer_either(world: Waiters) -> None:
    """Begun while somebody waits, its head is what the server then tells as the place where all is done."""
    first = world.opened()
    reading = Reading(first)
    world.arm()
    user = world.commit(CHANGE)
    (transaction,) = reading.transactions(1)
    flushing = [world.commit("FLUSH BINARY LOGS")]
    file, _ = positions.parts(transaction.position)
    until(lambda: positions.parts(read_end(world.erp.conn))[0] > file, "the next file is begun")
    assert read_end(world.erp.conn) > transaction.position
    assert committed_before(world.erp.conn, read_facts(world.erp.conn)) == positions.number(file, 4)
    until(lambda: reading.position() > transaction.position, "the next file is read")
    reading.stop()
    first.close()

    second = world.opened(reading.position())
    reading = Reading(second)
    assert user.waits()
    reading.deliver_all()
    second.delivered(transaction.position)
    user.answered()
    for each in flushing:
        each.answered()
    assert reading._transactions() == [], "it was read before"


@pytest.mark.alone
def test_a_reader_comes_back_while_the_server_shows_nobody_the_end_of_its_log(world: Waiters) -> None:
    """Two wait: SHOW MASTER STATUS then waits with them, and a reader that asks it would never come to answer."""
    world.arm()
    users = [world.commit(f"UPDATE item SET name = 'b' WHERE id = {key}") for key in (1, 2, 3)]
    assert all(user.waits() for user in users)
    asking = world.commit("SHOW MASTER STATUS")
    assert asking.hangs()

    began = time.monotonic()
    reading = Reading(world.opened(), at_once=True)
    for user in users:
        user.answered(5)
    assert time.monotonic() - began < 5
    asking.answered()
    reading.source.verify()


def test_the_log_is_verified_while_somebody_waits(world: Waiters) -> None:
    reading = Reading(world.opened())
    world.arm()
    users = [world.commit(f"UPDATE item SET name = 'b' WHERE id = {key}") for key in (1, 2, 3)]
    reading.transactions(1)
    assert all(user.waits() for user in users)

    reading.source.verify()
    reading.deliver_all()
    for user in users:
        user.answered()


def test_what_concerns_nobody_else_waits_until_it_is_passed(world: Waiters) -> None:
    """Other databases, and statements that are no transaction: the wait is the whole server's."""
    world.server.create_database("elsewhere")
    reading = Reading(world.opened())
    world.arm()
    user = world.commit("CREATE TABLE elsewhere.thing (id int PRIMARY KEY); INSERT INTO elsewhere.thing VALUES (1)")
    assert user.waits()

    reading.deliver_all()
    user.answered()


def test_our_own_write_passes_behind_a_user_who_waits(world: Waiters) -> None:
    reading = Reading(world.opened())
    world.arm()
    user = world.commit(CHANGE)
    (transaction,) = reading.transactions(1)
    own = world.commit(f"{world.erp.as_engine('unit')}; UPDATE item SET name = 'ours' WHERE id = 2; COMMIT")
    assert own.waits()

    reading.source.delivered(transaction.position)
    user.answered()
    ours = reading.transactions(2)[1]
    assert ours.own
    assert own.waits()
    reading.source.delivered(ours.position)
    own.answered()


@pytest.mark.parametrize("bytes_each", [1_000_000, 20_000_000], ids=["spooled", "longer-than-a-packet"])
def test_a_large_transaction_is_read_and_answered(own_maria: EmbeddedMariaDB, bytes_each: int) -> None:
    own_maria.settings |= {"max_allowed_packet": "256M"}
    with waiters(own_maria) as world:
        world.erp.run("ALTER TABLE item MODIFY name LONGTEXT")
        world.start = world.erp.position()
        reading = Reading(world.opened())
        world.arm()
        count = 40_000_000 // bytes_each
        user = world.commit(f"INSERT INTO item SELECT 10 + seq, REPEAT('x', {bytes_each}) FROM seq_1_to_{count}")
        (transaction,) = reading.transactions(1)
        assert user.waits()
        assert sum(len(chunk) for chunk in transaction.chunks()) == count

        reading.deliver_all()
        user.answered()
        next_user = world.commit("UPDATE item SET name = 'c' WHERE id = 2")
        next_user.answered()
        assert reading.error is None


def test_the_servers_own_timeout_lets_go_and_the_answer_to_the_last_arms_again(world: Waiters) -> None:
    reading = Reading(world.opened())
    world.arm(timeout_ms=300)
    first = world.commit(CHANGE)
    first.answered()
    assert world.status("status") == "OFF"
    world.patience()  # who waited now would do so for long
    world.commit("UPDATE item SET name = 'b' WHERE id = 2").answered()
    one, two = reading.transactions(2)

    reading.source.delivered(one.position)
    time.sleep(0.1)
    assert world.status("status") == "OFF"
    reading.source.delivered(two.position)
    until(lambda: world.status("status") == "ON", "armed again")
    world.arm()
    assert world.commit(CHANGE.replace("'b'", "'c'")).waits()
    reading.deliver_all()
    assert world.status("no_tx") == "2"


def test_a_reader_that_is_killed_comes_back_and_answers(world: Waiters) -> None:
    source = world.opened()
    reading = Reading(source)
    world.arm()
    user = world.commit(CHANGE)
    (transaction,) = reading.transactions(1)
    thread = world.admin.value("SELECT id FROM information_schema.processlist WHERE command = 'Binlog Dump'")
    world.admin.run(f"KILL {thread}")
    until(lambda: reading.error is not None, "the reader was told")
    assert user.waits()

    source.open(transaction.position)
    reading = Reading(source)
    assert user.waits()
    source.delivered(transaction.position)
    user.answered()


def test_a_cut_line_answers_nobody_and_the_next_one_does(world: Waiters) -> None:
    with contextlib.closing(Proxy(int(re.findall(r":(\d+)/", world.erp.url)[0]))) as line:
        source = world.opened(url=line.address(world.erp.url))
        reading = Reading(source)
        world.arm()
        user = world.commit(CHANGE)
        (transaction,) = reading.transactions(1)
        line.cut()
        until(lambda: isinstance(reading.error, SystemUnavailable), "the line is known to be cut")
        source.delivered(transaction.position)
        assert user.waits()

        source.close()
    source = world.opened(transaction.position)
    Reading(source)
    assert user.waits()
    source.delivered(transaction.position)
    user.answered()


def test_many_users_are_answered_in_order_over_files_and_cuts(world: Waiters) -> None:
    """Every commit is answered after it was read, and none before it was delivered."""
    each, users = 60, 4
    source = world.opened()
    reading = Reading(source, at_once=True)
    world.arm()

    def work(user: int) -> str:
        rows = [f"INSERT INTO item VALUES ({100 + user * each + number}, 'x')" for number in range(each)]
        return "; ".join([*rows[: each // 2], "FLUSH BINARY LOGS", *rows[each // 2 :]])

    working = [world.commit(work(user)) for user in range(users)]
    for _ in range(3):
        time.sleep(0.05)
        reading.stop()
        at, before = reading.position(), reading.items
        source.close()
        source.open(at or world.start)
        reading = Reading(source, at_once=True)
        reading.items[:0] = before
        source.delivered(at)
    for user in working:
        user.answered(20)

    until(lambda: len(reading._transactions()) >= each * users, "all were read")
    read = [name for item in reading._transactions() for name in names(item)]
    assert len(read) == each * users
    assert int(world.status("no_tx")) == 0
