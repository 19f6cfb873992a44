"""Lends a desk: two real databases with the shop's tables, and a rule file between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import CRM_TABLES, ERP_TABLES, SHOP, Desk


@pytest.fixture
def desk(erp_db: str, crm_db: str, tmp_path: Path) -> Iterator[Desk]:
    """The shop between two databases, with its tables, not set up."""
    desk = Desk(SHOP, {"erp": erp_db, "crm": crm_db}, tmp_path)
    desk.sql("erp", ERP_TABLES)
    desk.sql("crm", CRM_TABLES)
    yield desk
    desk.stop()


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """The same, set up: `duolog run` may start."""
    desk.call("setup")
    return desk
