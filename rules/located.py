"""YAML text to a tree in which every key and every value knows its line and column. Nothing is interpreted.

Scalars stay text (`no`, `012` and `1e3` are words; the syntax says what may be a number); only a plain `null`, `~` or
nothing at all is None. Built from the parser's events rather than from composed nodes, so that nesting is measured
before anything recurses. Duplicate keys, aliases, tags and the like are problems, never exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import yaml
from yaml import events as ev

from rules.problem import Path, Place, Problem, quoted
from rules.secrets import masked

NESTING_MAX = 20
FILE_BYTES_MAX = 1_000_000

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"

_BOMS = (
    (b"\xef\xbb\xbf", "UTF-8 with a byte order mark"),
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Mark(NamedTuple):
    """Where a key or a value stands: line and column from 1, and how long it is on that line."""

    line: int
    column: int
    length: int
    source: int = 0
    """In which file: 0 is the document's own, then those of `Document.further`."""


@dataclass(slots=True)
class Document:
    """One rule file as text and as a tree; or the files of a folder as one tree (`rules/folder.py`)."""

    file: str
    lines: list[str] = field(repr=False)
    root: Tree = field(default=None, repr=False)
    keys: dict[Path, Mark] = field(default_factory=dict, repr=False)
    values: dict[Path, Mark] = field(default_factory=dict, repr=False)
    holes: set[Path] = field(default_factory=set, repr=False)
    """Where something stood that was refused, and nothing stands now: no second problem is made of it."""
    further: list[Document] = field(default_factory=list, repr=False)
    """The other files that are part of the tree."""

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where the value at `path` (or its key) stands. Parts of the path that are not in the file are skipped."""
        known: Path = ()
        for part in path:
            if (*known, part) in self.values:
                known = (*known, part)
        if key and known in self.keys:
            return self.at(self.keys[known])
        return self.at(self.values.get(known, Mark(1, 1, 1)))

    def at(self, mark: Mark) -> Place:
        """A place that can be shown."""
        one = self.further[mark.source - 1] if mark.source else self
        text = one.lines[mark.line - 1] if 0 < mark.line <= len(one.lines) else ""
        shown, column, length = masked(text, mark.column, mark.length)
        return Place(one.file, mark.line, column, length, shown)

    def within(self, path: Path, offset: int, length: int) -> Place:
        """Where a stretch of the text that stands at `path` stands; the whole of it, where that cannot be said."""
        mark = self.values.get(path)
        if mark is None:
            return self.place(path)
        lines = self.further[mark.source - 1].lines if mark.source else self.lines
        if not 0 < mark.line <= len(lines):
            return self.place(path)
        raw = lines[mark.line - 1][mark.column - 1 : mark.column - 1 + mark.length]
        quote = raw[0] if raw[:1] in ("'", '"') else ""
        body = raw[len(quote) : len(raw) - len(quote)]
        if (quote == '"' and "\\" in body) or raw[:1] in ("|", ">"):
            return self.place(path)
        starts = [match.start() for match in re.finditer("''|." if quote == "'" else ".", body)]
        if offset + length > len(starts):
            return self.place(path)
        end = starts[offset + length] if offset + length < len(starts) else len(body)
        start = starts[offset]
        return self.at(Mark(mark.line, mark.column + len(quote) + start, end - start, mark.source))

    def __contains__(self, path: Path) -> bool:
        return path in self.values


def read(file: str, raw: bytes) -> tuple[Document | None, list[Problem]]:
    """The tree of a rule file's bytes, and what is wrong with it as YAML. None if there is no tree to go on with."""
    text, problem = _text(file, raw)
    if problem is not None:
        return None, [problem]
    document = Document(file, text.split("\n"))
    builder = _Builder(document)
    try:
        builder.build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        builder.problems.append(_not_yaml(document, text, error))
        return None, builder.problems
    if builder.too_deep:
        return None, builder.problems
    if document.root is None and not builder.problems:
        mend = "start with `duolog: 1`, `systems:` and `entities:`"
        return None, [Problem(code="R102", place=Place(file, 0, 0), what="the file holds no rules", mend=mend)]
    return document, builder.problems


def _text(file: str, raw: bytes) -> tuple[str, Problem | None]:
    """The bytes as text, or why they are none."""
    whole = Place(file, 0, 0)
    if len(raw) > FILE_BYTES_MAX:
        allowed = (f"at most {FILE_BYTES_MAX:,} bytes",)
        mend = "make several rule files of it"
        return "", Problem(code="R110", place=whole, what="the file is too large", allowed=allowed, mend=mend)
    for bom, encoding in _BOMS:
        if raw.startswith(bom):
            return "", _encoding(whole, encoding)
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = len(raw[raw.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8")) + 1
        found = f"byte 0x{raw[error.start]:02x}, which is not UTF-8"
        return "", _encoding(Place(file, line, column), found)


def _encoding(place: Place, encoding: str) -> Problem:
    return Problem(code="R103", place=place, what="a rule file must be UTF-8 without a byte order mark",
                   found=encoding, mend="save it as UTF-8")  # fmt: skip


def _not_yaml(document: Document, text: str, error: yaml.YAMLError) -> Problem:
    """The parser's complaint, with its place."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        found = f"the character U+{ord(error.character):04X}" if isinstance(error.character, str) else (
            f"the character U+{error.character:04X}"
        )
        return Problem(code="R104", place=document.at(Mark(line, column, 1)),
                       what="this character cannot stand in YAML", found=found, mend="take it out")  # fmt: skip
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if isinstance(error, yaml.MarkedYAMLError) and mark and mark.index >= len(text):
        mark = error.context_mark or mark  # what was opened and never closed
    place = document.at(Mark(mark.line + 1, mark.column + 1, 1)) if mark else Place(document.file, 0, 0)
    reason = (error.problem if isinstance(error, yaml.MarkedYAMLError) else None) or "it cannot be parsed"
    if "'\\t'" in reason:
        return Problem(code="R105", place=place, what="a tab cannot be used to indent", mend="use spaces")
    context = error.context if isinstance(error, yaml.MarkedYAMLError) and error.context else ""
    return Problem(code="R104", place=place, what=f"this is not YAML: {reason}" + (f" {context}" if context else ""))


class _Builder:
    """Consumes the parser's events, once, and fills a Document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.too_deep = False
        self._depth = 0

    def build(self, parsed: Iterator[ev.Event]) -> None:
        documents = 0
        for event in parsed:
            if isinstance(event, ev.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._problem("R111", event, "a rule file holds one document", mend="take out this `---`")
                    return
            elif isinstance(event, ev.NodeEvent):
                self.document.root = self._node((), event, parsed)
                if self.too_deep:
                    return

    def _node(self, path: Path, event: ev.Event, parsed: Iterator[ev.Event]) -> Tree:
        self.document.values[path] = _mark(event)
        if isinstance(event, ev.AliasEvent):
            self.document.holes.add(path)
            self._problem("R107", event, "aliases are not allowed", mend="write the value out")
            return None
        assert isinstance(event, ev.ScalarEvent | ev.CollectionStartEvent)
        if event.anchor is not None:
            self._problem("R107", event, "anchors are not allowed", found=quoted(f"&{event.anchor}"),
                          mend="take it out")  # fmt: skip
        if event.tag is not None:
            self._problem("R108", event, "tags are not allowed", found=quoted(event.tag), mend="take it out")
        if isinstance(event, ev.ScalarEvent):
            return None if _is_null(event) else event.value
        return self._collection(path, event, parsed)

    def _collection(self, path: Path, event: ev.CollectionStartEvent, parsed: Iterator[ev.Event]) -> Tree:
        self._depth += 1
        if self._depth > NESTING_MAX:
            self.too_deep = True
            self._problem("R109", event, "the file is nested too deeply",
                          allowed=(f"at most {NESTING_MAX} levels",))  # fmt: skip
            return None
        try:
            if isinstance(event, ev.SequenceStartEvent):
                return self._sequence(path, parsed)
            return self._mapping(path, parsed)
        finally:
            self._depth -= 1

    def _sequence(self, path: Path, parsed: Iterator[ev.Event]) -> list[Tree]:
        items: list[Tree] = []
        for event in parsed:
            if isinstance(event, ev.SequenceEndEvent):
                break
            items.append(self._node((*path, len(items)), event, parsed))
            if self.too_deep:
                break
        return items

    def _mapping(self, path: Path, parsed: Iterator[ev.Event]) -> dict[str, Tree]:
        mapping: dict[str, Tree] = {}
        for event in parsed:
            if isinstance(event, ev.MappingEndEvent):
                break
            key = self._key(path, event, parsed)
            if self.too_deep:
                break
            if key is None or key in mapping:
                self._pass_over(path, parsed)
                if key is not None:
                    self._duplicate((*path, key), event)
            else:
                self.document.keys[*path, key] = _mark(event)
                mapping[key] = self._node((*path, key), next(parsed), parsed)
            if self.too_deep:
                break
        return mapping

    def _key(self, path: Path, event: ev.Event, parsed: Iterator[ev.Event]) -> str | None:
        if isinstance(event, ev.ScalarEvent) and not _is_null(event) and event.tag is None:
            return event.value
        self._problem("R112", event, "a key must be a word", mend="give it a name, or quote it")
        if not isinstance(event, ev.ScalarEvent):
            self._scratch(event, parsed)
        return None

    def _duplicate(self, path: Path, event: ev.Event) -> None:
        first = self.document.at(self.document.keys[path])
        self._problem("R106", event, f"the key {quoted(path[-1])} stands here twice", mend="keep one of them",
                      also=(("it stands here first", first),))  # fmt: skip

    def _pass_over(self, path: Path, parsed: Iterator[ev.Event]) -> None:
        """Reads a value that has no place in the tree."""
        self._scratch(next(parsed), parsed)

    def _scratch(self, event: ev.Event, parsed: Iterator[ev.Event]) -> None:
        kept = self.document
        self.document = Document(kept.file, kept.lines)
        self._node((), event, parsed)
        self.document = kept

    def _problem(self, code: str, event: ev.Event, what: str, *, found: str = "", mend: str = "",
                 allowed: tuple[str, ...] = (), also: tuple[tuple[str, Place], ...] = ()) -> None:  # fmt: skip
        place = self.document.at(_mark(event))
        self.problems.append(
            Problem(code=code, place=place, what=what, found=found, allowed=allowed, mend=mend, also=also)
        )


def _is_null(event: ev.ScalarEvent) -> bool:
    return event.implicit[0] and event.style is None and event.value in _NULLS


def _mark(event: ev.Event) -> Mark:
    start, end = event.start_mark, event.end_mark
    assert start is not None and end is not None  # the parser marks all of its events
    scalar = isinstance(event, ev.ScalarEvent) and start.line == end.line
    return Mark(start.line + 1, start.column + 1, max(1, end.column - start.column) if scalar else 1)
