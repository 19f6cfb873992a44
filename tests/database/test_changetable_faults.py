"""What happens to triggers and to the change table is told, each with its own answer; nothing is lost in silence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from adapters.changetable.kit import ChangeTableKit
from engine.errors import NotSetUp, PositionForeign, SchemaChanged, SystemStopped, WrongServer
from engine.rulebook import RuleBook
from engine.vocabulary import TRUNCATE
from tests.contract.changetable_ground import ByTriggers, SqliteFile, changetable_ground
from tests.contract.ground import SYSTEM, Made, batch, changes, next_one
from tests.database.books import book, row, write
from tests.ground import MARIADB, POSTGRESQL, Session

ITEM = Made("item", {"id": "integer", "name": "word"})
AnyGround = SqliteFile | ByTriggers
ALL = ["sqlite", POSTGRESQL, MARIADB]


@pytest.fixture(params=ALL)
def ground(request: pytest.FixtureRequest) -> Iterator[AnyGround]:
    with closing(changetable_ground(request.param)(request)) as made:  # type: ignore[type-var]
        yield made


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[Any]:
    with closing(changetable_ground(POSTGRESQL)(request)) as made:  # type: ignore[type-var]
        yield made


@pytest.fixture
def mariadb(request: pytest.FixtureRequest) -> Iterator[Any]:
    with closing(changetable_ground(MARIADB)(request)) as made:  # type: ignore[type-var]
        yield made


def kit_of(ground: AnyGround) -> ChangeTableKit:
    return ground.alchemy if isinstance(ground, SqliteFile) else ground.kit


def run(ground: AnyGround, *statements: str) -> list[tuple[Any, ...]]:
    """Somebody with rights does something."""
    answer: list[tuple[Any, ...]] = []
    if isinstance(ground, SqliteFile):
        with closing(sqlite3.connect(ground.path, isolation_level=None, timeout=30)) as file:
            for statement in statements:
                answer = file.execute(statement).fetchall()
        return answer
    with Session(ground.url) as session:
        for statement in statements:
            answer = session.rows(statement)
    return answer


def ours(ground: AnyGround, word: str) -> str:
    """One of our tables."""
    return f"duolog.{word}" if isinstance(ground, ByTriggers) and ground.place.kind == POSTGRESQL else f"duolog_{word}"


def trigger(ground: AnyGround, rules: RuleBook) -> str:
    """How one of our triggers of the table is dropped."""
    (step,) = [step for step in kit_of(ground).planned(rules) if step.what.startswith("triggers")]
    assert step.done
    return next(line for line in step.sql.split(";\n") if line.startswith("DROP TRIGGER"))


def test_a_trigger_that_was_dropped_stops_and_setting_up_again_tells_of_the_loss(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    start = ground.end()
    with ground.reading(rules, start) as source:
        source.verify()
        run(ground, trigger(ground, rules))
        user.insert("item", ("1", "not recorded"))
        with pytest.raises(NotSetUp, match="has no trigger") as stopped:
            source.verify()
        assert "merge-again" in stopped.value.mend
    (finding,) = [found for found in kit_of(ground).findings(rules)[0] if found.code == "P192"]
    assert finding.severity == "error" and "merge-again" in finding.mend
    with pytest.raises(NotSetUp, match="has no trigger"), ground.reading(rules, start):
        pass

    kit_of(ground).setup(rules, lambda step: None)
    assert [found.code for found in kit_of(ground).findings(rules)[0] if found.severity == "error"] == []
    with ground.reading(rules, start) as source, pytest.raises(SchemaChanged, match="could not be recorded"):
        next_one(source)
    with closing(ground.snapshot(rules)) as picture:
        place = picture.position
    user.insert("item", ("2", "recorded"))
    with ground.reading(rules, place) as source:
        assert changes(next_one(source)) == [(0, "I", ("2", "recorded"), None)]


def test_a_change_table_that_somebody_emptied_stops(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    with ground.reading(rules, ground.end()) as source:
        user.insert("item", ("1", "one"))
        run(ground, " ".join(("DELETE FROM", ours(ground, "change"))))
        with pytest.raises(NotSetUp, match="emptied"):
            next_one(source)


def test_a_database_that_was_restored_or_set_up_anew_is_told(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    user.insert("item", ("1", "one"))
    resume, identity = ground.end(), kit_of(ground).identity()
    run(ground, " ".join(("UPDATE", ours(ground, "mark"), "SET n = n - 1")))
    with pytest.raises(PositionForeign), ground.reading(rules, resume):
        pass

    kit_of(ground).teardown(rules)
    kit_of(ground).setup(rules, lambda step: None)
    again = kit_of(ground).source(rules, identity, capabilities={"skip_own": False}, spool_dir=ground.spool)
    with pytest.raises(WrongServer):
        again.open(ground.end())


def test_another_engine_is_told_by_name_and_may_not_take_the_change_table_away(ground: AnyGround) -> None:
    rules = ground.make(ITEM)
    other = book(ITEM.bind(ground.schema), system=SYSTEM, name="another")
    for attempt in (
        lambda: kit_of(ground).setup(other, lambda step: None),
        lambda: ground.source(other).open(ground.end()),
    ):
        with pytest.raises(SystemStopped, match="belongs to the engine `unit`"):
            attempt()
    (finding,) = [found for found in kit_of(ground).findings(other)[0] if found.code == "P191"]
    assert "`unit`" in finding.found and "`unit`" in finding.mend
    assert kit_of(ground).findings(rules)[0] == []


def test_teardown_leaves_the_users_table_alone(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    user.insert("item", ("1", "one"))
    gone = kit_of(ground).teardown(rules)
    assert any("triggers" in each for each in gone)
    assert kit_of(ground).teardown(rules) == []
    planned = kit_of(ground).planned(rules)
    assert planned and not any(step.done for step in planned if not step.what.startswith("schema"))
    plain = getattr(user, "user", user)
    plain.insert("item", ("2", "two"))
    assert user.rows("item") == [("1", "one"), ("2", "two")]


def test_setting_up_twice_changes_nothing(ground: AnyGround) -> None:
    rules = ground.make(ITEM)
    assert kit_of(ground).setup(rules, lambda step: None) == []
    assert all(step.done for step in kit_of(ground).planned(rules))


@pytest.mark.parametrize(
    ("altered", "statement", "values"),
    [
        ("a column that was renamed", "ALTER TABLE item RENAME COLUMN name TO called", ("2", "x")),
        ("a column that was widened", "ALTER TABLE item ALTER COLUMN name TYPE text", ("2", "x" * 500)),
        ("a column that was dropped", "ALTER TABLE item DROP COLUMN name", ("2",)),
    ],
)
def test_on_postgresql_no_user_is_kept_from_his_work_by(
    postgresql: ByTriggers, altered: str, statement: str, values: tuple[str, ...]
) -> None:
    rules = postgresql.make(ITEM)  # type: ignore[attr-defined]
    with postgresql.reading(rules, postgresql.end()) as source:  # type: ignore[attr-defined]
        run(postgresql, statement)
        said = ", ".join(f"'{value}'" for value in values)
        run(postgresql, " ".join(("INSERT INTO item VALUES (", said, ")")))
        with pytest.raises(SchemaChanged, match="could not be recorded"):
            next_one(source)
        with pytest.raises(SystemStopped, match="item"):
            source.verify()
    assert run(postgresql, "SELECT id FROM item") == [(2,)]


def test_on_mariadb_a_wider_value_than_was_known_keeps_no_user_from_his_work(mariadb: ByTriggers) -> None:
    rules = mariadb.make(ITEM)  # type: ignore[attr-defined]
    with mariadb.reading(rules, mariadb.end()) as source:  # type: ignore[attr-defined]
        run(mariadb, "ALTER TABLE item MODIFY name longtext", "INSERT INTO item VALUES (2, repeat('x', 500))")
        with pytest.raises(SchemaChanged, match="could not be recorded"):
            next_one(source)
    assert run(mariadb, "SELECT id FROM item") == [(2,)]


def test_a_new_column_that_nobody_binds_is_nobodys_concern(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM), ground.user()
    with ground.reading(rules, ground.end()) as source:
        run(ground, "ALTER TABLE item ADD COLUMN more integer", "INSERT INTO item VALUES (1, 'one', 5)")
        assert changes(next_one(source)) == [(0, "I", ("1", "one"), None)]
        source.verify()
    user.close()


def test_on_postgresql_a_table_that_was_emptied_is_told(postgresql: ByTriggers) -> None:
    rules, user = postgresql.make(ITEM), postgresql.user()  # type: ignore[attr-defined]
    with postgresql.reading(rules, postgresql.end()) as source:  # type: ignore[attr-defined]
        user.insert("item", ("1", "one"))
        next_one(source)
        run(postgresql, "TRUNCATE item")
        assert changes(next_one(source)) == [(0, TRUNCATE, None, None)]


def test_on_postgresql_a_trigger_that_is_off_stops(postgresql: ByTriggers) -> None:
    rules = postgresql.make(ITEM)  # type: ignore[attr-defined]
    with postgresql.reading(rules, postgresql.end()) as source:  # type: ignore[attr-defined]
        run(postgresql, "ALTER TABLE item DISABLE TRIGGER ALL")
        with pytest.raises(NotSetUp, match="is off"):
            source.verify()


def test_a_user_without_rights_on_our_tables_is_recorded(postgresql: ByTriggers) -> None:
    rules = postgresql.make(ITEM)  # type: ignore[attr-defined]
    with postgresql.reading(rules, postgresql.end()) as source:  # type: ignore[attr-defined]
        run(
            postgresql, "CREATE ROLE clerk", "GRANT INSERT ON item TO clerk", "SET ROLE clerk",
            "INSERT INTO item VALUES (1, 'one')", "RESET ROLE", "DROP OWNED BY clerk", "DROP ROLE clerk",
        )  # fmt: skip
        assert changes(next_one(source)) == [(0, "I", ("1", "one"), None)]


def test_a_trigger_of_the_users_that_changes_the_row_again_is_told_with_what_is_there_at_last(
    ground: AnyGround,
) -> None:
    shouted = Made("item", {"id": "integer", "name": "word"}, shouting="name")
    rules, user = ground.make(shouted), ground.user()
    with ground.reading(rules, ground.end()) as source:
        user.insert("item", ("1", "one"))
        user.update("item", ["1"], name="two")
        told = [changes(next_one(source)) for _ in range(2)]

    for done, name in zip(told, ("ONE", "TWO"), strict=True):
        assert done[-1][2] == ("1", name)


def test_on_mariadb_a_foreign_key_that_changes_rows_by_itself_is_an_error(mariadb: ByTriggers) -> None:
    parent = Made("parent", {"id": "integer"})
    child = Made("child", {"id": "integer", "parent": "integer"}, references={"parent": "parent"})
    rules = mariadb.make(parent, child)  # type: ignore[attr-defined]
    assert mariadb.kit.findings(rules)[0] == []
    run(
        mariadb,
        "ALTER TABLE child ADD CONSTRAINT goes_along FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE",
    )
    (finding,) = mariadb.kit.findings(rules)[0]
    assert (finding.code, finding.severity) == ("P193", "error")
    assert "goes_along" in finding.found and "RESTRICT" in finding.mend


def test_the_rights_that_are_told_are_enough_to_read_and_to_write(postgresql: ByTriggers) -> None:
    rules, user = postgresql.make(ITEM), postgresql.user()  # type: ignore[attr-defined]
    run(postgresql, "CREATE ROLE reader LOGIN", *postgresql.kit.grants(rules, "reader"))
    start = postgresql.end()
    kit = ChangeTableKit(SYSTEM, postgresql.url.replace("//postgres@", "//reader@"), insecure=True)
    source = kit.source(rules, kit.identity(), capabilities={"skip_own": False}, spool_dir=postgresql.spool)
    source.open(start)
    with closing(source), closing(kit.target(rules)) as target:
        target.open()
        target.apply(batch(1, write("insert", "item", (1,), [row(1, "1", ("ours",))])))
        user.insert("item", ("2", "a user's"))
        told = [next_one(source) for _ in range(2)]
    assert [item.own for item in told] == [True, False]
    run(postgresql, "DROP OWNED BY reader", "DROP ROLE reader")
