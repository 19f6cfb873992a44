"""Turns how far a source has read, topic by topic, into a text that is kept with a position, and back.

It need not be exact: what ends at the position or before is dropped when it comes again. It must only not be too late.
A source is asked for one every moment, and confirmed for few: `Bookmarker` keeps those in between.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from adapters.debezium.coordinates import Marks
from adapters.debezium.joining import Joined
from adapters.kafka.topics import Place
from engine.vocabulary import Position

between_s: Final = 0.5
"""How far apart bookmarks are that may become durable, in time."""
renewed_s: Final = 60.0
"""How long a bookmark may stay as it was kept while nothing is told but topics go on: what is before it may be gone
one day."""
pending_max: Final = 1_000
"""So many wait to be confirmed; then every second one is dropped."""


class Kept(Protocol):
    """Where bookmarks are kept; see `adapters.store.bookmarks`."""

    def keep(self, position: Position, document: str) -> None:
        """Who resumes at `position`, or behind it, may begin with `document`."""

    def begin(self, position: Position, document: str) -> None:
        """As `keep`, for a log that ends at `position` now: what is kept of beyond is of another one."""

    def newest(self, resume: Position) -> str | None:
        """The document of the highest position that is not behind `resume`."""


class TopicMark(msgspec.Struct, frozen=True):
    """One topic."""

    id: str
    """Given when it was made."""
    offsets: dict[int, int]
    """By partition, where to read on."""


class Bookmark(msgspec.Struct, frozen=True):
    """Where to begin."""

    topics: dict[str, TopicMark]
    ended: Position = 0
    """The highest position that the log itself had told."""
    marks: Marks = {}
    """How far transactions had been ended that have names only."""

    @property
    def offsets(self) -> dict[Place, int]:
        """By partition."""
        return {(name, number): at for name, topic in self.topics.items() for number, at in topic.offsets.items()}

    @property
    def joined(self) -> Joined:
        """How far transactions had been joined."""
        return Joined(self.ended, dict(self.marks))

    def text(self) -> str:
        """To be kept."""
        return msgspec.json.encode(self).decode()


def bookmark(text: str) -> Bookmark:
    """What `Bookmark.text` made."""
    return msgspec.json.decode(text, type=Bookmark)


@dataclass(slots=True)
class Bookmarker:
    """Keeps the bookmark of the last position that is durable elsewhere. Used by one thread."""

    kept: Kept | None
    _pending: deque[tuple[Position, Bookmark]] = field(default_factory=deque)
    _at: float = 0.0
    _last: tuple[Position, Bookmark, float] | None = None

    def is_due(self, now: float) -> bool:
        """True if it is time for another one."""
        return self.kept is not None and now - self._at >= between_s

    def propose(self, position: Position, made: Bookmark, now: float) -> None:
        """One that may be kept once everything up to `position` is durable. Nothing happens if it says no more than the
        one before, or little more."""
        self._at = now
        last = self._last
        if last is not None and last[0] == position and (made == last[1] or now - last[2] < renewed_s):
            return
        self._last = position, made, now
        if self._pending and self._pending[-1][0] == position:
            self._pending[-1] = (position, made)
        else:
            self._pending.append((position, made))
        if len(self._pending) > pending_max:
            self._pending = deque(list(self._pending)[::2])

    def confirm(self, durable: Position) -> None:
        """Everything up to `durable` is. Raises StoreUnfit."""
        last = None
        while self._pending and self._pending[0][0] <= durable:
            last = self._pending.popleft()
        if last is not None and self.kept is not None:
            self.kept.keep(last[0], last[1].text())
