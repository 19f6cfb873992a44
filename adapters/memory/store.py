"""A store in memory, with the durable one's promises: what `commit` returned from survives a crash of the engine.

`crash` gives what a restarted engine would find: everything committed, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engine.ports import Applied, Delta, Entry, Pending, Request, StoreState
from engine.vocabulary import JournalEntry, Position


class MemoryStore:
    """See the module."""

    def __init__(self) -> None:
        self.number = 0
        self.phase = ""
        self.records: dict[str, dict[str, bytes]] = {}
        self.spaces: dict[str, dict[str, dict[str, bytes]]] = {}
        """The multimap: by space and value its items."""
        self.journal: list[JournalEntry] = []
        self.positions: dict[str, Position] = {}
        self.pendings: list[Pending] = []
        """Ascending; two commits may have been made within one deciding step."""
        self.applied: list[Applied] = []
        self.quarantine: dict[tuple[str, str, str], str] = {}
        self.holds: dict[tuple[str, str, int], str] = {}
        self.asked: dict[int, Request] = {}
        self.answers: dict[int, str] = {}
        self.uncommitted: list[Delta] = []

    def state(self) -> StoreState:
        """What was last committed."""
        return StoreState(self.number, self.phase, dict(self.positions), list(self.applied))

    def load(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Known records among `keys`, including uncommitted writes."""
        found = self.load_committed(entity, keys)
        for delta in self.uncommitted:
            found.update({k: delta.records[(entity, k)] for k in keys if (entity, k) in delta.records})
        return found

    def load_committed(self, entity: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Known records among `keys`, as committed."""
        known = self.records.get(entity, {})
        return {key: known[key] for key in keys if key in known}

    def find(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The items of those values that have any, including uncommitted writes."""
        found = {value: dict(self.spaces.get(space, {}).get(value, {})) for value in values}
        for delta in self.uncommitted:
            _put_entries({space: found}, {e: s for e, s in delta.entries.items() if e[0] == space and e[1] in found})
        return _in_order(found)

    def find_committed(self, space: str, values: Sequence[str]) -> dict[str, dict[str, bytes]]:
        """The items of those values that have any, as committed."""
        known = self.spaces.get(space, {})
        return _in_order({value: known[value] for value in values if value in known})

    def entries(self, space: str) -> Iterator[tuple[str, str, bytes]]:
        """A whole space, in code point order, including uncommitted writes."""
        values = set(self.spaces.get(space, {}))
        values.update(value for delta in self.uncommitted for s, value, _ in delta.entries if s == space)
        for value, items in self.find(space, sorted(values)).items():
            yield from [(value, item, state) for item, state in items.items()]

    def write(self, delta: Delta) -> None:
        """Adds to the open transaction."""
        self.uncommitted.append(delta)

    def commit(self, delta: Delta) -> None:
        """Makes everything written durable."""
        for part in [*self.uncommitted, delta]:
            self._apply(part)
        self.uncommitted = []

    def crash(self) -> None:
        """What was not committed is gone."""
        self.uncommitted = []

    def _apply(self, delta: Delta) -> None:
        for (entity, key), state in delta.records.items():
            self.records.setdefault(entity, {})[key] = state
        _put_entries(self.spaces, delta.entries)
        self.journal += delta.journal
        self.positions.update(delta.positions)
        self.pendings += delta.pending
        done = delta.pending_done_to
        if done is not None:
            self.pendings = [row for row in self.pendings if row.number > done]
        self.applied += delta.applied
        for system, below in delta.applied_forget.items():
            self.applied = [a for a in self.applied if a.system != system or a.number_to >= below]
        for place, reason in delta.quarantine.items():
            self._put(self.quarantine, place, reason)
        for held, why in delta.holds.items():
            self._put(self.holds, held, why)
        for number, answer in delta.requests_done.items():
            self.asked.pop(number, None)
            self.answers[number] = answer
        self.number = delta.number if delta.number is not None else self.number
        self.phase = delta.phase or self.phase

    @staticmethod
    def _put(table: dict[Any, str], key: Any, value: str | None) -> None:
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def pending(self, after: int, *, written: bool = False) -> Iterator[Pending]:
        """Pending rows with a number above `after`."""
        unsure = [row for delta in self.uncommitted for row in delta.pending] if written else []
        yield from [row for row in [*self.pendings, *unsure] if row.number > after]

    def scan(self, entity: str, start: str = "") -> Iterator[tuple[str, bytes]]:
        """All records of an entity from a key on, ascending by key."""
        yield from sorted((key, state) for key, state in self.records.get(entity, {}).items() if key >= start)

    def ask(self, kind: str, arguments: dict[str, str]) -> int:
        """Puts a person's request in the queue."""
        number = len(self.asked) + len(self.answers) + 1
        self.asked[number] = Request(number, kind, arguments)
        return number

    def requests(self) -> list[Request]:
        """What people asked for and has not been done."""
        return list(self.asked.values())

    def quarantined(self) -> Iterable[tuple[str, str, str, str]]:
        """(entity, key, system, reason)"""
        return [(*place, reason) for place, reason in self.quarantine.items()]

    def held(self) -> Iterable[tuple[str, str, int]]:
        """(entity, key, register) of what is left to a person."""
        return list(self.holds)


def _put_entries(spaces: dict[str, dict[str, dict[str, bytes]]], entries: dict[Entry, bytes | None]) -> None:
    for (space, value, item), state in entries.items():
        items = spaces.setdefault(space, {}).setdefault(value, {})
        if state is None:
            items.pop(item, None)
        else:
            items[item] = state


def _in_order(found: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    return {value: dict(sorted(found[value].items())) for value in sorted(found) if found[value]}
