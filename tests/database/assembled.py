"""A database of any kind that a target for records with keys of its own can be tried on.

The tests are written in PostgreSQL's SQL; the few words that are others' elsewhere are replaced on the way
(`_as_mariadb_says`), so that what is promised stands there once, for all. What is really one database's own matter
(its ways to make a key, how it words a refusal) a test asks for by `kind`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
import pytest

from adapters.mariadb.layouts import columns_of
from adapters.mariadb.phrases import reading as reading_of
from adapters.mariadb.session import ask, connect
from adapters.mariadb.setup import setup as mariadb_setup
from adapters.mariadb.statements import select_table
from adapters.mariadb.target import MariaTarget
from adapters.postgresql.kit import PostgresKit
from adapters.postgresql.names import origin_name
from adapters.postgresql.setup import setup as postgresql_setup
from adapters.postgresql.target import PostgresTarget
from engine.ports import Target
from engine.rulebook import RuleBook
from engine.vocabulary import Batch, Row, Write
from rules.assembly.dialects import asked_of_sequence, dialect_of
from rules.assembly.sql import parsed
from rules.findings import Findings
from rules.located import Document
from tests.ground import MARIADB, POSTGRESQL, Session

KINDS: Final = (POSTGRESQL, MARIADB)
FIXTURES: Final = {POSTGRESQL: "erp_db", MARIADB: "erp_maria"}


@dataclass
class Ground:
    """A database, and the application's own session on it."""

    kind: str
    address: str
    session: Session

    def run(self, statements: str, given: Sequence[Any] | None = None) -> None:
        """The application does something."""
        self.session.execute(self._said(statements), given)

    def table(self, query: str) -> list[tuple[str, ...]]:
        """What a query answers, as text; a truth as `t` or `f`."""
        return [tuple(map(_told, row)) for row in self.session.rows(self._said(query))]

    def transaction(self) -> AbstractContextManager[None]:
        """The application does several things at once."""
        return self.session.transaction()

    @contextmanager
    def opened(self, book: RuleBook) -> Iterator[Target]:
        """A target on the database, which has been set up for these rules."""
        rules = self.placed(book)
        target: PostgresTarget | MariaTarget
        if self.kind == POSTGRESQL:
            with psycopg.connect(self.address, autocommit=True) as connection:
                postgresql_setup(connection, rules, "erp")
            origin = origin_name(rules.name, "erp")
            target = PostgresTarget("erp", self.address, engine=rules.name, origin=origin, book=rules)
        else:
            with closing(connect("erp", self.address, application_name="setup")) as conn:
                mariadb_setup(conn, rules, "erp")
            target = MariaTarget("erp", self.address, engine=rules.name, book=rules)
        target.open()
        with closing(target):
            yield target

    def rows(self, book: RuleBook, table: int) -> list[Row]:
        """All rows of a table of the rules, as printed text."""
        rules = self.placed(book)
        if self.kind == POSTGRESQL:
            with PostgresKit("erp", self.address, insecure=True).reading(rules) as reading:
                return list(reading.table(table))
        with closing(connect("erp", self.address, application_name="reading")) as conn:
            known, named = columns_of(conn, rules, "erp")[table], rules.tables["erp"][table]
            read = reading_of([known[name] for name in named.columns])
            return [read(row) for row in ask(conn, select_table(named, known))]

    def placed(self, book: RuleBook) -> RuleBook:
        """The rules, their tables where they are here: what is PostgreSQL's schema is MariaDB's database."""
        if self.kind == POSTGRESQL:
            return book
        tables = tuple(replace(table, schema=self.schema) for table in book.tables["erp"])
        return replace(book, tables={"erp": tables})

    @property
    def schema(self) -> str:
        """Where the tables are."""
        return "public" if self.kind == POSTGRESQL else self.address.rpartition("/")[2]

    def refusal(self, worded: Mapping[str, str]) -> str:
        """How this database words it; `{schema}` is where the tables are."""
        return worded[self.kind].replace("{schema}", self.schema)

    def _said(self, statement: str) -> str:
        return statement if self.kind == POSTGRESQL else _as_mariadb_says(statement)


@pytest.fixture(params=KINDS)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """A database of each kind, empty."""
    address = request.getfixturevalue(FIXTURES[request.param])
    with Session(address) as session:
        if request.param == MARIADB:
            session.execute("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        yield Ground(request.param, address, session)


def said(kind: str, words: str) -> str:
    """What `on_create` and `on_write` say, as it is compiled for such a database."""
    tree = asked_of_sequence(words)
    if tree is None:
        sql = parsed(words, (), Findings(Document("rules.yaml", [])))
        assert sql is not None
        tree = sql.tree
    text = dialect_of(kind).render(tree)
    assert text is not None
    return text


def batch(number: int, *writes: Write, forget_to: int = 0) -> Batch:
    """A batch of these writes."""
    return Batch("erp", number, list(writes), sum(len(write.rows) for write in writes), forget_to)


_WORDS: Final = (
    (r"\b(?:big)?serial\b", "int AUTO_INCREMENT"),
    (r"\bint GENERATED \w+( DEFAULT)? AS IDENTITY", "int AUTO_INCREMENT"),
    (r"\bgen_random_uuid\(\)", "uuid()"),
    (r"\bcharacter varying\b", "varchar"),
    (r"(?<=[\w\"] )text(?=[ ,)\n])", "varchar(200)"),
    (r"(?<=[\w\"] )numeric(?=[ ,)\n])", "decimal(12,1)"),
    (r"\bfloat8\b", "double"),
    (r"\bboolean\b", "varchar(1)"),
    (r"\btrue\b", "'t'"),
    (r"\bfalse\b", "'f'"),
    (r"\btimestamptz\b", "timestamp"),
    (r"REFERENCES (\"[^\"]+\"|\w+\b)(?! ?\()", r"REFERENCES \1 (id)"),
    (r"SELECT setval\('(\w+)_id_seq', (\d+)\)", r"ALTER TABLE \1 AUTO_INCREMENT = \2"),
    (r"generate_series\((\d+), (\d+)\) n", r"(SELECT seq AS n FROM seq_\1_to_\2) AS n"),
    (r"string_agg\((concat_ws\([^)]*\)), ', ' ORDER BY ([^)]*)\)", r"GROUP_CONCAT(\1 ORDER BY \2 SEPARATOR ', ')"),
    (r"ON CONFLICT DO NOTHING", "ON DUPLICATE KEY UPDATE line = line"),
    (r"::\w+", ""),
)  # fmt: skip
"""What is said otherwise on MariaDB, as patterns. Its booleans are numbers; here a truth is kept as `t` and `f`."""


def _as_mariadb_says(statement: str) -> str:
    for pattern, word in _WORDS:
        statement = re.sub(pattern, word, statement)
    return statement


def _told(value: Any) -> str:
    return ("t" if value else "f") if isinstance(value, bool) else str(value)
