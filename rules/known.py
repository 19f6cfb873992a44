"""What can be told of rules that are wrong otherwise: their name and their systems, for letting go of those who wait.

Turns a rule file into what is right of its systems, and passes over all that is wrong: a slip of the pen in an entity
must not keep a person from ending a wait. Judges nothing, and opens no connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from engine.rulebook import RuleBook, Synchronous
from rules.addresses import addresses, database_of
from rules.findings import Findings
from rules.folder import read_file, read_folder
from rules.load import System, home, name_of
from rules.located import Tree
from rules.synchronous import synchronous_of
from rules.syntax import FileSyntax, SystemSyntax


@dataclass(frozen=True, slots=True)
class Known:
    """The systems of rules that may be wrong otherwise."""

    name: str
    systems: Mapping[str, System]
    """Those whose addresses can be had."""
    synchronous: Mapping[str, Synchronous]
    """Of these. A length of time that cannot be understood counts as `closed`."""

    @property
    def book(self) -> RuleBook:
        """A rule book that keeps nothing in step."""
        return RuleBook(
            self.name, tuple(self.systems), entities={}, tables=dict.fromkeys(self.systems, ()),
            bound=dict.fromkeys(self.systems, ()), synchronous=self.synchronous,
        )  # fmt: skip


def find_systems(path: Path, environ: Mapping[str, str]) -> Known | None:
    """The engine's name and its systems, as far as they can be told. None if no system can."""
    document, _ = read_folder(path) if path.is_dir() else read_file(path)
    root = document.root if document is not None else None
    if document is None or not isinstance(root, dict) or not isinstance(root.get("systems"), dict):
        return None
    trees = root["systems"]
    assert isinstance(trees, dict)
    right = {name: words for name, words in ((name, _right(tree)) for name, tree in trees.items()) if words is not None}
    syntax = FileSyntax.model_construct(duolog=1, name=None, store=None, systems=right, entities={})
    name = name_of(document, path)
    _, urls = addresses(syntax, name, home(path), environ, Findings(document))
    systems = {
        system: System(
            system,
            words.adapter,
            urls[system],
            words.insecure,
            words.time_zone,
            database_of(words.adapter, urls[system]),
        )
        for system, words in right.items()
        if system in urls
    }
    waits = synchronous_of(right)
    return Known(name, systems, {system: waits[system] for system in systems if system in waits}) if systems else None


def _right(tree: Tree) -> SystemSyntax | None:
    """A system without those of its words that are wrong; None if it is no system without them."""
    try:
        return SystemSyntax.model_validate(tree)
    except ValidationError as error:
        wrong = {found["loc"][0] for found in error.errors(include_url=False) if found["loc"]}
    if not isinstance(tree, dict):
        return None
    try:
        return SystemSyntax.model_validate({word: said for word, said in tree.items() if word not in wrong})
    except ValidationError:
        return None
