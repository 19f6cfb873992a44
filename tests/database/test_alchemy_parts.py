"""Records of several tables are written through SQLAlchemy as by MariaDB's own adapter: the same tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.database import test_parts
from tests.database.alchemy import AlchemyGround, lent, lent_by
from tests.ground import MARIADB

globals().update(lent_by(test_parts))


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[AlchemyGround]:
    """A database of MariaDB, empty."""
    yield from lent(request, MARIADB)


@pytest.fixture
def user(ground: AlchemyGround) -> AlchemyGround:
    """The application's own session."""
    return ground
