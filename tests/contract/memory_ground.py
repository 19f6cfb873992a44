"""The ground of a database in memory: its tables are a rule book's, its users write one after the other.

Turns what an application does into committed rows and a log, at the moment when it commits; until then it holds the
locks of the rows that it wrote. What a database's types, constraints and triggers do is told here, as they do it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import pytest

from adapters.memory import MemorySnapshot, MemorySource, MemorySystem, MemoryTarget
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Change, Position, Text
from tests.contract.ground import SYSTEM, Ground, Made, User

CENT: Final = Decimal("0.01")


class MemoryUser(User):
    """See the module."""

    def __init__(self, ground: MemoryGround) -> None:
        self.ground = ground
        self.waiting: list[Callable[[], list[Change]]] | None = None
        """What will be done when the transaction commits."""
        self.held: set[tuple[str, str]] = set()

    def insert(self, table: str, *rows: Sequence[Text]) -> None:
        """New rows."""
        made = self.ground.tables[table]
        for row in rows:
            values = dict(zip(made.columns, row, strict=True))
            self._hold(table, [str(values[name]) for name in made.key])
        self._do(table, lambda: [
            change for row in rows
            for change in self.ground.database.insert(table, dict(zip(made.columns, row, strict=True)))
        ])  # fmt: skip

    def update(self, table: str, key: Sequence[str], **values: Text) -> None:
        """Changes one row."""
        self._hold(table, key)
        self._do(table, lambda: self.ground.database.update(table, "\x1f".join(key), values))

    def delete(self, table: str, key: Sequence[str]) -> None:
        """Removes one row."""
        self._hold(table, key)
        self._do(table, lambda: self.ground.database.delete(table, "\x1f".join(key)))

    def lock(self, table: str, key: Sequence[str]) -> None:
        """Holds a row."""
        self._hold(table, key)

    def rows(self, table: str) -> list[tuple[Text, ...]]:
        """All rows of a table."""
        rows = map(tuple, self.ground.database.rows[table].values())
        return sorted(rows, key=lambda row: [(text is not None, text or "") for text in row])

    @contextmanager
    def transaction(self, *, undone: bool = False) -> Iterator[None]:
        """Several statements in one."""
        self.waiting = []
        try:
            yield
            done = [] if undone else [change for work in self.waiting for change in work()]
        finally:
            self.waiting = None
            self.ground.database.locked -= self.held
            self.held = set()
        if done:
            self.ground.commit(done)

    def close(self) -> None:
        """There is nothing to hang up."""

    def _hold(self, table: str, key: Sequence[str]) -> None:
        if self.waiting is not None and self.ground.tables[table].bound:
            row = (table, "\x1f".join(key))
            self.held.add(row)
            self.ground.database.locked.add(row)

    def _do(self, table: str, work: Callable[[], list[Change]]) -> None:
        if not self.ground.tables[table].bound:
            self.ground.commit_elsewhere()
        elif self.waiting is not None:
            self.waiting.append(work)
        else:
            self.ground.commit(work())


class MemoryGround(Ground):
    """See the module."""

    lacks = {
        "concurrency": "a database in memory is used by one thread",
        "connections": "a database in memory is not reached by any",
        "streaming": "a database in memory has all its rows in memory",
    }
    spool_rows = 2_000

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the database."""
        defaults = {name: value for made in tables for name, value in made.defaults.items()}
        self.database = MemorySystem(
            SYSTEM, rules, trigger=self._stored, constraint=self._broken, defaults=defaults, foreign_keys=True
        )

    def user(self) -> MemoryUser:
        """One more user."""
        return MemoryUser(self)

    def commit(self, done: list[Change]) -> None:
        """Commits what a user did."""
        self.database.commit(done, self.now_us())

    def commit_elsewhere(self) -> None:
        """Commits something that the rules know nothing of."""
        self.database.end += 10

    def now_us(self) -> int:
        """What the clock says."""
        return time.time_ns() // 1000

    def end(self) -> Position:
        """Where the log ends."""
        return self.database.end

    def target(self, rules: RuleBook) -> Target:
        """A writer."""
        return MemoryTarget(self.database, self.now_us)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """A reader."""
        return MemorySource(self.database, rows_max=1_000, skip_own=skip_own)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """A picture."""
        return MemorySnapshot(self.database)

    def cut(self) -> None:
        """There is nothing to cut."""
        raise AssertionError(self.lacks["connections"])

    def _stored(self, table: str, row: list[Text]) -> list[Text]:
        made = self.tables[table]
        kinds = zip(made.columns.values(), row, strict=True)
        stored = [_rounded(text) if kind == "decimal" and text is not None else text for kind, text in kinds]
        if made.shouting:
            at = list(made.columns).index(made.shouting)
            text = stored[at]
            stored[at] = text.upper() if text is not None else None
        return stored

    def _broken(self, table: str, row: list[Text]) -> str:
        made = self.tables[table]
        if made.refused is None:
            return ""
        column, text = made.refused
        return "check" if row[list(made.columns).index(column)] == text else ""


def memory_ground(request: pytest.FixtureRequest) -> Ground:
    """A ground for one test."""
    return MemoryGround(request.getfixturevalue("tmp_path"))


def _rounded(text: str) -> str:
    return str(Decimal(text).quantize(CENT, ROUND_HALF_UP))
