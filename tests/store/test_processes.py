"""The store among processes: one engine at a time, whole commits whatever kills it, and people who ask meanwhile."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import psycopg
import pytest

from adapters.store import SqlStore
from engine.errors import StoreBusy, StoreUnfit
from engine.ports import Delta
from tests.store.actor import RECORDS
from tests.store.conftest import Actor


def lines(process: object, count: int) -> list[str]:
    """The next lines that an actor tells."""
    return [process.stdout.readline().strip() for _ in range(count)]  # type: ignore[attr-defined]


def test_a_second_engine_is_refused_naming_the_first(url: str, actor: Actor) -> None:
    SqlStore.open(url, name="demo").close()
    first = actor("hold", url)
    assert lines(first, 1) == ["held"]
    second = SqlStore.open(url, name="demo")

    with pytest.raises(StoreBusy) as refused:
        second.lock()

    assert f"process {first.pid} on {socket.gethostname()}, since 20" in str(refused.value)
    second.close()


def test_commands_read_and_ask_beside_a_running_engine(url: str, actor: Actor) -> None:
    SqlStore.open(url, name="demo").close()
    assert lines(actor("hold", url), 1) == ["held"]

    command = SqlStore.open(url, name="demo", create=False)

    assert command.state().number == 0
    assert command.ask("retry", {}, "anna") == 1
    command.close()


def test_the_lock_goes_with_its_holder_when_that_is_killed(url: str, actor: Actor) -> None:
    SqlStore.open(url, name="demo").close()
    first = actor("hold", url)
    assert lines(first, 1) == ["held"]

    first.kill()
    first.wait()
    second = SqlStore.open(url, name="demo")
    _lock_once_noticed(second, url)
    second.commit(Delta(number=1))

    assert second.state().number == 1
    second.close()


def _lock_once_noticed(store: SqlStore, url: str) -> None:
    """Takes the lock: a file's at once, PostgreSQL's as soon as the server has noticed that the client died."""
    if not url.startswith("sqlite"):
        with psycopg.connect(url) as session:
            session.execute("SELECT pg_advisory_lock(%s)", [0x64756F6C6F67])
    store.lock()


def test_the_lock_goes_when_its_holder_closes(url: str) -> None:
    first = SqlStore.open(url, name="demo")
    first.lock()
    first.close()

    second = SqlStore.open(url, name="demo")
    if not url.startswith("sqlite"):
        _lock_once_noticed(second, url)
    else:
        second.lock()

    second.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_leaves_the_old_or_the_new_step_never_half(url: str, actor: Actor, seed: int) -> None:
    chance = random.Random(seed)
    SqlStore.open(url, name="demo").close()
    engine = actor("rewrite", url)
    assert engine.stdout is not None

    told = [int(engine.stdout.readline()) for _ in range(chance.randrange(3, 40))]
    for _ in range(chance.randrange(0, 20_000)):
        pass
    engine.kill()
    rest, _ = engine.communicate()

    durable = int((rest.split("\n")[-2:-1] or [str(told[-1])])[0] or told[-1])
    store = SqlStore.open(url, name="demo")
    number = store.state().number
    states = {state for _, state in store.scan("customer")}
    assert number in (durable, durable + 1)
    assert states == {b"%d " % number * 80}
    entries = list(store.entries("key"))
    assert len(entries) == RECORDS
    assert {(item, state) for _, item, state in entries} == {(f"{number:06}", b"%d" % number)}
    assert store.verify() == RECORDS
    assert [step.number for step in store.pending(0)] == [number]
    assert store.state().positions == {"erp": number}
    store.close()


def test_asking_never_waits_for_the_engines_open_transaction(url: str, actor: Actor) -> None:
    engine = SqlStore.open(url, name="demo")
    engine.lock()
    engine.write(Delta(records={("customer", "1"): b"long"}, number=5))

    asked, _ = actor("ask", url).communicate(timeout=30)

    assert asked.strip() == "1"
    assert [request.kind for request in engine.requests()] == ["retry"]
    engine.commit(Delta(requests_done={1: "done"}))
    assert engine.requests() == []
    assert engine.answer(1) == "done"
    engine.close()


def test_an_engine_whose_lock_was_lost_cannot_commit(erp_db: str) -> None:
    engine = SqlStore.open(erp_db, name="demo")
    engine.lock()
    with psycopg.connect(erp_db, autocommit=True) as session:
        session.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        )
    successor = SqlStore.open(erp_db, name="demo")
    successor.lock()

    with pytest.raises(StoreUnfit):
        engine.commit(Delta(number=1))
    with pytest.raises(StoreUnfit):
        engine.commit(Delta(number=1))

    assert successor.state().number == 0
    engine.close()
    successor.close()


def test_the_holder_is_this_process_until_it_closes(sqlite_url: str, tmp_path: Path) -> None:
    store = SqlStore.open(sqlite_url, name="demo")
    store.lock()

    with (tmp_path / "store.db.lock").open(encoding="utf-8") as file:
        assert f'"pid":{os.getpid()},' in file.read()
    store.close()
    with (tmp_path / "store.db.lock").open(encoding="utf-8") as file:
        assert file.read() == ""


def test_a_lost_inbox_is_made_again_and_gives_no_id_twice(sqlite_url: str, tmp_path: Path) -> None:
    store = SqlStore.open(sqlite_url, name="demo")
    store.commit(Delta(requests_done={store.ask("retry", {}, "anna"): "done"}))
    store.close()
    for file in tmp_path.glob("store.db.inbox.db*"):
        file.unlink()

    store = SqlStore.open(sqlite_url, name="demo")

    assert store.ask("retry", {}, "anna") == 2
    assert [request.id for request in store.requests()] == [2]
    store.close()


def test_the_log_stays_bounded_under_unbroken_load(sqlite_url: str, tmp_path: Path) -> None:
    store = SqlStore.open(sqlite_url, name="demo")

    for number in range(60):
        store.commit(Delta(records={("customer", str(key)): bytes(1000) for key in range(4000)}, number=number))

    assert (tmp_path / "store.db-wal").stat().st_size < 128 << 20
    store.close()
