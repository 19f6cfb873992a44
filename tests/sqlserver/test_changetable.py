"""SQL Server's changes as triggers keep them: the whole contract, and what its triggers are shown besides.

Skipped where there is no Docker, or no ODBC driver of SQL Server's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pytest

from adapters.alchemy.kit import AlchemyKit
from adapters.changetable.kit import ChangeTableKit
from adapters.sqlserver.speech import SqlServerSpeech
from engine.ports import Source
from engine.rulebook import RuleBook
from engine.vocabulary import ABSENT, Change
from tests.contract.ground import SYSTEM, Ground, Lack, Made, changes
from tests.contract.suite import contract
from tests.sqlserver.ground import SqlServerGround, sqlserver_ground

ITEM = Made("item", {"id": "integer", "name": "word", "note": "text"})
SHIFTED = [
    (0, "D", None, ("3", "c", "z")), (0, "U", ("1", "b", "y"), None), (0, "U", ("2", "c", "z"), None),
    (0, "I", ("0", "a", "x"), None),
]  # fmt: skip


class TriggeredGround(SqlServerGround):
    """A database that is read by triggers."""

    lacks: Mapping[Lack, str] = {}
    spool_rows = 30_000

    @cached_property
    def kit(self) -> AlchemyKit:
        """What the service has of it."""
        address = self.server.url(self.database).replace("mssql://", "odbc://", 1)
        return ChangeTableKit(SYSTEM, address, insecure=True, speech=SqlServerSpeech)

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables and what records their changes."""
        with self.server.connect() as session:
            for said in ("ALLOW_SNAPSHOT_ISOLATION ON", "READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE"):
                session.execute(f"ALTER DATABASE {self.database} SET {said}")
        super().create(rules, tables)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """The kit's."""
        assert isinstance(self.kit, ChangeTableKit)
        return self.kit.source(rules, self.kit.identity(), capabilities={"skip_own": skip_own}, spool_dir=self.spool)

    def shown(self, rules: RuleBook, *statements: str) -> list[Change]:
        """What is told of these statements of a user, in one transaction; of an UPDATE, former keys only."""
        after, user = self.end(), self.user()
        with user.transaction():
            for statement in statements:
                user.session.execute(statement)
        (told,) = self.told(rules, after)
        return changes(told)


def triggered_ground(request: pytest.FixtureRequest) -> Ground:
    """A ground for a test."""
    made = sqlserver_ground(request)
    assert isinstance(made, SqlServerGround)
    return TriggeredGround(made.server, made.database, made.spool)


TestByTriggers = contract(triggered_ground)


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Any:
    """One database, and its table `item`, which holds three rows."""
    made = triggered_ground(request)
    yield made
    made.close()


def three_rows(ground: TriggeredGround) -> RuleBook:
    """The rules of `item`, and in it the rows 1 to 3."""
    rules = ground.make(ITEM)
    ground.user().insert("item", ("1", "a", "x"), ("2", "b", "y"), ("3", "c", "z"))
    return rules


def test_keys_that_move_on_together_are_told_by_what_is_gone_what_is_other_and_what_is_new(
    ground: TriggeredGround,
) -> None:
    rules = three_rows(ground)

    assert ground.shown(rules, "UPDATE dbo.item SET id = id - 1") == SHIFTED


def test_one_row_s_key_that_changes_is_told_as_that(ground: TriggeredGround) -> None:
    rules = three_rows(ground)

    told = ground.shown(rules, "UPDATE dbo.item SET id = 9 WHERE id = 3")

    assert told == [(0, "U", ("9", "c", "z"), ("3", ABSENT, ABSENT))]


def test_an_application_s_own_settings_and_its_last_number_are_its_own(ground: TriggeredGround) -> None:
    rules = three_rows(ground)
    after, user = ground.end(), ground.user().session
    user.execute("CREATE TABLE dbo.counted (id int IDENTITY(70, 1) PRIMARY KEY)")
    user.execute("INSERT INTO dbo.counted DEFAULT VALUES; SET ROWCOUNT 2; UPDATE dbo.item SET note = N'q'")

    left = user.execute("SELECT @@IDENTITY, @@ROWCOUNT; SET ROWCOUNT 0").fetchone()

    assert int(left[0]) == 70
    (told,) = ground.told(rules, after)
    assert [change[1] for change in changes(told)] == ["U", "U"]


def test_a_merge_of_an_application_s_is_told_by_what_it_did(ground: TriggeredGround) -> None:
    rules = three_rows(ground)

    told = ground.shown(
        rules, "MERGE dbo.item AS t USING (VALUES (1, N'n'), (8, N'n')) AS u (id, name) ON u.id = t.id WHEN MATCHED "
        "THEN UPDATE SET name = u.name WHEN NOT MATCHED BY TARGET THEN INSERT (id, name) VALUES (u.id, u.name) WHEN "
        "NOT MATCHED BY SOURCE AND t.id = 3 THEN DELETE;",
    )  # fmt: skip

    assert sorted((change[1], (change[2] or change[3] or ())[0]) for change in told) == [
        ("D", "3"), ("I", "8"), ("U", "1"),
    ]  # fmt: skip


def test_without_statements_that_see_one_moment_nothing_is_read(ground: TriggeredGround) -> None:
    rules = three_rows(ground)
    with ground.server.connect() as session:
        session.execute(f"ALTER DATABASE {ground.database} SET READ_COMMITTED_SNAPSHOT OFF WITH ROLLBACK IMMEDIATE")

    found, _ = ground.kit.findings(rules)

    assert [each.code for each in found if each.severity == "error"] == ["P194"]
