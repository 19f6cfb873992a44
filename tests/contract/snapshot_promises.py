"""Every snapshot is one consistent picture, exact to a log position, in key order."""

from __future__ import annotations

from contextlib import closing
from random import Random

import pytest

from engine.errors import SystemUnavailable
from engine.vocabulary import ABSENT
from tests.contract.ground import Ground, Made, User, batch, changes, meanwhile, next_one
from tests.database.books import row, write
from tests.memory import counted_memory

WORD = Made("word", {"w": "word", "v": "text"}, key=("w",))
KEYS = ["a", "B", "ä", "z", "Z", "10", "9", "中", "\U0001f600", "￿", "\ue000", "a b", "a\u0301", "á", "", "a ", "A"]


class SnapshotPromises:
    """What a picture shows."""

    def test_rows_come_in_the_order_of_their_keys_by_code_point(self, ground: Ground) -> None:
        rules, user = ground.make(WORD), ground.user()
        user.insert("word", *((key, None) for key in KEYS))

        with closing(ground.snapshot(rules)) as picture:
            assert list(picture.rows("word")) == [(key, (key, None)) for key in sorted(KEYS)]

    def test_composite_and_numeric_keys_are_ordered_by_their_record_key(self, ground: Ground) -> None:
        part = Made("part", {"v": "text", "a": "integer", "b": "word", "c": "decimal"}, ("b", "a"), missing=("extra",))
        rules, user = ground.make(part), ground.user()
        rows = [("10", "x"), ("9", "x"), ("9", "xy"), ("100", ""), ("-1", "é"), ("9", "x!")]
        user.insert("part", *(("", a, b, "1") for a, b in rows))
        expected = sorted((f"{b}\x1f{a}", ("", a, b, "1.00", ABSENT)) for a, b in rows)

        with closing(ground.snapshot(rules)) as picture:
            assert list(picture.rows("part")) == expected
            assert sorted(picture.table(0)) == sorted(values[:-1] for _, values in expected)

    def test_what_comes_afterwards_is_not_in_the_picture_but_in_the_log_behind_it(self, ground: Ground) -> None:
        ground.needs("log")
        rules, user = ground.make(WORD), ground.user()
        user.insert("word", ("a", "before"), ("b", "before"))

        with closing(ground.snapshot(rules)) as picture:
            user.update("word", ["a"], v="after")
            user.delete("word", ["b"])
            user.insert("word", ("c", "after"))
            found = list(picture.rows("word"))
            with ground.reading(rules, picture.position) as source:
                behind = [changes(next_one(source))[0][:2] for _ in range(3)]

        assert found == [("a", ("a", "before")), ("b", ("b", "before"))]
        assert behind == [(0, "U"), (0, "D"), (0, "I")]

    def test_under_running_writers_picture_and_log_make_the_whole_exactly(self, ground: Ground) -> None:
        ground.needs("concurrency", "log")
        rules, user = ground.make(WORD), ground.user()
        dice = Random(1)

        def work(writer: User, number: int) -> None:
            with writer.transaction():
                for at in range(dice.randrange(1, 4)):
                    writer.insert("word", (f"{id(writer)}-{number}-{at}", None))

        pictures = []
        with meanwhile(ground, work, users=3):
            for _ in range(5):
                with closing(ground.snapshot(rules)) as picture:
                    pictures.append((picture.position, {key for key, _ in picture.rows("word")}))
        whole = sorted(str(key) for key, _ in user.rows("word"))

        for position, picture in pictures:
            behind = [str(new[0]) for item in ground.told(rules, position) for _, _, new, _ in changes(item) if new]
            assert sorted([*picture, *behind]) == whole
        assert pictures[0][1] != pictures[-1][1]

    def test_a_hundred_thousand_rows_stream_in_little_memory(self, ground: Ground) -> None:
        ground.needs("streaming")
        rules, user = ground.make(WORD), ground.user()
        user.insert("word", *((f"{n * 7919 % 100_003:06}", "x" * 200) for n in range(100_000)))

        with closing(ground.snapshot(rules)) as picture, counted_memory() as peak:
            count, last = 0, ""
            for key, _ in picture.rows("word"):
                assert key > last
                count, last = count + 1, key
            assert peak() < 8_000_000

        assert count == 100_000

    def test_a_picture_that_is_closed_shows_nothing_more(self, ground: Ground) -> None:
        rules, user = ground.make(WORD), ground.user()
        user.insert("word", *((str(n), "x" * 100) for n in range(5_000)))
        picture = ground.snapshot(rules)
        rows = picture.rows("word")
        next(rows)
        picture.close()

        with pytest.raises(SystemUnavailable, match="the snapshot is closed"):
            next(picture.rows("word"))
        with pytest.raises(SystemUnavailable, match="the snapshot is closed"):
            next(picture.table(0))
        with closing(ground.snapshot(rules)) as again:  # whatever it held, it has let go of
            assert sum(1 for _ in again.rows("word")) == 5_000

    def test_a_picture_stops_no_user(self, ground: Ground) -> None:
        rules, user = ground.make(WORD), ground.user()
        user.insert("word", ("a", "1"))
        with closing(ground.snapshot(rules)) as picture:
            next(picture.rows("word"))
            user.update("word", ["a"], v="2")
            with ground.writing(rules) as target:
                changed = target.apply(batch(1, write("update", "word", (1,), [row(1, "a", ("3",), ("2",))])))

        assert changed.exceptions == []
        assert user.rows("word") == [("a", "3")]
