"""Records with keys of the system's own are written through SQLAlchemy as by adapters of their own: the same tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.database import test_own_keys
from tests.database.alchemy import AlchemyGround, lent, lent_by
from tests.ground import POSTGRESQL

globals().update(lent_by(test_own_keys))


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Iterator[AlchemyGround]:
    """An empty database: of the kind that a test asks for, else of PostgreSQL."""
    yield from lent(request, getattr(request, "param", POSTGRESQL))


@pytest.fixture
def user(ground: AlchemyGround) -> AlchemyGround:
    """The application's own session."""
    return ground
