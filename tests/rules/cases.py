"""Faulty rule files that carry their own expected output, and how one is run.

A case opens with comments: `#|` lines hold the whole output expected, `#:` lines say what surrounds the file:

    #: environ NAME=value
    #: table erp public.customer: customer_no varchar(10), name text      (then it is compiled, too)
    #: file NAME MODE CONTENT                                             (a secret file beside it)
    #: folder NAME                                        (it stands in a folder, and that is loaded; before `file`)
    #: pad BYTES                                                          (blank lines up to this size)
    #: absent                                                             (the file is not there at all)
"""

from __future__ import annotations

import re
from pathlib import Path

from rules import compile_book, load, printed
from rules.trials import disagreements, failures, run_tests
from tests.rules.catalogs import catalog

FOLDER = Path(__file__).parent / "diagnostics"
ENVIRON = {"ERP_URL": "postgresql://erp:hunter2@erp.example/erp", "CRM_URL": "postgresql://crm:hunter2@crm.example/crm"}


def cases() -> list[Path]:
    """All of them, by code."""
    return sorted(FOLDER.glob("*.yaml"))


def text_of(case: Path) -> str:
    """The file as text, whatever its encoding."""
    raw = case.read_bytes()
    return raw.decode("utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig", errors="replace")


def expected(case: Path) -> str:
    """What the case says that its output should be."""
    return "\n".join(line[3:] for line in text_of(case).split("\n") if line.startswith("#|")).rstrip()


def actual(case: Path, folder: Path) -> str:
    """Its output, run in `folder` (the current directory) under its own name."""
    environ = dict(ENVIRON)
    tables: dict[str, dict[str, str]] = {}
    path, target = Path(case.name), folder / case.name
    target.write_bytes(case.read_bytes())
    for directive in re.findall(r"^#: (.*)$", text_of(case), re.MULTILINE):
        word, _, rest = directive.partition(" ")
        if word == "environ":
            name, _, value = rest.partition("=")
            environ[name] = value
        elif word == "table":
            head, _, columns = rest.partition(": ")
            system, _, name = head.partition(" ")
            tables.setdefault(system, {})[name] = columns
        elif word == "file":
            name, mode, content = rest.split(" ", 2)
            (folder / name).write_text(content)
            (folder / name).chmod(int(mode, 8))
        elif word == "folder":
            (folder / rest).mkdir(exist_ok=True)
            target = target.rename(folder / rest / case.name)
            path = Path(rest)
        elif word == "pad":
            target.write_bytes(case.read_bytes().ljust(int(rest), b"\n"))
        elif word == "absent":
            target.unlink()
        else:
            raise AssertionError(f"unknown directive: {directive}")
    loaded = load(path, environ)
    problems = loaded.problems + loaded.warnings
    if loaded.rules is not None:
        catalogs = {system: catalog(system, named) for system, named in tables.items()} or None
        book, found = compile_book(loaded.rules, catalogs)
        problems += found
        if not any(problem.severity == "error" for problem in found):
            entities, document = loaded.rules.entities, loaded.rules.document
            trials = run_tests(entities, document, book, types_known=catalogs is not None)
            untyped = run_tests(entities, document, compile_book(loaded.rules, None)[0], types_known=False)
            problems += failures(trials) + disagreements(trials, untyped)
    return printed(problems)


def rewrite(case: Path, folder: Path) -> None:
    """Puts what the output is now into the case, as what it should be. To be read before it is committed."""
    raw = case.read_bytes()
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1"  # latin-1 keeps all bytes
    bom = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    body = [line for line in raw[len(bom) :].decode(encoding).split("\n") if not line.startswith("#|")]
    lines = 1
    for _ in range(3):  # the lines of the output move the lines that it speaks of
        header = [f"#| {line}".rstrip() for line in ["?"] * lines]
        case.write_bytes(bom + "\n".join(header + body).encode(encoding))
        output = actual(case, folder).split("\n")
        lines = len(output)
    header = [f"#| {line}".rstrip() for line in output]
    told = "\n".join(header)
    if encoding == "latin-1":
        told = told.encode("utf-8").decode("latin-1")
    case.write_bytes(bom + "\n".join([told, *body]).encode(encoding))
