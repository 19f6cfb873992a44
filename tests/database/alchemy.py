"""A database that is written through SQLAlchemy, for the tests of records of several tables: they are the same as those
of the adapters of these databases, but for how a refusal is worded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from types import ModuleType

import pytest

from adapters.alchemy.kit import AlchemyKit
from engine.ports import Target
from engine.rulebook import RuleBook
from engine.vocabulary import Row
from tests.contract.alchemy_ground import LEDGER
from tests.database import assembled
from tests.database.assembled import FIXTURES
from tests.ground import MARIADB, Session


class Worded(str):
    """What a refusal must begin with: the code. What follows is each adapter's own."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.split(" ")[0] == self.split(" ")[0]

    __hash__ = str.__hash__


class AlchemyGround(assembled.Ground):
    """A database that is written through SQLAlchemy."""

    @contextmanager
    def opened(self, book: RuleBook) -> Iterator[Target]:
        """A target on the database, which has been set up for these rules."""
        rules = self.placed(book)
        kit = self.kit()
        kit.setup(rules, lambda step: None)
        target = kit.target(rules)
        target.open()
        with closing(target):
            yield target

    def rows(self, book: RuleBook, table: int) -> list[Row]:
        """All rows of a table of the rules, as exact texts."""
        with self.kit().reading(self.placed(book)) as reading:
            return list(reading.table(table))

    def refusal(self, worded: Mapping[str, str]) -> str:
        """How this database words it."""
        return Worded(super().refusal(worded))

    def kit(self) -> AlchemyKit:
        """SQLAlchemy's. Its ledger is in the test's own database: the server's is of the adapter's own shape."""
        return AlchemyKit("erp", self.address, insecure=True, ledger=(self.schema, LEDGER[1]))


def lent(request: pytest.FixtureRequest, kind: str) -> Iterator[AlchemyGround]:
    """An empty database of this kind, for a test."""
    address = request.getfixturevalue(FIXTURES[kind])
    with Session(address) as session:
        if kind == MARIADB:
            session.execute("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        yield AlchemyGround(kind, address, session)


def lent_by(module: ModuleType) -> dict[str, object]:
    """The tests of a module, and what only they are lent."""
    return {name: each for name, each in vars(module).items() if name.startswith("test_") or name == "company"}
