"""Lends every test of the store an address on each kind of database, and processes that use it beside the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.store import SqlStore

NOW_US = 1_700_000_000_000_000
"""The time of every stamp in these tests."""

Actor = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address where there is no store yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("erp_db"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An address for what only files have."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    """A fresh, empty store."""
    opened = SqlStore.open(url, name="demo", now_us=lambda: NOW_US)
    yield opened
    opened.close()


@pytest.fixture
def actor() -> Iterator[Actor]:
    """Starts `tests.store.actor` with a verb and arguments as a process of its own; ends it after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.actor", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
