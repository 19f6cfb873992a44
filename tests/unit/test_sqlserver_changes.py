"""The arithmetic of LSNs, the masks of change tables, and which rows are one change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sqlserver import grouping, instances, lsn, marks
from adapters.sqlserver.grouping import Captured
from adapters.sqlserver.instances import Instance
from engine.catalog import Column
from engine.errors import CaptureMissing, CaptureStopped, LogLost, LogUnreadable, SchemaChanged
from engine.rulebook import Table
from engine.vocabulary import ABSENT, Text

LSNS = st.builds(
    lambda file, block, slot: (file << 32 | block) << 16 | slot,
    st.integers(0, (1 << 23) - 1), st.integers(0, (1 << 28) - 1), st.integers(0, (1 << 12) - 1),
)  # fmt: skip

ITEM = Table("dbo", "item", ("id", "name", "note"), (0,))
LINE = Table("dbo", "line", ("id", "at"), (0,))
COLUMNS = {
    "id": Column("id", "bigint", "integer"), "name": Column("name", "nvarchar(40)", "text"),
    "note": Column("note", "nvarchar(max) collate Latin1_General_CI_AS", "text"), "at": Column("at", "ntext", "text"),
}  # fmt: skip
WAYS = [
    grouping.told(ITEM, Instance("i", ("dbo", "item"), 1, 1, {"id": 1, "x": 2, "name": 3, "note": 4}), COLUMNS),
    grouping.told(LINE, Instance("l", ("dbo", "line"), 1, 2, {"id": 1, "at": 2}), COLUMNS),
]


def captured(operation: int, texts: Sequence[Text], *, at: int = 1, table: int = 0, mask: int = 0xFF) -> Captured:
    """A row of a change table. Places of the log are counted from 1."""
    return (b"\0" * 10, at.to_bytes(10, "big"), table, operation, bytes([mask]), tuple(texts))


def changed(*rows: Captured) -> list[object]:
    """The changes that they are."""
    return list(grouping.changes(rows, WAYS))


# ------------------------------------------------------------ LSNs


def test_an_lsn_is_the_same_in_all_its_forms() -> None:
    number = lsn.of_text("0000002b:00000bd8:0001")

    assert lsn.stored(number).hex() == "0000002b00000bd80001"
    assert lsn.number(bytes.fromhex("0000002B00000BD80001")) == number
    assert lsn.of_numeric(43000000303200001) == number
    assert lsn.text(lsn.of_position(lsn.position(number))) == "0000002b:00000bd8:0001"


@given(LSNS, LSNS)
def test_positions_are_in_the_order_of_the_log_and_lead_back_to_it(one: int, other: int) -> None:
    assert lsn.of_position(lsn.position(one)) == one
    assert (lsn.position(one) < lsn.position(other)) == (lsn.stored(one) < lsn.stored(other))
    assert lsn.position(one) < 1 << 63


@pytest.mark.parametrize("text", ["00800000:00000000:0000", "00000001:10000000:0000", "00000001:00000001:1000"])
def test_an_lsn_that_a_position_has_no_room_for_stops_and_is_not_cut(text: str) -> None:
    with pytest.raises(LogUnreadable, match=text):
        lsn.position(lsn.of_text(text))


@given(st.integers(0, (1 << 71) - 1))
def test_the_last_position_before_a_bound_is_never_behind_it(bound: int) -> None:
    at = lsn.position_below(bound)

    assert lsn.of_position(at) <= bound
    assert at == 0 or lsn.of_position(at + 1) > bound


# ------------------------------------------------------------ changes


def test_both_sides_of_an_update_are_one_change() -> None:
    assert changed(captured(3, ["1", "a", None], mask=4), captured(4, ["1", "b", "x"], mask=4)) == [
        (0, "U", ("1", "b", "x"), None)
    ]


def test_an_update_of_the_key_bears_the_row_before() -> None:
    assert changed(captured(3, ["1", "a", None], mask=1), captured(4, ["2", "a", "x"], mask=1)) == [
        (0, "U", ("2", "a", "x"), ("1", "a", ABSENT))
    ]


def test_a_large_value_that_was_not_changed_is_unknown_where_it_is_not_told() -> None:
    rows = captured(3, ["1", "a", None], mask=4), captured(4, ["2", "b", None], mask=4)
    assert changed(*rows) == [(0, "U", ("2", "b", ABSENT), ("1", "a", ABSENT))]

    emptied = captured(3, ["1", "a", "x"], mask=8), captured(4, ["2", "a", None], mask=8)
    assert changed(*emptied) == [(0, "U", ("2", "a", None), ("1", "a", "x"))]


def test_of_a_deleted_row_old_large_types_are_unknown() -> None:
    assert changed(captured(1, ["1", "a", None])) == [(0, "D", None, ("1", "a", None))]
    assert changed(captured(1, ["1", None], table=1)) == [(1, "D", None, ("1", ABSENT))]


def test_a_computed_column_is_never_told_as_null() -> None:
    instance = Instance("l", ("dbo", "line"), 1, 2, {"id": 1, "at": 2}, frozenset({"at"}))
    way = grouping.told(LINE, instance, COLUMNS)

    assert list(grouping.changes([captured(2, ["1", None])], [way])) == [(0, "I", ("1", ABSENT), None)]


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        (["1", "a", "x"], ["2", "b", "y"], (1, 1)),  # one record of the log
        (["1", "a", "x"], ["1", "b", "y"], (1, 2)),  # the same row
        (["1", "a", "x"], ["2", "a", "x"], (1, 2)),  # only the key is another
    ],
)
def test_a_deletion_and_an_insertion_that_are_one_update_become_one(
    old: list[Text], new: list[Text], places: tuple[int, int]
) -> None:
    ((table, operation, now, before),) = changed(captured(1, old, at=places[0]), captured(2, new, at=places[1]))  # type: ignore[misc]

    assert (table, operation, now) == (0, "U", tuple(new))
    assert before == (tuple(old) if old[0] != new[0] else None)


def test_other_deletions_and_insertions_stay_what_they_are() -> None:
    gone, come = captured(1, ["1", "a", "x"]), captured(2, ["2", "b", "x"], at=2)
    other = captured(2, ["1", None], at=2, table=1)

    assert [change[1] for change in grouping.changes([gone, come], WAYS)] == ["D", "I"]
    assert [change[:2] for change in grouping.changes([gone, other, come], WAYS)] == [(0, "D"), (1, "I"), (0, "I")]
    assert [change[1] for change in grouping.changes([gone, gone], WAYS)] == ["D", "D"]


def test_of_several_rows_that_go_and_come_none_is_given_the_key_of_another() -> None:
    came = [captured(2, ["5", "c", "x"], at=1), captured(2, ["6", "d", "y"], at=1)]
    one_record = [captured(1, ["1", "c", "x"]), captured(1, ["2", "d", "y"]), *came]
    assert [change[1] for change in grouping.changes(one_record, WAYS)] == ["D", "D", "I", "I"]

    alike = [captured(operation, [key, "a", "x"], at=at)
             for operation, key, at in ((1, "1", 1), (1, "2", 2), (2, "5", 3), (2, "6", 4))]  # fmt: skip
    assert [change[1] for change in grouping.changes(alike, WAYS)] == ["D", "D", "I", "I"]
    assert [change[1] for change in grouping.changes(alike[1:], WAYS)] == ["D", "I", "I"]
    assert [change[1] for change in grouping.changes(alike[:3], WAYS)] == ["D", "D", "I"]

    in_turn = [
        captured(1, ["1", "c", "x"]),
        came[0],
        captured(1, ["2", "d", "y"], at=2),
        captured(2, ["6", "e", "y"], at=2),
    ]
    assert [change[:3] for change in grouping.changes(in_turn, WAYS)] == [
        (0, "U", ("5", "c", "x")), (0, "U", ("6", "e", "y"))
    ]  # fmt: skip


def test_an_insertion_told_before_the_deletion_that_it_replaces_is_one_update() -> None:
    told_wrongly = [captured(2, ["1", "b", "x"], at=1), captured(1, ["1", "a", "x"], at=2)]
    assert changed(*told_wrongly) == [(0, "U", ("1", "b", "x"), None)]

    came_and_went = [captured(2, ["1", "a", "x"], at=1), captured(1, ["1", "a", "x"], at=2)]
    assert changed(*came_and_went) == []
    assert changed(captured(2, ["1", None], table=1), captured(1, ["1", None], at=2, table=1)) == []

    others = [captured(2, ["1", "a", "x"]), captured(1, ["2", "a", "x"], at=2), captured(1, ["1", "a", "x"], at=3)]
    assert [change[1] for change in grouping.changes(others, WAYS)] == ["I", "D", "D"]


# ------------------------------------------------------------ instances


def instance(name: str, start: int, *columns: str, table: str = "item") -> Instance:
    """One that captures these columns."""
    return Instance(name, ("dbo", table), start, hash(name), {column: at for at, column in enumerate(columns, 1)})


ALL = ("id", "name", "note")


def planned(*known: Instance, begin: int = 100, end: int = 200, kept: int = 50) -> tuple[str, int]:
    """(which instance is read, until where)."""
    plan = instances.plan([ITEM], known, begin, end, kept=kept, system="erp")
    return plan.readers[0].name, plan.until


def test_the_newest_that_reaches_back_is_read() -> None:
    assert planned(instance("old", 10, *ALL), instance("new", 100, *ALL)) == ("new", 200)
    assert planned(instance("old", 10, *ALL), instance("less", 90, "id")) == ("old", 200)


def test_a_newer_one_takes_over_at_its_first_lsn() -> None:
    both = instance("old", 10, *ALL), instance("new", 150, *ALL)

    assert planned(*both) == ("old", 149)
    assert planned(*both, begin=150) == ("new", 200)
    assert planned(*both, end=120) == ("old", 120)


def test_one_that_nothing_was_captured_for_yet_is_waited_for() -> None:
    assert planned(instance("old", 10, *ALL), instance("new", 0, *ALL)) == ("old", 200)
    with pytest.raises(CaptureStopped):
        planned(instance("new", 0, *ALL))


def test_each_way_in_which_an_instance_does_not_serve_is_told_apart() -> None:
    with pytest.raises(LogLost, match="cleaned up"):
        planned(instance("old", 150, *ALL), kept=150)
    with pytest.raises(CaptureMissing, match="begun anew"):
        planned(instance("new", 150, *ALL), kept=50)
    with pytest.raises(CaptureMissing, match=r"no change of `dbo\.item`"):
        planned(instance("other", 10, *ALL, table="other"))
    with pytest.raises(SchemaChanged, match="`note`"):
        planned(instance("less", 10, "id", "name"))


def test_marks_tell_engines_and_systems_apart() -> None:
    told = {marks.context(engine, system) for engine in ("a", "b") for system in ("erp", "crm")}

    assert len(told) == 4 and all(len(each) <= 128 for each in told)
    assert marks.prefix("a", "erp") == f";WITH CHANGE_TRACKING_CONTEXT (0x{marks.context('a', 'erp').hex().upper()}) "
    assert marks.contexts(["a", "b"], "erp")[marks.context("b", "erp")] == "b"
