"""Secrets in rule files: references are resolved, literal ones refused, and none is ever shown.

`${NAME}` stands for an environment variable, `${file:/run/secrets/erp}` for the content of a file that not everybody
may read. A resolved text becomes a `Secret`, which prints as `***`. Nothing here logs, and no reason given back
contains a value: only names of variables and files.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import quote, unquote_plus

SECRET_FILE_BYTES_MAX = 65_536
MASK = "***"

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ONLY_REFERENCES = re.compile(r"(?:\$\{[^}]*\})+")
_FILE = "file:"

_BLANKS = r"(?:\s|\+|%20|%09)*"
_MASKED = (
    re.compile(r"//[^\s:@/]*:(?P<secret>.+)@"),
    re.compile(r"(?<![/\w{])[\w.-]+:(?P<secret>[^\s/@][^\s@]*)@(?=[\w.-])"),
    re.compile(r"\$\{(?!file:)[^}:]*:(?P<secret>[^}]*)"),
    re.compile(
        r"(?i)[\w-]*(?:password|passwd|passphrase|pwd|secret|token|api_?key|credential)[\w-]*[\"']?"
        rf"{_BLANKS}(?:[:=]|%3D){_BLANKS}(?P<secret>\{{(?:[^}}]|\}}\}})*\}}|[^\s&]+)"
    ),
)
"""Where a password could stand in a line, whether or not it is good YAML. Rather too much than too little."""

_LITERAL = (
    re.compile(r"(?<!/)//[^/?#]*?:(?P<secret>[^/?#]*)@"),
    re.compile(r"^[\w.-]+:(?P<secret>[^\s/][^\s]*)@"),
)
"""Where a password does stand in a URL."""
_KEYWORD = re.compile(r"(?i)[?&\s;=](?:password|sslpassword|passwd|pwd)\s*=\s*(?P<secret>[^&\s;]+)")
"""And in what it says besides, or in a connection string within that, once nothing is percent-encoded."""
_BEHIND = re.compile(r"(?i)\?.*(?:password|passwd|pwd)(?:=|%3D)(?:\{|%7B)?\Z")
"""What stands in front of one that is a reference."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that may be used but not shown."""

    _text: str

    def reveal(self) -> str:
        """The text itself: for opening a connection, nothing else."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text with references could not be resolved: a problem without a place yet."""

    code: str
    what: str
    found: str = ""
    mend: str = ""


def references(template: str) -> list[str]:
    """What stands between the braces of each `${...}`."""
    return _REFERENCE.findall(template)


def malformed(template: str) -> list[Refusal]:
    """References that are not written as `${NAME}` or `${file:/path}`. Looks at no variable and no file."""
    refusals = []
    for name in references(template):
        if not (_NAME.fullmatch(name) or (name.startswith(_FILE) and name != _FILE)):
            shown = name.split(":", 1)[0] + (":…" if ":" in name else "")  # a default could be a password
            mend = "write `${NAME}` or `${file:/path}`; there are no defaults"
            refusals.append(Refusal("R505", "a reference must be a variable's name or a file", f"`${{{shown}}}`", mend))
    if "${" in _REFERENCE.sub("", template):
        refusals.append(Refusal("R505", "a reference is not closed", "`${` without `}`"))
    return refusals


def has_literal_password(template: str) -> bool:
    """Whether a password stands in the text itself instead of a reference."""
    found = [match for pattern in _LITERAL for match in pattern.finditer(template)]
    found += _KEYWORD.finditer(unquote_plus(template))
    return any(match["secret"] and not _ONLY_REFERENCES.fullmatch(match["secret"]) for match in found)


def resolve(template: str, environ: Mapping[str, str], folder: Path) -> tuple[Secret | None, list[Refusal]]:
    """The text with each reference replaced; or all reasons why that cannot be done.

    A reference that is a URL's user or password, or part of it, is quoted, so that a password may hold any
    character."""
    refusals: list[Refusal] = malformed(template)
    if refusals:
        return None, refusals
    parts: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(template):
        value, refusal = _value(match[1], environ, folder)
        if refusal is not None:
            refusals.append(refusal)
        parts += [template[end : match.start()], quote(value, safe="") if _in_login(template, match) else value]
        end = match.end()
    if refusals:
        return None, refusals
    return Secret("".join(parts) + template[end:]), []


def masked(line: str, column: int = 1, length: int = 1) -> tuple[str, int, int]:
    """A line of a rule file fit to be shown, and where the marked characters (from 1) have moved to."""
    spans = _secret_spans(line)
    start, end = column - 1, column - 1 + length
    shown: list[str] = []
    at = 0
    new_start, new_end = start, end
    for first, last in spans:
        shown += [line[at:first], MASK]
        new_start += _moved(start, first, last)
        new_end += _moved(end, first, last)
        at = last
    return "".join(shown) + line[at:], new_start + 1, max(1, new_end - new_start)


def _moved(position: int, first: int, last: int) -> int:
    """By how much a position moves when the characters from `first` to `last` become the mask."""
    if position <= first:
        return 0
    if position < last:
        return min(0, first + len(MASK) - position)
    return len(MASK) - (last - first)


def _secret_spans(line: str) -> list[tuple[int, int]]:
    spans = sorted(
        match.span("secret")
        for pattern in _MASKED
        for match in pattern.finditer(line)
        if not _ONLY_REFERENCES.match(match["secret"]) or _literal_rest(match["secret"])
    )
    merged: list[tuple[int, int]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _literal_rest(text: str) -> str:
    """What is left without references, and without the YAML around them."""
    return _REFERENCE.sub("", text).strip("\"', }")


def _in_login(template: str, match: re.Match[str]) -> bool:
    """Whether the reference stands between `//` and `@` of a URL, or is a password that stands behind it."""
    after = _REFERENCE.sub("", template[match.end() :]).split("/", 1)[0]
    before = template[: match.start()]
    return "//" in before and ("@" in after or _BEHIND.search(before) is not None)


def _value(name: str, environ: Mapping[str, str], folder: Path) -> tuple[str, Refusal | None]:
    if name.startswith(_FILE):
        return _content(folder, name[len(_FILE) :])
    value = environ.get(name)
    if value is None:
        return "", Refusal("R502", f"the environment has no variable `{name}`", mend=f"export {name}=…")
    if not value:
        return "", Refusal("R502", f"the environment variable `{name}` is empty", mend=f"export {name}=…")
    return value, None


def _content(folder: Path, path: str) -> tuple[str, Refusal | None]:
    """What a secret file holds, without its last line end."""
    try:
        status = (folder / path).stat()
        if not stat.S_ISREG(status.st_mode):
            return "", Refusal("R503", f"the secret file `{path}` is not a file")
        if status.st_mode & stat.S_IROTH:
            mend = f"chmod o-rwx {path}"
            return "", Refusal("R504", f"everybody may read the secret file `{path}`", mend=mend)
        if status.st_size > SECRET_FILE_BYTES_MAX:
            return "", Refusal("R503", f"the secret file `{path}` is longer than {SECRET_FILE_BYTES_MAX} bytes")
        text = (folder / path).read_bytes().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        return "", Refusal("R503", f"the secret file `{path}` cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return "", Refusal("R503", f"the secret file `{path}` is not UTF-8")
    if not text:
        return "", Refusal("R503", f"the secret file `{path}` is empty")
    return text, None
