"""Tries the switch of MariaDB on real servers: who waits, who is let go, and that every commit outside the recorded
ranges has waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext

import pytest

from adapters.mariadb import degraded as ranges
from adapters.mariadb import switch as switch_module
from adapters.mariadb.positions import from_text
from adapters.mariadb.switch import MariaSwitch
from adapters.relational.switch import Degraded
from engine.errors import AccessDenied, NotSetUp, SystemUnavailable
from engine.rulebook import Synchronous
from service.embedded import EmbeddedMariaDB
from tests.crowd import within
from tests.database.maria_synchronous import Reading, Waiters, until, waiters

CHANGE = "UPDATE item SET name = CONCAT(name, 'b') WHERE id = 1"
CLOSED = Synchronous(None, "release")


@pytest.fixture
def world(own_maria: EmbeddedMariaDB, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiters]:
    monkeypatch.setattr(switch_module, "armed_within_s", within(switch_module.armed_within_s))
    with waiters(own_maria) as made:
        made.erp.run(ranges.CREATE)
        made.erp.run(ranges.first("unit", made.start))
        yield made


def switch_of(world: Waiters, rule: Synchronous = CLOSED, **changed: str) -> MariaSwitch:
    return MariaSwitch("erp", changed.get("url", world.erp.url), engine=changed.get("engine", "unit"), rule=rule)


@pytest.fixture
def switch(world: Waiters) -> Iterator[MariaSwitch]:
    with closing(switch_of(world)) as made:
        yield made


def arm_in_vain(switch: MariaSwitch) -> None:
    with pytest.raises(SystemUnavailable, match="commits do not wait for the other systems"):
        switch.arm(nullcontext)


def only(found: list[Degraded]) -> Degraded:
    (one,) = found
    return one


def test_a_server_that_was_never_armed_is_degraded_from_the_beginning(world: Waiters, switch: MariaSwitch) -> None:
    seen = switch.look()

    assert (seen.armed, seen.reading, seen.readable, seen.waiting, seen.delivered) == (False, False, True, 0, 0)
    assert seen.end == world.erp.position()
    assert seen.degraded is not None
    assert (seen.degraded.since, seen.degraded.why, seen.degraded.by) == (world.start, "never armed yet", "setup")


def test_nothing_is_armed_without_a_reader(switch: MariaSwitch, world: Waiters) -> None:
    with pytest.raises(SystemUnavailable, match="our reader is not connected"):
        switch.arm(nullcontext)
    assert not switch.look().armed
    world.patience()  # who waited now would do so for long
    world.commit(CHANGE).answered()


def test_arming_ends_the_range_where_commits_begin_to_wait(world: Waiters, switch: MariaSwitch) -> None:
    reading = Reading(world.opened(), at_once=True)
    position = switch.arm(nullcontext)
    reading.at_once = False
    ended = only(switch.history())
    assert (ended.since, ended.until, ended.by) == (world.start, position, "setup")
    assert ended.until_at is not None
    assert ended.until_at >= ended.since_at

    user = world.commit(CHANGE)
    assert user.waits()
    seen = switch.look()
    assert (seen.armed, seen.reading, seen.waiting, seen.degraded) == (True, True, 1, None)
    assert seen.longest_s >= 0.2
    assert position <= seen.delivered <= seen.end
    reading.deliver_all()
    user.answered()
    assert switch.arm(nullcontext) == position
    assert switch.look().degraded is None


def test_the_timeout_is_the_rules_or_the_largest(world: Waiters, switch: MariaSwitch) -> None:
    Reading(world.opened(), at_once=True)
    switch.arm(nullcontext)
    asked = "SELECT @@GLOBAL.rpl_semi_sync_master_timeout"
    assert world.admin.value(asked) == 1_000_000_000_000
    with closing(switch_of(world, Synchronous(1.5, "release"))) as changed:
        changed.arm(nullcontext)  # it is armed, and takes on the new rule
    assert world.admin.value(asked) == 1500
    switch.release("by hand", "release")
    with closing(switch_of(world, Synchronous(2.5, "release"))) as other:
        other.arm(nullcontext)
    assert world.admin.value(asked) == 2500


@pytest.mark.alone
def test_release_frees_everybody_at_once_and_tells_the_range(world: Waiters, switch: MariaSwitch) -> None:
    reading = Reading(world.opened(), at_once=True)
    armed = switch.arm(nullcontext)
    world.commit(CHANGE).answered()
    delivered = world.erp.position()
    reading.stop()
    users = [world.commit(f"UPDATE item SET name = 'x' WHERE id = {key}") for key in (1, 2, 3)]
    assert all(user.waits() for user in users)
    assert switch.look().waiting == 3

    began = time.monotonic()
    with closing(switch_of(world)) as other:  # as another process does it
        range_ = other.release("by hand", "release")
    for user in users:
        user.answered(1)
    assert time.monotonic() - began < 1
    assert (range_.since, range_.until, range_.by, range_.stays) == (delivered, None, "release", False)
    assert range_.since > armed
    assert switch.look().armed is False
    assert switch.look().degraded == range_


def test_what_a_person_let_go_stays_so_until_it_is_allowed(world: Waiters, switch: MariaSwitch) -> None:
    Reading(world.opened(), at_once=True)
    assert not switch.allow()
    switch.release("maintenance", "release", stays=True)
    assert switch.arm(nullcontext) == 0
    assert not switch.look().armed
    assert switch.release("again", "engine").stays, "only a person takes it back"

    assert switch.allow()
    assert switch.arm(nullcontext) > 0
    assert len(switch.history()) == 1, "a range that is open is not begun again"


def test_the_servers_own_timeout_is_recorded_from_the_last_place_that_is_sure(world: Waiters) -> None:
    reading = Reading(world.opened(), at_once=True)
    with closing(switch_of(world)) as switch:
        switch.arm(nullcontext)
        world.commit(CHANGE).answered()
        sure = switch.look().delivered
        assert sure == world.erp.position()
        reading.at_once = False

        world.patience(500)  # not sooner: those before must not be let go, however long they take
        world.commit(CHANGE).answered()
        seen = switch.look()
        assert seen.degraded is not None
        assert (seen.degraded.since, seen.degraded.by) == (sure, "server")
        assert "the server's own timeout" in seen.degraded.why

        reading.deliver_all()
        until(lambda: world.status("status") == "ON", "the server waits again by itself")
        assert switch.look().degraded == seen.degraded, "but who was on his way meanwhile is not known"
        position = switch.arm(nullcontext)
        assert position > sure
        assert switch.look().degraded is None


def test_what_was_let_go_while_nobody_looked_on_is_found_by_the_next_who_looks(world: Waiters) -> None:
    reading = Reading(world.opened(), at_once=True)
    with closing(switch_of(world)) as switch:
        armed = switch.arm(nullcontext)
    reading.at_once = False
    world.patience(300)  # not sooner: what arms it must not be let go
    world.commit(CHANGE).answered()
    reading.deliver_all()
    until(lambda: world.status("status") == "ON", "all looks as before")

    with closing(switch_of(world)) as later:
        seen = later.look()
    assert seen.degraded is not None
    assert (seen.degraded.since, seen.degraded.by) == (armed, "server")


def test_nothing_is_recorded_where_all_waited_while_nobody_looked_on(world: Waiters) -> None:
    Reading(world.opened(), at_once=True)
    with closing(switch_of(world)) as switch:
        switch.arm(nullcontext)
    world.commit(CHANGE).answered()
    with closing(switch_of(world)) as later:
        assert later.look().degraded is None


def test_who_is_cancelled_is_let_go_and_that_is_recorded(world: Waiters, switch: MariaSwitch) -> None:
    reading = Reading(world.opened(), at_once=True)
    switch.arm(nullcontext)
    sure = switch.look().delivered
    reading.at_once = False
    user = world.commit(CHANGE)
    assert user.waits()
    assert switch.look().degraded is None
    world.admin.run(f"KILL QUERY {user.session._conn.thread_id()}")
    user.answered()
    reading.deliver_all()

    seen = switch.look()
    assert seen.degraded is not None
    assert (seen.degraded.since, seen.degraded.by, seen.armed) == (sure, "server", True)
    assert switch.arm(nullcontext) > sure


def test_a_new_file_of_the_log_moves_nothing_while_somebody_waits(world: Waiters, switch: MariaSwitch) -> None:
    """Its head is told as the place where all is done, though he who waits stands before it."""
    reading = Reading(world.opened(), at_once=True)
    switch.arm(nullcontext)
    sure = switch.look().delivered
    reading.at_once = False
    user = world.commit(CHANGE)
    assert user.waits()
    flushing = world.commit("FLUSH BINARY LOGS")
    until(lambda: switch.look().end >> 40 > sure >> 40, "the next file is begun")
    assert switch.look().delivered == sure

    with closing(switch_of(world)) as another:
        range_ = another.release("by hand", "release")
    user.answered()
    flushing.answered()
    (transaction,) = reading.transactions(1)
    assert range_.since < transaction.position
    assert range_.since <= sure


def test_a_server_that_was_started_again_is_degraded(world: Waiters, switch: MariaSwitch) -> None:
    source = world.opened()
    reading = Reading(source, at_once=True)
    armed = switch.arm(nullcontext)
    world.commit(CHANGE).answered()
    reading.stop()
    source.close()
    world.server.stop("immediate")
    world.server.start()
    world.admin = world.erp.another()

    with pytest.raises(SystemUnavailable):
        switch.look()
    seen = switch.look()
    assert not seen.armed
    assert seen.degraded is not None
    assert armed <= seen.degraded.since
    assert seen.degraded.by == "server"
    world.patience()  # who waited now would do so for long
    world.commit(CHANGE).answered()
    source.open(reading.position())
    Reading(source, at_once=True)
    assert switch.arm(nullcontext) > seen.degraded.since


def test_another_semi_synchronous_replica_keeps_it_from_being_armed(world: Waiters, switch: MariaSwitch) -> None:
    Reading(world.opened(), at_once=True)
    switch.arm(nullcontext)
    sure = switch.look().delivered
    stranger = world.opened(engine="another", server_id=4711)
    Reading(stranger)
    until(lambda: switch.look().degraded is not None, "the other one is not taken for one of ours for long")
    seen = switch.look()
    assert seen.degraded is not None
    assert (seen.degraded.since, seen.degraded.why) == (
        sure, "another semi-synchronous replica answers at COMMIT in our stead",
    )  # fmt: skip
    assert seen.stood_in
    with pytest.raises(SystemUnavailable, match="2 are connected, and the answer of 1 is enough"):
        switch.arm(nullcontext)


@pytest.mark.alone
def test_arming_gives_up_where_nothing_is_answered_and_nobody_waits_then(world: Waiters, switch: MariaSwitch) -> None:
    Reading(world.opened())
    began = time.monotonic()
    trying = threading.Thread(target=arm_in_vain, args=(switch,))
    trying.start()
    time.sleep(1.5)
    switch.close()
    trying.join(5)
    assert not trying.is_alive()
    assert time.monotonic() - began < 6
    world.commit(CHANGE).answered(0.5)
    seen = switch.look()
    assert (seen.armed, seen.degraded is not None) == (False, True)


def test_every_commit_outside_the_ranges_has_waited(world: Waiters) -> None:
    """Users commit without a pause while the server is armed and let go, and its timeout strikes. Each notes how long
    it was on its way, and whether what it wrote was delivered by then."""
    reading = Reading(world.opened())
    delivered: list[int] = [0]
    slow = threading.Event()
    stop = threading.Event()

    def deliver() -> None:
        done = 0
        while not stop.is_set():
            if len(reading.items) > done and not slow.is_set():
                time.sleep(0.003)
                done = len(reading.items)
                delivered[0] = reading.items[done - 1].position
                reading.source.delivered(delivered[0])
            time.sleep(0.001)

    answered: dict[int, int] = {}

    def use(user: int) -> None:
        session = world.erp.another()
        for number in range(100_000):
            if stop.is_set():
                return
            key = 1000 + user * 100_000 + number
            session.run(f"INSERT INTO item VALUES ({key}, '{user}')")
            answered[key] = delivered[0]

    threads = [threading.Thread(target=deliver), *(threading.Thread(target=use, args=(n,)) for n in range(4))]
    for thread in threads:
        thread.start()

    def more(count: int, what: str) -> None:
        enough = len(answered) + count
        until(lambda: switch.look() and len(answered) >= enough, what)

    with closing(switch_of(world, Synchronous(60, "release"))) as switch:
        for turn in range(6):
            switch.arm(nullcontext)
            for _ in range(8):
                time.sleep(0.05)
                switch.look()
            more(50, "users who waited")
            if turn % 2:
                world.patience(400)
                more(5, "whoever waited before that, one of each user's at most")
                slow.set()
                until(lambda: switch.look().degraded is not None, "the server's timeout was seen")
                slow.clear()
            else:
                switch.release("in turn", "release")
            time.sleep(0.1)
            more(40, "users who did not wait")
        stop.set()
        for thread in threads:
            thread.join(within(20))
            assert not thread.is_alive()
        history = switch.history()
    world.disarm()
    until(lambda: len([1 for _ in reading._transactions()]) >= len(answered), "all were read")

    assert len(history) == 7
    assert history[-1].by == "setup" and {each.by for each in history[:6:2]} == {"server"}
    assert "release" in {each.by for each in history}
    assert len(answered) > 500
    unwaited = waited = 0
    for item in reading._transactions():
        for chunk in item.chunks():
            for _, _, new, _ in chunk:
                key = int(str(new[0])) if new is not None else 0
                if key < 1000 or key not in answered:
                    continue
                inside = any(r.since < item.position and (r.until is None or item.position <= r.until) for r in history)
                if inside:
                    unwaited += 1
                else:
                    waited += 1
                    assert answered[key] >= item.position, (key, item.position, history)
    assert waited > 50
    assert unwaited > 50


def test_the_right_and_the_table_are_named_where_they_are_missing(world: Waiters, switch: MariaSwitch) -> None:
    world.admin.run("CREATE USER poor; GRANT SELECT, INSERT, UPDATE ON duolog.degraded TO poor")
    poor = world.erp.url.replace("root@", "poor@").rpartition("/")[0] + "/duolog"
    with closing(switch_of(world, url=poor)) as other:
        assert other.look().degraded is not None
        with pytest.raises(AccessDenied, match="REPLICATION MASTER ADMIN"):
            other.release("tried", "release")

    world.admin.run("DROP TABLE duolog.degraded; SET GLOBAL rpl_semi_sync_master_enabled = ON")
    with pytest.raises(NotSetUp, match=r"there is no table `duolog.degraded`"):
        switch.release("by hand", "release")
    assert world.admin.value("SELECT @@GLOBAL.rpl_semi_sync_master_enabled") == 0


def test_a_position_is_kept_as_people_read_it(world: Waiters) -> None:
    assert from_text(str(world.admin.value("SELECT since_position FROM duolog.degraded"))) == world.start
