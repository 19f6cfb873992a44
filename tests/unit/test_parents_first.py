"""Records are put in the order in which a database can make them that looks at references row by row."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.relational.assembled.values import Record, parents_first
from engine.vocabulary import KeyOf


def record(id: str, *parents: str) -> Record:
    return Record(id, {0: "text", **{at: KeyOf("node", parent) for at, parent in enumerate(parents, 1)}})


def ordered(*records: Record) -> list[str]:
    return [each.id for each in parents_first("node", list(records))]


def test_records_without_references_stay_as_they_are() -> None:
    records = [record("b"), record("a")]

    assert parents_first("node", records) is records


def test_all_that_can_be_made_together_stands_together() -> None:
    assert ordered(record("c", "b"), record("b", "a"), record("x"), record("a"), record("y", "x")) == [
        "x", "a", "b", "y", "c"
    ]  # fmt: skip


def test_what_is_not_among_them_or_no_record_of_theirs_counts_nothing() -> None:
    other = Record("b", {0: KeyOf("other", "a")})

    assert ordered(record("c", "elsewhere"), other, record("a")) == ["c", "b", "a"]


def test_a_circle_and_a_record_that_refers_to_itself_stay_where_they_are() -> None:
    assert ordered(record("z", "a"), record("a", "b"), record("b", "a"), record("s", "s")) == ["a", "b", "s", "z"]


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=12))
def test_a_parent_stands_before_its_child_unless_it_hangs_on_it(pairs: list[tuple[int, int]]) -> None:
    records = [record(str(n), *(str(parent) for child, parent in pairs if child == n)) for n in range(16)]

    order = ordered(*records)

    assert sorted(order) == sorted(each.id for each in records)
    for child, parent in pairs:
        if order.index(str(parent)) > order.index(str(child)):
            assert _hangs(pairs, parent, child)


def _hangs(pairs: list[tuple[int, int]], child: int, ancestor: int) -> bool:
    """True if one record leads to another by its references."""
    reached, waiting = {child}, [child]
    while waiting:
        at = waiting.pop()
        for each, parent in pairs:
            if each == at and parent not in reached:
                reached.add(parent)
                waiting.append(parent)
    return ancestor in reached
