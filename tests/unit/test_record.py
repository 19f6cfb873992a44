"""The state of one record: settled when its system has confirmed, joined again when it has not, and stored unharmed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.record import (
    UNSET_VERSION,
    Layout,
    Mark,
    Record,
    Side,
    by_field,
    decode,
    encode,
    held_alive,
    held_row,
    is_fresh,
    rejoin,
    settle,
)
from engine.rulebook import EXISTENCE
from engine.vocabulary import ABSENT, UNSET, Version
from tests.simulation.books import FIELDS, book
from tests.unit.desk import rules_of

OLD = Version(1, "erp", 1, 10)
NEW = Version(2, "erp", 2, 20)
NEWER = Version(3, "erp", 3, 30)
LAYOUT: Layout = rules_of(("erp", "crm")).layouts["crm"]


def record(version: Version = NEW, value: str = "new", **sides: Side) -> Record:
    """A record whose field `f` is at `version`, all else at OLD."""
    return Record(alive=True, values=("k", value, "x"), table=[OLD, version], index=bytes([0, 1, 0]), sides=sides)


def mark(applied: int = 0, dispatched: int = 0, read: int = 0, *recent: tuple[int, int]) -> Mark:
    """How far a system is."""
    made = Mark()
    made.applied, made.dispatched, made.read, made.recent = applied, dispatched, read, list(recent)
    return made


def due(step: int = 2) -> Side:
    """A side that still holds the old value."""
    return Side(held={1: (OLD, ("old",))}, due=step, fresh=[])


def test_a_side_whose_write_was_confirmed_holds_the_current_version() -> None:
    side = due()

    settle(record(crm=side), side, mark(2, 2, 50, (2, 40)), LAYOUT)

    assert side.held == {} and side.due == 0 and side.idle()


def test_what_the_reader_has_not_passed_is_fresh_until_it_has() -> None:
    side = due()

    settle(record(crm=side), side, mark(2, 2, 30, (2, 40)), LAYOUT)

    assert is_fresh(side, 1, 40) and not is_fresh(side, 1, 41) and not is_fresh(side, 2, 40)
    settle(record(crm=side), side, mark(2, 2, 40, (2, 40)), LAYOUT)
    assert side.idle()


def test_what_was_not_confirmed_stays_due() -> None:
    side = due()

    settle(record(crm=side), side, mark(1, 2), LAYOUT)

    assert side.due == 2 and side.held == {1: (OLD, ("old",))}


def test_a_register_left_to_a_person_stays_as_it_is_held() -> None:
    side = due()
    held = record(crm=side)
    held.holds[1] = "hold"

    settle(held, side, mark(2, 2), LAYOUT)

    assert side.held == {1: (OLD, ("old",))}


def test_a_change_during_a_batch_leaves_what_the_batch_brought() -> None:
    side = Side(held={1: (OLD, ("old",))}, due=3, sent={1: (NEW, ("new",))}, sent_due=2, fresh=[])

    settle(record(NEWER, "newer", crm=side), side, mark(2, 2), LAYOUT)

    assert side.held == {1: (NEW, ("new",))} and side.due == 3 and side.sent is None


def test_a_batch_that_did_not_take_place_leaves_what_was_held() -> None:
    side = Side(held={1: (OLD, ("old",))}, due=3, sent={1: (NEW, ("new",)), 2: (OLD, ("x",))}, sent_due=2, fresh=[])

    rejoin(side)

    assert side.held == {1: (OLD, ("old",)), 2: (OLD, ("x",))} and side.sent is None


def test_a_row_that_was_not_created_holds_nothing() -> None:
    side = Side(held={EXISTENCE: (None, (False,))}, due=3, sent={1: (NEW, ("new",))}, sent_due=2, fresh=[])

    rejoin(side)

    assert side.held == {EXISTENCE: (None, (False,))}


def test_a_write_is_under_way_also_where_nobody_has_settled_the_one_before() -> None:
    side = Side(held={1: (OLD, ("old",))}, due=4, sent={1: (NEW, ("new",))}, sent_due=2, fresh=[])

    assert mark(2, 4).under_way(side)
    assert not mark(2, 2).under_way(side)
    assert mark(1, 2).under_way(side)


def test_the_held_row_is_the_current_one_but_for_what_is_held_otherwise() -> None:
    one = record(crm=due())

    assert held_row(one, one.sides["crm"], LAYOUT) == ("k", "old", "x")
    assert held_row(one, None, LAYOUT) == ("k", "new", "x")
    assert held_alive(one, Side(held={EXISTENCE: (OLD, (False,))})) is False
    assert held_alive(one, None) is True


def test_a_table_in_another_order_is_put_into_the_fields() -> None:
    layout = Layout(book(("erp", "mes")).entities["item"], book(("erp", "mes")).entities["item"].bindings["mes"])
    row = tuple([FIELDS[n] for n in layout.binding.columns])

    image = by_field(row, layout)

    assert image[FIELDS.index("note")] is ABSENT
    assert [v for v in image if v is not ABSENT] == [name for name in FIELDS if name != "note"]


def test_versions_that_nobody_uses_do_not_pile_up() -> None:
    one = record()
    for number in range(3, 400):
        one.accept([1], Version(number, "erp", number, number))

    assert one.version(1).number == 399 and one.version(2) == OLD
    assert len(one.table) < 20


versions = st.builds(
    Version, st.integers(0, 2**60), st.sampled_from(("erp", "crm", "")), st.integers(0, 2**60),
    st.integers(0, 2**63 - 1), st.text(max_size=5),
)
texts = st.one_of(st.none(), st.text(max_size=6), st.just(UNSET))
helds = st.dictionaries(st.integers(0, 2), st.tuples(st.one_of(st.none(), versions), st.tuples(texts)), max_size=3)
sides = st.builds(
    Side, held=helds, due=st.integers(0, 2**60), sent=st.one_of(st.none(), helds), sent_due=st.integers(0, 2**60),
    fresh=st.lists(st.tuples(st.integers(0, 2**60), st.lists(st.integers(0, 2), max_size=2)), max_size=2),
    wait=st.integers(-2, 2**60), heard=st.booleans(), out=st.booleans(), bad=st.text(max_size=4),
)


@given(
    alive=st.booleans(), values=st.tuples(texts, texts, texts), table=st.lists(versions, min_size=3, max_size=3),
    held=st.dictionaries(st.sampled_from(("erp", "crm")), sides, max_size=2),
    holds=st.dictionaries(st.integers(0, 2), st.text(max_size=4), max_size=2),
)
def test_a_record_comes_out_of_the_store_as_it_went_in(
    alive: bool, values: tuple[str | None | bool, ...], table: list[Version], held: dict[str, Side],
    holds: dict[int, str],
) -> None:
    one = Record(alive, values, [UNSET_VERSION, *table], bytes([3, 0, 1]), held, holds)

    again = decode(encode(one))

    assert again == one
    assert [type(v) for v in again.values] == [type(v) for v in values]
