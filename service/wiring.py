"""The composition root: a rule file in, everything that an engine or a command needs out.

The only file that knows all adapters by name. It opens what it is asked for and decides nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from adapters.alchemy import survey as alchemy
from adapters.alchemy.kit import AlchemyKit
from adapters.alchemy.session import Session
from adapters.alchemy.speech import AlchemySpeech
from adapters.changetable.kit import ChangeTableKit
from adapters.debezium.decoding.modes import modes
from adapters.debezium.kit import Database, DebeziumKit
from adapters.debezium.layout import LEDGER, WITH_DATABASE, Topics
from adapters.debezium.registry import Registry
from adapters.kafka.broker import broker
from adapters.mariadb import survey as mariadb
from adapters.mariadb.elsewhere import MariaElsewhere
from adapters.mariadb.kit import MariaKit
from adapters.postgresql import survey as postgresql
from adapters.postgresql.elsewhere import PostgresElsewhere
from adapters.postgresql.kit import PostgresKit
from adapters.relational.survey import Survey
from adapters.relational.switch import Switch
from adapters.sqlserver.kit import SqlServerKit
from adapters.sqlserver.speech import SqlServerSpeech
from adapters.store import SqlStore
from engine.catalog import Catalog, Finding
from engine.errors import StoreUnfit
from engine.fence import Fence
from engine.ports import Snapshot, Source, Target
from engine.rulebook import RuleBook
from engine.vocabulary import Outcome, Position, Row
from rules import Known, Loaded, Problem, RuleFile, System, compile_book, find_systems, load
from rules.addresses import database
from rules.qualified import default_schema
from rules.secrets import Secret
from rules.synchronous import ADAPTERS


class Rows(Protocol):
    """Bound rows of one system, as they are now."""

    def rows(self, entity: str) -> Iterator[tuple[str, Row]]:
        """All rows of an entity with one key everywhere, ascending by record key, in field order."""

    def table(self, number: int) -> Iterator[Row]:
        """All rows of a table (a number in `RuleBook.tables[system]`), in the order of its columns; in any order."""

    def rows_of(self, entity: str, keys: Sequence[str]) -> dict[str, Row]:
        """The rows of these records."""


class Borrowed(Source, Protocol):
    """A source beside a running engine's own; opened once."""

    def reserve(self) -> None:
        """From here on the server keeps the log for us."""

    def let_go(self) -> None:
        """Hangs up, and lets the server forget."""


class Kit(Protocol):
    """What every adapter offers the service; see `adapters.postgresql.kit` for the promises."""

    system: str

    def catalog(self, tables: Iterable[tuple[str, str]]) -> Catalog: ...
    def findings(self, book: RuleBook) -> tuple[list[Finding], dict[str, bool]]: ...
    def planned(self, book: RuleBook) -> Sequence[Any]: ...
    def grants(self, book: RuleBook, role: str) -> list[str]: ...
    def setup(self, book: RuleBook, told: Callable[[Any], None]) -> Sequence[Any]: ...
    def teardown(self, book: RuleBook) -> list[str]: ...
    def forget(self, book: RuleBook) -> None: ...
    def end_reader(self, book: RuleBook) -> None: ...
    def identity(self) -> str: ...
    def source(
        self, book: RuleBook, identity: str, *, capabilities: Mapping[str, bool], spool_dir: Path
    ) -> Source: ...
    def borrowed(self, book: RuleBook, identity: str, *, spool_dir: Path) -> Borrowed: ...
    def committed(self, book: RuleBook, after: int) -> list[Outcome]: ...
    def target(self, book: RuleBook, *, fence: Fence | None = None) -> Target: ...
    def snapshot(self, book: RuleBook) -> Snapshot: ...
    def rows_about(self, book: RuleBook) -> list[int]: ...
    def log_kept(self, book: RuleBook, position: Position) -> int: ...
    def picture(self, book: RuleBook) -> Snapshot: ...
    def reading(self, book: RuleBook) -> AbstractContextManager[Rows]: ...
    def position_text(self, position: Position) -> str: ...
    def switch(self, book: RuleBook) -> Switch: ...


def _speech(session: Session) -> AlchemySpeech:
    """What puts the writes of a session into words, whichever database ODBC has led to."""
    return SPEECHES.get(session.name, AlchemySpeech)(session)


SPEECHES: Mapping[str, Callable[[Session], AlchemySpeech]] = {"mssql": SqlServerSpeech}
"""By SQLAlchemy's name for the dialect, where there are better words than those that all databases understand."""
KITS: Mapping[str, Callable[..., Kit]] = {
    "postgresql": PostgresKit, "mariadb": MariaKit, "mysql": MariaKit, "sqlserver": SqlServerKit,
    "sqlite": ChangeTableKit, "odbc": partial(ChangeTableKit, speech=_speech),
}  # fmt: skip
"""By the word after `adapter:`, of those whose databases are read without another program."""
ELSEWHERE: Mapping[str, Callable[..., Database]] = {
    "postgresql": PostgresElsewhere, "mariadb": MariaElsewhere, "mysql": MariaElsewhere,
    **dict.fromkeys(("oracle", "mssql", "db2"), partial(AlchemyKit, ledger=LEDGER)),
}  # fmt: skip
"""By the kind of database: what does all the rest, where Debezium reads its log."""
SCHEMES: Mapping[str, Callable[[str, str, Collection[str]], Survey]] = {
    "postgresql": postgresql.survey, "postgres": postgresql.survey, "mariadb": mariadb.survey, "mysql": mariadb.survey,
    "mssql": partial(alchemy.survey, adapter="sqlserver"), "sqlserver": partial(alchemy.survey, adapter="sqlserver"),
    "sqlite": partial(alchemy.survey, adapter="sqlite"), "odbc": partial(alchemy.survey, adapter="odbc"),
}  # fmt: skip
"""By what an address begins with: how the tables behind it are looked at, before there are rules."""


class RulesRefused(Exception):
    """A rule file cannot be used; `problems` says all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Wired:
    """A rule file with its systems at hand."""

    rules: RuleFile
    book: RuleBook
    kits: Mapping[str, Kit]
    warnings: list[Problem]


def scheme_of(url: str) -> str:
    """What an address begins with; empty if no adapter knows such addresses."""
    scheme = url.partition("://")[0].lower().partition("+")[0]
    return scheme if scheme in SCHEMES else ""


def survey(system: str, url: str, schemas: Collection[str]) -> Survey:
    """The tables of a database: of these schemas, or of those that its adapter takes for the application's.

    Raises SystemUnavailable, SystemStopped."""
    found = SCHEMES[scheme_of(url)](system, url, schemas)
    return found if default_schema(found.adapter, Secret(url)) == found.home else replace(found, home="")


class SystemClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        """Seconds, never going back."""
        return time.monotonic()


def read_rules(path: Path) -> Loaded:
    """Loads a rule file with the environment. Raises RulesRefused."""
    loaded = load(path, os.environ)
    if loaded.rules is None:
        raise RulesRefused(loaded.problems)
    return loaded


def kits(rules: RuleFile | Known) -> dict[str, Kit]:
    """The systems of a rule file. Nothing is opened yet."""
    found: dict[str, Kit] = {}
    for name, system in rules.systems.items():
        assert system.url is not None, "loaded with an environment"
        if system.kafka is not None:
            found[name] = _over_kafka(system)
        elif (word := system.adapter if system.adapter in KITS else system.database) in KITS:
            # Of rules that are only known in part, one that Debezium reads is here as the database that it is, unless
            # that is one whose users can never wait: it has no switch.
            said = {"capture": system.capture} if system.capture else {}
            found[name] = KITS[word](name, system.url.reveal(), insecure=system.insecure, **said)
    return found


def _over_kafka(system: System) -> DebeziumKit:
    """A database that Debezium reads. Raises RulesRefused."""
    assert system.url is not None and system.kafka is not None and system.topics is not None, "checked"
    said = system.topics
    named = database(system.url) if system.database in WITH_DATABASE else ""
    topics = Topics(said.prefix, said.tables, said.transactions or "", said.heartbeats or "", named)
    inner = ELSEWHERE[system.database](system.name, system.url.reveal(), insecure=system.insecure)
    brokers = broker(system.kafka.reveal(), system=system.name, insecure=system.insecure)
    schemas = Registry(system.registry.reveal(), system=system.name).schema if system.registry is not None else None
    return DebeziumKit(inner, system.database, brokers, topics, modes=modes(said.options), schemas=schemas)


def connector_of(wired: Wired, system: str) -> dict[str, str]:
    """What Debezium's connector has to be told for a system. Raises StoreUnfit if it does not read it."""
    kit = wired.kits.get(system)
    if not isinstance(kit, DebeziumKit):
        raise StoreUnfit(f"`{system}` is no system that Debezium reads", mend="name one with `adapter: debezium`")
    return kit.connector(wired.book)


def with_bookmarks(systems: Mapping[str, Kit], store: SqlStore) -> None:
    """Tells those whose logs are not read by position alone where to keep what they need."""
    for name, kit in systems.items():
        if isinstance(kit, DebeziumKit):
            kit.bookmarks = store.bookmarks(name)


def known(path: Path) -> Known:
    """The systems of a rule file that may be wrong otherwise: enough for their switches. Raises RulesRefused."""
    found = find_systems(path, os.environ)
    if found is None:
        raise RulesRefused(load(path, os.environ).problems)
    return found


def watched(rules: RuleFile | Known, book: RuleBook) -> list[str]:
    """The synchronous systems whose servers let nobody go by themselves: a watchdog has to."""
    return [name for name in book.synchronous if not ADAPTERS[rules.systems[name].adapter].ends]


def offline_book(loaded: Loaded) -> RuleBook:
    """The rule book as far as it is known without the catalogs: names, keys, registers. Raises RulesRefused."""
    assert loaded.rules is not None
    book, problems = compile_book(loaded.rules, None)
    _refuse(problems)
    return book


def wire(path: Path) -> Wired:
    """Loads a rule file and holds it against the live catalogs. Raises RulesRefused, DuologError."""
    loaded = read_rules(path)
    assert loaded.rules is not None
    named = offline_book(loaded)
    systems = kits(loaded.rules)
    catalogs = {
        name: kit.catalog([(table.schema, table.name) for table in named.tables[name]])
        for name, kit in systems.items()
    }
    book, problems = compile_book(loaded.rules, catalogs)
    _refuse(problems)
    warnings = [p for p in [*loaded.warnings, *problems] if p.severity == "warning"]
    return Wired(loaded.rules, book, systems, warnings)


def open_store(rules: RuleFile, *, create: bool) -> SqlStore:
    """The store of a rule file. Raises StoreUnfit."""
    assert rules.store is not None, "loaded with an environment"
    if rules.workers is not None:
        raise StoreUnfit("these rules are for workers, who share the work", mend="`duolog run RULES --worker`")
    return SqlStore.open(rules.store.reveal(), name=rules.name, create=create)


def open_part(rules: RuleFile, part: str, *, create: bool) -> SqlStore:
    """The store of one of those who share the work: a partition's engine, or a reader. Raises StoreUnfit."""
    assert rules.store is not None, "loaded with an environment"
    return SqlStore.open(rules.store.reveal(), name=f"{rules.name}.{part}", create=create, part=part)


def _refuse(problems: list[Problem]) -> None:
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise RulesRefused(errors)
