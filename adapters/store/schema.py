"""The store's tables, as SQLAlchemy Core describes them, and the INSERT statements that fill them.

It turns the nouns of `engine/ports.py` into columns, the same on SQLite and PostgreSQL; times are microseconds since
1970 UTC, positions and numbers 64-bit integers, keys text without NUL. It never opens a connection and never runs SQL.

Three choices were measured (the first two by `python -m tests.store.speed`):

* `record` is an ordinary rowid table with a unique index on (entity, key). WITHOUT ROWID it is a tenth faster for small
  states, but rows above a quarter of a page (500 bytes) overflow, at three times the cost. A hash of the key as rowid
  saves a tenth on random keys, but scatters neighbouring ones: three times the cost, and ten times that of filling.
* `record` has no NOT NULL: with one, SQLite keeps a statement journal for every INSERT of several rows, a fifth of the
  time of a commit.
* `entry` is an ordinary table with a unique index for the same reasons. WITHOUT ROWID entries without bytes take half
  the room and half the time of a deletion; but with 150 bytes each filling takes twice as long, and from 500 bytes on
  everything two to five times (200,000 entries, 5,000 a commit).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

FORMAT: Final = 2
"""The version of these tables: a lower one is brought forward by `opening.py`, a higher one refused by name.

1: all but `entry`. 2: `entry`."""

SCHEMA: Final = "duolog_store"
"""The schema that holds the tables on PostgreSQL."""

Serial: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A key that the database counts up: on SQLite that must be spelled INTEGER."""

Name: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared by code point."""

tables: Final = MetaData()
"""Everything that a commit changes."""

meta = Table("meta", tables, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
"""`format`, `rules`, `number`, `phase`."""

system = Table(
    "system", tables,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger),
    Column("identity", Text),
)

record = Table(
    "record", tables,
    Column("id", Serial, primary_key=True),
    Column("entity", Name),
    Column("key", Name),
    Column("state", LargeBinary),
    Column("checksum", BigInteger),
    Index("record_key", "entity", "key", unique=True),
)
"""`checksum` is the CRC-32 of `state`."""

entry = Table(
    "entry", tables,
    Column("id", Serial, primary_key=True),
    Column("space", Name),
    Column("value", Name),
    Column("item", Name),
    Column("state", LargeBinary),
    Index("entry_item", "space", "value", "item", unique=True),
)
"""The sorted multimap. No NOT NULL, as in `record`."""

pending = Table(
    "pending", tables,
    Column("id", Serial, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("records", LargeBinary, nullable=False),
    Index("pending_number", "number", "id"),
)
"""`records` is the list of (entity, key) in MessagePack. A step that was written in pages has several rows."""

applied = Table(
    "applied", tables,
    Column("system", Text, primary_key=True),
    Column("number_to", BigInteger, primary_key=True, autoincrement=False),
    Column("separator", BigInteger, nullable=False),
)

journal = Table(
    "journal", tables,
    Column("id", Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("entity", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fields", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("because", Text, nullable=False),
    Column("winner", Text, nullable=False),
    Column("won", Text, nullable=False),
    Column("loser", Text, nullable=False),
    Column("lost", Text, nullable=False),
    Index("journal_key", "entity", "key"),
    Index("journal_at", "at"),
    sqlite_autoincrement=True,
)
"""`fields`, `winner`, `won`, `loser` and `lost` are JSON; a version is its array, or null."""

quarantine = Table(
    "quarantine", tables,
    Column("entity", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("system", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

hold = Table(
    "hold", tables,
    Column("entity", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("register", Integer, primary_key=True, autoincrement=False),
    Column("since", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
)

answer = Table(
    "answer", tables,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("done_at", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
)
"""What came of a request: committed with what it changed, so that no request is carried out twice."""

inbox: Final = MetaData()
"""What other processes write: on SQLite a file of its own, on PostgreSQL tables beside the others."""

request = Table(
    "request", inbox,
    Column("id", Serial, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("asked_by", Text, nullable=False),
    sqlite_autoincrement=True,
)

bookmark = Table(
    "bookmark", inbox,
    Column("id", Serial, primary_key=True),
    Column("system", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("bookmark_position", "system", "position"),
)
"""Where sources that need more than a position may begin to read."""

desk: Final = MetaData()
"""What only PostgreSQL needs a table for; on SQLite these are files beside the store."""

status = Table("status", desk, Column("id", Integer, primary_key=True), Column("document", Text, nullable=False))

holder = Table("holder", desk, Column("id", Integer, primary_key=True), Column("document", Text, nullable=False))


@dataclass(frozen=True, slots=True)
class Insert:
    """One INSERT, in three pieces, so that each database may put its own placeholders, and many rows, between."""

    head: str
    columns: int
    tail: str = ""


PUT_META: Final = Insert(
    "INSERT INTO meta (name, value) VALUES ", 2, " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
PUT_POSITION: Final = Insert(
    "INSERT INTO system (name, position) VALUES ", 2,
    " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
)
PUT_IDENTITY: Final = Insert(
    "INSERT INTO system (name, identity) VALUES ", 2,
    " ON CONFLICT (name) DO UPDATE SET identity = excluded.identity",
)
PUT_RECORD: Final = Insert(
    "INSERT INTO record (entity, key, state, checksum) VALUES ", 4,
    " ON CONFLICT (entity, key) DO UPDATE SET state = excluded.state, checksum = excluded.checksum",
)
PUT_ENTRY: Final = Insert(
    "INSERT INTO entry (space, value, item, state) VALUES ", 4,
    " ON CONFLICT (space, value, item) DO UPDATE SET state = excluded.state",
)
PUT_PENDING: Final = Insert("INSERT INTO pending (number, records) VALUES ", 2)
PUT_APPLIED: Final = Insert(
    "INSERT INTO applied (system, number_to, separator) VALUES ", 3,
    " ON CONFLICT (system, number_to) DO UPDATE SET separator = excluded.separator",
)
PUT_JOURNAL: Final = Insert(
    "INSERT INTO journal (at, number, entity, key, fields, kind, because, winner, won, loser, lost) VALUES ", 11
)
PUT_QUARANTINE: Final = Insert(
    "INSERT INTO quarantine (entity, key, system, since, reason) VALUES ", 5,
    " ON CONFLICT (entity, key, system) DO UPDATE SET reason = excluded.reason",
)
PUT_HOLD: Final = Insert(
    "INSERT INTO hold (entity, key, register, since, why) VALUES ", 5,
    " ON CONFLICT (entity, key, register) DO UPDATE SET why = excluded.why",
)
PUT_ANSWER: Final = Insert(
    "INSERT INTO answer (id, done_at, answer) VALUES ", 3, " ON CONFLICT (id) DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Removal:
    """One DELETE: conditions that each compare a column with a value, all of which must be true."""

    head: str
    conditions: tuple[str, ...]

    def text(self, mark: str) -> str:
        """The statement; `mark`: what stands for a value."""
        return self.head + " AND ".join([condition + mark for condition in self.conditions])


DROP_PENDING: Final = Removal("DELETE FROM pending WHERE ", ("number <= ",))
DROP_APPLIED: Final = Removal("DELETE FROM applied WHERE ", ("system = ", "number_to < "))
DROP_QUARANTINE: Final = Removal("DELETE FROM quarantine WHERE ", ("entity = ", "key = ", "system = "))
DROP_HOLD: Final = Removal("DELETE FROM hold WHERE ", ("entity = ", "key = ", "register = "))
