"""Rules from the disk to checked rules: read, shaped, checked, their addresses resolved. All problems at once.

Reads the one file (or all files of the one folder), the secret files that it names, and the environment it is given;
opens no connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os.path import abspath
from pathlib import Path

from engine.rulebook import Synchronous
from rules.addresses import Addresses, addresses, check_loops, store_address
from rules.capture import CAPTURED, check_capture
from rules.check import check
from rules.feed import FeedRules, feed_of
from rules.findings import Findings
from rules.folder import read_file, read_folder
from rules.kafka import check_kafka
from rules.located import Document
from rules.problem import Problem, in_order
from rules.qualified import qualified
from rules.secrets import Secret
from rules.shape import shape
from rules.synchronous import synchronous_of
from rules.syntax import SYSTEM_NAME, EntitySyntax, SystemSyntax, TopicsSyntax
from rules.trials import check_tests
from rules.workers import Workers, workers_of


@dataclass(frozen=True, slots=True)
class System:
    """A database that takes part."""

    name: str
    adapter: str
    url: Secret | None
    """None if the file was loaded without an environment."""
    insecure: bool
    time_zone: str | None = None
    """In which zone its times without one are."""
    database: str = ""
    """The kind of database; as `adapter`, unless that reads several."""
    kafka: Secret | None = None
    """Where Kafka's brokers are, of a system whose changes come from there."""
    topics: TopicsSyntax | None = None
    """Where they are in Kafka."""
    registry: Secret | None = None
    """Where the schemas of its messages are, if anywhere."""
    capture: str = ""
    """By what SQL Server is to tell its changes; empty of all others."""

    @classmethod
    def of(cls, name: str, words: SystemSyntax, found: Addresses | None) -> System:
        """What the words of a rule file amount to. `found`: what its addresses resolve to."""
        return cls(
            name, words.adapter, found.systems[name] if found else None, words.insecure, words.time_zone,
            words.database, found.kafka.get(name) if found else None, words.topics,
            found.registries.get(name) if found else None,
            words.capture or ("cdc" if words.adapter == CAPTURED else ""),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule file without problems, or several in one folder."""

    path: Path
    """The file, or the folder."""
    name: str
    store: Secret | None
    """Our own state, as a URL for SQLAlchemy; None if the file was loaded without an environment."""
    systems: Mapping[str, System]
    synchronous: Mapping[str, Synchronous]
    """By system, of those with `commit: synchronous`. Not part of `System`, whose words all decide something."""
    entities: Mapping[str, EntitySyntax]
    workers: Workers | None
    """Who shares the work; None: one process does all of it."""
    document: Document = field(repr=False)
    """Knows the place of everything, for problems that only the catalogs show."""
    feed: FeedRules | None = None
    """Where agreed changes are told; None: nowhere."""

    @property
    def home(self) -> Path:
        """The folder that the rules are in."""
        return home(self.path)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a rule file."""

    rules: RuleFile | None
    """None if there is a problem."""
    problems: list[Problem]
    """What keeps the file from being used, by place."""
    warnings: list[Problem]
    """What the user should know, by place."""


def load(path: Path | str, environ: Mapping[str, str] | None) -> Loaded:
    """The rules of a file (or of the files of a folder), or everything that is wrong with them.

    `environ` holds the variables that `${NAME}` may name; None leaves all addresses alone, for offline checks."""
    path = Path(path)
    document, problems = read_folder(path) if path.is_dir() else read_file(path)
    if document is None:
        return Loaded(None, in_order(problems), [])
    return _loaded(path, document, problems, environ)


def _loaded(path: Path, document: Document, problems: list[Problem], environ: Mapping[str, str] | None) -> Loaded:
    places = {problem.place for problem in problems}
    shaped, misshapen = shape(document)
    # What was refused as YAML has left a hole in the tree, which is no second problem.
    problems = problems + [problem for problem in misshapen if problem.place not in places]
    if shaped is None:
        return Loaded(None, in_order(problems), [])
    findings = Findings(document, problems)
    name = shaped.syntax.name or default_name(path)
    found, resolved = addresses(shaped.syntax, name, home(path), environ, findings)
    shaped = replace(shaped, syntax=qualified(shaped.syntax, resolved))
    check(shaped, findings)
    check_capture(shaped.syntax.systems, findings)
    check_kafka(shaped.syntax.systems, findings)
    check_tests(shaped.syntax.entities, findings)
    check_loops(shaped.syntax, resolved, findings)
    workers = workers_of(shaped.syntax, found.store if found else None, home(path), environ, findings)
    feed = feed_of(shaped.syntax, name, home(path), environ, findings)
    errors = [problem for problem in findings.problems if problem.severity == "error"]
    warnings = [problem for problem in findings.problems if problem.severity == "warning"]
    if errors:
        return Loaded(None, in_order(errors), in_order(warnings))
    systems = {system: System.of(system, entry, found) for system, entry in shaped.syntax.systems.items()}
    waits = synchronous_of(shaped.syntax.systems)
    store = found.store if found else None
    rules = RuleFile(path, name, store, systems, waits, shaped.syntax.entities, workers, document, feed)
    return Loaded(rules, [], in_order(warnings))


def find_store(path: Path, environ: Mapping[str, str]) -> tuple[str, Secret] | None:
    """The engine's name and its store, also of rules that are wrong otherwise: for what has to be told all the same.

    Of a file that is not even YAML, what they are when nothing is said of them. None if they cannot be found out."""
    document, _ = read_folder(path) if path.is_dir() else read_file(path)
    root = document.root if document is not None and isinstance(document.root, dict) else {}
    name, template = name_of(document, path), root.get("store")
    if template is not None and not isinstance(template, str):
        return None
    findings = Findings(document or Document(str(path), []))
    store = store_address(template, name, home(path), environ, findings)
    return (name, store) if store is not None else None


def name_of(document: Document | None, path: Path) -> str:
    """The engine's name in rules that may be wrong otherwise."""
    root = document.root if document is not None and isinstance(document.root, dict) else {}
    said = root.get("name")
    named = isinstance(said, str) and re.fullmatch(SYSTEM_NAME, said) is not None
    return str(said) if named else default_name(path)


def default_name(path: Path) -> str:
    """The engine's name, where the rules do not say one."""
    return legal_name(home(path).name if path.is_dir() else path.stem)


def home(path: Path) -> Path:
    """The folder that names in the rules start from, and where the store is by default: the one the files are in."""
    return Path(abspath(path if path.is_dir() else path.parent))


def legal_name(stem: str) -> str:
    """A file's (or folder's) name made fit to name a slot: `02_ERP-CRM` → `erp_crm`."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).lstrip("0123456789_")
    return name[:31].rstrip("_") or "rules"
