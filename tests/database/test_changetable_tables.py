"""Tables as applications have them are recorded: wide ones, odd names, types that refuse NULL, partitions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from engine.errors import NotSetUp
from tests.contract.changetable_ground import ByTriggers, SqliteFile, changetable_ground
from tests.contract.ground import SYSTEM, changes, next_one
from tests.database.books import Bound, book
from tests.database.test_changetable_faults import AnyGround, kit_of, run
from tests.ground import MARIADB, POSTGRESQL

NAMES = ["a.b", 'to "say"', "it`s 100 %s", "Größe :x {y}", "select"]


@pytest.fixture(params=["sqlite", POSTGRESQL, MARIADB])
def ground(request: pytest.FixtureRequest) -> Iterator[AnyGround]:
    with closing(changetable_ground(request.param)(request)) as made:  # type: ignore[type-var]
        yield made


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[Any]:
    with closing(changetable_ground(POSTGRESQL)(request)) as made:  # type: ignore[type-var]
        yield made


def named(ground: AnyGround, name: str) -> str:
    """A name as this database quotes it."""
    mark = "`" if isinstance(ground, ByTriggers) and ground.place.kind == MARIADB else '"'
    return mark + name.replace(mark, 2 * mark) + mark


def told(ground: AnyGround, bound: Bound, *statements: str) -> list[Any]:
    """Sets up for a table that is there; what is told of these statements."""
    rules = book(bound, system=SYSTEM)
    if isinstance(ground, SqliteFile):
        run(ground, "PRAGMA journal_mode = WAL")
    kit_of(ground).setup(rules, lambda step: None)
    found = []
    with ground.reading(rules, ground.end()) as source:
        source.verify()
        for statement in statements:
            run(ground, statement)
            found += changes(next_one(source))
    kit_of(ground).teardown(rules)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_table_and_a_column_of_any_name_are_recorded(ground: AnyGround, name: str) -> None:
    table, column = named(ground, name), named(ground, f"c {name}")
    run(ground, " ".join(("CREATE TABLE", table, "(id int PRIMARY KEY,", column, "varchar(20))")))
    bound = Bound("thing", ("id", f"c {name}"), ("id",), table=name, schema=ground.schema)
    assert told(ground, bound, " ".join(("INSERT INTO", table, "VALUES (1, 'one')"))) == [(0, "I", ("1", "one"), None)]


def test_a_table_of_two_hundred_columns_is_recorded(ground: AnyGround) -> None:
    names = [f"c{at}" for at in range(200)]
    columns = ", ".join(f"{name} varchar(70)" for name in names)
    run(ground, " ".join(("CREATE TABLE wide (id int PRIMARY KEY,", columns, ")")))
    bound = Bound("wide", ("id", *names), ("id",), schema=ground.schema)
    row = tuple(str(at) for at in range(201))
    values = ", ".join(f"'{text}'" for text in row)
    found = told(ground, bound, " ".join(("INSERT INTO wide VALUES (", values, ")")), "DELETE FROM wide")
    assert found == [(0, "I", row, None), (0, "D", None, row)]


def test_a_key_that_changes_and_goes_is_told_with_all_its_columns(ground: AnyGround) -> None:
    run(ground, "CREATE TABLE pair (a int, name varchar(20), b int, PRIMARY KEY (b, a))")
    bound = Bound("pair", ("a", "name", "b"), ("b", "a"), schema=ground.schema)
    found = told(
        ground, bound, "INSERT INTO pair VALUES (1, 'x', 2)", "UPDATE pair SET b = 3, name = 'y'", "DELETE FROM pair"
    )
    (_, _, new, former), gone = found[1], found[2]
    assert new == ("1", "y", "3")
    assert (former[0], former[2]) == ("1", "2")
    assert gone == (0, "D", None, ("1", "y", "3"))


def test_types_that_refuse_null_are_recorded(postgresql: Any) -> None:
    run(postgresql, "CREATE DOMAIN number AS int NOT NULL", "CREATE DOMAIN word AS text CHECK (VALUE IS NOT NULL)")
    run(postgresql, "CREATE TABLE thing (id number PRIMARY KEY, name word)")
    found = told(
        postgresql, Bound("thing", ("id", "name"), ("id",)), "INSERT INTO thing VALUES (1, 'one')",
        "UPDATE thing SET name = 'two'", "DELETE FROM thing",
    )  # fmt: skip
    assert [change[1:] for change in found] == [
        ("I", ("1", "one"), None), ("U", ("1", "two"), None), ("D", None, ("1", "two")),
    ]  # fmt: skip


@pytest.fixture
def split(postgresql: Any) -> Any:
    """A table in two partitions, set up."""
    run(
        postgresql, "CREATE TABLE thing (id int PRIMARY KEY, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF thing FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE high PARTITION OF thing FOR VALUES FROM (100) TO (200)",
    )  # fmt: skip
    kit_of(postgresql).setup(book(Bound("thing", ("id", "name"), ("id",)), system=SYSTEM), lambda step: None)
    return postgresql


def test_a_trigger_that_is_off_in_one_partition_stops(split: Any) -> None:
    rules = book(Bound("thing", ("id", "name"), ("id",)), system=SYSTEM)
    with split.reading(rules, split.end()) as source:
        source.verify()
        run(split, "ALTER TABLE low DISABLE TRIGGER ALL")
        with pytest.raises(NotSetUp, match="is off"):
            source.verify()


def test_that_nobody_tells_of_a_partition_that_is_emptied_is_said_beforehand(split: Any) -> None:
    rules = book(Bound("thing", ("id", "name"), ("id",)), system=SYSTEM)
    assert [(found.code, found.severity) for found in kit_of(split).findings(rules)[0]] == [("P256", "warning")]


def test_rows_of_tables_that_inherit_are_an_error(postgresql: Any) -> None:
    run(postgresql, "CREATE TABLE thing (id int PRIMARY KEY)", "CREATE TABLE low () INHERITS (thing)")
    rules = book(Bound("thing", ("id",), ("id",)), system=SYSTEM)
    kit_of(postgresql).setup(rules, lambda step: None)
    found = [each for each in kit_of(postgresql).findings(rules)[0] if each.severity == "error"]
    assert [each.code for each in found] == ["P255"] and "low" in found[0].found
    with pytest.raises(NotSetUp, match="low"), postgresql.reading(rules, postgresql.end()):
        pass
