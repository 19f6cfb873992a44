"""By what a record is recognised: its identity fields, in the form that the rule gives.

Turns canonical values into one text for each way of telling, in our code and not by a collation, so that every system
means the same. A record that lacks a value has no identity by that way.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from engine.assembly import KEY_SEPARATOR
from engine.rulebook import Entity, Form

Identity = tuple[str | None, ...]
"""By way of telling: the normal form of the values; None where one of them is missing."""


def identity_of(entity: Entity, values: Sequence[object]) -> Identity:
    """The identity of a record with these canonical values, by field number."""
    return tuple([_joined(way, values) for way in entity.identities])


def _joined(way: tuple[tuple[int, Form], ...], values: Sequence[object]) -> str | None:
    texts: list[str] = []
    for number, form in way:
        value = values[number]
        text = normal(value, form) if isinstance(value, str) else ""
        if not text:
            return None
        texts.append(text)
    return KEY_SEPARATOR.join(texts)


def normal(text: str, form: Form) -> str:
    """The form in which two values are the same; NFKC and case folding as in the Unicode standard (UAX 15, UAX 21)."""
    if form == "exact":
        return text
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if form == "case":
        return folded
    if form == "blanks":
        return " ".join(folded.split())
    if form == "digits":
        return "".join([c for c in folded if c.isdecimal()])
    return "".join([c for c in folded if c.isalnum()])
