"""A problem of a rule file: where, what was found, what is allowed and the mend, as a value; and how it is printed.

It turns what the other modules find into text for a person and JSON for a program. It never raises, never stops at the
first, and never shows a secret: the snippet's line is masked before it gets here (`rules/secrets.py`).
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Path: TypeAlias = "tuple[str | int, ...]"
"""The way to a node of a rule file, keys and list positions from the top: `("entities", "customer", "owner")`."""

FOUND_CHARACTERS_MAX = 60
NAMES_SHOWN_MAX = 12


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a rule file, and the line it is on, fit to be shown."""

    file: str
    line: int
    """From 1; 0 when the file as a whole is meant."""
    column: int
    """From 1, in characters; 0 when the file as a whole is meant."""
    length: int = 1
    """How many characters the caret underlines."""
    text: str = ""
    """The line, with secrets masked."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong (error), or that the user should know (warning), in a rule file."""

    code: str
    """Stable: `rules/codes.py` lists them all."""
    place: Place
    what: str
    """What is wrong, in words, names in backticks."""
    found: str = ""
    """The thing found, in words or in backticks; empty when `what` says it all."""
    allowed: tuple[str, ...] = ()
    """What could stand there."""
    mend: str = ""
    severity: Literal["error", "warning"] = "error"
    also: tuple[tuple[str, Place], ...] = ()
    """Other places that have to do with it: (what is there, where)."""

    def __str__(self) -> str:
        clauses = [self.what]
        if self.found:
            clauses.append(f"found {self.found}")
        if self.allowed:
            clauses.append(f"allowed: {listed(self.allowed)}")
        if self.mend:
            clauses.append(f"mend: {self.mend}")
        lines = [f"{self.place}: {self.severity}[{self.code}]: {'; '.join(clauses)}"]
        lines += _snippet(self.place)
        for label, place in self.also:
            lines.append(f"{place}: {label}")
            lines += _snippet(place)
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        """The same for a program; keys are stable."""
        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "what": self.what,
            "found": self.found,
            "allowed": list(self.allowed),
            "mend": self.mend,
            "also": [
                {"what": label, "file": place.file, "line": place.line, "column": place.column}
                for label, place in self.also
            ],
        }


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """By place, as one reads the file; at one place errors before warnings; no problem told twice."""
    return sorted(
        dict.fromkeys(problems),
        key=lambda p: (p.place.file, p.place.line, p.place.column, p.severity, p.code, p.what),
    )


def printed(problems: Iterable[Problem]) -> str:
    """All problems as a person reads them."""
    return "\n".join(str(problem) for problem in in_order(problems))


def quoted(text: object) -> str:
    """A value found, in backticks: one line, of bounded length, without control characters."""
    shown = visible(str(text))
    if len(shown) > FOUND_CHARACTERS_MAX:
        shown = shown[:FOUND_CHARACTERS_MAX] + "…"
    return f"`{shown}`"


def listed(names: Iterable[str]) -> str:
    """Names with commas, cut off where nobody would read on."""
    names = list(names)
    if len(names) > NAMES_SHOWN_MAX:
        return ", ".join(names[:NAMES_SHOWN_MAX]) + f", … ({len(names)} in all)"
    return ", ".join(names)


def nearest(name: str, names: Iterable[str]) -> str:
    """The one of `names` that was probably meant; empty if none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(names)}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A mend: the nearest of `names`, if one is near."""
    match = nearest(name, names)
    return f"did you mean `{match}`?" if match else ""


def visible(text: str) -> str:
    """The text with whatever could command a terminal, or turn its direction, written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _snippet(place: Place) -> list[str]:
    """The line of the place, and a caret below."""
    if not place.line or not place.text.strip():
        return []
    gutter = f"  {place.line} | "
    start = place.column - 1
    before, marked = place.text[:start], place.text[start : start + place.length]
    caret = " " * _width(visible(before)) + "^" * max(1, _width(visible(marked)))
    return [gutter + visible(place.text), " " * (len(gutter) - 2) + "| " + caret]


def _width(text: str) -> int:
    """How many terminal cells the text takes: Chinese characters and emoji take two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
