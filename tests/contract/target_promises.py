"""Every target writes exactly what it was asked, where its guard matches, and tells about everything else."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from engine.errors import EngineFault, SystemUnavailable
from engine.vocabulary import ABSENT, RowResult, Values, Write
from tests.contract.ground import Ground, Made, User, batch, changes, meanwhile, next_one
from tests.database.books import row, write

ACCOUNT = Made("account", {"id": "integer", "name": "word", "credit": "decimal", "note": "text"})
NAME, CREDIT, NOTE = 1, 2, 3
ALL = (NAME, CREDIT, NOTE)
AWKWARD = [
    "order", "with-hyphen", "with space", "Capital", 'quo"te', "单价", "per%cent", "semi;colon", "b`tick", "$1", "t",
]  # fmt: skip
LIKE = {"Müller": "Mu\u0308ller", "a": "A", "b": "b ", "e": "é", "ß": "ss", "": " ", "🙂": "🙃", "c\\": "c"}
"""Texts that some collation, some form or some spelling holds equal."""


def accounts(first: int, last: int, credit: str = "0.00") -> list[tuple[str | None, ...]]:
    """Rows of the table, by number."""
    return [(str(n), "n", credit, None) for n in range(first, last + 1)]


def by_key(results: list[RowResult]) -> list[RowResult]:
    """What a target told, in an order that says nothing."""
    return sorted(results, key=lambda r: (r.entity, len(r.key), r.key))


class TargetPromises:
    """What is written, and what is told of it."""

    def test_an_update_writes_where_the_guard_matches_and_leaves_alone_where_not(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", ("1", "a", "1", None), ("2", "b", "2", None), ("3", "c", "3", "x"), ("4", "d", "4", ""))
        rows = [
            row(1, "1", ("A", "x"), ("a", None)), row(2, "2", ("B", None), ("other", None)),
            row(3, "3", ("C", None), ("c", None)), row(4, "4", ("D", "x"), ("d", None)),
            row(5, "5", ("E", None), ("e", None)),
        ]  # fmt: skip

        with ground.writing(rules) as target:
            outcome = target.apply(batch(5, write("update", "account", (NAME, NOTE), rows)))

        assert by_key(outcome.exceptions) == [RowResult("account", key, "unmatched") for key in "2345"]
        assert user.rows("account") == [
            ("1", "A", "1.00", "x"), ("2", "b", "2.00", None), ("3", "c", "3.00", "x"), ("4", "d", "4.00", ""),
        ]  # fmt: skip

    def test_a_guard_compares_texts_and_nothing_else(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        pairs = [*LIKE.items(), *((b, a) for a, b in LIKE.items())]
        user.insert("account", *((str(n), held, None, held) for n, (held, _) in enumerate(pairs)))
        rows = [row(n, str(n), ("changed",), (other,)) for n, (_, other) in enumerate(pairs)]
        right = [row(n, str(n), ("changed",), (held,)) for n, (held, _) in enumerate(pairs)]

        with ground.writing(rules) as target:
            wrong_name = target.apply(batch(1, write("update", "account", (NAME,), rows)))
            wrong_note = target.apply(batch(2, write("update", "account", (NOTE,), rows)))
            wrong_gone = target.apply(batch(3, write("delete", "account", (NAME,), [(*r[:3], (), r[4]) for r in rows])))
            matched = target.apply(batch(4, write("update", "account", (NAME,), right)))

        every = [RowResult("account", str(n), "unmatched") for n in range(len(pairs))]
        assert by_key(wrong_name.exceptions) == by_key(wrong_note.exceptions) == by_key(wrong_gone.exceptions) == every
        assert matched.exceptions == []

    def test_thousands_of_rows_that_are_not_as_known_are_all_told_and_kept(self, ground: Ground) -> None:
        rows = [row(1, str(n), ("a",), ("b",)) for n in range(4000)]
        with ground.writing(ground.make(ACCOUNT)) as target:
            told = target.apply(batch(1, write("update", "account", (NAME,), rows)))
            kept = target.committed(0)
        assert len(told.exceptions) == 4000 and [each.exceptions for each in kept] == [told.exceptions]

    def test_an_insert_is_guarded_by_absence(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", ("2", "user", "2.00", "mine"))

        with ground.writing(rules) as target:
            rows = [row(1, str(n), ("ours", "1.00", None)) for n in (1, 2, 3)]
            outcome = target.apply(batch(1, write("insert", "account", ALL, rows)))

        assert outcome.exceptions == [RowResult("account", "2", "unmatched")]
        assert [name for _, name, _, _ in user.rows("account")] == ["ours", "user", "ours"]

    def test_what_is_stored_differently_is_told(self, ground: Ground) -> None:
        made = Made("account", ACCOUNT.columns, shouting="note")
        rules, user = ground.make(made), ground.user()
        user.insert("account", *accounts(1, 2))
        sent, stored = ("a", "1.255", "shout"), ("a", "1.26", "SHOUT")
        held = ("n", "0.00", None)

        with ground.writing(rules) as target:
            update = write("update", "account", ALL, [row(1, "1", sent, held), row(1, "2", stored, held)])
            insert = write("insert", "account", ALL, [row(1, "3", sent), row(1, "4", stored)])
            outcome = target.apply(batch(1, insert, update))

        differs = {CREDIT: "1.26", NOTE: "SHOUT"}
        assert by_key(outcome.exceptions) == [RowResult("account", key, "stored", differs) for key in "13"]
        assert user.rows("account") == [(str(n), *stored) for n in range(1, 5)]

    def test_what_an_insert_leaves_unset_comes_back_as_the_targets_defaults(self, ground: Ground) -> None:
        made = Made("account", {**ACCOUNT.columns, "state": "word"}, defaults={"state": "new"})
        rules, user = ground.make(made), ground.user()

        with ground.writing(rules) as target:
            rows = [row(1, "1", ("a", "1.50"))]
            outcome = target.apply(batch(1, write("insert", "account", (NAME, CREDIT), rows)))

        ((told,),) = [outcome.exceptions]
        assert (told.key, told.kind, told.stored) == ("1", "stored", {NOTE: None, 4: "new"})
        assert user.rows("account") == [("1", "a", "1.50", None, "new")]

    def test_a_delete_compares_all_that_is_held(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", ("1", "a", "1", None), ("2", "b", "2", "changed"), ("3", "c", "3", ""))

        with ground.writing(rules) as target:
            held = (("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"))
            rows = [row(1, key, (), (name, f"{key}.00", None)) for key, name in held]
            outcome = target.apply(batch(1, write("delete", "account", ALL, rows)))

        assert by_key(outcome.exceptions) == [RowResult("account", key, "unmatched") for key in "234"]
        assert [key for key, *_ in user.rows("account")] == ["2", "3"]

    def test_key_fields_among_the_columns_are_no_harm(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()

        with ground.writing(rules) as target:
            made = write("insert", "account", (0, *ALL), [row(1, "1", ("1", "a", "1.00", None))])
            first = target.apply(batch(1, made))
            changed = write("update", "account", (0, NAME), [row(2, "1", ("1", "b"), ("1", "a"))])
            second = target.apply(batch(2, changed))
            third = target.apply(batch(3, write("delete", "account", (0, NAME), [row(3, "1", (), ("1", "b"))])))

        assert [first.exceptions, second.exceptions, third.exceptions] == [[], [], []]
        assert user.rows("account") == []

    def test_a_record_may_go_through_several_writes_of_a_batch(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", *accounts(1, 1))

        with ground.writing(rules) as target:
            outcome = target.apply(batch(
                3,
                write("delete", "account", ALL, [row(1, "1", (), ("n", "0.00", None))]),
                write("insert", "account", ALL, [row(2, "1", ("again", "1.00", None))]),
                write("update", "account", (NAME,), [row(3, "1", ("and again",), ("again",))]),
            ))  # fmt: skip

        assert outcome.exceptions == []
        assert user.rows("account") == [("1", "and again", "1.00", None)]

    def test_one_refused_row_among_three_thousand_is_found_and_all_others_are_written(self, ground: Ground) -> None:
        rules, user = ground.make(Made("account", ACCOUNT.columns, refused=("name", "secret"))), ground.user()
        user.insert("account", *accounts(1, 3000))

        with ground.writing(rules) as target:
            rows = [row(n // 10, str(n), ("secret" if n == 1777 else "fine",), ("n",)) for n in range(1, 3001)]
            outcome = target.apply(batch(300, write("update", "account", (NAME,), rows)))
            told = target.committed(0)

        (failed,) = outcome.exceptions
        assert (failed.key, failed.kind) == ("1777", "failed")
        assert failed.reason and "secret" not in failed.reason
        assert told == [outcome]
        assert [r[0] for r in user.rows("account") if r[1] == "n"] == ["1777"]

    def test_a_child_fails_without_its_parent_and_not_for_a_parent_that_comes_with_it(self, ground: Ground) -> None:
        child = Made("child", {"id": "integer", "parent": "integer"}, references={"parent": "account"})
        rules, user = ground.make(Made("account", ACCOUNT.columns, refused=("name", "bad")), child), ground.user()

        with ground.writing(rules) as target:
            parents = [row(1, "1", ("bad", "1.00", None)), row(9, "2", ("a", "1.00", None))]
            children = [row(2, "1", ("2",)), row(9, "2", ("1",)), row(9, "3", (None,))]
            outcome = target.apply(
                batch(9, write("insert", "account", ALL, parents), write("insert", "child", (1,), children))
            )
            kept = target.apply(batch(10, write("delete", "account", ALL, [row(10, "2", (), ("a", "1.00", None))])))

        assert [(r.entity, r.key, r.kind) for r in by_key(outcome.exceptions)] == [
            ("account", "1", "failed"), ("child", "2", "failed"),
        ]  # fmt: skip
        assert [(r.entity, r.key, r.kind) for r in kept.exceptions] == [("account", "2", "failed")]
        assert user.rows("child") == [("1", "2"), ("3", None)]

    def test_many_rows_of_which_some_do_not_match_are_written_whole(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        count, odd = 12_000, [1, 4_999, 5_000, 5_001, 9_999, 12_000]
        user.insert("account", *accounts(1, count))
        for n in odd:
            user.update("account", [str(n)], name="other")
        keys = [str(n) for n in range(1, count + 1)]

        with ground.writing(rules) as target:
            rows = [row(1, key, ("m",), ("n",)) for key in keys]
            changed = target.apply(batch(1, write("update", "account", (NAME,), rows)))
            made = [row(2, str(n), ("m", "1.255", None)) for n in range(count - 5, count + 2_000)]
            inserted = target.apply(batch(2, write("insert", "account", ALL, made)))
            removed = target.apply(batch(3, write("delete", "account", (NAME,), [row(3, k, (), ("m",)) for k in keys])))

        there = [RowResult("account", str(n), "unmatched") for n in range(count - 5, count + 1)]
        stored = [RowResult("account", str(n), "stored", {CREDIT: "1.26"}) for n in range(count + 1, count + 2_000)]
        assert by_key(changed.exceptions) == by_key(removed.exceptions) == [
            RowResult("account", str(n), "unmatched") for n in odd
        ]
        assert by_key(inserted.exceptions) == there + stored
        assert len(user.rows("account")) == len(odd) + 1_999

    def test_awkward_names_work_everywhere(self, ground: Ground) -> None:
        made = Made("ta-ble", dict.fromkeys(AWKWARD, "word"), key=AWKWARD[:2])
        rules, user = ground.make(made), ground.user()
        rest = tuple(range(2, len(AWKWARD)))
        given: Values = tuple(f"v{n}" for n in rest)
        turned: Values = tuple(f"{v}'" for v in given)
        key = ("k1", "k'2")

        def one(kind: str, step: int, new: Values, held: Values) -> Write:
            return write(kind, "ta-ble", rest, [(step, "\x1f".join(key), key, new, held)])  # type: ignore[arg-type]

        with ground.writing(rules) as target:
            first = target.apply(batch(1, one("insert", 1, given, ())))
            second = target.apply(batch(2, one("update", 2, turned, given)))
            read = target.reread("ta-ble", ["\x1f".join(key)])
            there = user.rows("ta-ble")
            third = target.apply(batch(3, one("delete", 3, (), turned)))

        assert [first.exceptions, second.exceptions, third.exceptions] == [[], [], []]
        assert [r.row for r in read] == there == [(*key, *turned)]

    # ------------------------------------------------------------ ledger

    def test_the_ledger_tells_after_a_crash_what_was_committed_and_forgets_when_told(self, ground: Ground) -> None:
        rules, user = ground.make(Made("account", ACCOUNT.columns, refused=("name", "bad"))), ground.user()
        user.insert("account", *accounts(1, 1))
        with ground.writing(rules) as target:
            first = target.apply(batch(1, write("insert", "account", ALL, [row(1, "2", ("b", "1.255", "'\\"))])))
            rows = [row(2, "1", ("x",), ("other",)), row(2, "2", ("bad",), ("b",)), row(2, "\\9", ("x",), ("b",))]
            second = target.apply(batch(2, write("update", "account", (NAME,), rows[:2])))

        with ground.writing(rules) as target:
            assert target.committed(0) == [first, second]
            assert target.committed(1) == [second]
            with pytest.raises(EngineFault, match="already in the ledger"):
                target.apply(batch(2, write("insert", "account", ALL, [row(2, "3", ("c", "1.00", None))])))
            target.apply(batch(3, forget_to=1))
            assert [outcome.number_to for outcome in target.committed(1)] == [2, 3]
        assert {r.kind for r in second.exceptions} == {"unmatched", "failed"}
        assert [key for key, *_ in user.rows("account")] == ["1", "2"]

    @pytest.mark.parametrize("name", ["x", "bad"], ids=["at once", "with a refused row"])
    def test_nothing_is_committed_before_our_store_has_what_it_rests_on(self, ground: Ground, name: str) -> None:
        rules, user = ground.make(Made("account", ACCOUNT.columns, refused=("name", "bad"))), ground.user()
        user.insert("account", *accounts(1, 2))
        seen: list[list[tuple[str | None, ...]]] = []

        def durable(within_s: float | None) -> bool:
            seen.append(user.rows("account"))
            return True

        rows = [row(1, "1", (name,), ("n",)), row(1, "2", ("y",), ("n",))]
        with ground.writing(rules) as target:
            target.apply(replace(batch(1, write("update", "account", (NAME,), rows)), durable=durable))

        assert seen
        assert all(there == accounts(1, 2) for there in seen)
        assert user.rows("account")[1][NAME] == "y"

    def test_users_have_their_rows_while_our_store_takes_long(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", *accounts(1, 1))

        def durable(within_s: float | None) -> bool:
            if within_s is not None:
                return False
            user.update("account", ["1"], credit="5.00")
            return True

        with ground.writing(rules) as target:
            made = batch(1, write("update", "account", (NAME,), [row(1, "1", ("x",), ("n",))]))
            outcome = target.apply(replace(made, durable=durable))
            assert target.committed(0) == [outcome]

        assert outcome.exceptions == []
        assert user.rows("account") == [("1", "x", "5.00", None)]

    def test_nothing_is_written_if_our_store_fails(self, ground: Ground) -> None:
        rules, user = ground.make(ACCOUNT), ground.user()
        user.insert("account", *accounts(1, 1))
        made = batch(1, write("update", "account", (NAME,), [row(1, "1", ("x",), ("n",))]))

        def durable(within_s: float | None) -> bool:
            raise SystemUnavailable("the store failed", system="erp")

        with ground.writing(rules) as target:
            with pytest.raises(SystemUnavailable, match="the store failed"):
                target.apply(replace(made, durable=durable))
            assert target.committed(0) == []
            user.update("account", ["1"], credit="5.00")
            assert target.apply(made).exceptions == []

        assert user.rows("account") == [("1", "x", "5.00", None)]

    def test_a_cut_connection_leaves_all_or_nothing_and_the_ledger_tells_which(self, ground: Ground) -> None:
        ground.needs("connections")
        rules, user = ground.make(ACCOUNT), ground.user()
        made = batch(1, write("insert", "account", ALL, [row(1, str(n), ("a", "1.00", None)) for n in range(100)]))

        with ground.writing(rules) as target:
            ground.cut()
            with pytest.raises(SystemUnavailable):
                target.apply(made)
            target.open()
            assert target.committed(0) == []
            assert user.rows("account") == []
            assert target.apply(made).exceptions == []

    def test_one_engine_at_a_time_writes_a_system(self, ground: Ground) -> None:
        ground.needs("connections")
        rules = ground.make(ACCOUNT)

        with ground.writing(rules), pytest.raises(SystemUnavailable):
            ground.target(rules).open()
        with ground.writing(rules) as target:
            assert target.apply(batch(1)).exceptions == []

    # ------------------------------------------------------------ reading what is there

    def test_a_reread_tells_rows_as_they_are_and_leaves_out_what_a_user_has_locked(self, ground: Ground) -> None:
        ground.needs("row locks")
        rules, user = ground.make(Made("account", ACCOUNT.columns, missing=("phone",))), ground.user()
        user.insert("account", ("1", "a", "1", None), ("2", "b", "2", ""))
        before = ground.end()

        with ground.writing(rules) as target, user.transaction():
            user.lock("account", ["2"])
            answers = {r.key: r for r in target.reread("account", ["1", "2", "3", "not a number"])}

        assert set(answers) == {"1", "3", "not a number"}
        assert answers["1"].row == ("1", "a", "1.00", None, ABSENT)
        assert answers["3"].row is None and answers["not a number"].row is None
        assert all(answer.position >= before for answer in answers.values())

    def test_the_clock_is_that_of_the_machine_that_both_run_on(self, ground: Ground) -> None:
        with ground.writing(ground.make(ACCOUNT)) as target:
            ahead, within = target.clock()

        assert 0 <= within < 5_000_000
        assert abs(ahead) <= within + 100_000

    # ------------------------------------------------------------ separators

    def test_a_separator_divides_what_users_committed_before_ours_from_what_came_after(self, ground: Ground) -> None:
        ground.needs("log")
        rules, user = ground.make(ACCOUNT), ground.user()
        start = ground.end()

        with ground.writing(rules) as target:
            user.insert("account", ("1", "a", "1", None))
            change = write("update", "account", (NAME,), [row(1, "1", ("b",), ("a",))])
            outcome = target.apply(batch(1, change))
            user.update("account", ["1"], name="c")

        with ground.reading(rules, start) as source:
            before, ours, after = (next_one(source) for _ in range(3))
        assert [item.own for item in (before, ours, after)] == [False, True, False]
        assert before.position <= outcome.separator < ours.position < after.position

    def test_under_a_running_writer_every_position_stands_right_behind_what_was_seen(self, ground: Ground) -> None:
        ground.needs("concurrency", "log")
        rules, user = ground.make(ACCOUNT), ground.user()
        start = ground.end()
        user.insert("account", ("1", "u0", None, None))
        seen: list[tuple[int, object]] = []
        number = matched = too_late = 0

        def work(writer: User, n: int) -> None:
            writer.update("account", ["1"], name=f"u{n}")
            time.sleep(too_late / 1000)  # the more often we come too late, the longer the user rests

        with ground.writing(rules) as target, meanwhile(ground, work):
            while matched < 15:
                number += 1
                for known in target.reread("account", ["1"]):
                    assert known.row is not None and isinstance(known.row[NAME], str)
                    seen.append((known.position, known.row[NAME]))
                    rows = [row(number, "1", (f"o{number}",), (known.row[NAME],))]
                    outcome = target.apply(batch(number, write("update", "account", (NAME,), rows)))
                    too_late = too_late + 1 if outcome.exceptions else 0
                    if not outcome.exceptions:
                        matched += 1
                        seen.append((outcome.separator, known.row[NAME]))

        told = ground.told(rules, start)
        history = [(item.position, new[NAME]) for item in told for _, _, new, _ in changes(item) if new]
        for position, value in seen:
            assert [name for end, name in history if end <= position][-1] == value
