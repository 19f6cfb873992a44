"""What the multimap of every store must do: on SQLite, on PostgreSQL, and in the store in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.memory import MemoryStore
from adapters.store import SqlStore
from engine.errors import EngineFault
from engine.ports import Delta

AnyStore = SqlStore | MemoryStore

STRANGE = ["", " ", "10", "2", "A", "a", "a\x1fb", "a\x1f", "ä", "ä\x1f\x1f", '"\\', "\n", "\ue000", "\U0001f600"]
"""Texts that may be values and items, unsorted."""


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyStore]:
    """A fresh, empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
        return
    url = f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else str(request.getfixturevalue("erp_db"))
    opened = SqlStore.open(url, name="demo")
    yield opened
    opened.close()


def put(*entries: tuple[str, str, bytes | None], space: str = "key") -> Delta:
    """A delta with these (value, item, bytes) of one space."""
    return Delta(entries={(space, value, item): state for value, item, state in entries})


def forget(store: AnyStore) -> None:
    """What was not committed is gone, as after a crash."""
    store.crash() if isinstance(store, MemoryStore) else store.rollback()


def test_a_space_without_entries_has_none(store: AnyStore) -> None:
    assert store.find("key", ["a", ""]) == {}
    assert store.find("key", []) == {}
    assert store.find_committed("key", ["a"]) == {}
    assert list(store.entries("key")) == []


def test_a_value_has_any_number_of_items_in_code_point_order(store: AnyStore) -> None:
    store.commit(put(*[("a", item, item.encode()) for item in STRANGE], ("b", "1", b"\x00\xff")))

    found = store.find("key", ["b", "a", "c"])

    assert found == {"a": {item: item.encode() for item in STRANGE}, "b": {"1": b"\x00\xff"}}
    assert list(found["a"]) == sorted(STRANGE)
    assert store.find_committed("key", ["b", "a", "c"]) == found


def test_values_and_items_may_be_empty_and_hold_separators(store: AnyStore) -> None:
    store.commit(put(*[(value, item, b"") for value in STRANGE for item in STRANGE]))

    assert store.find("key", STRANGE) == {value: dict.fromkeys(STRANGE, b"") for value in STRANGE}
    assert list(store.entries("key")) == [(value, item, b"") for value in sorted(STRANGE) for item in sorted(STRANGE)]


def test_spaces_are_apart(store: AnyStore) -> None:
    store.commit(put(("a", "1", b"one")))
    store.commit(put(("a", "1", b"other"), ("a", "2", b"two"), space="row"))
    store.commit(put(("a", "1", None), space="row"))

    assert store.find("key", ["a"]) == {"a": {"1": b"one"}}
    assert store.find("row", ["a"]) == {"a": {"2": b"two"}}
    assert list(store.entries("row")) == [("a", "2", b"two")]


def test_an_entry_is_replaced_and_taken_out(store: AnyStore) -> None:
    store.commit(put(("a", "1", b"old"), ("a", "2", b"old"), ("b", "1", b"old")))

    store.commit(put(("a", "1", b"new"), ("a", "2", None), ("b", "1", None), ("c", "never there", None)))

    assert store.find("key", ["a", "b", "c"]) == {"a": {"1": b"new"}}
    assert list(store.entries("key")) == [("a", "1", b"new")]


def test_thousands_are_put_found_and_taken_out(store: AnyStore) -> None:
    many = [(f"v{n % 6007:x}-ключ", f"i{n}", b"%d" % n * (n % 40)) for n in range(13_000)]
    many.append(("large", "", b"\x00" * 300_000))
    values = sorted({value for value, _, _ in many})
    store.commit(put(*many))

    found = store.find("key", [*values, "unknown"])
    store.commit(put(*[(value, item, None) for value, item, _ in many if value != "large"]))

    assert {(v, i, s) for v, items in found.items() for i, s in items.items()} == set(many)
    assert list(found) == values
    assert store.find("key", values) == {"large": {"": b"\x00" * 300_000}}


def test_a_space_is_read_in_pages_with_what_is_not_committed(store: AnyStore) -> None:
    store.commit(put(*[(f"{n:05}", "", b"old") for n in range(0, 9000, 2)]))
    store.write(put(*[(f"{n:05}", "", b"new") for n in range(1, 9000, 2)], ("00000", "", None)))

    found = list(store.entries("key"))

    assert found == [(f"{n:05}", "", b"new" if n % 2 else b"old") for n in range(1, 9000)]


def test_written_is_seen_by_the_deciding_thread_alone_until_committed(store: AnyStore) -> None:
    store.commit(put(("a", "1", b"old"), ("a", "2", b"two")))
    store.write(put(("a", "1", b"new"), ("a", "2", None), ("b", "", b"b")))
    store.write(put(("a", "3", b"three"), ("b", "", b"c")))
    new = {"a": {"1": b"new", "3": b"three"}, "b": {"": b"c"}}
    seen: list[dict[str, dict[str, bytes]]] = []

    reader = threading.Thread(target=lambda: seen.append(store.find_committed("key", ["a", "b"])))
    reader.start()
    reader.join(60)

    assert store.find("key", ["a", "b"]) == new
    assert seen == [{"a": {"1": b"old", "2": b"two"}}]
    store.commit(Delta())
    assert store.find_committed("key", ["a", "b"]) == new


def test_what_was_written_and_rolled_back_never_was(store: AnyStore) -> None:
    store.commit(put(("a", "1", b"old")))
    store.write(put(("a", "1", None), ("b", "1", b"new")))

    forget(store)
    store.commit(put(("c", "", b"")))

    assert list(store.entries("key")) == [("a", "1", b"old"), ("c", "", b"")]


def test_an_entry_taken_out_while_a_space_is_read_hides_no_other(store: AnyStore) -> None:
    store.commit(put(*[(f"{n:05}", "", b"") for n in range(5000)]))
    reading = store.entries("key")
    first = [next(reading) for _ in range(2000)]

    store.commit(put(("01999", "", None)))

    assert [value for value, _, _ in [*first, *reading]] == [f"{n:05}" for n in range(5000)]


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize(("value", "item"), [("a\0b", ""), ("", "\0")])
def test_nul_is_refused(value: str, item: str, store: AnyStore) -> None:
    with pytest.raises(EngineFault, match="NUL"):
        store.commit(put((value, item, b"")))
