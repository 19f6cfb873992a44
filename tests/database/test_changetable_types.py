"""Columns whose types triggers are not shown are refused before anything is made, and one whose type cannot be copied
keeps its values in another. SQL Server has both; a PostgreSQL plays it here, of whose words these are said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from adapters.changetable import words
from engine.errors import SystemStopped
from tests.contract.changetable_ground import ByTriggers, changetable_ground
from tests.contract.ground import SYSTEM, changes, next_one
from tests.database.books import Bound, book
from tests.ground import POSTGRESQL

RULES = book(Bound("paper", ["id", "body"], ["id"]), system=SYSTEM)


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[ByTriggers]:
    """A database with a table that has a column of JSON."""
    with closing(changetable_ground(POSTGRESQL)(request)) as made:  # type: ignore[type-var]
        assert isinstance(made, ByTriggers)
        made.place.session.execute("CREATE TABLE paper (id bigint PRIMARY KEY, body json)")
        yield made


def test_what_triggers_are_not_shown_is_found_and_nothing_is_made_for_it(
    ground: ByTriggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.kit.setup(RULES, lambda step: None)
    monkeypatch.setitem(words.KNOWN, "postgresql", replace(words.POSTGRESQL, unshown=frozenset({"json"})))  # type: ignore[arg-type]

    found, _ = ground.kit.findings(RULES)

    assert [each.code for each in found if each.severity == "error"] == ["P198"]
    with pytest.raises(SystemStopped, match="triggers cannot tell `body`"):
        ground.kit.setup(RULES, lambda step: None)


def test_what_no_column_may_be_copied_as_is_kept_as_something_else(
    ground: ByTriggers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(words.KNOWN, "postgresql", replace(words.POSTGRESQL, copied={"json": "text"}))  # type: ignore[arg-type]
    ground.kit.setup(RULES, lambda step: None)

    with ground.reading(RULES, ground.end()) as source:
        ground.place.session.execute("INSERT INTO paper VALUES (1, '[1]')")
        told = changes(next_one(source))

    assert told == [(0, "I", ("1", "[1]"), None)]
    kept = "SELECT data_type FROM information_schema.columns WHERE table_schema = 'duolog' AND column_name = 'n1'"
    assert ground.place.session.value(kept) == "text"
