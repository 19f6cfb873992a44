"""What is printed and found for a PostgreSQL that Debezium reads is enough for what we do there ourselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from adapters.postgresql.elsewhere import PostgresElsewhere
from tests.database.test_written import ITEM_SQL, items


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection, and the items."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute(ITEM_SQL)
        yield conn


def test_the_grants_are_enough_for_the_picture_that_the_first_merge_takes(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    """It needs a slot for a moment, and so REPLICATION, which was taken out: `duolog run` was refused."""
    own = PostgresElsewhere("erp", erp_db, insecure=True)
    own.setup(items(), lambda _: None)
    user.execute("CREATE ROLE hand LOGIN")
    try:
        hand = PostgresElsewhere("erp", erp_db.replace("postgres@", "hand@"), insecure=True)
        before = {finding.code for finding in hand.findings(items())[0]}
        for grant in own.grants(items(), "hand"):
            user.execute(grant.encode())
        after = {finding.code for finding in hand.findings(items())[0] if finding.severity == "error"}
        with closing(hand.snapshot(items())) as picture:
            rows = list(picture.table(0))
    finally:
        user.execute("DROP OWNED BY hand; DROP ROLE hand")

    assert "P120" in before
    assert after == set()
    assert rows
