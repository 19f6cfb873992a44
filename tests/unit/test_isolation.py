"""Isolation finds the rows to blame, whatever is locked or refused, and writes all others, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from hypothesis import given
from hypothesis import strategies as st

from adapters.relational.isolation import (
    Again,
    Blocked,
    Doomed,
    Isolation,
    Lost,
    Refused,
    Tries,
    isolated,
    losses_max,
    patience,
)
from engine.vocabulary import KeyOf, RowResult, Write
from tests.database.books import row, write


class Fake:
    """A transaction over a set of written keys. `parents`: a key is refused while its parent is not written."""

    def __init__(self, locked: set[str], refused: set[str], parents: dict[str, str]) -> None:
        self.written: set[str] = set()
        self.waited = 0
        self.waiting = True
        self._locked = locked
        self._refused = refused
        self._parents = parents

    def segment(self) -> AbstractContextManager[None]:
        return self._segment()

    @contextmanager
    def _segment(self) -> Iterator[None]:
        before = set(self.written)
        try:
            yield
        except BaseException:
            self.written = before
            raise

    def write(self, writes: list[Write]) -> list[RowResult]:
        for key in [asked[1] for each in writes for asked in each.rows]:
            if key in self._locked:
                self.waited += self.waiting
                raise Blocked
            if key in self._refused or self._parents.get(key, key) not in self.written | {key}:
                raise Refused("why")
            self.written.add(key)
        return []

    def locked(self, write: Write) -> list[int]:
        return [at for at, (_, key, *_) in enumerate(write.rows) if key in self._locked and "probe" in key]

    def stop_waiting(self) -> None:
        self.waiting = False


rows = st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=14)


@given(rows, st.data())
def test_every_row_is_written_or_told_once_and_a_step_that_is_blocked_is_left_out_whole(
    given_rows: list[tuple[int, bool]], data: st.DataObject
) -> None:
    keys = [f"{n}{'probe' if probe else ''}" for n, (_, probe) in enumerate(given_rows)]
    steps = {key: step for key, (step, _) in zip(keys, given_rows, strict=True)}
    locked = data.draw(st.sets(st.sampled_from(keys), max_size=3))
    refused = data.draw(st.sets(st.sampled_from(keys), max_size=3)) - locked
    parents = data.draw(st.dictionaries(st.sampled_from(keys), st.sampled_from(keys), max_size=4))
    parents = {child: parent for child, parent in parents.items() if keys.index(parent) < keys.index(child)}
    cut = data.draw(st.integers(0, len(keys)))
    pages = [
        [write("insert" if kind else "update", "item", (1,), [row(steps[k], k) for k in page if ("probe" in k) != kind])
         for kind in (True, False)]
        for page in (keys[:cut], keys[cut:])
    ]  # fmt: skip

    tries = Tries()
    while True:
        fake = Fake(locked, refused, parents)
        try:
            results = Isolation(fake, tries).run([[w for w in page if w.rows] for page in pages])
            break
        except Again:
            pass

    assert sorted([*fake.written, *(result.key for result in results)]) == sorted(keys)
    kinds = {result.key: result.kind for result in results}
    blocked_steps = {steps[key] for key in locked}
    for key in keys:
        if steps[key] in blocked_steps:
            assert kinds[key] == "deferred"
        elif key in refused:
            assert kinds[key] == "failed"
        elif key not in parents:
            assert key in fake.written
    for key in fake.written:
        assert parents.get(key, key) in fake.written | {key}
    assert fake.waited <= patience


def test_an_undisturbed_batch_is_one_segment() -> None:
    fake = Fake(set(), set(), {})

    assert Isolation(fake, Tries()).run([[write("update", "item", (1,), [row(n, str(n)) for n in range(9)])]]) == []
    assert fake.written == {str(n) for n in range(9)}


class Circle(Fake):
    """Every row refers to the next by a `KeyOf`; a row is refused unless that one is written with it or before it."""

    def write(self, writes: list[Write]) -> list[RowResult]:
        asked = {one[1]: one[3][0] for each in writes for one in each.rows}
        for key, parent in asked.items():
            assert isinstance(parent, KeyOf)
            if key in self._refused or parent.id not in self.written | asked.keys():
                raise Refused("why")
        self.written |= asked.keys()
        return []


def test_rows_that_refer_to_one_another_are_tried_together_when_another_is_to_blame() -> None:
    fake = Circle(set(), {"bad"}, {})
    parents = {"a": "b", "b": "c", "bad": "a", "c": "a", "d": "bad"}
    rows = [(1, key, (), (KeyOf("item", parent),), ()) for key, parent in parents.items()]

    results = Isolation(fake, Tries()).run([[Write("insert", "item", (1,), rows)]])  # type: ignore[arg-type]

    assert fake.written == {"a", "b", "c"}
    assert [(result.key, result.kind) for result in results] == [("bad", "failed"), ("d", "failed")]


class Deadly(Fake):
    """Writing one of the steps ends the whole transaction, the first so many times."""

    def __init__(self, deadly: set[int], times: int) -> None:
        super().__init__(set(), set(), {})
        self.deadly = deadly
        self.times = times
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1
        self.written = set()
        self.waiting = True

    def rollback(self) -> None:
        self.written = set()

    @contextmanager
    def _segment(self) -> Iterator[None]:
        before = set(self.written)
        try:
            yield
        except Lost:
            self.written = set()
            raise
        except BaseException:
            self.written = before
            raise

    def write(self, writes: list[Write]) -> list[RowResult]:
        asked = [one for each in writes for one in each.rows]
        if self.times and {one[0] for one in asked} & self.deadly:
            self.times -= 1
            raise Lost
        self.written |= {one[1] for one in asked}
        return []


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.sets(st.integers(1, 40), max_size=30), st.data())
def test_a_lost_transaction_is_tried_anew_until_what_loses_it_has_stepped_aside(
    steps: list[int], deadly: set[int], data: st.DataObject
) -> None:
    times = data.draw(st.sampled_from([1, 3, 1000]))
    fake = Deadly(deadly, times)
    rows = [row(step, str(number)) for number, step in enumerate(sorted(steps))]
    cut = data.draw(st.integers(0, len(rows)))
    pages = [[write("update", "item", (1,), page)] for page in (rows[:cut], rows[cut:]) if page]

    results = isolated(fake, lambda: pages, fake.begin, fake.rollback)

    aside = {one[0] for one in rows if one[1] not in fake.written}
    assert {one[0] for one in rows if one[1] in fake.written} & aside == set()
    assert sorted(result.key for result in results if result.kind == "deferred") == sorted(
        one[1] for one in rows if one[0] in aside
    )
    assert sorted([*fake.written, *(result.key for result in results)]) == sorted(one[1] for one in rows)
    if times == 1000:
        assert aside >= deadly & set(steps)
    if not deadly & set(steps):
        assert (aside, fake.begun) == (set(), 1)
    assert fake.begun <= 2 + losses_max + len(deadly & set(steps))


def test_after_some_losses_locks_are_waited_for_no_more() -> None:
    fake = Deadly({1}, patience)
    rows = [row(step, str(step)) for step in range(1, 2 << patience)]

    results = isolated(fake, lambda: [[write("update", "item", (1,), rows)]], fake.begin, fake.rollback)

    assert (results, fake.begun, fake.waiting) == ([], patience + 1, False)


class Dooming(Deadly):
    """Writing one of the bad rows ends the whole transaction, always; others are blocked or refused."""

    def __init__(self, bad: set[str], refused: set[str], locked: set[str]) -> None:
        super().__init__(set(), 0)
        self._bad, self._refused, self._locked = bad, refused, locked

    @contextmanager
    def _segment(self) -> Iterator[None]:
        try:
            with super()._segment():
                yield
        except Doomed:
            self.written = set()
            raise

    def write(self, writes: list[Write]) -> list[RowResult]:
        for key in [asked[1] for each in writes for asked in each.rows]:
            if key in self._bad:
                raise Doomed("why")
            if key in self._locked:
                raise Blocked
            if key in self._refused:
                raise Refused("why")
            self.written.add(key)
        return []


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.data())
def test_a_row_that_dooms_the_transaction_is_found_and_all_others_are_written(
    steps: list[int], data: st.DataObject
) -> None:
    rows = [row(step, str(number)) for number, step in enumerate(sorted(steps))]
    keys = st.sampled_from([one[1] for one in rows])
    bad = data.draw(st.sets(keys, max_size=3))
    refused, locked = data.draw(st.sets(keys, max_size=2)) - bad, data.draw(st.sets(keys, max_size=1)) - bad
    cut = data.draw(st.integers(0, len(rows)))
    pages = [[write("update", "item", (1,), page)] for page in (rows[:cut], rows[cut:]) if page]
    fake = Dooming(bad, refused, locked)

    results = isolated(fake, lambda: pages, fake.begin, fake.rollback)

    kinds = {result.key: result.kind for result in results}
    assert sorted([*fake.written, *kinds]) == sorted(one[1] for one in rows)
    assert len(kinds) == len(results)
    aside = {one[0] for one in rows if one[1] in locked}
    for step, key, *_ in rows:
        if step in aside:
            assert kinds[key] == "deferred"
        elif key in bad | refused:
            assert kinds[key] == "failed"
        elif fake.begun <= losses_max:
            assert key in fake.written


def test_many_rows_that_doom_the_transaction_come_to_an_end() -> None:
    rows = [row(step, f"{step}.{number}") for step in range(40) for number in range(3)]
    fake = Dooming({one[1] for one in rows if one[1].endswith(".1")}, set(), set())

    results = isolated(fake, lambda: [[write("update", "item", (1,), rows)]], fake.begin, fake.rollback)

    assert {result.kind for result in results} <= {"failed", "deferred"}
    assert any(result.kind == "failed" for result in results)
    assert sorted([*fake.written, *(result.key for result in results)]) == sorted(one[1] for one in rows)
