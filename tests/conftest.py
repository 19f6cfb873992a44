"""Says which PostgreSQL and Python a run was made with, and lends every suite its servers."""

from __future__ import annotations

import sys

import psycopg

from engine.errors import DuologError
from service.embedded import find_programs

pytest_plugins = ["tests.servers"]


def pytest_report_header() -> list[str]:
    """The versions that a report needs to be repeated."""
    try:
        programs = str(find_programs())
    except DuologError as missing:
        programs = missing.found
    return [f"python {sys.version.split()[0]}, libpq {psycopg.pq.version()}, PostgreSQL programs: {programs}"]
