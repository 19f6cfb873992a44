"""The PostgreSQL source as a synchronous standby: who waits for it at COMMIT, until when, and what its slot forgets."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from adapters.postgresql.kit import PostgresKit
from adapters.postgresql.setup import setup, teardown
from adapters.postgresql.source import PostgresSource
from engine.vocabulary import Progress, Transaction
from tests.crowd import within
from tests.database.armed import BOOK, US, Armed, Committer, erp, waiting_server

__all__ = ["erp", "waiting_server"]

promptly_s = 60.0
"""Who is answered within it is not answered by chance: nothing reports without any news in so short a time."""
seldom_s = 5 * promptly_s
at_once_s = 0.5


@pytest.fixture(autouse=True)
def nobody_is_answered_by_chance(erp: Armed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a source that has no news reports by itself, nor does the server ask it whether it is there."""
    monkeypatch.setattr("adapters.postgresql.source.status_interval_s", seldom_s)
    erp.run("ALTER SYSTEM SET wal_sender_timeout = 0")
    erp.run("SELECT pg_reload_conf()")
    erp.until(lambda: erp.shown("wal_sender_timeout") == "0")


def name(erp: Armed, names: str) -> None:
    """By hand, as a DBA would; until a commit was seen to wait."""
    erp.run(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    erp.run("SELECT pg_reload_conf()")
    erp.until(lambda: erp.names() == names)
    waits = not names
    while not waits:
        user = Committer(erp.url, "SELECT pg_logical_emit_message(true, 'test', '')")
        erp.until(lambda user=user: user.returned or erp.waiting())
        waits = erp.value("SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        user.wait()


def insert(key: int) -> str:
    return f"INSERT INTO item (id) SELECT {key}"


def opened(erp: Armed) -> PostgresSource:
    """A source without an engine: the test reads it, and tells it everything. Closed by the server's end."""
    source = erp.source()
    source.open(erp.confirmed())
    return source


def next_transaction(source: PostgresSource) -> Transaction:
    deadline = time.monotonic() + within(20.0)
    while time.monotonic() < deadline:
        item = source.read(0.1)
        if isinstance(item, Transaction):
            return item
    raise AssertionError("no transaction came")


def reads_on(source: PostgresSource, seconds: float = 0.2) -> None:
    """As an engine does that has nothing to say."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        source.read(0.05)


def answers(source: PostgresSource, user: Committer) -> None:
    """Reads on, as an engine does that has nothing more to say, until the user is answered."""
    deadline = time.monotonic() + promptly_s
    while not user.returned:
        assert time.monotonic() < deadline, "the commit still waits"
        source.read(0.05)


def forgets_up_to(erp: Armed, source: PostgresSource, position: int) -> None:
    """Reads on until the slot stands there, and a little longer: it goes no further."""
    erp.until(lambda: source.read(0.02) is None and erp.confirmed() == position)
    reads_on(source)
    assert erp.confirmed() == position


@pytest.mark.parametrize("level", ["remote_write", "on", "remote_apply"])
def test_a_commit_waits_for_delivery_at_every_level(erp: Armed, level: str) -> None:
    source = opened(erp)
    name(erp, US)
    user = Committer(erp.url, insert(1), level=level)
    item = next_transaction(source)

    source.acknowledge(item.position)  # durable with us is not yet with the others
    reads_on(source)
    assert not user.returned
    source.delivered(item.position - 1)  # nor is a position before its end
    reads_on(source)
    assert not user.returned

    source.delivered(item.position)
    answers(source, user)
    assert user.error is None and user.notices == []
    name(erp, "")
    source.close()


@pytest.mark.parametrize("level", ["local", "off"])
def test_a_user_may_choose_not_to_wait(erp: Armed, level: str) -> None:
    source = opened(erp)
    name(erp, US)
    Committer(erp.url, insert(1), level=level).wait(promptly_s)
    name(erp, "")
    source.close()


def test_names_are_compared_without_regard_to_case(erp: Armed) -> None:
    source = opened(erp)
    name(erp, US.upper())
    user = Committer(erp.url, insert(1))
    item = next_transaction(source)
    assert not user.returned
    source.acknowledge(item.position)
    source.delivered(item.position)
    answers(source, user)
    name(erp, "")
    source.close()


def test_the_slot_forgets_nothing_that_is_not_durable_with_us_though_it_is_delivered(erp: Armed) -> None:
    source = opened(erp)
    before = erp.confirmed()
    Committer(erp.url, insert(1)).wait()
    item = next_transaction(source)

    source.delivered(item.position)
    reads_on(source)
    assert erp.confirmed() == before

    source.acknowledge(item.position)
    forgets_up_to(erp, source, item.position)
    source.close()


def test_after_a_reconnect_the_slot_stays_where_our_store_is(erp: Armed) -> None:
    """What was read and is not durable yet, is where reading resumes: it must not be told as acknowledged."""
    for synchronous in (True, False):
        source = erp.source(synchronous=synchronous)
        source.open(erp.confirmed())
        key = int(synchronous)
        erp.run(insert(2 * key))
        erp.run(insert(2 * key + 1))
        first, second = next_transaction(source), next_transaction(source)
        source.acknowledge(first.position)
        source.delivered(first.position)
        forgets_up_to(erp, source, first.position)
        source.close()
        erp.until(lambda: not erp.value("SELECT active FROM pg_replication_slots"))

        source.open(second.position)
        forgets_up_to(erp, source, first.position)

        source.acknowledge(second.position)
        source.delivered(second.position)
        forgets_up_to(erp, source, second.position)
        source.close()
        erp.until(lambda: not erp.value("SELECT active FROM pg_replication_slots"))


def test_after_a_reconnect_who_waited_is_answered_when_it_is_delivered(erp: Armed) -> None:
    source = opened(erp)
    name(erp, US)
    user = Committer(erp.url, insert(1))
    item = next_transaction(source)
    source.acknowledge(item.position)
    reads_on(source, 0.1)
    erp.run("SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots")
    source.close()
    assert not user.returned

    source.delivered(item.position)  # told while nobody reads: not forgotten
    source.open(item.position)

    answers(source, user)
    name(erp, "")
    source.close()


def test_who_waits_is_answered_as_soon_as_a_reader_that_came_back_has_caught_up(erp: Armed) -> None:
    """A walsender that is still catching up lets nobody go by what it is told, and forgets that it was."""
    erp.run("CREATE TABLE unbound AS SELECT 0 AS i")
    source = opened(erp)
    name(erp, US)
    user = Committer(erp.url, insert(1))
    item = next_transaction(source)
    source.acknowledge(item.position)
    source.close()
    erp.until(lambda: not erp.value("SELECT active FROM pg_replication_slots"))
    erp.run("INSERT INTO unbound SELECT generate_series(1, 300000)")
    source.delivered(item.position)
    assert not user.returned

    source.open(item.position)
    answers(source, user)

    name(erp, "")
    source.close()


def test_a_source_that_is_not_synchronous_tells_of_all_alike(erp: Armed) -> None:
    source = erp.source(synchronous=False)
    source.open(erp.confirmed())
    name(erp, US)
    user = Committer(erp.url, insert(1), level="remote_apply")
    item = next_transaction(source)
    source.delivered(item.position)
    reads_on(source)
    assert not user.returned
    source.acknowledge(item.position)
    answers(source, user)
    name(erp, "")
    source.close()


@pytest.mark.alone
def test_other_databases_and_tables_wait_and_are_answered_at_once(erp: Armed) -> None:
    elsewhere = erp.server.create_database("elsewhere")
    with psycopg.connect(elsewhere, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int)")
    erp.run("CREATE TABLE unbound (id int)")
    erp.follow()
    name(erp, US)
    for address, statement in ((elsewhere, "INSERT INTO t VALUES (1)"), (erp.url, "INSERT INTO unbound VALUES (1)")):
        took = []
        for _ in range(5):
            with psycopg.connect(address, autocommit=True) as conn:
                began = time.monotonic()
                conn.execute(statement)
                took.append(time.monotonic() - began)
        assert sorted(took)[2] < at_once_s, took


def test_a_transaction_prepared_for_two_phases_waits_twice(erp: Armed) -> None:
    follower = erp.follow()
    name(erp, US)
    follower.delivers.clear()
    with psycopg.connect(erp.url, autocommit=True) as conn:
        user = Committer(erp.url, "BEGIN; INSERT INTO item VALUES (1, ''); PREPARE TRANSACTION 'one'")
        erp.until(lambda: erp.waiting() == 1)
        follower.delivers.set()
        user.wait()
        follower.delivers.clear()
        user = Committer(erp.url, "COMMIT PREPARED 'one'")
        erp.until(lambda: erp.waiting() == 1)
        follower.delivers.set()
        user.wait()
        assert conn.execute("SELECT count(*) FROM item").fetchone() == (1,)


def test_a_delivery_is_told_also_while_one_transaction_follows_the_other(erp: Armed) -> None:
    source = opened(erp)
    name(erp, US)
    user = Committer(erp.url, insert(0))
    first = next_transaction(source)
    for key in range(1, 300):  # users who do not wait
        erp.run(insert(key))
    source.acknowledge(first.position)
    source.delivered(first.position)

    told_after = 0
    while not user.returned and told_after < 250:  # each read finds the next one at once
        assert isinstance(source.read(promptly_s), Transaction | Progress)
        told_after += 1

    user.wait(promptly_s)
    name(erp, "")
    source.close()


def test_inside_withholding_nothing_new_is_told(erp: Armed) -> None:
    follower = erp.follow()
    name(erp, US)
    with follower.source.withholding():
        user = Committer(erp.url, insert(1))
        erp.until(lambda: erp.waiting() == 1)
        with follower.source.withholding():
            pass  # the end of one is not the end of the other
        time.sleep(0.2)  # long enough for many reports
        assert not user.returned
    user.wait(promptly_s)


def test_setup_makes_a_slot_though_commits_wait_for_it(erp: Armed) -> None:
    """The trap: making a slot waits for all who write, and they wait for the slot's reader."""
    erp.run("SELECT pg_drop_replication_slot(%s)", US)
    erp.run("UPDATE duolog.degraded SET until_position = '0/1', until_at = now()")
    name(erp, US)
    user = Committer(erp.url, insert(1))
    erp.until(lambda: erp.waiting() == 1)
    planned = [step.what for step in PostgresKit("erp", erp.url, insecure=True).planned(BOOK) if not step.done]

    heard: list[str] = []
    PostgresKit("erp", erp.url, insecure=True).setup(BOOK, lambda step: heard.append(step.what))

    user.wait(promptly_s)
    assert planned == heard == [
        "`synchronous_standby_names`: without us, as there is no slot yet", f"logical slot `{US}`"
    ]
    assert erp.names() == ""
    latest, first = erp.switch().history()
    assert (latest.why, latest.by, latest.since, latest.until) == ("the slot is made again", "setup", 1, None)
    assert first.why == "never armed yet"


def test_teardown_lets_go_first_and_leaves_nothing_behind(erp: Armed) -> None:
    follower, switch = erp.follow(), erp.switch()
    switch.arm(follower.source.withholding)
    follower.close()
    erp.followers.clear()
    user = Committer(erp.url, insert(1))
    erp.until(lambda: erp.waiting() == 1)

    done = PostgresKit("erp", erp.url, insecure=True).teardown(BOOK)

    user.wait(promptly_s)
    assert done == [
        f"`{US}` in `synchronous_standby_names`",
        f"logical slot `{US}`",
        f"replication origin `{US}`",
        f"publication `{US}`",
        "table `duolog.ledger`",
        "table `duolog.degraded`",
        "schema `duolog`",
    ]
    assert erp.names() == ""
    assert teardown(erp.sql, BOOK, "erp") == []
    setup(erp.sql, BOOK, "erp")


def test_who_reads_beside_us_does_not_answer_in_our_stead(erp: Armed, tmp_path: Path) -> None:
    kit = PostgresKit("erp", erp.url, insecure=True)
    shadow = kit.borrowed(BOOK, kit.identity(), spool_dir=tmp_path)
    shadow.reserve()
    shadow.open(erp.confirmed())
    try:
        assert erp.value("SELECT application_name FROM pg_stat_replication") == f"shadow:{US}"
    finally:
        shadow.let_go()
