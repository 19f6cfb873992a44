"""What a feed tells of agreed changes, and how it is kept in the store until it has been told: values only.

Turns pages of changes into bytes and back. It never decides what is agreed (`engine.desk.telling` does), and knows
neither Kafka nor any form in which something is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from engine.vocabulary import JournalEntry, Version

Told: TypeAlias = "tuple[str | None | bool, ...] | None"
"""What a record is for all who are told: canonical values by field number; None: there is no such record."""

PAGES: Final = "feed/page"
"""The space of pages that may not have been told: by page number (`place_of`)."""
WITHHELD: Final = "feed/withheld/"
"""What the spaces begin with of records of which not everything may be told yet: by record key, what was told last."""
STATE: Final = "feed/state"
"""The space of the one `State`."""


class Agreed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One record changed: what it was for all who are told, and what it is now. That may be the same, of another
    writer: a beginning leaves a record out if any of its versions is newer, so each of them has to be told."""

    entity: str
    key: str
    version: int
    """Which of `Page.versions` did it."""
    number: int
    index: int
    """(number, index) grows with every change that is told, for ever; the number is a deciding step's, and an offset
    of the era's."""
    before: Told
    after: Told


class Event(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A write that became something else, or waits: what the journal says, or that something is in quarantine."""

    number: int
    index: int
    entry: JournalEntry
    system: str = ""
    """For which system something is in quarantine, or no longer."""


class Page(msgspec.Struct, array_like=True, gc=False):
    """What one durable commit of the store agreed on."""

    number: int
    """The deciding step by which it was complete."""
    versions: list[Version]
    changes: list[Agreed]
    events: list[Event] = []
    goes_on: bool = False
    """It ends within a source transaction that was too large for one page."""
    since: int = 0
    """The deciding step by which the page before it was complete."""


class State(msgspec.Struct, array_like=True, gc=False):
    """What the store remembers of a feed."""

    era: str
    """Another one whenever it begins anew, so that nothing told before is mistaken for a part of it."""
    since: int
    """The deciding step at which the era began."""
    page: int
    """The last page."""
    number: int
    index: int
    """Of the last change."""
    entities: dict[str, int]
    """What is told of, and the deciding step from which on: what was there before is told as a whole."""
    forgotten: int = 0
    """Pages up to this one are in the store no more."""
    complete: int = 0
    """The deciding step by which the last page was complete."""
    offset: int = 0
    """By so much what is told of a change is more than its deciding step. Steps begin anew in a new store, and a record
    may come to another partition's: who keeps the highest that he has heard must not take all of it for old."""


@dataclass(slots=True)
class Feed:
    """What the desk and whoever tells the pages know of each other."""

    entities: frozenset[str]
    era: str
    """What a new era is called; never twice the same."""
    floor: int = 0
    """Above it are all numbers of a new era: the time at which it begins, in microseconds since 1970 UTC, as no engine
    decides more than a million steps a second."""
    events: bool = False
    """Conflicts, overruled writes and quarantine are told, too."""
    told_to: int = 0
    """Pages up to this one have been told, and may be forgotten. Written by the teller alone."""
    bell: threading.Event = field(default_factory=threading.Event)
    """Rung when there is something new in the store."""


_encode = msgspec.msgpack.Encoder().encode
_page = msgspec.msgpack.Decoder(Page).decode
_state = msgspec.msgpack.Decoder(State).decode
_told: Callable[[bytes], Told] = msgspec.msgpack.Decoder(tuple[str | None | bool, ...] | None).decode


def encode(what: Page | State | Told) -> bytes:
    """As bytes, for the store."""
    return _encode(what)


def page_of(state: bytes) -> Page:
    """The page that `encode` made these bytes of. Raises msgspec.DecodeError if they are damaged."""
    return _page(state)


def state_of(state: bytes) -> State:
    """The state that `encode` made these bytes of."""
    return _state(state)


def told_of(state: bytes) -> Told:
    """What `encode` made these bytes of."""
    return _told(state)


def place_of(page: int) -> str:
    """Where a page stands in its space: in the order of numbers."""
    return f"{page:016x}"
