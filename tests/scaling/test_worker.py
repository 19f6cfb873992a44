"""Workers share the work: one has all of it, a second gets half; both keep what one engine keeps.

Then a worker is killed, or frozen and thawed, in the midst of the work. What every user wrote is everywhere in the end,
nothing was written twice, and who was frozen wrote nothing any more after another had taken over.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.engine_live import auditor
from tests.engine_live.world import Live, eventually
from tests.scaling.crew import Crew

TAKEN_OVER_S = 60.0
AT_ONCE_S = 7.0


def named(word: str, address: str) -> str:
    """What a crew is called: all processes of a run share the broker, and number databases of their own."""
    return f"{word}{os.getpid()}{Path(address).name}"


@pytest.fixture
def crew(erp_db: str, crm_db: str, third_db: str, real_kafka: str, tmp_path: Path) -> Crew:
    """Databases with things in them, set up, and nobody at work."""
    return Crew(tmp_path, named("crew", erp_db), {"erp": erp_db, "crm": crm_db}, real_kafka, third_db)


def test_one_worker_does_all_and_a_second_takes_a_share(crew: Crew) -> None:
    first = crew.worker()
    crew.shared_by(first)
    users = crew.users()
    for each in users:
        each.start()
    second = crew.worker()
    crew.shared_by(first, second)
    for each in users:
        each.stop()

    crew.equal()
    assert crew.judged() == []
    assert first.stop() == 0
    crew.shared_by(second)
    assert second.stop() == 0


@pytest.mark.alone
def test_the_share_of_a_worker_that_is_stopped_is_taken_over_at_once(
    erp_db: str, crm_db: str, third_db: str, real_kafka: str, tmp_path: Path
) -> None:
    """It leaves the group: nobody waits for its session to time out, which is 8 s or more from then."""
    addresses = {"erp": erp_db, "crm": crm_db}
    crew = Crew(tmp_path, named("left", erp_db), addresses, real_kafka, third_db, partitions=2, things=20)
    first, second = _two(crew)
    assert first.stop() == 0
    crew.shared_by(second, within_s=AT_ONCE_S)
    assert second.stop() == 0


def test_a_killed_workers_share_goes_to_the_others_on_mariadb_too(
    erp_db: str, crm_maria: str, third_db: str, real_kafka: str, tmp_path: Path
) -> None:
    crew = Crew(tmp_path, named("mixed", erp_db), {"erp": erp_db, "crm": crm_maria}, real_kafka, third_db, partitions=2)
    _killed(crew)


def test_a_killed_workers_share_goes_to_the_others(crew: Crew) -> None:
    _killed(crew)


def _killed(crew: Crew) -> None:
    first, second = _two(crew)
    users = crew.users()
    for each in users:
        each.start()
    _at_work(crew)
    first.kill9()
    crew.shared_by(second, within_s=TAKEN_OVER_S)
    for each in users:
        each.stop()

    crew.equal()
    assert crew.judged() == []


@pytest.mark.parametrize("rounds", [2])
def test_a_frozen_worker_that_comes_back_writes_nothing_any_more(crew: Crew, rounds: int) -> None:
    first, second = _two(crew)
    users = crew.users()
    for each in users:
        each.start()
    for frozen, other in [(first, second), (second, first)][:rounds]:
        _at_work(crew)
        before = crew.epochs(frozen)
        assert before, "it has something to lose"
        frozen.signal(signal.SIGSTOP)
        crew.shared_by(other, within_s=TAKEN_OVER_S)
        frozen.signal(signal.SIGCONT)
        eventually(lambda: "overtaken: D504" in frozen.said() or "unavailable" in frozen.said(), 20, crew.tail)  # noqa: B023
        crew.shared_by(first, second, within_s=TAKEN_OVER_S)
        assert all(crew.epoch(part) > epoch for part, epoch in before.items())
    for each in users:
        each.stop()

    crew.equal()
    assert crew.judged() == []


def test_a_lost_log_is_mended_by_comparing_all_again(crew: Crew) -> None:
    """Who reads goes on where the change topic ends, a place that no log has any more: so it has to begin anew."""
    first = crew.worker()
    crew.shared_by(first)
    assert first.stop() == 0
    with psycopg.connect(crew.addresses["erp"], autocommit=True) as conn:
        conn.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                     "WHERE database = current_database()")  # fmt: skip
        conn.execute("UPDATE thing SET of_erp = 'nobody read this' WHERE code = 'T000007'")
    crew.asking.call("setup")

    crew.shared_by(crew.worker("--merge-again"))
    with psycopg.connect(crew.addresses["erp"], autocommit=True) as conn:
        conn.execute("UPDATE thing SET of_erp = 'somebody reads this' WHERE code = 'T000008'")
    crew.equal()


def _two(crew: Crew) -> tuple[Live, Live]:
    first, second = crew.worker(), crew.worker()
    crew.shared_by(first, second)
    return first, second


def _at_work(crew: Crew) -> None:
    """Waits until something written from now on has been carried over, each way."""
    before = {system: auditor.trail(address, "duolog%") for system, address in crew.addresses.items()}

    def so() -> bool:
        return all(auditor.trail(crew.addresses[s], "duolog%") > trail + 20 for s, trail in before.items())

    eventually(so, 30, crew.tail)
