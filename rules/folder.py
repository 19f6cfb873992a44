"""The rule files of a folder as one tree: what each says stands in it once, and knows its own file, line and column.

All `*.yaml` of the folder, in the order of their names, but not those of folders in it. `entities` may be in any of
them; every other key (`systems`, `name`, `store`) in one. Each says `duolog: 1`. Reads the files, interprets nothing.
"""

from __future__ import annotations

from pathlib import Path

from rules import located
from rules.located import Document, Tree
from rules.problem import Path as TreePath
from rules.problem import Place, Problem, quoted
from rules.shape import newer_format

IN_EACH = "duolog"
IN_ANY = "entities"


def read_file(path: Path) -> tuple[Document | None, list[Problem]]:
    """One rule file."""
    try:
        with path.open("rb") as file:
            raw = file.read(located.FILE_BYTES_MAX + 1)
    except OSError as error:
        what = f"the rule file cannot be read: {error.strerror}"
        return None, [Problem(code="R101", place=Place(str(path), 0, 0), what=what)]
    return located.read(str(path), raw)


def read_folder(folder: Path) -> tuple[Document | None, list[Problem]]:
    """All rule files of a folder, as if they were one. None if there is no tree to go on with."""
    whole = Place(str(folder), 0, 0)
    try:
        paths = sorted(path for path in folder.glob("*.yaml") if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        return None, [Problem(code="R120", place=whole, what=f"the folder cannot be read: {error.strerror}")]
    if not paths:
        return None, [Problem(code="R120", place=whole, what="the folder holds no rule file",
                              allowed=("files whose names end with `.yaml`",))]  # fmt: skip
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in paths:
        document, found = read_file(path)
        problems += found + ([] if document is None else _unfit(document))
        if document is not None:
            documents.append(document)
    if len(documents) < len(paths) or any(problem.code in ("R207", "R211") for problem in problems):
        return None, problems  # what a file would have said is missing everywhere: nothing more is told
    return _joined(whole, documents, problems)


def _unfit(document: Document) -> list[Problem]:
    """What is wrong with one file of several by itself."""
    root = document.root
    if not isinstance(root, dict):
        return [Problem(code="R204", place=document.place(()), what="a mapping must stand here")]
    if (newer := newer_format(document)) is not None:
        return [newer]
    if IN_EACH not in root:
        return [Problem(code="R203", place=document.place(()), what=f"the key {quoted(IN_EACH)} is missing here",
                        mend="every file of a folder begins with `duolog: 1`")]  # fmt: skip
    return []


def _joined(whole: Place, documents: list[Document], problems: list[Problem]) -> tuple[Document | None, list[Problem]]:
    head = next((d for d in documents if isinstance(d.root, dict) and "systems" in d.root), None)
    if head is None:
        problems.append(Problem(code="R121", place=whole, what="no file of the folder says which `systems` take part",
                                found=", ".join(quoted(Path(d.file).name) for d in documents),
                                mend="put `systems:` into one of them"))  # fmt: skip
        return None, problems
    one = Document(head.file, head.lines, further=[d for d in documents if d is not head])
    joiner = _Joiner(one, problems)
    for document in documents:
        joiner.take(document, 0 if document is head else one.further.index(document) + 1)
    one.root = joiner.root
    return one, problems


class _Joiner:
    """Takes the documents one after the other, and puts their trees and marks together."""

    def __init__(self, one: Document, problems: list[Problem]) -> None:
        self.one = one
        self.problems = problems
        self.root: dict[str, Tree] = {}
        self.entities: dict[str, Tree] = {}

    def take(self, document: Document, source: int) -> None:
        """One file: its keys that no other has, and its entities."""
        root = document.root if isinstance(document.root, dict) else {}
        if source == 0:
            self._mark(document, (), source)
        for key, tree in root.items():
            path: TreePath = (key,)
            if key == IN_ANY and isinstance(tree, dict):
                self._entities(document, tree, source)
            elif key == IN_EACH:
                if source == 0:
                    self._keep(document, path, source)
                    self.root[key] = tree
            elif path in self.one.keys:
                self._twice(document, path, "R122", f"{quoted(key)} stands in two files of the folder")
            else:
                self._keep(document, path, source)
                self.root[key] = tree

    def _entities(self, document: Document, entities: dict[str, Tree], source: int) -> None:
        if IN_ANY not in self.root:
            self.root[IN_ANY] = self.entities
            self._mark(document, (IN_ANY,), source)
        for name, tree in entities.items():
            path: TreePath = (IN_ANY, name)
            if path in self.one.keys:
                self._twice(document, path, "R123", f"the entity {quoted(name)} stands in two files of the folder")
            else:
                self._keep(document, path, source)
                self.entities[name] = tree

    def _twice(self, document: Document, path: TreePath, code: str, what: str) -> None:
        first = self.one.place(path, key=True)
        self.problems.append(Problem(code=code, place=document.place(path, key=True), what=what,
                                     mend="keep one of them", also=(("it stands here first", first),)))  # fmt: skip

    def _keep(self, document: Document, top: TreePath, source: int) -> None:
        """Everything at and below a path."""
        for kept, given in ((self.one.keys, document.keys), (self.one.values, document.values)):
            kept.update({p: m._replace(source=source) for p, m in given.items() if p[: len(top)] == top})
        self.one.holes |= {path for path in document.holes if path[: len(top)] == top}

    def _mark(self, document: Document, path: TreePath, source: int) -> None:
        """The mark of one key alone."""
        for kept, given in ((self.one.keys, document.keys), (self.one.values, document.values)):
            if path in given:
                kept[path] = given[path]._replace(source=source)
