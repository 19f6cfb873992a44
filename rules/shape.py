"""A tree against the syntax: the models, and a problem with its place for each thing that is not as they say.

Nothing stops at the first problem: an entity with a problem of shape is left out of what is handed on, so that the
meaning of the others can still be checked. A value is shown only where it cannot be a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rules.located import Document, Tree
from rules.problem import Path, Problem, did_you_mean, quoted
from rules.syntax import (
    FIELD_OPTIONS,
    FORMAT,
    LATER_KEYS,
    LATER_WORDS,
    TEST_OPTIONS,
    CheckSyntax,
    ColumnSyntax,
    ConflictSyntax,
    EntitySyntax,
    FeedSyntax,
    FieldSyntax,
    FileSyntax,
    GroupSyntax,
    IdentitySyntax,
    JoinSyntax,
    LimitsSyntax,
    LookupSyntax,
    PartSyntax,
    Syntax,
    SystemSyntax,
    TableSyntax,
    TestSyntax,
    WorkersSyntax,
)

_NEVER_SHOWN = frozenset({"url", "store", "kafka", "registry"})
_WANTED = {
    "string_type": "a word must stand here",
    "dict_type": "a mapping must stand here",
    "model_type": "a mapping must stand here",
    "list_type": "a list must stand here",
}


@dataclass(frozen=True, slots=True)
class Shaped:
    """What of a file has the right shape."""

    syntax: FileSyntax
    left_out: frozenset[str] = field(default_factory=frozenset)
    """Entities with problems of shape: they exist, but cannot be checked further."""


def shape(document: Document) -> tuple[Shaped | None, list[Problem]]:
    """The models of a file, and all problems of shape."""
    newer = newer_format(document)
    if newer is not None:
        return None, [newer]
    empty = [path for path in _empty(document.root, ()) if path not in document.holes]
    problems = [_nothing(document, path) for path in empty]
    faulty = {document.place(path) for path in (*empty, *document.holes)}
    syntax, errors = _validated(document.root)
    for error in errors:
        problem = _problem(document, error)
        if problem.place not in faulty:
            problems.append(problem)
    left_out = {path[1] for path in _empty(document.root, ()) if len(path) > 2 and path[0] == "entities"}
    left_out |= {error["loc"][1] for error in errors if len(error["loc"]) > 1 and error["loc"][0] == "entities"}
    if syntax is not None and not left_out:
        return Shaped(syntax), problems
    return _without(document.root, frozenset(str(name) for name in left_out)), problems


def _without(root: Tree, left_out: frozenset[str]) -> Shaped | None:
    """The file without its faulty entities, if that is a file."""
    entities = root.get("entities") if isinstance(root, dict) else None
    if not isinstance(root, dict) or not isinstance(entities, dict):
        return None
    rest: Tree = {**root, "entities": {name: tree for name, tree in entities.items() if name not in left_out}}
    syntax, _ = _validated(rest)
    return Shaped(syntax, left_out) if syntax is not None else None


def _validated(root: Tree) -> tuple[FileSyntax | None, list[ErrorDetails]]:
    try:
        return FileSyntax.model_validate(root), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def newer_format(document: Document) -> Problem | None:
    """A file of a newer format: everything else in it may mean something that we do not know."""
    version = document.root.get("duolog") if isinstance(document.root, dict) else None
    if not isinstance(version, str) or not version.isascii() or not version.isdigit() or int(version) == FORMAT:
        return None
    if int(version) < FORMAT:
        return Problem(code="R211", place=document.place(("duolog",)), what="there is no such format version",
                       found=quoted(version), allowed=(str(FORMAT),))  # fmt: skip
    return Problem(code="R207", place=document.place(("duolog",)), what="this file needs a newer duolog",
                   found=f"format version {quoted(version)}", allowed=(str(FORMAT),), mend="update duolog")  # fmt: skip


def _empty(tree: Tree, path: Path) -> Iterator[Path]:
    """The ways to all values that are nothing: lawful in the cases of `tests` (NULL, or deleted), and as what is
    written of a value without room; nowhere else."""
    if path[:1] == ("entities",) and path[2:3] == ("tests",) and len(path) > 4:
        return
    if tree is None:
        if path[-1:] != ("on_overflow",):
            yield path
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _empty(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _empty(value, (*path, index))


def _nothing(document: Document, path: Path) -> Problem:
    what = f"{quoted(path[-1])} has no value" if path and isinstance(path[-1], str) else "there is no value"
    mend = "NULL always stays NULL: take it out of the map" if "map" in path[:-1] else "give it one, or take it out"
    return Problem(code="R204", place=document.place(path, key=True), what=what, mend=mend)


def _problem(document: Document, error: ErrorDetails) -> Problem:
    kind, path = error["type"], error["loc"]
    match kind:
        case "extra_forbidden":
            return unknown_key(document, path)
        case "missing":
            place = document.place(path[:-1], key=True)
            return Problem(code="R203", place=place, what=f"the key {quoted(path[-1])} is missing here")
        case "literal_error":
            return _no_such_word(document, error)
        case _ if kind in _WANTED:
            return Problem(code="R204", place=document.place(path), what=_WANTED[kind], found=_found(path, error))
        case _:
            context: dict[str, Any] = error.get("ctx", {})
            path = (*path, context["index"]) if "index" in context else path
            place = document.place(path, key=path[-1:] == ("[key]",))
            found = _found(path, error) if kind.startswith("R") and kind not in ("R208", "R209") else ""
            return Problem(code=kind if kind.startswith("R") else "R204", place=place, what=error["msg"],
                           found=found, allowed=tuple(context.get("allowed", ())))  # fmt: skip


def unknown_key(document: Document, path: Path, others: tuple[str, ...] = ()) -> Problem:
    """A key that the syntax does not have there; `others` could stand there too (systems, for a field)."""
    place, key = document.place(path, key=True), str(path[-1])
    if key in LATER_KEYS:
        return Problem(code="R202", place=place, what=f"{quoted(key)} is not available in this version",
                       mend="take it out")  # fmt: skip
    allowed = (*others, *_keys(path[:-1]))
    return Problem(code="R201", place=place, what=f"unknown key {quoted(key)}", allowed=allowed,
                   mend=did_you_mean(key, allowed))  # fmt: skip


def _keys(path: Path) -> tuple[str, ...]:
    """The keys that may stand in the mapping at `path`."""
    model: type[Syntax]
    match tuple(part for part in path if part != "columns" and not str(part).startswith("<")):
        case ():
            model = FileSyntax
        case ("systems", _):
            model = SystemSyntax
        case ("feed",):
            model = FeedSyntax
        case ("workers",):
            model = WorkersSyntax
        case ("entities", _):
            model = EntitySyntax
        case ("entities", _, "bind", _):
            model = TableSyntax
        case ("entities", _, "bind", _, "parts", _):
            model = PartSyntax
        case ("entities", _, "identity", *_):
            model = IdentitySyntax
        case ("entities", _, "fields", _, _, "lookup"):
            model = LookupSyntax
        case ("entities", _, "groups", _):
            model = GroupSyntax
        case ("entities", _, "conflict") | ("entities", _, "fields" | "groups", _, "conflict"):
            model = ConflictSyntax
        case ("entities", _, "checks", _) | ("entities", _, "fields", _, "check"):
            model = CheckSyntax
        case ("entities", _, "limits"):
            model = LimitsSyntax
        case ("entities", _, "tests", _):
            model = TestSyntax
        case ("entities", _, "fields", _, "join"):
            model = JoinSyntax
        case ("entities", _, "fields", _, _):
            model = ColumnSyntax
        case _:
            model = FieldSyntax
    if model is FieldSyntax:
        return FIELD_OPTIONS
    if model is TestSyntax:
        return TEST_OPTIONS
    return tuple(known.alias or name for name, known in model.model_fields.items())


def _no_such_word(document: Document, error: ErrorDetails) -> Problem:
    expected = str(error.get("ctx", {}).get("expected", ""))
    allowed = tuple(word for word in expected.replace("'", "").replace(" or ", ", ").split(", ") if word) or ('""',)
    value = error["input"]
    mend = did_you_mean(value, allowed) if isinstance(value, str) else ""
    what = "this word is not known here"
    if isinstance(value, str) and value in LATER_WORDS:
        what, mend = f"{quoted(value)} is not available in this version", ""
    found = "" if quoted(value) in what else _found(error["loc"], error)
    return Problem(code="R205", place=document.place(error["loc"]), what=what, found=found, allowed=allowed, mend=mend)


def _found(path: Path, error: ErrorDetails) -> str:
    """What stands there, in words; never the text of an address."""
    value = error["input"]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return "a word" if any(part in _NEVER_SHOWN for part in path) else quoted(value)
