"""Reads the code and holds it to the habits of this project, as far as a program can see them.

Each check turns one module into lines `path:line: what is banned, what to use`. The checks are tried on faulty snippets
themselves. Directions of imports are import-linter's affair, formatting and names ruff's: both are part of `make lint`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

HOME = Path(__file__).resolve().parents[1]
FOLDERS = ("engine", "rules", "adapters", "service")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

LARGER: dict[str, int] = {}
"""Files that may be longer for now, and how long: a number here may shrink, and goes when the file fits."""

VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc", "types"}
IMPURE = {"time", "random", "logging", "datetime", "secrets", "uuid"}
VAGUE_VARIABLES = {"src": "source", "dest": "target", "dst": "target", "obj": "its own name", "info": "its own name"}
SQL_CALLS = {"execute", "executemany", "exec_driver_sql", "SQL", "text", "copy"}
SQL_WORDS = r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|GRANT|SET|FROM|WHERE|VALUES|PRAGMA|COPY|BEGIN)\b"
ENTRY_POINTS = {"service.cli", "rules.codes", "rules.schema"}
"""Modules that are run, not imported."""
CATCHES_ALL = {"engine/runner.py", "adapters/feed/publisher.py", "service/scaling/job.py"}
"""Where a thread's unforeseen end is caught, to be told by another thread."""


@dataclass(frozen=True)
class Module:
    """One file, read once."""

    path: str
    text: str
    tree: ast.Module


Finding: TypeAlias = str
Check: TypeAlias = Callable[[Module], Iterator[Finding]]


def read(path: str, text: str) -> Module:
    """The module of this text."""
    return Module(path, text, ast.parse(text))


def modules() -> list[Module]:
    """All modules of the product."""
    paths = sorted(path for folder in FOLDERS for path in (HOME / folder).rglob("*.py"))
    return [read(str(path.relative_to(HOME)), path.read_text(encoding="utf-8")) for path in paths]


ALL = modules()


# ---------------------------------------------------------------- the checks


def docstrings(module: Module) -> Iterator[Finding]:
    """Every module says what it turns into what; every public class and function says what it does."""
    if module.text.strip() and not ast.get_docstring(module.tree):
        yield f"{module.path}:1: a module without a docstring is banned, say what it turns into what"
    for node, public in _definitions(module.tree, public=True):
        if public and not ast.get_docstring(node) and not _is_promise(node):
            yield f"{module.path}:{node.lineno}: `{node.name}` without a docstring is banned, say what it does"


def sizes(module: Module) -> Iterator[Finding]:
    """A file holds one thing; a function fits a screen."""
    lines = len(module.text.splitlines())
    allowed = LARGER.get(module.path, FILE_LINES_MAX)
    if lines > allowed:
        yield f"{module.path}:{lines}: a file of more than {allowed} lines is banned, split it by what it holds"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            long = node.end_lineno - node.lineno + 1
            if long > FUNCTION_LINES_MAX:
                yield f"{module.path}:{node.lineno}: `{node.name}` has {long} lines, use functions that fit a screen"


def vague_names(module: Module) -> Iterator[Finding]:
    """A module is called after what it holds, a variable after what it is."""
    for part in Path(module.path).with_suffix("").parts:
        if part in VAGUE_NAMES:
            yield f"{module.path}:1: a module called `{part}` is banned, use the name of the thing that it holds"
    for node in ast.walk(module.tree):
        name, line = "", 0
        if isinstance(node, ast.arg):
            name, line = node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name, line = node.id, node.lineno
        if name in VAGUE_VARIABLES:
            yield f"{module.path}:{line}: the name `{name}` is banned, use {VAGUE_VARIABLES[name]}"


def purity(module: Module) -> Iterator[Finding]:
    """The engine knows no clock, no chance and no log."""
    if not module.path.startswith("engine/"):
        return
    for node in ast.walk(module.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if name.split(".")[0] in IMPURE:
                yield f"{module.path}:{node.lineno}: `{name}` is banned in the engine, take it as an argument or a port"


def leftovers(module: Module) -> Iterator[Finding]:
    """No reminder without a place where it is kept."""
    for number, line in enumerate(module.text.splitlines(), 1):
        if re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b", line):
            yield f"{module.path}:{number}: a reminder in the code is banned, use an issue"


def broad_catches(module: Module) -> Iterator[Finding]:
    """Who catches everything hides a defect, unless he passes it on."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler) or module.path in CATCHES_ALL:
            continue
        kind = node.type.id if isinstance(node.type, ast.Name) else ""
        broad = node.type is None or kind in ("Exception", "BaseException")
        if broad and not isinstance(node.body[-1], ast.Raise):
            yield f"{module.path}:{node.lineno}: catching everything is banned, use the errors that are expected"


def sql_in_f_strings(module: Module) -> Iterator[Finding]:
    """SQL is a constant with parameters, or is put together of quoted names."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _called(node) in SQL_CALLS:
            for argument in node.args:
                if any(_is_sql(part) for part in ast.walk(argument)):
                    yield f"{module.path}:{node.lineno}: SQL in an f-string is banned, use parameters and quoted names"


def prints(module: Module) -> Iterator[Finding]:
    """Only commands talk; a module that is run by itself may, too."""
    if module.path.startswith("service/"):
        return
    run = [n for n in module.tree.body if isinstance(n, ast.If) and "__name__" in ast.dump(n.test)]
    spared = {id(node) for block in run for node in ast.walk(block)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _called(node) == "print" and id(node) not in spared:
            yield f"{module.path}:{node.lineno}: `print` is banned here, return what is to be said"


def open_matches(module: Module) -> Iterator[Finding]:
    """A `match` over the kinds of a thing says what becomes of all others."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Match):
            last = node.cases[-1].pattern
            if not (isinstance(last, ast.MatchAs) and last.pattern is None):
                yield f"{module.path}:{node.lineno}: a `match` without `case _` is banned, end it with `assert_never`"


CHECKS: tuple[Check, ...] = (
    docstrings, sizes, vague_names, purity, leftovers, broad_catches, sql_in_f_strings, prints, open_matches,
)  # fmt: skip


# ---------------------------------------------------------------- held against the code


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_code_is_tidy(check: Check) -> None:
    found = [finding for module in ALL for finding in check(module)]

    assert found == [], "\n" + "\n".join(found)


def test_an_allowance_goes_when_it_is_no_longer_needed() -> None:
    lengths = {module.path: len(module.text.splitlines()) for module in ALL}

    assert [path for path in LARGER if lengths.get(path, 0) <= FILE_LINES_MAX] == []


def test_every_module_is_imported_by_something() -> None:
    imported: set[str] = set()
    for folder in (*FOLDERS, "tests", "benchmarks"):
        for path in (HOME / folder).rglob("*.py"):
            imported |= _imports(ast.parse(path.read_text(encoding="utf-8")))
    names = {module.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for module in ALL}

    assert names - imported - ENTRY_POINTS == set()


def test_every_test_file_says_what_it_claims() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (HOME / "tests").rglob("*.py")}

    assert [path.name for path, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []


# ---------------------------------------------------------------- the checks held against faults

FAULTS: list[tuple[Check, str, str, str]] = [
    (docstrings, "engine/x.py", "X = 1", "engine/x.py:1: a module without a docstring"),
    (docstrings, "engine/x.py", '"""X."""\ndef go(): return 1', "engine/x.py:2: `go` without a docstring"),
    (docstrings, "engine/x.py", '"""X."""\nclass X:\n    """X."""\n    def go(self): return 1', "engine/x.py:4: `go`"),
    (sizes, "engine/x.py", '"""X."""\n' * 401, "engine/x.py:401: a file of more than 400 lines"),
    (sizes, "engine/x.py", "def go():\n" + "    go()\n" * 60, "engine/x.py:1: `go` has 61 lines"),
    (vague_names, "rules/utils.py", "", "rules/utils.py:1: a module called `utils`"),
    (vague_names, "rules/x.py", "def go(src): pass", "rules/x.py:1: the name `src` is banned, use source"),
    (vague_names, "rules/x.py", "dest = 1", "rules/x.py:1: the name `dest` is banned, use target"),
    (purity, "engine/x.py", "import time", "engine/x.py:1: `time` is banned in the engine"),
    (purity, "engine/x.py", "from datetime import UTC", "engine/x.py:1: `datetime` is banned in the engine"),
    (leftovers, "rules/x.py", "x = 1  # TO" + "DO later", "rules/x.py:1: a reminder"),
    (broad_catches, "rules/x.py", "try: go()\nexcept Exception: pass", "rules/x.py:2: catching everything"),
    (broad_catches, "rules/x.py", "try: go()\nexcept: pass", "rules/x.py:2: catching everything"),
    (sql_in_f_strings, "adapters/x.py", "c.execute(f'SELECT {x}')", "adapters/x.py:1: SQL in an f-string"),
    (sql_in_f_strings, "adapters/x.py", "sql.SQL(f'DROP {x}')", "adapters/x.py:1: SQL in an f-string"),
    (prints, "rules/x.py", "print(1)", "rules/x.py:1: `print` is banned here"),
    (open_matches, "rules/x.py", "match x:\n    case 1: pass", "rules/x.py:1: a `match` without `case _`"),
]  # fmt: skip

FINE: list[tuple[Check, str, str]] = [
    (docstrings, "engine/x.py", '"""X."""\ndef _go(): return 1'),
    (docstrings, "engine/x.py", '"""X."""\nclass P(Protocol):\n    """P."""\n    def go(self) -> int: ...'),
    (purity, "rules/x.py", "import time"),
    (broad_catches, "rules/x.py", "try: go()\nexcept BaseException:\n    mend()\n    raise"),
    (sql_in_f_strings, "adapters/x.py", "raise Refused(f'SELECT {x} finds nothing')"),
    (sql_in_f_strings, "adapters/x.py", "c.execute(Path(f'{x}.sql').read_text())"),
    (prints, "service/x.py", "print(1)"),
    (prints, "rules/x.py", "if __name__ == '__main__':\n    print(1)"),
    (open_matches, "rules/x.py", "match x:\n    case 1: pass\n    case _: assert_never(x)"),
]


@pytest.mark.parametrize(("check", "path", "text", "expected"), FAULTS)
def test_a_check_finds_its_fault(check: Check, path: str, text: str, expected: str) -> None:
    (found,) = check(read(path, text))

    assert found.startswith(expected)


@pytest.mark.parametrize(("check", "path", "text"), FINE)
def test_a_check_leaves_alone_what_is_fine(check: Check, path: str, text: str) -> None:
    assert list(check(read(path, text))) == []


# ---------------------------------------------------------------- looking into modules


def _definitions(tree: ast.AST, *, public: bool) -> Iterator[tuple[ast.ClassDef | ast.FunctionDef, bool]]:
    """Classes, functions and methods, but for those inside functions; and whether anybody may use them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            seen = public and not node.name.startswith("_")
            yield node, seen
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, public=seen)


def _is_promise(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """True for a method of a Protocol whose promise stands with another: its body is `...`."""
    body = node.body[-1]
    return isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant) and body.value.value is ...


def _is_sql(node: ast.AST) -> bool:
    """True for an f-string with a word of SQL in it."""
    if not isinstance(node, ast.JoinedStr):
        return False
    words = " ".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    return re.search(SQL_WORDS, words) is not None


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _imports(tree: ast.Module) -> set[str]:
    """Every name that a module imports, and the packages above it; `from a import b` may mean the module a.b."""
    found: set[str] = set()
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return found
