"""The cross-reference: which record a system's key means, which records refer to one, and which are recognised by what.

Turns (entity, system, key) into record ids. A record's own keys stand in its state; here is the way back, and both
become durable together. It never decides that two records are the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.assembly import KEY_SEPARATOR
from engine.crossing.entries import Entries

OWN_KEYS = "x/"
"""What the spaces begin with that say which record a key means."""

ALIAS = b"alias"
"""What stands by a key whose row is not the record's own: two records were merged, and this row is left over."""


class CrossReference:
    """See the module."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def fetch(self, entity: str, system: str, keys: Iterable[str]) -> None:
        """Loads what is going to be asked for."""
        self._entries.fetch(_space(entity, system), keys)

    def id_of(self, entity: str, system: str, key: str) -> str | None:
        """The record that this key of a system means."""
        return next(iter(self._entries.items(_space(entity, system), key)), None)

    def is_alias(self, entity: str, system: str, key: str) -> bool:
        """True if the key means a record whose own row there is another one."""
        return ALIAS in self._entries.items(_space(entity, system), key).values()

    def put(self, entity: str, system: str, key: str, id: str, *, alias: bool = False) -> None:
        """This key means this record from now on, and no other."""
        space = _space(entity, system)
        for other in list(self._entries.items(space, key)):
            if other != id:
                self._entries.remove(space, key, other)
        self._entries.put(space, key, id, ALIAS if alias else b"")

    def remove(self, entity: str, system: str, key: str) -> None:
        """This key means nothing any more."""
        space = _space(entity, system)
        for id in list(self._entries.items(space, key)):
            self._entries.remove(space, key, id)

    def fetch_recognised(self, entity: str, way: int, values: Iterable[str]) -> None:
        """Loads what is going to be asked for."""
        self._entries.fetch(_identity(entity, way), values)

    def recognised(self, entity: str, way: int, value: str) -> list[str]:
        """The records that have this identity, by one of the entity's ways of telling."""
        return list(self._entries.items(_identity(entity, way), value))

    def recognise(self, entity: str, way: int, value: str, id: str) -> None:
        """This record has this identity from now on."""
        self._entries.put(_identity(entity, way), value, id)

    def forget(self, entity: str, way: int, value: str, id: str) -> None:
        """This record no longer has this identity."""
        self._entries.remove(_identity(entity, way), value, id)

    def referring(self, entity: str, field: int, parent: str) -> list[str]:
        """The records of `entity` that refer to `parent` in this field."""
        return list(self._entries.items(_reference(entity, field), parent))

    def refer(self, entity: str, field: int, parent: str, id: str) -> None:
        """This record refers to that parent from now on."""
        self._entries.put(_reference(entity, field), parent, id)

    def unrefer(self, entity: str, field: int, parent: str, id: str) -> None:
        """This record no longer refers to that parent."""
        self._entries.remove(_reference(entity, field), parent, id)


def shown(system: str, key: str) -> str:
    """A record's id, of where and under which key it was first seen."""
    return f"{system}:{key.replace(KEY_SEPARATOR, '/')}"


def _space(entity: str, system: str) -> str:
    return f"{OWN_KEYS}{entity}/{system}"


def _identity(entity: str, way: int) -> str:
    return f"i/{entity}/{way}"


def _reference(entity: str, field: int) -> str:
    return f"r/{entity}/{field}"
