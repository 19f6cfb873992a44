"""Grounds of the SQL databases: tables and users in their SQL, ports out of the kit that the service uses.

Turns column kinds into each database's types, and texts as the house spells them into its values and back. How a
database is asked for anything is told by its own driver, never by the adapter that is tried.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.mariadb import positions
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Position, Text
from service.wiring import KITS, Kit
from tests.contract.ground import SYSTEM, Ground, Kind, Made, User
from tests.database.assembled import FIXTURES
from tests.database.assembled import Ground as Place
from tests.ground import MARIADB, POSTGRESQL, Error, Session, quoted

OWN: Final = {"skip_own": False, "origin_none": False}
"""Capabilities under which all is told that we write."""
rows_at_once: Final = 1000
"""How many rows an application puts into one statement."""


class SqlUser(User):
    """See the module. `told`: how a text is written as a value of a column of this kind."""

    def __init__(self, ground: SqlGround, session: Session) -> None:
        self.ground = ground
        self.session = session

    def insert(self, table: str, *rows: Sequence[Text]) -> None:
        """New rows."""
        kinds = list(self.ground.tables[table].columns.values())
        one = f"({', '.join(map(self.ground.placeholder, kinds))})"
        for at in range(0, len(rows), rows_at_once):
            some = rows[at : at + rows_at_once]
            given = [self.ground.given(k, text) for row in some for k, text in zip(kinds, row, strict=True)]
            self.session.execute(f"INSERT INTO {self._name(table)} VALUES {', '.join([one] * len(some))}", given)

    def update(self, table: str, key: Sequence[str], **values: Text) -> None:
        """Changes one row."""
        columns = self.ground.tables[table].columns
        sets = ", ".join(f"{self._name(name)} = {self.ground.placeholder(columns[name])}" for name in values)
        given = [self.ground.given(columns[name], text) for name, text in values.items()]
        where, names = self._where(table, key)
        self.session.execute(f"UPDATE {self._name(table)} SET {sets} WHERE {where}", [*given, *names])

    def delete(self, table: str, key: Sequence[str]) -> None:
        """Removes one row."""
        where, names = self._where(table, key)
        self.session.execute(f"DELETE FROM {self._name(table)} WHERE {where}", names)

    def lock(self, table: str, key: Sequence[str]) -> None:
        """Holds a row."""
        where, names = self._where(table, key)
        self.session.rows(f"SELECT 1 FROM {self._name(table)} WHERE {where} FOR UPDATE", names)

    def rows(self, table: str) -> list[tuple[Text, ...]]:
        """All rows of a table."""
        found = self.session.rows(f"SELECT * FROM {quoted(self.ground.place.kind, table)}")
        kinds = self.ground.tables[table].columns.values()
        told = [tuple(map(spelled, kinds, row)) for row in found]
        return sorted(told, key=lambda row: [(text is not None, text or "") for text in row])

    @contextmanager
    def transaction(self, *, undone: bool = False) -> Iterator[None]:
        """Several statements in one."""
        self.session.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.session.execute("ROLLBACK")
            raise
        self.session.execute("ROLLBACK" if undone else "COMMIT")

    def close(self) -> None:
        """Hangs up."""
        self.session.close()

    def _name(self, name: str) -> str:
        return quoted(self.ground.place.kind, name).replace("%", "%%")

    def _where(self, table: str, key: Sequence[str]) -> tuple[str, list[Any]]:
        made = self.ground.tables[table]
        said = [f"{self._name(name)} = {self.ground.placeholder(made.columns[name])}" for name in made.key]
        return " AND ".join(said), [
            self.ground.given(made.columns[name], text) for name, text in zip(made.key, key, strict=True)
        ]


class SqlGround(Ground):
    """See the module."""

    types: Mapping[Kind, str]
    errors = Error

    def __init__(self, place: Place, spool: Path) -> None:
        super().__init__(spool)
        self.place = place
        self.sessions: list[Session] = []
        """The users'."""
        self.open.callback(place.session.close)

    @property
    def schema(self) -> str:  # type: ignore[override]
        """Where its tables are."""
        return self.place.schema

    @cached_property
    def kit(self) -> Kit:
        """What the service has of this database."""
        return KITS[self.place.kind](SYSTEM, self.place.address, insecure=True)

    @cached_property
    def identity(self) -> str:
        """Which server it is."""
        return self.kit.identity()

    def create(self, rules: RuleBook, tables: Sequence[Made]) -> None:
        """Makes the tables, and what `duolog setup` makes."""
        for made in tables:
            for statement in [self._create(made), *(self.shout(made) if made.shouting else ())]:
                self.place.session.execute(statement)
        self.kit.setup(rules, lambda step: None)

    def user(self) -> User:
        """One more session."""
        made = SqlUser(self, self.session())
        self.open.callback(made.close)
        self.sessions.append(made.session)
        return made

    def session(self) -> Session:
        """A session as the application has it."""
        return Session(self.place.address)

    def target(self, rules: RuleBook) -> Target:
        """The kit's."""
        return self.kit.target(rules)

    def source(self, rules: RuleBook, *, skip_own: bool = False) -> Source:
        """The kit's."""
        capabilities = OWN | {"skip_own": skip_own}
        return self.kit.source(rules, self.identity, capabilities=capabilities, spool_dir=self.spool)

    def snapshot(self, rules: RuleBook) -> Snapshot:
        """The kit's."""
        return self.kit.snapshot(rules)

    def placeholder(self, kind: Kind) -> str:
        """Where a value of this kind goes in a statement."""
        return "%s"

    def given(self, kind: Kind, text: Text) -> Any:
        """What goes there."""
        return text

    def _create(self, made: Made) -> str:
        def name(word: str) -> str:
            return quoted(self.place.kind, word)

        lines = []
        for column, kind in made.columns.items():
            default = f" DEFAULT '{made.defaults[column]}'" if column in made.defaults else ""
            lines.append(f"{name(column)} {self.types[kind]}{default}")
        lines.append(f"PRIMARY KEY ({', '.join(map(name, made.key))})")
        for column, other in made.references.items():
            lines.append(f"FOREIGN KEY ({name(column)}) REFERENCES {name(other)} (id)")
        if made.refused is not None:
            column, text = made.refused
            lines.append(f"CHECK ({name(column)} <> '{text}')")
        return f"CREATE TABLE {name(made.name)} ({', '.join(lines)})"

    @abstractmethod
    def shout(self, made: Made) -> list[str]:
        """The statements that make a trigger which turns a column into upper case."""


class PostgresGround(SqlGround):
    """A database of PostgreSQL."""

    types = {
        "integer": "bigint", "word": "varchar(190)", "text": "text", "decimal": "numeric(14,2)", "date": "date",
        "instant": "timestamptz", "bytes": "bytea",
    }  # fmt: skip

    def end(self) -> Position:
        """Where the log ends."""
        high, low = self.place.session.value("SELECT pg_current_wal_lsn()::text").split("/")
        return int(high, 16) << 32 | int(low, 16)

    def shout(self, made: Made) -> list[str]:
        """One function, one trigger."""
        return [
            f"CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.{made.shouting} := "
            f"upper(NEW.{made.shouting}); RETURN NEW; END $$",
            f"CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON {made.name} FOR EACH ROW EXECUTE FUNCTION shout()",
        ]

    def cut(self) -> None:
        """Ends every process of the server's that works for duolog here."""
        ours = "datname = current_database() AND application_name LIKE 'duolog%'"
        self.place.session.rows(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {ours}")


class MariaGround(SqlGround):
    """A database of MariaDB. A `word` is compared by character there, as it is by most others."""

    types = {
        "integer": "bigint", "word": "varchar(190) COLLATE utf8mb4_nopad_bin", "text": "longtext",
        "decimal": "decimal(14,2)", "date": "date", "instant": "timestamp(6) NULL", "bytes": "longblob",
    }  # fmt: skip

    def session(self) -> Session:
        """A session that spells moments in UTC."""
        made = super().session()
        made.execute("SET time_zone = '+00:00'")
        return made

    def end(self) -> Position:
        """Where the log ends."""
        ((file, offset, *_),) = self.place.session.rows("SHOW MASTER STATUS")
        return positions.number(positions.file_number(file), int(offset))

    def shout(self, made: Made) -> list[str]:
        """A trigger for INSERT, another for UPDATE."""
        return [
            f"CREATE TRIGGER shout_{event} BEFORE {event} ON {made.name} FOR EACH ROW "
            f"SET NEW.{made.shouting} = upper(NEW.{made.shouting})"
            for event in ("INSERT", "UPDATE")
        ]

    def placeholder(self, kind: Kind) -> str:
        """Where a value goes."""
        return "UNHEX(%s)" if kind == "bytes" else "%s"

    def given(self, kind: Kind, text: Text) -> Any:
        """What goes there."""
        if text is None:
            return None
        return text.removeprefix("\\x") if kind == "bytes" else text.removesuffix("+00") if kind == "instant" else text

    def cut(self) -> None:
        """Ends every connection that works here or reads the log, but for the application's."""
        session = self.place.session
        here = "db = database() OR command LIKE 'Binlog Dump%'"
        theirs = {each.value("SELECT connection_id()") for each in (session, *self.sessions)}
        for (thread,) in session.rows(f"SELECT id FROM information_schema.processlist WHERE {here}"):
            if thread not in theirs:
                session.execute(f"KILL {thread}")


GROUNDS: Final = {POSTGRESQL: PostgresGround, MARIADB: MariaGround}


def spelled(kind: Kind, value: Any) -> Text:
    """A driver's value, as the house spells it."""
    match value:
        case None | str():
            return value
        case bytes():
            return "\\x" + value.hex()
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            fraction = f".{moment.microsecond:06}".rstrip("0").rstrip(".")
            return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}+00"
        case int() | Decimal() | date():
            return str(value)
        case _:
            raise TypeError(f"no spelling for {kind}")


def sql_ground(kind: str) -> Callable[[pytest.FixtureRequest], Ground]:
    """How a ground of this kind is made for a test."""

    def make(request: pytest.FixtureRequest) -> Ground:
        address = request.getfixturevalue(FIXTURES[kind])
        return GROUNDS[kind](Place(kind, address, Session(address)), request.getfixturevalue("tmp_path"))

    return make
