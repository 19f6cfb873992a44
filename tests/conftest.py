"""Says which databases and Python a run was made with, and lends every suite its servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import psycopg
import pymysql
import pytest
from hypothesis import settings

from engine.errors import DuologError
from service.embedded import find_programs, mariadb
from tests import left_behind, warm

for _width in ("COLUMNS", "LINES"):
    # GNU readline, which pytest reads, tells them to every process of a run: but a test has no terminal.
    os.environ.pop(_width, None)
# Beside others, an example takes as long as it takes.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")
left_behind.watch()
warm.install()

pytest_plugins = ["tests.servers", "tests.kafka_servers"]

DEAREST = {"kafka_server", "own_kafka"}
"""What starts a server that takes as long to start as ten tests take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the dearest servers come first and together: of the processes of a run, one begins with them, and the
    others need none of their own."""
    items.sort(key=lambda item: DEAREST.isdisjoint(getattr(item, "fixturenames", ())))


def pytest_report_header() -> list[str]:
    """The versions that a report needs to be repeated."""
    driver = ".".join(map(str, pymysql.VERSION[:3]))
    return [
        f"python {sys.version.split()[0]}, libpq {psycopg.pq.version()}, PostgreSQL programs: {_found(find_programs)}",
        f"PyMySQL {driver}, MariaDB program: {_found(lambda: mariadb.find_programs().server)}",
    ]


def _found(search: Callable[[], object]) -> str:
    try:
        return str(search())
    except DuologError as missing:
        return missing.found
