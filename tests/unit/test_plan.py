"""What is due becomes set-based writes: grouped by what they set, parents first, nothing that nobody may know."""

from __future__ import annotations

import pytest

from engine.errors import ValueRefused
from engine.merge import EntityRules
from engine.plan import Item, in_order, plan, row_of
from engine.record import UNSET_VERSION, Record, Side
from engine.rulebook import EXISTENCE
from engine.vocabulary import UNSET, Version, Write
from tests.simulation.books import FIELDS, ORDER_FIELDS, UNSTORABLE, book

V1 = Version(1, "erp", 1, 10)
V2 = Version(2, "erp", 2, 20)
BOOK = book(("erp", "crm"), orders=True, codecs=True)
RULES = {name: EntityRules(entity, rank) for rank, (name, entity) in enumerate(BOOK.entities.items())}
NAME, NOTE, TERMS, GRADE = (FIELDS.index(n) for n in ("name", "note", "terms", "grade"))
REGISTER_OF = RULES["item"].register_of


def item(key: str, side: Side, *, alive: bool = True, **values: str | None | bool) -> Item:
    """A record `item` at V2, of which `crm` holds what the side says."""
    registers = RULES["item"].registers
    row: list[str | None | bool] = [f"{name} of {key}" for name in FIELDS]
    row[0], row[GRADE] = key, "A"
    for name, value in values.items():
        row[FIELDS.index(name)] = value
    unset = bytes([1 if r.fields and row[r.fields[0]] is UNSET else 0 for r in registers])
    return RULES["item"], key, Record(alive, tuple(row), [V2, UNSET_VERSION], unset, {"crm": side}), side


def order(key: str, side: Side, *, alive: bool = True, number: int = 7) -> Item:
    """A record `order` that refers to the item k0."""
    values = (key, "k0", "memo", None)
    side.due = number
    return RULES["order"], key, Record(alive, values, [V2], bytes(len(ORDER_FIELDS)), {"crm": side}), side


def held(due: int = 7, **values: str) -> Side:
    """A side that holds other values of these fields, of an older version."""
    return Side(
        held={REGISTER_OF[FIELDS.index(name)]: (V1, (value,)) for name, value in values.items()}, due=due, fresh=[]
    )


def lacking() -> Side:
    """A side that does not have the record."""
    return Side(held={EXISTENCE: (None, (False,))}, due=7, fresh=[])


def planned(*items: Item) -> list[Write]:
    """The writes for these records; nothing may be refused."""
    writes, rows = plan(items, "crm", lambda rules, key, reason: pytest.fail(reason), {})
    assert rows == sum(len(write.rows) for write in writes)
    return writes


def test_rows_that_set_the_same_columns_share_a_statement() -> None:
    writes = planned(
        item("k1", held(name="a")), item("k2", held(note="b")), item("k3", held(name="c")),
        item("k4", held(name="d", note="e")),
    )

    assert [(w.kind, w.columns, [row[1] for row in w.rows]) for w in writes] == [
        ("update", (NAME,), ["k1", "k3"]), ("update", (NOTE,), ["k2"]), ("update", (NAME, NOTE), ["k4"]),
    ]


def test_an_update_carries_what_is_held_as_its_guard() -> None:
    (write,) = planned(item("k1", held(name="a", note="b")))

    assert write.rows == [(7, "k1", ("k1",), ("name of k1", "note of k1"), ("a", "b"))]


def test_parents_are_inserted_before_children_and_deleted_after_them() -> None:
    gone = Side(held={EXISTENCE: (V1, (True,))}, fresh=[])
    writes = planned(
        order("o1", lacking()), item("k1", lacking()),
        item("k2", Side(held={EXISTENCE: (V1, (True,))}, due=7, fresh=[]), alive=False), order("o2", gone, alive=False),
    )

    assert [(w.kind, w.entity) for w in writes] == [
        ("insert", "item"), ("insert", "order"), ("delete", "order"), ("delete", "item"),
    ]


def test_pages_go_down_the_entities_and_deletions_back_up() -> None:
    assert [(r.name, deletions) for r, deletions in in_order(RULES.values())] == [
        ("item", False), ("order", False), ("order", True), ("item", True),
    ]


def test_a_field_that_nobody_has_set_is_left_out_of_an_insert() -> None:
    (write,) = planned(item("k1", lacking(), limit=UNSET))

    assert FIELDS.index("limit") not in write.columns
    assert len(write.columns) == len(FIELDS) - 1


def test_an_insert_is_stored_as_the_system_stores_it() -> None:
    (write,) = planned(item("k1", lacking()))

    values = dict(zip(write.columns, write.rows[0][3], strict=True))
    assert (values[GRADE], values[FIELDS.index("first")]) == ("1", "#first of k1")


def test_a_deletion_is_guarded_by_everything_held() -> None:
    side = Side(held={EXISTENCE: (V1, (True,)), 1: (V1, ("a",))}, due=7, fresh=[])

    (write,) = planned(item("k1", side, alive=False))

    assert write.kind == "delete" and len(write.rows[0][4]) == len(FIELDS) - 1
    assert write.rows[0][4][0] == "a"


def test_what_is_stored_alike_needs_no_statement() -> None:
    assert planned(item("k1", held(name="name of k1"))) == []


@pytest.mark.parametrize("state", [{"out": True}, {"bad": "refused"}, {"wait": 99}])
def test_who_waits_is_not_written(state: dict[str, bool | str | int]) -> None:
    side = held(name="a")
    for name, value in state.items():
        setattr(side, name, value)

    assert planned(item("k1", side)) == []


def test_a_held_register_and_a_held_existence_are_not_written() -> None:
    one, two = item("k1", held(name="a", note="b")), item("k2", lacking())
    one[2].holds[REGISTER_OF[NAME]] = "hold"
    two[2].holds[EXISTENCE] = "hold"

    (write,) = planned(one, two)

    assert write.columns == (NOTE,)


def test_a_hold_that_came_after_the_batch_was_formed_does_not_stop_it() -> None:
    rules, key, record, side = item("k1", held(name="a"))
    side.sent, side.sent_due, side.due = {}, 7, 9
    record.holds[REGISTER_OF[NAME]] = "hold"

    found = row_of(rules, key, record, side, "crm")

    assert found is not None and found[2][0] == 7


def test_a_paged_insert_is_planned_as_it_was_when_the_batch_was_formed() -> None:
    rules, key, record, side = item("k1", lacking(), grade=UNSTORABLE)
    side.sent, side.sent_due, side.due = {REGISTER_OF[GRADE]: (V1, ("3",))}, 7, 9

    found = row_of(rules, key, record, side, "crm")

    assert found is not None
    assert dict(zip(found[1], found[2][3], strict=True))[GRADE] == "3"


def test_a_value_without_a_counterpart_is_refused_and_the_rest_is_planned() -> None:
    refused: list[tuple[str, str]] = []

    writes, rows = plan(
        [item("k1", lacking(), grade=UNSTORABLE), item("k2", held(name="a"))], "crm",
        lambda rules, key, reason: refused.append((key, reason)), {},
    )

    assert refused == [("k1", f"`{UNSTORABLE}` has no counterpart")]
    assert rows == 1 and writes[0].rows[0][1] == "k2"


def test_row_of_raises_what_plan_reports() -> None:
    rules, key, record, side = item("k1", lacking(), grade=UNSTORABLE)

    with pytest.raises(ValueRefused):
        row_of(rules, key, record, side, "crm")
