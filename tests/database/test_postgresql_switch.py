"""The switch of a PostgreSQL server: arming that is proven, letting go that is recorded, and who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from adapters.postgresql.kit import PostgresKit
from adapters.postgresql.switch import PostgresSwitch
from engine.errors import AccessDenied, NotSetUp, SystemStopped, SystemUnavailable
from service.embedded import EmbeddedServer
from tests.database.armed import BOOK, US, Armed, Committer, armed_server, erp, waiting_server
from tests.lab.standby import Standby

__all__ = ["erp", "waiting_server"]


def insert(key: int) -> str:
    return f"INSERT INTO item (id) SELECT {key}"


def armed(erp: Armed) -> PostgresSwitch:
    switch = erp.switch()
    switch.arm(erp.follow().source.withholding)
    return switch


def waiting(erp: Armed, count: int, *, level: str = "on") -> list[Committer]:
    """So many users who wait, as nothing is delivered any more."""
    erp.followers[-1].delivers.clear()
    users = [Committer(erp.url, insert(1000 + key), level=level) for key in range(count)]
    erp.until(lambda: erp.waiting() >= count)
    return users


@contextmanager
def other(erp: Armed, name: str) -> Iterator[Standby]:
    """Another standby, that answers at once."""
    erp.run("CREATE PUBLICATION nothing")
    slot = f"other_{name}"
    erp.run("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", slot)
    with Standby(erp.url, name) as standby:
        standby.answers = True
        standby.start(slot, "nothing")
        yield standby
    erp.until(lambda: not erp.value("SELECT active FROM pg_replication_slots WHERE slot_name = %s", slot))


def set_names(erp: Armed, names: str) -> None:
    erp.run("ALTER SYSTEM RESET synchronous_standby_names" if not names else
            f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    erp.run("SELECT pg_reload_conf()")
    erp.until(lambda: erp.names() == names)


# Arming and letting go


def test_armed_a_commit_returns_when_it_is_delivered_and_not_before(erp: Armed) -> None:
    follower, switch = erp.follow(), erp.switch()
    before = switch.look()
    assert (before.armed, before.reading, before.readable, before.waiting) == (False, True, True, 0)
    assert before.degraded is not None and (before.degraded.why, before.degraded.by) == ("never armed yet", "setup")

    until = switch.arm(follower.source.withholding)

    after = switch.look()
    assert (after.armed, after.reading, after.degraded, after.stood_in) == (True, True, None, False)
    assert switch.history()[0].until == until
    assert switch.arm(follower.source.withholding) == until  # nothing is left to do
    users = waiting(erp, 1) + [Committer(erp.url, insert(key), level=f"remote_{word}")
                               for key, word in enumerate(("write", "apply"))]
    erp.until(lambda: switch.look().waiting == 3)
    assert not any(user.returned for user in users)
    follower.delivers.set()
    for user in users:
        user.wait()
    erp.until(lambda: switch.look().waiting == 0)
    assert switch.look().delivered >= until


def test_released_all_who_wait_are_answered_and_the_range_is_recorded(erp: Armed) -> None:
    switch = armed(erp)
    until = switch.history()[0].until
    assert until is not None
    users = waiting(erp, 3)

    found = erp.switch().release("tried", "watchdog")  # as another process does

    for user in users:
        user.wait()
        assert user.error is None and user.notices == []  # a plain OK
    assert erp.names() == ""
    assert erp.value("SELECT source FROM pg_settings WHERE name = 'synchronous_standby_names'") == "default"
    assert until <= found.since <= erp.followers[0].read
    assert (found.until, found.why, found.by, found.stays) == (None, "tried", "watchdog", False)
    assert switch.look().degraded == found
    again = switch.release("something else", "engine", stays=True)
    assert (again.since, again.why, again.by, again.stays) == (found.since, "tried", "watchdog", True)


def test_what_a_person_wants_off_stays_off_until_it_is_allowed(erp: Armed) -> None:
    switch = armed(erp)
    switch.release("maintenance", "release", stays=True)

    assert switch.arm(erp.followers[0].source.withholding) == 0
    assert not switch.look().armed
    assert switch.allow() and not switch.allow()
    assert switch.arm(erp.followers[0].source.withholding) > 0
    assert switch.look().armed


@pytest.mark.alone
def test_every_method_answers_while_commits_wait(erp: Armed) -> None:
    switch = armed(erp)
    users = waiting(erp, 5)
    elsewhere = erp.switch()
    began = time.monotonic()

    state = elsewhere.look()
    assert elsewhere.history() and not elsewhere.allow()
    assert elsewhere.arm(erp.followers[0].source.withholding) == switch.history()[0].until
    elsewhere.release("tried", "release")

    assert state.waiting == 5 and time.monotonic() - began < 3.0
    for user in users:
        user.wait(2.0)


@pytest.mark.alone
def test_how_long_the_first_one_waits_is_told(erp: Armed) -> None:
    switch = armed(erp)
    waiting(erp, 1)
    assert switch.look().longest_s == 0.0
    began = time.monotonic()
    erp.until(lambda: switch.look().longest_s > 0.3)
    assert 0.3 <= time.monotonic() - began < 1.0
    erp.followers[0].delivers.set()
    erp.until(lambda: switch.look().waiting == 0)
    assert switch.look().longest_s == 0.0


def test_it_is_not_armed_while_nobody_reads_nor_without_a_slot(erp: Armed) -> None:
    switch = erp.switch()
    with pytest.raises(SystemUnavailable, match="our reader does not stream"):
        switch.arm(erp.source().withholding)
    erp.run("SELECT pg_drop_replication_slot(%s)", US)
    assert not switch.look().readable
    with pytest.raises(SystemUnavailable, match=f"the slot `{US}` is gone, or has lost its log"):
        switch.arm(erp.source().withholding)
    assert erp.names() == "" and switch.history()[0].until is None


def test_a_slot_dropped_while_armed_is_seen_and_the_range_begins_before(erp: Armed) -> None:
    switch = armed(erp)
    sure = switch.look().delivered
    erp.followers.pop().close()
    user = Committer(erp.url, insert(1))
    erp.until(lambda: erp.waiting() == 1)
    erp.run("SELECT pg_drop_replication_slot(%s)", US)

    state = switch.look()
    assert (state.armed, state.reading, state.readable, state.waiting) == (True, False, False, 1)
    found = switch.release("the slot is gone", "watchdog")
    user.wait()
    until = switch.history()[1].until
    assert until is not None and until <= found.since <= sure


def test_arming_is_given_up_when_nothing_makes_commits_wait(own_server: EmbeddedServer) -> None:
    own_server.settings["synchronous_standby_names"] = ""  # on the command line, which goes before
    with armed_server(own_server) as erp:
        follower = erp.follow()
        with pytest.raises(SystemUnavailable, match="it is set on the server's command line, which goes before"):
            erp.switch().arm(follower.source.withholding)
        assert erp.switch().look().degraded is not None
        codes = {f.code for f in PostgresKit("erp", erp.url, insecure=True).findings(BOOK)[0]}
        assert "P117" in codes


def test_arming_can_be_given_up_by_another_thread_and_is_undone(erp: Armed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.postgresql.switch.armed_within_s", 120.0)  # not given up by itself
    switch = erp.switch()
    source = erp.source()  # nobody reads from it: nothing is ever confirmed, so the server does not count it
    source.open(erp.confirmed())
    found: list[SystemUnavailable] = []

    def arm() -> None:
        try:
            switch.arm(source.withholding)
        except SystemUnavailable as error:
            found.append(error)

    thread = threading.Thread(target=arm)
    thread.start()
    erp.until(lambda: erp.names() == US)
    began = time.monotonic()
    switch.close()
    thread.join()

    assert time.monotonic() - began < 30.0
    assert "duolog is being stopped" in found[0].found
    assert erp.names() == ""
    assert switch.look().degraded is not None  # and it can be used again
    source.close()


def test_who_lets_go_in_the_midst_of_an_arming_wins(erp: Armed) -> None:
    follower, switch, elsewhere = erp.follow(), erp.switch(), erp.switch()

    @contextmanager
    def interrupted() -> Iterator[None]:
        with follower.source.withholding():
            yield
        elsewhere.release("tried", "watchdog")  # a commit was seen to wait; the range is not ended yet

    with pytest.raises(SystemUnavailable, match="somebody let go meanwhile"):
        switch.arm(interrupted)

    assert erp.names() == ""
    assert switch.look().degraded == switch.history()[0] and len(switch.history()) == 1


def test_setting_it_by_hand_is_recorded(erp: Armed) -> None:
    switch = armed(erp)
    sure = switch.look().delivered
    set_names(erp, "")
    Committer(erp.url, insert(1)).wait()
    erp.until(lambda: erp.followers[0].read >= erp.end())

    found = switch.look().degraded

    assert found is not None and found.by == "server" and found.since <= sure
    assert found.why == "`synchronous_standby_names` was changed by hand"
    assert switch.arm(erp.followers[0].source.withholding) > found.since


def test_without_its_table_it_lets_go_all_the_same(erp: Armed) -> None:
    switch = armed(erp)
    users = waiting(erp, 1)
    erp.run("DROP TABLE duolog.degraded")
    with pytest.raises(NotSetUp, match=r"there is no table `duolog\.degraded`"):
        switch.release("tried", "release")
    users[0].wait()


def test_a_server_that_was_restarted_is_looked_at_again(own_server: EmbeddedServer) -> None:
    with armed_server(own_server) as erp:
        switch = armed(erp)
        own_server.stop("immediate")
        with pytest.raises(SystemUnavailable):
            switch.look()
        own_server.start()
        erp.until(lambda: _answers(switch))
        state = switch.look()
        assert (state.armed, state.reading, state.degraded) == (True, False, None)
        user = Committer(erp.url, insert(1))
        erp.until(lambda: switch.look().waiting == 1)
        switch.release("tried", "watchdog")
        user.wait()
        erp.sql = psycopg.connect(erp.url, autocommit=True)


def _answers(switch: PostgresSwitch) -> bool:
    try:
        switch.look()
    except SystemUnavailable:
        return False
    return True


# Beside other standbys


@pytest.mark.parametrize("names", ["s1", 'ANY 1 (S1, "s 2")', "FIRST 1 (s1,s2)"])
def test_others_stay_named_and_come_back_as_they_were(erp: Armed, names: str) -> None:
    with other(erp, "s1"):
        set_names(erp, names)
        switch = armed(erp)
        state = switch.look()
        assert erp.names().startswith(f"FIRST 2 ({US}, ")
        assert state.armed and state.stood_in == (names != "s1")

        users = waiting(erp, 1)
        erp.until(lambda: switch.look().waiting == 1)
        switch.release("tried", "release")
        users[0].wait()
        assert erp.names() == names
        erp.followers[0].delivers.set()
        set_names(erp, "")


def test_a_list_that_a_dba_changed_meanwhile_is_only_left_by_us(erp: Armed) -> None:
    with other(erp, "s1"):
        set_names(erp, "ANY 1 (s1)")
        switch = armed(erp)
        set_names(erp, f"FIRST 2 ({US}, s1, s2, s3)")
        switch.release("tried", "release")
        assert erp.names() == "s1, s2, s3"
        set_names(erp, "")


def test_who_waits_for_another_standby_does_not_wait_for_us(erp: Armed) -> None:
    with other(erp, "s1") as standby:
        set_names(erp, "s1")
        switch = armed(erp)
        standby.answers = False  # from here on that one confirms nothing more
        user = Committer(erp.url, insert(1))
        erp.until(lambda: erp.waiting() == 1)
        erp.until(lambda: switch.look().waiting == 0)
        assert not user.returned
        erp.followers[0].delivers.clear()
        second = Committer(erp.url, insert(2))
        erp.until(lambda: erp.waiting() == 2)
        assert switch.look().waiting == 1
        erp.followers[0].delivers.set()
        set_names(erp, "")
        user.wait()
        second.wait()


def test_a_reader_that_was_cut_is_told_where_others_answered_meanwhile(erp: Armed) -> None:
    with other(erp, "s1"), other_too(erp, "s2"):
        set_names(erp, "FIRST 1 (s1, s2)")
        switch = armed(erp)
        sure = switch.look()
        assert sure.stood_in and sure.reading
        erp.followers.pop().close()
        Committer(erp.url, insert(1)).wait()  # the others answered
        follower = erp.follow()  # and back before anybody looked
        erp.until(lambda: follower.read >= erp.end())

        for looking in (switch, erp.switch()):  # also one that has not seen anything of it
            assert not looking.look().reading
        found = switch.release("our reader was away", "engine")

        assert found.since <= sure.delivered
        assert switch.arm(follower.source.withholding) > found.since
        assert switch.look().reading
        set_names(erp, "")


@contextmanager
def other_too(erp: Armed, name: str) -> Iterator[Standby]:
    erp.run("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", f"other_{name}")
    with Standby(erp.url, name) as standby:
        standby.answers = True
        standby.start(f"other_{name}", "nothing")
        yield standby


def test_it_is_not_armed_where_anybody_could_answer_in_our_stead(erp: Armed) -> None:
    follower = erp.follow()
    set_names(erp, "*")
    with pytest.raises(SystemStopped, match="whoever connects could stand in for us"):
        erp.switch().arm(follower.source.withholding)
    assert erp.names() == "*"


# Rights


def test_the_printed_rights_are_enough_and_each_that_is_missing_is_named(erp: Armed) -> None:
    kit = PostgresKit("erp", erp.url, insecure=True)
    role = "clerk"
    erp.run(f"CREATE ROLE {role} LOGIN")
    clerk = erp.url.replace("postgres@", f"{role}@")
    granted = kit.grants(BOOK, role)
    waits = [g for g in granted if "standby_names" in g or "reload" in g or "read_all_stats" in g or "degraded" in g]
    assert len(waits) == (4 if erp.sql.info.server_version >= 150_000 else 2)
    try:
        for grant in granted:
            if grant not in waits:
                erp.run(grant)
        codes = {f.code for f in PostgresKit("erp", clerk, insecure=True).findings(BOOK)[0]}
        assert {"P124", "P125", "P126", "P128"} <= codes
        erp.follow(url=clerk)
        missing = dict(zip(("degraded", "read_all_stats", "PARAMETER", "reload"), range(4), strict=True))
        for word in missing:
            with pytest.raises(AccessDenied) as denied:
                erp.switch(clerk).arm(erp.followers[0].source.withholding)
            assert role in denied.value.mend or word == "degraded"
            erp.run(next(g for g in waits if word in g))
        switch = erp.switch(clerk)
        assert switch.arm(erp.followers[0].source.withholding) > 0
        users = waiting(erp, 2)
        erp.until(lambda: switch.look().waiting == 2)
        switch.release("tried", "release")
        for user in users:
            user.wait()
        left = {f.code for f in PostgresKit("erp", clerk, insecure=True).findings(BOOK)[0]}
        assert not left & {"P124", "P125", "P126", "P127", "P128"}
    finally:
        for reading in erp.followers:
            reading.close()
        for used in erp.switches:
            used.close()
        erp.run(f"DROP OWNED BY {role}")
        erp.run(f"REVOKE ALL ON PARAMETER synchronous_standby_names FROM {role}")
        erp.run(f"REVOKE ALL ON FUNCTION pg_catalog.pg_reload_conf() FROM {role}")
        erp.run(f"DROP ROLE {role}")


def test_users_who_do_not_wait_are_told(erp: Armed) -> None:
    database = str(erp.value("SELECT current_database()"))
    erp.run(f"ALTER DATABASE {database} SET synchronous_commit = 'false'")
    erp.run("ALTER SYSTEM SET synchronous_commit = 'off'")
    erp.run("SELECT pg_reload_conf()")
    told: Callable[[], list[str]] = lambda: [  # noqa: E731 - it is asked until the server has followed
        f.found for f in PostgresKit("erp", erp.url, insecure=True).findings(BOOK)[0] if f.code == "P115"
    ]
    assert f"the database `{database}`" in told()[0]
    erp.run(f"ALTER DATABASE {database} RESET synchronous_commit")
    erp.until(lambda: told() and "the whole server" in told()[0])
