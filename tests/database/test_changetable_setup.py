"""What `setup` and `teardown` leave behind, whatever became of them and of the rules: no user is kept from his work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from adapters.relational.judging import SetupStep
from engine.errors import NotSetUp
from tests.contract.changetable_ground import changetable_ground
from tests.contract.ground import SYSTEM, Made, changes, next_one
from tests.database.books import book
from tests.database.test_changetable_faults import AnyGround, kit_of, ours, run
from tests.ground import MARIADB, POSTGRESQL

ITEM = Made("item", {"id": "integer", "name": "word"})
OTHER = Made("other", {"id": "integer", "name": "word"})


@pytest.fixture(params=["sqlite", POSTGRESQL, MARIADB])
def ground(request: pytest.FixtureRequest) -> Iterator[AnyGround]:
    with closing(changetable_ground(request.param)(request)) as made:  # type: ignore[type-var]
        yield made


class Killed(Exception):
    """Somebody killed us."""


def killed_at_other(step: SetupStep) -> None:
    """Dies before the triggers of the second table are made."""
    if "`" in step.what and "other" in step.what:
        raise Killed


def test_teardown_takes_away_the_triggers_of_tables_that_the_rules_no_longer_name(ground: AnyGround) -> None:
    rules, user = ground.make(ITEM, OTHER), ground.user()
    fewer = book(ITEM.bind(ground.schema), system=SYSTEM)
    assert kit_of(ground).setup(fewer, lambda step: None) == []

    gone = kit_of(ground).teardown(fewer)

    assert sum("triggers" in each for each in gone) == 2
    run(ground, "INSERT INTO other VALUES (1, 'one')")
    assert user.rows("other") == [("1", "one")]
    assert not any(step.done for step in kit_of(ground).planned(rules) if not step.what.startswith("schema"))


def test_a_setup_that_was_killed_is_gone_on_with(ground: AnyGround) -> None:
    rules, kit = ground.make(ITEM, OTHER), kit_of(ground)
    kit.teardown(rules)
    with pytest.raises(Killed):
        kit.setup(rules, killed_at_other)
    assert [found.code for found in kit.findings(rules)[0]] == ["P190"]
    with pytest.raises(NotSetUp):
        kit.identity()
    run(ground, "INSERT INTO item VALUES (1, 'one')")

    kit.setup(rules, lambda step: None)

    ground.__dict__.pop("identity", None)
    with ground.reading(rules, ground.end()) as source:
        run(ground, "INSERT INTO other VALUES (1, 'one')")
        assert changes(next_one(source)) == [(1, "I", ("1", "one"), None)]


def test_a_setup_that_was_killed_is_torn_down(ground: AnyGround) -> None:
    rules, kit = ground.make(ITEM, OTHER), kit_of(ground)
    kit.teardown(rules)
    with pytest.raises(Killed):
        kit.setup(rules, killed_at_other)

    kit.teardown(rules)

    run(ground, "INSERT INTO item VALUES (1, 'one')")
    assert kit.teardown(rules) == []


def test_a_mark_that_somebody_emptied_is_made_anew_behind_what_was_stamped(ground: AnyGround) -> None:
    rules, kit = ground.make(ITEM), kit_of(ground)
    run(ground, "INSERT INTO item VALUES (1, 'one')")
    for _ in range(3):
        ground.end()
    before = kit.identity()
    run(ground, " ".join(("DELETE FROM", ours(ground, "mark"))))

    kit.setup(rules, lambda step: None)

    assert kit.identity() != before
    ground.__dict__.pop("identity", None)
    with ground.reading(rules, ground.end()) as source:
        run(ground, "INSERT INTO item VALUES (2, 'two')")
        assert changes(next_one(source)) == [(0, "I", ("2", "two"), None)]
