"""What a store refuses, and in which words: foreign formats, foreign rules, places that cannot hold it, damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections import namedtuple
from pathlib import Path

import psycopg
import pytest

from adapters.store import SqlStore, folder
from engine.errors import StoreMissing, StoreUnfit
from engine.ports import Delta
from tests.store.conftest import Actor


def execute(url: str, statement: str) -> None:
    """Runs one statement in the store's database, behind its back."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute(statement)
        connection.commit()
        connection.close()
    else:
        with psycopg.connect(url, options="-c search_path=duolog_store") as session:
            session.execute(statement)


def test_a_newer_format_is_refused_naming_both(url: str) -> None:
    SqlStore.open(url, name="demo").close()
    execute(url, "UPDATE meta SET value = '7' WHERE name = 'format'")

    with pytest.raises(StoreUnfit) as refused:
        SqlStore.open(url, name="demo")

    assert "the store has format 7, this duolog knows format 2" in str(refused.value)
    assert "newer duolog" in refused.value.mend


def make_older(url: str) -> None:
    """A store as format 1 had it: with a record, and without the multimap."""
    store = SqlStore.open(url, name="demo")
    store.commit(Delta(records={("customer", "1"): b"old"}, number=4))
    store.close()
    execute(url, "DROP TABLE entry")
    execute(url, "UPDATE meta SET value = '1' WHERE name = 'format'")


def test_a_store_of_the_first_format_is_brought_forward_by_the_engine(url: str) -> None:
    make_older(url)

    store = SqlStore.open(url, name="demo")
    store.commit(Delta(entries={("key", "a", "1"): b"x"}))
    store.close()

    again = SqlStore.open(url, name="demo", create=False)
    assert again.find("key", ["a"]) == {"a": {"1": b"x"}}
    assert (again.load("customer", ["1"]), again.state().number) == ({"1": b"old"}, 4)
    again.close()


def test_a_command_that_reads_leaves_an_older_store_as_it_is(url: str) -> None:
    make_older(url)

    with pytest.raises(StoreUnfit, match="the store has format 1, this duolog knows format 2") as refused:
        SqlStore.open(url, name="demo", create=False)

    assert refused.value.mend == "`duolog run` brings it forward"


def test_an_older_store_of_another_rule_set_is_left_alone(url: str) -> None:
    make_older(url)

    with pytest.raises(StoreUnfit, match="belongs to the rule set"):
        SqlStore.open(url, name="other")

    with pytest.raises(StoreUnfit, match="has format 1"):
        SqlStore.open(url, name="demo", create=False)


def test_the_store_of_another_rule_set_is_refused_naming_both(url: str) -> None:
    SqlStore.open(url, name="demo").close()

    with pytest.raises(StoreUnfit, match="belongs to the rule set `demo`, not to `other`"):
        SqlStore.open(url, name="other")


def test_a_missing_store_is_not_made_unasked(url: str) -> None:
    with pytest.raises(StoreUnfit, match="there is no store yet"):
        SqlStore.open(url, name="demo", create=False)
    with pytest.raises(StoreUnfit, match="there is no store yet"):
        SqlStore.open(url, name="demo", create=False)


def test_a_damaged_record_stops_whoever_loads_it(url: str) -> None:
    store = SqlStore.open(url, name="demo")
    store.commit(Delta(records={("customer", str(key)): b"state" for key in range(10)}))
    execute(url, "UPDATE record SET checksum = checksum + 1 WHERE key = '7'")

    assert store.load("customer", ["6"]) == {"6": b"state"}
    with pytest.raises(StoreUnfit, match="the state of customer `7` is damaged"):
        store.load("customer", ["6", "7"])
    with pytest.raises(StoreUnfit):
        store.commit(Delta(number=1))
    store.close()


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_a_store_lives_in_a_file_or_in_postgresql(url: str) -> None:
    with pytest.raises(StoreUnfit, match=r"cannot live|not one"):
        SqlStore.open(url, name="demo")


def test_an_unreachable_server_is_told_without_its_password() -> None:
    with pytest.raises(StoreUnfit) as refused:
        SqlStore.open("postgresql://user:secret@127.0.0.1:1/db", name="demo")

    assert "127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnfit, match="there is no folder") as refused:
        SqlStore.open(f"sqlite:///{tmp_path}/none/store.db", name="demo")

    assert refused.value.mend == f"mkdir -p {tmp_path}/none"


def test_a_file_that_is_no_database_is_refused_and_left_alone(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("my thesis\n" * 1000)

    with pytest.raises(StoreUnfit, match="not a database"):
        SqlStore.open(sqlite_url, name="demo")

    assert path.read_text() == "my thesis\n" * 1000


def test_the_database_of_somebody_else_is_refused_and_left_alone(sqlite_url: str) -> None:
    execute(sqlite_url, "CREATE TABLE journal (mine)")

    with pytest.raises(StoreUnfit, match="not a store of duolog"):
        SqlStore.open(sqlite_url, name="demo")


def test_a_damaged_file_is_refused_at_opening(sqlite_url: str, tmp_path: Path) -> None:
    store = SqlStore.open(sqlite_url, name="demo")
    store.commit(Delta(records={("customer", str(key)): b"x" * 350 for key in range(2000)}))
    store.close()
    with (tmp_path / "store.db").open("r+b") as file:
        for page in range(5, 300):
            file.seek(page * 2048)
            file.write(b"\xff" * 16)

    with pytest.raises(StoreUnfit, match=r"damaged|malformed"):
        SqlStore.open(sqlite_url, name="demo")


def test_every_file_is_readable_by_its_owner_only(sqlite_url: str, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        store = SqlStore.open(sqlite_url, name="demo")
        store.lock()
        store.commit(Delta(number=1))
        store.ask("retry", {}, "anna")
        store.set_status("{}")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(previous)

    assert modes.keys() >= {
        "store.db", "store.db-wal", "store.db-shm", "store.db.inbox.db", "store.db.lock", "store.db.status.json",
    }  # fmt: skip
    assert set(modes.values()) == {0o600}


def test_a_file_that_others_may_read_is_closed_to_them(sqlite_url: str, tmp_path: Path) -> None:
    SqlStore.open(sqlite_url, name="demo").close()
    (tmp_path / "store.db").chmod(0o644)

    SqlStore.open(sqlite_url, name="demo").close()

    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o600


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nnas:/export {tmp_path} nfs4 rw 0 0\n")

    with pytest.raises(StoreUnfit, match="network file system \\(nfs4\\)"):
        folder.judge(tmp_path / "store.db", mounts)


def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"nas:/ {tmp_path.parent} nfs rw 0 0\n/dev/sda {tmp_path} ext4 rw 0 0\n")

    assert folder.file_system(tmp_path, mounts) == "ext4"


def test_little_room_is_a_warning_and_less_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(500 << 20))
    assert "only 500 MB are free" in folder.judge(tmp_path / "store.db")[0]

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(50 << 20))
    with pytest.raises(StoreUnfit, match="only 50 MB are free"):
        folder.judge(tmp_path / "store.db")


def test_a_full_disk_makes_the_store_unfit_and_keeps_the_last_commit(sqlite_url: str, actor: Actor) -> None:
    SqlStore.open(sqlite_url, name="demo").close()

    told, _ = actor("limited", sqlite_url).communicate(timeout=60)

    lines = told.splitlines()
    assert lines[0].endswith("StoreUnfit")
    assert lines[1] == "again StoreUnfit"
    store = SqlStore.open(sqlite_url, name="demo")
    assert store.state().number == int(lines[0].split()[0]) >= 1
    assert store.verify() == 100
    store.close()


def test_a_file_that_an_engine_has_just_made_is_no_store_yet(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch(mode=0o600)

    with pytest.raises(StoreMissing):
        SqlStore.open(f"sqlite:///{tmp_path}/store.db", name="demo", create=False)
