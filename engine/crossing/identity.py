"""By what a record is recognised: its identity fields, in the form that the rule gives.

Turns canonical values into one text for each way of telling, in our code and not by a collation, so that every system
means the same. A record that lacks a value has no identity by that way.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.assembly import KEY_SEPARATOR
from engine.rulebook import Entity, Form
from engine.sameness import normal

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
