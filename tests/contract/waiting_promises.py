"""Every target steps aside where a user holds a lock: the source transaction that meets it, whole, and no other."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from engine.vocabulary import RowResult, Write
from tests.contract.ground import Ground, Made, User, batch, meanwhile, paged
from tests.contract.target_promises import ACCOUNT, ALL, CREDIT, NAME, accounts, by_key
from tests.database.books import row, write

soon_s = 2.0
"""Much less than a user may hold a lock."""


class WaitingPromises:
    """Waits for nobody, overtakes nobody."""

    @pytest.mark.alone
    def test_only_the_source_transaction_that_meets_a_users_lock_steps_aside_and_soon(self, ground: Ground) -> None:
        ground.needs("row locks")
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", *accounts(1, 1000))

        with ground.writing(rules) as target, user.transaction():
            user.update("account", ["500"], note="busy")
            rows = [row(n // 10, str(n), ("5.00",), ("0.00",)) for n in range(1, 1001)]
            began = time.monotonic()
            outcome = target.apply(batch(100, write("update", "account", (CREDIT,), rows)))
            took = time.monotonic() - began

        assert by_key(outcome.exceptions) == [RowResult("account", str(n), "deferred") for n in range(500, 510)]
        assert sum(credit == "5.00" for _, _, credit, _ in user.rows("account")) == 990
        assert took < soon_s

    @pytest.mark.alone
    def test_many_locks_do_not_add_up(self, ground: Ground) -> None:
        ground.needs("row locks")
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", *accounts(1, 500))

        with ground.writing(rules) as target, user.transaction():
            for n in range(1, 401):
                user.lock("account", [str(n)])
            rows = [row(n, str(n), ("5.00",), ("0.00",)) for n in range(1, 501)]
            began = time.monotonic()
            outcome = target.apply(batch(500, write("update", "account", (CREDIT,), rows)))
            took = time.monotonic() - began

        assert by_key(outcome.exceptions) == [RowResult("account", str(n), "deferred") for n in range(1, 401)]
        assert took < 2 * soon_s

    def test_a_source_transaction_of_several_tables_steps_aside_whole(self, ground: Ground) -> None:
        ground.needs("row locks")
        rules, user = ground.make(ACCOUNT, Made("child", {"id": "integer", "parent": "integer"})), ground.user()
        user.insert("account", ("1", "a", "1", None), ("2", "b", "1", None))

        with ground.writing(rules) as target, user.transaction():
            user.insert("child", ("5", "5"))  # not yet committed: its key is locked
            updates = [row(1, "1", ("A",), ("a",)), row(2, "2", ("B",), ("b",))]
            inserts = [row(1, "5", ("1",)), row(2, "6", ("2",))]
            both = write("update", "account", (NAME,), updates), write("insert", "child", (1,), inserts)
            outcome = target.apply(batch(2, *both))

        deferred = [(r.entity, r.key, r.kind) for r in by_key(outcome.exceptions)]
        assert deferred == [("account", "1", "deferred"), ("child", "5", "deferred")]
        assert [name for _, name, _, _ in user.rows("account")] == ["a", "B"]
        assert user.rows("child") == [("5", "5"), ("6", "2")]

    def test_pages_are_one_transaction_and_a_step_that_spans_them_steps_aside_whole(self, ground: Ground) -> None:
        ground.needs("row locks", "log")
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", *accounts(1, 30))

        def page(first: int) -> list[Write]:
            rows = [row(1 + n % 2, str(n), ("5.00",), ("0.00",)) for n in range(first, first + 10)]
            return [write("update", "account", (CREDIT,), rows)]

        pages = page(1), page(11), page(21)
        start = ground.end()
        with ground.writing(rules) as target:
            with user.transaction():
                user.lock("account", ["21"])
                outcome = target.apply(paged(2, *pages))
            again = target.apply(paged(3, *pages))

        assert {r.kind for r in outcome.exceptions} == {"deferred"}
        assert sorted(int(r.key) for r in outcome.exceptions) == list(range(1, 31, 2))
        assert {r.kind for r in again.exceptions} == {"unmatched"}
        assert sorted(int(r.key) for r in again.exceptions) == list(range(2, 31, 2))
        assert [item.rows for item in ground.told(rules, start) if item.own and item.rows] == [15, 15]

    def test_a_record_that_is_being_committed_is_missing_only_from_a_position_before_it(self, ground: Ground) -> None:
        ground.needs("row locks", "log")
        rules, user = ground.make(ACCOUNT), ground.user()
        start = ground.end()

        with ground.writing(rules) as target, user.transaction():
            user.insert("account", ("1", "a", "1", None))
            answers = {r.key: r for r in target.reread("account", ["1", "2"])}

        (item,) = [item for item in ground.told(rules, start) if item.rows]
        assert answers["2"].row is None
        assert "1" not in answers or answers["1"].position < item.position

    def test_a_user_who_comes_in_between_is_never_overwritten(self, ground: Ground) -> None:
        ground.needs("concurrency", "log")
        rules, user = ground.make(ACCOUNT), ground.user()
        start = ground.end()
        user.insert("account", *accounts(1, 40))
        ours: set[tuple[str, object, object]] = set()

        def work(writer: User, number: int) -> None:
            key = str(number % 40 + 1)
            writer.update("account", [key], name=f"u{number}")
            writer.delete("account", [f"1{key}00"])
            with suppress(*ground.errors):  # where ours was there first
                writer.insert("account", (f"1{key}00", "theirs", None, None))

        with ground.writing(rules) as target, meanwhile(ground, work):
            for number in range(1, 61):
                now = {str(key): name for key, name, _, _ in user.rows("account") if int(str(key)) <= 40}
                rows = [row(at, key, (f"o{number}",), (name,)) for at, (key, name) in enumerate(now.items())]
                made = [row(50 + n, f"1{n}00", (f"o{number}", None, None)) for n in range(1, 41)]
                outcome = target.apply(batch(
                    number, write("update", "account", (NAME,), rows), write("insert", "account", ALL, made),
                ))  # fmt: skip
                assert {r.kind for r in outcome.exceptions} <= {"unmatched", "deferred"}
                missed = {r.key for r in outcome.exceptions}
                ours |= {(key, f"o{number}", name) for key, name in now.items() if key not in missed}
                ours |= {(f"1{n}00", f"o{number}", None) for n in range(1, 41) if f"1{n}00" not in missed}

        told: set[tuple[str, object, object]] = set()
        last: dict[object, object] = {}
        for item in ground.told(rules, start):
            for _, _, new, old in (change for chunk in item.chunks() for change in chunk):
                if new is None:
                    last.pop(old[0] if old else None, None)
                    continue
                if str(new[NAME]).startswith("o"):
                    told.add((str(new[0]), new[NAME], last.get(new[0])))
                last[new[0]] = new[NAME]
        assert told == ours
