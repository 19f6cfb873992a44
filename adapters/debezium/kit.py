"""Everything that the service asks of a database that Debezium reads: changes come over Kafka, all else from itself.

Turns one system's entry in a rule file into the ports of `engine.ports`, around the kit of the database's own adapter,
which knows catalog, target and snapshot, and leaves the log alone. It opens connections when asked and keeps none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from adapters.debezium import facts, preflight
from adapters.debezium.bookmark import Kept
from adapters.debezium.connector import configuration
from adapters.debezium.coordinates import gtid_marks
from adapters.debezium.decoding.decoder import Decoder
from adapters.debezium.decoding.events import RowEvent, TruncateEvent
from adapters.debezium.decoding.judging import doubts, shown_in
from adapters.debezium.decoding.modes import Modes
from adapters.debezium.decoding.unfit import Doubt
from adapters.debezium.layout import LEDGER, Topics
from adapters.debezium.opening import ends, opened
from adapters.debezium.source import DebeziumSource, Stream
from adapters.kafka.broker import Broker
from adapters.kafka.topics import TopicLook
from engine.catalog import Catalog, Column, Finding, TableShape
from engine.ports import Snapshot, Target
from engine.rulebook import RuleBook, Table
from engine.vocabulary import Outcome, Position

AVRO: Final = b"\0"
"""What a message in Avro begins with; its schema is elsewhere."""
LEDGER_COLUMNS: Final = ("engine", "system", "number_to")
CONNECTORS: Final[Mapping[str, str]] = {"mssql": "sqlserver"}
"""What Debezium calls a kind of database, where rules call it otherwise."""


class Database(Protocol):
    """What the kit of the database's own adapter offers, when another program reads its log; see `service.wiring.Kit`
    for the rest."""

    system: str

    def origins(self, book: RuleBook) -> Mapping[str, str]: ...
    def whole(self, tables: Sequence[Table]) -> set[int]: ...
    def make_sure(self, book: RuleBook, identity: str, resume: Position) -> None: ...
    def beat(self, book: RuleBook) -> None: ...
    def log_marks(self) -> str: ...
    def catalog(self, tables: Iterable[tuple[str, str]]) -> Catalog: ...
    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]: ...
    def planned(self, book: RuleBook) -> Sequence[Any]: ...
    def grants(self, book: RuleBook, role: str) -> list[str]: ...
    def setup(self, book: RuleBook, told: Callable[[Any], None]) -> Sequence[Any]: ...
    def teardown(self, book: RuleBook) -> list[str]: ...
    def forget(self, book: RuleBook) -> None: ...
    def identity(self) -> str: ...
    def committed(self, book: RuleBook, after: int) -> list[Outcome]: ...
    def target(self, book: RuleBook, **given: Any) -> Target: ...
    def snapshot(self, book: RuleBook) -> Snapshot: ...
    def rows_about(self, book: RuleBook) -> list[int]: ...
    def picture(self, book: RuleBook) -> Snapshot: ...
    def reading(self, book: RuleBook) -> AbstractContextManager[Any]: ...
    def position_text(self, position: Position) -> str: ...
    def switch(self, book: RuleBook) -> Any: ...


class DebeziumKit:
    """One database that Debezium reads. `database`: the kit of its own adapter; `kind`: what rules call that.
    `bookmarks`: where they are kept; set once there is a store."""

    def __init__(
        self, database: Database, kind: str, broker: Broker, topics: Topics, *, modes: Modes | None = None,
        schemas: Callable[[int], str] | None = None,
    ) -> None:  # fmt: skip
        self.system = database.system
        self.bookmarks: Kept | None = None
        self._database = database
        self._kind = kind
        self._broker = broker
        self._topics = topics
        self._modes = modes
        self._schemas = schemas

    # ---- what the database itself is asked

    def catalog(self, tables: Iterable[tuple[str, str]]) -> Catalog:
        """What the database says of these tables."""
        return self._database.catalog(tables)

    def planned(self, book: RuleBook) -> Sequence[Any]:
        """What `setup` would make in the database. Connector and topics are not ours to make."""
        return self._database.planned(book)

    def setup(self, book: RuleBook, told: Callable[[Any], None]) -> Sequence[Any]:
        """Makes what is missing."""
        return self._database.setup(book, told)

    def teardown(self, book: RuleBook) -> list[str]:
        """Takes away what `setup` made; returns what that was."""
        return self._database.teardown(book)

    def forget(self, book: RuleBook) -> None:
        """Empties our part of the ledger."""
        self._database.forget(book)

    def end_reader(self, book: RuleBook) -> None:
        """Nothing: any number of readers may read the topics at the same time."""

    def identity(self) -> str:
        """Which server and database this is. Which topics they are, bookmarks tell."""
        return self._database.identity()

    def committed(self, book: RuleBook, after: int) -> list[Outcome]:
        """What the ledger tells of batches."""
        return self._database.committed(book, after)

    def target(self, book: RuleBook, **given: Any) -> Target:
        """The writer of its tables: the database's own."""
        return self._database.target(book, **given)

    def rows_about(self, book: RuleBook) -> list[int]:
        """By table number: about how many rows it has; 0 if nobody knows."""
        return self._database.rows_about(book)

    def picture(self, book: RuleBook) -> Snapshot:
        """What is there now."""
        return self._database.picture(book)

    def reading(self, book: RuleBook) -> AbstractContextManager[Any]:
        """Rows as they are now, for comparing."""
        return self._database.reading(book)

    def position_text(self, position: Position) -> str:
        """A position as the database writes it."""
        return self._database.position_text(position)

    def switch(self, book: RuleBook) -> Any:
        """What lets go of who waits at COMMIT, from rules in which the system was synchronous."""
        return self._database.switch(book)

    # ---- what comes over Kafka

    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]:
        """What is wrong with the live system and with its topics, and the capabilities that `source` may use."""
        found, capabilities = self._database.findings(book)
        tables = book.tables[self.system]
        shapes = self._database.catalog([(table.schema, table.name) for table in tables]).tables
        there = all((table.schema, table.name) in shapes for table in tables)  # if not, that is told already
        known = facts.gather(
            self.system, self._broker, self._topics, tables, ledger=self._ledger(book), kind=self._kind,
            decoder=self._decoder(book) if there else None,
        )  # fmt: skip
        more = preflight.assess(known) + (self._exactness(known, shapes) if there else [])
        return sorted([*found, *more], key=lambda finding: finding.severity != "error"), capabilities

    def _exactness(self, known: facts.Facts, shapes: Mapping[tuple[str, str], TableShape]) -> list[Finding]:
        """What is not told exactly, of tables of which something was told."""
        whole = self._database.whole(known.tables)
        found: list[Doubt] = []
        for topic, number in known.wanted.items():
            value = known.rows.get(topic)
            if number == len(known.tables) or value is None or value[:1] == AVRO or topic in known.unreadable:
                continue
            table = known.tables[number]
            found += doubts(
                table, shapes[table.schema, table.name].columns, self._modes or Modes(), self._connector,
                told=shown_in([value]), whole=number in whole,
            )  # fmt: skip
        return preflight.exactness(self.system, found)

    @property
    def _connector(self) -> str:
        """What Debezium calls this kind of database."""
        return CONNECTORS.get(self._kind, self._kind)

    def grants(self, book: RuleBook, role: str) -> list[str]:
        """The least rights that suffice: SQL, and Kafka's ACLs as commands."""
        topics = [*self._topics.wanted(book.tables[self.system], ledger=self._ledger(book)),
                  self._topics.of_transactions, *self._topics.beside]  # fmt: skip
        return [*self._database.grants(book, role), *preflight.acls(role, topics)]

    def snapshot(self, book: RuleBook) -> Snapshot:
        """A consistent picture at a known position, behind all that is in the topics now: that is noted first."""
        wanted = self._topics.wanted(book.tables[self.system], ledger=self._ledger(book))
        with TopicLook(self._broker, system=self.system) as look:
            mark = ends(look, self._topics, wanted, {})
        mark = msgspec.structs.replace(mark, marks=gtid_marks(self._database.log_marks()))
        taken = self._database.snapshot(book)
        if self.bookmarks is not None:
            self.bookmarks.begin(taken.position, mark.text())
        return taken

    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> DebeziumSource:
        """The reader of its topics."""
        return DebeziumSource(self.system, self._stream(book, identity, capabilities, spool_dir), self.bookmarks)

    def borrowed(self, book: RuleBook, identity: str, *, spool_dir: Path) -> BorrowedSource:
        """A reader beside the engine's own; it tells also what the engine writes, and keeps no bookmarks."""
        kept = ReadOnly(self.bookmarks) if self.bookmarks is not None else None
        return BorrowedSource(self.system, self._stream(book, identity, {}, spool_dir), kept)

    def log_kept(self, book: RuleBook, position: Position) -> int:
        """How many bytes Kafka keeps of the topics. Raises LogLost or LogReset if they could not be read on from
        `position`."""
        wanted = self._topics.wanted(book.tables[self.system], ledger=self._ledger(book))
        kept = self.bookmarks.newest(position) if self.bookmarks is not None else None
        with TopicLook(self._broker, system=self.system) as look:
            found = opened(self.system, look, self._topics, wanted, kept)
            return look.bytes_kept(list(found.ids))

    def connector(self, book: RuleBook) -> dict[str, str]:
        """What Debezium's connector has to be told for these rules; never a secret."""
        return configuration(self._kind, self._topics, book.tables[self.system], ledger=self._ledger(book))

    def _ledger(self, book: RuleBook) -> bool:
        """Our own transactions are known by the ledger only."""
        return not self._database.origins(book)

    def _stream(self, book: RuleBook, identity: str, capabilities: Mapping[str, bool], spool_dir: Path) -> Stream:
        return Stream(
            self._broker, self._kind, self._topics, book.tables[self.system], self._ledger(book), self._own(book),
            lambda: self._decoder(book), lambda: self._database.beat(book),
            lambda: gtid_marks(self._database.log_marks()),
            lambda resume: self._database.make_sure(book, identity, resume), capabilities.get("skip_own", False),
            spool_dir,
        )  # fmt: skip

    def _decoder(self, book: RuleBook) -> Decoder:
        """Made anew whenever a source is opened: columns may have changed."""
        tables = list(book.tables[self.system])
        if self._ledger(book):
            tables.append(Table(*LEDGER, LEDGER_COLUMNS, (0, 1, 2)))
        shapes = self._database.catalog([(table.schema, table.name) for table in tables]).tables
        columns: dict[tuple[str, str], Mapping[str, Column]] = {name: shape.columns for name, shape in shapes.items()}
        topics = self._topics.wanted(book.tables[self.system], ledger=self._ledger(book))
        return Decoder(
            self.system, self._connector, tables, columns, self._modes,
            whole=self._database.whole(tables), schemas=self._schemas,
            expected={topic: (tables[number].schema, tables[number].name) for topic, number in topics.items()},
        )  # fmt: skip

    def _own(self, book: RuleBook) -> Callable[[RowEvent | TruncateEvent], tuple[str, int] | None]:
        """Which of our engines wrote an event, and with which batch, if that is told."""
        origins = self._database.origins(book)
        if origins:
            return lambda event: (engine, 0) if (engine := origins.get(event.source.origin or "")) else None
        engines, ledger = frozenset(book.engines), len(book.tables[self.system])

        def written(event: RowEvent | TruncateEvent) -> tuple[str, int] | None:
            if event.table != ledger or not isinstance(event, RowEvent) or event.new is None:
                return None
            engine, system, number = event.new[:3]
            return (str(engine), int(str(number))) if engine in engines and system == self.system else None

        return written


class ReadOnly:
    """Bookmarks of an engine's, for a reader beside it."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def newest(self, resume: Position) -> str | None:
        """See `Kept`."""
        return self._kept.newest(resume)

    def keep(self, position: Position, document: str) -> None:
        """They are the engine's to keep."""

    def begin(self, position: Position, document: str) -> None:
        """They are the engine's to keep."""


class BorrowedSource(DebeziumSource):
    """A source beside a running engine's own; opened once."""

    def reserve(self) -> None:
        """Kafka keeps its topics for as long as it was told to, whoever reads them."""

    def let_go(self) -> None:
        """Hangs up."""
        self.close()
