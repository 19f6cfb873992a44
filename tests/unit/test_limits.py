"""Too much at once stops an entity, in the real desk: what is counted and for how long, and when a table is empty.

A transaction larger than memory counts as a whole. What becomes of a stopped entity: `test_limits_answered`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.memory import MemoryStore
from engine.desk.limits import GRAINS, Window
from engine.rulebook import Limit, Limits
from tests.unit.limits import DELETES, INSERTS, SECOND, UPDATES, LimitedDesk, desk_of, limited

# ------------------------------------------------------------ counting


def test_as_many_as_are_allowed_flow_and_one_more_stops_its_whole_transaction() -> None:
    desk = desk_of(DELETES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(5), "delete"))
    assert len(desk.written("crm")) == 5
    desk.tx("erp", *desk.items("erp", range(5, 7), "delete"))
    assert desk.written("crm") == []
    assert desk.decider.stops["item"].words() == (
        "users of erp deleted 7 records of `item` within 1 min; 5 are allowed"
    )


def test_an_update_without_a_where_stops_and_nothing_of_it_is_written() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(20), "update", name="y"))
    assert desk.written("crm") == []
    assert desk.decider.stops["item"].what == "updates"
    assert desk.decider.quiet()


def test_an_import_that_is_larger_than_allowed_stops() -> None:
    desk = desk_of(INSERTS)
    desk.fill(6)
    assert desk.decider.stops["item"].words() == "users of erp inserted 6 records of `item` within 1 min; 5 are allowed"
    assert desk.written("crm") == []


def test_a_slow_drip_never_stops() -> None:
    desk = desk_of(replace(DELETES, emptied=False))
    desk.fill(40)
    for n in range(40):
        desk.tx("erp", *desk.items("erp", range(n, n + 1), "delete"), at=n * 13 * SECOND)
        assert desk.written("crm") == [("delete", f"i{n}")]
    assert desk.decider.stops == {}


def test_what_means_nothing_to_others_is_not_counted() -> None:
    made = limited(replace(DELETES, updates=Limit(5, 60)))
    item = made.entities["item"]
    desk = LimitedDesk(replace(made, entities={**made.entities, "item": replace(
        item, delete={"erp": "propagate", "crm": "restore"},
    )}))
    desk.fill(20)
    desk.tx("crm", *desk.items("crm", range(20), "delete"))  # not from there: all of it is made again
    assert len(desk.written("crm")) == 20
    desk.tx("crm", *desk.items("crm", range(20), "update", name="x", limit="mine"))  # not his to write
    assert desk.decider.stops == {}


def test_a_row_deleted_and_made_again_in_one_transaction_is_an_update() -> None:
    desk = desk_of(DELETES)
    desk.fill(20)
    again = [c for n in range(20) for c in (
        desk.delete("erp", "item", f"i{n}"), desk.row("erp", "item", code=f"i{n}", name="y"),
    )]
    desk.tx("erp", *again)
    assert desk.decider.stops == {}
    assert len(desk.written("crm")) == 20


def test_a_row_made_and_deleted_in_one_transaction_is_nothing() -> None:
    desk = desk_of(replace(DELETES, inserts=Limit(5, 60)))
    passing = [c for n in range(20) for c in (
        desk.row("erp", "item", code=f"p{n}"), desk.delete("erp", "item", f"p{n}"),
    )]
    desk.tx("erp", *passing)
    assert desk.decider.stops == {}


def test_each_system_has_a_window_of_its_own() -> None:
    desk = desk_of(UPDATES)
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(4), "update", name="y"))
    desk.settle()
    desk.tx("crm", *desk.items("crm", range(4), "update", name="z"))
    assert desk.decider.stops == {}
    desk.tx("crm", *desk.items("crm", range(4, 6), "update", name="z"))
    assert desk.decider.stops["item"].system == "crm"


@pytest.mark.parametrize("seconds", [1, 7, 60, 3600])
def test_a_window_counts_no_more_than_its_length_and_all_but_a_hundredth_of_it(seconds: int) -> None:
    window = Window(seconds)
    length, grain = seconds * SECOND, seconds * SECOND // GRAINS
    start = 1_700_000_000 * SECOND
    assert window.add(start, 3) == 3
    assert window.add(start + length - 2 * grain, 2) == 5
    assert window.add(start + length, 1) == 3
    assert window.add(start - 10 * length, 1) == 1, "a clock that was set back starts anew"


def test_a_window_stays_small_however_much_is_counted() -> None:
    window = Window(60)
    for n in range(20_000):
        window.add(n * SECOND // 100, 1)
    assert len(window._counts) <= 2 * GRAINS


# ------------------------------------------------------------ emptied


def test_a_table_that_has_lost_all_rows_stops_without_any_word_in_the_rules() -> None:
    desk = desk_of()
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(20), "delete"))
    assert desk.written("crm") == []
    assert desk.decider.stops["item"].words() == (
        "erp has no record of `item` left: its users deleted 20 within 1 h"
    )


@pytest.mark.parametrize("left", range(20))
def test_a_table_with_one_row_left_is_not_empty(left: int) -> None:
    desk = desk_of()
    desk.fill(20)
    for n in (0, 19):  # whichever was looked at last is gone
        desk.tx("erp", *desk.items("erp", range(n, n + 1), "update", name="y"))
    desk.tx("erp", *[c for n in range(20) if n != left for c in desk.items("erp", range(n, n + 1), "delete")])
    assert desk.decider.stops == {}


def test_a_table_emptied_in_chunks_stops_at_the_last() -> None:
    desk = desk_of()
    desk.fill(100)
    for start in range(0, 100, 20):
        assert desk.decider.stops == {}
        desk.tx("erp", *desk.items("erp", range(start, start + 20), "delete"))
    assert len(desk.written("crm")) == 80
    assert desk.decider.stops["item"].count == 100


class _CountingStore(MemoryStore):
    """Counts the records that a scan has handed over."""

    scanned = 0

    def scan(self, entity: str, start: str = "") -> Iterator[tuple[str, bytes]]:
        for item in super().scan(entity, start):
            self.scanned += 1
            yield item


def test_a_purge_in_the_order_of_keys_does_not_look_at_its_tombstones_again_and_again() -> None:
    """Found by reading: a purge of 40,000 rows in 200 transactions took the deciding thread more than a minute."""
    desk = desk_of()
    desk.store = _CountingStore()
    desk.restart()
    numbers = range(10_000, 20_000)
    desk.tx("erp", *desk.items("erp", numbers, name="x"))
    desk.settle()
    for start in range(10_000, 19_900, 100):
        desk.tx("erp", *desk.items("erp", range(start, start + 100), "delete"))
        desk.settle()
    assert desk.decider.stops == {}
    assert desk.store.scanned < 3 * len(numbers)
    desk.tx("erp", *desk.items("erp", range(19_900, 20_000), "delete"))
    assert desk.decider.stops["item"].what == "emptied"


def test_a_row_that_is_left_before_the_one_that_was_looked_at_last_is_found() -> None:
    desk = desk_of()
    desk.fill(60)
    desk.tx("erp", *desk.items("erp", range(10, 60), "delete"))
    desk.settle()
    desk.restart()
    desk.tx("erp", *[c for n in (0, 2, 3, 4, 5, 6, 7, 8, 9) for c in desk.items("erp", range(n, n + 1), "delete")])
    assert desk.decider.stops == {}


def test_a_handful_may_go_and_so_may_all_if_the_rule_says_so() -> None:
    desk = desk_of()
    desk.fill(15)
    desk.tx("erp", *desk.items("erp", range(15), "delete"))
    assert desk.decider.stops == {}
    desk = desk_of(Limits(emptied=False))
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(20), "delete"))
    assert desk.decider.stops == {}


def test_a_table_that_is_loaded_anew_in_one_transaction_is_not_empty() -> None:
    desk = desk_of()
    desk.fill(20)
    desk.tx("erp", *desk.items("erp", range(20), "delete"), *desk.items("erp", range(100, 120), name="x"))
    assert desk.decider.stops == {}


# ------------------------------------------------------------ transactions larger than memory


def test_a_transaction_larger_than_memory_is_stopped_as_a_whole() -> None:
    desk = desk_of(DELETES)
    desk.fill(60)
    desk.decider.cache_records_max = 10
    chunks = [desk.items("erp", range(n, n + 10), "delete") for n in range(0, 50, 10)]
    child = [desk.row("erp", "order", code="o1", item="i55")]
    desk.spooled("erp", *chunks[:4], child, chunks[4])
    assert desk.written("crm") == [("insert", "o1")]
    desk.restart()
    assert desk.written("crm") == []
    assert desk.ask("allow", entity="item") == "`item` goes on; 50 records waited"
    assert len(desk.written("crm")) == 50


def test_a_transaction_larger_than_memory_within_the_limit_flows() -> None:
    desk = desk_of(Limits(deletes=Limit(50, 60)))
    desk.fill(60)
    desk.spooled("erp", *[desk.items("erp", range(n, n + 10), "delete") for n in range(0, 50, 10)])
    assert len(desk.written("crm")) == 50


def test_a_table_emptied_by_a_transaction_larger_than_memory_stops() -> None:
    desk = desk_of()
    desk.fill(60)
    desk.decider.cache_records_max = 10
    desk.spooled("erp", *[desk.items("erp", range(n, n + 10), "delete") for n in range(0, 60, 10)])
    assert desk.written("crm") == []
    assert desk.decider.stops["item"].what == "emptied"


def test_a_table_loaded_anew_by_a_transaction_larger_than_memory_is_not_empty() -> None:
    desk = desk_of()
    desk.fill(60)
    desk.decider.cache_records_max = 10
    gone = [desk.items("erp", range(n, n + 10), "delete") for n in range(0, 60, 10)]
    new = [desk.items("erp", range(n, n + 40), name="x") for n in (100, 140)]
    desk.spooled("erp", *gone, *new)
    assert desk.decider.stops == {}
