"""The records are shared out: what has to be decided in one order is in one partition, whichever system tells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.assembly import KEY_SEPARATOR
from engine.flows import Plan, place
from engine.rulebook import RuleBook
from engine.vocabulary import ABSENT, DELETE, INSERT, TRUNCATE, UPDATE, Change
from rules import compile_book, load
from rules.flows import plan_of

HEAD = """
duolog: 1
systems:
  erp: {adapter: postgresql, url: "postgresql://erp.example/erp"}
  crm: {adapter: postgresql, url: "postgresql://crm.example/crm"}
entities:
"""
ORDERS = """
  purchase:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: purchase}, crm: {table: deal}}
    fields: {no: no, note: {erp: note, crm: remark}}
  line:
    identity: [purchase, pos]
    conflict: last_writer
    bind: {erp: {table: line}, crm: {table: item}}
    fields: {pos: {erp: pos, crm: place}, purchase: {erp: purchase, crm: deal, reference: purchase}, text: text}
"""
CUSTOMER = """
  customer:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: customer}, crm: {table: account}}
    fields: {no: no, name: name%s}
"""
PARTY = """
  party:
    identity: [name]
    conflict: last_writer
    bind: {erp: {table: party, key: id}, crm: {table: person, key: id}}
    fields: {name: name, kind: {erp: {column: kind_id, lookup: {table: kind, key: id, by: code}}, crm: kind}}
"""


def book_of(folder: Path, *entities: str) -> RuleBook:
    """Compiled without catalogs."""
    path = folder / "rules.yaml"
    path.write_text(dedent(HEAD) + "".join(entities))
    loaded = load(path, {})
    assert loaded.rules is not None, loaded.problems
    book, problems = compile_book(loaded.rules, None)
    assert [problem for problem in problems if problem.severity == "error"] == []
    return book


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> tuple[RuleBook, Plan]:
    """Purchases with their lines, spread over five partitions."""
    book = book_of(tmp_path_factory.mktemp("orders"), ORDERS)
    return book, plan_of(book, 5)


def table(book: RuleBook, system: str, entity: str) -> int:
    return book.entities[entity].bindings[system].table


texts = st.text(st.characters(exclude_characters="\x00\x1f", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(key=texts, pos=texts, partitions=st.integers(1, 64))
def test_a_record_and_what_belongs_to_it_are_in_one_partition_whichever_system_tells(
    orders: tuple[RuleBook, Plan], key: str, pos: str, partitions: int
) -> None:
    book, _ = orders
    plan = plan_of(book, partitions)
    home = plan.home("purchase", key)
    assert 0 <= home < partitions
    assert plan.home("line", KEY_SEPARATOR.join((key, pos))) == home
    for system in book.systems:
        line = book.tables[system][table(book, system, "line")]
        names = {"purchase": key, "deal": key, "pos": pos, "place": pos}
        row = tuple(names.get(column, "x") for column in line.columns)
        for change in ((INSERT, row, None), (UPDATE, row, None), (DELETE, None, row)):
            whole: Change = (table(book, system, "line"), *change)
            assert plan.split(system, [whole]) == {home: [whole]}
        assert plan.belongs(home, system, table(book, system, "line"), row)


def test_the_same_key_has_the_same_partition_for_ever() -> None:
    assert [place("thing", key, 8) for key in ("1", "2", "C1001", "ü", "a\x1fb")] == [4, 4, 5, 1, 0]


def test_keys_that_count_up_are_spread_evenly() -> None:
    for partitions in (2, 7, 8, 32):
        found = Counter(place("thing", str(number), partitions) for number in range(32_000))
        assert len(found) == partitions
        assert max(found.values()) < 1.1 * 32_000 / partitions
        assert min(found.values()) > 0.9 * 32_000 / partitions


def test_another_key_that_lives_elsewhere_is_a_deletion_here_and_an_insert_there(
    orders: tuple[RuleBook, Plan],
) -> None:
    book, plan = orders
    number = table(book, "erp", "purchase")
    stays = next(str(n) for n in range(2, 99) if plan.home("purchase", str(n)) == plan.home("purchase", "1"))
    leaves = next(str(n) for n in range(2, 99) if plan.home("purchase", str(n)) != plan.home("purchase", "1"))
    here, there = plan.home("purchase", "1"), plan.home("purchase", leaves)
    within: Change = (number, UPDATE, (stays, "a"), ("1", "a"))
    away: Change = (number, UPDATE, (leaves, ABSENT), ("1", "large"))

    assert plan.split("erp", [within]) == {here: [within]}
    assert plan.split("erp", [away]) == {
        here: [(number, DELETE, None, ("1", "large"))], there: [(number, INSERT, (leaves, "large"), None)],
    }  # fmt: skip


def test_an_emptied_table_is_told_to_all_who_may_have_rows_of_it(orders: tuple[RuleBook, Plan]) -> None:
    book, plan = orders
    emptied: Change = (table(book, "erp", "line"), TRUNCATE, None, None)
    assert plan.split("erp", [emptied]) == {number: [emptied] for number in range(5)}


def test_a_reference_outside_the_key_keeps_a_flow_in_one_partition(tmp_path: Path) -> None:
    refers = ", of: {erp: customer, crm: account, reference: customer}"
    orders = ORDERS.replace("remark}", "remark}" + refers)
    book = book_of(tmp_path, CUSTOMER % "", orders)

    plan = plan_of(book, 8)
    (flow,) = plan.flows

    assert flow.entities == ("customer", "purchase", "line") and not flow.spread
    assert flow.why == "the key of `purchase` does not contain that of `customer`"
    assert plan.home("line", "1\x1f2") == plan.home("customer", "7") == flow.partitions[0]


def test_a_record_that_refers_to_its_like_keeps_all_in_one_partition(tmp_path: Path) -> None:
    boss = ", boss: {erp: boss, crm: boss, reference: customer}"
    (flow,) = plan_of(book_of(tmp_path, CUSTOMER % boss), 8).flows
    assert not flow.spread and "a circle" in flow.why


def test_keys_of_the_systems_own_are_not_spread_and_a_code_table_goes_to_who_reads_it(tmp_path: Path) -> None:
    book = book_of(tmp_path, CUSTOMER % "", PARTY)
    plan = plan_of(book, 4)
    customer, party = plan.flow("customer"), plan.flow("party")
    kind = next(number for number, t in enumerate(book.tables["erp"]) if t.name == "kind")
    row: Change = (kind, INSERT, ("1", "private"), None)

    assert customer.spread and customer.why == "spread by the key of `customer`"
    assert not party.spread and party.why == "`party`: the systems have keys of their own"
    assert plan.split("erp", [row]) == {party.partitions[0]: [row]}


def test_flows_that_stay_whole_are_shared_out_evenly(tmp_path: Path) -> None:
    many = [
        PARTY.replace("  party:", f"  party{n}:").replace("table: party", f"table: party{n}")
        .replace("table: person", f"table: person{n}") for n in range(8)
    ]  # fmt: skip
    plan = plan_of(book_of(tmp_path, *many), 4)
    assert Counter(flow.partitions[0] for flow in plan.flows) == {0: 2, 1: 2, 2: 2, 3: 2}

