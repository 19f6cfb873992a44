"""What the two forms of a feed have in common: a message, what it is made of, and a record's key as JSON.

Turns one entity of the rule book into what is known of its messages once and for all. It sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from adapters.feed.texts import Form, told
from engine.agreed import Event, Told
from engine.assembly import KEY_SEPARATOR
from engine.rulebook import Entity
from engine.vocabulary import JournalEntry, Text, Version

json = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """What is sent."""

    topic: str
    key: bytes
    value: bytes | None
    """None: a tombstone."""
    at_ms: int
    """Milliseconds since 1970 UTC: when it happened."""
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Change:
    """One agreed change, with all that is told of it."""

    key: str
    version: Version
    number: int
    index: int
    before: Told
    after: Told
    beginning: bool = False
    """It was there before the feed began."""

    @property
    def op(self) -> str:
        """As Debezium calls it."""
        if self.beginning:
            return "r"
        return "d" if self.after is None else "c" if self.before is None else "u"


@dataclass(frozen=True, slots=True)
class Where:
    """What a form is made for."""

    name: str
    """The name of the rules."""
    owner: str
    """The name of the engine: the same, or that of one partition of several."""
    topics: Mapping[str, str]
    """By entity."""
    journal: str
    """The topic of events; empty: they are not told."""
    inline: bool
    """Every message states its schema."""
    values: bool
    """Events tell the values that won and lost, too."""


class Speech(Protocol):
    """One form: what is sent of a change, and of an event. `now_us`: microseconds since 1970 UTC."""

    def change(self, entity: str, change: Change, now_us: int) -> list[Message]: ...
    def event(self, event: Event, now_us: int) -> Message: ...


class Fields:
    """The fields of an entity, and what stands for their values."""

    def __init__(self, entity: Entity, forms: Mapping[str, Form]) -> None:
        self.entity = entity
        self.names = [field.name for field in entity.fields]
        self._values = [told(forms, field.family) for field in entity.fields]
        self.key = [(n, self.names[n]) for n in entity.key]

    def row(self, values: Told) -> dict[str, Any] | None:
        """A record, by field."""
        if values is None:
            return None
        return {name: value(text) for name, value, text in zip(self.names, self._values, values, strict=True)}

    def key_of(self, key: str) -> dict[str, Any]:
        """A record's key: by field, if all systems share it, else the id under which we know it."""
        if self.entity.crossed:
            return {"id": key}
        parts = key.split(KEY_SEPARATOR)
        return {name: self._values[n](part) for (n, name), part in zip(self.key, parts, strict=True)}


def headers(number: int, index: int, version: Version | None) -> list[tuple[str, bytes]]:
    """The place of a message in the order of all, and whose doing it is."""
    found = [("duolog.number", b"%d" % number), ("duolog.index", b"%d" % index)]
    return found if version is None else [*found, ("duolog.system", version.system.encode())]


def event_row(event: Event, values: bool) -> dict[str, Any]:
    """What is told of an event; of values nothing, unless it is asked for."""
    entry = event.entry
    row: dict[str, Any] = {
        "number": event.number, "index": event.index, "entity": entry.entity, "key": entry.key,
        "fields": list(entry.fields), "kind": entry.kind, "because": entry.because, "system": event.system,
        **_version("winner", entry.winner), **_version("loser", entry.loser),
    }  # fmt: skip
    if values:
        row |= {"won": _values(entry, entry.won), "lost": _values(entry, entry.lost)}
    return row


def _version(who: str, version: Version | None) -> dict[str, Any]:
    return {
        f"{who}_system": None if version is None else version.system,
        f"{who}_at": version.committed_at if version is not None and version.committed_at else None,
        f"{who}_number": None if version is None else version.number,
    }


def _values(entry: JournalEntry, values: tuple[Text | bool, ...]) -> str | None:
    """Canonical values by field, as JSON in one text: no two entities have the same fields."""
    if not values:
        return None
    return json({n: v if isinstance(v, str) else None for n, v in zip(entry.fields, values, strict=False)}).decode()
