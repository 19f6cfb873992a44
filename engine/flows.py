"""Which partition a record belongs to, and a change of one of its rows.

Turns (system, table, row) into partitions, by a plan that the rules made: entities that refer to each other are a flow,
and a flow is either whole in one partition, or spread over all of them by the key of its root. The same record gets the
same partition from every system's row, as its key is the same text everywhere. It knows no rules, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from engine.assembly import KEY_SEPARATOR
from engine.vocabulary import ABSENT, DELETE, INSERT, TRUNCATE, Change, Row

MIXED = 0x9E3779B1
"""Odd, and nearly the golden part of 2**32: neighbours come to lie far apart."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Entities that have to be decided in one order."""

    entities: tuple[str, ...]
    root: str
    """The entity by whose key it is spread; of one that is whole, the first."""
    partitions: tuple[int, ...]
    """All, where it is spread; else the one that has it."""
    why: str
    """By what it is spread, or why not, in words."""

    @property
    def spread(self) -> bool:
        """True if its records are spread over all partitions."""
        return len(self.partitions) > 1


@dataclass(frozen=True, slots=True)
class Route:
    """Where the rows of a table go."""

    partitions: tuple[int, ...]
    """To these, every row; unless there is a `key`."""
    key: tuple[int, ...] = ()
    """Positions in the table's columns of the root's key: by it, a row goes to one of all."""
    root: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What belongs to which partition."""

    partitions: int
    flows: tuple[Flow, ...]
    routes: Mapping[str, Sequence[Route]]
    """By system and table number."""
    key_places: Mapping[str, tuple[int, ...]]
    """By spread entity: which parts of its record key are the root's key."""

    def flow(self, entity: str) -> Flow:
        """The flow of an entity."""
        return next(flow for flow in self.flows if entity in flow.entities)

    def home(self, entity: str, key: str) -> int:
        """The partition of a record. `key`: its record key."""
        flow = self.flow(entity)
        if not flow.spread:
            return flow.partitions[0]
        parts = key.split(KEY_SEPARATOR)
        return place(flow.root, KEY_SEPARATOR.join(parts[at] for at in self.key_places[entity]), self.partitions)

    def owns(self, partition: int, entity: str, key: str) -> bool:
        """True if a record is that partition's."""
        return self.home(entity, key) == partition

    def split(self, system: str, changes: Sequence[Change]) -> dict[int, list[Change]]:
        """The changes of a transaction by partition, each in order.

        A row whose spreading key was changed is a deletion in one partition and an insert in another."""
        routes, found = self.routes[system], dict[int, list[Change]]()
        for change in changes:
            for partition, part in self._parts(routes[change[0]], change):
                found.setdefault(partition, []).append(part)
        return found

    def _parts(self, route: Route, change: Change) -> Iterator[tuple[int, Change]]:
        number, operation, new, old = change
        if not route.key or operation == TRUNCATE:
            for partition in route.partitions:
                yield partition, change
            return
        after = self._of_row(route, new) if new is not None else None
        before = self._of_row(route, old) if old is not None else after
        if after is None or before is None or after == before:
            yield (before if after is None else after) or 0, change
            return
        assert new is not None and old is not None
        # What the log did not carry of the new row is as it was, if the old row has it.
        whole = tuple([then if now is ABSENT else now for now, then in zip(new, old, strict=True)])
        yield before, (number, DELETE, None, old)
        yield after, (number, INSERT, whole, None)

    def _of_row(self, route: Route, row: Row) -> int:
        if len(route.key) == 1:
            return place(route.root, str(row[route.key[0]]), self.partitions)
        return place(route.root, KEY_SEPARATOR.join([str(row[at]) for at in route.key]), self.partitions)

    def belongs(self, partition: int, system: str, table: int, row: Row) -> bool:
        """True if a row of a table concerns a partition."""
        route = self.routes[system][table]
        return self._of_row(route, row) == partition if route.key else partition in route.partitions


def place(root: str, key: str, partitions: int) -> int:
    """The partition of a root's record: the same in every process, version and year."""
    return (crc32(f"{root}\0{key}".encode("utf-8", "surrogatepass")) * MIXED >> 16) % 0x10000 % partitions
