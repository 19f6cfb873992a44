"""The store's multimap in hand: a bounded cache over it, and what of it is to become durable.

Turns (space, value) into items. It knows no meaning of any space, and commits nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice

from engine.ports import Entry

Items = dict[str, bytes]
"""By item: its bytes."""

Find = Callable[[str, Sequence[str]], dict[str, Items]]
"""Reads from the store: of a space, the values that have items."""

NONE: Items = {}
"""What a value has that has no items. Never written to."""


class Entries:
    """See the module. `values_max` bounds the values in memory."""

    def __init__(self, find: Find, values_max: int = 200_000) -> None:
        self._find = find
        self._values_max = values_max
        self._spaces: dict[str, dict[str, Items]] = {}
        self._size = 0
        self.dirty: dict[Entry, bytes | None] = {}
        """To become durable with the next delta."""

    def items(self, space: str, value: str) -> Items:
        """The items of a value. Not to be written to, nor to be kept: they follow what is put in."""
        known = self._spaces.get(space)
        if known is None:
            known = self._spaces[space] = {}
        found = known.get(value)
        if found is None:
            found = known[value] = self._find(space, [value]).get(value) or NONE
            self._size += 1
        return found

    def fetch(self, space: str, values: Iterable[str]) -> None:
        """Loads what is going to be asked for, in one go."""
        known = self._spaces.setdefault(space, {})
        missing = [value for value in dict.fromkeys(values) if value not in known]
        if missing:
            found = self._find(space, missing)
            for value in missing:
                known[value] = found.get(value) or NONE
            self._size += len(missing)

    def only(self, space: str, value: str) -> bytes | None:
        """The bytes under the empty item, for spaces that have one item a value."""
        return self.items(space, value).get("")

    def put(self, space: str, value: str, item: str = "", state: bytes = b"") -> None:
        """Puts an entry in, in place of what stood there."""
        items = self.items(space, value)
        if items.get(item) == state:
            return
        if items is NONE:
            items = self._spaces[space][value] = {}
        items[item] = state
        self.dirty[(space, value, item)] = state

    def remove(self, space: str, value: str, item: str = "") -> None:
        """Takes an entry out."""
        items = self.items(space, value)
        if item in items:
            del items[item]
            self.dirty[(space, value, item)] = None

    def note(self, space: str, value: str, item: str = "", state: bytes | None = b"") -> None:
        """Puts an entry in, or with None takes it out, without a look at what stood there: for spaces that are never
        asked for by value, only read as a whole from the store."""
        self.dirty[(space, value, item)] = state

    def taken(self) -> dict[Entry, bytes | None]:
        """What has changed since the last time, for the store."""
        taken, self.dirty = self.dirty, {}
        return taken

    def forget(self) -> None:
        """Forgets all that is in hand, also what is not in the store yet: for who only tries what would be decided."""
        self._spaces, self.dirty, self._size = {}, {}, 0

    def trim(self, under_way: Collection[Entry]) -> None:
        """Keeps the cache bounded; what is not in the store yet stays."""
        if self._size <= self._values_max:
            return
        staying = {(space, value) for entries in (self.dirty, under_way) for space, value, _ in entries}
        self._size = 0
        for space, known in self._spaces.items():
            for value in list(islice(known, len(known) // 2)):
                if (space, value) not in staying:
                    del known[value]
            self._size += len(known)
