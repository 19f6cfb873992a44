"""Every source tells whole committed transactions, in commit order, from any position on, and ours as ours."""

from __future__ import annotations

import time

import pytest

from engine.errors import SystemStopped, SystemUnavailable
from engine.vocabulary import ABSENT, Transaction
from tests.contract.ground import Ground, Made, batch, changes, next_one, opened, until
from tests.database.books import row, write
from tests.memory import counted_memory

ITEM = Made("item", {"id": "integer", "name": "text"})
SECOND = Made("Second item", {"id": "integer"})
FOREIGN = Made("foreign_table", {"id": "integer"}, bound=False)


def names(item: Transaction) -> list[object]:
    """The names of its new rows."""
    return [new[1] for _, _, new, _ in changes(item) if new is not None]


class SourcePromises:
    """What the log tells."""

    def test_transactions_come_whole_and_in_commit_order(self, ground: Ground) -> None:
        ground.needs("row locks")
        rules, user, slow = ground.make(ITEM, SECOND), ground.user(), ground.user()
        start = ground.end()
        with ground.reading(rules, start) as source:
            with slow.transaction():
                slow.insert("item", ("1", "began first"))
                user.insert("item", ("2", "committed first"), ("3", "with it"))
                slow.insert("Second item", ("4",))
                slow.update("item", ["1"], name="committed last")
            first, second = next_one(source), next_one(source)
            nothing = source.read(0.0)
        end = ground.end()

        assert first.changes == [(0, "I", ("2", "committed first"), None), (0, "I", ("3", "with it"), None)]
        assert second.changes == [
            (0, "I", ("1", "began first"), None), (1, "I", ("4",), None), (0, "U", ("1", "committed last"), None),
        ]  # fmt: skip
        assert (first.system, first.own, first.rows, second.rows) == ("erp", False, 2, 3)
        assert start < first.position < second.position <= end
        assert abs(second.committed_at / 1e6 - time.time()) < 60
        assert not isinstance(nothing, Transaction)

    def test_updates_and_deletions_bear_what_the_engine_needs(self, ground: Ground) -> None:
        rules, user = ground.make(ITEM), ground.user()
        user.insert("item", ("1", "one"), ("2", None))
        with ground.reading(rules, ground.end()) as source:
            user.update("item", ["1"], name="uno")
            user.update("item", ["2"], id="3", name="")
            user.delete("item", ["1"])
            changed, moved, gone = (changes(next_one(source)) for _ in range(3))

        assert changed == [(0, "U", ("1", "uno"), None)]
        ((table, operation, new, old),) = moved
        assert (table, operation, new) == (0, "U", ("3", "")) and old is not None
        assert old[0] == "2" and old[1] in (None, ABSENT)
        ((table, operation, new, old),) = gone
        assert (table, operation, new) == (0, "D", None) and old is not None
        assert old[0] == "1" and old[1] in ("uno", ABSENT)

    def test_a_rolled_back_transaction_never_comes(self, ground: Ground) -> None:
        rules, user = ground.make(ITEM), ground.user()
        with ground.reading(rules, ground.end()) as source:
            with user.transaction(undone=True):
                user.insert("item", ("1", "rolled back"))
            user.insert("item", ("2", "kept"))

            assert names(next_one(source)) == ["kept"]

    def test_reading_resumes_after_a_position_without_loss_or_repetition(self, ground: Ground) -> None:
        rules, user = ground.make(ITEM), ground.user()
        start = ground.end()
        with ground.reading(rules, start) as source:
            for number in range(1, 6):
                user.insert("item", (str(number), f"number {number}"))
            read = [next_one(source) for _ in range(3)]

        for after, item in enumerate(read, 1):
            with ground.reading(rules, item.position) as again:
                expected = [[f"number {number}"] for number in range(after + 1, 6)]
                assert [names(each) for each in until(again, ground.end())] == expected

    def test_the_same_source_may_be_opened_again_where_it_was(self, ground: Ground) -> None:
        rules, user = ground.make(ITEM), ground.user()
        with ground.reading(rules, ground.end()) as source:
            user.insert("item", ("1", "one"))
            first = next_one(source)
            source.acknowledge(first.position)
            source.close()
            user.insert("item", ("2", "two"))
            opened(source, first.position)

            assert names(next_one(source)) == ["two"]

    def test_a_position_that_the_log_has_not_come_to_stops(self, ground: Ground) -> None:
        rules = ground.make(ITEM)
        with pytest.raises(SystemStopped) as stopped, ground.reading(rules, ground.end() + (1 << 45)):
            pass

        assert stopped.value.found

    def test_our_own_transaction_is_told_as_ours(self, ground: Ground) -> None:
        ground.needs("writing")
        rules, user = ground.make(ITEM), ground.user()
        start = ground.end()
        with ground.writing(rules) as target:
            outcome = target.apply(batch(1, write("insert", "item", (1,), [row(1, "1", ("ours",))])))
        user.insert("item", ("2", "a user's"))

        with ground.reading(rules, start) as source:
            ours, theirs = next_one(source), next_one(source)

        assert (ours.own, names(ours)) == (True, ["ours"])
        assert (theirs.own, names(theirs)) == (False, ["a user's"])
        assert outcome.separator < ours.position

    def test_our_own_transaction_can_be_left_out_and_its_position_is_passed(self, ground: Ground) -> None:
        ground.needs("writing")
        rules, user = ground.make(ITEM), ground.user()
        start = ground.end()
        with ground.writing(rules) as target:
            for number in (1, 2):
                made = write("insert", "item", (1,), [row(number, str(number), ("ours",))])
                outcome = target.apply(batch(number, made))

        with ground.reading(rules, start, skip_own=True) as source:
            assert until(source, outcome.separator + 1) == []
            user.insert("item", ("9", "a user's"))
            assert names(next_one(source)) == ["a user's"]

    def test_progress_passes_what_other_tables_wrote(self, ground: Ground) -> None:
        rules, user = ground.make(ITEM, FOREIGN), ground.user()
        with ground.reading(rules, ground.end()) as source:
            for number in range(10):
                user.insert("foreign_table", (str(number),))

            assert until(source, ground.end()) == []
            source.verify()
            source.keep_alive()

    def test_a_large_transaction_comes_whole_and_in_order(self, ground: Ground) -> None:
        rules, user = ground.make(ITEM), ground.user()
        count = ground.spool_rows
        with ground.reading(rules, ground.end()) as source:
            with user.transaction():
                user.insert("item", *((str(n), f"name of number {n}") for n in range(count)))
                user.delete("item", ["7"])
            user.insert("item", ("-1", "the next"))

            item = next_one(source)
            read = list(item.chunks())
            after = next_one(source)

        told = [change for chunk in read for change in chunk]
        assert item.spool is not None and item.changes == []
        assert item.rows == len(told) == count + 1 and len(read) > 1
        assert [new for _, _, new, _ in told[:-1]] == [(str(n), f"name of number {n}") for n in range(count)]
        assert told[-1][1] == "D"
        assert names(after) == ["the next"]

    def test_a_large_transaction_takes_little_memory_and_leaves_no_file(self, ground: Ground) -> None:
        ground.needs("streaming")
        rules, user = ground.make(ITEM), ground.user()
        count = ground.spool_rows
        with ground.reading(rules, ground.end()) as source:
            with user.transaction():
                user.insert("item", *((str(n), f"name of number {n}") for n in range(count)))
            with counted_memory() as peak:
                found = sum(len(chunk) for chunk in next_one(source).chunks())
                assert peak() < 24 << 20

        assert found == count
        assert list(ground.spool.iterdir()) == []

    def test_a_cut_connection_is_unavailable_and_nothing_is_missing_afterwards(self, ground: Ground) -> None:
        ground.needs("connections")
        rules, user = ground.make(ITEM), ground.user()
        start = ground.end()
        with ground.reading(rules, start) as source:
            user.insert("item", ("1", "one"))
            first = next_one(source)
            ground.cut()
            user.insert("item", ("2", "two"))
            with pytest.raises(SystemUnavailable):
                for _ in range(100):
                    source.read(0.1)
            opened(source, first.position)

            assert names(next_one(source)) == ["two"]
