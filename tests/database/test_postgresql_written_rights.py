"""The printed grants are enough to write along what the application maintains, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from adapters.postgresql.kit import PostgresKit
from adapters.postgresql.rights import grants
from adapters.postgresql.setup import setup
from tests.database.books import row, write
from tests.database.test_postgresql_target import batch, table
from tests.database.test_written import ITEM_SQL, items


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection, and the items."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute(ITEM_SQL)
        yield conn


def test_the_grants_are_enough_to_touch_and_no_more(erp_db: str, user: psycopg.Connection[Any]) -> None:
    setup(user, items(), "erp")
    user.execute("CREATE ROLE hand LOGIN")
    try:
        hand = PostgresKit("erp", erp_db.replace("postgres@", "hand@"), insecure=True)
        before = {finding.code for finding in hand.findings(items())[0]}
        for grant in PostgresKit("erp", erp_db, insecure=True).grants(items(), "hand"):
            user.execute(grant.encode())
        after = {finding.code for finding in hand.findings(items())[0]}
        target = hand.target(items())
        target.open()
        with closing(target):
            target.apply(batch(1, write("update", "item", (1,), [row(1, "1", ("A",), ("a",))])))
    finally:
        user.execute("DROP OWNED BY hand; DROP ROLE hand")

    assert {"P231", "P232", "P234"} <= before
    assert after <= {"P107"}
    assert table(user, "SELECT name, editor FROM item WHERE id = 1") == [("A", "duolog")]


def test_a_column_that_is_only_written_is_granted_by_name() -> None:
    granted = next(grant for grant in grants(items((("at", "now()"),)), "erp", "hand") if "UPDATE (" in grant)

    assert granted == 'GRANT UPDATE ("name", "price", "at") ON "public"."item" TO "hand";'
