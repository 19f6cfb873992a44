"""What every store must do, on SQLite and on PostgreSQL alike: `engine.ports.Store` and the commands' methods."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from adapters.store import HoldRow, JournalRow, SqlStore
from engine.errors import EngineFault, StoreUnfit
from engine.ports import Applied, Delta, Pending, Request, StoreState
from engine.vocabulary import UNSET, JournalEntry, Version
from tests.store.conftest import NOW_US

Result = TypeVar("Result")


def in_thread(work: Callable[[], Result]) -> Result:
    """What `work` returns when another thread does it."""
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(60)
    assert found, "the other thread failed or hangs"
    return found[0]


def entry(number: int, key: str = "1", entity: str = "customer") -> JournalEntry:
    """A journal entry with everything that an entry can have."""
    return JournalEntry(
        entity=entity,
        key=key,
        fields=("name", "city"),
        kind="update_differs",
        because="last_writer: später",
        winner=Version(7, "erp", 1_699_999_999_000_001, 2**62),
        won=("Straße\n\"1\"", None),
        loser=Version(8, "", 0, 0, "made by hand"),
        lost=(UNSET, "\U0001f600"),
        number=number,
    )


def test_a_fresh_store_remembers_nothing(store: SqlStore) -> None:
    assert store.state() == StoreState(0, "", {}, [])
    assert store.load("customer", ["1"]) == {}
    assert list(store.pending(0)) == []
    assert list(store.scan("customer")) == []
    assert store.requests() == []
    assert store.quarantined() == []


def test_what_was_committed_is_there_after_opening_again(url: str) -> None:
    store = SqlStore.open(url, name="demo")
    store.commit(
        Delta(
            records={("customer", "1"): b"\x00\xff one"},
            positions={"erp": 2**62, "crm": 5},
            pending=[Pending(3, [("customer", "1"), ("order", "ä")])],
            applied=[Applied("erp", 2, 900), Applied("crm", 3, 2**62)],
            number=3,
            phase="base",
        )
    )
    store.close()

    again = SqlStore.open(url, name="demo", create=False)

    assert again.state() == StoreState(
        3, "base", {"erp": 2**62, "crm": 5}, [Applied("crm", 3, 2**62), Applied("erp", 2, 900)]
    )
    assert again.load("customer", ["1", "2"]) == {"1": b"\x00\xff one"}
    assert list(again.pending(0)) == [Pending(3, [("customer", "1"), ("order", "ä")])]
    again.close()


def test_thousands_of_records_of_any_size_come_back_as_they_were(store: SqlStore) -> None:
    keys = [f"{number * 7919 % 6007:x}-ключ" for number in range(6007)]
    states = {key: key.encode() * (position % 90) for position, key in enumerate(keys)}
    states[keys[5]] = b"\x00" * 300_000

    store.commit(Delta(records={("customer", key): state for key, state in states.items()}))

    assert store.load("customer", keys) == states
    assert store.load_committed("customer", [*keys, "unknown"]) == states
    assert store.load("order", keys) == {}


def test_a_second_state_replaces_the_first(store: SqlStore) -> None:
    store.commit(Delta(records={("customer", str(key)): b"old" for key in range(50)}))
    store.commit(Delta(records={("customer", str(key)): b"newer" for key in range(20, 70)}))

    found = store.load("customer", [str(key) for key in range(100)])

    assert found == {str(key): b"old" if key < 20 else b"newer" for key in range(70)}


def test_scan_gives_an_entity_ascending_by_code_point(store: SqlStore) -> None:
    keys = ["", " ", "10", "2", "A", "Z", "a", "z", "ä", "\ue000", "\U0001f600", *(f"k{n:04}" for n in range(4000))]
    store.commit(Delta(records={("customer", key): key.encode() for key in reversed(keys)}))
    store.commit(Delta(records={("order", "2"): b"other"}))

    found = list(store.scan("customer"))

    assert found == [(key, key.encode()) for key in sorted(keys)]
    for start in ("k0007", "k00075", "k3999", "\U0001f601"):
        assert [key for key, _ in store.scan("customer", start)] == [key for key in sorted(keys) if key >= start]


def test_written_is_seen_by_load_and_by_nobody_else_until_committed(store: SqlStore) -> None:
    store.commit(Delta(records={("customer", "1"): b"old"}, number=1))

    store.write(Delta(records={("customer", "1"): b"new", ("customer", "2"): b"two"}, pending=[Pending(2, [])]))

    assert store.load("customer", ["1", "2"]) == {"1": b"new", "2": b"two"}
    assert in_thread(lambda: store.load_committed("customer", ["1", "2"])) == {"1": b"old"}
    assert in_thread(lambda: list(store.pending(0))) == []
    store.commit(Delta(number=2))
    assert in_thread(lambda: store.load_committed("customer", ["1", "2"])) == {"1": b"new", "2": b"two"}
    assert in_thread(lambda: list(store.pending(0))) == [Pending(2, [])]
    assert store.state().number == 2


def test_two_threads_read_while_a_write_is_open(store: SqlStore) -> None:
    store.commit(Delta(records={("customer", str(key)): b"old" for key in range(3000)}, number=1))
    store.write(Delta(records={("customer", str(key)): b"new" for key in range(3000)}))
    keys = [str(key) for key in range(3000)]
    found: list[set[bytes]] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(set(store.load_committed("customer", keys).values()) for _ in range(10))
        )
        for _ in range(2)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert found == [{b"old"}] * 20


def test_what_was_written_and_rolled_back_never_was(store: SqlStore) -> None:
    store.write(Delta(records={("customer", "1"): b"new"}, number=9))
    store.rollback()
    store.commit(Delta(records={("customer", "2"): b"two"}))

    assert store.load("customer", ["1", "2"]) == {"2": b"two"}
    assert store.state().number == 0


def test_closing_forgets_what_was_not_committed(url: str) -> None:
    store = SqlStore.open(url, name="demo")
    store.write(Delta(records={("customer", "1"): b"new"}))
    store.close()

    again = SqlStore.open(url, name="demo")

    assert again.load("customer", ["1"]) == {}
    again.close()


def test_pending_rows_come_ascending_and_go_when_done(store: SqlStore) -> None:
    store.commit(Delta(pending=[Pending(number, [("customer", str(number))]) for number in range(1, 701)]))
    store.write(Delta(pending=[Pending(701, [("order", "a")])]))
    store.commit(Delta(pending=[Pending(701, [("order", "b")])]))

    assert [step.number for step in store.pending(0)] == [*range(1, 701), 701, 701]
    assert list(store.pending(699)) == [
        Pending(700, [("customer", "700")]), Pending(701, [("order", "a")]), Pending(701, [("order", "b")]),
    ]  # fmt: skip
    assert list(store.pending(701)) == []
    store.commit(Delta(pending_done_to=700))
    assert [step.number for step in store.pending(0)] == [701, 701]


def test_pending_rows_removed_while_they_are_read_do_no_harm(store: SqlStore) -> None:
    store.commit(Delta(pending=[Pending(number, []) for number in range(1000)]))
    reading = store.pending(-1)
    first = next(reading)

    store.commit(Delta(pending_done_to=900))
    rest = [step.number for step in reading]

    assert first.number == 0
    assert rest[-99:] == list(range(901, 1000))
    assert rest == sorted(rest)


def test_applied_batches_are_forgotten_below_a_number_by_system(store: SqlStore) -> None:
    store.commit(Delta(applied=[Applied(system, number, number * 10) for system in "ab" for number in (1, 2, 3)]))

    store.commit(Delta(applied_forget={"a": 3}, applied=[Applied("a", 4, 45)]))

    assert [(batch.system, batch.number_to) for batch in store.state().applied] == [
        ("a", 3), ("a", 4), ("b", 1), ("b", 2), ("b", 3),
    ]  # fmt: skip


def test_quarantine_and_holds_are_listed_until_they_end(store: SqlStore) -> None:
    store.commit(
        Delta(
            quarantine={("customer", "1", "crm"): "too long", ("order", "2", "erp"): "no parent"},
            holds={("customer", "1", 3): "two prices", ("customer", "1", 4): "two names"},
        )
    )
    store.commit(
        Delta(
            quarantine={("customer", "1", "crm"): "still too long", ("order", "2", "erp"): None},
            holds={("customer", "1", 3): None},
        )
    )

    assert store.quarantined() == [("customer", "1", "crm", "still too long")]
    assert store.holds() == [HoldRow("customer", "1", 4, NOW_US, "two names")]


def test_the_journal_gives_back_whole_entries_the_newest_first(store: SqlStore) -> None:
    entries = [entry(number, key=str(number % 3)) for number in range(1, 8)]
    bare = JournalEntry("order", "9", (), "quarantine", "too long", None, (), None, (), 8)

    store.commit(Delta(journal=[*entries, bare]))
    rows = store.journal()

    assert [row.entry for row in rows] == [bare, *reversed(entries)]
    assert {row.at for row in rows} == {NOW_US}
    assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)


def test_the_journal_is_searched_by_record_time_and_number_of_rows(store: SqlStore) -> None:
    store.commit(Delta(journal=[entry(number, key=str(number % 3)) for number in range(1, 8)]))
    store.commit(Delta(journal=[entry(9, key="1", entity="order")]))

    def numbers(rows: list[JournalRow]) -> list[int]:
        return [row.entry.number for row in rows]

    assert numbers(store.journal("customer", "1")) == [7, 4, 1]
    assert numbers(store.journal("customer", limit=2)) == [7, 6]
    assert numbers(store.journal(key="1")) == [9, 7, 4, 1]
    assert numbers(store.journal(since=NOW_US, limit=1)) == [9]
    assert numbers(store.journal(since=NOW_US + 1)) == []


def test_pruning_the_journal_removes_the_older_rows_only(url: str) -> None:
    times = iter([10, 20, 30, 40])
    store = SqlStore.open(url, name="demo", now_us=lambda: next(times))
    for number in (1, 2, 3):
        store.commit(Delta(journal=[entry(number)]))

    removed = store.prune_journal(30)

    assert removed == 2
    assert [row.entry.number for row in store.journal()] == [3]
    store.close()


def test_a_request_waits_until_it_is_answered(store: SqlStore) -> None:
    first = store.ask("resolve", {"entity": "customer", "value": "ä"}, "anna")
    second = store.ask("retry", {}, "bert")
    assert store.requests() == [
        Request(first, "resolve", {"entity": "customer", "value": "ä"}), Request(second, "retry", {}),
    ]  # fmt: skip

    store.commit(Delta(requests_done={second: "retried 3"}))

    assert [request.id for request in store.requests()] == [first]
    assert (store.answer(first), store.answer(second)) == (None, "retried 3")
    store.commit(Delta(requests_done={first: "done"}))
    third = store.ask("retry", {}, "bert")
    assert [request.id for request in store.requests()] == [third]


def test_identity_is_kept_by_system_beside_its_position(store: SqlStore) -> None:
    store.set_identity("erp", "7300")
    store.commit(Delta(positions={"erp": 5, "crm": 6}))
    store.set_identity("erp", "7301")

    assert store.identity("erp") == "7301"
    assert store.identity("crm") is None
    assert store.state().positions == {"erp": 5, "crm": 6}


def test_a_known_identity_is_not_a_position(store: SqlStore) -> None:
    store.set_identity("erp", "7300")

    assert store.state().positions == {}


def test_status_is_replaced_while_a_write_is_open(store: SqlStore) -> None:
    assert store.status() is None
    store.set_status('{"phase": "first"}')
    store.write(Delta(number=1))

    thread = threading.Thread(target=store.set_status, args=['{"phase": "running"}'])
    thread.start()
    thread.join(60)

    assert store.status() == '{"phase": "running"}'
    store.commit(Delta())
    assert store.state().number == 1


def test_stats_count_what_there_is(store: SqlStore) -> None:
    store.commit(
        Delta(
            records={("customer", "1"): b"1", ("order", "1"): b"1"},
            entries={("key", "a", str(item)): b"" for item in range(3)},
            journal=[entry(1)],
            pending=[Pending(1, [])],
            quarantine={("customer", "1", "crm"): "x"},
            holds={("customer", "1", 3): "y"},
        )
    )

    assert store.stats() == {
        "records": 2, "entries": 3, "pending": 1, "journal": 1, "holds": 1, "quarantine": 1,
    }  # fmt: skip


def test_an_empty_delta_commits_nothing(store: SqlStore) -> None:
    store.commit(Delta())

    assert store.state() == StoreState(0, "", {}, [])


def test_a_key_with_nul_is_refused(store: SqlStore) -> None:
    with pytest.raises(EngineFault, match="NUL"):
        store.commit(Delta(records={("customer", "a\0b"): b""}))


def test_verify_counts_the_records_of_a_sound_store(store: SqlStore) -> None:
    store.commit(Delta(records={(entity, str(key)): b"x" for entity in ("customer", "order") for key in range(5)}))

    assert store.verify() == 10


def test_a_closed_store_says_so(url: str) -> None:
    store = SqlStore.open(url, name="demo")
    store.close()

    with pytest.raises(StoreUnfit, match="closed"):
        store.commit(Delta(number=1))


def test_a_note_about_the_store_is_recalled(store: SqlStore) -> None:
    store.remember("shape", "a")
    store.remember("shape", "b")

    assert store.recall("shape") == "b"
    assert store.recall("other") is None


def test_forgetting_the_base_keeps_journal_positions_and_number(store: SqlStore) -> None:
    store.commit(
        Delta(
            records={("customer", "1"): b"1"},
            entries={("key", "1", "a"): b"1", ("x/customer/crm", "7", "crm:7"): b""},
            journal=[entry(1)],
            pending=[Pending(1, [])],
            applied=[Applied("erp", 1, 10)],
            positions={"erp": 5},
            holds={("customer", "1", 3): "y"},
            quarantine={("customer", "1", "crm"): "x"},
            number=1,
        )
    )

    store.forget_base()
    assert store.held() == [("customer", "1", 3)], "not committed yet"
    store.commit(Delta(records={("customer", "2"): b"2"}))

    assert list(store.scan("customer")) == [("2", b"2")]
    assert list(store.entries("key")) == []
    assert list(store.entries("x/customer/crm")) == [("7", "crm:7", b"")], "which key means which record still holds"
    assert (list(store.pending(0)), store.held(), store.quarantined()) == ([], [], [])
    assert store.state() == StoreState(1, "", {"erp": 5}, [])
    assert len(store.journal()) == 1


def test_the_journal_tells_how_many_entries_there_are_of_an_entity_and_of_a_record(store: SqlStore) -> None:
    store.commit(Delta(journal=[entry(1), entry(2), entry(3, key="2"), entry(4, entity="order")]))

    assert store.journal_size() == 4
    assert store.journal_size("customer") == 3
    assert store.journal_size("customer", "1") == 2
