"""What the contract asks of an adapter's tests: a database that tables can be made on and that users write, and the
adapter's ports on it.

Turns tables told by column kinds into live tables and a rule book. No SQL is in it: a database in memory is a ground
as well. Values are texts as the house spells them, on the way in and on the way out. What a database cannot have, its
ground tells in `lacks`, with the reason; a promise that needs it is skipped with those words, and never unsaid.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest

from engine.errors import SystemUnavailable
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Change, Position, Progress, Text, Transaction, Write
from tests.database.books import Bound, book

Kind: TypeAlias = Literal["integer", "word", "text", "decimal", "date", "instant", "bytes"]
"""A column's kind: 64 bits; up to 190 characters, compared by character, that a key may consist of; of any length; two
digits behind the point, rounded by the database; a day; a moment to the microsecond; bytes."""
Lack: TypeAlias = Literal["concurrency", "connections", "log", "row locks", "streaming", "writing"]
"""What a database may be without: users at the same time; connections that can be cut and are told apart; a log that
somebody reads; locks of single rows; rows and transactions that are larger than memory; a way for us to write it."""

SYSTEM: Final = "erp"
patience_s: Final = 120.0
"""How long anything may take that has to come."""


@dataclass(frozen=True)
class Made:
    """A table to be made, and to be bound as the entity of its name."""

    name: str
    columns: Mapping[str, Kind]
    key: Sequence[str] = ("id",)
    missing: Sequence[str] = ()
    """Fields of the entity that have no column here."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """By column."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Foreign keys: by column, the table whose key it has."""
    refused: tuple[str, str] | None = None
    """(column, text): no row may have it."""
    shouting: str = ""
    """A column of texts that a trigger turns into upper case."""
    bound: bool = True
    """False: the rules know nothing of it."""

    def bind(self, schema: str) -> Bound:
        """The entity."""
        columns = tuple(self.columns)
        return Bound(self.name, columns, self.key, schema=schema, missing=self.missing, references=self.references)


class User(ABC):
    """The application's own session. Each statement is a transaction, but within `transaction`."""

    @abstractmethod
    def insert(self, table: str, *rows: Sequence[Text]) -> None:
        """New rows, all columns in their order; one statement."""

    @abstractmethod
    def update(self, table: str, key: Sequence[str], **values: Text) -> None:
        """Changes one row."""

    @abstractmethod
    def delete(self, table: str, key: Sequence[str]) -> None:
        """Removes one row."""

    @abstractmethod
    def lock(self, table: str, key: Sequence[str]) -> None:
        """Holds a row against writers until the transaction ends."""

    @abstractmethod
    def rows(self, table: str) -> list[tuple[Text, ...]]:
        """All rows of a table, in order of their texts."""

    @abstractmethod
    def transaction(self, *, undone: bool = False) -> AbstractContextManager[None]:
        """All that is done within is committed together, or is `undone` at the end."""

    @abstractmethod
    def close(self) -> None:
        """Hangs up."""


class Ground(ABC):
    """One empty database and the adapter's ports on it. `spool`: a folder for transactions that are large."""

    lacks: Mapping[Lack, str] = {}
    """What this database cannot have, and why."""
    errors: tuple[type[Exception], ...] = ()
    """What a user's session raises where the database refuses a statement."""
    spool_rows: int = 200_000
    """How many rows a transaction must have to be certainly told in pieces."""
    schema = "public"
    """Where its tables are, as the rules call it."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.open = ExitStack()
        self.tables: dict[str, Made] = {}

    def needs(self, *wanted: Lack) -> None:
        """Skips the test where there is no such thing, and says why."""
        for each in wanted:
            if each in self.lacks:
                pytest.skip(f"{type(self).__name__}: no {each}: {self.lacks[each]}")

    def make(self, *tables: Made) -> RuleBook:
        """Makes tables, and all that the adapter needs; the rules that bind them. Once a test."""
        self.tables = {each.name: each for each in tables}
        rules = book(*(each.bind(self.schema) for each in tables if each.bound), system=SYSTEM)
        self.create(rules, tables)
        return rules

    @abstractmethod
    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes these tables, and sets the database up for the rules."""

    @abstractmethod
    def user(self) -> User:
        """A session of the application's, to be closed with the ground."""

    @abstractmethod
    def end(self) -> Position:
        """Where the log ends: behind all that is committed, before all that will be."""

    @abstractmethod
    def target(self, rules: RuleBook) -> Target:
        """A writer, not opened."""

    @abstractmethod
    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """A reader, not opened."""

    @abstractmethod
    def snapshot(self, rules: RuleBook) -> Snapshot:
        """A picture of now."""

    @abstractmethod
    def cut(self) -> None:
        """Breaks every connection of duolog's."""

    @contextmanager
    def writing(self, rules: RuleBook) -> Iterator[Target]:
        """A writer that is open."""
        made = self.target(rules)
        made.open()
        with closing(made):
            yield made

    @contextmanager
    def reading(self, rules: RuleBook, resume: Position, *, skip_own: bool = False) -> Iterator[Source]:
        """A reader that is open, behind a position; retried while the server has not noticed that another went."""
        made = self.source(rules, skip_own=skip_own)
        opened(made, resume)
        with closing(made):
            yield made

    def told(self, rules: RuleBook, after: Position) -> list[Transaction]:
        """All transactions behind a position, to the end of the log as it is now."""
        with self.reading(rules, after) as source:
            return until(source, self.end())

    def close(self) -> None:
        """Hangs up everything."""
        self.open.close()


def opened(source: Source, resume: Position) -> None:
    """Opens a source. The server may take a moment to notice that another reader has hung up."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            source.open(resume)
            return
        except SystemUnavailable:
            if time.monotonic() > deadline:
                raise


def until(source: Source, end: Position) -> list[Transaction]:
    """Reads to a place in the log; the transactions that came."""
    found: list[Transaction] = []
    deadline = time.monotonic() + patience_s
    while True:
        assert time.monotonic() < deadline, f"the source did not come to {end}"
        item = source.read(0.05)
        if isinstance(item, Transaction):
            found.append(item)
        if isinstance(item, Transaction | Progress) and item.position >= end:
            return found
        if item is None:
            source.nudge()


def next_one(source: Source) -> Transaction:
    """The next transaction; what is no change for us is passed over."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        item = source.read(1.0)
        if isinstance(item, Transaction):
            return item
    raise AssertionError("no transaction came")


def changes(item: Transaction) -> list[Change]:
    """All that a transaction did, also if it is told in pieces."""
    return [change for chunk in item.chunks() for change in chunk]


def batch(number: int, *writes: Write, forget_to: int = 0) -> Batch:
    """A batch of these writes."""
    return Batch(SYSTEM, number, list(writes), sum(len(each.rows) for each in writes), forget_to)


def paged(number: int, *pages: list[Write]) -> Batch:
    """A batch that comes page by page."""
    rows = sum(len(each.rows) for page in pages for each in page)
    return replace(batch(number), rows=rows, pages=pages)


@contextmanager
def meanwhile(ground: Ground, work: Callable[[User, int], object], users: int = 1) -> Iterator[None]:
    """Users who do something again and again while the block is carried out, each told how often it has."""
    stop = threading.Event()

    def labour(user: User) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            work(user, number)

    with ThreadPoolExecutor(users) as threads:
        labours = [threads.submit(labour, ground.user()) for _ in range(users)]
        try:
            yield
        finally:
            stop.set()
    for each in labours:
        each.result()
