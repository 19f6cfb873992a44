"""What a PostgreSQL counts as a standby's confirmation: measured with a bare client, line by line.

Each test's docstring is the line that it recreates."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

from service.embedded import EmbeddedServer
from tests.lab.clients import Client, Observer
from tests.lab.conftest import Side
from tests.lab.standby import Standby, until

CHANGE = "UPDATE item SET value = 'changed' WHERE id = {}"
BACKLOG_BYTES = 64_000_000


def end_of_log(dba: Observer) -> int:
    """Where the log ends now."""
    return int(dba.ask("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))


def test_the_name_is_compared_without_regard_to_case(erp: Side) -> None:
    """The `application_name` counts, case-insensitively: `LAB` in the setting is our `lab`."""
    with erp.standby("lab") as standby:
        erp.dba.arm('"LAB"')
        client = Client(erp.url).sends(CHANGE.format(1))
        erp.dba.hangs(client)

        standby.confirm(end_of_log(erp.dba))

        client.is_told_ok()
        assert erp.dba.standby("lab")["sync"] == "sync"


def test_without_a_flushed_position_it_does_not_count(erp: Side) -> None:
    """A standby that has reported nothing flushed yet is no standby at all: the server calls it `async`, and its
    written and applied positions release nobody."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        written = Client(erp.url, "synchronous_commit = remote_write").sends(CHANGE.format(1))
        applied = Client(erp.url, "synchronous_commit = remote_apply").sends(CHANGE.format(2))
        erp.dba.hangs(written, applied)
        end = end_of_log(erp.dba)
        standby.confirm(write=end, apply=end)
        until(lambda: erp.dba.standby("lab")["apply"] == end)

        assert erp.dba.standby("lab")["sync"] == "async"
        assert erp.dba.waits(written) and erp.dba.waits(applied)

        standby.confirm(write=end, apply=end, flush=standby.commits[0].start)
        written.is_told_ok()
        applied.is_told_ok()


def test_another_name_confirms_nothing(erp: Side) -> None:
    """Who is not named is not waited for, whatever it confirms."""
    with erp.standby("other") as standby:
        erp.dba.arm("lab")
        client = Client(erp.url).sends(CHANGE.format(1))
        erp.dba.hangs(client)

        standby.confirm(end_of_log(erp.dba))
        until(lambda: erp.dba.standby("other")["apply"] >= end_of_log(erp.dba))

        assert erp.dba.standby("other")["sync"] == "async"
        assert erp.dba.waits(client)


def test_it_counts_only_while_it_is_streaming(erp: Side) -> None:
    """A standby that is catching up confirms nothing, whatever it reports; the next report after it has caught up
    counts."""
    erp.dba.ask("CREATE TABLE bulk (words text)")
    erp.dba.ask("INSERT INTO bulk SELECT repeat('x', 1000) FROM generate_series(1, %s)", BACKLOG_BYTES // 1000)
    with erp.standby() as standby:
        standby.reads = False
        until(lambda: erp.dba.standby("lab")["state"] == "catchup")
        erp.dba.arm("lab")
        client = Client(erp.url).sends(CHANGE.format(1))
        erp.dba.hangs(client)
        end = end_of_log(erp.dba)
        standby.confirm(end)
        until(lambda: erp.dba.standby("lab")["apply"] == end)

        assert erp.dba.standby("lab")["state"] == "catchup"
        assert erp.dba.waits(client)

        standby.reads = True
        standby.confirm(end)  # wakes the thread, so that it reads on
        until(lambda: erp.dba.standby("lab")["state"] == "streaming", 30)
        standby.confirm(end)
        client.is_told_ok()


def test_only_the_end_of_a_commit_releases_it(erp: Side) -> None:
    """What is reported must be at least the *end* of the commit: its beginning leaves it waiting."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        client = Client(erp.url).sends(CHANGE.format(1))
        erp.dba.hangs(client)
        until(lambda: standby.commits)
        commit = standby.commits[-1]

        standby.confirm(commit.start)
        until(lambda: erp.dba.standby("lab")["apply"] == commit.start)
        assert erp.dba.waits(client)

        standby.confirm(commit.end)
        client.is_told_ok()


def test_each_level_of_synchronous_commit_waits_for_its_own_part(erp: Side) -> None:
    """`remote_write` waits for write, `on` for flush, `remote_apply` for apply; `local` and `off` for nobody; by
    transaction with SET LOCAL. What is called flushed advances the slot, whatever is applied."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        for level in ("local", "off"):
            Client(erp.url).sends(
                f"BEGIN; SET LOCAL synchronous_commit = {level}; {CHANGE.format(4)}; COMMIT"
            ).is_told_ok()
        levels = ("remote_write", "on", "remote_apply")
        clients = [
            Client(erp.url).sends(f"BEGIN; SET LOCAL synchronous_commit = {level}; {CHANGE.format(i)}; COMMIT")
            for i, level in enumerate(levels, 1)
        ]
        erp.dba.hangs(*clients)
        end, early = end_of_log(erp.dba), standby.commits[0].start

        standby.confirm(write=end, flush=early)
        clients[0].is_told_ok()
        assert [erp.dba.waits(c) for c in clients] == [False, True, True]
        assert _slot(erp) == early

        standby.confirm(write=end, flush=end)
        clients[1].is_told_ok()
        assert [erp.dba.waits(c) for c in clients] == [False, False, True]
        assert _slot(erp) == end

        standby.confirm(end)
        clients[2].is_told_ok()


def test_every_commit_of_the_server_waits(erp: Side) -> None:
    """The wait is the whole server's: other databases, tables that nobody publishes, and PREPARE TRANSACTION wait too.
    None of them is sent to the standby, which only hears of them in a keepalive."""
    with erp.standby() as standby:
        erp.dba.ask("CREATE TABLE private (id integer)")
        erp.dba.ask("DROP PUBLICATION everything")
        erp.dba.ask("CREATE PUBLICATION everything FOR TABLE item")
        erp.dba.arm("lab")
        clients = (
            Client(erp.server.url(), "synchronous_commit = on").sends("CREATE TABLE elsewhere (id integer)"),
            Client(erp.url).sends("INSERT INTO private VALUES (1)"),
            Client(erp.url).sends(f"BEGIN; {CHANGE.format(7)}; PREPARE TRANSACTION 'seven'"),
        )
        try:
            erp.dba.hangs(*clients)
            end = end_of_log(erp.dba)
            until(lambda: standby.told >= end)

            standby.confirm(standby.told)

            for client in clients:
                client.is_told_ok()
        finally:
            erp.dba.disarm()
            clients[2].is_answered()
            erp.dba.ask("ROLLBACK PREPARED 'seven'")
            clients[0].sends("DROP TABLE elsewhere").is_told_ok()


@pytest.mark.alone
def test_answered_keepalives_make_it_short(erp: Side) -> None:
    """A standby that answers each keepalive at once releases what it is not sent within milliseconds. The server says
    it once: one that answers only when asked for a reply makes them wait until its own timer comes round."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        standby.answers = True
        client = Client(erp.server.url(), "synchronous_commit = on")
        took = []
        for _ in range(9):
            client.sends("SELECT pg_logical_emit_message(true, 'lab', '')").is_told_ok()
            took.append(client.took_s)

        assert standby.keepalives >= 9
        assert sorted(took)[4] < 0.1


def test_a_reading_transaction_waits_for_nobody(erp: Side) -> None:
    """Who has written nothing does not wait."""
    with erp.standby():
        erp.dba.arm("lab")

        Client(erp.url).sends("BEGIN; SELECT count(*) FROM item; COMMIT").is_told_ok()


def test_a_setting_that_names_us_before_the_slot_exists_hangs_both(erp: Side) -> None:
    """The bootstrap trap: a commit waits for a standby that is not there, and the creation of the slot that it would
    read waits for that commit. Nobody sees it. Emptying the setting frees both."""
    erp.dba.arm("newcomer")
    client = Client(erp.url).sends(CHANGE.format(1))
    erp.dba.hangs(client)
    creator = Client(erp.url, "synchronous_commit = local")
    creator.sends("SELECT pg_create_logical_replication_slot('newcomer', 'pgoutput')")
    until(lambda: client.pid in erp.dba.blocked_by(creator.pid))
    time.sleep(1.0)  # ten times deadlock_timeout: nobody is chosen as a victim
    assert erp.dba.waits(client)
    assert not creator.answered

    erp.dba.disarm()

    client.is_told_ok()
    creator.is_told_ok()
    erp.dba.ask("SELECT pg_drop_replication_slot('newcomer')")


def test_our_own_writes_wait_for_us_unless_they_are_local(erp: Side) -> None:
    """An apply session waits for its own reader too, its origin notwithstanding; with `synchronous_commit = local` it
    does not."""
    origin = "SELECT pg_replication_origin_session_setup('lab')"
    erp.dba.ask("SELECT pg_replication_origin_create('lab')")
    try:
        with erp.standby():
            erp.dba.arm("lab")
            ordinary = Client(erp.url).sends(origin, CHANGE.format(1))
            erp.dba.hangs(ordinary)
            ordinary_pid = ordinary.pid
            erp.dba.ask("SELECT pg_cancel_backend(%s)", ordinary_pid)
            ordinary.is_answered()
            ordinary.close()
            until(lambda: not erp.dba.ask("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", ordinary_pid))

            local = Client(erp.url, "synchronous_commit = local").sends(origin, CHANGE.format(2))
            local.is_told_ok()
            local.close()
            until(lambda: not erp.dba.ask("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", local.pid))
    finally:
        erp.dba.ask("SELECT pg_replication_origin_drop('lab')")


def test_locked_catalogs_and_decoding_wait_for_each_other(erp: Side) -> None:
    """A transaction that locked a catalog waits at COMMIT for a reader that needs this catalog to decode it. Emptying
    the setting frees both."""
    with erp.standby() as standby:
        erp.dba.arm("lab")
        before = len(standby.commits)
        client = Client(erp.url).sends(f"BEGIN; LOCK pg_publication_rel, pg_publication; {CHANGE.format(1)}; COMMIT")
        erp.dba.hangs(client)
        walsender = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event_type = 'Lock'"
        until(lambda: erp.dba.ask(walsender))
        assert client.pid in erp.dba.blocked_by(erp.dba.ask(walsender))
        time.sleep(1.0)  # ten times deadlock_timeout
        assert erp.dba.waits(client)
        assert len(standby.commits) == before

        erp.dba.disarm()

        client.is_told_ok()
        until(lambda: len(standby.commits) > before)


def test_others_stand_in_where_more_are_named_than_waited_for(erp: Side) -> None:
    """With more names than are waited for, another standby's confirmation releases a commit that the first has not
    confirmed, as soon as the first is away; with `FIRST 2` of the two it does not."""
    erp.dba.ask("SELECT pg_create_logical_replication_slot('other', 'pgoutput')")
    with erp.standby("other", "other") as other:
        with erp.standby() as standby:
            erp.dba.arm("FIRST 1 (lab, other)")
            standby.confirm(1)  # it counts from now on
            until(lambda: erp.dba.standby("lab")["sync"] == "sync")
            client = Client(erp.url).sends(CHANGE.format(1))
            erp.dba.hangs(client)
            end = _confirms_all(erp, other)
            assert erp.dba.standby("other") == {"state": "streaming", "sync": "potential"} | _all(end)
            assert erp.dba.waits(client)
        until(lambda: erp.dba.standby("lab")["state"] == "absent")
        other.confirm(end)
        client.is_told_ok()

        erp.dba.arm("FIRST 2 (lab, other)")
        client.sends(CHANGE.format(2))
        erp.dba.hangs(client)
        _confirms_all(erp, other)
        assert erp.dba.waits(client)


def test_one_report_beyond_the_end_gives_the_promise_away(own_server: EmbeddedServer) -> None:
    """A report beyond the end of the log releases everything that is written up to there, for all users, whoever reads
    and whatever is set afterwards: the server keeps the highest position until it is restarted."""
    own_server.start()
    with closing(Observer(own_server)) as dba:
        dba.ask("CREATE PUBLICATION everything")
        dba.ask("SELECT pg_create_logical_replication_slot('lab', 'pgoutput')")
        with Standby(own_server.url(), "lab").start("lab", "everything") as standby:
            dba.arm("lab")
            beyond = end_of_log(dba) + 1_000_000_000
            standby.confirm(beyond)
            until(lambda: dba.standby("lab")["apply"] == beyond)
        dba.disarm()
        dba.ask("ALTER SYSTEM SET synchronous_standby_names = 'nobody, noone'")
        dba.ask("SELECT pg_reload_conf()")
        user = Client(own_server.url())
        until(lambda: user.connection.execute("SHOW synchronous_standby_names").fetchone() == ("nobody, noone",))

        for _ in range(20):
            user.sends("SELECT pg_logical_emit_message(true, 'lab', '')").is_told_ok()
    own_server.restart("immediate")
    with closing(Observer(own_server)) as dba:
        hanging = Client(own_server.url()).sends("SELECT pg_logical_emit_message(true, 'lab', '')")
        dba.hangs(hanging)
        dba.disarm()
        hanging.is_told_ok()


def _confirms_all(side: Side, standby: Standby) -> int:
    """A standby confirms all there is; the server has heard it, and how far that was."""
    end = end_of_log(side.dba)
    standby.confirm(end)
    until(lambda: side.dba.standby(standby.name)["apply"] == end)
    return end


def _all(position: int) -> dict[str, int]:
    return {"write": position, "flush": position, "apply": position}


def _slot(side: Side) -> int:
    """What the slot need not send any more."""
    return int(side.dba.ask("SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots"))
