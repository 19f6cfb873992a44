"""Lists of texts as PostgreSQL prints its one-dimensional arrays: `{a,"b c",NULL}`, there and back.

The canonical form of every list, whatever it is stored as. Never looks at what the elements mean.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import ValueRefused
from engine.vocabulary import Text

_QUOTED = frozenset('{},"\\ \t\n\r\v\f')


def elements(text: str) -> list[Text]:
    """The elements of a list. Raises ValueRefused for what is no list, or one of more than one dimension."""
    if len(text) < 2 or text[0] != "{" or text[-1] != "}":
        raise ValueRefused("a value is no list of one dimension")
    found: list[Text] = []
    at, end = 1, len(text) - 1
    while at < end:
        element, at = _quoted(text, at, end) if text[at] == '"' else _bare(text, at, end)
        found.append(element)
        if at < end:
            if text[at] != "," or at + 1 == end:
                raise ValueRefused("a value is no list of one dimension")
            at += 1
    return found


def listed(found: Iterable[Text]) -> str:
    """A list, as PostgreSQL prints it."""
    return "{" + ",".join([_printed(element) for element in found]) + "}"


def _quoted(text: str, at: int, end: int) -> tuple[str, int]:
    out: list[str] = []
    at += 1
    while at < end:
        char = text[at]
        if char == '"':
            return "".join(out), at + 1
        if char == "\\":
            at += 1
            char = text[at]
        out.append(char)
        at += 1
    raise ValueRefused("a value is no list of one dimension")


def _bare(text: str, at: int, end: int) -> tuple[Text, int]:
    stop = text.find(",", at, end)
    stop = end if stop < 0 else stop
    element = text[at:stop]
    if not element or not _QUOTED.isdisjoint(element):
        raise ValueRefused("a value is no list of one dimension")
    return (None if element.upper() == "NULL" else element), stop


def _printed(element: Text) -> str:
    if element is None:
        return "NULL"
    if element and element.upper() != "NULL" and _QUOTED.isdisjoint(element):
        return element
    return '"' + element.replace("\\", "\\\\").replace('"', '\\"') + '"'
